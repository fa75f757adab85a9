"""The hub's web application on a real store, with people whose accounts the tests change through its pages."""

import asyncio
import atexit
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Address
from pathlib import Path

from aiohttp import web

from plantgate_hub.access import SnapshotAccess
from plantgate_hub.connected import Connected
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
    Scheme,
    TargetId,
    WebTarget,
)
from plantgate_hub.domain.pools import Pools
from plantgate_hub.identity.passwords import Passwords
from plantgate_hub.identity.tokens import ApiTokens
from plantgate_hub.identity.totp import STEP_SECONDS, code_at
from plantgate_hub.mail import Letter, Outbox
from plantgate_hub.services import CONSOLE, Context, Services
from plantgate_hub.store import AesSealer, SnapshotFeed, SqlStore, open_store
from plantgate_hub.tunnel.registry import AgentRegistry
from plantgate_hub.web import SERVER_OPTIONS, WebParts, build_web
from plantgate_shared.secret import Secret
from tests.harness.web_site import (
    CONFIG,
    PASSWORD,
    PASSWORD_HASH,
    PLANT,
    PORTAL,
    Browser,
    LoopbackStreams,
    Page,
    RawDevice,
    Site,
    hub_of,
)

ORGANIZATION = Organization(OrganizationId("org"), "Sonnenfeld Energie")
SEALER = AesSealer(Secret(b"k" * 32))
NEW_PASSWORD = "a brand new password"


@dataclass
class MemoryMailer:
    letters: list[Letter] = field(default_factory=list)

    async def send(self, letter: Letter) -> None:
        self.letters.append(letter)


@dataclass
class AccountSite:
    """Ada is Administrator, Mod Moderator, Tom a member with Operator on the plant; their second factors are set up by
    `with_second_factor`."""

    store: SqlStore
    feed: SnapshotFeed
    services: Services
    mailer: MemoryMailer
    web: Site
    tokens: ApiTokens
    now: float = 1_700_000_010.0
    secrets: dict[str, str] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    servers: list[asyncio.Server] = field(default_factory=list)

    async def with_second_factor(self, name: str) -> None:
        enrolment = await self.services.people.enrol_totp(CONSOLE, PersonId(name))
        self.secrets[name] = enrolment.secret
        await self.caught_up()

    def code(self, name: str) -> str:
        """One that was not used yet: time moves on by one step where needed."""
        step = max(int(self.now // STEP_SECONDS), self.steps.get(name, 0) + 1)
        self.now = max(self.now, step * STEP_SECONDS)
        self.steps[name] = step
        return code_at(self.secrets[name], step)

    async def serve_device(self, device: RawDevice) -> None:
        """Put it where the plant's inverter is."""
        server = await asyncio.start_server(device.serve, "127.0.0.1", 0)
        self.servers.append(server)
        self.web.streams.places[(PLANT, "192.168.1.10", 80)] = server.sockets[0].getsockname()[1]

    async def caught_up(self) -> None:
        """The node knows all that was changed."""
        await self.feed.reaches(await self.store.revision())

    async def letters(self) -> list[Letter]:
        await self.services.context.outbox.flush()
        return self.mailer.letters

    @asynccontextmanager
    async def browser(self, name: str = "", password: str = PASSWORD) -> AsyncIterator[Browser]:
        """A browser of its own; somebody signs in with it if named."""
        async with self.web.browser() as browser:
            if name:
                await self.sign_in(browser, name, password)
            yield browser

    async def sign_in(self, browser: Browser, name: str, password: str = PASSWORD) -> Page:
        page = await post(browser, "/sign-in", email=f"{name}@example.org", password=password)
        if "/two-factor" in page.url and name in self.secrets:
            page = await post(browser, "/two-factor", code=self.code(name))
        return page


async def get(browser: Browser, path: str) -> Page:
    return await browser.navigate(PORTAL + path)


async def post(browser: Browser, path: str, **fields: str) -> Page:
    return await browser.submit(PORTAL + path, fields)


def link_in(text: str) -> str:
    """The path of the one-time link in a letter or a page."""
    found = re.search(r"https://portal\.localhost:\d+(/\S+?code=[\w-]+)", text)
    assert found, text
    return found.group(1)


def secret_in(page: Page) -> str:
    """What stands in the page to be copied."""
    found = re.search(r'class="secret"[^>]*>([^<]+)<', page.text)
    assert found, page.text
    return found.group(1)


async def fill(store: SqlStore) -> None:
    device = Device(DeviceId("d"), PLANT, "Inverter", IPv4Address("192.168.1.10"))
    roles = {"ada": OrgRole.ADMINISTRATOR, "mod": OrgRole.MODERATOR, "tom": OrgRole.MEMBER}
    async with store.change("test") as change:
        change.put(ORGANIZATION)
        change.put(Plant(PLANT, ORGANIZATION.id, "Solarpark Nord"))
        for name in (*roles, "sue"):
            change.put(Person(PersonId(name), f"{name}@example.org", name.title()))
            await change.set_password_hash(PersonId(name), PASSWORD_HASH)
        for name, role in roles.items():
            change.put(Membership(PersonId(name), ORGANIZATION.id, role))
        change.put(Grant(PersonId("tom"), PLANT, Job.OPERATOR))
        change.put(device)
        change.put(WebTarget(TargetId("t"), device.id, "inverter", Scheme.HTTP, 80))


@cache
def _filled() -> Path:
    """A database with tables and people, to copy: much faster than to make one for each test."""
    path = Path(tempfile.mkdtemp()) / "hub.db"
    atexit.register(shutil.rmtree, path.parent, ignore_errors=True)

    async def make() -> None:
        store = await open_store(f"sqlite:///{path}", SEALER)
        await fill(store)
        await store.close()

    asyncio.run(make())
    return path


@asynccontextmanager
async def account_site(directory: Path, *, mails: bool = True) -> AsyncIterator[AccountSite]:
    shutil.copy(await asyncio.to_thread(_filled), directory / "hub.db")
    store = await open_store(f"sqlite:///{directory}/hub.db", SEALER, migrate=False)
    passwords, mailer, streams = Passwords(), MemoryMailer(), LoopbackStreams()
    outbox = Outbox(mailer) if mails else Outbox()

    def now() -> float:
        return site.now

    services = Services(Context(store, Pools(), now, outbox=outbox, portal=PORTAL))
    async with SnapshotFeed(store).running() as feed:
        site = AccountSite(store, feed, services, mailer, Site(), ApiTokens(store.accounts, now))
        parts = WebParts(
            CONFIG,
            SnapshotAccess(feed),
            store.credentials,
            store.sessions,
            streams,
            store,
            passwords,
            Secret(b"b" * 32),
            Connected(lambda: feed.snapshot, now),
            now=now,
            hub=hub_of(feed, AgentRegistry(), services, now),
        )
        runner = web.AppRunner(build_web(parts), shutdown_timeout=1.0, **SERVER_OPTIONS)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        site.web.port = runner.addresses[0][1]
        site.web.streams = streams
        yield site
        await runner.cleanup()
        for server in site.servers:
            server.close()
    passwords.close()
    await store.close()
