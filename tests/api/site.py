"""The API over loopback, as browsers and programs call it; every answer is held against the declared operation."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from plantgate_hub.access import SnapshotAccess
from plantgate_hub.api import PREFIX, ApiParts
from plantgate_hub.api.openapi import document, problems_of
from plantgate_hub.api.operation import API, Operation
from plantgate_hub.api.problems import STATUS, TYPE_PREFIX, Problem, ProblemDetails
from plantgate_hub.connected import Connected, Means
from plantgate_hub.diagnosis import Diagnosis, Sources
from plantgate_hub.domain.clients import ClientSettings
from plantgate_hub.domain.model import AgentId, PersonId, PlantId
from plantgate_hub.domain.pools import Pools
from plantgate_hub.domain.scopes import TokenScope
from plantgate_hub.identity.archive import SessionArchive
from plantgate_hub.identity.passwords import Passwords
from plantgate_hub.identity.tokens import ApiTokens
from plantgate_hub.services import Context, Services
from plantgate_hub.store import SnapshotFeed, SqlStore
from plantgate_hub.tunnel.registry import AgentRegistry
from plantgate_hub.web import SERVER_OPTIONS, SESSIONS, WebParts, build_web
from plantgate_shared.protocol.control import DeviceLookedFor, Presence
from plantgate_shared.secret import Secret
from tests.api.filled import Filled
from tests.harness.web_site import CONFIG, PORTAL, hub_of
from tests.services.conftest import Clock, quick_hash

OPERATIONS: dict[str, Operation] = {operation.name: operation for operation in API}
DOCUMENT = document()
ALL_SCOPES = frozenset(TokenScope)
OWN_PAGE = {"Origin": PORTAL, "Sec-Fetch-Site": "same-origin"}


class Tokens:
    """Every person's name is a token of theirs with all scopes, beside those that were made; tests add others."""

    def __init__(self, people: Mapping[str, str], made: ApiTokens) -> None:
        self.known = {name: (PersonId(id), ALL_SCOPES) for name, id in people.items()}
        self._made = made

    async def authenticate(self, token: str) -> tuple[PersonId, frozenset[TokenScope]] | None:
        return self.known.get(token) or await self._made.authenticate(token)


class PlantNetwork:
    """What the plants' agents see: nothing they can tell of, until `found`; asked, they wait for `answering`."""

    def __init__(self) -> None:
        self.found = Presence.UNKNOWN
        self.asked = 0
        self.answering = asyncio.Event()
        self.answering.set()

    async def look_for_device(self, _plant: PlantId, _address: IPv4Address, _timeout: float) -> DeviceLookedFor:
        self.asked += 1
        await self.answering.wait()
        return DeviceLookedFor(1, self.found)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def problem(self) -> Problem | None:
        """Which problem it is; None for success."""
        if self.status < 400:
            return None
        return Problem(self.json["type"].removeprefix(TYPE_PREFIX))


@dataclass
class ApiSite:
    world: Filled
    store: SqlStore
    services: Services
    feed: SnapshotFeed
    clock: Clock
    url: str
    client: aiohttp.ClientSession
    sessions: SessionArchive
    tokens: Tokens
    network: PlantNetwork
    online: set[AgentId] = field(default_factory=set)

    def id(self, name: str) -> str:
        return self.world.ids.get(name) or self.world.people[name]

    async def call(
        self,
        method: str,
        path: str,
        who: str = "ada",
        *,
        body: Any = None,
        raw: bytes | None = None,
        match: str | None = None,
        headers: Mapping[str, str] | None = None,
        operation: Operation | None = None,
    ) -> Reply:
        """One request with `who`'s token (empty: with none), checked against what its operation declares; `path` is
        sent as it is, and `operation` is found by it where none is given."""
        sent = {"Host": CONFIG.portal_host, **(headers or {})}
        if who:
            sent.setdefault("Authorization", f"Bearer {who}")
        if match is not None:
            sent["If-Match"] = match
        if body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            sent.setdefault("Content-Type", "application/json")
        url = URL(f"{self.url}{PREFIX}{path}", encoded=True)
        async with self.client.request(method, url, data=raw, headers=sent, allow_redirects=False) as response:
            reply = Reply(response.status, response.headers, await response.text())
        check(operation or find_operation(method, path), reply)
        return reply

    async def sign_in(self, name: str) -> dict[str, str]:
        """Headers of a browser in which `name` is signed in."""
        token = f"session-of-{name}"
        if await self.sessions.find(token, "") is None:
            await self.sessions.added(self.sessions.book.open(PersonId(self.world.people[name]), token, self.clock()))
        return {"Cookie": f"__Host-plantgate={token}"}

    async def revision(self) -> int:
        return await self.store.revision()

    async def etag(self, path: str, who: str = "ada") -> str:
        reply = await self.call("GET", path, who)
        assert reply.status == 200, reply.text
        return reply.headers["ETag"]


def find_operation(method: str, path: str) -> Operation | None:
    parts = path.partition("?")[0].split("/")
    for operation in API:
        pattern = operation.path.split("/")
        same = len(pattern) == len(parts) and all(
            own == part or own.startswith("{") for own, part in zip(pattern, parts, strict=True)
        )
        literal = [own for own in pattern if not own.startswith("{")]
        if operation.method == method and same and all(part in parts for part in literal):
            return operation
    return None


def check(operation: Operation | None, reply: Reply) -> None:
    """Every problem is one, and every answer is what the operation says it is."""
    assert reply.status < 500, reply.text
    assert "Server" not in reply.headers
    if reply.status >= 400:
        assert reply.headers["Content-Type"] == "application/problem+json", reply.headers
        details = ProblemDetails.model_validate_json(reply.text)
        assert details.status == reply.status
        assert details.type.startswith(TYPE_PREFIX)
        if operation is not None:
            declared = {STATUS[problem] for problem in problems_of(operation)}
            assert reply.status in declared, (operation.name, reply.text)
    elif operation is not None:
        responses = DOCUMENT["paths"][operation.path][operation.method.lower()]["responses"]
        assert str(reply.status) in responses, (operation.name, reply.status)
        if reply.status in (204, 304):
            assert reply.text == ""
        elif operation.answer is not None:
            assert reply.headers["Content-Type"] == "application/json", reply.headers
            operation.answer.model_validate_json(reply.text)
            assert ("ETag" in reply.headers) == operation.has_etag


@asynccontextmanager
async def api_site(store: SqlStore, world: Filled, clock: Clock) -> AsyncIterator[ApiSite]:
    services = Services(Context(store, Pools(), clock, quick_hash))
    passwords, online, network = Passwords(), set[AgentId](), PlantNetwork()
    tokens = Tokens(world.people, ApiTokens(store.accounts, clock))

    async def settings() -> ClientSettings:
        return ClientSettings("hub's key", "vpn.example.com:51820", await store.ipv6_prefix(), Pools(), 1380)

    async def no_vpn(_person: PersonId) -> None:
        return None

    async with SnapshotFeed(store, now=clock).running() as feed:
        registry = AgentRegistry()
        sources = Sources(lambda: feed.snapshot, lambda: online, no_vpn, network, registry, store, clock)
        connected = Connected(lambda: feed.snapshot, clock)
        connected.see(PersonId(world.people["sue"]), PlantId(world.ids["wind"]), Means.VPN, 3)
        parts = WebParts(
            CONFIG,
            SnapshotAccess(feed),
            store.credentials,
            store.sessions,
            registry,
            store,
            passwords,
            Secret(b"b" * 32),
            connected,
            now=clock,
            hub=hub_of(feed, registry, services, clock),
            api=ApiParts(services, feed, lambda: online, settings, tokens, Diagnosis(sources), connected),
        )
        app = build_web(parts)
        runner = web.AppRunner(app, shutdown_timeout=1.0, **SERVER_OPTIONS)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        url = f"http://{host}:{port}"
        async with aiohttp.ClientSession(url, cookie_jar=aiohttp.DummyCookieJar()) as client:
            yield ApiSite(world, store, services, feed, clock, url, client, app[SESSIONS], tokens, network, online)
        await runner.cleanup()
    passwords.close()
