"""Alias prefixes: under them a person reaches several plants with the same range at once, and plants whose range is
that of the network they sit in themselves.

Each person has the whole alias pool for themselves. An alias is given out once and stays: also while access is away, so
that what somebody noted down never leads to another plant. Of subnets too large for the pool only the configured
devices get one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network

from .impact import people_touched
from .model import Alias, PersonId, Subnet
from .pools import next_alias
from .routes import authorized_subnets
from .snapshot import Change, Kind, Snapshot

WIDEST = 20
"""Shortest prefix of a subnet that gets an alias as a whole: the default pool holds 32 of these."""

_ASKS = {
    Kind.MEMBERSHIP,
    Kind.GRANT,
    Kind.COOPERATION,
    Kind.SUBNET,
    Kind.DEVICE,
    Kind.PROFILE,
}
"""Kinds of change after which a person may lack an alias, or have one of a device that is gone."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What to change so that everyone has their aliases."""

    new: tuple[Alias, ...] = ()
    gone: tuple[Alias, ...] = ()


def assign_aliases(
    before: Snapshot, after: Snapshot, changes: Iterable[Change], moments: Iterable[float], pool: IPv4Network
) -> Assignment:
    """The aliases that people lack after the changes, as of each of `moments` (time boxes open later than they are
    made). Where a pool is full, aliases of subnets that the person may not reach give way; the rest goes without."""
    asking = [change for change in changes if change.kind in _ASKS]
    moments = tuple(moments)
    new: list[Alias] = []
    gone: list[Alias] = []
    for person in sorted(people_touched(before, after, asking)) if asking else ():
        if after.profiles_of(person):
            own = _of_person(after, person, moments, pool)
            new += own.new
            gone += own.gone
    return Assignment(tuple(new), tuple(gone))


def parts(snapshot: Snapshot, subnet: Subnet) -> tuple[IPv4Network, ...]:
    """The parts of the subnet that get an alias each."""
    if subnet.network.prefixlen >= WIDEST:
        return (subnet.network,)
    devices = sorted({device.address for device in snapshot.devices_of(subnet.plant)})
    return tuple(IPv4Network(address) for address in devices if address in subnet.network)


def _of_person(snapshot: Snapshot, person: PersonId, moments: Iterable[float], pool: IPv4Network) -> Assignment:
    subnets = {subnet.id: subnet for now in moments for subnet in authorized_subnets(snapshot, person, now)}
    wanted = [
        (subnet.id, part)
        for subnet in sorted(subnets.values(), key=lambda subnet: subnet.number)
        for part in parts(snapshot, subnet)
    ]
    have = {(alias.subnet, alias.network): alias for alias in snapshot.aliases_of(person)}
    known = set(wanted)
    gone = [alias for key, alias in have.items() if alias.subnet in subnets and key not in known]  # devices that left
    spare = sorted((alias for alias in have.values() if alias.subnet not in subnets), key=lambda alias: alias.prefix)
    used = {alias.prefix for alias in have.values()} - {alias.prefix for alias in gone}
    new: list[Alias] = []
    for subnet, part in (key for key in wanted if key not in have):
        prefix = next_alias(pool, used, part.prefixlen)
        while prefix is None and spare:
            gone.append(spare.pop())
            used.discard(gone[-1].prefix)
            prefix = next_alias(pool, used, part.prefixlen)
        if prefix is not None:
            used.add(prefix)
            new.append(Alias(person, subnet, part.network_address, prefix))
    return Assignment(tuple(new), tuple(gone))
