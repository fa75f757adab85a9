"""My VPN without script and as our script uses it; My routes."""

import base64
import json
from html import unescape

import pytest

from plantgate_hub.domain.clients import PRIVATE_KEY_LINE
from plantgate_hub.domain.model import Job, Profile
from plantgate_hub.services import CONSOLE, acting
from plantgate_shared.identity.keys import WireGuardKey
from tests.harness.web_site import PORTAL, Browser, Page
from tests.portal.conftest import World
from tests.portal.html import Document

BY_SCRIPT = {"Accept": "application/json", "Sec-Fetch-Mode": "cors"}


async def create(browser: Browser, name: str, key: str, headers: dict[str, str] | None = None) -> Page:
    return await browser.submit(f"{PORTAL}/vpn", {"name": name, "public_key": key}, headers)


def profile(world: World, name: str = "tina") -> Profile:
    (found,) = world.snapshot.profiles_of(world.people[name].id)
    return found


async def test_without_script_a_key_of_ones_own_gives_a_file_to_complete(world: World):
    async with world.visit("tina") as browser:
        page = await create(browser, "laptop", WireGuardKey.generate().public)
        made = profile(world)
        assert PRIVATE_KEY_LINE in page.text
        assert f"{made.address}/32" in page.text
        file = await browser.navigate(f"{PORTAL}/vpn/{made.id}/file")
        assert file.headers["Content-Disposition"].startswith("attachment")
        assert file.text.strip() in unescape(page.text)
        assert "laptop" in (await browser.navigate(f"{PORTAL}/vpn")).text


async def test_for_the_script_the_same_is_data(world: World):
    async with world.visit("tina") as browser:
        key = WireGuardKey.generate().public
        made = json.loads((await create(browser, "phone", key, BY_SCRIPT)).body)
        assert made["config"].count(made["placeholder"]) == 1
        assert profile(world).public_key == key
        again = await create(browser, "phone", WireGuardKey.generate().public, BY_SCRIPT)
        assert again.status == 409
        assert "phone" in json.loads(again.body)["error"]


@pytest.mark.parametrize(
    "key", ["", "not a key", base64.b64encode(bytes(32)).decode(), base64.b64encode(bytes(range(31))).decode()]
)
async def test_a_wrong_key_is_told_in_place_and_the_name_stays(world: World, key: str):
    async with world.visit("tina") as browser:
        page = await create(browser, "my laptop", key)
        assert page.status == 422
        document = Document(page.text)
        name, public_key = document.by_id("name"), document.by_id("public_key")
        assert name is not None
        assert name.get("value") == "my laptop"
        assert public_key is not None
        assert public_key.get("value") == key
        assert any(e.get("role") == "alert" and "key" in e.words for e in document.all())
        assert not world.snapshot.profiles_of(world.people["tina"].id)


async def test_rotating_keeps_the_address_and_revoking_asks_first(world: World):
    async with world.visit("tina") as browser:
        await create(browser, "laptop", WireGuardKey.generate().public)
        before, key = profile(world), WireGuardKey.generate().public
        page = await browser.submit(f"{PORTAL}/vpn/{before.id}/rotate", {"public_key": key})
        assert page.status == 200
        assert profile(world).public_key == key
        assert profile(world).address == before.address
        question = await browser.navigate(f"{PORTAL}/vpn/{before.id}/revoke")
        assert "laptop" in question.text
        assert profile(world)
        page = await browser.submit(f"{PORTAL}/vpn/{before.id}/revoke", {})
        assert "The profile is revoked." in page.text
        assert not world.snapshot.profiles_of(world.people["tina"].id)


@pytest.mark.parametrize("path", ["rotate", "revoke", "file"])
async def test_the_profiles_of_others_are_not_there(world: World, path: str):
    tina = world.people["tina"].id
    made = await world.services.profiles.create(acting(tina), tina, "laptop", WireGuardKey.generate().public)
    await world.caught_up()
    async with world.visit("ada") as browser:
        assert (await browser.navigate(f"{PORTAL}/vpn/{made.id}/{path}")).status == 404
        if path != "file":
            answer = await browser.submit(
                f"{PORTAL}/vpn/{made.id}/{path}", {"public_key": WireGuardKey.generate().public}
            )
            assert answer.status == 404
        assert profile(world) == made


# My routes


def sentence(page: Page) -> str:
    (found,) = [element.words for element in Document(page.text).all("p") if element.get("class") == "sentence"]
    return found


def buttons(page: Page) -> set[str]:
    forms = [form for form in Document(page.text).all("form") if form.get("action").startswith("/routes/")]
    return {button.get("aria-label") for form in forms for button in form.all("button")}


async def test_an_overlap_is_told_in_words_and_switched_by_one_click(world: World):
    async with world.visit("tina") as browser:
        page = await browser.navigate(f"{PORTAL}/routes")
        assert sentence(page) == "192.168.1.0/24 is used by Solar and Wind. Solar has priority."
        assert "Give Wind priority" in buttons(page)
        assert "Give Solar priority" not in buttons(page)
        page = await browser.submit(f"{PORTAL}/routes/{world.subnet('wind').id}/prefer", {})
        assert sentence(page).endswith("Wind has priority.")
        assert "Switched over." in page.text
        page = await browser.submit(f"{PORTAL}/routes/{world.subnet('solar').id}/prefer", {})
        assert sentence(page).endswith("Solar has priority.")


async def test_a_disabled_route_frees_the_range_and_can_be_switched_on_again(world: World):
    async with world.visit("tina") as browser:
        page = await browser.submit(f"{PORTAL}/routes/{world.subnet('solar').id}/disable", {})
        assert sentence(page).endswith("Wind has priority.")
        assert "disabled by you" in page.text
        assert "Switch on 192.168.1.0/24 at Solar" in buttons(page)
        page = await browser.submit(f"{PORTAL}/routes/{world.subnet('solar').id}/enable", {})
        assert "disabled by you" not in page.text
        assert sentence(page).endswith("Solar has priority.")


async def test_each_state_says_why_and_who_can_help(world: World):
    await world.services.grants.give(CONSOLE, world.people["tina"].id, world.plants["hydro"].id, Job.OPERATOR)
    (service,) = world.snapshot.services_of(world.organizations["North"].id)
    await world.services.vpn.unassign(CONSOLE, service.id, world.plants["storage"].id, confirmed=True)
    await world.services.grants.give(CONSOLE, world.people["tina"].id, world.plants["storage"].id, Job.OPERATOR)
    await world.caught_up()
    async with world.visit("tina") as browser:
        page = await browser.navigate(f"{PORTAL}/routes")
        for words in (
            "another plant with this range has priority. You decide which plant to use.",
            "no gateway enrolled. The plant&#39;s Technical Manager makes an enrolment code",
            "not in a VPN service. Whoever manages the owner&#39;s VPN services",
        ):
            assert words in page.text
        german = await browser.submit(f"{PORTAL}/look", {"language": "de", "next": "/routes"})
        assert "eine andere Anlage mit diesem Bereich hat Vorrang. Sie entscheiden" in german.text


async def test_who_has_no_route_there_cannot_choose(world: World):
    async with world.visit("max") as browser:
        page = await browser.submit(f"{PORTAL}/routes/{world.subnet('solar').id}/disable", {})
        assert page.status == 422
        assert not world.snapshot.preferences_of(world.people["max"].id)


async def test_home_finds_plants_by_device_and_address(world: World):
    async with world.visit("tina") as browser:
        for query, wanted in (("wind", {"Wind"}), ("192.168.1.10", {"Solar", "Wind"}), ("nothing like it", set())):
            page = await browser.navigate(f"{PORTAL}/?q={query.replace(' ', '+')}")
            assert {heading.words for heading in Document(page.text).all("h2")} == wanted
