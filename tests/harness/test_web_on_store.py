"""Sign-in and proxy on what the hub really runs on: SQLite store, change feed, and a tunnel's streams."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pyotp
import pytest
from aiohttp import web

from plantgate_hub.access import SnapshotAccess
from plantgate_hub.connected import Connected
from plantgate_hub.domain.model import (
    AgentId,
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
    Scheme,
    TargetId,
    WebTarget,
)
from plantgate_hub.domain.pools import Pools
from plantgate_hub.domain.snapshot import key_of
from plantgate_hub.identity.passwords import Passwords
from plantgate_hub.services import Context, Services
from plantgate_hub.store import AesSealer, SnapshotFeed, SqlStore, open_store
from plantgate_hub.tunnel.registry import AgentRegistry, AgentState
from plantgate_hub.web import SERVER_OPTIONS, WebParts, build_web
from plantgate_shared.protocol import Role
from plantgate_shared.protocol.frames import ResetReason
from plantgate_shared.secret import Secret
from plantgate_shared.tunnel import TunnelConnection, TunnelStream
from tests.harness.device_certificates import device_context
from tests.harness.memory_channel import channel_pair
from tests.harness.web_site import (
    CONFIG,
    PASSWORD,
    PASSWORD_HASH,
    PLANT,
    PORTAL,
    Browser,
    RawDevice,
    Site,
    device_url,
    hub_of,
)

OLGA = Person(PersonId("olga"), "olga@example.org", "Olga")
GRANT = Grant(OLGA.id, PLANT, Job.OPERATOR)
ORGANIZATION = Organization(OrganizationId("org"), "Sonnenfeld Energie")
DEVICE = Device(DeviceId("d"), PLANT, "Inverter", IPv4Address("192.168.1.10"))
PLAIN = WebTarget(TargetId("t1"), DEVICE.id, "inverter", Scheme.HTTP, 80)
SECURE = WebTarget(TargetId("t2"), DEVICE.id, "inverter-tls", Scheme.HTTPS, 443)
XHR = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Accept": "*/*"}


async def fill(store: SqlStore) -> None:
    async with store.change("test") as change:
        membership = Membership(OLGA.id, ORGANIZATION.id, OrgRole.MEMBER)
        for entity in (ORGANIZATION, OLGA, membership, Plant(PLANT, ORGANIZATION.id, "Solarpark Nord"), GRANT):
            change.put(entity)
        for thing in (DEVICE, PLAIN, SECURE):
            change.put(thing)
        await change.set_password_hash(OLGA.id, PASSWORD_HASH)


class Gateway:
    """The far end of a tunnel whose devices listen on loopback."""

    def __init__(self) -> None:
        self.ports: dict[int, int] = {}

    async def serve(self, stream: TunnelStream, target: Mapping[str, Any]) -> None:
        if target["port"] not in self.ports:
            stream.reset(ResetReason.REFUSED)
            return
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[target["port"]])
        stream.accept()

        async def there() -> None:
            while data := await stream.read():
                writer.write(data)
                await writer.drain()

        async def back() -> None:
            while data := await reader.read(65536):
                await stream.write(data)
            await stream.write_eof()

        await asyncio.gather(there(), back(), return_exceptions=True)  # until the hub ends its direction too
        writer.close()


@asynccontextmanager
async def tunnel(registry: AgentRegistry, gateway: Gateway) -> AsyncIterator[None]:
    hub_end, agent_end = channel_pair()
    silence: dict[str, Any] = {"ping_interval": 30.0, "ping_timeout": 30.0}
    hub = TunnelConnection(hub_end, Role.SERVER, **silence)
    agent = TunnelConnection(agent_end, Role.CLIENT, on_stream=gateway.serve, **silence)
    tasks = [asyncio.create_task(hub.run()), asyncio.create_task(agent.run())]
    state = AgentState(AgentId("a"), PLANT, IPv4Address("240.0.0.5"), 1, 0.0)
    attached = SimpleNamespace(state=state, open_stream=hub.open_stream, end=lambda *_: None)
    registry.attach(cast(Any, attached))
    try:
        yield
    finally:
        registry.detach(cast(Any, attached))
        await hub_end.close()
        await asyncio.gather(*tasks, return_exceptions=True)


class World:
    def __init__(self, store: SqlStore, feed: SnapshotFeed, browser: Browser, device: RawDevice) -> None:
        self.store, self.feed, self.browser, self.device = store, feed, browser, device


@pytest.fixture
async def world(tmp_path) -> AsyncIterator[World]:
    store = await open_store(f"sqlite:///{tmp_path}/hub.db", AesSealer(Secret(b"k" * 32)))
    await fill(store)
    device, gateway, registry, passwords = RawDevice(), Gateway(), AgentRegistry(), Passwords()
    servers = [await asyncio.start_server(device.serve, "127.0.0.1", 0, ssl=tls) for tls in (None, device_context())]
    gateway.ports = {port: server.sockets[0].getsockname()[1] for port, server in zip((80, 443), servers, strict=True)}
    async with SnapshotFeed(store).running() as feed, tunnel(registry, gateway):
        parts = WebParts(
            CONFIG,
            SnapshotAccess(feed),
            store.credentials,
            store.sessions,
            registry,
            store,
            passwords,
            Secret(b"b" * 32),
            Connected(lambda: feed.snapshot, time.time),
            hub=hub_of(feed, registry, Services(Context(store, Pools())), time.time),
        )
        runner = web.AppRunner(build_web(parts), shutdown_timeout=1.0, **SERVER_OPTIONS)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        site = Site()
        site.port = runner.addresses[0][1]
        async with site.browser() as browser:
            yield World(store, feed, browser, device)
        await runner.cleanup()
    passwords.close()
    for server in servers:
        server.close()
    await store.close()


async def set_up_two_factor(browser: Browser) -> str:
    await browser.sign_in(OLGA.email, code=False)
    form = await browser.navigate(PORTAL + "/two-factor/set-up")
    secret = form.text.partition('class="secret">')[2].partition("<")[0].replace(" ", "")
    done = await browser.submit(PORTAL + "/two-factor/set-up", {"code": pyotp.TOTP(secret).now()})
    assert (done.status, done.url) == (200, PORTAL + "/")
    assert "not set up" not in done.text
    return secret


async def test_from_the_password_to_a_page_and_its_end(world: World):
    browser, device = world.browser, world.device
    page = await browser.sign_in(OLGA.email, PASSWORD, device_url("inverter"))
    assert page.status == 403  # no second factor yet
    assert not device.requests
    secret = await set_up_two_factor(browser)
    assert (await browser.navigate(device_url("inverter", "/a%2Fb"))).text == "hello"
    assert device.requests[-1].target == "/a%2Fb"

    async def endless(received, reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: x/y\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x" * 1000)
            await writer.drain()
            await asyncio.sleep(0.01)

    device.answer = endless
    async with browser.open("GET", device_url("inverter"), XHR) as download:
        await download.content.readexactly(1000)
        started = time.monotonic()
        async with world.store.change("test") as change:
            change.put(replace(GRANT, job=Job.VIEWER))
            change.remove(GRANT)
        with pytest.raises(aiohttp.ClientPayloadError):
            await asyncio.wait_for(download.content.read(), 10)
        assert time.monotonic() - started < 1.0
    page = await browser.navigate(device_url("inverter"))
    assert page.status == 403
    assert "Your job does not allow this" in page.text
    assert secret.encode() not in b"".join(path.read_bytes() for path in _files(world.store))


def _files(store: SqlStore):
    path = Path(str(store.engine.url.database))
    return [file for file in path.parent.iterdir() if file.name.startswith(path.name)]


async def test_a_code_is_used_up_in_the_store(world: World):
    browser = world.browser
    secret = await set_up_two_factor(browser)
    used = pyotp.TOTP(secret).now()
    await browser.submit(PORTAL + "/sign-out", {})
    await browser.submit(PORTAL + "/sign-in", {"email": OLGA.email, "password": PASSWORD})
    assert (await browser.submit(PORTAL + "/two-factor", {"code": used})).status == 403
    fresh = pyotp.TOTP(secret).at(int(time.time()) + 30)
    assert (await browser.submit(PORTAL + "/two-factor", {"code": fresh})).status == 200


async def test_a_certificate_is_pinned_in_the_store(world: World):
    await set_up_two_factor(world.browser)
    assert (await world.browser.navigate(device_url("inverter-tls"))).text == "hello"
    snapshot = await world.store.load_snapshot()
    target = snapshot.targets.get(*key_of(SECURE))
    assert target is not None
    assert len(target.pinned_sha256) == 64


async def test_ending_a_persons_sessions_in_the_store_ends_open_pages(world: World):
    browser = world.browser
    await set_up_two_factor(browser)
    assert (await browser.navigate(device_url("inverter"))).status == 200
    async with world.store.change("test") as change:
        await change.end_sessions(OLGA.id)
    revision = await world.store.revision()
    await world.feed.reaches(revision)
    assert (await browser.request("GET", device_url("inverter"), XHR)).status == 401


async def test_four_megabytes_each_way_through_the_tunnel(world: World):
    browser, device = world.browser, world.device
    await set_up_two_factor(browser)
    assert (await browser.navigate(device_url("inverter-tls"))).status == 200
    body = bytes(range(256)) * (4 << 12)
    device.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    for host in ("inverter", "inverter-tls"):
        await browser.navigate(device_url(host))
        page = await browser.request("POST", device_url(host), XHR, data=body)
        assert page.body == body
        assert device.requests[-1].body == body
