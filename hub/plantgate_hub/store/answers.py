"""Answers to requests that may be sent twice, kept under the keys that their senders chose."""

from sqlalchemy import delete, select, update

from ..domain.model import PersonId
from . import tables
from .engines import translated
from .protocol import KeptAnswer
from .side import Side
from .statements import insert_missing

MAX_PER_PERSON = 1000
"""Answers kept for one person; beyond it the oldest are forgotten."""


class SqlAnswers(Side):
    """`protocol.Answers` on an SQL database."""

    async def begin(
        self, person: PersonId, key: str, fingerprint: str, now: float, expires: float
    ) -> KeptAnswer | None:
        table = tables.kept_answers
        own = (table.c.person == person, table.c.key == key)
        row = {"person": person, "key": key, "fingerprint": fingerprint, "body": None, "expires": expires}
        async with self._store.write() as connection:
            with translated():
                await connection.execute(delete(table).where(table.c.expires <= now))
                if not await insert_missing(connection, table, row):
                    found = (await connection.execute(select(table).where(*own))).one()
                    return KeptAnswer(found.fingerprint, found.body)
                newest = select(table.c.key).where(table.c.person == person).order_by(table.c.expires.desc())
                spare = (await connection.execute(newest.offset(MAX_PER_PERSON))).scalars().all()
                if spare:
                    await connection.execute(delete(table).where(table.c.person == person, table.c.key.in_(spare)))
        return None

    async def finish(self, person: PersonId, key: str, body: str) -> None:
        table = tables.kept_answers
        await self._write(update(table).where(table.c.person == person, table.c.key == key).values(body=body))

    async def forget(self, person: PersonId, key: str) -> None:
        table = tables.kept_answers
        await self._write(delete(table).where(table.c.person == person, table.c.key == key))
