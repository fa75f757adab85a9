"""Keeps a snapshot current and tells who and what each change touches.

The feed is woken by announcements and polls the revision as well. When the store is away it keeps the last snapshot,
says so once, and lets `staleness` grow; time boxes go on closing, since they need no store. It never opens wider.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from plantgate_shared.errors import PlantgateError
from plantgate_shared.logging import Event, get_logger

from ..domain.impact import people_touched, plants_touched
from ..domain.model import PersonId, PlantId
from ..domain.policy import next_transition, people_in_transition
from ..domain.snapshot import Change, Key, Kind, Snapshot, difference
from .protocol import Store

POLL = 0.25
"""Seconds between looks at the revision: the bound for changes whose announcement was lost."""
_LONGEST_WAIT = 1.0
"""Seconds that the watch on time boxes sleeps at most: a wall clock that was set is noticed after that."""
ALARM_EVERY = 30.0
"""Seconds between looks at rows that could not be read: they are said again, and read anew: a hand may mend them."""
ALL_SESSIONS: Key = ("*",)
"""Key of a session change that stands for any: history was lost, remembered sessions must be looked up again."""


@dataclass(frozen=True, slots=True)
class Update:
    """The step from one snapshot to a newer one, or a time box that opened or closed in between (no changes then)."""

    before: Snapshot
    after: Snapshot
    changes: tuple[Change, ...] = ()
    people: frozenset[PersonId] = frozenset()
    """Whose jobs or routes may be different now: a superset."""
    plants: frozenset[PlantId] = frozenset()
    """Whose subnets, devices, targets, agents or services may be different now."""

    def then(self, later: "Update") -> "Update":
        """Both steps as one."""
        changes = {(change.kind, change.key): change for change in (*self.changes, *later.changes)}
        return Update(
            self.before,
            later.after,
            tuple(changes.values()),
            self.people | later.people,
            self.plants | later.plants,
        )


class Subscription:
    """Updates for one follower, in order. A slow follower gets several steps as one; nothing piles up."""

    def __init__(self, feed: "SnapshotFeed") -> None:
        self._waiting: Update | None = None
        self._arrived = asyncio.Event()
        self._unsubscribe = feed.on_update(self._add)

    def _add(self, update: Update) -> None:
        self._waiting = update if self._waiting is None else self._waiting.then(update)
        self._arrived.set()

    def __aiter__(self) -> AsyncIterator[Update]:
        return self

    async def __anext__(self) -> Update:
        await self._arrived.wait()
        self._arrived.clear()
        update, self._waiting = self._waiting, None
        assert update is not None  # noqa: S101  set together with the event, and only taken here
        return update

    def close(self) -> None:
        self._unsubscribe()


class SnapshotFeed:
    """`load` once, then `run` for as long as the process lives."""

    def __init__(self, store: Store, *, now: Callable[[], float] = time.time, poll: float = POLL) -> None:
        self._store = store
        self._now = now
        self._poll = poll
        self._snapshot = Snapshot()
        self._answered = float("-inf")
        self._away = False
        self._next_alarm = float("-inf")
        self._listeners: list[Callable[[Update], None]] = []
        self._announced = asyncio.Event()
        self._changed = asyncio.Event()
        self._watched_until = now()
        self._log = get_logger()

    @property
    def snapshot(self) -> Snapshot:
        return self._snapshot

    def staleness(self) -> float:
        """Seconds since the store last confirmed the snapshot; infinite before it ever did."""
        return time.monotonic() - self._answered

    def subscribe(self) -> Subscription:
        return Subscription(self)

    def on_update(self, listener: Callable[[Update], None]) -> Callable[[], None]:
        """Call `listener` at each update, on the event loop, as soon as the snapshot is the new one; returns what
        ends it. It must be quick. One that raises is logged, and keeps no other from hearing."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    async def load(self) -> Snapshot:
        """The first snapshot. Raises StoreUnavailable: without one nothing can be decided."""
        self._snapshot = await self._store.load_snapshot()
        self._answered = time.monotonic()
        self._watched_until = self._now()
        return self._snapshot

    async def reaches(self, revision: int, timeout: float = 5.0) -> Snapshot:
        """The snapshot once it is of `revision` or later. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            while self._snapshot.revision < revision:
                self._changed.clear()
                await self._changed.wait()
        return self._snapshot

    @asynccontextmanager
    async def running(self) -> AsyncIterator["SnapshotFeed"]:
        """`load`, and `run` in the background."""
        await self.load()
        task = asyncio.create_task(self.run(), name="snapshot feed")
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def run(self) -> None:
        """Follow the store and the clock until cancelled."""
        stop = self._store.on_announcement(self._announced.set)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow(), name="snapshot feed: store")
                tasks.create_task(self._watch_time(), name="snapshot feed: time boxes")
        finally:
            stop()

    async def _follow(self) -> None:
        while True:
            started = time.monotonic()
            self._announced.clear()
            try:
                await self._catch_up()
            except PlantgateError as error:
                self._store_away(str(error))
            except Exception as error:  # a bug or a broken row must not end the feed; staleness shows it
                self._store_away(repr(error))
            else:
                self._answered = started
                if self._away:
                    self._away = False
                    self._log.info(Event.STORE_REACHABLE)
            try:
                async with asyncio.timeout(self._poll):
                    await self._announced.wait()
            except TimeoutError:
                continue

    async def _catch_up(self) -> None:
        if self._store.unreadable and time.monotonic() >= self._next_alarm:
            self._next_alarm = time.monotonic() + ALARM_EVERY
            await self._look_again()
        before = self._snapshot
        batch = await self._store.changes_since(before.revision)
        if batch is None:
            after = await self._store.load_snapshot()
            self._step(after, (*difference(before, after), Change(Kind.SESSION, ALL_SESSIONS)))
        elif batch.changes:
            self._step(before.apply(batch.changes, batch.revision), batch.changes)

    async def _look_again(self) -> None:
        """Say which rows cannot be read, and read everything anew: a hand may have mended them, without a change."""
        after = await self._store.load_snapshot()
        changes = difference(self._snapshot, after)
        if changes:
            self._step(after, changes)
        for (kind, key), cause in self._store.unreadable.items():
            self._log.error(Event.ROW_UNREADABLE, kind=kind, key="/".join(key), cause=cause)

    def _step(self, after: Snapshot, changes: tuple[Change, ...]) -> None:
        before = self._snapshot
        self._publish(after, changes, people_touched(before, after, changes), plants_touched(before, after, changes))

    def _publish(
        self,
        after: Snapshot,
        changes: tuple[Change, ...],
        people: Iterable[PersonId],
        plants: Iterable[PlantId] = (),
    ) -> None:
        update = Update(self._snapshot, after, changes, frozenset(people), frozenset(plants))
        self._snapshot = after
        self._changed.set()
        for listener in tuple(self._listeners):
            try:
                listener(update)
            except Exception:  # the others enforce what this one does not
                self._log.exception(Event.LISTENER_FAILED, revision=after.revision)

    def _store_away(self, cause: str) -> None:
        if not self._away:
            self._away = True
            self._log.error(Event.STORE_UNREACHABLE, cause=cause, revision=self._snapshot.revision)

    async def _watch_time(self) -> None:
        while True:
            snapshot = self._snapshot
            now = self._now()
            since, until = sorted((self._watched_until, now))  # the other way round when the clock was set back
            self._watched_until = now
            people = people_in_transition(snapshot, since, until)
            if people:
                self._publish(snapshot, (), people)
            upcoming = next_transition(snapshot, now)
            wait = _LONGEST_WAIT if upcoming is None else min(max(upcoming - now, 0.001), _LONGEST_WAIT)
            await self._snapshot_replaced(snapshot, wait)

    async def _snapshot_replaced(self, snapshot: Snapshot, timeout: float) -> None:
        """Return when the snapshot is another one, or after `timeout` seconds."""
        replaced = asyncio.Event()
        stop = self.on_update(lambda update: replaced.set() if update.after is not update.before else None)
        try:
            async with asyncio.timeout(timeout):
                if self._snapshot is snapshot:
                    await replaced.wait()
        except TimeoutError:
            return
        finally:
            stop()
