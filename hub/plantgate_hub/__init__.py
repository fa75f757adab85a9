"""The hub: signs people in, decides who reaches what, carries their traffic to the agents."""
