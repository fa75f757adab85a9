"""What the store keeps beside the snapshot: credentials, sessions, one-time codes, the plants' record."""

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.engine import CursorResult

from ..domain.accounts import AccountEvent, AccountRecord
from ..domain.model import PersonId, PlantId
from . import tables
from .engines import translated
from .ids import new_id
from .protocol import (
    EnrolmentCode,
    OneTimeCode,
    PasswordRecord,
    PlantEvent,
    PlantEventKind,
    SessionRecord,
    TotpRecord,
)
from .sealing import Sealer
from .statements import insert_missing

if TYPE_CHECKING:
    from .sql import SqlStore


def sealed_totp(sealer: Sealer, person: PersonId, secret: str) -> bytes:
    return sealer.seal(secret.encode(), f"totp/{person}")


def sealed_mac_key(sealer: Sealer, code: EnrolmentCode) -> bytes:
    return sealer.seal(code.mac_key, f"enrolment/{code.lookup_id}")


def enrolment_code(row: Row[Any], sealer: Sealer) -> EnrolmentCode:
    return EnrolmentCode(
        lookup_id=row.lookup_id,
        mac_key=sealer.open(bytes(row.mac_key), f"enrolment/{row.lookup_id}"),
        plant=PlantId(row.plant),
        name=row.name,
        created=row.created,
        expires=row.expires,
        used_at=row.used_at,
        agent=row.agent,
    )


def plant_event_row(event: PlantEvent) -> dict[str, Any]:
    return {
        "id": new_id(),
        "plant": event.plant,
        "at": event.at,
        "what": str(event.what),
        "person": event.person,
        "name": event.name,
        "detail": event.detail,
    }


class Side:
    """What the parts of the store beside the snapshot share."""

    def __init__(self, store: "SqlStore") -> None:
        self._store = store

    async def _write(self, *statements: Any) -> list[CursorResult[Any]]:
        """Run the statements in one transaction; results carry row counts."""
        async with self._store.write() as connection:
            with translated():
                return [await connection.execute(statement) for statement in statements]


class SqlCredentials(Side):
    async def password_of(self, email: str) -> PasswordRecord | None:
        people, table = tables.people, tables.credentials
        query = (
            select(people.c.id, table.c.password_hash)
            .select_from(people.outerjoin(table, table.c.person == people.c.id))
            .where(people.c.email == email)
        )
        async with self._store.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else PasswordRecord(PersonId(row.id), row.password_hash or "")

    async def replace_password_hash(self, person: PersonId, password_hash: str, *, instead_of: str) -> None:
        table = tables.credentials
        old = (table.c.person == person, table.c.password_hash == instead_of)
        await self._write(update(table).where(*old).values(password_hash=password_hash))

    async def active_totp(self, person: PersonId) -> TotpRecord | None:
        table = tables.credentials
        async with self._store.read() as connection:
            row = (await connection.execute(select(table).where(table.c.person == person))).one_or_none()
        if row is None or row.totp_secret is None:
            return None
        secret = self._store.sealer.open(bytes(row.totp_secret), f"totp/{person}").decode()
        return TotpRecord(secret, row.totp_last_step)

    async def activate_totp(self, person: PersonId, secret: str, step: int) -> bool:
        async with self._store.change(person) as change:
            account = change.snapshot.people.get(person)
            if account is None or account.totp_active:
                return False
            change.put(replace(account, totp_active=True))
            await change.set_totp(person, secret, step)
            await change.accounts.record(self._second_factor_set_up(person))
            return True

    async def replace_totp(self, person: PersonId, secret: str, step: int) -> bool:
        async with self._store.change(person) as change:
            account = change.snapshot.people.get(person)
            if account is None or not account.totp_active:
                return False
            await change.set_totp(person, secret, step)
            await change.accounts.record(self._second_factor_set_up(person))
            return True

    def _second_factor_set_up(self, person: PersonId) -> AccountRecord:
        event = AccountEvent.SECOND_FACTOR_SET_UP
        return AccountRecord(new_id(), self._store.now(), f"person {person}", event, person)

    async def use_totp_step(self, person: PersonId, step: int) -> bool:
        table = tables.credentials
        usable = (table.c.person == person, table.c.totp_secret.is_not(None), table.c.totp_last_step < step)
        (result,) = await self._write(update(table).where(*usable).values(totp_last_step=step))
        return result.rowcount == 1


_SESSION_FIELDS = tuple(field.name for field in fields(SessionRecord))


def _session(row: Row[Any]) -> SessionRecord:
    return SessionRecord(**{name: getattr(row, name) for name in _SESSION_FIELDS})


class SqlSessions(Side):
    async def add(self, session: SessionRecord) -> None:
        row = {name: getattr(session, name) for name in _SESSION_FIELDS}
        await self._write(insert(tables.sessions).values(row))

    async def find(self, id: str, now: float) -> SessionRecord | None:
        table = tables.sessions
        async with self._store.read() as connection:
            query = select(table).where(table.c.id == id, table.c.expires > now)
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _session(row)

    async def touch(self, id: str, last_seen: float) -> bool:
        table = tables.sessions
        # Nodes report in any order; the latest use counts.
        value = func.max if self._store.engine.dialect.name == "sqlite" else func.greatest
        statement = update(table).where(table.c.id == id).values(last_seen=value(table.c.last_seen, last_seen))
        (result,) = await self._write(statement)
        return result.rowcount == 1

    async def pass_two_factor(self, id: str, at: float) -> bool:
        table = tables.sessions
        (result,) = await self._write(update(table).where(table.c.id == id).values(two_factor_at=at))
        return result.rowcount == 1

    async def prove(self, id: str, at: float) -> bool:
        table = tables.sessions
        (result,) = await self._write(update(table).where(table.c.id == id).values(proved_at=at))
        return result.rowcount == 1

    async def end(self, id: str) -> None:
        async with self._store.change("session") as change:
            await change.end_session(id)

    async def of_person(self, person: PersonId, now: float) -> tuple[SessionRecord, ...]:
        table = tables.sessions
        query = select(table).where(table.c.person == person, table.c.expires > now).order_by(table.c.created)
        async with self._store.read() as connection:
            return tuple(_session(row) for row in await connection.execute(query))

    async def sweep(self, now: float) -> int:
        (result,) = await self._write(delete(tables.sessions).where(tables.sessions.c.expires <= now))
        return result.rowcount


class SqlCodes(Side):
    async def add(self, code: OneTimeCode) -> None:
        names = ("hash", "purpose", "person", "expires", "host", "session", "state")
        async with self._store.write() as connection:
            with translated():
                await insert_missing(connection, tables.one_time_codes, {n: getattr(code, n) for n in names})

    async def consume(self, hash: str, now: float) -> OneTimeCode | None:
        table = tables.one_time_codes
        async with self._store.write() as connection:
            with translated():
                row = (
                    await connection.execute(delete(table).where(table.c.hash == hash).returning(table))
                ).one_or_none()
        if row is None or row.expires <= now:
            return None
        return OneTimeCode(row.hash, row.purpose, row.person, row.expires, row.host, row.session, row.state)

    async def sweep(self, now: float) -> int:
        table = tables.one_time_codes
        (result,) = await self._write(delete(table).where(table.c.expires <= now))
        return result.rowcount


class SqlPlantEvents(Side):
    async def add(self, event: PlantEvent) -> None:
        await self._write(insert(tables.plant_events).values(plant_event_row(event)))

    async def of_plant(self, plant: PlantId, limit: int = 100) -> tuple[PlantEvent, ...]:
        table = tables.plant_events
        query = select(table).where(table.c.plant == plant).order_by(table.c.at.desc(), table.c.id.desc()).limit(limit)
        async with self._store.read() as connection:
            rows = (await connection.execute(query)).all()
        return tuple(
            PlantEvent(PlantId(r.plant), r.at, PlantEventKind(r.what), r.person, r.name, r.detail)
            for r in reversed(rows)
        )

    async def sweep(self, before: float) -> int:
        (result,) = await self._write(delete(tables.plant_events).where(tables.plant_events.c.at < before))
        return result.rowcount
