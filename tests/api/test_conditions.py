"""ETags: nobody overwrites what they have not seen, and nobody is sent again what they have."""

import asyncio

from plantgate_hub.api.problems import Problem
from plantgate_hub.domain.model import PlantId
from plantgate_hub.services import CONSOLE
from tests.api.site import ApiSite


async def test_of_two_who_saw_the_same_state_one_wins(site: ApiSite):
    path = f"/plants/{site.id('wind')}"
    etag = await site.etag(path)
    replies = await asyncio.gather(
        *(site.call("PATCH", path, who, body={"name": f"by {who}"}, match=etag) for who in ("ada", "mod") * 4)
    )
    assert sorted(reply.status for reply in replies) == [200] + [412] * 7
    winner = next(reply for reply in replies if reply.status == 200)
    assert (await site.call("GET", path)).json["name"] == winner.json["name"]
    assert await site.etag(path) == winner.headers["ETag"]


async def test_the_condition_is_held_against_the_store_and_not_against_what_this_node_knows(site: ApiSite):
    """Another node changed it, and this one has not heard of it yet."""
    path = f"/plants/{site.id('wind')}"
    etag = await site.etag(path)
    known = site.feed.snapshot
    await site.services.plants.rename(CONSOLE, PlantId(site.id("wind")), "Elsewhere")
    site.feed._snapshot = known  # as if it had not arrived
    reply = await site.call("PATCH", path, body={"name": "Here"}, match=etag)
    assert reply.problem is Problem.STALE
    await site.feed.reaches(known.revision + 1)


async def test_a_change_of_what_is_not_shown_leaves_the_etag(site: ApiSite):
    path = f"/plants/{site.id('wind')}"
    etag = await site.etag(path)
    await site.call("PATCH", f"/devices/{site.id('wind device')}", body={"name": "Other"}, match="*")
    assert await site.etag(path) == etag


async def test_known_representations_are_not_sent_again(site: ApiSite):
    path = f"/devices/{site.id('wind device')}"
    etag = await site.etag(path)
    for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        reply = await site.call("GET", path, headers={"If-None-Match": known})
        assert (reply.status, reply.headers["ETag"], reply.text) == (304, etag, "")
    assert (await site.call("GET", path, headers={"If-None-Match": '"x"'})).status == 200


async def test_a_weak_tag_is_not_enough_for_a_change(site: ApiSite):
    path = f"/devices/{site.id('wind device')}"
    etag = await site.etag(path)
    assert (await site.call("PATCH", path, body={"name": "x"}, match=f"W/{etag}")).problem is Problem.STALE


async def test_nobody_is_made_a_member_unasked(site: ApiSite):
    members = f"/organizations/{site.id('north')}/members"
    for stranger in (site.id("sue"), "nobody"):
        for condition in ({"match": "*"}, {"match": "*", "headers": {"If-None-Match": "*"}}):
            reply = await site.call("PUT", f"{members}/{stranger}", body={"role": "member"}, **condition)
            assert reply.problem is Problem.NOT_FOUND


async def test_a_member_is_changed_as_seen(site: ApiSite):
    path = f"/organizations/{site.id('north')}/members/{site.id('tom')}"
    etag, guest = await site.etag(path), {"role": "guest"}
    assert (await site.call("PUT", path, body=guest)).problem is Problem.PRECONDITION
    changed = await site.call("PUT", path, body=guest, match=etag)
    assert (changed.status, changed.json["role"]) == (200, "guest")
    assert await site.etag(path) == changed.headers["ETag"]
    assert (await site.call("PUT", path, body={"role": "member"}, match=etag)).problem is Problem.STALE


async def test_an_offer_is_accepted_as_it_was_seen(site: ApiSite):
    path = f"/cooperations/{site.id('offered')}"
    seen = await site.etag(path, "sam")
    await site.call("PATCH", path, body={"cap": "technical-manager"}, match="*")
    assert (await site.call("POST", f"{path}/accept", "sam", match=seen)).problem is Problem.STALE
    assert not (await site.call("GET", path, "sam")).json["accepted"]
    assert (await site.call("POST", f"{path}/accept", "sam")).json["accepted"]


async def test_the_callers_next_request_sees_the_change(site: ApiSite):
    for number in range(20):
        made = await site.call("POST", f"/organizations/{site.id('north')}/plants", body={"name": f"Plant {number}"})
        assert (await site.call("GET", made.headers["Location"].removeprefix("/api/v1"))).status == 200


async def test_the_document_has_an_etag_too(site: ApiSite):
    first = await site.call("GET", "/openapi.json", "")
    assert first.status == 200
    again = await site.call("GET", "/openapi.json", "", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status == 304
