"""Places for unproved connections: a flood pushes out itself, a stampede of honest agents does not."""

import asyncio

import pytest

from plantgate_hub.tunnel.unproved import NoPlace, Unproved


async def hold(places: Unproved, address: str, release: asyncio.Event) -> str:
    try:
        async with places.place(address):
            await release.wait()
    except TimeoutError:
        return "pushed out"
    except NoPlace:
        return "sent away"
    return "finished"


async def outcomes(places: Unproved, addresses: list[str]) -> list[str]:
    """What became of connections that arrive one after the other and want to stay."""
    release = asyncio.Event()
    tasks = []
    for address in addresses:
        tasks.append(asyncio.create_task(hold(places, address, release)))
        await asyncio.sleep(0)
        assert len(places) <= 4
    for _ in range(3):  # those pushed out notice
        await asyncio.sleep(0)
    release.set()
    results = await asyncio.gather(*tasks)
    assert len(places) == 0
    return results


async def test_an_address_with_many_gives_way_to_one_with_few():
    places = Unproved(4, 60.0, grace=60.0)
    addresses = ["flood", "flood", "flood", "flood", "honest", "other", "flood"]
    expected = ["pushed out", "pushed out", "finished", "finished", "finished", "finished", "sent away"]
    assert await outcomes(places, addresses) == expected
    assert (places.pushed_out, places.sent_away) == (2, 1)


async def test_when_all_come_at_once_those_under_way_finish():
    addresses = [f"agent {number}" for number in range(7)]
    assert await outcomes(Unproved(4, 60.0, grace=60.0), addresses) == ["finished"] * 4 + ["sent away"] * 3
    assert await outcomes(Unproved(4, 60.0, grace=60.0), ["nat"] * 7) == ["finished"] * 4 + ["sent away"] * 3


async def test_whoever_had_its_time_gives_way():
    assert await outcomes(Unproved(4, 60.0, grace=0.0), ["nat"] * 6) == ["pushed out"] * 2 + ["finished"] * 4


async def test_nobody_holds_a_place_for_long():
    places = Unproved(4, 0.05, grace=60.0)
    assert await hold(places, "a", asyncio.Event()) == "pushed out"
    assert len(places) == 0
    assert places.pushed_out == 0


async def test_a_place_is_given_back_after_an_error():
    places = Unproved(4, 60.0, grace=60.0)
    with pytest.raises(ValueError, match="boom"):
        async with places.place("a"):
            raise ValueError("boom")
    assert len(places) == 0
