"""The hub's end of the agents' tunnels."""
