"""The store on SQLAlchemy Core, for SQLite and PostgreSQL alike.

Changes are strictly one after the other: each holds the write lock (SQLite) or the row of `revision` (PostgreSQL) from
its beginning, so that it decides on the newest state, and revisions become visible in their order, without gaps.
"""

import asyncio
import ipaddress
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, select, tuple_, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from plantgate_shared.errors import NotFound

from ..domain.model import TargetId
from ..domain.snapshot import ENTITY_KINDS, Change, Entity, Key, Kind, Snapshot, key_of, kind_of
from . import tables
from .announce import Announcements
from .answers import SqlAnswers
from .change import SqlChange
from .engines import make_engine, parse_url, reading, translated
from .file_version import FileVersion
from .migrate import upgrade
from .protocol import ChangeBatch, ChangeRecord, ChangeTransaction, EnrolmentCode, Presence
from .rows import CODECS, STRICTEST
from .sealing import Sealer
from .side import SqlCodes, SqlCredentials, SqlPlantEvents, SqlSessions, enrolment_code
from .sql_accounts import SqlAccounts
from .statements import insert_missing, upsert

CHANGES_KEPT = 100_000
"""Revisions whose changes are kept: history for people, and how long a node may have been away without a full load."""
_PRUNE_EVERY = 1_000
Unreadable = dict[tuple[Kind, Key], str]
_KEYS_AT_ONCE = 300
"""Keys in one IN list; SQLite takes at most 32,766 values in a statement, and statements stay small."""


async def open_store(
    url: str, sealer: Sealer, *, migrate: bool = True, now: Callable[[], float] = time.time
) -> "SqlStore":
    """Connect, bring the tables up to date, and listen. Raises ConfigError or StoreUnavailable."""
    engine = make_engine(parse_url(url))
    try:
        if migrate:
            with translated():
                await upgrade(engine)
        store = SqlStore(engine, sealer, now)
        await store.start()
    except BaseException:
        await engine.dispose()
        raise
    return store


class SqlStore:
    """`protocol.Store` on an SQL database."""

    def __init__(self, engine: AsyncEngine, sealer: Sealer, now: Callable[[], float] = time.time) -> None:
        self.engine = engine
        self._reading = reading(engine)
        self._sealer = sealer
        self.now = now
        self._writing = asyncio.Lock()
        self._newest: Snapshot | None = None
        self._unreadable: Unreadable = {}
        self._ipv6_prefix: ipaddress.IPv6Network | None = None
        self._announcements = Announcements(engine)
        self._file = FileVersion(Path(str(engine.url.database))) if engine.dialect.name == "sqlite" else None
        self._seen: tuple[tuple[int, int], int] | None = None
        """The file's version at the last look for changes, and the revision found then or later."""
        self.credentials = SqlCredentials(self)
        self.sessions = SqlSessions(self)
        self.codes = SqlCodes(self)
        self.plant_events = SqlPlantEvents(self)
        self.accounts = SqlAccounts(self)
        self.answers = SqlAnswers(self)

    async def start(self) -> None:
        await self._announcements.start()

    async def close(self) -> None:
        await self._announcements.stop()
        await self.engine.dispose()
        if self._file is not None:
            self._file.close()

    # Reading

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads; all of it sees one state."""
        with translated():
            async with self._reading.begin() as connection:
                yield connection

    async def revision(self) -> int:
        async with self.read() as connection:
            return await _revision(connection)

    @property
    def unreadable(self) -> Unreadable:
        return self._unreadable

    async def load_snapshot(self) -> Snapshot:
        async with self.read() as connection:
            return await self._load(connection)

    async def changes_since(self, revision: int) -> ChangeBatch | None:
        version = self._file.read() if self._file is not None else None
        if version is not None and self._seen == (version, revision):
            return ChangeBatch(revision)
        async with self.read() as connection:
            batch = await _changes_since(connection, revision, self._unreadable)
        if version is not None and batch is not None:
            self._seen = (version, batch.revision)
        return batch

    async def _load(self, connection: AsyncConnection) -> Snapshot:
        unreadable: Unreadable = {}
        snapshot = await _load(connection, unreadable)
        if unreadable != self._unreadable:
            self._newest = None  # changes must not be decided on what stood for a row that can be read again
        self._unreadable = unreadable
        return snapshot

    async def history(self, limit: int = 100) -> tuple[ChangeRecord, ...]:
        table = tables.changes
        query = select(table).order_by(table.c.revision.desc(), table.c.position.desc()).limit(limit)
        async with self.read() as connection:
            rows = (await connection.execute(query)).all()
        return tuple(ChangeRecord(r.revision, Kind(r.kind), r.key, r.gone, r.actor, r.at) for r in reversed(rows))

    def on_announcement(self, listener: Callable[[], None]) -> Callable[[], None]:
        return self._announcements.listen(listener)

    # Changing

    def change(self, actor: str) -> AbstractAsyncContextManager[ChangeTransaction]:
        return self._change(actor)

    @asynccontextmanager
    async def _change(self, actor: str) -> AsyncIterator[SqlChange]:
        async with self._writing, self.write() as connection:
            with translated():
                await self._lock(connection)
                snapshot = await self._current(connection)
            transaction = SqlChange(connection, snapshot, self._sealer)
            yield transaction
            after = await self._finish(connection, transaction, snapshot, actor)
        self._newest = after
        if after is not snapshot:
            self._announcements.announce()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes; whoever changes entities uses `change` instead."""
        with translated():
            connection = await self.engine.connect()
        try:
            with translated():
                transaction = await connection.begin()
            try:
                yield connection
            except BaseException:
                with suppress(SQLAlchemyError, OSError):  # the connection may be what broke
                    await transaction.rollback()
                raise
            with translated():
                await transaction.commit()
        finally:
            await connection.close()

    async def compare_and_swap(self, actor: str, old: Entity | None, new: Entity) -> bool:
        async with self.change(actor) as change:
            if change.snapshot.table(kind_of(new)).get(*key_of(new)) != old:
                return False
            change.put(new)
            return True

    async def pin_first(self, target: TargetId, sha256: str) -> str:
        async with self.change("hub") as change:
            current = change.snapshot.targets.get(target)
            if current is None:
                raise NotFound("there is no such web target")
            if not current.pinned_sha256:
                current = replace(current, pinned_sha256=sha256)
                change.put(current)
            return current.pinned_sha256

    async def _lock(self, connection: AsyncConnection) -> None:
        if connection.dialect.name == "postgresql":  # SQLite holds its one write lock since BEGIN IMMEDIATE
            await connection.execute(select(tables.revision.c.value).with_for_update())

    async def _current(self, connection: AsyncConnection) -> Snapshot:
        known = self._newest
        if known is not None:
            batch = await _changes_since(connection, known.revision, self._unreadable)
            if batch is not None:
                return known.apply(batch.changes, batch.revision) if batch.changes else known
        return await self._load(connection)

    async def _finish(
        self, connection: AsyncConnection, transaction: SqlChange, before: Snapshot, actor: str
    ) -> Snapshot:
        changes = transaction.changes()
        if not changes:
            return before
        revision = before.revision + 1
        with translated():
            await transaction.write_entities()
            await connection.execute(update(tables.revision).values(value=revision))
            await connection.execute(insert(tables.changes), _change_rows(changes, revision, actor, self.now()))
            if revision % _PRUNE_EVERY == 0:
                await connection.execute(
                    delete(tables.changes).where(tables.changes.c.revision <= revision - CHANGES_KEPT)
                )
            await self._announcements.notify(connection, revision)
        return replace(transaction.snapshot, revision=revision)

    # Beside the snapshot

    async def enrolment_code(self, lookup_id: str) -> EnrolmentCode | None:
        table = tables.enrolment_codes
        async with self.read() as connection:
            row = (await connection.execute(select(table).where(table.c.lookup_id == lookup_id))).one_or_none()
        return None if row is None else enrolment_code(row, self._sealer)

    async def seen(self, presence: Presence) -> None:
        values = {name: getattr(presence, name) for name in ("agent", "last_seen", "node", "path", "version")}
        async with self.write() as connection:
            with translated():
                await upsert(connection, tables.presences, [values])

    async def presences(self) -> tuple[Presence, ...]:
        async with self.read() as connection:
            rows = (await connection.execute(select(tables.presences))).all()
        return tuple(Presence(r.agent, r.last_seen, r.node, r.path, r.version) for r in rows)

    async def ipv6_prefix(self) -> ipaddress.IPv6Network:
        if self._ipv6_prefix is None:
            global_id = int.from_bytes(os.urandom(5), "big")  # RFC 4193: fd, 40 random bits
            proposed = ipaddress.IPv6Network(((0xFD << 120) | (global_id << 80), 48))
            self._ipv6_prefix = ipaddress.IPv6Network(await self._setting("ipv6 prefix", str(proposed)))
        return self._ipv6_prefix

    async def _setting(self, name: str, proposed: str) -> str:
        """The value of the setting; the proposed one when there is none yet."""
        table = tables.settings
        query = select(table.c.value).where(table.c.name == name)
        async with self.read() as connection:
            value = (await connection.execute(query)).scalar_one_or_none()
        if value is not None:
            return str(value)
        async with self.write() as connection:
            with translated():
                await insert_missing(connection, table, {"name": name, "value": proposed})
                return str((await connection.execute(query)).scalar_one())

    @property
    def sealer(self) -> Sealer:
        return self._sealer


async def _revision(connection: AsyncConnection) -> int:
    return int((await connection.execute(select(tables.revision.c.value))).scalar_one())


async def _load(connection: AsyncConnection, unreadable: Unreadable) -> Snapshot:
    revision = await _revision(connection)
    entities: list[Entity] = []
    for kind in ENTITY_KINDS:
        entities += await _entities(connection, kind, unreadable)
    return await asyncio.to_thread(Snapshot.of, entities, revision)  # a second or so at full size


async def _entities(
    connection: AsyncConnection, kind: Kind, unreadable: Unreadable, keys: Iterable[Key] | None = None
) -> list[Entity]:
    """All entities of the kind, or those of the keys. One row that cannot be read keeps no other from being read: it
    is noted, and its strictest reading stands for it."""
    codec = CODECS[kind]
    query = select(*codec.columns())
    assigned = select(tables.service_plants)
    if keys is not None:
        columns = list(codec.table.primary_key.columns)
        values = [codec.key_values(key) for key in keys]
        if len(columns) == 1:
            query = query.where(columns[0].in_([value[0] for value in values]))
            assigned = assigned.where(tables.service_plants.c.service.in_([value[0] for value in values]))
        else:
            query = query.where(tuple_(*columns).in_(values))
    rows = (await connection.execute(query)).all()
    plants: dict[str, set[str]] = {}
    if kind is Kind.SERVICE:
        for row in await connection.execute(assigned):
            plants.setdefault(row.service, set()).add(row.plant)
    entities: list[Entity] = []
    for row in rows:
        try:
            entities.append(codec.decode(row, frozenset(plants.get(row.id, ())) if kind is Kind.SERVICE else None))
        except ValueError as error:
            key = codec.key_of_row(row)
            unreadable[kind, key] = str(error)
            if kind in STRICTEST:
                entities.append(STRICTEST[kind](key))
    return entities


async def _changes_since(connection: AsyncConnection, revision: int, unreadable: Unreadable) -> ChangeBatch | None:
    current = await _revision(connection)
    if current == revision:
        return ChangeBatch(current)
    table = tables.changes
    query = select(table.c.revision, table.c.kind, table.c.key).where(table.c.revision > revision)
    rows = (await connection.execute(query.order_by(table.c.revision, table.c.position))).all()
    if current < revision or not rows or rows[0].revision != revision + 1:
        return None  # pruned, or another database than before
    keys: dict[Kind, dict[Key, None]] = {}
    for row in rows:
        keys.setdefault(Kind(row.kind), {})[tuple(row.key.split("/"))] = None
    changes: list[Change] = []
    for kind in Kind:
        changes += await _changes_of(connection, kind, list(keys.get(kind, ())), unreadable)
    return ChangeBatch(current, tuple(changes))


async def _changes_of(connection: AsyncConnection, kind: Kind, keys: list[Key], unreadable: Unreadable) -> list[Change]:
    if kind is Kind.SESSION:
        return [Change(kind, key) for key in keys]
    present: dict[Key, Entity] = {}
    for key in keys:
        unreadable.pop((kind, key), None)
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        for entity in await _entities(connection, kind, unreadable, keys[start : start + _KEYS_AT_ONCE]):
            present[key_of(entity)] = entity
    stand_ins = present.keys() - keys  # a hold of an unknown scope is one on everyone
    return [Change(kind, key, present.get(key)) for key in (*keys, *stand_ins)]


def _change_rows(changes: Sequence[Change], revision: int, actor: str, at: float) -> list[dict[str, Any]]:
    return [
        {
            "revision": revision,
            "position": position,
            "kind": str(change.kind),
            "key": "/".join(change.key),
            "gone": change.value is None,
            "actor": actor,
            "at": at,
        }
        for position, change in enumerate(changes)
    ]
