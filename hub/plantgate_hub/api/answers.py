"""What the API shows of each thing, and how that is made from the domain's values."""

from collections.abc import Iterable
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Any

from pydantic import Field

from ..domain.model import (
    Agent,
    CertificatePolicy,
    Cooperation,
    Device,
    Grant,
    HostMode,
    Membership,
    Organization,
    OrgRole,
    Person,
    PersonId,
    Profile,
    Route,
    RoutePreference,
    RouteReason,
    RouteState,
    Scheme,
    Subnet,
    VpnService,
    WebTarget,
)
from ..domain.snapshot import Snapshot
from ..services.views import PlantRemoval, PlantSeen, ServiceRemoval
from ..store.protocol import EnrolmentCode
from .schema import Answer, JobName, Resource, ShownOnce, moment

# People and organizations


class PersonAnswer(Resource):
    id: str
    email: str
    name: str
    totp_active: bool = Field(description="Whether two-factor authentication is set up.")
    cloud_operator: bool

    @classmethod
    def of(cls, person: Person) -> "PersonAnswer":
        return cls(
            id=person.id,
            email=person.email,
            name=person.name,
            totp_active=person.totp_active,
            cloud_operator=person.cloud_operator,
        )


class MembershipAnswer(Resource):
    person: str
    organization: str
    role: OrgRole
    job: JobName | None = Field(description="Job on every plant of the organization.")

    @classmethod
    def of(cls, membership: Membership) -> "MembershipAnswer":
        return cls(
            person=membership.person,
            organization=membership.organization,
            role=membership.role,
            job=None if membership.job is None else JobName.of(membership.job),
        )


class MeAnswer(PersonAnswer):
    memberships: tuple[MembershipAnswer, ...]

    @classmethod
    def with_memberships(cls, person: Person, memberships: Iterable[Membership]) -> "MeAnswer":
        ordered = sorted(memberships, key=lambda membership: membership.organization)
        return cls(
            **PersonAnswer.of(person).model_dump(), memberships=tuple(MembershipAnswer.of(one) for one in ordered)
        )


class MemberAnswer(MembershipAnswer):
    email: str
    name: str

    @classmethod
    def named(cls, snapshot: Snapshot, membership: Membership) -> "MemberAnswer":
        name, email = _person(snapshot, membership.person)
        return cls(**MembershipAnswer.of(membership).model_dump(), email=email, name=name)


class OrganizationAnswer(Resource):
    id: str
    name: str

    @classmethod
    def of(cls, organization: Organization) -> "OrganizationAnswer":
        return cls(id=organization.id, name=organization.name)


# Plants and what is on them


class PlantAnswer(Resource):
    id: str
    organization: str
    name: str
    job: JobName | None = Field(description="The job that you have on it.")

    @classmethod
    def of(cls, seen: PlantSeen) -> "PlantAnswer":
        plant = seen.plant
        job = None if seen.job is None else JobName.of(seen.job)
        return cls(id=plant.id, organization=plant.organization, name=plant.name, job=job)


class PlantRemovalAnswer(Answer):
    subnets: int
    devices: int
    targets: int
    gateways: int
    cooperations: int
    people: int = Field(description="People who have a job on the plant now.")

    @classmethod
    def of(cls, removal: PlantRemoval) -> "PlantRemovalAnswer":
        return cls(
            subnets=removal.subnets,
            devices=removal.devices,
            targets=removal.targets,
            gateways=removal.gateways,
            cooperations=removal.cooperations,
            people=removal.people,
        )


class SubnetAnswer(Resource):
    id: str
    plant: str
    network: IPv4Network

    @classmethod
    def of(cls, subnet: Subnet) -> "SubnetAnswer":
        return cls(id=subnet.id, plant=subnet.plant, network=subnet.network)


class DeviceAnswer(Resource):
    id: str
    plant: str
    name: str
    address: IPv4Address | None = Field(description="Null for whoever may not see the plant's network.")

    @classmethod
    def of(cls, device: Device, with_address: bool = True) -> "DeviceAnswer":
        address = device.address if with_address else None
        return cls(id=device.id, plant=device.plant, name=device.name, address=address)


class TargetAnswer(Resource):
    id: str
    device: str
    host: str = Field(description="Leftmost label of the page's public host name.")
    scheme: Scheme
    port: int
    base_path: str
    host_mode: HostMode
    certificate_policy: CertificatePolicy
    pinned_sha256: str = Field(description="Hex SHA-256 of the accepted certificate; empty before one was seen.")

    @classmethod
    def of(cls, target: WebTarget) -> "TargetAnswer":
        return cls(
            id=target.id,
            device=target.device,
            host=target.host,
            scheme=target.scheme,
            port=target.port,
            base_path=target.base_path,
            host_mode=target.host_mode,
            certificate_policy=target.certificate_policy,
            pinned_sha256=target.pinned_sha256,
        )


class GatewayAnswer(Resource):
    id: str
    plant: str
    name: str
    active: bool = Field(description="Whether it is the gateway that serves the plant.")
    epoch: int
    boundary: tuple[IPv4Network, ...] = Field(description="What its own boundary file allows, as it last reported.")

    @classmethod
    def of(cls, agent: Agent) -> "GatewayAnswer":
        return cls(
            id=agent.id,
            plant=agent.plant,
            name=agent.name,
            active=agent.active,
            epoch=agent.epoch,
            boundary=agent.boundary,
        )


class GatewayStatusAnswer(Answer):
    gateway: str
    name: str
    active: bool
    online: bool = Field(description="Whether its tunnel to this node is up.")


class PlantStatusAnswer(Answer):
    plant: str
    online: bool = Field(description="Whether the gateway that serves the plant is connected.")
    gateways: tuple[GatewayStatusAnswer, ...]


class EnrolmentCodeAnswer(Answer):
    id: str
    plant: str
    name: str = Field(description="What the gateway will be called.")
    created: datetime
    expires: datetime

    @classmethod
    def of(cls, code: EnrolmentCode) -> "EnrolmentCodeAnswer":
        return cls(**_code(code))


class RevealedCodeAnswer(EnrolmentCodeAnswer, ShownOnce):
    code: str = Field(description="For the installer. It is shown this once.")

    @classmethod
    def revealing(cls, record: EnrolmentCode, code: str) -> "RevealedCodeAnswer":
        return cls(**_code(record), code=code)


def _code(code: EnrolmentCode) -> dict[str, Any]:
    return {
        "id": code.lookup_id,
        "plant": code.plant,
        "name": code.name,
        "created": moment(code.created),
        "expires": moment(code.expires),
    }


# Access


class GrantAnswer(Answer):
    person: str
    name: str
    email: str
    plant: str
    job: JobName
    cooperation: str | None = Field(description="Set for an invitation; the cooperation's cap holds as well.")
    starts: datetime | None
    ends: datetime | None
    reason: str

    @classmethod
    def of(cls, snapshot: Snapshot, grant: Grant) -> "GrantAnswer":
        name, email = _person(snapshot, grant.person)
        return cls(
            person=grant.person,
            name=name,
            email=email,
            plant=grant.plant,
            job=JobName.of(grant.job),
            cooperation=grant.cooperation,
            starts=moment(grant.starts),
            ends=moment(grant.ends),
            reason=grant.reason,
        )


class PersonGrantsAnswer(Resource):
    """What one person was granted on one plant: at most a lasting job and a time-boxed one."""

    person: str
    plant: str
    grants: tuple[GrantAnswer, ...]

    @classmethod
    def of(cls, snapshot: Snapshot, grants: tuple[Grant, ...]) -> "PersonGrantsAnswer":
        shown = tuple(GrantAnswer.of(snapshot, grant) for grant in grants)
        return cls(person=grants[0].person, plant=grants[0].plant, grants=shown)


class CooperationAnswer(Resource):
    id: str
    plant: str
    plant_name: str
    owner: str
    owner_name: str
    partner: str
    partner_name: str
    cap: JobName = Field(description="The highest job that an invitation can give.")
    accepted: bool
    ends: datetime | None
    reason: str

    @classmethod
    def of(cls, snapshot: Snapshot, cooperation: Cooperation) -> "CooperationAnswer":
        plant = snapshot.plants.get(cooperation.plant)
        owner = snapshot.organizations.get(plant.organization) if plant else None
        partner = snapshot.organizations.get(cooperation.partner)
        return cls(
            id=cooperation.id,
            plant=cooperation.plant,
            plant_name=plant.name if plant else "",
            owner=owner.id if owner else "",
            owner_name=owner.name if owner else "",
            partner=cooperation.partner,
            partner_name=partner.name if partner else "",
            cap=JobName.of(cooperation.cap),
            accepted=cooperation.accepted,
            ends=moment(cooperation.ends),
            reason=cooperation.reason,
        )


class ServiceAnswer(Resource):
    id: str
    organization: str
    name: str
    default: bool = Field(description="Whether new plants come into it.")
    plants: tuple[str, ...]

    @classmethod
    def of(cls, service: VpnService) -> "ServiceAnswer":
        return cls(
            id=service.id,
            organization=service.organization,
            name=service.name,
            default=service.default,
            plants=tuple(sorted(service.plants)),
        )


class ServiceRemovalAnswer(Answer):
    plants: tuple[str, ...] = Field(description="Plants to which VPN ends for everyone.")
    people: int = Field(description="People who reach one of them over VPN now.")

    @classmethod
    def of(cls, removal: ServiceRemoval) -> "ServiceRemovalAnswer":
        return cls(plants=tuple(plant.id for plant in removal.plants), people=removal.people)


# One's own VPN


class ProfileAnswer(Resource):
    id: str
    name: str
    public_key: str
    address: IPv4Address
    address6: IPv6Address

    @classmethod
    def of(cls, profile: Profile) -> "ProfileAnswer":
        return cls(
            id=profile.id,
            name=profile.name,
            public_key=profile.public_key,
            address=profile.address,
            address6=profile.address6,
        )


class ConfigurationAnswer(Answer):
    configuration: str = Field(description="The WireGuard client's file; the private key is added on the device.")


class AliasAnswer(Answer):
    prefix: IPv4Network = Field(description="Yours alone, and in nobody's way.")
    network: IPv4Network = Field(description="What it stands for: the subnet, or one device of a large one.")


class RouteAnswer(Answer):
    subnet: str
    plant: str
    network: IPv4Network
    state: RouteState
    reason: RouteReason = Field(description="Why; empty for a route that works.")
    prefixes: tuple[IPv4Network, ...] = Field(description="The parts of the subnet that lead to it.")
    conflicts_with: tuple[str, ...] = Field(description="Subnets of other plants that overlap it.")
    aliases: tuple[AliasAnswer, ...] = Field(description="Other addresses that lead to it, whatever overlaps it.")

    @classmethod
    def of(cls, route: Route) -> "RouteAnswer":
        return cls(
            subnet=route.subnet,
            plant=route.plant,
            network=route.network,
            state=route.state,
            reason=route.reason,
            prefixes=route.prefixes,
            conflicts_with=route.conflicts_with,
            aliases=tuple(AliasAnswer(prefix=alias.prefix, network=alias.network) for alias in route.aliases),
        )


class PreferenceAnswer(Resource):
    subnet: str
    priority: int = Field(description="The highest wins an overlap.")
    disabled: bool

    @classmethod
    def of(cls, preference: RoutePreference) -> "PreferenceAnswer":
        return cls(subnet=preference.subnet, priority=preference.priority, disabled=preference.disabled)


def _person(snapshot: Snapshot, person: PersonId) -> tuple[str, str]:
    """(name, e-mail address)"""
    found = snapshot.people.get(person)
    return (found.name, found.email) if found else ("", "")
