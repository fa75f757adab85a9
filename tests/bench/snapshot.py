"""How long the hub's decisions take at full size: loading, one change, one person's routes, and the way to the feed."""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from pathlib import Path
from typing import Any

from plantgate_hub.domain.impact import people_touched
from plantgate_hub.domain.model import (
    Agent,
    AgentId,
    Grant,
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
    ServiceId,
    Subnet,
    SubnetId,
    VpnService,
)
from plantgate_hub.domain.routes import routes_of
from plantgate_hub.domain.snapshot import Change, Entity, Snapshot, put, remove
from plantgate_hub.store import AesSealer, SnapshotFeed, open_store
from plantgate_shared.secret import Secret

from .registry import Figure, benchmark

PEOPLE, PLANTS, ORGANIZATIONS, GRANTS_EACH = 10_000, 2_000, 200, 5
NOW = 1_000_000.0
REPEATS = 15


def world() -> list[Entity]:
    """10,000 people with a profile each, 2,000 plants, five grants of Operator each: 50,000 (profile, subnet) pairs."""
    rng = random.Random(1)
    entities: list[Entity] = []
    plants: dict[int, list[PlantId]] = {}
    entities += (
        Organization(OrganizationId(f"o{number}"), f"Organization {number}") for number in range(ORGANIZATIONS)
    )
    for number in range(PLANTS):
        plant, owner = PlantId(f"plant{number}"), number % ORGANIZATIONS
        plants.setdefault(owner, []).append(plant)
        network = IPv4Network(f"192.168.{rng.randrange(64)}.0/24")
        entities += (
            Plant(plant, OrganizationId(f"o{owner}"), f"Plant {number}"),
            Subnet(SubnetId(f"s{number}"), plant, network, IPv4Network((0xF1000000 + number * 256, 24)), number + 1),
            Agent(
                AgentId(f"a{number}"),
                plant,
                "gateway",
                number.to_bytes(32, "big"),
                f"wg{number}",
                IPv4Address(0xF0000002 + number),
                boundary=(network,),
            ),
        )
    for number, own in plants.items():
        holder = OrganizationId(f"o{number}")
        entities.append(VpnService(ServiceId(f"v{number}"), holder, "Default", frozenset(own), default=True))
    for number in range(PEOPLE):
        person, owner = PersonId(f"p{number}"), number % ORGANIZATIONS
        role = OrgRole.ADMINISTRATOR if number < ORGANIZATIONS else OrgRole.MEMBER
        entities += (
            Person(person, f"p{number}@example.com", f"Person {number}"),
            Membership(person, OrganizationId(f"o{owner}"), role),
            Profile(
                ProfileId(f"f{number}"),
                person,
                "laptop",
                f"key{number}",
                IPv4Address(0x64400002 + number),
                IPv6Address(number + 1),
            ),
        )
        entities += (Grant(person, plant, Job.OPERATOR) for plant in rng.sample(plants[owner], GRANTS_EACH))
    return entities


def _median_ms(work: Callable[[], Any], repeats: int = REPEATS) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


@benchmark("snapshot", "decisions at 10,000 people, 2,000 plants, 50,000 (profile, subnet) pairs")
def snapshot_scale() -> Iterator[Figure]:
    snapshot = Snapshot.of(world())
    online = frozenset(agent.id for agent in snapshot.agents)
    member, administrator = PersonId(f"p{PEOPLE - 1}"), PersonId("p0")
    grant = next(iter(snapshot.grants_of(member)))

    def revoke() -> Snapshot:
        change = remove(grant)
        after = snapshot.apply([change], 2)
        for person in people_touched(snapshot, after, [change]):
            routes_of(after, person, online, NOW)
        return after

    yield Figure.plain(
        "one grant revoked: snapshot, people touched, their routes", _median_ms(revoke), "ms", at_most=20
    )
    yield Figure.plain(
        "routes of a person with 5 plants",
        _median_ms(lambda: routes_of(snapshot, member, online, NOW)),
        "ms",
        at_most=2,
    )
    yield Figure.plain(
        "routes of an Administrator with 10 plants",
        _median_ms(lambda: routes_of(snapshot, administrator, online, NOW)),
        "ms",
        at_most=2,
    )
    everyone = [person.id for person in snapshot.people]
    yield Figure.plain(
        "routes of all 10,000 people",
        _median_ms(lambda: [routes_of(snapshot, person, online, NOW) for person in everyone], 1),
        "ms",
    )
    yield from _one_organization(snapshot, online)
    yield from asyncio.run(_stored())


def _one_organization(snapshot: Snapshot, online: frozenset[AgentId]) -> Iterator[Figure]:
    """An Administrator of all 2,000 plants, most of which share a range with 30 others."""
    everything = VpnService(ServiceId("all"), OrganizationId("o0"), "All", frozenset(p.id for p in snapshot.plants))
    changes: list[Change] = [put(Plant(p.id, OrganizationId("o0"), p.name)) for p in snapshot.plants]
    single = snapshot.apply([*changes, put(everything)])
    person = PersonId("p0")
    yield Figure.plain(
        "routes of an Administrator with 2,000 plants",
        _median_ms(lambda: routes_of(single, person, online, NOW)),
        "ms",
        at_most=200,
    )


async def _stored() -> list[Figure]:
    entities = world()
    with tempfile.TemporaryDirectory(prefix="plantgate-bench-") as folder:
        store = await open_store(f"sqlite:///{Path(folder) / 'hub.db'}", AesSealer(Secret(b"k" * 32)))
        async with store.change("bench") as change:
            for entity in entities:
                change.put(entity)
        started = time.perf_counter()
        snapshot = await store.load_snapshot()
        load = (time.perf_counter() - started) * 1000
        times = []
        async with SnapshotFeed(store, poll=60).running() as feed:
            updates = feed.subscribe()
            for grant in tuple(snapshot.grants)[:30]:
                started = time.perf_counter()
                async with store.change("bench") as change:
                    change.remove(grant)
                await anext(updates)
                times.append((time.perf_counter() - started) * 1000)
        await store.close()
    return [
        Figure.plain("snapshot loaded from SQLite", load, "ms", at_most=10_000, rows=len(entities)),
        Figure.plain("revocation written, read back and announced", statistics.median(times), "ms", at_most=50),
    ]
