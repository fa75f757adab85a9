"""Each contract test runs on every engine, each time with a database of its own."""

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from plantgate_hub.store import AesSealer, SqlStore, open_store
from plantgate_shared.secret import Secret
from tests.postgresql import PostgreSql, postgresql

SEALER = AesSealer(Secret(b"k" * 32))
_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSql]:
    with postgresql() as server:
        yield server


async def _create_database(server: PostgreSql, template: str = "template1") -> str:
    """The URL of a new database. The server goes away with all of them after the tests."""
    name = f"plantgate_{next(_numbers)}"
    connection = await asyncpg.connect(server.url("postgres"))
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    finally:
        await connection.close()
    return server.url(name)


def _run(work: Coroutine[Any, Any, str]) -> str:
    """Run it on an event loop of its own: the test that asked for the fixture has one already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def _migrated(url: str) -> str:
    await (await open_store(url, SEALER)).close()
    return url


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server) -> str:
    """A database with all tables, to copy: much faster than to migrate one for each test."""
    url = _run(_create_database(postgresql_server))
    return _run(_migrated(url)).rpartition("/")[2]


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory) -> Path:
    path: Path = tmp_path_factory.mktemp("template") / "hub.db"
    _run(_migrated(f"sqlite:///{path}"))
    return path


ENGINES = ["sqlite", "postgresql"]


@pytest.fixture(params=ENGINES)
async def empty_database(request, tmp_path) -> str:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'hub.db'}"
    return await _create_database(request.getfixturevalue("postgresql_server"))


@pytest.fixture(params=ENGINES)
async def database(request, tmp_path) -> str:
    """The URL of a database with its tables, and nothing in them."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "hub.db")
        return f"sqlite:///{tmp_path / 'hub.db'}"
    template = request.getfixturevalue("postgresql_template")
    return await _create_database(request.getfixturevalue("postgresql_server"), template)


@pytest.fixture
async def store(database) -> AsyncIterator[SqlStore]:
    opened = await open_store(database, SEALER, migrate=False)
    yield opened
    await opened.close()


@pytest.fixture
async def other(database, store) -> AsyncIterator[SqlStore]:
    """The same database as another node has it open."""
    opened = await open_store(database, SEALER, migrate=False)
    yield opened
    await opened.close()
