"""Holds and reasons for connecting as people meet them: what ends, what comes back, and who is told what."""

import asyncio
import html
import re
import time
from collections.abc import AsyncIterator
from urllib.parse import urljoin

import pytest

from plantgate_hub.domain.model import HoldScope, Job
from plantgate_hub.services import CONSOLE, acting
from tests.eventually import eventually
from tests.harness.web_site import PORTAL, Browser, Page, RawDevice, device_url
from tests.portal.conftest import World
from tests.portal.html import Document


@pytest.fixture
async def device(world: World) -> AsyncIterator[RawDevice]:
    """Solar's inverter."""
    device = RawDevice()
    server = await asyncio.start_server(device.serve, "127.0.0.1", 0)
    world.streams.places[(str(world.plants["solar"].id), "192.168.1.10", 80)] = server.sockets[0].getsockname()[1]
    async with server:
        yield device


def plant_path(world: World, what: str = "") -> str:
    return f"{PORTAL}/plants/{world.plants['solar'].id}{what}"


def actions(page: Page) -> set[str]:
    """Where the page's links and forms lead, by their last part."""
    elements = Document(page.text).all("a", "form")
    return {(e.get("href") or e.get("action")).rsplit("/", 1)[-1] for e in elements}


async def share_with_sue(world: World) -> None:
    services = world.services
    partner = world.organizations["Service Ltd"].id
    cooperation = await services.cooperations.offer(CONSOLE, world.plants["solar"].id, partner, Job.OPERATOR)
    await services.cooperations.accept(CONSOLE, cooperation.id)
    await services.cooperations.invite(CONSOLE, cooperation.id, world.people["sue"].id, Job.OPERATOR)
    await world.caught_up()


async def end_access(browser: Browser, world: World, scope: HoldScope = HoldScope.EVERYONE, why: str = "") -> Page:
    return await browser.submit(plant_path(world, "/end-access"), {"scope": scope.name, "reason": why})


# Holds


@pytest.mark.usefixtures("device")
async def test_one_confirmation_ends_all_access_within_a_second(world: World):
    async with world.visit("tina") as tina, world.visit("ada") as ada:
        assert (await tina.navigate(device_url("inverter-solar"))).text == "hello"
        assert "end-access" in actions(await ada.navigate(plant_path(world)))
        started = time.monotonic()
        page = await end_access(ada, world, why="smoke at <inverter> 3")
        assert page.url == plant_path(world, "?done=access.ended")

        async def ended() -> bool:
            return (await tina.navigate(device_url("inverter-solar"))).status == 403

        await eventually(ended)
        assert time.monotonic() - started < 1.0
        page = await tina.navigate(plant_path(world))
        for words in ("on hold for everyone", "by Ada", "smoke at &lt;inverter&gt; 3", "since"):
            assert words in page.text
        assert "access to the plant is on hold" in (await tina.navigate(f"{PORTAL}/routes")).text


@pytest.mark.usefixtures("device")
async def test_giving_access_free_is_for_moderators(world: World):
    async with world.visit("tina") as tina, world.visit("mo") as mo:
        await end_access(tina, world)
        assert "restore-access" not in actions(await tina.navigate(plant_path(world)))
        refused = await tina.submit(plant_path(world, "/restore-access"), {"scope": "EVERYONE"})
        assert refused.status == 403
        assert world.snapshot.holds_on(world.plants["solar"].id)
        assert "restore-access" in actions(await mo.navigate(plant_path(world)))
        page = await mo.submit(plant_path(world, "/restore-access"), {"scope": "EVERYONE"})
        assert "Access is free again" in page.text
        assert "on hold" not in page.text
        assert (await tina.navigate(device_url("inverter-solar"))).text == "hello"


@pytest.mark.usefixtures("device")
async def test_a_hold_on_external_people_leaves_the_own_ones(world: World):
    await share_with_sue(world)
    async with world.visit("sue") as sue, world.visit("tina") as tina:
        await end_access(tina, world, HoldScope.EXTERNAL)
        assert (await tina.navigate(device_url("inverter-solar"))).text == "hello"
        assert "on hold for external people" in (await tina.navigate(plant_path(world))).text
        page = await sue.navigate(plant_path(world))
        assert "on hold for external people" in page.text
        assert "Access to this plant is on hold" in page.text
        assert "end-access" not in actions(page)
        assert (await end_access(sue, world)).status == 403


@pytest.mark.parametrize("name", ["max", "sue", "gus", "root"])
async def test_who_may_not_end_access(world: World, name: str):
    await share_with_sue(world)
    async with world.visit(name) as browser:
        assert (await browser.navigate(plant_path(world, "/end-access"))).status in (403, 404)
        assert (await end_access(browser, world)).status in (403, 404)
    assert not world.snapshot.holds_on(world.plants["solar"].id)


async def test_a_viewer_is_told_of_a_hold_but_not_of_who_and_why(world: World):
    await world.services.holds.end_access(
        acting(world.people["ada"].id), world.plants["solar"].id, HoldScope.EVERYONE, "we suspect somebody"
    )
    await world.caught_up()
    async with world.visit("vera") as vera:
        page = await vera.navigate(plant_path(world))
        assert "on hold for everyone" in page.text
        assert "suspect" not in page.text
        assert "Ada" not in page.text


@pytest.mark.parametrize("fields", [{}, {"scope": "NOBODY"}, {"scope": "EVERYONE", "reason": "x" * 501}])
async def test_a_wrong_form_ends_nothing(world: World, fields: dict[str, str]):
    async with world.visit("ada") as ada:
        assert (await ada.submit(plant_path(world, "/end-access"), fields)).status == 422
    assert not world.snapshot.holds_on(world.plants["solar"].id)


# Reasons


async def require(world: World, hours: float = 8.0) -> None:
    north = world.organizations["North"].id
    await world.services.purposes.set_policy(CONSOLE, north, required=True, longest=hours * 3600)
    await world.caught_up()


@pytest.mark.usefixtures("device")
async def test_a_refused_device_page_leads_to_the_form_and_back_to_where_one_was_going(world: World):
    await require(world)
    async with world.visit("tina") as tina:
        page = await tina.navigate(device_url("inverter-solar", "/status?of=grid&x=1"))
        assert page.status == 403
        found = re.search(rf'href="([^"]*/plants/{world.plants["solar"].id}/reason[^"]+)"', page.text)
        assert found, page.text
        form = Document((await tina.navigate(urljoin(page.url, html.unescape(found[1])))).text)
        (declare,) = [f for f in form.all("form") if f.get("action").endswith("/reason")]
        fields = {e.get("name"): e.get("value") for e in declare.all("input") if e.get("type") == "hidden"}
        page = await tina.submit(plant_path(world, "/reason"), {**fields, "text": "ticket 7", "seconds": "3600"})
        assert (page.url, page.text) == (device_url("inverter-solar", "/status?of=grid&x=1"), "hello")


@pytest.mark.parametrize(
    "fields",
    [
        {"host": "evil.example", "path": "/x"},
        {"host": "inverter-wind", "path": "/x"},
        {"next": "//evil.example/"},
        {"next": "https://evil.example/"},
    ],
)
async def test_a_declared_reason_leads_nowhere_else(world: World, fields: dict[str, str]):
    async with world.visit("tina") as tina:
        page = await tina.submit(plant_path(world, "/reason"), {**fields, "text": "ticket 7"})
        assert page.url.startswith(PORTAL + "/")


async def test_a_reason_is_shown_ended_and_asked_for_again(world: World):
    await require(world, hours=2)
    async with world.visit("tina") as tina:
        assert "A reason is required" in (await tina.navigate(plant_path(world))).text
        form = Document((await tina.navigate(plant_path(world, "/reason"))).text)
        assert [option.words for option in form.all("option")] == ["1 h", "2 h"]
        await tina.submit(plant_path(world, "/reason"), {"text": "<ticket> 7", "seconds": "7200"})
        page = await tina.navigate(plant_path(world))
        assert "A reason is required" not in page.text
        assert "&lt;ticket&gt; 7" in page.text
        assert "Solar" in (await tina.navigate(f"{PORTAL}/reasons")).text
        page = await tina.submit(plant_path(world, "/reason/end"), {"next": "/reasons"})
        assert "The reason has ended" in page.text
        assert "None at the moment" in page.text
        assert "A reason is required" in (await tina.navigate(plant_path(world))).text
        await tina.submit(plant_path(world, "/reason"), {"text": "ticket 8", "seconds": "3600"})
        world.clock.now += 3600.0
        assert "None at the moment" in (await tina.navigate(f"{PORTAL}/reasons")).text


@pytest.mark.parametrize("fields", [{"text": " "}, {"text": "x", "seconds": "999999"}, {"text": "x", "seconds": "1"}])
async def test_what_is_no_reason(world: World, fields: dict[str, str]):
    async with world.visit("tina") as tina:
        page = await tina.submit(plant_path(world, "/reason"), fields)
        assert page.status == 422
        assert "None at the moment" in (await tina.navigate(f"{PORTAL}/reasons")).text


# What an organization asks


async def test_an_administrator_requires_reasons_and_bounds_them(world: World):
    path = f"{PORTAL}/organizations/{world.organizations['North'].id}/settings"
    async with world.visit("ada") as ada, world.visit("tina") as tina:
        page = await ada.submit(path, {"required": "yes", "hours": "0,5"})
        assert "The settings are saved" in page.text
        assert "A reason is required" in (await tina.navigate(plant_path(world))).text
        form = Document((await tina.navigate(plant_path(world, "/reason"))).text)
        assert [option.words for option in form.all("option")] == ["30 min"]
        for wrong in ({"required": "yes", "hours": "x"}, {"required": "yes", "hours": "169"}, {"hours": "8"}):
            assert (await ada.submit(path, wrong)).status == 422
        await ada.submit(path, {"required": "no", "hours": "8"})
        assert "A reason is required" not in (await tina.navigate(plant_path(world))).text


@pytest.mark.parametrize("name", ["mo", "tina", "sam"])
async def test_settings_are_for_administrators(world: World, name: str):
    north = world.organizations["North"]
    path = f"{PORTAL}/organizations/{north.id}/settings"
    async with world.visit(name) as browser:
        assert (await browser.navigate(path)).status == 404
        assert (await browser.submit(path, {"required": "yes", "hours": "1"})).status == 404
    assert not world.snapshot.connection_policy_of(north.id).purpose_required
