"""What holds for each operation of the API, walked over the declared ones: a new operation is held to it as well."""

from typing import Any

import pytest

from plantgate_hub.api.operation import Operation
from plantgate_hub.api.problems import Problem
from plantgate_hub.domain.scopes import TokenScope
from tests.api.samples import SAMPLES, path_of, resource_path, sample_body, sample_path, send
from tests.api.site import DOCUMENT, OPERATIONS, OWN_PAGE, ApiSite

CHANGING = [operation for operation in OPERATIONS.values() if operation.method != "GET"]
UNFOLLOWED = frozenset({"/plants/{plant}/enrolment-codes", "/me/tokens", "/organizations/{organization}/invitations"})
"""What is made and unmade below these is no part of what nodes follow."""
UNKNOWN = "0192f0c0-0000-7000-8000-000000000000"


def describe(operation: Operation) -> str:
    return operation.name


def test_every_operation_has_a_sample():
    assert set(SAMPLES) == set(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=describe)
async def test_it_does_what_it_is_for(site: ApiSite, operation: Operation):
    """With the ETag that was read before, where one is needed."""
    before = await site.revision()
    match = {}
    if operation.needs_match:
        etag = await site.etag(resource_path(site, operation), SAMPLES[operation.name].who)
        match = {"match": f'"another", {etag}'}
    reply = await send(site, operation, **match)
    assert reply.status == operation.status, reply.text
    after = await site.revision()
    if operation.method == "GET" or operation.path.startswith(tuple(UNFOLLOWED)):
        assert after == before
    elif operation.name not in ("activate_gateway", "prefer_route"):  # as it is already
        assert after == before + 1
    if operation.location:
        made = await site.call("GET", reply.headers["Location"].removeprefix("/api/v1"), SAMPLES[operation.name].who)
        assert made.status == 200
        assert made.json["id"] == reply.json["id"]
        if operation.has_etag:
            assert made.headers["ETag"] == reply.headers["ETag"]


async def test_without_credentials_the_document_s_operations_answer_401_and_change_nothing(site: ApiSite):
    before = await site.revision()
    for path, methods in DOCUMENT["paths"].items():
        for method, described in methods.items():
            operation = OPERATIONS[described["operationId"]]
            assert operation.path == path
            for stranger in ("", "no such token"):
                reply = await send(site, operation, who=stranger)
                assert (reply.status, reply.problem) == (401, Problem.UNAUTHENTICATED), (method, path)
                assert reply.headers["WWW-Authenticate"].startswith("Bearer ")
    assert await site.revision() == before


async def test_a_token_without_its_scope_is_refused(site: ApiSite):
    before = await site.revision()
    for operation in OPERATIONS.values():
        person, scopes = site.tokens.known[SAMPLES[operation.name].who]
        site.tokens.known["narrow"] = (person, scopes - {operation.scope})
        if operation.scope is None:
            site.tokens.known["narrow"] = (person, frozenset(TokenScope))
        reply = await send(site, operation, who="narrow")
        assert (reply.status, reply.problem) == (403, Problem.SCOPE), operation.name
    assert await site.revision() == before


async def test_strangers_ids_are_answered_like_unknown_ones(site: ApiSite):
    """West's Administrator names North's things: not a word tells that they exist."""
    before = await site.revision()
    seen = 0
    for operation in OPERATIONS.values():
        if not operation.parameters:
            continue
        unknown = await send(site, operation, who="wes", path=path_of(operation, lambda _: UNKNOWN))
        known = await send(site, operation, who="wes")
        assert (known.status, known.problem) == (404, Problem.NOT_FOUND), (operation.name, known.text)
        assert (known.status, known.text) == (unknown.status, unknown.text), operation.name
        seen += 1
    assert seen > 50
    assert await site.revision() == before


async def test_a_body_that_is_none(site: ApiSite):
    before = await site.revision()
    for operation in OPERATIONS.values():
        if operation.body is None:
            continue
        for raw in (b"", b"{", b'{"name": "\xff"}', b'{"name": "\\ud800"}', b"\x00"):
            reply = await send(site, operation, raw=raw)
            assert (reply.status, reply.problem) == (400, Problem.MALFORMED), (operation.name, raw)
        wrong: list[Any] = [[], "text", 7, {**sample_body(site, operation), "nonsense": 1}]
        for body in wrong:
            reply = await send(site, operation, body=body)
            assert (reply.status, reply.problem) == (422, Problem.INVALID), (operation.name, body)
            assert reply.json["errors"]
        reply = await send(site, operation, raw=b" " * 70_000)
        assert (reply.status, reply.problem) == (413, Problem.TOO_LARGE), operation.name
        for headers in ({"Content-Type": "text/plain"}, {"Content-Encoding": "gzip"}):
            reply = await send(site, operation, headers=headers)
            formlike = operation.scope is None and operation.method == "POST" and "Content-Type" in headers
            expected = (403, Problem.FOREIGN_REQUEST) if formlike else (415, Problem.CONTENT_TYPE)
            assert (reply.status, reply.problem) == expected, operation.name
    assert await site.revision() == before


async def test_changes_name_the_state_they_change(site: ApiSite):
    before = await site.revision()
    conditional = [operation for operation in CHANGING if operation.needs_match]
    assert len(conditional) > 20
    for operation in conditional:
        missing = await send(site, operation, match=None)
        assert (missing.status, missing.problem) == (428, Problem.PRECONDITION), operation.name
        for match in ('"stale"', 'W/"stale"', "nonsense", '"a", "b"'):
            stale = await send(site, operation, match=match)
            assert (stale.status, stale.problem) == (412, Problem.STALE), (operation.name, match)
    assert await site.revision() == before


async def test_other_sites_cannot_make_a_browser_change_anything(site: ApiSite):
    before = await site.revision()
    for operation in CHANGING:
        cookie = await site.sign_in(SAMPLES[operation.name].who)
        for origin in (
            {},
            {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
            {"Origin": "https://wind-inverter.devices.localhost:8443", "Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "none"},
            {"Origin": "null"},
        ):
            reply = await send(site, operation, who="", headers={**cookie, **origin})
            assert (reply.status, reply.problem) == (403, Problem.FOREIGN_REQUEST), (operation.name, origin)
        if operation.method == "POST":  # what a form can send
            form = {**cookie, **OWN_PAGE, "Content-Type": "text/plain"}
            assert (await send(site, operation, who="", headers=form)).problem is Problem.FOREIGN_REQUEST
    assert await site.revision() == before


async def test_the_portal_s_own_pages_can(site: ApiSite):
    for name in ("create_plant", "activate_gateway", "assign_plant", "rename_organization", "remove_target"):
        operation = OPERATIONS[name]
        headers = {**await site.sign_in("ada"), **OWN_PAGE, "Content-Type": "application/json"}
        assert (await send(site, operation, who="", headers=headers)).status == operation.status, name


async def test_sample_paths_are_complete(site: ApiSite):
    assert not [name for name, one in OPERATIONS.items() if "{" in sample_path(site, one)]
