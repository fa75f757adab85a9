"""A filled database, made once and copied for each test, and the API over it."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from plantgate_hub.domain.pools import Pools
from plantgate_hub.services import Context, Services
from plantgate_hub.store import open_store
from tests.api.filled import Filled, fill
from tests.api.site import ApiSite, api_site
from tests.services.conftest import SEALER, Clock, quick_hash


async def _fill(path: Path) -> Filled:
    clock = Clock()
    store = await open_store(f"sqlite:///{path}", SEALER, now=clock)
    world = await fill(Services(Context(store, Pools(), clock, quick_hash)), clock.now)
    await store.close()
    return world


@pytest.fixture(scope="session")
def filled(tmp_path_factory) -> tuple[Path, Filled]:
    path: Path = tmp_path_factory.mktemp("api") / "hub.db"
    return path, asyncio.run(_fill(path))


@pytest.fixture
async def site(filled, tmp_path) -> AsyncIterator[ApiSite]:
    path, world = filled
    shutil.copy(path, tmp_path / "hub.db")
    clock = Clock()
    store = await open_store(f"sqlite:///{tmp_path / 'hub.db'}", SEALER, migrate=False, now=clock)
    async with api_site(store, world, clock) as opened:
        yield opened
    await store.close()
