"""API tokens and sessions, from making them to their end, as programs and browsers meet them."""

from typing import Any

import pytest

from plantgate_hub import cookies
from plantgate_hub.api.problems import Problem
from plantgate_hub.identity.sessions import SessionPolicy
from tests.api.samples import SAMPLES, Sample, send
from tests.api.site import OPERATIONS, OWN_PAGE, ApiSite, Reply
from tests.harness.web_site import CONFIG


async def made(site: ApiSite, *scopes: str, who: str = "ada", valid_for: int = 3600) -> tuple[str, str]:
    """(id, secret) of a new token."""
    body = {"name": "program", "scopes": list(scopes), "valid_for": valid_for}
    reply = await send(site, OPERATIONS["create_token"], who=who, body=body)
    assert reply.status == 201, reply.text
    return reply.json["id"], reply.json["token"]


async def browser(site: ApiSite, who: str, method: str, path: str) -> Reply:
    headers = {**await site.sign_in(who), **OWN_PAGE, "Content-Type": "application/json"}
    return await site.call(method, path, "", headers=headers)


async def test_a_token_reads_as_its_owner_and_changes_nothing(site: ApiSite):
    _, token = await made(site, "read")
    assert (await site.call("GET", "/me", token)).json["email"] == "ada@example.com"
    before = await site.revision()
    for operation in OPERATIONS.values():
        if operation.method != "GET":
            assert (await send(site, operation, who=token)).problem is Problem.SCOPE, operation.name
    assert await site.revision() == before


async def test_a_token_changes_what_its_scope_is_about_and_reads_nothing(site: ApiSite):
    _, token = await made(site, "plants")
    plant = f"/plants/{site.id('wind')}"
    assert (await site.call("PATCH", plant, token, body={"name": "Windy"}, match="*")).status == 200
    assert (await site.call("GET", plant, token)).problem is Problem.SCOPE
    grant = {"person": site.id("vic"), "job": "viewer"}
    assert (await site.call("POST", f"{plant}/grants", token, body=grant)).problem is Problem.SCOPE


async def test_a_token_never_may_more_than_its_owner(site: ApiSite):
    _, token = await made(site, "read", "plants", "access", "platform", who="vic")
    assert (await site.call("GET", f"/plants/{site.id('mill')}", token)).problem is Problem.NOT_FOUND
    plant = f"/plants/{site.id('wind')}"
    assert (await site.call("PATCH", plant, token, body={"name": "Mine"}, match="*")).problem is Problem.FORBIDDEN
    await site.call("DELETE", f"{plant}/grants/{site.id('vic')}", match="*")
    assert (await site.call("GET", plant, token)).problem is Problem.NOT_FOUND


async def test_a_revoked_token_is_refused_within_a_second(site: ApiSite):
    id, token = await made(site, "read")
    for _ in range(2):  # by then it is known by heart
        assert (await site.call("GET", "/me", token)).status == 200
    assert (await browser(site, "ada", "POST", f"/me/tokens/{id}/revoke")).status == 204
    site.clock.now += 1
    assert (await site.call("GET", "/me", token)).problem is Problem.UNAUTHENTICATED
    assert id not in [one["id"] for one in (await browser(site, "ada", "GET", "/me/tokens")).json["items"]]


async def test_an_expired_token_is_refused(site: ApiSite):
    _, token = await made(site, "read", valid_for=60)
    site.clock.now += 59
    assert (await site.call("GET", "/me", token)).status == 200
    site.clock.now += 1
    assert (await site.call("GET", "/me", token)).problem is Problem.UNAUTHENTICATED


async def test_a_token_opens_neither_portal_nor_device_pages(site: ApiSite):
    """In the header as programs send it, and as the cookie of a browser."""
    _, token = await made(site, "read", "vpn", "plants", "access", "platform")
    page = f"wind-inverter.{CONFIG.devices_domain}"
    for host, cookie, refusal in (
        (CONFIG.portal_host, cookies.PORTAL, (303, "/sign-in")),
        (page, cookies.DEVICE, (401, None)),
    ):
        for carried in ({"Authorization": f"Bearer {token}"}, {"Cookie": f"{cookie}={token}"}):
            async with site.client.get("/", headers={"Host": host, **carried}, allow_redirects=False) as reply:
                assert (reply.status, reply.headers.get("Location")) == refusal, (host, carried)


async def test_a_token_makes_no_token_and_ends_no_session(site: ApiSite):
    _, token = await made(site, "read", "vpn", "plants", "access", "platform")
    own = ("list_tokens", "create_token", "revoke_token", "list_sessions", "end_session", "end_other_sessions")
    for name in (*own, "reset_second_factor", "diagnose_page"):
        assert (await send(site, OPERATIONS[name], who=token)).problem is Problem.SCOPE, name


async def test_names_scopes_and_times_are_checked(site: ApiSite):
    good: dict[str, Any] = {"name": "program", "scopes": ["read"]}
    for name, value in (
        ("scopes", []),
        ("scopes", ["all"]),
        ("name", " "),
        ("valid_for", 59),
        ("valid_for", 400 * 86400),
    ):
        reply = await send(site, OPERATIONS["create_token"], body={**good, name: value})
        assert reply.problem is Problem.INVALID, (name, value)
    reply = await send(site, OPERATIONS["create_token"], body={**good, "name": "script"})
    assert reply.problem is Problem.CONFLICT


@pytest.mark.parametrize(
    "name",
    [
        "create_token",
        "invite_member",
        "withdraw_member_invitation",
        "reset_second_factor",
        "set_member",
        "create_account",
        "change_account",
        "remove_account",
    ],
)
async def test_a_browser_left_open_does_nothing_sensitive(site: ApiSite, name: str):
    headers = {**await site.sign_in(SAMPLES.get(name, Sample()).who), **OWN_PAGE, "Content-Type": "application/json"}
    site.clock.now += SessionPolicy().proof_fresh
    before = await site.revision()
    reply = await send(site, OPERATIONS[name], who="", headers=headers)
    assert reply.problem is Problem.PROOF
    assert "/account/confirm" in reply.json["hint"]
    assert await site.revision() == before
    if OPERATIONS[name].scope is not None:  # a token was made with such a proof
        assert (await send(site, OPERATIONS[name])).status == OPERATIONS[name].status


async def test_a_stolen_token_does_not_delete_its_owner_s_account(site: ApiSite):
    path = f"/people/{site.id('tom')}"
    reply = await site.call("DELETE", path, "tom", match=await site.etag(path, "tom"))
    assert reply.problem is Problem.SCOPE
    headers = {**await site.sign_in("tom"), **OWN_PAGE}
    assert (await site.call("DELETE", path, "", match=await site.etag(path, "tom"), headers=headers)).status == 204


async def test_sessions_are_shown_and_ended(site: ApiSite):
    sessions = (await browser(site, "ada", "GET", "/me/sessions")).json["items"]
    assert sorted((one["here"], one["browser"]) for one in sessions) == [(False, "Phone"), (True, "")]
    assert (await browser(site, "ada", "POST", f"/me/sessions/{site.id('session of ada')}/end")).status == 204
    (left,) = (await browser(site, "ada", "GET", "/me/sessions")).json["items"]
    assert left["here"]
    assert (await site.call("GET", "/me", "", headers=await site.sign_in("ada"))).status == 200


async def test_ending_the_others_keeps_the_one_that_asks(site: ApiSite):
    assert (await browser(site, "ada", "POST", "/me/sessions/end-others")).status == 204
    (left,) = (await browser(site, "ada", "GET", "/me/sessions")).json["items"]
    assert left["here"]
    assert len((await browser(site, "wes", "GET", "/me/sessions")).json["items"]) == 2


async def test_the_account_s_history_is_one_s_own_and_the_newest_comes_first(site: ApiSite):
    site.clock.now += 10
    await made(site, "read")
    records = (await site.call("GET", "/me/history")).json["items"]
    assert [(one["event"], one["detail"]) for one in records] == [
        ("API token made", "program: read"),
        ("API token made", "script: read"),
    ]
    assert all(one["own"] for one in records)
    assert (await site.call("GET", "/me/history", "tom")).json["items"] == []
