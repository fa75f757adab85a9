"""One change in the making on an SQL store: collects what changes and writes it in an order the references allow."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..domain.model import AgentId, PersonId, PlantId
from ..domain.snapshot import Change, Entity, Key, Kind, Snapshot, put, remove
from . import tables
from .engines import translated
from .protocol import Counter, EnrolmentCode, PlantEvent
from .rows import CODECS
from .sealing import Sealer
from .side import enrolment_code, plant_event_row, sealed_mac_key, sealed_totp
from .sql_accounts import SqlAccountChanges
from .statements import upsert

_ORDER = {kind: position for position, kind in enumerate(Kind)}


class SqlChange:
    """`protocol.ChangeTransaction` on an SQL database."""

    def __init__(self, connection: AsyncConnection, snapshot: Snapshot, sealer: Sealer) -> None:
        self._connection = connection
        self._snapshot = snapshot
        self._sealer = sealer
        self._changes: dict[tuple[Kind, Key], Change] = {}
        self._pending: list[Change] = []
        self.accounts = SqlAccountChanges(connection, sealer)

    @property
    def snapshot(self) -> Snapshot:
        if self._pending:
            self._snapshot = self._snapshot.apply(self._pending)
            self._pending = []
        return self._snapshot

    def put(self, entity: Entity) -> None:
        self._add(put(entity))

    def remove(self, entity: Entity) -> None:
        self._add(remove(entity))

    def changes(self) -> tuple[Change, ...]:
        """What changed so far, each key once."""
        return tuple(self._changes.values())

    def _add(self, change: Change) -> None:
        self._changes[change.kind, change.key] = change
        if change.kind is not Kind.SESSION:
            self._pending.append(change)

    async def write_entities(self) -> None:
        """Rows go before those they refer to, and come after them."""
        changes = [change for change in self._changes.values() if change.kind is not Kind.SESSION]
        for kind in sorted({change.kind for change in changes}, key=_ORDER.__getitem__, reverse=True):
            await self._delete(kind, [c.key for c in changes if c.kind is kind and c.value is None])
        for kind in sorted({change.kind for change in changes}, key=_ORDER.__getitem__):
            await self._upsert(kind, [c.value for c in changes if c.kind is kind and c.value is not None])

    async def _delete(self, kind: Kind, keys: Sequence[Key]) -> None:
        codec = CODECS[kind]
        columns = list(codec.table.primary_key.columns)
        for key in keys:
            await self._connection.execute(
                delete(codec.table).where(tuple_(*columns) == tuple_(*codec.key_values(key)))
            )

    async def _upsert(self, kind: Kind, entities: Sequence[Entity]) -> None:
        if not entities:
            return
        codec = CODECS[kind]
        await upsert(self._connection, codec.table, [codec.encode(entity) for entity in entities])
        if kind is Kind.SERVICE:
            await self._assign_plants(entities)

    async def _assign_plants(self, services: Sequence[Entity]) -> None:
        table = tables.service_plants
        ids = [service.id for service in services]  # type: ignore[union-attr]
        await self._connection.execute(delete(table).where(table.c.service.in_(ids)))
        rows = [{"service": s.id, "plant": plant} for s in services for plant in sorted(s.plants)]  # type: ignore[union-attr]
        if rows:
            await self._connection.execute(insert(table), rows)

    async def counter(self, name: Counter) -> int:
        table = tables.counters
        with translated():
            query = select(table.c.value).where(table.c.name == str(name))
            return int((await self._connection.execute(query)).scalar_one_or_none() or 0)

    async def set_counter(self, name: Counter, value: int) -> None:
        with translated():
            await upsert(self._connection, tables.counters, [{"name": str(name), "value": value}])

    async def set_password_hash(self, person: PersonId, password_hash: str) -> None:
        await self._set_credentials(person, password_hash=password_hash)

    async def set_totp(self, person: PersonId, secret: str, last_step: int = -1) -> None:
        sealed = sealed_totp(self._sealer, person, secret) if secret else None
        await self._set_credentials(person, totp_secret=sealed, totp_last_step=last_step)

    async def _set_credentials(self, person: PersonId, **values: object) -> None:
        with translated():
            await self._flush_person(person)
            await upsert(self._connection, tables.credentials, [{"person": person, **values}])

    async def _flush_person(self, person: PersonId) -> None:
        """A person who is new in this change must be there before what refers to it."""
        change = self._changes.get((Kind.PERSON, (person,)))
        if change is not None and change.value is not None:
            await self._upsert(Kind.PERSON, [change.value])

    async def end_session(self, id: str) -> None:
        table = tables.sessions
        await self._end(or_(table.c.id == id, table.c.parent == id))

    async def end_sessions(self, person: PersonId) -> None:
        await self._end(tables.sessions.c.person == person)
        codes = tables.one_time_codes
        with translated():
            await self._connection.execute(delete(codes).where(codes.c.person == person))
        self._add(Change(Kind.SESSION, ("person", person)))

    async def _end(self, which: ColumnElement[bool]) -> None:
        with translated():
            ended = await self._connection.execute(delete(tables.sessions).where(which).returning(tables.sessions.c.id))
            for row in ended.all():
                self._add(Change(Kind.SESSION, (row.id,)))

    async def record(self, event: PlantEvent) -> None:
        with translated():
            await self._connection.execute(insert(tables.plant_events).values(plant_event_row(event)))

    async def add_enrolment_code(self, code: EnrolmentCode) -> None:
        row = {
            "lookup_id": code.lookup_id,
            "mac_key": sealed_mac_key(self._sealer, code),
            "plant": code.plant,
            "name": code.name,
            "created": code.created,
            "expires": code.expires,
            "used_at": code.used_at,
            "agent": code.agent,
        }
        with translated():
            await self._connection.execute(insert(tables.enrolment_codes).values(row))

    async def enrolment_code(self, lookup_id: str) -> EnrolmentCode | None:
        table = tables.enrolment_codes
        with translated():
            query = select(table).where(table.c.lookup_id == lookup_id)
            row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else enrolment_code(row, self._sealer)

    async def open_enrolment_codes(self, plant: PlantId, now: float) -> tuple[EnrolmentCode, ...]:
        table = tables.enrolment_codes
        still = (table.c.plant == plant, table.c.used_at.is_(None), table.c.expires > now)
        with translated():
            rows = await self._connection.execute(select(table).where(*still).order_by(table.c.created))
        return tuple(enrolment_code(row, self._sealer) for row in rows)

    async def remove_enrolment_code(self, lookup_id: str) -> None:
        with translated():
            table = tables.enrolment_codes
            await self._connection.execute(delete(table).where(table.c.lookup_id == lookup_id))

    async def use_enrolment_code(self, lookup_id: str, agent: AgentId, now: float) -> EnrolmentCode | None:
        table = tables.enrolment_codes
        statement = (
            update(table)
            .where(table.c.lookup_id == lookup_id, table.c.used_at.is_(None), table.c.expires > now)
            .values(used_at=now, agent=agent)
            .returning(table)
        )
        with translated():
            row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else enrolment_code(row, self._sealer)
