"""Address pools of the fleet: what lies in which, what must not overlap, and the next free one of each."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import combinations

from plantgate_shared.errors import ConfigError, Conflict, InvalidInput

AGENT_SHARE = 8
"""The agents' own addresses take the first 1/256 of the transit pool (of a /4: a /12, a million), plants the rest."""

NUMBER_LIMIT = 2**31 - 1
"""Subnet numbers travel as packet marks; the highest bit stays free."""

PRIVATE_RANGES = (IPv4Network("10.0.0.0/8"), IPv4Network("172.16.0.0/12"), IPv4Network("192.168.0.0/16"))
"""What a client sends into the tunnel, besides the alias pool, for the whole life of its profile."""

_SPECIAL = (
    (IPv4Network("0.0.0.0/8"), "'this network'"),
    (IPv4Network("127.0.0.0/8"), "loopback"),
    (IPv4Network("169.254.0.0/16"), "link-local"),
    (IPv4Network("224.0.0.0/4"), "multicast"),
    (IPv4Network("240.0.0.0/4"), "reserved"),
)
_LIMITED_BROADCAST = int(IPv4Address("255.255.255.255"))


@dataclass(frozen=True, slots=True)
class Pools:
    """The fleet's address pools. Making one checks it; raises ConfigError."""

    profiles: IPv4Network = IPv4Network("100.64.0.0/10")
    """Tunnel addresses of people; the first host is the hub's own service address."""
    transit: IPv4Network = IPv4Network("240.0.0.0/4")
    """Stands for agents and plant subnets between hub and agents; never visible to people or plants."""
    aliases: IPv4Network = IPv4Network("198.18.0.0/15")
    """Conflict-free addresses for people."""
    largest_subnet: int = 16
    """Shortest prefix of a plant subnet."""

    def __post_init__(self) -> None:
        for (name, pool), (other_name, other) in combinations(self.named(), 2):
            if pool.overlaps(other):
                raise ConfigError(
                    f"the pools {name} ({pool}) and {other_name} ({other}) overlap", hint="move one of them"
                )
        for name, pool in self.named():
            if pool.prefixlen > 20:
                raise ConfigError(f"the pool {name} ({pool}) is too small", hint="/20 is the smallest")
        for name, pool in (("profiles", self.profiles), ("aliases", self.aliases)):
            for private in PRIVATE_RANGES:
                if pool.overlaps(private):
                    raise ConfigError(
                        f"the pool {name} ({pool}) overlaps {private}, which plants use", hint="choose another"
                    )

    def named(self) -> tuple[tuple[str, IPv4Network], ...]:
        return ("profiles", self.profiles), ("transit", self.transit), ("aliases", self.aliases)

    @property
    def service_address(self) -> IPv4Address:
        """The hub's own address among the people's: it answers ICMP echo and nothing else."""
        return self.profiles.network_address + 1

    @property
    def agents(self) -> IPv4Network:
        """The part of the transit pool that holds the agents' own addresses."""
        return IPv4Network((self.transit.network_address, self.transit.prefixlen + AGENT_SHARE))


def check_subnet(network: IPv4Network, pools: Pools) -> None:
    """Raise InvalidInput unless the network may be a plant's subnet."""
    if network.prefixlen == 0:
        raise InvalidInput(f"{network} is the default route, not a plant's subnet", hint="name the plant's own network")
    for special, what in _SPECIAL:
        if network.overlaps(special):
            raise InvalidInput(f"{network} overlaps {special} ({what})", hint="name the plant's own network")
    for name, pool in pools.named():
        if network.overlaps(pool):
            raise InvalidInput(
                f"{network} overlaps the hub's pool {name} {pool}",
                hint="renumber the plant, or configure other pools before the first profile is made",
            )
    if network.prefixlen < pools.largest_subnet:
        raise InvalidInput(
            f"{network} is larger than /{pools.largest_subnet}",
            hint="add the parts that hold devices as subnets of their own",
        )


def parse_subnet(text: str, pools: Pools) -> IPv4Network:
    """A plant's subnet from text. Raises InvalidInput, naming the network that was probably meant."""
    try:
        network = IPv4Network(text.strip(), strict=False)
    except ValueError:
        raise InvalidInput(f"{text!r} is not an IPv4 network", hint="write it like 192.168.1.0/24") from None
    if "/" not in text or str(network.network_address) != text.strip().partition("/")[0]:
        raise InvalidInput(f"{text.strip()!r} is not a network address", hint=f"did you mean {network}?")
    check_subnet(network, pools)
    return network


def next_address(pool: IPv4Network, used: Collection[IPv4Address], after: IPv4Address | None = None) -> IPv4Address:
    """The next free host after `after`, around the end, and never the first host (the hub's own). Raises Conflict.

    Going on after the last one given, rather than from the bottom, keeps an address that was just given back out of use
    for as long as possible: flows and logs of its former owner do not meet a new one.
    """
    low = int(pool.network_address) + 2
    high = int(pool.network_address) + pool.num_addresses - 2  # the last address is the broadcast
    taken = sorted(int(address) for address in used)
    start = min(max(int(after) + 1, low), high + 1) if after is not None else low
    for first, last in ((start, high), (low, start - 1)):
        candidate = first
        for address in taken[bisect_left(taken, first) :]:
            if address != candidate:
                break
            candidate += 1
        if candidate <= last:
            return IPv4Address(candidate)
    raise Conflict(f"the pool {pool} has no free address left", hint="configure a larger pool")


def next_transit(
    pools: Pools, used: Iterable[IPv4Network], prefix_length: int, after: IPv4Network | None = None
) -> IPv4Network:
    """The next free transit prefix of that length after `after`, around the end. Raises Conflict."""
    size = 1 << (32 - prefix_length)
    low = int(pools.agents.broadcast_address) + 1
    high = int(pools.transit.broadcast_address)
    spans = sorted((int(n.network_address), int(n.broadcast_address)) for n in used)
    start = int(after.broadcast_address) + 1 if after is not None else low
    if not low <= start <= high:
        start = low
    for first, last in ((start, high), (low, high)):
        found = _first_gap(spans, first, last, size)
        if found is not None:
            return IPv4Network((found, prefix_length))
    raise Conflict(f"the pool {pools.transit} has no free /{prefix_length} left", hint="configure a larger pool")


def next_alias(pool: IPv4Network, used: Iterable[IPv4Network], prefix_length: int) -> IPv4Network | None:
    """The next free alias prefix of that length after the highest in use, around the end; None: the pool is full.

    Going on upwards keeps an address that was given back out of use for long: what a person noted down for one plant
    does not lead to another soon.
    """
    size = 1 << (32 - prefix_length)
    low, high = int(pool.network_address), int(pool.broadcast_address)
    spans = sorted((int(n.network_address), int(n.broadcast_address)) for n in used)
    for first in (spans[-1][1] + 1 if spans else low, low):
        found = _first_gap(spans, first, high, size)
        if found is not None:
            return IPv4Network((found, prefix_length))
    return None


def _first_gap(spans: Sequence[tuple[int, int]], first: int, last: int, size: int) -> int | None:
    """The first aligned free run of `size` addresses in first..last; spans are disjoint and in order."""

    def aligned(address: int) -> int:
        return (address + size - 1) // size * size

    candidate = aligned(first)
    position = max(bisect_right(spans, (candidate, 0)) - 1, 0)
    while candidate + size - 1 <= min(last, _LIMITED_BROADCAST - 1):
        while position < len(spans) and spans[position][1] < candidate:
            position += 1
        if position == len(spans) or spans[position][0] > candidate + size - 1:
            return candidate
        candidate = aligned(spans[position][1] + 1)
    return None


def address6(prefix: IPv6Network, address: IPv4Address) -> IPv6Address:
    """The IPv6 tunnel address that goes with a profile's IPv4 address: the fleet's prefix and the address behind it."""
    return prefix.network_address + int(address)


def next_number(last: int) -> int:
    """The next subnet number. Numbers are never used again: a stale rule can then not stand for another plant."""
    if last >= NUMBER_LIMIT:
        raise Conflict("there is no subnet number left")
    return last + 1
