"""The hub's VPN data plane: pure state, rules and plan, and the shell that keeps the kernel in step with them."""
