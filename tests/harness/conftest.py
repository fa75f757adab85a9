"""The hub's web application with one plant, one device page and four people, for the tests of sign-in and proxy."""

from collections.abc import AsyncIterator

import pytest

from plantgate_hub.domain.model import Job, OrgRole
from tests.harness.web_site import Browser, Site, device_url


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    site.add_person("olga", Job.OPERATOR)
    site.add_person("tom", Job.TECHNICAL_MANAGER)
    site.add_person("vera", Job.VIEWER)
    site.add_person("nina", Job.OPERATOR, totp=False)
    site.add_person("adam", None, totp=False, role=OrgRole.ADMINISTRATOR)
    site.add_person("gus", None, role=OrgRole.GUEST)
    await site.add_device("inverter", "192.168.1.10")
    await site.add_device("logger", "192.168.1.11")
    async with site.running():
        yield site


@pytest.fixture
async def browser(site: Site) -> AsyncIterator[Browser]:
    async with site.browser() as browser:
        yield browser


@pytest.fixture
async def opened(browser: Browser) -> Browser:
    """A browser in which Olga, Operator, has the inverter's page open."""
    page = await browser.sign_in("olga@example.org", start=device_url("inverter"))
    assert page.status == 200, page.text
    return browser
