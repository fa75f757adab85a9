"""The hub's nftables tables as text: every packet is authorized by itself.

A person's packet is translated (`plants`), must then be for a plant subnet (`plant_id`) that this person may reach
(`allowed`); a plant's packet must answer a flow and pass the same test. There is no short cut for established flows:
a device that streams to a person stops at revocation too. What does not touch our interfaces is left alone.

Only a flow's first packet passes the nat chain: a packet that is not translated is refused there and never becomes a
flow, so each of its kind comes there again. What connection tracking does not know at all fails the test for `dnat`.

WireGuard's own datagrams outside the tunnels are not tracked: nothing here asks for their state, and tracking would
cost each packet two more look-ups, and each person an entry in a table that has a limit.
"""

from .state import AGENTS, USERS, VpnSettings

TABLE = "plantgate"
TABLE6 = "plantgate6"
OURS = "pg-*"
"""Matches both interfaces by one comparison, and perhaps others: what it leads to asks for the exact name."""
REFERENCE = "plantgate_reference"
"""A dormant copy of the table, loaded for a moment to learn how this kernel and nft print it."""

PROBE_MAGIC = b"PGP1"
"""First bytes of an agent's UDP path probe; never the start of a WireGuard message."""

REFUSALS = "100/second burst 50 packets"
"""Answers to what is not authorized, all people together; beyond that it is dropped in silence."""


def base_table(settings: VpnSettings, *, name: str = TABLE, dormant: bool = False) -> str:
    """The IPv4 table without elements, as commands that add it."""
    both = f'{{ "{USERS}", "{AGENTS}" }}'
    service, probe, magic = settings.service_address, settings.probe_port, int.from_bytes(PROBE_MAGIC, "big")
    return f"""\
table ip {name} {{
    {"flags dormant" if dormant else ""}
    map plants {{ type ipv4_addr . ipv4_addr : interval ipv4_addr; flags interval; }}
    map plant_id {{ type ipv4_addr : mark; flags interval; }}
    set allowed {{ type ipv4_addr . mark; }}

    chain outside_in {{
        type filter hook prerouting priority raw; policy accept;
        udp dport {settings.users_port} iifname != "{OURS}" notrack accept
        udp dport {settings.agents_port} iifname != "{OURS}" @th,64,32 != {magic:#x} notrack
    }}
    chain outside_out {{
        type filter hook output priority raw; policy accept;
        udp sport {settings.users_port} notrack accept
        udp sport {settings.agents_port} notrack
    }}
    chain translate {{
        type nat hook prerouting priority dstnat; policy accept;
        iifname "{USERS}" dnat ip prefix to ip saddr . ip daddr map @plants
        iifname "{USERS}" ip daddr != {service} goto refuse
        iifname != {both} udp dport {settings.agents_port} @th,64,32 {magic:#x} redirect to :{probe}
    }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        iifname "{AGENTS}" oifname "{USERS}" goto to_people
        iifname "{USERS}" oifname "{AGENTS}" goto to_plants
        iifname "{USERS}" goto refuse
        iifname "{AGENTS}" drop
        oifname {both} drop
    }}
    chain to_plants {{
        tcp flags syn tcp option maxseg size set rt mtu
        ct status dnat meta mark set ip daddr map @plant_id ip saddr . meta mark @allowed meta mark set 0 accept
        goto refuse
    }}
    chain to_people {{
        tcp flags syn tcp option maxseg size set rt mtu
        ct state established meta mark set ip saddr map @plant_id ip daddr . meta mark @allowed meta mark set 0 accept
        ct state related meta l4proto icmp accept
        drop
    }}
    chain refuse {{
        limit rate {REFUSALS} reject with icmp type admin-prohibited
        drop
    }}
    chain input {{
        type filter hook input priority filter; policy accept;
        iifname "{OURS}" jump input_from_tunnels
        udp dport {probe} iifname != "lo" ct status ! dnat drop
    }}
    chain input_from_tunnels {{
        iifname "{USERS}" ip daddr {service} icmp type echo-request accept
        iifname "{USERS}" goto refuse
        iifname "{AGENTS}" ct state established,related meta l4proto icmp accept
        iifname "{AGENTS}" drop
    }}
    chain output {{
        type filter hook output priority filter; policy accept;
        oifname "{OURS}" goto output_to_tunnels
    }}
    chain output_to_tunnels {{
        oifname {both} meta l4proto != icmp drop
        oifname {both} icmp type echo-request ip daddr != {settings.agents_pool} drop
    }}
}}
"""


def base_table6(*, name: str = TABLE6, dormant: bool = False) -> str:
    """The IPv6 table: nothing passes our interfaces."""
    both = f'{{ "{USERS}", "{AGENTS}" }}'
    return f"""\
table ip6 {name} {{
    {"flags dormant" if dormant else ""}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        iifname {both} drop
        oifname {both} drop
    }}
    chain input {{
        type filter hook input priority filter; policy accept;
        iifname {both} drop
    }}
    chain output {{
        type filter hook output priority filter; policy accept;
        oifname {both} drop
    }}
}}
"""


def replacement(settings: VpnSettings) -> str:
    """Commands that put fresh tables in the place of whatever is there; in one transaction no packet slips through."""
    return (
        f"add table ip {TABLE}\ndelete table ip {TABLE}\n{base_table(settings)}"
        f"add table ip6 {TABLE6}\ndelete table ip6 {TABLE6}\n{base_table6()}"
    )


def removal() -> str:
    """Commands that take our tables away, whether they are there or not."""
    return "".join(
        f"add table {family} {name}\ndelete table {family} {name}\n"
        for family, name in (("ip", TABLE), ("ip6", TABLE6))
    )
