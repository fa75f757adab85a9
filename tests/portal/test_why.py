"""'Why can't I reach it?' as people see it: the hops in order, the cause in words, and who can fix it."""

import asyncio

import pytest

from plantgate_hub.domain.model import Job
from plantgate_hub.services import CONSOLE, acting
from plantgate_shared.identity.keys import WireGuardKey
from plantgate_shared.protocol.control import Presence
from tests.eventually import eventually
from tests.harness.web_site import PORTAL, Browser, Page, RawDevice
from tests.portal.conftest import World
from tests.portal.html import Document


def why(world: World, plant: str, way: str = "") -> str:
    return f"{PORTAL}/devices/{world.device(plant).id}/why" + (f"?way={way}" if way else "")


def page_of(world: World, plant: str) -> str:
    (target,) = world.snapshot.targets_of(world.device(plant).id)
    return str(target.id)


def hops(page: Page) -> list[tuple[str, str]]:
    """(hop, result) in order."""
    (steps,) = [element for element in Document(page.text).all("ol") if "hops" in element.get("class")]
    return [
        (item.all("strong")[0].words, next(e.words for e in item.all("span") if "pill" in e.get("class")))
        for item in steps.all("li")
    ]


def verdict(page: Page) -> str:
    (notice,) = [e for e in Document(page.text).all("p") if "notice" in e.get("class")]
    return notice.words


async def test_the_page_is_there_before_anybody_asks_the_plant(world: World):
    async with world.visit("tina") as browser:
        plant = Document((await browser.navigate(f"{PORTAL}/plants/{world.plants['solar'].id}")).text)
        (link,) = [a.get("href") for a in plant.all("a") if a.get("href").endswith("/why")]
        page = await browser.navigate(PORTAL + link)
        assert world.network.asked == 0
        ways = [a.get("href") for a in Document(page.text).all("a") if "?way=" in a.get("href")]
        assert [way.partition("?way=")[2] for way in ways] == ["vpn", page_of(world, "solar")]


async def test_the_way_in_the_browser_hop_by_hop(world: World):
    device = RawDevice()
    server = await asyncio.start_server(device.serve, "127.0.0.1", 0)
    async with server, world.visit("tina") as browser:
        place = (str(world.plants["solar"].id), "192.168.1.10", 80)
        world.streams.places[place] = server.sockets[0].getsockname()[1]
        page = await browser.navigate(why(world, "solar", page_of(world, "solar")))
        assert "Nothing is in the way" in verdict(page)
        assert [result for _, result in hops(page)] == ["ok"] * 6
        world.network.presence = Presence.SILENT
        page = await browser.navigate(why(world, "solar", page_of(world, "solar")))
        assert hops(page)[-3:] == [
            ("Device on the plant's network", "failed"),
            ("Port of the device", "not tried"),
            ("Web page of the device", "not tried"),
        ]
        assert "No device answers at this address." in verdict(page)
        assert "Who can fix it: somebody at the plant." in verdict(page)


async def test_the_way_over_vpn_needs_a_profile_and_says_what_it_cannot_tell(world: World):
    tina = world.people["tina"].id
    async with world.visit("tina") as browser:
        page = await browser.navigate(why(world, "solar", "vpn"))
        assert hops(page)[1] == ("Your VPN tunnel", "failed")
        assert "You have no VPN profile." in verdict(page)
        assert "Who can fix it: you." in verdict(page)
        await world.services.profiles.create(acting(tina), tina, "laptop", WireGuardKey.generate().public)
        await world.services.routes.prefer(acting(tina), tina, world.subnet("solar").id)
        await world.caught_up()
        page = await browser.navigate(why(world, "solar", "vpn"))
        assert [result for _, result in hops(page)] == ["ok", "cannot be told", "ok", "ok", "ok", "ok"]
        assert "not all of them can be told" in verdict(page)


async def test_a_route_that_does_not_work_leads_there(world: World):
    async with world.visit("tina") as browser:
        routes = Document((await browser.navigate(f"{PORTAL}/routes")).text)
        assert f"/devices/{world.device('wind').id}/why" in {a.get("href") for a in routes.all("a")}
        page = await browser.navigate(why(world, "wind", page_of(world, "wind")))
        assert "The plant's gateway is not connected." in verdict(page)


async def test_in_german(world: World):
    async with world.visit("max") as browser:
        await browser.submit(f"{PORTAL}/look", {"language": "de"})
        page = await browser.navigate(why(world, "solar", page_of(world, "solar")))
        assert hops(page)[0] == ("Berechtigung", "gescheitert")
        assert "keine Zwei-Faktor-Anmeldung" in verdict(page)
        assert "Wer es beheben kann: Sie selbst." in verdict(page)


@pytest.mark.parametrize("name", ["vera", "gus", "sue"])
async def test_who_may_not_know_the_device_is_told_nothing(world: World, name: str):
    async with world.visit(name) as browser:
        for way in ("", "vpn", page_of(world, "solar")):
            assert (await browser.navigate(why(world, "solar", way))).status == 404
        assert (await browser.navigate(f"{PORTAL}/devices/nothing/why")).status == 404
    assert world.network.asked == 0


async def test_a_job_without_any_way_is_told_which_one_is_needed(world: World):
    vera = world.people["vera"].id
    await world.services.grants.give(CONSOLE, vera, world.plants["solar"].id, Job.ASSET_MANAGER_COMMERCIAL)
    await world.caught_up()
    async with world.visit("vera") as browser:
        page = await browser.navigate(why(world, "solar", page_of(world, "solar")))
        assert "inverter-solar" not in page.text
        assert "VPN needs Operator" in verdict(await browser.navigate(why(world, "solar", "vpn")))


async def test_two_looks_of_a_person_at_once_and_no_more(world: World):
    async def look(browser: Browser) -> Page:
        return await browser.navigate(why(world, "solar", page_of(world, "solar")))

    world.network.answers.clear()
    async with world.visit("tina") as tina, world.visit("ada") as ada:
        looks = [asyncio.create_task(look(tina)) for _ in range(2)]
        await eventually(lambda: world.network.asked == 2)
        refused = await look(tina)
        assert refused.status == 429
        assert "still under way" in verdict(refused)
        others = asyncio.create_task(look(ada))
        await eventually(lambda: world.network.asked == 3)
        world.network.answers.set()
        assert {page.status for page in await asyncio.gather(*looks, others)} == {200}
        assert (await look(tina)).status == 200
