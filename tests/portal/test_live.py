"""The stream that tells an open page to look again: when it speaks, to whom, and when it ends."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest

from plantgate_hub.domain.model import Job
from plantgate_hub.identity.sessions import SessionPolicy
from plantgate_hub.portal import live
from plantgate_hub.services import CONSOLE, acting
from tests.eventually import eventually
from tests.harness.web_site import PORTAL, Browser
from tests.portal.conftest import World

SOON = 1.0
"""Seconds within which a stream ends with its session."""


class Stream:
    """An open stream. `changed` waits for the next event, `quiet` makes sure that there was none."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def line(self) -> bytes:
        return await self.response.content.readline()

    async def changed(self) -> None:
        async with asyncio.timeout(10):
            while await self.line() != b"event: changed\n":
                assert not self.response.content.at_eof(), "the stream ended"

    async def ended(self) -> float:
        """Seconds until it does."""
        started = time.monotonic()
        with suppress(aiohttp.ClientPayloadError, aiohttp.ClientConnectionError):
            async with asyncio.timeout(10):
                while await self.line():
                    pass
        return time.monotonic() - started


async def version(browser: Browser) -> str:
    page = await browser.navigate(PORTAL + "/")
    found = re.search(r'data-version="(\d+)"', page.text)
    assert found
    return found[1]


@asynccontextmanager
async def stream(browser: Browser, since: str | None = None) -> AsyncIterator[Stream]:
    since = await version(browser) if since is None else since
    async with browser.open("GET", f"{PORTAL}/live?since={since}", {"Accept": "text/event-stream"}) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        opened = Stream(response)
        assert (await opened.line()).startswith(b"retry:")
        yield opened


async def test_a_change_of_permissions_and_a_gateway_that_goes_are_told(world: World):
    async with world.visit("tina") as browser, stream(browser) as events:
        await world.services.grants.give(CONSOLE, world.people["tina"].id, world.plants["hydro"].id, Job.OPERATOR)
        await events.changed()
        attached = world.attach("wind")
        await events.changed()
        world.registry.detach(attached)
        await events.changed()
        assert "offline" in (await browser.navigate(PORTAL + "/")).text


async def test_a_page_that_is_behind_is_told_at_once(world: World):
    async with world.visit("tina") as browser:
        before = await version(browser)
        world.attach("wind")
        async with stream(browser, before) as events:
            await events.changed()


async def test_nobody_hears_of_what_is_not_theirs(world: World):
    """Sam is a stranger to North: what happens there gives no event, what happens to Sam does."""
    async with world.visit("sam") as browser, stream(browser) as events:
        await world.services.grants.give(CONSOLE, world.people["vera"].id, world.plants["hydro"].id, Job.OPERATOR)
        world.attach("wind")
        await world.caught_up()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await events.changed()
        await world.services.people.rename(CONSOLE, world.people["sam"].id, "Samuel")
        await events.changed()


async def test_it_ends_with_the_session(world: World):
    async with world.visit("tina") as browser, stream(browser) as events:
        await browser.submit(f"{PORTAL}/sign-out", {})
        assert await events.ended() < SOON


async def test_it_ends_when_all_sessions_of_the_person_are_ended_elsewhere(world: World):
    async with world.visit("tina") as browser, stream(browser) as events:
        async with world.store.change("test") as change:
            await change.end_sessions(world.people["tina"].id)
        assert await events.ended() < SOON
        answer = await browser.request("GET", f"{PORTAL}/live")
        assert answer.status == 401


async def test_it_ends_with_the_account(world: World):
    async with world.visit("vera") as browser, stream(browser) as events:
        await world.services.people.delete(CONSOLE, world.people["vera"].id)
        assert await events.ended() < SOON


async def test_an_open_page_keeps_no_session_awake(world: World):
    async with world.visit("tina") as browser:
        async with stream(browser):
            world.clock.now += SessionPolicy().idle - 1
            page = await browser.request("GET", PORTAL + "/", {"Plantgate-Live": "1"})
            assert page.status == 200
            world.clock.now += 2
            page = await browser.request("GET", PORTAL + "/", {"Plantgate-Live": "1"})
            assert page.status == 303
        assert (await browser.request("GET", f"{PORTAL}/live")).status == 401


async def test_before_the_second_factor_there_is_none(world: World):
    async with world.browser() as browser:
        await browser.sign_in("tina@example.com", code=False)
        assert (await browser.request("GET", f"{PORTAL}/live")).status == 401


async def test_streams_are_few_for_each_person_and_the_oldest_ends_first(world: World, monkeypatch):
    monkeypatch.setattr(live, "MAX_PER_PERSON", 2)
    async with world.visit("tina") as browser, stream(browser) as first, stream(browser), stream(browser) as last:
        assert await first.ended() < 5
        await world.services.routes.set_disabled(
            acting(world.people["tina"].id), world.people["tina"].id, world.subnet("solar").id, True
        )
        await last.changed()


async def test_a_full_node_says_so_and_a_closed_page_makes_room(world: World, monkeypatch):
    monkeypatch.setattr(live, "MAX_STREAMS", 1)
    async with world.visit("tina") as browser:
        async with stream(browser):
            assert (await browser.request("GET", f"{PORTAL}/live")).status == 503

        async def open_again() -> bool:
            async with browser.open("GET", f"{PORTAL}/live") as response:
                return response.status == 200

        assert await eventually(open_again)


async def test_many_changes_at_once_are_few_events(world: World, monkeypatch):
    monkeypatch.setattr(live, "PAUSE", 3600.0)
    async with world.visit("tina") as browser, stream(browser) as events:
        world.attach("wind")
        await events.changed()
        for _ in range(50):
            world.registry.detach(world.attach("wind"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await events.changed()
