"""Everything that goes wrong is answered as a problem, with a stable type and something to do about it."""

import logging
from dataclasses import replace

import pytest

from plantgate_hub.api.problems import STATUS, TITLES, ApiProblem, FieldError, Problem, problem_of
from plantgate_hub.api.server import PREFIX
from plantgate_hub.domain.model import PersonId
from plantgate_hub.identity.sign_in import TooManyTries
from plantgate_hub.store.protocol import StoreUnavailable
from plantgate_shared.errors import ConfigError, Conflict, Denied, InvalidInput, NotFound, PlantgateError
from tests.api.site import OWN_PAGE, ApiSite
from tests.harness.web_site import PORTAL


@pytest.mark.parametrize("path", ["/", "/plant", "/plants/", "/plants/a/b/c", "/%00", "/me/../plants/x/y"])
async def test_an_unknown_address(site: ApiSite, path: str):
    for who in ("", "ada"):
        assert (await site.call("GET", path, who)).problem is Problem.NOT_FOUND


async def test_a_method_that_the_address_does_not_take(site: ApiSite):
    reply = await site.call("POST", "/me")
    assert reply.problem is Problem.METHOD
    assert reply.headers["Allow"] == "GET, HEAD, PATCH"
    assert (await site.call("TRACE", "/plants")).problem is Problem.METHOD


async def test_head_is_get_without_the_body(site: ApiSite):
    reply = await site.call("HEAD", f"/plants/{site.id('wind')}")
    assert (reply.status, reply.text) == (200, "")
    assert reply.headers["ETag"] == await site.etag(f"/plants/{site.id('wind')}")


async def test_the_api_is_on_the_portal_s_host_only(site: ApiSite):
    reply = await site.client.get(f"{PREFIX}/me", headers={"Host": "elsewhere.example", "Authorization": "Bearer ada"})
    assert reply.status == 421
    device = await site.client.get(f"{PREFIX}/me", headers={"Host": "wind-inverter.devices.localhost"})
    assert device.headers.get("Content-Type") != "application/json"


async def test_fields_are_pointed_at(site: ApiSite):
    reply = await site.call(
        "POST", f"/plants/{site.id('wind')}/devices", body={"name": "", "address": 7, "a/b~c": 1, "x" * 500: 1}
    )
    assert reply.status == 422
    pointers = {error["pointer"] for error in reply.json["errors"]}
    assert pointers == {"#/name", "#/address", "#/a~1b~0c", "#/" + "x" * 100}
    reply = await site.call("GET", "/plants?limit=x&more=1")
    assert {error["parameter"] for error in reply.json["errors"]} == {"limit", "more"}


@pytest.mark.parametrize(
    "moment",
    [
        "9999-12-31T23:59:59.999999-23:59",  # later than what Python's calendar can say in UTC
        "0001-01-01T00:00:00+23:59",
        "1969-12-31T23:59:59Z",
        "2030-01-01T00:00:00",
        "tomorrow",
        1e300,
        1900000000,
    ],
)
async def test_moments_that_are_none(site: ApiSite, moment: object):
    before = await site.revision()
    body = {"person": site.id("vic"), "job": "viewer", "ends": moment}
    reply = await site.call("POST", f"/plants/{site.id('solar')}/grants", body=body)
    assert reply.problem is Problem.INVALID
    assert [error["pointer"] for error in reply.json["errors"]] == ["#/ends"]
    assert await site.revision() == before


async def test_services_refusals_carry_their_hint(site: ApiSite):
    reply = await site.call("DELETE", f"/subnets/{site.id('wind subnet')}", match="*")
    assert reply.json == {
        "type": "/problems/conflict",
        "title": TITLES[Problem.CONFLICT],
        "status": 409,
        "detail": "192.168.1.0/24 holds the device 'Inverter'",
        "hint": "remove its devices first",
    }


@pytest.mark.parametrize(
    "authorization",
    ["ada", "Bearer", "Bearer ", "Basic YWRhOg==", "Bearer no-such", "bearer  ", "Bearer ada extra", "\x00"],
)
async def test_a_token_that_does_not_hold(site: ApiSite, authorization: str):
    if "\x00" in authorization:
        authorization = "Bearer \xff"
    reply = await site.call("GET", "/me", headers={"Authorization": authorization, **await site.sign_in("ada")})
    assert reply.problem is Problem.UNAUTHENTICATED
    assert 'error="invalid_token"' in reply.headers["WWW-Authenticate"]


async def test_a_token_whose_owner_is_gone(site: ApiSite):
    site.tokens.known["left"] = (PersonId("gone"), frozenset())
    assert (await site.call("GET", "/me", "left")).problem is Problem.UNAUTHENTICATED


async def test_a_session_that_still_owes_its_second_factor(site: ApiSite):
    cookie = await site.sign_in("tom")
    assert (await site.call("GET", "/me", "", headers=cookie)).json["name"] == "Tom"
    async with site.store.change("test") as change:
        tom = change.snapshot.people.get(site.id("tom"))
        assert tom
        change.put(replace(tom, totp_active=True))
    await site.feed.reaches(await site.revision())
    reply = await site.call("GET", "/me", "", headers=cookie)
    assert (reply.status, reply.problem) == (401, Problem.SECOND_FACTOR)


async def test_a_planted_second_cookie_is_nobody(site: ApiSite):
    cookie = (await site.sign_in("ada"))["Cookie"]
    reply = await site.call("GET", "/me", "", headers={"Cookie": f"{cookie}; __Host-plantgate=other"})
    assert reply.problem is Problem.UNAUTHENTICATED


async def test_a_session_that_has_ended(site: ApiSite):
    cookie = await site.sign_in("ada")
    session = await site.sessions.find("session-of-ada", "")
    assert session
    await site.sessions.end(session.id)
    headers = {**cookie, **OWN_PAGE}
    reply = await site.call("PATCH", "/me", "", body={"name": "x"}, match="*", headers=headers)
    assert reply.problem is Problem.UNAUTHENTICATED


async def test_the_portal_s_pages_are_still_there(site: ApiSite):
    page = await site.client.get("/sign-in", headers={"Host": PORTAL.removeprefix("https://")})
    assert page.status == 200


async def test_when_the_store_is_away(site: ApiSite, monkeypatch):
    def away(*_):
        raise StoreUnavailable("the database does not answer")

    monkeypatch.setattr(site.store, "change", away)
    async with site.client.patch(
        f"{PREFIX}/plants/{site.id('wind')}",
        json={"name": "x"},
        headers={"Host": "portal.localhost", "Authorization": "Bearer ada", "If-Match": "*"},
    ) as reply:
        assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
        assert (await reply.json(content_type="application/problem+json"))["type"] == "/problems/unavailable"
    assert (await site.call("GET", f"/plants/{site.id('wind')}")).status == 200


async def test_a_mistake_of_ours_tells_nothing(site: ApiSite, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("secret inside")

    monkeypatch.setattr(site.store, "change", broken)
    with caplog.at_level(logging.CRITICAL):
        async with site.client.patch(
            f"{PREFIX}/plants/{site.id('wind')}",
            json={"name": "x"},
            headers={"Host": "portal.localhost", "Authorization": "Bearer ada", "If-Match": "*"},
        ) as reply:
            assert reply.status == 500
            assert "secret" not in await reply.text()


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (NotFound("x"), Problem.NOT_FOUND),
        (InvalidInput("x"), Problem.INVALID),
        (Conflict("x"), Problem.CONFLICT),
        (Denied("x"), Problem.FORBIDDEN),
        (StoreUnavailable("x"), Problem.UNAVAILABLE),
        (ConfigError("x"), Problem.INTERNAL),
        (PlantgateError("x"), Problem.INTERNAL),
        (TooManyTries(2.5), Problem.TOO_MANY),
        (ApiProblem(Problem.STALE), Problem.STALE),
    ],
)
def test_errors_of_the_application_have_their_problem(error: PlantgateError, problem: Problem):
    assert problem_of(error).problem is problem


def test_retry_after():
    assert problem_of(TooManyTries(2.5)).headers == {"Retry-After": "3"}


def test_problems_are_complete():
    assert set(STATUS) == set(TITLES) == set(Problem)
    assert FieldError(pointer="#/a", detail="x").parameter is None
