"""Alias addresses on My routes and on the plant's page: of the whole network, or of each device of a large one."""

from ipaddress import IPv4Network

from plantgate_hub.domain.model import Job
from plantgate_hub.services import CONSOLE, acting
from plantgate_shared.identity.keys import WireGuardKey
from tests.harness.web_site import PORTAL, Page
from tests.portal.conftest import World
from tests.portal.html import check

POOL = IPv4Network("198.18.0.0/15")


def shown(page: Page) -> list[str]:
    """The alias addresses that can be copied; each has a button that names it."""
    document = check(page.text, page.headers["Content-Security-Policy"], "en")
    buttons = [button for button in document.all("button") if button.get("data-copies")]
    found = []
    for button in buttons:
        element = document.by_id(button.get("data-copies"))
        assert element is not None
        assert element.words in button.get("aria-label")
        assert "hidden" in button.attributes, "without script it could do nothing"
        found.append(element.words)
    return found


async def with_profile(world: World) -> None:
    tina = world.people["tina"].id
    await world.services.profiles.create(acting(tina), tina, "laptop", WireGuardKey.generate().public)
    await world.caught_up()


async def test_plants_that_share_a_range_are_each_shown_with_an_address_of_their_own(world: World):
    await with_profile(world)
    async with world.visit("tina") as tina:
        aliases = shown(await tina.navigate(f"{PORTAL}/routes"))
        assert len(set(aliases)) == 2
        for alias in aliases:
            assert IPv4Network(alias).prefixlen == 24
            assert IPv4Network(alias).subnet_of(POOL)
        page = await tina.navigate(f"{PORTAL}/plants/{world.plants['solar'].id}")
        (alias,) = shown(page)
        assert alias in aliases
        assert "also at" in page.text


async def test_devices_of_a_large_network_have_addresses_each(world: World):
    services, plant = world.services, world.plants["storage"].id
    await services.plants.add_subnet(CONSOLE, plant, "10.64.0.0/16")
    for host in range(1, 6):
        await services.plants.add_device(CONSOLE, plant, f"battery {host}", f"10.64.7.{host}")
    await services.grants.give(CONSOLE, world.people["tina"].id, plant, Job.OPERATOR)
    await with_profile(world)
    async with world.visit("tina") as tina:
        page = await tina.navigate(f"{PORTAL}/plants/{plant}")
        aliases = [alias for alias in shown(page) if "/" not in alias]
        assert len(set(aliases)) == 5
        assert "5 devices at addresses of their own" in page.text
        assert "10.64.7.3 at" in page.text
