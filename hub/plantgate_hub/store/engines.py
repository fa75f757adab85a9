"""Connections to SQLite and PostgreSQL: what differs between the two stays in here."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from plantgate_shared.errors import ConfigError, Conflict

from .protocol import StoreUnavailable

BUSY_TIMEOUT = 5.0
"""Seconds a writer waits for another process's write on SQLite before it gives up."""
CONNECT_TIMEOUT = 5.0
COMMAND_TIMEOUT = 10.0
"""Seconds PostgreSQL may take to answer; a server behind a dead network is then 'away', not 'slow'."""

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}


def parse_url(text: str) -> URL:
    """The database URL with the driver we use. Raises ConfigError."""
    try:
        url = make_url(text)
    except ArgumentError:
        raise ConfigError(
            "the database URL cannot be read", hint="sqlite:////absolute/path or postgresql://user@host/name"
        ) from None
    backend = url.get_backend_name()
    if backend not in _DRIVERS:
        raise ConfigError(f"there is no store for {backend!r} databases", hint="use sqlite or postgresql")
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        raise ConfigError("the SQLite store needs a file", hint="sqlite:////absolute/path")
    return url.set(drivername=_DRIVERS[backend])


def make_engine(url: URL) -> AsyncEngine:
    return _sqlite(url) if url.get_backend_name() == "sqlite" else _postgresql(url)


def reading(engine: AsyncEngine) -> AsyncEngine:
    """The same engine for transactions that only read: all their statements see one state."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(plantgate_reading=True)
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _sqlite(url: URL) -> AsyncEngine:
    path = Path(str(url.database))
    try:  # it holds password hashes: nobody else reads it
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise ConfigError(
            f"cannot open the database {path}: {error.strerror}", hint="its folder must exist and be writable"
        ) from None
    engine = create_async_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT})

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        cursor = connection.cursor()
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",  # a revocation that was confirmed survives a power cut
            "foreign_keys = ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        # A transaction that reads first and writes later would fail at once where another wrote in between
        # (SQLITE_BUSY_SNAPSHOT, no waiting): writers therefore take the write lock at their beginning.
        only_reads = connection.get_execution_options().get("plantgate_reading", False)
        connection.exec_driver_sql("BEGIN" if only_reads else "BEGIN IMMEDIATE")

    return engine


def _postgresql(url: URL) -> AsyncEngine:
    return create_async_engine(
        url,
        hide_parameters=True,  # an error with its traceback goes into the log; hashes and sealed secrets do not
        pool_size=5,
        max_overflow=5,
        pool_timeout=CONNECT_TIMEOUT,
        pool_pre_ping=True,  # the server may have been restarted since
        connect_args={"timeout": CONNECT_TIMEOUT, "command_timeout": COMMAND_TIMEOUT},
    )


@contextmanager
def translated() -> Iterator[None]:
    """Turns what drivers raise into our errors: Conflict for what must be unique, else StoreUnavailable."""
    try:
        yield
    except IntegrityError as error:
        raise Conflict(_what_clashes(str(error.orig))) from error
    except (DBAPIError, PoolTimeout, OSError, TimeoutError) as error:
        cause = getattr(error, "orig", None) or error
        raise StoreUnavailable(
            f"the store does not answer: {cause or type(cause).__name__}", hint="is the database up?"
        ) from error


def _what_clashes(detail: str) -> str:
    """One sentence from 'UNIQUE constraint failed: people.email' or '… unique constraint "uq_people_email"'."""
    name = ""
    with suppress(IndexError):
        name = (
            detail.split("failed: ")[1].split(",")[0]
            if "failed: " in detail
            else detail.split('"')[1].partition("_")[2]
        )
    if "unique" in detail.lower() or "duplicate" in detail.lower():
        return f"something with the same {name.replace('.', ' ').replace('_', ' ').strip()} exists already"
    return "something that this refers to, or that refers to this, is in the way"
