"""Time of the portal's pages at an organization of 1,000 plants, one request after the other over loopback.

`cpu` is the processor time of a page, which a busy machine does not lengthen; both have the client's own work in them.
"""

import asyncio
import gc
import statistics
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from aiohttp import web

from plantgate_hub.domain.model import (
    Agent,
    AgentId,
    Device,
    DeviceId,
    Membership,
    Organization,
    OrganizationId,
    OrgRole,
    Person,
    PersonId,
    Plant,
    PlantId,
    Scheme,
    ServiceId,
    Subnet,
    SubnetId,
    TargetId,
    VpnService,
    WebTarget,
)
from plantgate_hub.domain.snapshot import Entity
from plantgate_hub.identity.passwords import Passwords
from plantgate_hub.store import SnapshotFeed
from plantgate_hub.web import SERVER_OPTIONS
from tests.harness.web_site import CONFIG, PASSWORD_HASH, PORTAL, Browser, Site

from .api_server import application, full_store
from .registry import Figure, benchmark

PLANTS, DEVICES_EACH, MEMBERS = 1000, 5, 1000
REQUESTS = 60
WARM_UP = 5
ORGANIZATION = OrganizationId("org")
PAGES = {
    "home": "/",
    "home, searched": "/?q=Device+3",
    "my routes": "/routes",
    "plants": "/plants",
    "one plant": "/plants/plant500",
    "members": "/organizations/org/members",
    "services": "/organizations/org/services",
    "cooperations": "/organizations/org/cooperations",
}


def world() -> Iterator[Entity]:
    """1,000 plants of one organization; every fourth shares its range with three others."""
    yield Organization(ORGANIZATION, "Northwind Energy")
    for number in range(PLANTS):
        plant = PlantId(f"plant{number}")
        shared, own = 0xC0A80000 + number // 16 * 256, 0x0A000000 + number * 256
        network = IPv4Network((own if number % 4 else shared, 24))
        yield Plant(plant, ORGANIZATION, f"Plant {number}")
        yield Subnet(SubnetId(f"s{number}"), plant, network, IPv4Network((0xF1000000 + number * 256, 24)), number + 1)
        address = IPv4Address(0xF0000002 + number)
        yield Agent(AgentId(f"a{number}"), plant, "gateway", number.to_bytes(32, "big"), f"wg{number}", address)
        for count in range(DEVICES_EACH):
            device = DeviceId(f"d{number}-{count}")
            yield Device(device, plant, f"Device {count}", network[10 + count])
            yield WebTarget(TargetId(f"t{number}-{count}"), device, f"device-{number}-{count}", Scheme.HTTP, 80)
    plants = frozenset(PlantId(f"plant{number}") for number in range(PLANTS))
    yield VpnService(ServiceId("v"), ORGANIZATION, "Default", plants, default=True)
    for number in range(MEMBERS):
        person = PersonId(f"p{number}")
        yield Person(person, f"p{number}@example.com", f"Person {number}")
        yield Membership(person, ORGANIZATION, OrgRole.MEMBER)


@benchmark("portal-pages", f"ms a page takes for an Administrator of {PLANTS:,} plants, p95 <= 50")
def portal_pages() -> Iterator[Figure]:
    for name, (walls, cpus) in asyncio.run(_measure()).items():
        p95 = statistics.quantiles(walls, n=20)[-1]
        more = {"median": statistics.median(walls), "cpu": statistics.median(cpus)}
        yield Figure.plain(f"portal-pages {name}", p95, "ms", at_most=50.0, **more)


async def _measure() -> dict[str, tuple[list[float], list[float]]]:
    ada = Person(PersonId("ada"), "ada@example.org", "Ada")
    entities = [*world(), ada, Membership(ada.id, ORGANIZATION, OrgRole.ADMINISTRATOR)]
    passwords, site = Passwords(), Site()
    async with full_store(entities) as store, SnapshotFeed(store).running() as feed:
        async with store.change("bench") as change:
            await change.set_password_hash(ada.id, PASSWORD_HASH)
        app = await application(store, feed, passwords, CONFIG)
        gc.freeze()  # as the hub does once it has loaded everything
        runner = web.AppRunner(app, shutdown_timeout=1.0, **SERVER_OPTIONS)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        site.port = runner.addresses[0][1]
        async with site.browser() as browser:
            await browser.sign_in(ada.email)
            found = {name: await _times(browser, path) for name, path in PAGES.items()}
        await runner.cleanup()
    passwords.close()
    return found


async def _times(browser: Browser, path: str) -> tuple[list[float], list[float]]:
    """Milliseconds from request to the whole answer, and of processor time."""
    walls, cpus = [], []
    for _ in range(WARM_UP + REQUESTS):
        started, cpu = time.perf_counter(), time.process_time()
        page = await browser.request("GET", PORTAL + path)
        walls.append((time.perf_counter() - started) * 1000)
        cpus.append((time.process_time() - cpu) * 1000)
        if page.status != 200:
            raise RuntimeError(f"{path} answered {page.status}")
    return walls[WARM_UP:], cpus[WARM_UP:]
