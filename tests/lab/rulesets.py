"""nftables rule sets of the lab's routers, firewalls and container host."""

from .hosts import Host

UDP_BLOCK = """
table ip lab_block {
    chain forward {
        type filter hook forward priority -10; policy accept;
        oifname "wan0" meta l4proto udp counter drop
        iifname "wan0" meta l4proto udp counter drop
    }
}
"""
"""No UDP through the router's `wan0`, in either direction, in running flows neither."""


def home_router(wan: str) -> str:
    """NAT as in any home or office: everything outward, nothing inward unasked."""
    return f"""
table ip lab_router {{
    chain forward {{
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        iifname != "{wan}" accept
    }}
    chain input {{
        type filter hook input priority filter; policy accept;
        iifname "{wan}" ct state new meta l4proto {{ tcp, udp }} drop
    }}
    chain postrouting {{ type nat hook postrouting priority srcnat; oifname "{wan}" masquerade; }}
}}
"""


def strict_router(wan: str) -> str:
    """NAT that lets only TCP 443 out, and UDP unless `UDP_BLOCK` is there too; its own networks reach each other."""
    return f"""
table ip lab_router {{
    chain forward {{
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        iifname != "{wan}" oifname != "{wan}" accept
        oifname "{wan}" tcp dport 443 accept
        oifname "{wan}" meta l4proto udp accept
    }}
    chain input {{
        type filter hook input priority filter; policy accept;
        iifname "{wan}" ct state new meta l4proto {{ tcp, udp }} drop
    }}
    chain postrouting {{ type nat hook postrouting priority srcnat; oifname "{wan}" masquerade; }}
}}
"""


def container_host(bridge: str, network: str, published: int, container: str, port: int) -> str:
    """What a container engine sets up: masqueraded containers, isolated from outside but for a published port.

    It does not use the product's tables or marks; the product has to leave all of it working.
    """
    return f"""
table ip containers {{
    chain prerouting {{
        type nat hook prerouting priority dstnat;
        fib daddr type local tcp dport {published} dnat to {container}:{port}
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat;
        ip saddr {network} oifname != "{bridge}" masquerade
    }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        oifname "{bridge}" ct state established,related accept
        oifname "{bridge}" ct status dnat ip daddr {container} tcp dport {port} counter accept
        oifname "{bridge}" iifname != "{bridge}" counter drop
        iifname "{bridge}" counter accept
    }}
}}
"""


def block_udp(router: Host) -> None:
    """From now on the router drops every UDP packet from and to the internet."""
    router.nft(f"table ip lab_block\ndelete table ip lab_block\n{UDP_BLOCK}")


def allow_udp(router: Host) -> None:
    """Undo `block_udp`."""
    router.nft("table ip lab_block\ndelete table ip lab_block\n")


def container_policy(gateway: Host, policy: str) -> None:
    """Set the policy of the container engine's forward chain: 'accept', or 'drop' as Docker often does."""
    gateway.nft(f"chain ip containers forward {{ policy {policy}; }}\n")
