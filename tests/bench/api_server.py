"""The hub's site with its REST API on one processor, over a full-size SQLite store; for the benchmark `api-requests`.

Prints the port it listens on, serves until its standard input ends, and prints then how long it took over each request.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from plantgate_hub.access import SnapshotAccess
from plantgate_hub.api import ApiParts
from plantgate_hub.config import Web
from plantgate_hub.connected import Connected
from plantgate_hub.domain.clients import ClientSettings
from plantgate_hub.domain.model import PersonId
from plantgate_hub.domain.pools import Pools
from plantgate_hub.domain.scopes import TokenScope
from plantgate_hub.domain.snapshot import Entity
from plantgate_hub.identity.passwords import Passwords
from plantgate_hub.services import Context, Services
from plantgate_hub.store import AesSealer, SnapshotFeed, SqlStore, open_store
from plantgate_hub.tunnel.registry import AgentRegistry
from plantgate_hub.web import SERVER_OPTIONS, WebParts, build_web
from plantgate_shared.secret import Secret
from tests.harness.web_site import hub_of

from .snapshot import world

HOST = "portal.localhost"


class EveryonesName:
    """A person's id is their token."""

    async def authenticate(self, token: str) -> tuple[PersonId, frozenset[TokenScope]] | None:
        return PersonId(token), frozenset(TokenScope)


@asynccontextmanager
async def full_store(entities: Iterable[Entity]) -> AsyncIterator[SqlStore]:
    """A store on disk with these entities."""
    with tempfile.TemporaryDirectory(prefix="plantgate-bench-") as folder:
        store = await open_store(f"sqlite:///{Path(folder) / 'hub.db'}", AesSealer(Secret(b"k" * 32)))
        async with store.change("bench") as change:
            for entity in entities:
                change.put(entity)
        yield store
        await store.close()


async def application(
    store: SqlStore, feed: SnapshotFeed, passwords: Passwords, config: Web | None = None
) -> web.Application:
    registry, services = AgentRegistry(), Services(Context(store, Pools()))
    clients = ClientSettings("hub's key", "vpn.example.com:51820", await store.ipv6_prefix(), Pools(), 1380)

    async def settings() -> ClientSettings:
        return clients

    return build_web(
        WebParts(
            config or Web(portal_host=HOST),
            SnapshotAccess(feed),
            store.credentials,
            store.sessions,
            registry,
            store,
            passwords,
            Secret(b"b" * 32),
            Connected(lambda: feed.snapshot, time.time),
            hub=hub_of(feed, registry, services, time.time),
            api=ApiParts(services, feed, lambda: registry.online, settings, EveryonesName()),
        )
    )


async def serve() -> None:
    times: list[float] = []

    @web.middleware
    async def timed(request: web.Request, handler: Any) -> web.StreamResponse:
        started = time.perf_counter()
        try:
            response: web.StreamResponse = await handler(request)
            return response
        finally:
            times.append(time.perf_counter() - started)

    passwords = Passwords()
    async with full_store(world()) as store, SnapshotFeed(store).running() as feed:
        app = await application(store, feed, passwords)
        app.middlewares.insert(0, timed)
        runner = web.AppRunner(app, shutdown_timeout=1.0, **SERVER_OPTIONS)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        used = time.process_time()
        await asyncio.to_thread(sys.stdin.read)
        print(json.dumps({"times": times, "cpu": time.process_time() - used}), flush=True)
        await runner.cleanup()
    passwords.close()


if __name__ == "__main__":
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    asyncio.run(serve())
