"""Plants' pages: who sees which block, what can be set up, and what a gateway's keepers are told."""

import re
from dataclasses import replace

import pytest

from plantgate_hub.domain.model import Job
from plantgate_hub.services import CONSOLE
from tests.harness.web_site import PORTAL, Page, device_url
from tests.portal.conftest import World
from tests.portal.html import Document

SOLAR_PAGES = ("", "/set-up", "/gateways", "/remove")


def plant_url(world: World, name: str = "solar", page: str = "") -> str:
    return f"{PORTAL}/plants/{world.plants[name].id}{page}"


def headings(page: Page) -> set[str]:
    return {heading.words for heading in Document(page.text).all("h1", "h2")}


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("ada", (200, 200, 200, 200)),
        ("mo", (200, 200, 200, 200)),
        ("tina", (200, 200, 200, 403)),
        ("max", (200, 200, 200, 403)),
        ("vera", (200, 403, 403, 403)),
        ("gus", (404, 404, 404, 404)),
        ("sam", (404, 404, 404, 404)),
        ("root", (404, 404, 404, 404)),
    ],
)
async def test_who_gets_which_page(world: World, name: str, statuses: tuple[int, ...]):
    async with world.visit(name) as browser:
        found = [(await browser.navigate(plant_url(world, page=page))).status for page in SOLAR_PAGES]
        assert tuple(found) == statuses
        listed = await browser.navigate(f"{PORTAL}/plants")
        assert ("Solar" in listed.text) == (statuses[0] == 200)


async def test_a_plant_that_does_not_exist_looks_like_one_of_others(world: World):
    async with world.visit("sam") as browser:
        strange = await browser.navigate(plant_url(world))
        missing = await browser.navigate(f"{PORTAL}/plants/01a20e6c-3214-7a76-bfbb-0b2b74c79d1d")
        assert strange.status == missing.status == 404
        assert re.sub(r"[0-9a-f-]{36}", "", strange.text) == re.sub(r"[0-9a-f-]{36}", "", missing.text)


async def test_blocks_follow_the_job(world: World):
    async with world.visit("tina") as browser:
        page = await browser.navigate(plant_url(world))
        assert device_url("inverter-solar") in page.text
        assert "reachable" in page.text
        assert "0.1.0" in page.text
        assert "UDP" in page.text
    async with world.visit("max") as browser:  # Technical Manager without a second factor
        page = await browser.navigate(plant_url(world))
        assert device_url("inverter-solar") not in page.text
        assert "/two-factor/set-up" in page.text
        assert "needs the job Operator" in page.text
        assert "Gateways" in headings(page)
    async with world.visit("vera") as browser:
        page = await browser.navigate(plant_url(world))
        assert device_url("inverter-solar") not in page.text
        assert "Gateways" not in headings(page)
        assert "0.1.0" not in page.text
        assert "solar inverter" not in page.text, "a Viewer sees the plant and whether it is online"


async def test_what_a_gateway_reports_is_shown(world: World):
    attached = world.attach("solar")
    attached.state = replace(
        attached.state, status=replace(attached.state.status, error="nft is missing", version="9.9")
    )
    await world.services.agents.report_boundary(world.agents["solar"].id, [])
    await world.services.plants.add_subnet(CONSOLE, world.plants["solar"].id, "10.7.0.0/24")
    await world.services.agents.report_boundary(world.agents["solar"].id, [world.subnet("wind").network])
    await world.caught_up()
    async with world.visit("max") as browser:
        page = await browser.navigate(plant_url(world))
        assert "nft is missing" in page.text
        assert "9.9" in page.text
        warnings = [e.words for e in Document(page.text).all("p") if e.get("class") == "notice wait"]
        assert any("10.7.0.0/24" in words for words in warnings)


async def test_setting_up_and_taking_away(world: World):
    async with world.visit("max") as browser:
        plant, base = world.plants["solar"].id, plant_url(world, page="/set-up")
        await browser.submit(f"{base}/subnets", {"network": "10.55.0.0/24"})
        await browser.submit(f"{base}/devices", {"name": "Meter", "address": "10.55.0.7"})
        (meter,) = [device for device in world.snapshot.devices_of(plant) if device.name == "Meter"]
        fields = {"device": meter.id, "host": "meter-7", "scheme": "HTTPS", "port": "8443", "path": "/ui"}
        page = await browser.submit(f"{base}/targets", {**fields, "policy": "ANY", "mode": "KEEP"})
        assert "The page is approved." in page.text
        (target,) = world.snapshot.targets_of(meter.id)
        assert (target.host, target.port, target.base_path, target.scheme.value) == ("meter-7", 8443, "/ui", "https")
        for kind, thing in (("targets", target.id), ("devices", meter.id)):
            question = await browser.navigate(f"{base}/{kind}/{thing}/remove")
            assert question.status == 200
            assert meter.id in {device.id for device in world.snapshot.devices_of(plant)}
            await browser.submit(f"{base}/{kind}/{thing}/remove", {})
        assert meter.id not in {device.id for device in world.snapshot.devices_of(plant)}
        assert world.snapshot.target_by_host("meter-7") is None


async def test_what_was_typed_stays_beside_what_is_wrong_with_it(world: World):
    async with world.visit("max") as browser:
        base = plant_url(world, page="/set-up")
        page = await browser.submit(f"{base}/devices", {"name": "Meter", "address": "10.55.0.x"})
        assert page.status == 422
        document = Document(page.text)
        for identifier, value in (("device-name", "Meter"), ("device-address", "10.55.0.x"), ("network", "")):
            field = document.by_id(identifier)
            assert field is not None
            assert field.get("value") == value
        page = await browser.submit(f"{base}/targets", {"device": world.device("solar").id, "host": "x", "port": "no"})
        assert page.status == 422
        assert "is not a TCP port" in page.text
        await browser.submit(f"{PORTAL}/look", {"language": "de"})
        page = await browser.submit(f"{base}/devices", {"name": "Meter", "address": "10.99.0.1"})
        assert "10.99.0.1 liegt in keinem Netz der Anlage (fügen Sie zuerst sein Netz hinzu)" in page.text


async def test_parts_of_other_plants_are_out_of_reach(world: World):
    """Max may configure Solar: through its pages he must not get at Wind's parts, nor at Wind's own pages."""
    async with world.visit("max") as browser:
        device, subnet = world.device("wind"), world.subnet("wind")
        for kind, thing in (("devices", device.id), ("subnets", subnet.id)):
            for base in (plant_url(world, page="/set-up"), plant_url(world, "wind", "/set-up")):
                assert (await browser.navigate(f"{base}/{kind}/{thing}/remove")).status == 404
                assert (await browser.submit(f"{base}/{kind}/{thing}/remove", {})).status == 404
        agent = world.agents["wind"].id
        assert (await browser.submit(plant_url(world, page=f"/gateways/{agent}/remove"), {})).status == 404
        assert world.device("wind") == device
        assert world.snapshot.agents.get(agent)


async def test_a_plant_is_created_set_up_and_removed_after_a_question(world: World):
    north = world.organizations["North"].id
    async with world.visit("mo") as browser:
        page = await browser.submit(f"{PORTAL}/organizations/{north}/new-plant", {"name": "Tidal"})
        assert "The plant is created." in page.text
        (tidal,) = [plant for plant in world.snapshot.plants_of(north) if plant.name == "Tidal"]
        page = await browser.submit(f"{PORTAL}/organizations/{north}/new-plant", {"name": "tidal"})
        assert page.status == 409
        question = await browser.navigate(f"{PORTAL}/plants/{tidal.id}/remove")
        assert "ends at once" in question.text
        await browser.submit(f"{PORTAL}/plants/{tidal.id}/remove", {})
        assert world.snapshot.plants.get(tidal.id) is None
    async with world.visit("tina") as browser:
        page = await browser.submit(f"{PORTAL}/organizations/{north}/new-plant", {"name": "Mine"})
        assert page.status == 404


async def test_an_enrolment_code_is_shown_once_with_its_qr_code(world: World):
    plant = world.plants["hydro"].id
    await world.services.grants.give(CONSOLE, world.people["max"].id, plant, Job.TECHNICAL_MANAGER)
    await world.caught_up()
    async with world.visit("max") as browser:
        url = plant_url(world, "hydro", "/gateways")
        page = await browser.submit(f"{url}/codes", {"name": "box", "hours": "72"})
        shown = Document(page.text).by_id("code")
        assert shown is not None
        code = shown.words
        assert re.fullmatch(r"(\w{5}-){3}\w{5}", code)
        assert f"plantgate-agent enroll --hub {PORTAL} --code {code}" in page.text
        assert "<svg" in page.text.partition('class="qr-box"')[2]
        listed = await browser.navigate(url)
        assert code not in listed.text
        assert "box" in listed.text
        (withdraw,) = [f for f in Document(listed.text).all("form") if f.get("action").endswith("/withdraw")]
        page = await browser.submit(PORTAL + withdraw.get("action"), {})
        assert "The code is withdrawn." in page.text
        assert "/withdraw" not in page.text
