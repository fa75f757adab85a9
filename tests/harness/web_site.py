"""The hub's web application on loopback, with people and devices of the tests' own, and a browser to drive it."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Network
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qs, urljoin, urlsplit

import aiohttp
from aiohttp import web
from argon2 import PasswordHasher
from multidict import CIMultiDictProxy
from yarl import URL

from plantgate_hub.access import SnapshotAccess
from plantgate_hub.config import Web
from plantgate_hub.connected import Connected, Connection
from plantgate_hub.diagnosis import Diagnosis, Sources
from plantgate_hub.domain.clients import ClientSettings
from plantgate_hub.domain.impact import people_touched, plants_touched
from plantgate_hub.domain.model import (
    Device,
    DeviceId,
    Grant,
    Job,
    Membership,
    Organization,
    OrganizationId,
    OrgRole,
    Person,
    PersonId,
    Plant,
    PlantId,
    Scheme,
    TargetId,
    WebTarget,
)
from plantgate_hub.domain.pools import Pools
from plantgate_hub.domain.snapshot import Change, Snapshot, put, remove
from plantgate_hub.freshness import Freshness
from plantgate_hub.identity.archive import SessionArchive
from plantgate_hub.identity.passwords import Passwords
from plantgate_hub.identity.sessions import SessionPolicy
from plantgate_hub.identity.totp import STEP_SECONDS, code_at
from plantgate_hub.portal.desk import Hub
from plantgate_hub.ports import (
    Clock,
    PasswordRecord,
    SessionRecord,
    StreamProblem,
    Streams,
    StreamUnavailable,
    TotpRecord,
)
from plantgate_hub.services import Context, Services
from plantgate_hub.store import Update
from plantgate_hub.store.protocol import StoreUnavailable
from plantgate_hub.tunnel.registry import AgentRegistry
from plantgate_hub.web import SERVER_OPTIONS, SESSIONS, WebParts, build_web
from plantgate_shared.secret import Secret

PASSWORD = "a long enough password"
PASSWORD_HASH = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1).hash(PASSWORD)
TOTP_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
PLANT = PlantId("plant-1")
PORT = 8443
CONFIG = Web(port=PORT, public_port=PORT)
PORTAL = f"https://portal.localhost:{PORT}"
CLIENTS = ClientSettings("hub's key", "portal.localhost:51820", IPv6Network("fd00:1:2::/48"), Pools(), 1380)


def hub_of(feed: Any, registry: AgentRegistry, services: Services, now: Clock, streams: Streams | None = None) -> Hub:
    """The rest of the hub, for the portal; nothing is known of people's handshakes."""

    async def handshake(_person: PersonId) -> None:
        return None

    sources = Sources(
        snapshot=lambda: feed.snapshot,
        online=lambda: registry.online,
        handshake=handshake,
        presence=registry,
        streams=streams or registry,
        pins=Pins(),
        clock=now,
    )
    return Hub(feed, registry, services, CLIENTS, Diagnosis(sources))


def device_url(host: str, path: str = "/") -> str:
    return f"https://{host}.devices.localhost:{PORT}{path}"


class Feed:
    """A snapshot that tests change."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._listeners: list[Callable[[Update], None]] = []

    def on_update(self, listener: Callable[[Update], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def change(self, *changes: Change) -> None:
        before, self.snapshot = self.snapshot, self.snapshot.apply(changes, self.snapshot.revision + 1)
        touched = people_touched(before, self.snapshot, changes), plants_touched(before, self.snapshot, changes)
        for listener in tuple(self._listeners):
            listener(Update(before, self.snapshot, changes, *touched))


class MemoryCredentials:
    """Passwords and second factors in memory."""

    def __init__(self) -> None:
        self.passwords: dict[str, PasswordRecord] = {}
        self.totp: dict[PersonId, TotpRecord] = {}
        self.on_activation: Callable[[PersonId], None] = lambda _person: None

    async def password_of(self, email: str) -> PasswordRecord | None:
        return self.passwords.get(email)

    async def replace_password_hash(self, person: PersonId, password_hash: str, *, instead_of: str) -> None:
        for email, record in self.passwords.items():
            if record == PasswordRecord(person, instead_of):
                self.passwords[email] = PasswordRecord(person, password_hash)

    async def active_totp(self, person: PersonId) -> TotpRecord | None:
        return self.totp.get(person)

    async def activate_totp(self, person: PersonId, secret: str, step: int) -> bool:
        if person in self.totp:
            return False
        self.totp[person] = TotpRecord(secret, step)
        self.on_activation(person)
        return True

    async def replace_totp(self, person: PersonId, secret: str, step: int) -> bool:
        if person not in self.totp:
            return False
        self.totp[person] = TotpRecord(secret, step)
        return True

    async def use_totp_step(self, person: PersonId, step: int) -> bool:
        record = self.totp[person]
        if step <= record.last_step:
            return False
        self.totp[person] = TotpRecord(record.secret, step)
        return True


class NoAccounts:
    """Accounts of which there is nothing to tell."""

    async def unseen(self, _person: PersonId) -> tuple[()]:
        return ()

    async def sweep(self, _now: float) -> None: ...


class MemorySessions:
    """The store's session records in memory."""

    def __init__(self) -> None:
        self.records: dict[str, SessionRecord] = {}
        self.asked = 0
        self.away = False

    def _check(self) -> None:
        if self.away:
            raise StoreUnavailable("the store is away")

    async def add(self, session: SessionRecord) -> None:
        self._check()
        self.records[session.id] = session

    async def find(self, id: str, now: float) -> SessionRecord | None:
        self._check()
        self.asked += 1
        record = self.records.get(id)
        return record if record and record.expires > now else None

    async def touch(self, id: str, last_seen: float) -> bool:
        self._check()
        if id in self.records:
            self.records[id] = replace(self.records[id], last_seen=last_seen)
        return id in self.records

    async def pass_two_factor(self, id: str, at: float) -> bool:
        self._check()
        if id in self.records:
            self.records[id] = replace(self.records[id], two_factor_at=at)
        return id in self.records

    async def prove(self, id: str, at: float) -> bool:
        self._check()
        if id in self.records:
            self.records[id] = replace(self.records[id], proved_at=at)
        return id in self.records

    async def end(self, id: str) -> None:
        self._check()
        for record in tuple(self.records.values()):
            if id in (record.id, record.parent):
                del self.records[record.id]

    async def of_person(self, person: PersonId, now: float) -> tuple[SessionRecord, ...]:
        self._check()
        return tuple(record for record in self.records.values() if record.person == person and record.expires > now)

    async def sweep(self, now: float) -> int:
        self._check()
        gone = [id for id, record in self.records.items() if record.expires <= now]
        for id in gone:
            del self.records[id]
        return len(gone)


class LoopbackStream:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self, n: int, /) -> bytes:
        return await self._reader.read(n)

    async def write(self, data: bytes, /) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def write_eof(self) -> None:
        self._writer.write_eof()

    def reset(self, _reason: str) -> None:
        self._writer.transport.abort()


class LoopbackStreams:
    """An agent that reaches what tests put at (address, port) of a plant, and nothing else."""

    def __init__(self) -> None:
        self.places: dict[tuple[str, str, int], int] = {}
        self.dialled: list[tuple[str, str, int]] = []
        self.offline: set[str] = set()
        self.problem: StreamProblem | None = None

    def connected(self, plant: PlantId) -> bool:
        return plant not in self.offline

    async def open_stream(self, plant: PlantId, target: Mapping[str, object], timeout: float) -> LoopbackStream:  # noqa: ARG002
        where = (str(plant), str(target["host"]), int(str(target["port"])))
        self.dialled.append(where)
        if plant in self.offline:
            raise StreamUnavailable(StreamProblem.OFFLINE)
        if self.problem is not None:
            raise StreamUnavailable(self.problem)
        if where not in self.places:
            raise StreamUnavailable(StreamProblem.OUTSIDE)
        return LoopbackStream(*await asyncio.open_connection("127.0.0.1", self.places[where]))


class Pins:
    def __init__(self) -> None:
        self.pinned: dict[TargetId, str] = {}

    async def pin_first(self, target: TargetId, sha256: str) -> str:
        return self.pinned.setdefault(target, sha256)


@dataclass
class Received:
    """A request as the device got it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def values(self, name: str) -> list[str]:
        return [value for found, value in self.headers if found.lower() == name.lower()]


Answer = Callable[[Received, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class RawDevice:
    """A device's web server that answers exactly the bytes a test wants."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.answer: bytes | Answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
        self.connections = 0
        self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            received = await self._read(reader)
            self.requests.append(received)
            if isinstance(self.answer, bytes):
                writer.write(self.answer)
                await writer.drain()
            else:
                await self.answer(received, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _read(self, reader: asyncio.StreamReader) -> Received:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        pairs = [line.partition(":") for line in lines[1:] if line]
        received = Received(method, target, [(name, value.strip()) for name, _, value in pairs])
        lengths = received.values("Content-Length")
        if lengths:
            received.body = await reader.readexactly(int(lengths[0]))
        elif received.values("Transfer-Encoding"):
            while size := int(await reader.readline(), 16):
                received.body += await reader.readexactly(size)
                await reader.readline()
            await reader.readline()
        return received


@dataclass
class Page:
    """A response as the browser saw it."""

    url: str
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    redirects: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.body.decode()

    def cookies_set(self) -> list[str]:
        return self.headers.getall("Set-Cookie", [])


NAVIGATION = {
    "Sec-Fetch-Site": "none",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Accept": "text/html,*/*;q=0.8",
}


class Browser:
    """Keeps cookies per host like a browser, sends what one sends with a navigation or a form."""

    def __init__(self, site: "Site", session: aiohttp.ClientSession) -> None:
        self.site = site
        self.session = session
        self.cookies: dict[str, dict[str, str]] = {}

    def cookie_header(self, url: str) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.get(urlsplit(url).netloc, {}).items())

    @asynccontextmanager
    async def open(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, **options: object
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request, no redirects; cookies are sent and kept."""
        parts = urlsplit(url)
        sent = {"Host": parts.netloc, **(headers or {})}
        if (held := self.cookie_header(url)) and "Cookie" not in sent:
            sent["Cookie"] = held
        path = url.split(parts.netloc, 1)[1] or "/"
        where = URL(f"http://127.0.0.1:{self.site.port}{path}", encoded=True)
        async with self.session.request(
            method,
            where,
            headers=sent,
            allow_redirects=False,
            **options,  # type: ignore[arg-type]
        ) as response:
            self._keep(parts.netloc, response.headers.getall("Set-Cookie", []))
            yield response

    async def request(self, method: str, url: str, headers: Mapping[str, str] | None = None, **options: object) -> Page:
        async with self.open(method, url, headers, **options) as response:
            return Page(url, response.status, response.headers, await response.read())

    async def navigate(self, url: str, headers: Mapping[str, str] | None = None) -> Page:
        """Like typing an address: redirects are followed."""
        return await self._follow(await self.request("GET", url, {**NAVIGATION, **(headers or {})}))

    async def submit(self, url: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Page:
        """Send a form from its own page."""
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        own = {**NAVIGATION, "Sec-Fetch-Site": "same-origin", "Origin": origin}
        return await self._follow(await self.request("POST", url, {**own, **(headers or {})}, data=fields))

    async def sign_in(self, email: str, password: str = PASSWORD, start: str = PORTAL + "/", code: bool = True) -> Page:
        """From `start` through the sign-in pages, back to where it leads."""
        page = await self.navigate(start)
        form = {"email": email, "password": password, "next": next_of(page)}
        page = await self.submit(PORTAL + "/sign-in", form)
        if code and urlsplit(page.url).path == "/two-factor":
            page = await self.submit(PORTAL + "/two-factor", {"code": self.site.code(), "next": next_of(page)})
        return page

    async def _follow(self, page: Page) -> Page:
        redirects: list[str] = []
        while page.status in (302, 303) and len(redirects) < 10:
            url = urljoin(page.url, page.headers["Location"])
            redirects.append(url)
            page = await self.request("GET", url, {**NAVIGATION, "Sec-Fetch-Site": "cross-site"})
        page.redirects = redirects
        return page

    def _keep(self, host: str, set_cookies: list[str]) -> None:
        jar = self.cookies.setdefault(host, {})
        for line in set_cookies:
            first, *attributes = (part.strip() for part in line.split(";"))
            name, _, value = first.partition("=")
            if name.startswith("__Host-"):
                assert "Secure" in attributes
                assert "Path=/" in attributes
                assert not any(a.lower().startswith("domain") for a in attributes)
            if "Max-Age=0" in attributes:
                jar.pop(name, None)
            else:
                jar[name] = value


def next_of(page: Page) -> str:
    return parse_qs(urlsplit(page.url).query).get("next", ["/"])[0]


class Site:
    """The application, its world, and the clock it believes in."""

    def __init__(self) -> None:
        self.time = 1_700_000_010.0
        self.freshness = Freshness.FRESH
        self.alerts: list[Connection] = []
        self.credentials = MemoryCredentials()
        self.records = MemorySessions()
        self.streams = LoopbackStreams()
        self.pins = Pins()
        self.devices: dict[str, RawDevice] = {}
        self.port = 0
        organization = Organization(OrganizationId("org"), "Sonnenfeld Energie")
        self.feed = Feed(Snapshot.of([organization, Plant(PLANT, organization.id, "Solarpark Nord")]))
        self.connected = Connected(lambda: self.feed.snapshot, lambda: self.time, self.alerts.append)
        self.credentials.on_activation = lambda person: self.set_totp_active(person, True)
        self._servers: list[asyncio.Server] = []
        self._code_step = 0
        self.app: web.Application | None = None
        # Nothing of the tests that use this site changes anything by the services: their store is all but missing.
        services = Services(Context(cast(Any, SimpleNamespace(accounts=NoAccounts())), Pools(), lambda: self.time))
        self.agents = AgentRegistry()
        self.hub = hub_of(self.feed, self.agents, services, lambda: self.time)

    def code(self) -> str:
        """A code that was not used yet: time moves on by one step where needed."""
        step = int(self.time // STEP_SECONDS)
        if step <= self._code_step:
            self.time += (self._code_step + 1 - step) * STEP_SECONDS
            step = self._code_step + 1
        self._code_step = step
        return code_at(TOTP_SECRET, step)

    def add_person(self, name: str, job: Job | None, totp: bool = True, role: OrgRole = OrgRole.MEMBER) -> Person:
        person = Person(PersonId(name), f"{name}@example.org", name.title(), totp_active=totp)
        membership = Membership(person.id, OrganizationId("org"), role)
        self.feed.change(put(person), put(membership))
        if job is not None:
            self.feed.change(put(Grant(person.id, PLANT, job)))
        self.credentials.passwords[person.email] = PasswordRecord(person.id, PASSWORD_HASH)
        if totp:
            self.credentials.totp[person.id] = TotpRecord(TOTP_SECRET, -1)
        return person

    def person(self, name: str) -> Person:
        """As the snapshot knows the person now."""
        found = self.feed.snapshot.people.get(name)
        assert found is not None
        return found

    def set_totp_active(self, name: str, active: bool) -> None:
        self.feed.change(put(replace(self.person(name), totp_active=active)))

    @property
    def sessions(self) -> SessionArchive:
        assert self.app is not None
        return self.app[SESSIONS]

    def revoke(self, person: Person, job: Job) -> None:
        self.feed.change(remove(Grant(person.id, PLANT, job)))

    async def add_device(
        self,
        host: str,
        address: str,
        port: int = 80,
        scheme: Scheme = Scheme.HTTP,
        tls: ssl.SSLContext | None = None,
        **target: object,
    ) -> RawDevice:
        """A device with one web target, really listening on loopback."""
        device = RawDevice()
        server = await asyncio.start_server(device.serve, "127.0.0.1", 0, ssl=tls)
        self._servers.append(server)
        self.streams.places[(PLANT, address, port)] = server.sockets[0].getsockname()[1]
        identifier = DeviceId(f"device-{address}")
        self.feed.change(
            put(Device(identifier, PLANT, host.title(), IPv4Address(address))),
            put(WebTarget(TargetId(f"target-{host}"), identifier, host, scheme, port, **target)),  # type: ignore[arg-type]
        )
        self.devices[host] = device
        return device

    @asynccontextmanager
    async def running(self, policy: SessionPolicy | None = None) -> AsyncIterator["Site"]:
        passwords = Passwords()
        parts = WebParts(
            config=CONFIG,
            access=SnapshotAccess(self.feed, lambda: self.freshness),
            credentials=self.credentials,
            sessions=self.records,
            streams=self.streams,
            pins=self.pins,
            passwords=passwords,
            browser_key=Secret(b"k" * 32),
            connected=self.connected,
            session_policy=policy or SessionPolicy(),
            now=lambda: self.time,
            hub=self.hub,
        )

        async def hello_agent(request: web.Request) -> web.Response:
            return web.Response(text="tunnel")

        self.app = build_web(parts, [web.get("/tunnel/v1", hello_agent)])
        runner = web.AppRunner(self.app, shutdown_timeout=1.0, **SERVER_OPTIONS)
        await runner.setup()
        listener = web.TCPSite(runner, "127.0.0.1", 0)
        await listener.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()
            passwords.close()
            for server in self._servers:
                server.close()

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[Browser]:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False) as session:
            yield Browser(self, session)

    async def raw(self, request: bytes) -> bytes:
        """Send bytes as they are, read until the hub closes or has nothing more to say for a moment."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        answer = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                while data := await reader.read(65536):
                    answer += data
                    if b"\r\n\r\n" in answer and _complete(answer):
                        break
        writer.close()
        return answer


def _complete(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return length is not None and len(body) >= int(length.group(1))
