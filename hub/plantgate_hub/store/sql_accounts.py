"""Accounts on an SQL database: the part of a change (`SqlAccountChanges`), and what is read beside (`SqlAccounts`)."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ..domain.accounts import TOLD_AT_SIGN_IN, AccountEvent, AccountRecord, ApiToken, Invitation
from ..domain.model import Job, OrganizationId, OrgRole, PersonId
from ..domain.scopes import TokenScope
from . import tables
from .engines import translated
from .sealing import Sealer

if TYPE_CHECKING:
    from .sql import SqlStore

HISTORY_SECONDS = 730 * 86400.0
"""How long the accounts' history is kept: as long as the law asks of records of access."""
_RESET = "password reset"


def _invitation(row: Row[Any]) -> Invitation:
    return Invitation(
        id=row.id,
        organization=OrganizationId(row.organization),
        email=row.email,
        role=OrgRole(row.role),
        job=None if row.job is None else Job(row.job),
        inviter=row.inviter,
        created=row.created,
        expires=row.expires,
    )


def _token(row: Row[Any]) -> ApiToken:
    return ApiToken(
        id=row.id,
        person=PersonId(row.person),
        name=row.name,
        scopes=frozenset(TokenScope(scope) for scope in row.scopes.split()),
        created=row.created,
        expires=row.expires,
        last_used=row.last_used,
    )


def _record(row: Row[Any]) -> AccountRecord:
    event = AccountEvent(row.event)
    return AccountRecord(row.id, row.at, row.actor, event, row.person, row.organization, row.detail, row.seen)


class _Reading:
    """Queries that both halves answer, each on a connection of its own."""

    async def _rows(self, query: Any) -> list[Row[Any]]:
        raise NotImplementedError

    async def _one(self, query: Any) -> Row[Any] | None:
        rows = await self._rows(query)
        return rows[0] if rows else None

    async def invitation(self, hash: str) -> Invitation | None:
        row = await self._one(select(tables.invitations).where(tables.invitations.c.hash == hash))
        return None if row is None else _invitation(row)

    async def invitations(self, organization: OrganizationId) -> tuple[Invitation, ...]:
        table = tables.invitations
        query = select(table).where(table.c.organization == organization).order_by(table.c.created, table.c.id)
        return tuple(_invitation(row) for row in await self._rows(query))

    async def tokens_of(self, person: PersonId) -> tuple[ApiToken, ...]:
        table = tables.api_tokens
        query = select(table).where(table.c.person == person).order_by(table.c.created, table.c.id)
        return tuple(_token(row) for row in await self._rows(query))


class SqlAccountChanges(_Reading):
    """`accounts.AccountChanges` within one change."""

    def __init__(self, connection: AsyncConnection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer

    async def _run(self, statement: Any) -> Any:
        with translated():
            return await self._connection.execute(statement)

    async def _rows(self, query: Any) -> list[Row[Any]]:
        return list((await self._run(query)).all())

    async def add_invitation(self, invitation: Invitation, hash: str) -> None:
        names = ("id", "organization", "email", "role", "inviter", "created", "expires")
        row = {name: getattr(invitation, name) for name in names}
        job = None if invitation.job is None else int(invitation.job)
        await self._run(insert(tables.invitations).values({**row, "job": job, "hash": hash}))

    async def remove_invitation(self, id: str) -> bool:
        gone = await self._run(delete(tables.invitations).where(tables.invitations.c.id == id))
        return bool(gone.rowcount)

    async def add_reset(self, hash: str, person: PersonId, expires: float) -> None:
        row = {"hash": hash, "purpose": _RESET, "person": person, "expires": expires}
        empty = {"host": "", "session": "", "state": ""}
        await self._run(insert(tables.one_time_codes).values({**row, **empty}))

    async def take_reset(self, hash: str, now: float) -> PersonId | None:
        table = tables.one_time_codes
        which = (table.c.hash == hash, table.c.purpose == _RESET, table.c.expires > now)
        row = await self._one(delete(table).where(*which).returning(table.c.person))
        return None if row is None else PersonId(row.person)

    def _hash(self, person: PersonId, code: str) -> str:
        return self._sealer.digest(code.encode(), f"recovery/{person}")

    async def set_recovery_codes(self, person: PersonId, codes: Collection[str]) -> None:
        table = tables.recovery_codes
        await self._run(delete(table).where(table.c.person == person))
        if codes:
            rows = [{"person": person, "hash": self._hash(person, code)} for code in codes]
            await self._run(insert(table).values(rows))

    async def use_recovery_code(self, person: PersonId, code: str) -> int | None:
        table, hash = tables.recovery_codes, self._hash(person, code)
        gone = await self._run(delete(table).where(table.c.person == person, table.c.hash == hash))
        if not gone.rowcount:
            return None
        left = await self._run(select(func.count()).select_from(table).where(table.c.person == person))
        return int(left.scalar_one())

    async def add_token(self, token: ApiToken, hash: str) -> None:
        names = ("id", "person", "name", "created", "expires", "last_used")
        row = {name: getattr(token, name) for name in names}
        await self._run(
            insert(tables.api_tokens).values({**row, "scopes": " ".join(sorted(token.scopes)), "hash": hash})
        )

    async def remove_token(self, person: PersonId, id: str) -> ApiToken | None:
        table = tables.api_tokens
        row = await self._one(delete(table).where(table.c.person == person, table.c.id == id).returning(table))
        return None if row is None else _token(row)

    async def record(self, record: AccountRecord) -> None:
        names = ("id", "at", "actor", "person", "organization", "detail", "seen")
        row = {name: getattr(record, name) for name in names}
        await self._run(insert(tables.account_history).values({**row, "event": str(record.event)}))


class SqlAccounts(_Reading):
    """`accounts.Accounts`."""

    def __init__(self, store: "SqlStore") -> None:
        self._store = store

    async def _rows(self, query: Any) -> list[Row[Any]]:
        async with self._store.read() as connection:
            return list((await connection.execute(query)).all())

    async def _write(self, *statements: Any) -> None:
        async with self._store.write() as connection:
            with translated():
                for statement in statements:
                    await connection.execute(statement)

    async def reset(self, hash: str, now: float) -> PersonId | None:
        table = tables.one_time_codes
        which = (table.c.hash == hash, table.c.purpose == _RESET, table.c.expires > now)
        row = await self._one(select(table.c.person).where(*which))
        return None if row is None else PersonId(row.person)

    async def recovery_codes_left(self, person: PersonId) -> int:
        table = tables.recovery_codes
        (row,) = await self._rows(select(func.count()).select_from(table).where(table.c.person == person))
        return int(row[0])

    async def token(self, hash: str) -> ApiToken | None:
        row = await self._one(select(tables.api_tokens).where(tables.api_tokens.c.hash == hash))
        return None if row is None else _token(row)

    async def token_used(self, id: str, at: float) -> None:
        table = tables.api_tokens
        older = or_(table.c.last_used.is_(None), table.c.last_used < at)
        await self._write(update(table).where(table.c.id == id, older).values(last_used=at))

    async def history(self, limit: int, person: PersonId | None = None) -> tuple[AccountRecord, ...]:
        table = tables.account_history
        query = select(table).order_by(table.c.at.desc(), table.c.id.desc()).limit(limit)
        if person is not None:
            query = query.where(table.c.person == person)
        return tuple(_record(row) for row in reversed(await self._rows(query)))

    async def unseen(self, person: PersonId) -> tuple[AccountRecord, ...]:
        table = tables.account_history
        told = table.c.event.in_([str(event) for event in TOLD_AT_SIGN_IN])
        query = select(table).where(table.c.person == person, table.c.seen.is_(False), told)
        return tuple(_record(row) for row in await self._rows(query.order_by(table.c.at, table.c.id)))

    async def mark_seen(self, person: PersonId) -> None:
        table = tables.account_history
        await self._write(update(table).where(table.c.person == person, table.c.seen.is_(False)).values(seen=True))

    async def sweep(self, now: float) -> None:
        ending = (tables.invitations, tables.api_tokens, tables.one_time_codes)
        old = tables.account_history.c.at < now - HISTORY_SECONDS
        await self._write(
            *(delete(table).where(table.c.expires <= now) for table in ending),
            delete(tables.account_history).where(old),
        )
