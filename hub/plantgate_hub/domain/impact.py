"""Whom and what a change touches: a superset, cheap to compute, so that only those are compiled anew."""

from collections.abc import Iterable, Iterator
from typing import Any

from .model import (
    Agent,
    Alias,
    ConnectionPolicy,
    Cooperation,
    Device,
    Grant,
    Hold,
    Membership,
    Organization,
    Person,
    PersonId,
    Plant,
    PlantId,
    Profile,
    Purpose,
    RoutePreference,
    Subnet,
    VpnService,
    WebTarget,
)
from .snapshot import Change, Kind, Snapshot


def people_on(snapshot: Snapshot, plant: PlantId) -> Iterator[PersonId]:
    """Everyone who may have a job on the plant."""
    place = snapshot.plants.get(plant)
    if place is not None:
        yield from (membership.person for membership in snapshot.responsible_in(place.organization))
    yield from (grant.person for grant in snapshot.grants_on(plant))


def plants_touched(before: Snapshot, after: Snapshot, changes: Iterable[Change]) -> frozenset[PlantId]:
    """Plants that the changes touch as a whole: subnets, devices, targets, agents, services, holds, what the owner asks
    of connections."""
    return frozenset(
        plant for change in changes for row in _rows(before, after, change) for plant in _plants(row, before, after)
    )


def people_touched(before: Snapshot, after: Snapshot, changes: Iterable[Change]) -> frozenset[PersonId]:
    """People whose jobs or routes the changes may touch."""
    changes = tuple(changes)
    people: set[PersonId] = set()
    for change in changes:
        for row in _rows(before, after, change):
            match row:
                case Person():
                    people.add(row.id)
                case Membership() | Grant() | Profile() | RoutePreference() | Alias() | Purpose():
                    people.add(row.person)
                case Cooperation():
                    for snapshot in (before, after):
                        people.update(grant.person for grant in snapshot.grants_in(row.id))
    plants = plants_touched(before, after, (change for change in changes if change.kind is not Kind.GRANT))
    for plant in plants:
        for snapshot in (before, after):
            people.update(people_on(snapshot, plant))
    return frozenset(people)


def _rows(before: Snapshot, after: Snapshot, change: Change) -> Iterator[Any]:
    if change.kind is Kind.SESSION:
        return
    old, new = before.table(change.kind).get(*change.key), after.table(change.kind).get(*change.key)
    if isinstance(old, VpnService) and isinstance(new, VpnService):
        # A service may hold every plant: only those that came or went are touched.
        yield VpnService(new.id, new.organization, new.name, old.plants ^ new.plants)
        return
    yield from (row for row in (old, new) if row is not None)


def _plants(row: Any, before: Snapshot, after: Snapshot) -> Iterator[PlantId]:
    match row:
        case Organization():
            for snapshot in (before, after):
                yield from (plant.id for plant in snapshot.plants_of(row.id))
        case ConnectionPolicy():
            for snapshot in (before, after):
                yield from (plant.id for plant in snapshot.plants_of(row.organization))
        case Plant():
            yield row.id
        case Subnet() | Device() | Agent() | Cooperation() | Hold():
            yield row.plant
        case WebTarget():
            for snapshot in (before, after):
                device = snapshot.devices.get(row.device)
                if device is not None:
                    yield device.plant
        case VpnService():
            yield from row.plants
