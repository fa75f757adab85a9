"""The world of the VPN tests, made once."""

import os
from collections.abc import AsyncIterator

import pytest_asyncio

from tests.lab.lab import Lab

from .world import TOPOLOGY, World


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[World]:
    with Lab.up(TOPOLOGY, name=f"vpn-{os.getpid()}") as lab:
        made = await World.make(lab)
        await made.start()
        try:
            yield made
        finally:
            made.hub.kill()
