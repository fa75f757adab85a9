"""Device pages at the edges of permission: holds, reasons and time boxes open and close them, open ones included."""

import asyncio
import contextlib
import time
from collections.abc import Callable

import pytest

from plantgate_hub.domain.model import (
    ConnectionPolicy,
    Cooperation,
    CooperationId,
    Grant,
    Hold,
    HoldScope,
    Job,
    Membership,
    Organization,
    OrganizationId,
    OrgRole,
    PersonId,
    Purpose,
)
from plantgate_hub.domain.snapshot import put, remove
from plantgate_hub.freshness import Freshness
from tests.eventually import eventually
from tests.harness.test_proxy_conformance import open_websocket, websocket_echo
from tests.harness.web_site import PLANT, PORTAL, Browser, Site, device_url

OWNER, PARTNER, OLGA = OrganizationId("org"), OrganizationId("partner"), PersonId("olga")
ASKED = put(ConnectionPolicy(OWNER, purpose_required=True))
XHR = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}


def hold(scope: HoldScope) -> Hold:
    return Hold(PLANT, scope, 0.0, "Adam")


def until(site: Site, ends: float | None, starts: float | None = None) -> None:
    """Olga's job on the plant from now on: time-boxed."""
    site.feed.change(
        remove(Grant(OLGA, PLANT, Job.OPERATOR)), put(Grant(OLGA, PLANT, Job.OPERATOR, None, starts, ends))
    )


def by_cooperation(site: Site, ends: float | None = None) -> None:
    """Olga comes from a partner from now on."""
    shared = Cooperation(CooperationId("c"), PLANT, PARTNER, Job.TECHNICAL_MANAGER, accepted=True, ends=ends)
    site.feed.change(
        put(Organization(PARTNER, "Service GmbH")),
        put(Membership(OLGA, PARTNER, OrgRole.MEMBER)),
        put(shared),
        put(Grant(OLGA, PLANT, Job.OPERATOR, shared.id)),
        remove(Grant(OLGA, PLANT, Job.OPERATOR)),
        remove(Membership(OLGA, OWNER, OrgRole.MEMBER)),
    )


def declare(site: Site, seconds: float) -> None:
    site.feed.change(ASKED, put(Purpose(OLGA, PLANT, "ticket 7", site.time, site.time + seconds)))


def pass_time(site: Site) -> None:
    site.time += 60.0


def as_it_is(_site: Site) -> None:
    """Nothing has to be there before."""


Edge = tuple[Callable[[Site], None], Callable[[Site], None]]
ENDS: dict[str, Edge] = {
    "the owner holds everyone": (as_it_is, lambda site: site.feed.change(put(hold(HoldScope.EVERYONE)))),
    "the owner holds people by cooperation": (
        by_cooperation,
        lambda site: site.feed.change(put(hold(HoldScope.EXTERNAL))),
    ),
    "the grant ends": (lambda site: until(site, site.time + 60.0), pass_time),
    "the cooperation ends": (lambda site: by_cooperation(site, site.time + 60.0), pass_time),
    "the declared reason ends": (lambda site: declare(site, 60.0), pass_time),
    "the reason is withdrawn": (
        lambda site: declare(site, 600.0),
        lambda site: site.feed.change(remove(Purpose(OLGA, PLANT, "", 0, 0))),
    ),
    "a reason is asked for": (as_it_is, lambda site: site.feed.change(ASKED)),
}


@pytest.mark.parametrize("edge", ENDS)
async def test_an_open_websocket_ends_within_a_second(site: Site, opened: Browser, edge: str):
    before, ends = ENDS[edge]
    before(site)
    device = site.devices["inverter"]
    device.answer = websocket_echo
    reader, writer, head = await open_websocket(site, opened)
    assert b" 101 " in head
    started = time.monotonic()
    ends(site)
    with contextlib.suppress(ConnectionError):  # a reset, or an end
        assert not await asyncio.wait_for(reader.read(100), 10)
    assert time.monotonic() - started < 1.0
    writer.close()
    await eventually(lambda: device.open == 0)
    assert (await opened.request("GET", device_url("inverter"), XHR)).status in (403, 404)


async def test_a_hold_on_others_leaves_a_page_open(site: Site, opened: Browser):
    site.devices["inverter"].answer = websocket_echo
    reader, writer, _ = await open_websocket(site, opened)
    site.feed.change(put(hold(HoldScope.EXTERNAL)))
    writer.write(b"still here")
    assert await asyncio.wait_for(reader.readexactly(10), 10) == b"still here"
    writer.close()


async def test_a_page_opens_when_the_grant_begins_and_closes_when_it_ends(site: Site, opened: Browser):
    until(site, ends=site.time + 120.0, starts=site.time + 60.0)
    statuses = []
    for _ in range(3):
        statuses.append((await opened.request("GET", device_url("inverter"), XHR)).status)
        pass_time(site)
    assert statuses == [404, 200, 404]


@pytest.mark.parametrize(
    ("change", "undo", "problem", "words"),
    [
        (put(hold(HoldScope.EVERYONE)), remove(hold(HoldScope.EVERYONE)), "on-hold", "on hold"),
        (ASKED, put(ConnectionPolicy(OWNER)), "no-purpose", "reason"),
    ],
)
async def test_the_page_says_why_and_opens_again(site: Site, opened: Browser, change, undo, problem: str, words: str):
    site.feed.change(change)
    page = await opened.navigate(device_url("inverter"))
    assert (page.status, page.headers["Plantgate-Problem"]) == (403, problem)
    assert words in page.text
    site.feed.change(undo)
    assert (await opened.navigate(device_url("inverter"))).status == 200


async def test_the_portal_says_why_as_well(site: Site, browser: Browser):
    site.feed.change(put(hold(HoldScope.EVERYONE)))
    page = await browser.sign_in("olga@example.org", start=device_url("inverter"))
    assert page.url.startswith(PORTAL)
    assert page.status == 403
    assert "on hold" in page.text


async def test_a_snapshot_that_is_stale_lets_nobody_new_in_and_goes_on_for_who_is_in(site: Site, opened: Browser):
    site.freshness = Freshness.STALE
    assert (await opened.request("GET", device_url("inverter"), XHR)).status == 200
    page = await opened.navigate(device_url("logger"))  # another device's page is a new session
    assert (page.status, "database" in page.text) == (503, True)
    async with site.browser() as browser:
        assert (await browser.sign_in("tom@example.org")).status == 503
    site.freshness = Freshness.FRESH
    assert (await opened.navigate(device_url("logger"))).status == 200


async def test_a_snapshot_that_is_too_old_ends_open_pages(site: Site, opened: Browser):
    site.devices["inverter"].answer = websocket_echo
    reader, writer, _ = await open_websocket(site, opened)
    site.freshness = Freshness.EXPIRED
    with contextlib.suppress(ConnectionError):
        assert not await asyncio.wait_for(reader.read(100), 10)
    writer.close()
    assert (await opened.request("GET", device_url("inverter"), XHR)).status == 503


async def test_who_is_connected_is_seen_and_a_new_external_connection_is_told_once(site: Site, opened: Browser):
    (own,) = site.connected.on_plant(PLANT)
    assert (own.person, own.external, own.open) == (OLGA, False, 0)
    site.time += 3600.0
    assert not site.connected.on_plant(PLANT)
    by_cooperation(site)
    site.devices["inverter"].answer = websocket_echo
    _, writer, _ = await open_websocket(site, opened)
    (external,) = site.connected.on_plant(PLANT)
    assert (external.external, external.open, external.since) == (True, 1, site.time)
    assert [alert.person for alert in site.alerts] == [OLGA]
    site.time += 3600.0  # the websocket is still there
    assert [connection.open for connection in site.connected.on_plant(PLANT)] == [1]
    writer.close()
    await eventually(lambda: site.connected.on_plant(PLANT)[0].open == 0)
    assert len(site.alerts) == 1
    assert site.connected.shown_to(PersonId("tom"), PLANT) == site.connected.on_plant(PLANT)
    assert site.connected.shown_to(PersonId("vera"), PLANT) is None


async def test_what_each_job_sees_on_the_home_page(site: Site):
    site.add_person("carl", Job.ASSET_MANAGER_COMMERCIAL)
    site.add_person("tess", Job.ASSET_MANAGER_TECHNICAL)
    seen = {}
    for name in ("vera", "carl", "tess", "tom"):
        async with site.browser() as browser:
            page = await browser.sign_in(f"{name}@example.org")
            parts = ("Solarpark Nord", "Inverter", "192.168.1.10", device_url("inverter"))
            seen[name] = [part in page.text for part in parts]
    assert seen == {
        "vera": [True, False, False, False],
        "carl": [True, True, False, False],
        "tess": [True, True, True, False],
        "tom": [True, True, True, True],
    }
