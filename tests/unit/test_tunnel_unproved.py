"""Places for unproved connections: a flood pushes out itself."""

import asyncio

import pytest

from plantgate_hub.tunnel.unproved import Unproved


async def hold(places: Unproved, address: str, held: list[str], release: asyncio.Event) -> str:
    try:
        async with places.place(address):
            held.append(address)
            await release.wait()
    except TimeoutError:
        return "pushed out"
    return "finished"


async def test_the_busiest_address_loses_its_oldest():
    places, release = Unproved(4, 60.0), asyncio.Event()
    held: list[str] = []
    addresses = ["honest", "flood", "flood", "flood", "flood", "flood", "other"]
    tasks = []
    for address in addresses:
        tasks.append(asyncio.create_task(hold(places, address, held, release)))
        await asyncio.sleep(0)
        assert len(places) <= 4
    await asyncio.wait(tasks, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    release.set()
    results = await asyncio.gather(*tasks)
    assert held == addresses
    assert results == ["finished", "pushed out", "pushed out", "pushed out", "finished", "finished", "finished"]
    assert places.pushed_out == 3
    assert len(places) == 0


async def test_nobody_holds_a_place_for_long():
    places = Unproved(4, 0.05)
    assert await hold(places, "a", [], asyncio.Event()) == "pushed out"
    assert len(places) == 0
    assert places.pushed_out == 0


async def test_a_place_is_given_back_after_an_error():
    places = Unproved(4, 60.0)
    with pytest.raises(ValueError, match="boom"):
        async with places.place("a"):
            raise ValueError("boom")
    assert len(places) == 0
