"""Two TunnelConnections that talk to each other: in memory, or over a real websocket on loopback."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from websockets.asyncio.client import connect

from plantgate_agent.channel import CONNECT_OPTIONS, WebsocketsChannel
from plantgate_hub.tunnel.channel import AiohttpChannel, prepare_websocket
from plantgate_shared.protocol import Role
from plantgate_shared.tunnel import MessageChannel, TunnelConnection, TunnelEnd
from tests.harness.memory_channel import MemoryChannel, channel_pair

PING: dict[str, Any] = {"ping_interval": 20.0, "ping_timeout": 20.0}
WAIT = 20.0
"""Deadline of everything that should happen at once."""


class Pair:
    """`hub` and `agent`, both running."""

    def __init__(self, hub: TunnelConnection, agent: TunnelConnection) -> None:
        self.hub = hub
        self.agent = agent
        self.hub_run = asyncio.create_task(hub.run())
        self.agent_run = asyncio.create_task(agent.run())
        self.channels: tuple[MemoryChannel, MemoryChannel]

    async def ends(self) -> tuple[TunnelEnd, TunnelEnd]:
        """Why both ended, once they have."""
        async with asyncio.timeout(WAIT):
            return await self.hub_run, await self.agent_run


@contextlib.asynccontextmanager
async def memory_pair(*, hub: dict[str, Any] | None = None, agent: dict[str, Any] | None = None) -> AsyncIterator[Pair]:
    """A pair in memory; `hub` and `agent` are arguments of their TunnelConnection."""
    hub_channel, agent_channel = channel_pair()
    pair = Pair(
        TunnelConnection(hub_channel, Role.SERVER, **PING | (hub or {})),
        TunnelConnection(agent_channel, Role.CLIENT, **PING | (agent or {})),
    )
    pair.channels = hub_channel, agent_channel
    async with _ending(pair):
        yield pair


@contextlib.asynccontextmanager
async def websocket_pair(
    *, hub: dict[str, Any] | None = None, agent: dict[str, Any] | None = None
) -> AsyncIterator[Pair]:
    """A pair over a websocket: aiohttp on the hub's side, websockets on the agent's."""
    made: asyncio.Future[MessageChannel] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def tunnel(request: web.Request) -> web.WebSocketResponse:
        websocket = prepare_websocket()
        await websocket.prepare(request)
        made.set_result(AiohttpChannel(websocket))
        await done.wait()
        return websocket

    application = web.Application()
    application.router.add_get("/tunnel/v1", tunnel)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        url = f"ws://127.0.0.1:{runner.addresses[0][1]}/tunnel/v1"
        async with connect(url, proxy=None, **CONNECT_OPTIONS) as websocket:
            pair = Pair(
                TunnelConnection(await made, Role.SERVER, **PING | (hub or {})),
                TunnelConnection(WebsocketsChannel(websocket), Role.CLIENT, **PING | (agent or {})),
            )
            async with _ending(pair):
                yield pair
    finally:
        done.set()
        await runner.cleanup()


@contextlib.asynccontextmanager
async def _ending(pair: Pair) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(3 * WAIT):  # no test may hang
            yield
    finally:
        pair.hub.close()
        pair.agent.close()
        await asyncio.wait({pair.hub_run, pair.agent_run}, timeout=WAIT)
