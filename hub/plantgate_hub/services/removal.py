"""What goes along when something is removed: everything that refers to it, in the same change."""

from dataclasses import replace

from ..domain.model import Device, Membership, Person, Plant, Subnet
from ..domain.snapshot import Entity
from ..store.protocol import ChangeTransaction


def remove_device(change: ChangeTransaction, device: Device) -> None:
    for target in change.snapshot.targets_of(device.id):
        change.remove(target)
    change.remove(device)


def remove_subnet(change: ChangeTransaction, subnet: Subnet) -> None:
    rows: list[Entity] = [
        *change.snapshot.preferences.by("subnet", subnet.id),
        *change.snapshot.aliases.by("subnet", subnet.id),
    ]
    for row in rows:
        change.remove(row)
    change.remove(subnet)


def remove_plant(change: ChangeTransaction, plant: Plant) -> None:
    snapshot = change.snapshot
    for device in snapshot.devices_of(plant.id):
        remove_device(change, device)
    for subnet in snapshot.subnets_of(plant.id):
        remove_subnet(change, subnet)
    rows: list[Entity] = [
        *snapshot.grants_on(plant.id),
        *snapshot.holds_on(plant.id),
        *snapshot.purposes_on(plant.id),
        *snapshot.cooperations_on(plant.id),
        *snapshot.agents_of(plant.id),
    ]
    for row in rows:
        change.remove(row)
    for service in snapshot.services_with(plant.id):
        change.put(replace(service, plants=service.plants - {plant.id}))
    change.remove(plant)


def remove_membership(change: ChangeTransaction, membership: Membership) -> None:
    """Grants on the organization's plants, and invitations that came through it, do not wait for a return."""
    snapshot = change.snapshot
    for grant in snapshot.grants_of(membership.person):
        plant = snapshot.plants.get(grant.plant)
        cooperation = snapshot.cooperations.get(grant.cooperation or "")
        through = cooperation.partner if cooperation else plant.organization if plant else None
        if through == membership.organization:
            change.remove(grant)
    change.remove(membership)


async def remove_person(change: ChangeTransaction, person: Person) -> None:
    """The account and all that is theirs. What the audit recorded stays: it holds its own copy of the name."""
    snapshot = change.snapshot
    await change.end_sessions(person.id)
    for rows in (
        snapshot.profiles_of(person.id),
        snapshot.preferences_of(person.id),
        snapshot.aliases_of(person.id),
        snapshot.purposes_of(person.id),
        snapshot.grants_of(person.id),
        snapshot.memberships_of(person.id),
    ):
        for row in rows:
            change.remove(row)
    change.remove(person)
