"""Finds what a command line names, by id or by name, among what the acting person may know of."""

from collections.abc import Iterable
from typing import TypeVar

from plantgate_shared.errors import InvalidInput, NotFound

from ..domain.model import (
    Cooperation,
    CooperationId,
    Device,
    Job,
    Organization,
    OrganizationId,
    Person,
    Plant,
    PlantId,
    Profile,
    Subnet,
    VpnService,
    WebTarget,
)
from ..domain.policy import Action, Allowed, decide, decide_in_organization
from ..domain.snapshot import Snapshot
from ..services import Actor
from .output import job_name

T = TypeVar("T")

JOBS = ", ".join(job_name(job) for job in Job)


class References:
    """Names may be written as `plant` or `organization/plant`, and `plant/device`."""

    def __init__(self, snapshot: Snapshot, actor: Actor, now: float) -> None:
        self._snapshot = snapshot
        self._actor = actor
        self._now = now

    # What may be known

    def may(self, action: Action, plant: PlantId) -> bool:
        """Whether the actor may do the action on the plant, or in its organization."""
        person = self._actor.person
        return person is None or isinstance(decide(self._snapshot, person, action, plant, self._now), Allowed)

    def may_in(self, action: Action, organization: OrganizationId) -> bool:
        person = self._actor.person
        return person is None or isinstance(
            decide_in_organization(self._snapshot, person, action, organization), Allowed
        )

    def sees_plant(self, plant: PlantId) -> bool:
        return self.may(Action.SEE_PLANT, plant)

    def sees_organization(self, organization: OrganizationId) -> bool:
        if self.may_in(Action.SEE_ORGANIZATION, organization):
            return True
        account = self._snapshot.people.get(self._actor.person or "")
        return account is not None and account.cloud_operator

    def organizations(self) -> list[Organization]:
        return sorted(
            filter(lambda o: self.sees_organization(o.id), self._snapshot.organizations), key=lambda o: o.name
        )

    def plants(self) -> list[Plant]:
        return sorted(filter(lambda p: self.sees_plant(p.id), self._snapshot.plants), key=lambda p: p.name)

    def people(self) -> list[Person]:
        """Everyone for console and cloud operators; for others themselves, and the members that they manage."""
        person = self._actor.person
        account = self._snapshot.people.get(person or "")
        if person is None or (account is not None and account.cloud_operator):
            return sorted(self._snapshot.people, key=lambda p: p.email)
        known = {person} | {
            member.person
            for membership in self._snapshot.memberships_of(person)
            if self.may_in(Action.MANAGE_MEMBERS, membership.organization)
            for member in self._snapshot.members_of(membership.organization)
        }
        return sorted((p for p in self._snapshot.people if p.id in known), key=lambda p: p.email)

    # Finding

    def person(self, text: str) -> Person:
        found = self._snapshot.person_by_email(text.strip().lower()) or self._snapshot.people.get(text)
        if found is None:
            raise NotFound(f"there is no person {text!r}")
        return found

    def organization(self, text: str) -> Organization:
        """By id or name; partners are named too, so all are found."""
        named = (o for o in self._snapshot.organizations if text in (o.id, o.name))
        return _one(named, "organization", text)

    def plant(self, text: str) -> Plant:
        organization, _, name = text.rpartition("/")
        owner = self.organization(organization).id if organization else None
        named = (
            plant
            for plant in self.plants()
            if plant.id == text or (plant.name == name and owner in (None, plant.organization))
        )
        return _one(named, "plant", text)

    def plant_of_person(self, text: str, email: str) -> Plant:
        """A plant that the actor may see; asking about themselves, also one on which they hold or held a grant."""
        try:
            return self.plant(text)
        except NotFound:
            own = self.person(email)
            if own.id != self._actor.person:
                raise
            granted = (self._snapshot.plants.get(grant.plant) for grant in self._snapshot.grants_of(own.id))
            return _one((plant for plant in granted if plant and text in (plant.id, plant.name)), "plant", text)

    def subnet(self, text: str) -> Subnet:
        """By id, as `plant` (if it has one subnet only) or as `plant:network`."""
        found = self._snapshot.subnets.get(text)
        if found is not None and self.may(Action.SEE_NETWORK, found.plant):
            return found
        plant, _, network = text.partition(":")
        place = self.plant(plant).id
        subnets = self._snapshot.subnets_of(place) if self.may(Action.SEE_NETWORK, place) else ()
        return _one((s for s in subnets if network in ("", str(s.network))), "subnet", text)

    def device(self, text: str) -> Device:
        plant, _, name = text.rpartition("/")
        places = [self.plant(plant)] if plant else self.plants()
        named = (
            device
            for place in places
            if self.may(Action.SEE_DEVICES, place.id)
            for device in self._snapshot.devices_of(place.id)
            if text == device.id or name == device.name
        )
        return _one(named, "device", text)

    def target(self, text: str) -> WebTarget:
        found = self._snapshot.target_by_host(text) or self._snapshot.targets.get(text)
        plant = self._snapshot.plant_of_target(found) if found else None
        if found is None or plant is None or not self.may(Action.SEE_NETWORK, plant.id):
            raise NotFound(f"there is no web target {text!r}")
        return found

    def service(self, text: str) -> VpnService:
        organization, _, name = text.rpartition("/")
        owner = self.organization(organization).id if organization else None
        named = (
            service
            for service in self._snapshot.services
            if self.may_in(Action.MANAGE_SERVICES, service.organization)
            and (text == service.id or (name == service.name and owner in (None, service.organization)))
        )
        return _one(named, "VPN service", text)

    def profile(self, text: str) -> Profile:
        """By id or public key; whose it is, is the service's to check."""
        found = self._snapshot.profiles.get(text) or self._snapshot.profile_by_key(text)
        if found is None:
            raise NotFound(f"there is no profile {text!r}")
        return found

    def cooperations(self) -> list[Cooperation]:
        """Those that the actor manages, for either side."""
        manage = Action.MANAGE_COOPERATIONS
        return [c for c in self._snapshot.cooperations if self.may(manage, c.plant) or self.may_in(manage, c.partner)]

    def cooperation(self, text: str) -> CooperationId:
        return _one((c for c in self.cooperations() if c.id == text), "cooperation", text).id


def parse_job(text: str) -> Job:
    """Raises InvalidInput, naming the jobs there are."""
    for job in Job:
        if job_name(job) == text.strip().lower().replace("_", "-"):
            return job
    raise InvalidInput(f"there is no job {text!r}", hint=f"jobs: {JOBS}")


def action_name(action: Action) -> str:
    """As people type it: use-vpn."""
    return action.name.lower().replace("_", "-")


def parse_action(text: str) -> Action:
    """Raises InvalidInput, naming the actions there are."""
    for action in Action:
        if action_name(action) == text.strip().lower():
            return action
    raise InvalidInput(f"there is no action {text!r}", hint=f"actions: {', '.join(map(action_name, Action))}")


def _one(found: Iterable[T], what: str, text: str) -> T:
    matches = list(found)
    if not matches:
        raise NotFound(f"there is no {what} {text!r}")
    if len(matches) > 1:
        raise InvalidInput(f"there is more than one {what} {text!r}", hint="name it by its id")
    return matches[0]
