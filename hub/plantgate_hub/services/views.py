"""What a person may see: pure look-ups in one snapshot, through the same policy that decides on changes.

Default deny. Whoever asks for what is not theirs to see gets NotFound, word for word as for what does not exist; lists
leave it out. The console sees everything.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from plantgate_shared.errors import NotFound

from ..domain import policy
from ..domain.impact import people_on
from ..domain.model import (
    Agent,
    AgentId,
    ConnectionPolicy,
    Cooperation,
    CooperationId,
    Device,
    DeviceId,
    Grant,
    Hold,
    Job,
    Membership,
    Organization,
    OrganizationId,
    Person,
    PersonId,
    Plant,
    PlantId,
    Profile,
    ProfileId,
    Purpose,
    RoutePreference,
    ServiceId,
    Subnet,
    SubnetId,
    TargetId,
    VpnService,
    WebTarget,
)
from ..domain.policy import (
    RULES,
    Action,
    Allowed,
    decide,
    decide_in_organization,
    decide_on_platform,
    job_of,
    plants_of_person,
)
from ..domain.routes import routes_of
from ..domain.snapshot import Snapshot
from .context import Actor, denied

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PlantSeen:
    plant: Plant
    job: Job | None
    """The person's job on it; None for the console."""


@dataclass(frozen=True, slots=True)
class PlantRemoval:
    """What goes with a plant."""

    subnets: int
    devices: int
    targets: int
    gateways: int
    cooperations: int
    people: int
    """People who have a job on the plant now."""


@dataclass(frozen=True, slots=True)
class ServiceRemoval:
    """What ends with a VPN service."""

    plants: tuple[Plant, ...]
    """Plants that are in no other service: VPN to them ends for everyone."""
    people: int
    """People who reach one of these plants over VPN now."""


@dataclass(frozen=True, slots=True)
class View:
    """The world as `actor` may see it at `now`. Times are seconds since the epoch."""

    snapshot: Snapshot
    actor: Actor
    now: float

    # People

    def me(self) -> Person:
        """The acting person. Raises NotFound for the console, which is nobody."""
        person = self.snapshot.people.get(self.actor.person or "")
        if person is None:
            raise NotFound("there is no such person")
        return person

    def people(self) -> Iterator[Person]:
        """Oneself, the members of organizations whose members one manages; cloud operators see all accounts."""
        if self._platform():
            yield from self.snapshot.people
            return
        known = {self.actor.person}
        for organization in self.organizations():
            known.update(membership.person for membership in self.members(organization.id))
        yield from (person for id in known if (person := self.snapshot.people.get(id or "")) is not None)

    def person(self, person: PersonId) -> Person:
        found = self.snapshot.people.get(person)
        if found is not None:
            memberships = self.snapshot.memberships_of(person)
            managed = any(self._manages(Action.MANAGE_MEMBERS, m.organization) for m in memberships)
            if self.actor.person == person or self._platform() or managed:
                return found
        raise NotFound("there is no such person")

    # Organizations

    def organizations(self) -> Iterator[Organization]:
        """Those the person is a member of; cloud operators see that all of them exist."""
        if self._platform():
            yield from self.snapshot.organizations
            return
        for membership in self.snapshot.memberships_of(self.me().id):
            organization = self.snapshot.organizations.get(membership.organization)
            if organization is not None:
                yield organization

    def organization(self, organization: OrganizationId) -> Organization:
        found = self.snapshot.organizations.get(organization)
        member = self.snapshot.memberships.get(self.actor.person or "", organization)
        if found is None or (member is None and not self._platform()):
            raise NotFound("there is no such organization")
        return found

    def members(self, organization: OrganizationId) -> Iterator[Membership]:
        """All for those who manage members; others see their own membership."""
        self.organization(organization)
        everyone = self._manages(Action.MANAGE_MEMBERS, organization)
        for membership in self.snapshot.members_of(organization):
            if everyone or membership.person == self.actor.person:
                yield membership

    def member(self, organization: OrganizationId, person: PersonId) -> Membership:
        self.organization(organization)
        found = self.snapshot.memberships.get(person, organization)
        own = person == self.actor.person
        if found is None or not (own or self._manages(Action.MANAGE_MEMBERS, organization)):
            raise NotFound("the person is no member of the organization")
        return found

    def services(self, organization: OrganizationId) -> Iterator[VpnService]:
        """The organization's VPN services, for those who manage them."""
        self.organization(organization)
        if self._manages(Action.MANAGE_SERVICES, organization):
            yield from self.snapshot.services_of(organization)

    def service(self, service: ServiceId) -> VpnService:
        found = self.snapshot.services.get(service)
        if found is None or not self._manages(Action.MANAGE_SERVICES, found.organization):
            raise NotFound("there is no such VPN service")
        return found

    def service_removal(self, service: ServiceId) -> ServiceRemoval:
        found = self.service(service)
        alone = [p for p in found.plants if len(self.snapshot.services_with(p)) == 1]
        plants = sorted(_present(map(self.snapshot.plants.get, alone)), key=lambda plant: plant.id)
        lowest = RULES[Action.USE_VPN].job
        people = {person for plant in plants for person in self._people_with(plant.id, lowest)}
        return ServiceRemoval(tuple(plants), len(people))

    # Plants

    def plants(self, organization: OrganizationId | None = None) -> Iterator[PlantSeen]:
        """Every plant on which the person has a job; of one organization only, if given."""
        if self.actor.person is None:
            seen = (PlantSeen(plant, None) for plant in self.snapshot.plants)
        else:
            own = plants_of_person(self.snapshot, self.actor.person, self.now)
            seen = (PlantSeen(plant, decision.job) for plant, decision in own)
        return (one for one in seen if organization in (None, one.plant.organization))

    def plant(self, plant: PlantId, asked_for: str = "plant") -> PlantSeen:
        """The plant; `asked_for` is what was named, a thing of the plant."""
        found = self.snapshot.plants.get(plant)
        if found is None or not self.may(Action.SEE_PLANT, plant):
            raise NotFound(f"there is no such {asked_for}")
        person = self.actor.person
        return PlantSeen(found, job_of(self.snapshot, person, plant, self.now).job if person else None)

    def plant_removal(self, plant: PlantId) -> PlantRemoval:
        self.look(Action.MANAGE_PLANTS, plant)
        devices = self.snapshot.devices_of(plant)
        return PlantRemoval(
            subnets=len(self.snapshot.subnets_of(plant)),
            devices=len(devices),
            targets=sum(len(self.snapshot.targets_of(device.id)) for device in devices),
            gateways=len(self.snapshot.agents_of(plant)),
            cooperations=len(self.snapshot.cooperations_on(plant)),
            people=len(set(self._people_with(plant, Job.VIEWER))),
        )

    def subnets(self, plant: PlantId) -> Iterable[Subnet]:
        self.look(Action.SEE_NETWORK, plant)
        return self.snapshot.subnets_of(plant)

    def subnet(self, subnet: SubnetId) -> Subnet:
        found = self.snapshot.subnets.get(subnet)
        return self._of_plant(found, found.plant if found else None, Action.SEE_NETWORK, "subnet")

    def devices(self, plant: PlantId) -> Iterable[Device]:
        self.look(Action.SEE_DEVICES, plant)
        return self.snapshot.devices_of(plant)

    def device(self, device: DeviceId) -> Device:
        found = self.snapshot.devices.get(device)
        return self._of_plant(found, found.plant if found else None, Action.SEE_DEVICES, "device")

    def targets(self, device: DeviceId) -> Iterable[WebTarget]:
        found = self.device(device)
        self.look(Action.SEE_NETWORK, found.plant)
        return self.snapshot.targets_of(found.id)

    def target(self, target: TargetId) -> WebTarget:
        found = self.snapshot.targets.get(target)
        plant = self.snapshot.plant_of_target(found) if found else None
        return self._of_plant(found, plant.id if plant else None, Action.SEE_NETWORK, "web target")

    def gateways(self, plant: PlantId) -> Iterable[Agent]:
        self.look(Action.SEE_NETWORK, plant)
        return self.snapshot.agents_of(plant)

    def gateway(self, gateway: AgentId) -> Agent:
        found = self.snapshot.agents.get(gateway)
        return self._of_plant(found, found.plant if found else None, Action.SEE_NETWORK, "gateway")

    # Access

    def grants(self, plant: PlantId) -> Iterator[Grant]:
        """Everyone's grants on the plant, invitations included, for those who manage its members; others see theirs."""
        everyone = self._manages(Action.MANAGE_MEMBERS, self.plant(plant).plant.organization)
        for grant in self.snapshot.grants_on(plant):
            if everyone or grant.person == self.actor.person:
                yield grant

    def grants_of(self, plant: PlantId, person: PersonId) -> tuple[Grant, ...]:
        """What the person was granted on the plant without a cooperation."""
        found = [grant for grant in self.grants(plant) if grant.person == person and grant.cooperation is None]
        if not found:
            raise NotFound("the person was not granted that on the plant")
        return tuple(sorted(found, key=lambda grant: grant.job))

    def holds(self, plant: PlantId) -> Iterable[Hold]:
        """What ends access to the plant for now, and who put it."""
        self.look(Action.SEE_CONNECTIONS, plant)
        return self.snapshot.holds_on(plant)

    def hold(self, plant: PlantId, scope: str) -> Hold:
        for found in self.holds(plant):
            if found.scope == scope:
                return found
        raise NotFound("the plant has no such hold")

    def connection_policy(self, organization: OrganizationId) -> ConnectionPolicy:
        return self.snapshot.connection_policy_of(self.organization(organization).id)

    def purposes(self) -> Iterator[Purpose]:
        """Why the person said to connect, as far as it holds."""
        return (one for one in self.snapshot.purposes_of(self.me().id) if self.now < one.ends)

    def purpose(self, plant: PlantId) -> Purpose:
        for found in self.purposes():
            if found.plant == plant:
                return found
        raise NotFound("there is no declared reason for this plant")

    def cooperations(self) -> Iterator[Cooperation]:
        """Those that the person manages, for either side."""
        for organization in self.organizations():
            if self._manages(Action.MANAGE_COOPERATIONS, organization.id):
                for plant in self.snapshot.plants_of(organization.id):
                    yield from self.snapshot.cooperations_on(plant.id)
                yield from self.snapshot.cooperations_with(organization.id)

    def cooperation(self, cooperation: CooperationId) -> Cooperation:
        found = self.snapshot.cooperations.get(cooperation)
        plant = self.snapshot.plants.get(found.plant) if found else None
        if found is not None and plant is not None:
            sides = (plant.organization, found.partner)
            if any(self._manages(Action.MANAGE_COOPERATIONS, side) for side in sides):
                return found
        raise NotFound("there is no such cooperation")

    def invitations(self, cooperation: CooperationId) -> Iterable[Grant]:
        return self.snapshot.grants_in(self.cooperation(cooperation).id)

    def invitations_of(self, cooperation: CooperationId, person: PersonId) -> tuple[Grant, ...]:
        found = [grant for grant in self.invitations(cooperation) if grant.person == person]
        if not found:
            raise NotFound("the person is not invited")
        return tuple(sorted(found, key=lambda grant: grant.job))

    # One's own VPN

    def profiles(self) -> Iterable[Profile]:
        return self.snapshot.profiles_of(self.me().id)

    def profile(self, profile: ProfileId) -> Profile:
        found = self.snapshot.profiles.get(profile)
        if found is None or self.actor.person not in (None, found.person):
            raise NotFound("there is no such profile")
        return found

    def preference(self, subnet: SubnetId) -> RoutePreference:
        """What the person chose for a subnet that they have a route to."""
        person = self.me().id
        routes = routes_of(self.snapshot, person, frozenset(), self.now)
        if all(route.subnet != subnet for route in routes):
            raise NotFound("there is no route to such a subnet")
        return self.snapshot.preferences.get(person, subnet) or RoutePreference(person, subnet)

    # Deciding

    def may(self, action: Action, plant: PlantId) -> bool:
        """Whether the actor may do `action` on the plant."""
        person = self.actor.person
        return person is None or isinstance(decide(self.snapshot, person, action, plant, self.now), Allowed)

    def _manages(self, action: Action, organization: OrganizationId) -> bool:
        person = self.actor.person
        return person is None or isinstance(
            decide_in_organization(self.snapshot, person, action, organization), Allowed
        )

    def _platform(self) -> bool:
        person = self.actor.person
        return person is None or isinstance(decide_on_platform(self.snapshot, person, Action.RUN_PLATFORM), Allowed)

    def look(self, action: Action, plant: PlantId) -> None:
        """Raises NotFound for a plant that the actor does not see, Denied where they see no more of it."""
        self.plant(plant)
        person = self.actor.person
        decision = decide(self.snapshot, person, action, plant, self.now) if person else None
        if isinstance(decision, policy.Denied):
            raise denied(action, decision.reason)

    def _of_plant(self, found: T | None, plant: PlantId | None, action: Action, what: str) -> T:
        if found is None or plant is None or not self.may(action, plant):
            raise NotFound(f"there is no such {what}")
        return found

    def _people_with(self, plant: PlantId, lowest: Job | None) -> Iterator[PersonId]:
        """Who has at least that job on the plant now."""
        for person in people_on(self.snapshot, plant):
            job = job_of(self.snapshot, person, plant, self.now).job
            if job is not None and lowest is not None and job >= lowest:
                yield person


def _present(values: Iterable[T | None]) -> Iterator[T]:
    return (value for value in values if value is not None)
