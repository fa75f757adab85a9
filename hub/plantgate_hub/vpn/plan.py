"""The pure plan from the table's observed contents to the desired ones.

Revocations come first and alone: they only delete from the hash set `allowed` (and from the small `plant_id`), which
is fast at any size. Additions follow. Entries of `plants` that lead nowhere any more cost the kernel time in
proportion to the map's size each, so they are swept last, a few at a time; until then they are harmless, since what
they translate is not allowed. Where a new entry overlaps a stale one, both go into one transaction.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from .state import NOTHING, ProfileElements, VpnState

Pair = tuple[IPv4Address, int]
"""Profile address and number of the plant subnet: an element of `allowed`."""
Key = tuple[IPv4Address, IPv4Network]
"""Profile address and real or alias prefix: a key of `plants`."""

GRANTS_AT_ONCE = 2000
"""Elements added in one transaction: some 50 ms, so that a revocation in between is never late."""
SWEEP_BUDGET = 25_000
"""Size of `plants` times deletions in one transaction: about 10 ms of the kernel's time."""
REPLACE_ABOVE = 1_500_000
"""Forced deletions times size of `plants` beyond which a new table is the quicker way (about 0.6 s)."""


@dataclass(frozen=True, slots=True)
class TableState:
    """The contents of the table's sets, by profile address."""

    profiles: Mapping[IPv4Address, ProfileElements] = field(default_factory=dict)
    plant_id: Mapping[IPv4Network, int] = field(default_factory=dict)
    intact: bool = True
    """The rules are ours to the letter and every element could be read; otherwise only a new table helps."""


@dataclass(frozen=True, slots=True)
class Revoke:
    """Delete from `allowed` and forget ids of transit prefixes. Nothing is opened by this."""

    allowed: tuple[Pair, ...] = ()
    plant_id: tuple[IPv4Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """Add what is missing; `instead_of` are stale keys in its way, deleted in the same transaction."""

    plant_id: tuple[tuple[IPv4Network, int], ...] = ()
    instead_of: tuple[Key, ...] = ()
    plants: tuple[tuple[Key, IPv4Network], ...] = ()
    allowed: tuple[Pair, ...] = ()


@dataclass(frozen=True, slots=True)
class Sweep:
    """Delete stale entries of `plants`; can wait."""

    plants: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class ReplaceTable:
    """Put a new table with all of the desired contents in the place of the old one, atomically."""


Step = Revoke | Grant | Sweep | ReplaceTable


def table_state(desired: VpnState) -> TableState:
    """The table's contents that the desired state asks for."""
    return TableState(desired.elements, {subnet.transit: subnet.number for subnet in desired.subnets})


def plan(desired: TableState, observed: TableState, size: int | None = None) -> tuple[Step, ...]:
    """Transactions in their order; `plan(s, s) == ()`.

    Works on any part of the profiles too; `size` is then the number of entries that the whole of `plants` has.
    """
    if not observed.intact:
        return (ReplaceTable(),)
    if size is None:
        size = sum(len(elements.plants) for elements in observed.profiles.values())
    revoke, grants = revocations(desired, observed), _grants(desired, observed)
    forced = {key for grant in grants for key in grant.instead_of}
    if len(forced) * size > REPLACE_ABOVE:
        return (*revoke, ReplaceTable())
    stale = (key for key in _stale(desired, observed) if key not in forced)
    return (*revoke, *grants, *sweeps(stale, size))


def revocations(desired: TableState, observed: TableState) -> tuple[Revoke, ...]:
    """Only what has to close, at most one transaction."""
    pairs = tuple(
        (address, number)
        for address, elements in observed.profiles.items()
        for number in sorted(elements.allowed - desired.profiles.get(address, NOTHING).allowed)
    )
    ids: tuple[IPv4Network, ...] = ()
    if desired.plant_id is not observed.plant_id:
        ids = tuple(prefix for prefix, number in observed.plant_id.items() if desired.plant_id.get(prefix) != number)
    return (Revoke(pairs, ids),) if pairs or ids else ()


def sweeps(keys: Iterable[Key], size: int) -> Iterator[Sweep]:
    """Stale keys in transactions small enough for a `plants` map of this size."""
    at_once = max(1, SWEEP_BUDGET // max(1, size))
    remaining = tuple(keys)
    for start in range(0, len(remaining), at_once):
        yield Sweep(remaining[start : start + at_once])


def _stale(desired: TableState, observed: TableState) -> list[Key]:
    return [
        (address, prefix)
        for address, elements in observed.profiles.items()
        for prefix in elements.plants.keys() - desired.profiles.get(address, NOTHING).plants.keys()
    ]


def _grants(desired: TableState, observed: TableState) -> list[Grant]:
    ids: tuple[tuple[IPv4Network, int], ...] = ()
    if desired.plant_id is not observed.plant_id:
        ids = tuple(item for item in desired.plant_id.items() if observed.plant_id.get(item[0]) != item[1])
    grants: list[Grant] = []
    batch: list[Grant] = []
    size = 0
    for address, wanted in desired.profiles.items():
        there = observed.profiles.get(address, NOTHING)
        if wanted is there or wanted == there:
            continue
        if (grant := _profile_grant(address, wanted, there, desired.plant_id)) != Grant():
            batch.append(grant)
            size += len(grant.plants) + len(grant.allowed)
        if size >= GRANTS_AT_ONCE:
            grants.append(_joined(batch))
            batch, size = [], 0
    if batch:
        grants.append(_joined(batch))
    if ids:  # last: an id makes every entry work that leads to it, so stale ones have to be gone
        grants.append(Grant(plant_id=ids))
    return grants


def _profile_grant(
    address: IPv4Address, wanted: ProfileElements, there: ProfileElements, plant_id: Mapping[IPv4Network, int]
) -> Grant:
    """All of one profile in one transaction, so that a switch of plants is never half done."""
    missing = {prefix: transit for prefix, transit in wanted.plants.items() if there.plants.get(prefix) != transit}
    in_the_way = [
        prefix
        for prefix, transit in there.plants.items()
        if wanted.plants.get(prefix) != transit
        and (
            any(prefix.overlaps(new) for new in missing)
            # A way to a plant that stays allowed by another way (its alias) has to close now.
            or number_of(transit, plant_id) in wanted.allowed
        )
    ]
    return Grant(
        instead_of=tuple((address, prefix) for prefix in in_the_way),
        plants=tuple(((address, prefix), transit) for prefix, transit in missing.items()),
        allowed=tuple((address, number) for number in sorted(wanted.allowed - there.allowed)),
    )


def _joined(grants: Iterable[Grant]) -> Grant:
    parts = tuple(grants)
    return Grant(
        instead_of=tuple(key for grant in parts for key in grant.instead_of),
        plants=tuple(item for grant in parts for item in grant.plants),
        allowed=tuple(pair for grant in parts for pair in grant.allowed),
    )


def number_of(transit: IPv4Network, plant_id: Mapping[IPv4Network, int]) -> int | None:
    """The plant subnet that this transit prefix, or a part of one, belongs to."""
    prefix = transit
    while (number := plant_id.get(prefix)) is None and prefix.prefixlen > 0:
        prefix = prefix.supernet()
    return number


def advance(
    step: Revoke | Grant | Sweep,
    profiles: dict[IPv4Address, ProfileElements],
    plant_id: dict[IPv4Network, int],
) -> set[IPv4Address]:
    """Bring what is known about the kernel's contents up to date after the step succeeded; whose profiles changed."""
    match step:
        case Revoke(allowed, ids):
            for prefix in ids:
                plant_id.pop(prefix, None)
            return _take(profiles, allowed=allowed)
        case Grant(new_ids, instead_of, plants, allowed):
            plant_id.update(new_ids)
            return _take(profiles, plants=instead_of) | _put(profiles, plants, allowed)
        case Sweep(keys):
            return _take(profiles, plants=keys)


def _take(
    profiles: dict[IPv4Address, ProfileElements], *, allowed: Iterable[Pair] = (), plants: Iterable[Key] = ()
) -> set[IPv4Address]:
    numbers: dict[IPv4Address, set[int]] = {}
    prefixes: dict[IPv4Address, set[IPv4Network]] = {}
    for address, number in allowed:
        numbers.setdefault(address, set()).add(number)
    for address, prefix in plants:
        prefixes.setdefault(address, set()).add(prefix)
    for address in numbers.keys() | prefixes.keys():
        there, gone = profiles.get(address, NOTHING), prefixes.get(address, ())
        rest = ProfileElements(
            {prefix: transit for prefix, transit in there.plants.items() if prefix not in gone},
            there.allowed - numbers.get(address, set()),
        )
        if rest == NOTHING:
            profiles.pop(address, None)
        else:
            profiles[address] = rest
    return numbers.keys() | prefixes.keys()


def _put(
    profiles: dict[IPv4Address, ProfileElements],
    plants: Iterable[tuple[Key, IPv4Network]],
    allowed: Iterable[Pair],
) -> set[IPv4Address]:
    added: dict[IPv4Address, tuple[dict[IPv4Network, IPv4Network], set[int]]] = {}
    for (address, prefix), transit in plants:
        added.setdefault(address, ({}, set()))[0][prefix] = transit
    for address, number in allowed:
        added.setdefault(address, ({}, set()))[1].add(number)
    for address, (entries, numbers) in added.items():
        there = profiles.get(address, NOTHING)
        profiles[address] = ProfileElements({**there.plants, **entries}, there.allowed | numbers)
    return set(added)
