"""Access to the kernel: nftables, WireGuard, links and routes, conntrack. The only I/O with it."""
