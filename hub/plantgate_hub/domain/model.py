"""The core nouns as frozen value types. `docs/architecture.md` explains them in one page.

Identifiers are opaque strings made by the store (UUIDv7 text). Times are seconds since the epoch, UTC, as float.
"""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import NewType

OrganizationId = NewType("OrganizationId", str)
PersonId = NewType("PersonId", str)
PlantId = NewType("PlantId", str)
SubnetId = NewType("SubnetId", str)
DeviceId = NewType("DeviceId", str)
TargetId = NewType("TargetId", str)
ProfileId = NewType("ProfileId", str)
AgentId = NewType("AgentId", str)
CooperationId = NewType("CooperationId", str)
ServiceId = NewType("ServiceId", str)


class Job(IntEnum):
    """A person's role on one plant; a higher number may do everything a lower one may."""

    VIEWER = 1
    ASSET_MANAGER_COMMERCIAL = 2
    ASSET_MANAGER_TECHNICAL = 3
    TECHNICAL_MANAGER = 4
    OPERATOR = 5


class OrgRole(StrEnum):
    """A person's role in an organization."""

    ADMINISTRATOR = "administrator"
    MODERATOR = "moderator"
    MEMBER = "member"
    GUEST = "guest"


class Scheme(StrEnum):
    HTTP = "http"
    HTTPS = "https"


class HostMode(StrEnum):
    """Which Host, Origin and Referer a device sees (docs: proxy)."""

    MIX = "mix"
    REWRITE = "rewrite"
    KEEP = "keep"


class CertificatePolicy(StrEnum):
    """How the hub checks a device's TLS certificate."""

    CA = "ca"
    PIN = "pin"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Organization:
    id: OrganizationId
    name: str


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who can sign in. Secrets (password hash, TOTP key) are credentials of the store, not of this value."""

    id: PersonId
    email: str
    name: str
    totp_active: bool = False
    cloud_operator: bool = False
    """Platform role: runs nodes and releases, gives no access to plants."""


@dataclass(frozen=True, slots=True)
class Membership:
    """A person's org role, and at most one job granted on every plant of the organization."""

    person: PersonId
    organization: OrganizationId
    role: OrgRole
    job: Job | None = None
    """Organization-wide job, at most TECHNICAL_MANAGER: Operator is granted on a plant only."""


@dataclass(frozen=True, slots=True)
class Plant:
    id: PlantId
    organization: OrganizationId
    name: str


@dataclass(frozen=True, slots=True)
class Subnet:
    """One network of a plant as it is on site, and the fleet-unique transit prefix that stands for it."""

    id: SubnetId
    plant: PlantId
    network: IPv4Network
    transit: IPv4Network
    number: int
    """Small fleet-unique integer (1..2**31-1): the packet mark of this subnet in the hub's rules."""


@dataclass(frozen=True, slots=True)
class Device:
    id: DeviceId
    plant: PlantId
    name: str
    address: IPv4Address


@dataclass(frozen=True, slots=True)
class WebTarget:
    """One approved web page of a device. `host` is the leftmost label of its public name, unique in the fleet."""

    id: TargetId
    device: DeviceId
    host: str
    scheme: Scheme
    port: int
    base_path: str = "/"
    host_mode: HostMode = HostMode.MIX
    certificate_policy: CertificatePolicy = CertificatePolicy.PIN
    pinned_sha256: str = ""
    """Hex SHA-256 of the device's certificate once it was seen and accepted (policy PIN)."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A job for one person on one plant. With `cooperation` it is an invitation and capped by that cooperation."""

    person: PersonId
    plant: PlantId
    job: Job
    cooperation: CooperationId | None = None
    starts: float | None = None
    ends: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Cooperation:
    """One organization shares one plant with another, capped at a job; nobody inherits anything from it."""

    id: CooperationId
    plant: PlantId
    partner: OrganizationId
    cap: Job
    accepted: bool = False
    ends: float | None = None
    reason: str = ""


class HoldScope(StrEnum):
    """Whom a hold stops."""

    EXTERNAL = "external"
    """Everybody who has their job by a cooperation."""
    EVERYONE = "everyone"
    """Everybody: no VPN and no device page. What people of the plant's own organization configure goes on."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The plant's owner ended all access to it, until the hold is lifted. One of each scope may be on."""

    plant: PlantId
    scope: HoldScope
    at: float
    by: str
    """The name of who put it; it outlives the account."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ConnectionPolicy:
    """What an organization asks of everybody who connects to one of its plants. Without one it asks nothing more."""

    organization: OrganizationId
    purpose_required: bool = False
    longest_purpose: float = 8 * 3600.0
    """Seconds that a declared purpose lasts at most."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """Why a person connects to a plant, in their own words, and for how long that holds. The latest counts."""

    person: PersonId
    plant: PlantId
    text: str
    starts: float
    ends: float


@dataclass(frozen=True, slots=True)
class VpnService:
    """A named bundle of an organization's plants offered over VPN; never adds access."""

    id: ServiceId
    organization: OrganizationId
    name: str
    plants: frozenset[PlantId] = frozenset()
    default: bool = False
    """New plants are assigned to the organization's default service."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One WireGuard identity of a person. The private key never reaches the hub."""

    id: ProfileId
    person: PersonId
    name: str
    public_key: str
    """Base64, 44 characters, as `wg` prints it."""
    address: IPv4Address
    address6: IPv6Address


@dataclass(frozen=True, slots=True)
class RoutePreference:
    """A person's own choices for one plant subnet; hold for all of the person's profiles."""

    person: PersonId
    subnet: SubnetId
    priority: int = 0
    """The highest wins an overlap; equal priorities fall back to longest prefix, then to the subnet's number."""
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Alias:
    """A conflict-free prefix under which one person reaches a plant subnet, or one device of a large one."""

    person: PersonId
    subnet: SubnetId
    address: IPv4Address
    """The first address of what it stands for: the subnet's own, or the device's."""
    prefix: IPv4Network
    """As long as what it stands for; of the pool `aliases`, which each person has for themselves."""

    @property
    def network(self) -> IPv4Network:
        """What it stands for: the whole subnet, or a device's address as /32."""
        return IPv4Network((self.address, self.prefix.prefixlen))


@dataclass(frozen=True, slots=True)
class Agent:
    """An enrolled gateway of a plant."""

    id: AgentId
    plant: PlantId
    name: str
    identity_key: bytes
    """Raw Ed25519 public key, 32 bytes, pinned at enrolment."""
    wireguard_key: str
    """Base64 X25519 public key."""
    transit_address: IPv4Address
    """The agent's own address on the transit network."""
    active: bool = True
    epoch: int = 1
    boundary: tuple[IPv4Network, ...] = ()
    """What the agent last reported that its local boundary allows; the agent enforces it, the hub only shows it."""


class RouteState(StrEnum):
    REACHABLE = "reachable"
    NOT_YET_REACHABLE = "not yet reachable"
    CONFLICT = "conflict"
    DISABLED = "disabled"


class RouteReason(StrEnum):
    """Why a route is in its state."""

    NONE = ""
    NO_GATEWAY = "no gateway enrolled"
    AGENT_OFFLINE = "agent offline"
    OUTSIDE_BOUNDARY = "outside the agent's boundary"
    NOT_IN_A_SERVICE = "not in a VPN service"
    OVERLAP_LOST = "another plant with this range has priority"
    DISABLED_BY_PERSON = "disabled by you"
    ON_HOLD = "access to the plant is on hold"
    PURPOSE_REQUIRED = "a reason is required"


@dataclass(frozen=True, slots=True)
class Route:
    """(person, plant subnet) with its state; `prefixes` are the disjoint parts of the subnet this person reaches."""

    person: PersonId
    subnet: SubnetId
    plant: PlantId
    network: IPv4Network
    state: RouteState
    reason: RouteReason = RouteReason.NONE
    prefixes: tuple[IPv4Network, ...] = ()
    conflicts_with: tuple[SubnetId, ...] = field(default=())
    aliases: tuple[Alias, ...] = ()
    """Addresses that lead there as well, also while the route has lost its range to another plant."""
