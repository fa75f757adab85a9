"""Idempotency keys: a creation that is sent twice happens once."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from plantgate_hub.api.problems import Problem
from tests.api.samples import SAMPLES, sample_body, sample_path
from tests.api.site import OPERATIONS, ApiSite, Reply
from tests.eventually import eventually

KEY = {"Idempotency-Key": "first"}
REPEATABLE = [operation for operation in OPERATIONS.values() if operation.repeatable]


async def make(site: ApiSite, name: str, who: str = "ada", key: str = "first") -> Reply:
    path = f"/organizations/{site.id('north')}/plants"
    return await site.call("POST", path, who, body={"name": name}, headers={"Idempotency-Key": key})


async def test_every_creation_can_be_sent_twice(site: ApiSite):
    assert len(REPEATABLE) > 10
    for operation in REPEATABLE:
        who, path, body = SAMPLES[operation.name].who, sample_path(site, operation), sample_body(site, operation)
        headers = {"Idempotency-Key": operation.name}
        first = await site.call("POST", path, who, body=body, headers=headers)
        before = await site.revision()
        again = await site.call("POST", path, who, body=body, headers=headers)
        assert first.status == again.status == 201, (operation.name, first.text, again.text)
        assert again.text == first.text
        for name in ("ETag", "Location"):
            assert again.headers.get(name) == first.headers.get(name)
        assert await site.revision() == before


async def test_the_same_key_with_another_body_is_refused(site: ApiSite):
    assert (await make(site, "Hydro")).status == 201
    before = await site.revision()
    reply = await make(site, "Biogas")
    assert (reply.status, reply.problem) == (422, Problem.KEY_REUSED)
    other_path = f"/organizations/{site.id('north')}/vpn-services"
    reply = await site.call("POST", other_path, body={"name": "Hydro"}, headers=KEY)
    assert reply.problem is Problem.KEY_REUSED
    assert await site.revision() == before


async def test_a_key_is_its_person_s(site: ApiSite):
    first, second = await make(site, "Hydro"), await make(site, "Biogas", "mod")
    assert (first.status, second.status) == (201, 201)


async def test_a_refused_request_may_be_sent_again(site: ApiSite):
    assert (await make(site, "Wind")).problem is Problem.CONFLICT
    await site.call("PATCH", f"/plants/{site.id('wind')}", body={"name": "Old"}, match="*")
    assert (await make(site, "Wind")).status == 201


async def test_the_same_request_many_times_at_once_makes_one(site: ApiSite):
    replies = await asyncio.gather(*(make(site, "Hydro") for _ in range(6)))
    made = [reply for reply in replies if reply.status == 201]
    assert made
    assert len({reply.text for reply in made}) == 1
    assert {reply.problem for reply in replies if reply.status != 201} <= {Problem.CONFLICT}
    assert (await make(site, "Hydro")).text == made[0].text


async def test_a_key_is_free_after_a_day(site: ApiSite):
    assert (await make(site, "Hydro")).status == 201
    site.clock.now += 24 * 3600
    assert (await make(site, "Biogas")).status == 201


@pytest.mark.parametrize("key", ["", " ", "two words", "x" * 256, "ü"])
async def test_keys_that_are_none(site: ApiSite, key: str):
    assert (await make(site, "Hydro", key=key)).problem is Problem.INVALID


async def test_what_is_shown_once_is_not_kept(site: ApiSite):
    codes = f"/plants/{site.id('wind')}/enrolment-codes"
    assert (await site.call("POST", codes, body={}, headers=KEY)).problem is Problem.INVALID
    assert (await site.call("POST", codes, body={})).status == 201


async def test_a_request_goes_on_when_its_sender_goes_away(site: ApiSite, monkeypatch):
    """The sender will ask again, with the same key, whether it was done."""
    begun, go_on = asyncio.Event(), asyncio.Event()
    change = site.store.change

    @asynccontextmanager
    async def slow(actor: str):
        begun.set()
        await go_on.wait()
        async with change(actor) as transaction:
            yield transaction

    monkeypatch.setattr(site.store, "change", slow)
    request = asyncio.create_task(make(site, "Hydro"))
    await begun.wait()
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    go_on.set()
    monkeypatch.setattr(site.store, "change", change)

    async def answer() -> Reply:
        reply = await make(site, "Hydro")
        assert reply.status == 201
        return reply

    reply = await eventually(answer)
    plants = (await site.call("GET", "/plants")).json["items"]
    assert [plant["id"] for plant in plants if plant["name"] == "Hydro"] == [reply.json["id"]]
