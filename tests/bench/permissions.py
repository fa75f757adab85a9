"""What permissions cost at 10,000 people x 1,000 plants: one decision, and one change of them, against naive ways."""

import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Any

from plantgate_hub.domain.impact import people_touched
from plantgate_hub.domain.model import (
    Cooperation,
    CooperationId,
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
    Subnet,
    SubnetId,
)
from plantgate_hub.domain.policy import Action, Allowed, decide
from plantgate_hub.domain.routes import routes_of
from plantgate_hub.domain.snapshot import Change, Entity, Snapshot, key_of, kind_of, put, remove

from .registry import Figure, benchmark

PEOPLE, PLANTS, ORGANIZATIONS, GRANTS_EACH, COOPERATIONS = 10_000, 1_000, 100, 5, 500
NOW = 1_000_000.0
SAMPLE = 20_000


def world() -> list[Entity]:
    """Each person is a member of one organization, with a profile and five grants; 500 plants
    are shared with another organization, with 20 invitations each."""
    rng = random.Random(1)
    own = [[PlantId(f"plant{n}") for n in range(PLANTS) if n % ORGANIZATIONS == o] for o in range(ORGANIZATIONS)]
    entities: list[Entity] = [Organization(OrganizationId(f"o{n}"), f"Organization {n}") for n in range(ORGANIZATIONS)]
    for n in range(PLANTS):
        plant, network = PlantId(f"plant{n}"), IPv4Network(f"192.168.{n % 64}.0/24")
        transit = IPv4Network((0xF1000000 + n * 256, 24))
        entities.append(Plant(plant, OrganizationId(f"o{n % ORGANIZATIONS}"), f"Plant {n}"))
        entities.append(Subnet(SubnetId(f"s{n}"), plant, network, transit, n + 1))
    for n in range(PEOPLE):
        person, owner = PersonId(f"p{n}"), n % ORGANIZATIONS
        role = OrgRole.ADMINISTRATOR if n < ORGANIZATIONS else OrgRole.MEMBER
        address = IPv4Address(0x64400002 + n)
        entities.append(Person(person, f"p{n}@example.com", f"Person {n}", totp_active=True))
        entities.append(Membership(person, OrganizationId(f"o{owner}"), role))
        entities.append(Profile(ProfileId(f"f{n}"), person, "laptop", f"key{n}", address, IPv6Address(n + 1)))
        entities += (Grant(person, plant, rng.choice(list(Job))) for plant in rng.sample(own[owner], GRANTS_EACH))
    for n in range(COOPERATIONS):
        where, partner = PlantId(f"plant{rng.randrange(PLANTS)}"), rng.randrange(ORGANIZATIONS)
        shared = CooperationId(f"c{n}")
        entities.append(Cooperation(shared, where, OrganizationId(f"o{partner}"), Job.OPERATOR, accepted=True))
        invited = (PersonId(f"p{k * ORGANIZATIONS + partner}") for k in rng.sample(range(PEOPLE // ORGANIZATIONS), 20))
        entities += (Grant(person, where, Job.OPERATOR, shared) for person in invited)
    return entities


def _questions(snapshot: Snapshot) -> Sequence[tuple[PersonId, Action, PlantId]]:
    """Half about plants that the person has a grant on, half about any."""
    rng = random.Random(2)
    actions = [Action.USE_VPN, Action.OPEN_DEVICE, Action.SEE_PLANT, Action.CONFIGURE_PLANT, Action.MANAGE_MEMBERS]
    asked = []
    for _ in range(SAMPLE):
        person = PersonId(f"p{rng.randrange(PEOPLE)}")
        plants = [grant.plant for grant in snapshot.grants_of(person)] + [PlantId(f"plant{rng.randrange(PLANTS)}")]
        asked.append((person, rng.choice(actions), rng.choice([plants[0], plants[-1]])))
    return asked


def _scan(entities: Sequence[Entity], person: PersonId, action: Action, plant: PlantId) -> bool:
    """The naive way: the rows about these two are looked for among all."""
    wanted = [
        row
        for row in entities
        if getattr(row, "person", None) == person
        or isinstance(row, Organization | Cooperation)
        or getattr(row, "id", None) in (person, plant)
    ]
    return isinstance(decide(Snapshot.of(wanted), person, action, plant, NOW), Allowed)


@benchmark("permissions", "one decision and one change of permissions at 10,000 people, 1,000 plants")
def permissions() -> Iterator[Figure]:
    entities = world()
    snapshot = Snapshot.of(entities)
    yield from _decisions(snapshot, entities)
    yield from _changes(snapshot)


def _decisions(snapshot: Snapshot, entities: Sequence[Entity]) -> Iterator[Figure]:
    questions = _questions(snapshot)
    times = []
    for question in questions:
        started = time.perf_counter_ns()
        decide(snapshot, *question, NOW)
        times.append((time.perf_counter_ns() - started) / 1000)
    naive = _median_ms(lambda: [_scan(entities, *question) for question in questions[:3]], 1) * 1000 / 3
    agree = all(
        _scan(entities, *question) == isinstance(decide(snapshot, *question, NOW), Allowed)
        for question in questions[:3]
    )
    yield Figure.plain(
        "one decision, median",
        statistics.median(times),
        "us",
        at_most=20,
        p99=statistics.quantiles(times, n=100)[98],
        naive_scan_us=naive,
        naive_agrees=agree,
        rows=len(entities),
    )


def _changes(snapshot: Snapshot) -> Iterator[Figure]:
    """Each change with what follows from it: the snapshot, whom it touches, their routes. The naive way is the same for
    everybody."""
    everybody = [person.id for person in snapshot.people]
    cooperation = next(iter(snapshot.cooperations_on(next(iter(snapshot.cooperations)).plant)))
    grant = next(grant for grant in snapshot.grants if grant.job is Job.OPERATOR and grant.cooperation is None)
    steps: dict[str, list[Change]] = {
        "a grant is revoked": [remove(grant)],
        "a cooperation's cap is lowered": [put(replace(cooperation, cap=Job.VIEWER))],
        "a plant's owner ends all access": [put(Hold(grant.plant, HoldScope.EVERYONE, NOW, "Ada"))],
        "an Administrator becomes Member": [put(Membership(PersonId("p0"), OrganizationId("o0"), OrgRole.MEMBER))],
    }
    naive = _median_ms(lambda: _everybody(snapshot, steps["a grant is revoked"], everybody), 1)
    for name, changes in steps.items():
        touched = len(people_touched(snapshot, snapshot.apply(changes, 2), changes))
        took = _median_ms(lambda changes=changes: _follow(snapshot, changes), 15)  # type: ignore[misc]
        yield Figure.plain(
            f"{name}: snapshot, people touched, their routes",
            took,
            "ms",
            at_most=50,
            people=touched,
            naive_everybody_ms=naive,
        )


def _follow(snapshot: Snapshot, changes: list[Change]) -> None:
    after = snapshot.apply(changes, 2)
    for person in people_touched(snapshot, after, changes):
        routes_of(after, person, frozenset(), NOW)


def _everybody(snapshot: Snapshot, changes: list[Change], everybody: Sequence[PersonId]) -> None:
    rows = {(kind_of(row), key_of(row)): row for row in snapshot.entities()}
    for change in changes:
        rows.pop((change.kind, change.key), None)
    after = Snapshot.of(rows.values(), 2)
    for person in everybody:
        routes_of(after, person, frozenset(), NOW)


def _median_ms(work: Callable[[], Any], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)
