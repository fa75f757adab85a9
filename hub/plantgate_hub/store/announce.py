"""Announcements of changes: in process at once, and between processes by PostgreSQL's LISTEN/NOTIFY.

They only make things fast. A notification can be lost (the connection breaks), and another process on the same SQLite
file sends none: so whoever follows the store also polls its revision.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

CHANNEL = "plantgate"
_RETRY = 1.0
_KEEPALIVE = 10.0
"""Seconds between looks at whether the listening connection still answers."""


class Announcements:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._listeners: set[Callable[[], None]] = set()
        self._task: asyncio.Task[None] | None = None

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def announce(self) -> None:
        for listener in tuple(self._listeners):
            listener()

    async def notify(self, connection: AsyncConnection, revision: int) -> None:
        """Have the database tell other processes when the transaction is committed."""
        if self._engine.dialect.name == "postgresql":
            await connection.execute(
                text("SELECT pg_notify(:channel, :revision)").bindparams(channel=CHANNEL, revision=str(revision))
            )

    async def start(self) -> None:
        if self._engine.dialect.name == "postgresql":
            self._task = asyncio.create_task(self._listen_forever(), name="store notifications")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _listen_forever(self) -> None:
        while True:
            with suppress(Exception):  # polling goes on meanwhile and reports a store that is away
                await self._listen_once()
            await asyncio.sleep(_RETRY)

    async def _listen_once(self) -> None:
        engine = create_async_engine(
            self._engine.url, poolclass=NullPool, connect_args={"timeout": 5, "command_timeout": 10}
        )
        async with engine.connect() as connection:
            raw: Any = (await connection.get_raw_connection()).driver_connection
            await raw.add_listener(CHANNEL, lambda *_: self.announce())
            self.announce()  # what came before the connection was there
            while True:
                await asyncio.sleep(_KEEPALIVE)
                await raw.execute("SELECT 1")
