"""Pagination: every item once, in one order, whatever the page size and whatever changes meanwhile."""

import pytest
from yarl import URL

from plantgate_hub.api.cursor import decode, encode
from plantgate_hub.api.problems import Problem
from tests.api.samples import sample_path, send
from tests.api.site import OPERATIONS, ApiSite

NAMES = [f"Plant {number}" for number in range(7)]


@pytest.fixture
async def plants(site: ApiSite) -> str:
    for name in NAMES:
        await site.call("POST", f"/organizations/{site.id('north')}/plants", body={"name": name})
    return "/plants"


async def follow(site: ApiSite, path: str) -> list[list[str]]:
    """The names on each page, by the Link header as a generic client would."""
    pages: list[list[str]] = []
    while path:
        assert len(pages) < 50
        reply = await site.call("GET", path)
        pages.append([item["name"] for item in reply.json["items"]])
        link = reply.headers.get("Link", "")
        assert bool(link) == (reply.json["next"] is not None)
        path = link.partition(">")[0].removeprefix("<").removeprefix("/api/v1")
        if link:
            assert link.endswith('; rel="next"')
            assert URL(path).query["cursor"] == reply.json["next"]
    return pages


async def test_pages_together_are_the_list(site: ApiSite, plants: str):
    everything = [item["name"] for item in (await site.call("GET", plants)).json["items"]]
    assert set(everything) == {*NAMES, "Wind", "Solar"}
    for limit in (1, 2, 4, 9, 200):
        pages = await follow(site, f"{plants}?limit={limit}")
        assert [name for page in pages for name in page] == everything
        assert all(len(page) <= limit for page in pages)
        assert len(pages) == -(-len(everything) // limit)


async def test_the_filter_stays_on_following_pages(site: ApiSite, plants: str):
    pages = await follow(site, f"{plants}?organization={site.id('north')}&limit=4")
    assert sum(map(len, pages)) == 9
    assert await follow(site, f"{plants}?organization={site.id('west')}&limit=4") == [[]]


async def test_what_is_removed_between_two_pages_moves_nothing(site: ApiSite, plants: str):
    first = await site.call("GET", f"{plants}?limit=4")
    last = first.json["items"][-1]["id"]
    await site.call("DELETE", f"/plants/{last}", match="*")
    rest = await site.call("GET", f"{plants}?limit=200&cursor={first.json['next']}")
    assert len(rest.json["items"]) == 5


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=many",
        "limit=1&limit=2",
        "limit=",
        "offset=3",
        "cursor=x",
        "cursor=%00",
        "cursor=" + "A" * 2000,
        "cursor=" + encode(["a"])[:-1],
        "cursor=W10",
        "cursor=WzFd",
        "cursor=" + "W1tb" * 250,
    ],
)
async def test_a_query_that_is_none(site: ApiSite, query: str):
    assert (await site.call("GET", f"/plants?{query}")).problem is Problem.INVALID


async def test_a_made_up_cursor_shows_nothing_more(site: ApiSite):
    reply = await site.call("GET", f"/plants?cursor={encode([''])}", "wes")
    assert [item["name"] for item in reply.json["items"]] == ["Mill"]


def test_cursors_come_back_as_they_were():
    for key in (["a"], ["a", "", "3"], ["ü/\"'"]):
        assert decode(encode(key)) == tuple(key)
    assert decode("") == ()


async def test_each_list_can_be_read_one_by_one(site: ApiSite):
    for operation in OPERATIONS.values():
        if not operation.name.startswith("list_"):
            continue
        path = sample_path(site, operation)
        whole = (await send(site, operation)).json["items"]
        found: list[object] = []
        cursor: str | None = ""
        while cursor is not None and len(found) < 50:
            page = (await send(site, operation, path=f"{path}?limit=1&cursor={cursor}")).json
            found += page["items"]
            cursor = page["next"]
        assert found == whole, operation.name
        assert whole, operation.name
