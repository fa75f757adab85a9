"""Small worlds of organizations, people and plants for tests: one to write out by hand, and Hypothesis strategies."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address

from hypothesis import strategies as st

from plantgate_hub.domain.model import (
    Agent,
    AgentId,
    ConnectionPolicy,
    Cooperation,
    CooperationId,
    Device,
    DeviceId,
    Grant,
    Hold,
    HoldScope,
    Job,
    Membership,
    Organization,
    OrganizationId,
    OrgRole,
    Person,
    PersonId,
    Plant,
    PlantId,
    Profile,
    ProfileId,
    Purpose,
    RoutePreference,
    Scheme,
    ServiceId,
    Subnet,
    SubnetId,
    TargetId,
    VpnService,
    WebTarget,
)
from plantgate_hub.domain.snapshot import Entity, Snapshot, put

ORGANIZATIONS = [OrganizationId(f"org{i}") for i in range(3)]
PEOPLE = [PersonId(f"person{i}") for i in range(3)]
PLANTS = [PlantId(f"plant{i}") for i in range(4)]
OWNER = {plant: ORGANIZATIONS[i % len(ORGANIZATIONS)] for i, plant in enumerate(PLANTS)}
NETWORKS = [
    IPv4Network(text)
    for text in (
        "192.168.0.0/22",
        "192.168.1.0/24",
        "192.168.1.0/24",
        "192.168.1.128/25",
        "192.168.2.0/24",
        "192.168.0.0/23",
        "192.168.1.7/32",
        "10.0.0.0/24",
        "10.0.0.0/23",
    )
]
TIMES = [None, 0.0, 50.0, 100.0, 150.0]
NOW = 100.0


def organization(name: str) -> Organization:
    return Organization(OrganizationId(name), name)


def person(name: str, **more: bool) -> Person:
    return Person(PersonId(name), f"{name}@example.com", name, **more)


def member(who: str, where: str, role: OrgRole = OrgRole.MEMBER, job: Job | None = None) -> Membership:
    return Membership(PersonId(who), OrganizationId(where), role, job)


def plant(name: str, owner: str) -> Plant:
    return Plant(PlantId(name), OrganizationId(owner), name)


def subnet(plant_name: str, network: str, number: int) -> Subnet:
    net = IPv4Network(network)
    transit = IPv4Network((0xF1000000 + number * 65536, net.prefixlen))
    return Subnet(SubnetId(f"subnet{number}"), PlantId(plant_name), net, transit, number)


def service(owner: str, *plants: str) -> VpnService:
    return VpnService(
        ServiceId(f"service-{owner}"), OrganizationId(owner), "default", frozenset(map(PlantId, plants)), default=True
    )


def agent(plant_name: str, *boundary: str) -> Agent:
    return Agent(
        AgentId(f"agent-{plant_name}"),
        PlantId(plant_name),
        "gateway",
        b"k" * 32,
        f"wg-{plant_name}",
        IPv4Address("240.0.0.1"),
        boundary=tuple(IPv4Network(b) for b in boundary),
    )


def grant(who: str, where: str, job: Job, **more: object) -> Grant:
    return Grant(PersonId(who), PlantId(where), job, **more)  # type: ignore[arg-type]


def profile(who: str, number: int) -> Profile:
    return Profile(
        ProfileId(f"profile{number}"),
        PersonId(who),
        f"profile {number}",
        f"key{number}",
        IPv4Address("100.64.0.0") + number + 1,
        IPv6Address("fd00::") + number,
    )


jobs = st.sampled_from(list(Job))
people_ids = st.sampled_from(PEOPLE)
plant_ids = st.sampled_from(PLANTS)
organization_ids = st.sampled_from(ORGANIZATIONS)
cooperation_ids = st.sampled_from([CooperationId(f"cooperation{i}") for i in range(4)])
moments = st.sampled_from(TIMES)

memberships = st.builds(Membership, people_ids, organization_ids, st.sampled_from(list(OrgRole)), st.none() | jobs)
cooperations = st.builds(Cooperation, cooperation_ids, plant_ids, organization_ids, jobs, st.booleans(), moments)
grants = st.builds(Grant, people_ids, plant_ids, jobs, st.none() | cooperation_ids, moments, moments)
networks = st.sampled_from(NETWORKS)


@st.composite
def subnets(draw: st.DrawFn) -> Subnet:
    number = draw(st.integers(1, 12))
    return subnet(draw(plant_ids), str(draw(networks)), number)


@st.composite
def agents(draw: st.DrawFn) -> Agent:
    boundary = draw(st.lists(st.sampled_from(["192.168.0.0/16", "192.168.1.0/24", "10.0.0.0/8", "192.168.1.64/26"])))
    return agent(draw(plant_ids), *boundary)


@st.composite
def services(draw: st.DrawFn) -> VpnService:
    owner = draw(organization_ids)
    own = [p for p in PLANTS if OWNER[p] == owner]
    return service(owner, *draw(st.lists(st.sampled_from(own), unique=True)))


preferences = st.builds(
    RoutePreference,
    people_ids,
    st.integers(1, 12).map(lambda n: SubnetId(f"subnet{n}")),
    st.integers(-1, 2),
    st.booleans(),
)

devices = st.builds(
    Device,
    st.integers(0, 3).map(lambda n: DeviceId(f"device{n}")),
    plant_ids,
    st.just("device"),
    st.just(IPv4Address("192.168.1.10")),
)
targets = st.builds(
    WebTarget,
    st.integers(0, 3).map(lambda n: TargetId(f"target{n}")),
    st.integers(0, 3).map(lambda n: DeviceId(f"device{n}")),
    st.integers(0, 3).map(lambda n: f"host{n}"),
    st.sampled_from(list(Scheme)),
    st.integers(1, 65535),
)
profiles = st.builds(profile, people_ids, st.integers(1, 8))
holds = st.builds(Hold, plant_ids, st.sampled_from(list(HoldScope)), st.just(50.0), st.just("somebody"))
policies = st.builds(ConnectionPolicy, organization_ids, st.sampled_from([True, True, False]))
purposes = st.builds(
    Purpose, people_ids, plant_ids, st.just("ticket"), st.sampled_from([0.0, 50.0]), st.sampled_from([100.0, 150.0])
)

people = st.builds(
    lambda id, totp, operator: Person(id, f"{id}@example.com", id, totp, operator),
    people_ids,
    st.booleans(),
    st.booleans(),
)

fixed: list[Entity] = [
    *(Organization(o, o) for o in ORGANIZATIONS),
    *(Plant(p, OWNER[p], p) for p in PLANTS),
]

rows: st.SearchStrategy[Entity] = st.one_of(
    memberships,
    cooperations,
    grants,
    grants,
    subnets(),
    subnets(),
    agents(),
    services(),
    preferences,
    people,
    devices,
    targets,
    profiles,
    holds,
    policies,
    purposes,
)


often_none = st.none() | st.none() | moments


@st.composite
def invitations(draw: st.DrawFn, offered: list[Cooperation]) -> Grant:
    """A grant through one of the cooperations, mostly on its plant."""
    cooperation = draw(st.sampled_from(offered))
    plant = draw(st.sampled_from([cooperation.plant] * 4 + PLANTS))
    return Grant(draw(people_ids), plant, draw(jobs), cooperation.id, draw(often_none), draw(often_none))


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """A world of 3 organizations, 3 people and 4 plants, dense enough that each rule is met often."""
    entities: list[Entity] = [
        *fixed,
        *(Person(who, f"{who}@example.com", who, totp_active=draw(st.booleans())) for who in PEOPLE),
    ]
    for who in PEOPLE:
        for where in draw(st.sets(organization_ids)):
            role, job = draw(st.sampled_from(list(OrgRole))), draw(st.none() | jobs)
            entities.append(Membership(who, where, role, job))
    accepted = st.sampled_from([True, True, True, False])
    offered = [
        Cooperation(
            CooperationId(f"cooperation{i}"),
            draw(plant_ids),
            draw(organization_ids),
            draw(jobs),
            draw(accepted),
            draw(often_none),
        )
        for i in range(draw(st.integers(0, 3)))
    ]
    entities += offered
    own = st.builds(Grant, people_ids, plant_ids, jobs, st.none(), often_none, often_none)
    entities += draw(st.lists(own, max_size=5))
    if offered:
        entities += draw(st.lists(invitations(offered), max_size=5))
    return Snapshot.of([*entities, *draw(st.lists(rows, max_size=6))], revision=1)


@st.composite
def busy_snapshots(draw: st.DrawFn) -> Snapshot:
    """A world whose people are mostly Operators of plants with overlapping subnets, so that routes and conflicts are
    common, and every reason for a route's state too."""
    world = draw(snapshots())
    entities: list[Entity] = []
    for where in ORGANIZATIONS:
        own = [p for p in PLANTS if OWNER[p] == where]
        entities.append(service(where, *draw(st.sampled_from([own, own, own[:1], []]))))
        entities += (Membership(who, where, draw(st.sampled_from(list(OrgRole)))) for who in PEOPLE)
    boundaries = st.sampled_from(
        [["0.0.0.0/0"], ["0.0.0.0/0"], ["192.168.0.0/16"], ["192.168.1.64/26", "10.0.0.0/25"], []]
    )
    entities += (agent(p, *draw(boundaries)) for p in draw(st.sets(plant_ids, min_size=3)))
    numbers = range(1, draw(st.integers(5, 10)))
    entities += (subnet(draw(plant_ids), str(draw(networks)), number) for number in numbers)
    entities += (Grant(draw(people_ids), draw(plant_ids), Job.OPERATOR) for _ in range(3))
    chosen = st.builds(
        RoutePreference,
        people_ids,
        st.sampled_from(numbers).map(lambda n: SubnetId(f"subnet{n}")),
        st.integers(-1, 2),
        st.sampled_from([False, False, True]),
    )
    entities += draw(st.lists(chosen, max_size=6))
    entities += draw(st.lists(st.one_of(holds, policies, purposes, purposes), max_size=3))
    return world.apply(map(put, entities))
