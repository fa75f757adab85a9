"""The gateway's nftables rules as text: a pure function of what shall pass, and the reading of what the kernel has.

Only the tables named here are ever written or deleted; a gateway has rules of its own. Our chains drop only what
touches the hub's interface, what opens a conversation with our WireGuard port, and routing that would exist only
because of us.

How drift is seen: the kernel prints rules in its own words, which differ between versions. So the table is loaded,
listed once, and both digests (of what was wanted, of what the kernel printed) are sealed into the comment of an
empty chain. The table is as it should be while its listing still has the sealed digest; a restarted agent reads the
same seal.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, collapse_addresses

INTERFACE = "pg-hub"
TABLE = "plantgate_agent"
LIVE_SECONDS = 6
"""The kernel stops forwarding this long after the worker's last sign of life."""

_INTERFACE_NAME = re.compile(r"^[^\s\"/\\{};,]{1,15}$")


@dataclass(frozen=True, slots=True)
class Mapping:
    """A transit prefix and the network on site that it stands for, of the same length."""

    transit: IPv4Network
    network: IPv4Network


@dataclass(frozen=True, slots=True)
class Rules:
    """What shall pass. Every network here has passed the boundary already."""

    transit_address: IPv4Address
    """The gateway's own address towards the hub."""
    peers: tuple[IPv4Network, ...]
    """Where people's packets come from."""
    subnets: tuple[Mapping, ...] = ()
    lans: frozenset[str] = frozenset()
    """Interfaces that lead to the subnets."""
    opened: frozenset[str] = frozenset()
    """Of those, the ones that forwarded nothing before the agent came."""
    targets: frozenset[tuple[IPv4Address, int]] = frozenset()
    """Addresses and TCP ports the worker may dial for the proxy."""
    hub: frozenset[IPv4Address] = frozenset()
    """Addresses of the hub itself."""
    wireguard_port: int = 51822
    worker_uid: int | None = None
    """User id of the worker; None when it is root, whose traffic is not told apart from the gateway's own."""


@dataclass(frozen=True, slots=True)
class TableState:
    """What the kernel has: read, never remembered."""

    wanted: str = ""
    """Digest of the rules it was loaded with; empty: not completely loaded."""
    intact: bool = False
    """Nobody changed it since."""
    opened: frozenset[str] = frozenset()


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def render(rules: Rules) -> str:
    """Both tables as one script that replaces them in one transaction."""
    return _RENEW + _ip_table(rules) + _IP6_TABLE


def seal(rules: Rules, listing: str) -> str:
    """The command that seals a loaded table, given its listing."""
    comment = f"{digest(render(rules))} {digest(_without_moving_parts(listing))}"
    return f'add chain ip {TABLE} seal {{ comment "{comment}"; }}'


def refresh_live() -> str:
    """The command that keeps forwarding alive for another LIVE_SECONDS."""
    return f'flush set ip {TABLE} live\nadd element ip {TABLE} live {{ "{INTERFACE}" timeout {LIVE_SECONDS}s }}\n'


def permit_hub(addresses: Iterable[IPv4Address]) -> str:
    """The command that lets the worker reach further addresses of the hub, before it connects there."""
    return f"add element ip {TABLE} hub {{ {', '.join(map(str, sorted(addresses)))} }}"


REMOVE = "".join(f"add table {family} {TABLE}\ndelete table {family} {TABLE}\n" for family in ("ip", "ip6"))
_RENEW = REMOVE


def parse_listing(listing: str) -> TableState:
    """The state of `list table` output of both tables, one after the other."""
    sealed = re.search(r'chain seal \{\s*comment "(\w+) (\w+)"', listing)
    opened = re.search(r"set opened \{(.*?)\n\t\}", listing, re.DOTALL)
    names = frozenset(re.findall(r'"([^"]+)"', opened.group(1))) if opened else frozenset()
    if not sealed:
        return TableState(opened=names)
    return TableState(sealed.group(1), sealed.group(2) == digest(_without_moving_parts(listing)), names)


def _without_moving_parts(listing: str) -> str:
    """The listing without what changes by design: the seal, the sign of life, the hub's further addresses."""
    for block in (r"chain seal", r"set live", r"set hub"):
        listing = re.sub(rf"\n*\t{block} \{{.*?\n\t\}}", "", listing, flags=re.DOTALL)
    return re.sub(r"\s+", " ", listing).strip()


def _ip_table(rules: Rules) -> str:
    live = f'elements = {{ "{INTERFACE}" timeout {LIVE_SECONDS}s }}'
    peers = _one_or_set(sorted(collapse_addresses(rules.peers)))
    boundary = sorted(collapse_addresses(mapping.network for mapping in rules.subnets))
    subnets = sorted((mapping.transit, mapping.network) for mapping in rules.subnets)
    pairs = [f"{transit} : {network}" for transit, network in subnets]
    targets = [f"{address} . {port}" for address, port in sorted(rules.targets)]
    return f"""\
table ip {TABLE} {{
	set live {{
		type ifname
		flags timeout
		{live}
	}}
	set opened {{
		type ifname
		{_elements(_quoted(rules.opened))}
	}}
	set lans {{
		type ifname
		{_elements(_quoted(rules.lans))}
	}}
	set boundary {{
		type ipv4_addr
		flags interval
		{_elements(map(str, boundary))}
	}}
	map subnets {{
		type ipv4_addr : interval ipv4_addr
		flags interval
		{_elements(pairs)}
	}}
	set targets {{
		type ipv4_addr . inet_service
		{_elements(targets)}
	}}
	set hub {{
		type ipv4_addr
		{_elements(map(str, sorted(rules.hub)))}
	}}
	chain prerouting {{
		type nat hook prerouting priority dstnat; policy accept;
		iifname "{INTERFACE}" ip saddr {peers} dnat ip prefix to ip daddr map @subnets
	}}
	chain forward {{
		type filter hook forward priority filter; policy accept;
		iifname "{INTERFACE}" goto from_hub
		oifname "{INTERFACE}" goto to_hub
		iifname @opened drop
	}}
	chain from_hub {{
		oifname "{INTERFACE}" drop
		tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
		iifname @live oifname @lans ip saddr {peers} ip daddr @boundary ct status dnat accept
		drop
	}}
	chain to_hub {{
		tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
		oifname @live ip saddr @boundary ip daddr {peers} ct state established ct direction reply accept
		oifname @live ip daddr {peers} ct state related meta l4proto icmp accept
		drop
	}}
	chain postrouting {{
		type nat hook postrouting priority srcnat; policy accept;
		iifname "{INTERFACE}" oifname != "{INTERFACE}" masquerade
	}}
	chain input {{
		type filter hook input priority filter; policy accept;
		iifname "{INTERFACE}" goto input_from_hub
		udp dport {rules.wireguard_port} iifname != "lo" ct state != {{ established, related }} drop
	}}
	chain input_from_hub {{
		ip daddr {rules.transit_address} icmp type echo-request limit rate 20/second burst 20 packets accept
		drop
	}}
	chain output {{
		type filter hook output priority filter; policy accept;
		oifname "{INTERFACE}" goto output_to_hub
		{_worker_jump(rules)}
	}}
	chain output_to_hub {{
		meta l4proto icmp ct state {{ established, related }} accept
		drop
	}}
	chain worker {{
		oifname "lo" accept
		ct state {{ established, related }} accept
		ip daddr @hub accept
		meta l4proto {{ tcp, udp }} th dport 53 accept
		ip daddr . tcp dport @targets ip daddr @boundary accept
		reject with icmp type admin-prohibited
	}}
}}
"""


_IP6_TABLE = f"""\
table ip6 {TABLE} {{
	chain forward {{
		type filter hook forward priority filter; policy accept;
		iifname "{INTERFACE}" drop
		oifname "{INTERFACE}" drop
	}}
	chain input {{
		type filter hook input priority filter; policy accept;
		iifname "{INTERFACE}" drop
	}}
	chain output {{
		type filter hook output priority filter; policy accept;
		oifname "{INTERFACE}" drop
	}}
}}
"""


def _worker_jump(rules: Rules) -> str:
    """WireGuard's datagrams to the hub pass first: asking each for its socket's owner costs more than this comparison,
    and the worker may send to the hub anyway."""
    if not rules.worker_uid:
        return ""
    first = f"udp sport {rules.wireguard_port} ip daddr @hub accept"
    return f"{first}\n\t\tmeta skuid {rules.worker_uid} goto worker"


def _elements(items: Iterable[str]) -> str:
    joined = ", ".join(items)
    return f"elements = {{ {joined} }}" if joined else ""


def _one_or_set(networks: Iterable[IPv4Network]) -> str:
    texts = [str(network) for network in networks]
    return texts[0] if len(texts) == 1 else f"{{ {', '.join(texts)} }}"


def _quoted(names: Iterable[str]) -> list[str]:
    for name in names:
        if not _INTERFACE_NAME.match(name):
            raise ValueError(f"{name!r} cannot be an interface of a rule")
    return [f'"{name}"' for name in sorted(names)]
