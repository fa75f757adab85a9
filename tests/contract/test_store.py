"""What every store keeps: the snapshot, its revisions and changes, and one change at a time."""

import asyncio
import random
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event

from plantgate_hub.domain.model import (
    AgentId,
    ConnectionPolicy,
    Cooperation,
    CooperationId,
    Device,
    DeviceId,
    Hold,
    HoldScope,
    Job,
    OrganizationId,
    OrgRole,
    Person,
    PersonId,
    PlantId,
    ProfileId,
    Purpose,
    RoutePreference,
    Scheme,
    SubnetId,
    TargetId,
    WebTarget,
)
from plantgate_hub.domain.snapshot import Change, Entity, Kind, Snapshot, key_of, kind_of, put
from plantgate_hub.store import (
    ChangeBatch,
    Counter,
    PlantEvent,
    PlantEventKind,
    Presence,
    StoreUnavailable,
    open_store,
)
from plantgate_hub.store.migrate import NEWEST, configuration, current, upgrade
from plantgate_hub.store.tables import metadata
from plantgate_shared.errors import ConfigError, Conflict, NotFound
from tests import worlds
from tests.contract.conftest import SEALER

ADDRESS = IPv4Address("192.168.1.10")
WORLD: list[Entity] = [
    worlds.organization("north"),
    worlds.organization("south"),
    worlds.person("ada"),
    worlds.person("bob", totp_active=True),
    worlds.member("ada", "north", OrgRole.ADMINISTRATOR),
    worlds.member("bob", "south", job=Job.VIEWER),
    worlds.plant("wind", "north"),
    worlds.plant("solar", "north"),
    worlds.subnet("wind", "192.168.1.0/24", 1),
    worlds.subnet("solar", "192.168.1.0/24", 2),
    Device(DeviceId("inverter"), PlantId("wind"), "inverter", ADDRESS),
    WebTarget(TargetId("page"), DeviceId("inverter"), "wind-inverter", Scheme.HTTPS, 443),
    Cooperation(CooperationId("c"), PlantId("wind"), OrganizationId("south"), Job.OPERATOR, True, 9e9, "service"),
    worlds.grant("bob", "wind", Job.OPERATOR, cooperation=CooperationId("c"), ends=5e9),
    worlds.grant("ada", "solar", Job.TECHNICAL_MANAGER, starts=1.5),
    worlds.service("north", "wind", "solar"),
    worlds.profile("ada", 1),
    RoutePreference(PersonId("ada"), SubnetId("subnet1"), 3, True),
    worlds.agent("wind", "192.168.1.0/24", "10.0.0.0/8"),
    Hold(PlantId("wind"), HoldScope.EXTERNAL, 2.5, "Ada", "leak"),
    ConnectionPolicy(OrganizationId("north"), True, 3600.0),
    Purpose(PersonId("ada"), PlantId("wind"), "ticket", 1.5, 9e9),
]


async def fill(store, *entities):
    async with store.change("test") as change:
        for entity in entities or WORLD:
            change.put(entity)


async def test_a_new_store_is_empty(store):
    assert await store.load_snapshot() == Snapshot()
    assert await store.revision() == 0


async def _in_vain(store, event):
    async with store.change("test") as change:
        await change.record(event)
        raise Conflict("thought better of it")


async def test_a_plants_record(store, other):
    events = [PlantEvent(PlantId("wind"), at, PlantEventKind.HOLD_PUT, "ada", "Ada", f"{at}") for at in (1.0, 3.0)]
    await store.plant_events.add(events[1])
    async with store.change("test") as change:
        await change.record(events[0])
        change.put(worlds.organization("north"))
    with pytest.raises(Conflict):
        await _in_vain(store, replace(events[0], at=2.0))
    await store.plant_events.add(replace(events[0], plant=PlantId("solar")))
    assert await other.plant_events.of_plant(PlantId("wind")) == tuple(events)
    assert await other.plant_events.of_plant(PlantId("wind"), 1) == (events[1],)
    assert await other.plant_events.sweep(3.0) == 2
    assert await store.plant_events.of_plant(PlantId("wind")) == (events[1],)


async def test_every_kind_comes_back_as_it_was(store, other):
    await fill(store)
    assert await other.load_snapshot() == Snapshot.of(WORLD, revision=1)


async def test_a_change_is_one_revision_and_names_what_changed(store, other):
    await fill(store)
    async with store.change("ada") as change:
        change.remove(worlds.member("bob", "south"))
        change.put(worlds.person("carl"))
    batch = await other.changes_since(1)
    assert batch.revision == 2
    assert set(batch.changes) == {
        Change(Kind.MEMBERSHIP, ("bob", "south")),
        put(worlds.person("carl")),
    }
    assert (await other.changes_since(2)).changes == ()
    assert [(r.revision, r.kind, r.key, r.gone, r.actor) for r in (await other.history())[-2:]] == [
        (2, Kind.MEMBERSHIP, "bob/south", True, "ada"),
        (2, Kind.PERSON, "carl", False, "ada"),
    ]


async def test_several_changes_come_as_the_newest_values(store):
    await fill(store)
    for name in ("first", "second"):
        async with store.change("test") as change:
            change.put(replace(worlds.person("ada"), name=name))
    async with store.change("test") as change:
        change.remove(worlds.grant("bob", "wind", Job.OPERATOR, cooperation=CooperationId("c")))
    batch = await store.changes_since(1)
    assert batch.changes == (
        put(replace(worlds.person("ada"), name="second")),
        Change(Kind.GRANT, ("bob", "wind", "c", "5")),
    )


async def test_changes_applied_lead_to_what_a_load_gives(store):
    """Random steps of the rows in WORLD, on the store and on a snapshot that follows it."""
    rng = random.Random(7)
    await fill(store)
    followed = await store.load_snapshot()
    variable = [row for row in WORLD if key_of(row)[0] in ("ada", "bob", "service-north", "agent-wind", "page")]
    variable = [row for row in variable if not isinstance(row, Person)]
    for _ in range(15):
        async with store.change("test") as change:
            for row in rng.sample(variable, 3):
                (change.put if rng.random() < 0.6 else change.remove)(row)
        batch = await store.changes_since(followed.revision)
        followed = followed.apply(batch.changes, batch.revision)
    assert followed == await store.load_snapshot()


async def test_a_change_sees_its_own_changes_and_those_of_other_nodes(store, other):
    await fill(store)
    async with other.change("test") as change:
        change.put(worlds.person("carl"))
        assert change.snapshot.person_by_email("carl@example.com") is not None
    async with store.change("test") as change:
        assert change.snapshot.revision == 2
        assert change.snapshot.person_by_email("carl@example.com") is not None


async def test_an_exception_leaves_nothing_behind(store, other):
    await fill(store)

    async def fail():
        async with store.change("test") as change:
            change.put(worlds.person("carl"))
            await change.set_password_hash(PersonId("carl"), "hash")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await other.load_snapshot() == Snapshot.of(WORLD, revision=1)
    assert await store.revision() == 1


async def test_a_change_of_nothing_is_no_revision(store):
    async with store.change("test") as change:
        assert change.snapshot.revision == 0
    assert await store.revision() == 0


async def test_what_must_be_unique_is_a_conflict(store):
    await fill(store)
    with pytest.raises(Conflict, match="something with the same people email exists already") as caught:
        await fill(store, Person(PersonId("x"), "ada@example.com", "x"))
    assert "[parameters:" not in str(caught.value.__cause__)  # a traceback in the log shows no hash and no sealed key
    with pytest.raises(Conflict, match="profiles public key"):
        await fill(store, replace(worlds.profile("bob", 2), public_key="key1"))
    assert await store.revision() == 1


async def test_what_others_refer_to_stays(store):
    await fill(store)
    with pytest.raises(Conflict, match="in the way"):
        async with store.change("test") as change:
            change.remove(worlds.person("ada"))
    assert (await store.load_snapshot()).people.get("ada") is not None


async def test_removing_everything_at_once_works_in_any_order(store):
    await fill(store)
    async with store.change("test") as change:
        for row in WORLD:
            change.remove(row)
    assert await store.load_snapshot() == Snapshot(revision=2)


async def test_a_key_can_move_to_another_row_in_one_change(store):
    await fill(store)
    async with store.change("test") as change:
        change.remove(worlds.profile("ada", 1))
        change.put(replace(worlds.profile("bob", 1), id=ProfileId("new")))
    assert (await store.load_snapshot()).profile_by_key("key1").person == "bob"


async def test_changes_of_two_nodes_are_one_after_the_other(store, other):
    """Read, decide, write: no two at once see the same counter, and revisions have no gaps."""
    await fill(store)

    async def count(node):
        for _ in range(8):
            async with node.change("test") as change:
                value = await change.counter(Counter.SUBNET)
                await asyncio.sleep(0)
                await change.set_counter(Counter.SUBNET, value + 1)
                change.put(worlds.person(f"p{value}"))

    await asyncio.gather(count(store), count(other), count(store), count(other))
    async with store.change("test") as change:
        assert await change.counter(Counter.SUBNET) == 32
    assert await store.revision() == 33
    assert len((await other.load_snapshot()).people) == 34


async def test_compare_and_swap_has_one_winner(store, other):
    await fill(store)
    old = worlds.agent("wind", "192.168.1.0/24", "10.0.0.0/8")
    contenders = [replace(old, epoch=2, name=f"node {i}") for i in range(6)]
    won = await asyncio.gather(
        *(node.compare_and_swap("test", old, new) for node, new in zip([store, other] * 3, contenders, strict=True))
    )
    assert won.count(True) == 1
    assert (await store.load_snapshot()).agents.get("agent-wind") == contenders[won.index(True)]
    assert await store.compare_and_swap("test", None, worlds.person("carl"))
    assert not await store.compare_and_swap("test", None, worlds.person("carl"))


async def test_the_first_pin_stays(store, other):
    await fill(store)
    pins = await asyncio.gather(store.pin_first(TargetId("page"), "aa"), other.pin_first(TargetId("page"), "bb"))
    assert pins[0] == pins[1]
    assert (await store.load_snapshot()).targets.get("page").pinned_sha256 == pins[0]
    with pytest.raises(NotFound):
        await store.pin_first(TargetId("nothing"), "aa")


async def test_asking_again_without_news_costs_no_transaction_and_misses_nothing(database):
    if not database.startswith("sqlite"):
        pytest.skip("PostgreSQL announces")
    node, other = await open_store(database, SEALER), await open_store(database, SEALER)
    taken = []
    event.listen(node.engine.sync_engine, "checkout", lambda *_: taken.append(1))
    try:
        await node.changes_since(0)
        taken.clear()
        assert await node.changes_since(0) == ChangeBatch(0)
        assert not taken
        for number, name in enumerate(["ada", "bob", "cem"], 1):
            async with other.change("test") as change:
                change.put(worlds.person(name))
            batch = await node.changes_since(number - 1)
            assert batch is not None
            assert [entry.key for entry in batch.changes] == [(name,)]
            assert await node.changes_since(number) == ChangeBatch(number)
        async with node.change("test") as change:
            change.put(worlds.person("dan"))
        batch = await node.changes_since(3)
        assert batch is not None
        assert batch.revision == 4
    finally:
        await node.close()
        await other.close()


async def test_a_look_over_another_connection_counts_anew(database):
    """Each connection has its own count of others' commits: the same number after a failure is not the same state."""
    if not database.startswith("sqlite"):
        pytest.skip("PostgreSQL announces")
    node, other = await open_store(database, SEALER), await open_store(database, SEALER)
    try:
        assert await node.changes_since(0) == ChangeBatch(0)
        assert node._file is not None
        node._file.close()
        async with other.change("test") as change:
            change.put(worlds.person("ada"))
        batch = await node.changes_since(0)
        assert batch is not None
        assert batch.revision == 1
    finally:
        await node.close()
        await other.close()


async def test_a_revision_from_the_future_or_long_ago_means_load_anew(store, monkeypatch):
    await fill(store)
    assert await store.changes_since(5) is None
    monkeypatch.setattr("plantgate_hub.store.sql._PRUNE_EVERY", 2)
    monkeypatch.setattr("plantgate_hub.store.sql.CHANGES_KEPT", 1)
    for number in range(3):
        await fill(store, worlds.person(f"p{number}"))
    assert await store.changes_since(0) is None
    assert (await store.changes_since(3)).revision == 4


async def test_the_fleets_prefix_is_made_once(store, other):
    prefixes = await asyncio.gather(store.ipv6_prefix(), other.ipv6_prefix())
    assert prefixes[0] == prefixes[1]
    assert prefixes[0].prefixlen == 48
    assert str(prefixes[0]).startswith("fd")


async def test_presence_is_no_change(store):
    await fill(store)
    await store.seen(Presence(AgentId("agent-wind"), 1.0, "a"))
    await store.seen(Presence(AgentId("agent-wind"), 2.0, "b", "udp", "0.1"))
    assert await store.presences() == (Presence(AgentId("agent-wind"), 2.0, "b", "udp", "0.1"),)
    assert await store.revision() == 1


async def test_migrations_make_the_tables_that_the_code_names(store):
    def differences(connection):
        return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)

    async with store.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    newest = ScriptDirectory.from_config(configuration()).get_current_head()
    assert newest == NEWEST == await current(store.engine)


async def test_nodes_that_start_at_once_migrate_once(empty_database):
    stores = await asyncio.gather(*(open_store(empty_database, SEALER) for _ in range(3)))
    await upgrade(stores[0].engine)
    assert await stores[0].revision() == 0
    for opened in stores:
        await opened.close()


async def test_a_database_of_a_newer_release_is_refused(database):
    opened = await open_store(database, SEALER)
    async with opened.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    await opened.close()
    with pytest.raises(ConfigError, match="newer release"):
        await open_store(database, SEALER)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://x/y", "no store for 'mysql'"),
        ("nonsense", "cannot be read"),
        ("sqlite://", "needs a file"),
        ("sqlite:////nowhere/at/all.db", "cannot open the database"),
    ],
)
async def test_a_wrong_url_is_one_clear_error(url, message):
    with pytest.raises(ConfigError, match=message):
        await open_store(url, SEALER)


async def test_a_server_that_is_not_there_is_away():
    with pytest.raises(StoreUnavailable, match="does not answer"):
        await open_store("postgresql://postgres@127.0.0.1:1/x", SEALER)


BROKEN = [
    # (what a hand wrote, who stands for the row, or nobody)
    ("UPDATE grants SET job = 99 WHERE person = 'bob'", (Kind.GRANT, ("bob", "wind", "c", "99")), None),
    ("UPDATE memberships SET role = 'king' WHERE person = 'bob'", (Kind.MEMBERSHIP, ("bob", "south")), None),
    ("UPDATE cooperations SET cap = 0", (Kind.COOPERATION, ("c",)), None),
    ("UPDATE subnets SET transit = 'nowhere' WHERE number = 1", (Kind.SUBNET, ("subnet1",)), None),
    (
        "UPDATE holds SET scope = 'nobody'",
        (Kind.HOLD, ("wind", "nobody")),
        Hold(PlantId("wind"), HoldScope.EVERYONE, 0.0, "hub", "a hold that cannot be read"),
    ),
]


@pytest.mark.parametrize(("statement", "row", "stand_in"), BROKEN)
async def test_a_row_that_cannot_be_read_gives_nothing_and_keeps_no_other_from_being_read(
    store, other, statement, row, stand_in
):
    async with store.change("test") as change:
        for entity in WORLD:
            change.put(entity)
    async with other.engine.begin() as connection:
        await connection.exec_driver_sql(statement)
    snapshot = await other.load_snapshot()
    kind, key = row
    assert list(other.unreadable) == [row]
    assert snapshot.table(kind).get(*key) is None
    assert [entity for entity in snapshot.table(kind) if entity not in WORLD] == ([stand_in] if stand_in else [])
    readable = [entity for entity in WORLD if kind_of(entity) is not kind]
    assert set(readable) <= set(snapshot.entities())
    # what is written from then on is decided and followed as ever
    async with other.change("test") as change:
        change.put(worlds.person("carl"))
    batch = await other.changes_since(1)
    assert [change.key for change in batch.changes] == [("carl",)]


async def test_a_value_of_another_type_is_unreadable_too(store, other, database):
    if not database.startswith("sqlite"):
        return  # PostgreSQL keeps the types of its columns
    async with store.change("test") as change:
        for entity in WORLD:
            change.put(entity)
    async with other.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE grants SET ends = 'soon' WHERE person = 'bob'")
        await connection.exec_driver_sql("UPDATE connection_policies SET longest_purpose = 'long'")
        await connection.exec_driver_sql("UPDATE preferences SET priority = 'high'")
    snapshot = await other.load_snapshot()
    assert set(other.unreadable) == {
        (Kind.GRANT, ("bob", "wind", "c", "5")),
        (Kind.CONNECTION_POLICY, ("north",)),
        (Kind.PREFERENCE, ("ada", "subnet1")),
    }
    assert not snapshot.grants_of(PersonId("bob"))
    assert snapshot.connection_policy_of(OrganizationId("north")).purpose_required
    assert [preference.disabled for preference in snapshot.preferences] == [True]
