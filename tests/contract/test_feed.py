"""The feed keeps a snapshot current on every engine, and survives a store that is away."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
import structlog

from plantgate_hub.domain.model import Hold, HoldScope, Job, OrgRole, PersonId, PlantId
from plantgate_hub.domain.policy import job_of
from plantgate_hub.domain.snapshot import Change, Kind
from plantgate_hub.store import SnapshotFeed, StoreUnavailable, Update
from plantgate_shared.logging import Event
from tests import worlds
from tests.eventually import eventually

ADA, BOB, WIND = PersonId("ada"), PersonId("bob"), PlantId("wind")
PEOPLE = (
    worlds.organization("north"),
    worlds.plant("wind", "north"),
    worlds.person("ada"),
    worlds.person("bob"),
    worlds.member("ada", "north"),
    worlds.member("bob", "north", OrgRole.ADMINISTRATOR),
)
GRANT = worlds.grant("ada", "wind", Job.OPERATOR)


async def put(store, *rows):
    async with store.change("test") as change:
        for row in rows:
            change.put(row)


@pytest.fixture
async def filled(store):
    await put(store, *PEOPLE)
    return store


async def test_a_change_of_this_node_arrives_at_once_and_names_whom_it_touches(filled):
    async with SnapshotFeed(filled, poll=60).running() as feed:
        updates = feed.subscribe()
        await put(filled, GRANT)
        update = await asyncio.wait_for(anext(updates), 10)
        assert update.after is feed.snapshot
        assert update.people == {"ada"}
        assert job_of(update.before, ADA, WIND, 0).job is None
        assert job_of(update.after, ADA, WIND, 0).job is Job.OPERATOR
        await put(filled, worlds.subnet("wind", "192.168.1.0/24", 1))
        update = await asyncio.wait_for(anext(updates), 10)
        assert update.people == {ADA, BOB}
        assert update.plants == {WIND}


async def test_a_change_of_another_node_arrives(filled, other):
    async with SnapshotFeed(filled).running() as feed:
        await put(other, GRANT)
        await feed.reaches(await other.revision(), timeout=20)
        assert job_of(feed.snapshot, ADA, WIND, 0).job is Job.OPERATOR


async def test_postgresql_announces_between_nodes_without_polling(filled, other, database):
    if database.startswith("sqlite"):
        return  # another process on the same file is seen by polling
    async with SnapshotFeed(filled, poll=300).running() as feed:
        await asyncio.sleep(0)

        async def changed():
            """Until the listening connection is there: each try is a change of its own."""
            await put(other, worlds.person(f"p{time.monotonic_ns()}"))
            await feed.reaches(await other.revision(), timeout=0.5)
            return True

        async def announced():
            try:
                return await changed()
            except TimeoutError:
                return False

        await eventually(announced)


async def test_a_slow_follower_gets_steps_as_one(filled):
    async with SnapshotFeed(filled).running() as feed:
        updates = feed.subscribe()
        await put(filled, GRANT)
        async with filled.change("test") as change:
            change.remove(worlds.member("ada", "north"))
        await feed.reaches(await filled.revision())
        update = await anext(updates)
        assert update.before.revision == 1
        assert update.after.revision == 3
        assert {change.kind for change in update.changes} == {Kind.GRANT, Kind.MEMBERSHIP}
        updates.close()


async def test_a_time_box_closes_without_any_change(filled):
    ends = time.time() + 2.0
    async with SnapshotFeed(filled, poll=60).running() as feed:
        updates = feed.subscribe()
        await put(filled, worlds.grant("ada", "wind", Job.OPERATOR, ends=ends))
        first = await asyncio.wait_for(anext(updates), 10)
        assert first.changes
        update = await asyncio.wait_for(anext(updates), 10)
        now = time.time()
        assert ends <= now < ends + 5
        assert update.changes == ()
        assert update.people == {ADA}
        assert job_of(update.after, ADA, WIND, now).job is None


class Flaky:
    """A store whose reads fail while `away`."""

    def __init__(self, store):
        self._store = store
        self.away = False

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def changes_since(self, revision):
        if self.away:
            raise StoreUnavailable("the store does not answer")
        return await self._store.changes_since(revision)


@asynccontextmanager
async def flaky_feed(store):
    flaky = Flaky(store)
    async with SnapshotFeed(flaky, poll=0.02).running() as feed:
        yield flaky, feed


async def test_a_listener_that_fails_keeps_no_other_from_hearing(filled):
    heard: list[Update] = []

    def broken(_update):
        raise KeyError("a bug")

    with structlog.testing.capture_logs() as logs:
        async with SnapshotFeed(filled).running() as feed:
            feed.on_update(broken)
            feed.on_update(heard.append)
            for row in (GRANT, worlds.grant("bob", "wind", Job.VIEWER)):
                await put(filled, row)
                await feed.reaches(await filled.revision())
    assert [update.after.revision for update in heard] == [2, 3]
    assert {entry["event"] for entry in logs} == {Event.LISTENER_FAILED}


async def test_a_store_that_is_away_leaves_the_snapshot_and_is_said_once(filled):
    with structlog.testing.capture_logs() as logs:
        async with flaky_feed(filled) as (flaky, feed):
            flaky.away = True
            revision = feed.snapshot.revision
            await eventually(lambda: feed.staleness() > 0.2)
            await put(filled, GRANT)
            assert feed.snapshot.revision == revision
            flaky.away = False
            await feed.reaches(revision + 1)
            await eventually(lambda: feed.staleness() < 0.2)
    events = [entry["event"] for entry in logs]
    assert events == [Event.STORE_UNREACHABLE, Event.STORE_REACHABLE]


async def by_hand(store, statement):
    async with store.engine.begin() as connection:
        await connection.exec_driver_sql(statement)


async def test_a_row_that_cannot_be_read_freezes_nothing_and_is_said_again(filled, other, monkeypatch):
    monkeypatch.setattr("plantgate_hub.store.feed.ALARM_EVERY", 0.05)
    await put(filled, GRANT, worlds.grant("ada", "wind", Job.VIEWER))
    await by_hand(other, "UPDATE grants SET job = 99 WHERE job = 5")
    with structlog.testing.capture_logs() as logs:
        async with SnapshotFeed(filled, poll=0.02).running() as feed:
            assert job_of(feed.snapshot, ADA, WIND, 0).job is Job.VIEWER
            async with other.change("test") as change:
                change.remove(worlds.grant("ada", "wind", Job.VIEWER))
            await feed.reaches(await other.revision())
            assert job_of(feed.snapshot, ADA, WIND, 0).job is None
            await eventually(lambda: [entry["event"] for entry in logs].count(Event.ROW_UNREADABLE) >= 2)
            assert feed.staleness() < 10
            await by_hand(other, "UPDATE grants SET job = 5 WHERE job = 99")  # mended
            await eventually(lambda: job_of(feed.snapshot, ADA, WIND, 0).job is Job.OPERATOR)
            assert not filled.unreadable
    assert {(entry["kind"], entry["key"]) for entry in logs if entry["event"] == Event.ROW_UNREADABLE} == {
        (Kind.GRANT, "ada/wind//99")
    }


async def test_a_hold_that_becomes_unreadable_holds_everyone(filled, other):
    hold = Hold(WIND, HoldScope.EXTERNAL, 1.0, "Bob")
    async with SnapshotFeed(filled, poll=0.02).running() as feed:
        async with other.change("test") as change:
            change.put(hold)
        await feed.reaches(await other.revision())
        await by_hand(other, "UPDATE holds SET scope = 'all'")
        await by_hand(other, "UPDATE changes SET key = 'wind/all' WHERE kind = 'hold'")
        await by_hand(other, "UPDATE revision SET value = value + 1")
        await by_hand(other, "UPDATE changes SET revision = revision + 1 WHERE kind = 'hold'")
        await eventually(lambda: HoldScope.EVERYONE in {found.scope for found in feed.snapshot.holds_on(WIND)})


async def test_a_time_box_closes_while_the_store_is_away(filled):
    async with flaky_feed(filled) as (flaky, feed):
        await put(filled, worlds.grant("ada", "wind", Job.OPERATOR, ends=time.time() + 0.5))
        await feed.reaches(2)
        updates = feed.subscribe()
        flaky.away = True
        update = await asyncio.wait_for(anext(updates), 10)
        assert update.people == {"ada"}
        assert job_of(feed.snapshot, ADA, WIND, time.time()).job is None


async def test_lost_history_is_loaded_anew_and_sessions_are_to_be_checked(filled, monkeypatch):
    async with flaky_feed(filled) as (flaky, feed):
        flaky.away = True
        monkeypatch.setattr("plantgate_hub.store.sql._PRUNE_EVERY", 1)
        monkeypatch.setattr("plantgate_hub.store.sql.CHANGES_KEPT", 1)
        await put(filled, GRANT)
        await put(filled, worlds.person("carl"))
        await put(filled, worlds.person("dora"))
        updates = feed.subscribe()
        flaky.away = False
        update = await asyncio.wait_for(anext(updates), 10)
        assert feed.snapshot == await filled.load_snapshot()
        assert Change(Kind.SESSION, ("*",)) in update.changes
        assert update.people == {"ada", "carl", "dora"}


async def test_broken_connections_are_made_anew(filled, other, database):
    if database.startswith("sqlite"):
        return
    async with SnapshotFeed(filled, poll=0.02).running() as feed:
        async with other.engine.begin() as connection:
            await connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        await put(other, GRANT)
        await feed.reaches(2, timeout=20)
        await put(filled, worlds.person("carl"))
        await feed.reaches(3, timeout=20)


async def test_without_a_first_snapshot_there_is_no_feed(filled):
    class Gone(Flaky):
        async def load_snapshot(self):
            raise StoreUnavailable("the store does not answer")

    feed = SnapshotFeed(Gone(filled))
    assert feed.staleness() == float("inf")
    with pytest.raises(StoreUnavailable):
        await feed.load()
