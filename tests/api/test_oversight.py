"""Ending access, reasons for connecting, why somebody may or may not, and why something is not reached."""

import asyncio

from plantgate_hub.api.answers_oversight import ActionName
from plantgate_hub.api.problems import Problem
from plantgate_hub.domain.model import AgentId, PersonId, PlantId
from plantgate_hub.services import EXPLAINABLE
from plantgate_shared.protocol.control import Presence
from tests.api.samples import send
from tests.api.site import OPERATIONS, ApiSite
from tests.eventually import eventually


def test_actions_are_those_that_can_be_explained():
    assert {name.action for name in ActionName} == set(EXPLAINABLE)
    assert all(ActionName.of(action) == action.name.lower().replace("_", "-") for action in EXPLAINABLE)


async def allowed(site: ApiSite, person: str, action: str) -> bool:
    path = f"/plants/{site.id('wind')}/explanation?person={site.id(person)}&action={action}"
    (answer,) = (await site.call("GET", path)).json["actions"]
    assert answer["action"] == action
    return bool(answer["allowed"])


# Holds


async def test_access_is_ended_by_one_call_and_given_free_by_another(site: ApiSite):
    holds = f"/plants/{site.id('wind')}/holds"
    assert await allowed(site, "tom", "use-vpn")
    ended = await site.call("POST", holds, "tom", body={"reason": "smoke"})
    assert (ended.json["scope"], ended.json["by"], ended.json["reason"]) == ("everyone", "Tom", "smoke")
    assert (await site.call("POST", holds, body={"reason": "again"})).json == ended.json  # twice is as once
    assert not await allowed(site, "tom", "use-vpn")
    everyone = f"{holds}/everyone"
    assert (await site.call("DELETE", everyone, "tom", match="*")).problem is Problem.FORBIDDEN
    assert (await site.call("DELETE", everyone, "mod", match=await site.etag(everyone))).status == 204
    assert await allowed(site, "tom", "use-vpn")
    assert (await site.call("DELETE", everyone, "mod", match="*")).problem is Problem.NOT_FOUND


async def test_who_may_end_access_and_who_sees_that(site: ApiSite):
    holds = f"/plants/{site.id('wind')}/holds"
    for who in ("vic", "tec", "sue"):
        assert (await site.call("POST", holds, who, body={})).problem is Problem.FORBIDDEN, who
    assert (await site.call("GET", holds, "vic")).problem is Problem.FORBIDDEN
    assert (await site.call("GET", holds, "sue")).json["items"] == []
    assert (await site.call("GET", f"{holds}/nonsense")).problem is Problem.NOT_FOUND


# Reasons


async def test_who_is_connected_is_for_those_who_look_after_the_plant(site: ApiSite):
    path = f"/plants/{site.id('wind')}/connections"
    (seen,) = (await site.call("GET", path, "tec")).json["items"]
    assert (seen["name"], seen["means"], seen["open"], seen["external"]) == ("Sue", "VPN", 3, True)
    assert (await site.call("GET", path, "vic")).problem is Problem.FORBIDDEN
    assert (await site.call("GET", path, "wes")).problem is Problem.NOT_FOUND


async def test_a_required_reason_opens_the_plant_while_it_holds(site: ApiSite):
    policy = f"/organizations/{site.id('north')}/connection-policy"
    assert (await site.call("GET", policy, "vic")).json["purpose_required"] is False
    asks = {"purpose_required": True, "longest_purpose": 600}
    assert (await site.call("PUT", policy, "mod", body=asks, match="*")).problem is Problem.FORBIDDEN
    assert (await site.call("PUT", policy, body=asks, match=await site.etag(policy))).json["longest_purpose"] == 600
    assert not await allowed(site, "tom", "use-vpn")
    path, own = f"/plants/{site.id('wind')}/purpose", f"/me/purposes/{site.id('wind')}"
    assert (await site.call("POST", path, "vic", body={"text": "x"})).problem is Problem.FORBIDDEN
    assert (await site.call("POST", path, "tom", body={"text": "x", "valid_for": 601})).problem is Problem.INVALID
    assert (await site.call("POST", path, "tom", body={"text": "ticket 9"})).json["text"] == "ticket 9"
    assert await allowed(site, "tom", "use-vpn")
    assert [one["text"] for one in (await site.call("GET", "/me/purposes", "tom")).json["items"]] == ["ticket 9"]
    assert (await site.call("DELETE", own, "tom", match=await site.etag(own, "tom"))).status == 204
    assert not await allowed(site, "tom", "use-vpn")
    await site.call("POST", path, "tom", body={"text": "ticket 9"})
    site.clock.now += 600
    assert not await allowed(site, "tom", "use-vpn")
    assert (await site.call("GET", own, "tom")).problem is Problem.NOT_FOUND


async def test_the_plant_s_record_is_the_newest_first_and_for_those_who_see_connections(site: ApiSite):
    events = f"/plants/{site.id('wind')}/events"
    site.clock.now += 1
    await site.call("POST", f"/plants/{site.id('wind')}/holds", "tom", body={"scope": "external"})
    listed = (await site.call("GET", events, "tec")).json["items"]
    assert [(one["what"], one["name"], one["detail"]) for one in listed] == [
        ("access ended", "Tom", "external"),
        ("reason declared", "Ada", "ticket 7"),
    ]
    assert (await site.call("GET", events, "vic")).problem is Problem.FORBIDDEN


# Why somebody may or may not


async def test_a_no_comes_with_what_would_help(site: ApiSite):
    path = f"/plants/{site.id('wind')}/explanation?action=use-vpn"
    own = (await site.call("GET", path, "vic")).json
    assert own["person"] == site.id("vic")
    (answer,) = own["actions"]
    assert (answer["allowed"], answer["job"], answer["needs"]) == (False, "viewer", "operator")
    assert answer["denial"] == "the job on the plant is not high enough"
    (ground,) = answer["grounds"]
    assert (ground["source"], ground["gives"], ground["reason"]) == ("grant on the plant", "viewer", "works there")
    assert [(one["remedy"], one["job"]) for one in answer["remedies"]] == [("grant the job on the plant", "operator")]


async def test_all_actions_at_once(site: ApiSite):
    answers = (await site.call("GET", f"/plants/{site.id('wind')}/explanation")).json["actions"]
    assert [one["action"] for one in answers] == [ActionName.of(action) for action in EXPLAINABLE]


async def test_others_are_asked_about_by_those_who_manage_them(site: ApiSite):
    path = f"/plants/{site.id('wind')}/explanation?person="
    assert (await site.call("GET", path + site.id("sue"), "mod")).status == 200
    for who, person in (("vic", "tom"), ("tom", "vic"), ("ada", "wes"), ("sam", "sue"), ("wes", "tom")):
        reply = await site.call("GET", path + site.id(person), who)
        assert reply.problem is Problem.NOT_FOUND, (who, person)
    assert (await site.call("GET", f"/plants/{site.id('wind')}/explanation?action=run-platform")).status == 422


# Why something is not reached


async def hops(site: ApiSite, who: str = "ada") -> dict[str, tuple[str, str | None, str | None]]:
    reply = await site.call("GET", f"/devices/{site.id('wind device')}/diagnosis", who)
    assert reply.status == 200, reply.text
    assert reply.json["way"] == "vpn"
    return {step["hop"]: (step["result"], step["cause"], step["fixer"]) for step in reply.json["steps"]}


async def connect(site: ApiSite) -> None:
    """Wind's gateway comes online, with a boundary that holds the device; Ada prefers wind to solar."""
    await site.call("POST", f"/me/routes/{site.id('wind subnet')}/prefer")
    gateway = AgentId(site.id("wind gateway"))
    site.online.add(gateway)
    network = next(
        s.network for s in site.feed.snapshot.subnets_of(PlantId(site.id("wind"))) if s.network.prefixlen == 24
    )
    await site.services.agents.report_boundary(gateway, [network])
    await site.feed.reaches(await site.revision())


async def test_the_first_hop_that_fails_and_who_can_fix_it(site: ApiSite):
    found = await hops(site, "tec")
    assert found["permission"] == (
        "failed",
        "your job on this plant does not include this way",
        "a Moderator or Administrator of the plant's organization",
    )
    assert found["plant network"] == ("not tried", None, None)
    found = await hops(site)
    assert found["your VPN tunnel"] == ("unknown", "the hub cannot tell whether your VPN is connected", None)
    assert found["agent"] == ("failed", "the plant's agent is not connected", "somebody at the plant")
    assert site.network.asked == 0
    await connect(site)
    site.network.found = Presence.SILENT
    assert (await hops(site))["plant network"][:2] == ("failed", "no device answers at this address")


async def test_the_way_of_the_browser_is_for_who_is_signed_in(site: ApiSite):
    reply = await send(site, OPERATIONS["diagnose_page"])
    steps = {step["hop"]: (step["result"], step["cause"]) for step in reply.json["steps"]}
    assert steps["permission"] == ("failed", "two-factor authentication is not set up on your account")
    assert list(steps) == ["permission", "agent", "boundary", "plant network", "port", "page"]


async def test_of_one_person_s_questions_a_few_are_asked_at_once(site: ApiSite):
    await connect(site)
    site.network.found = Presence.ANSWERS
    site.network.answering.clear()
    path = f"/devices/{site.id('wind device')}/diagnosis"
    asked = [asyncio.create_task(site.call("GET", path)) for _ in range(5)]
    await eventually(lambda: sum(task.done() for task in asked) == 2)
    assert {task.result().problem for task in asked if task.done()} == {Problem.TOO_MANY}
    other = asyncio.create_task(site.call("GET", path, "mod"))  # has no profile, and is answered without the plant
    assert (await other).status == 200
    site.network.answering.set()
    assert sorted(reply.status for reply in await asyncio.gather(*asked)) == [200, 200, 200, 429, 429]
    assert (await site.call("GET", path)).status == 200


async def test_routes_show_their_aliases(site: ApiSite):
    routes = (await site.call("GET", "/me/routes")).json["items"]
    mine = {alias.prefix for alias in site.feed.snapshot.aliases_of(PersonId(site.id("ada")))}
    shown = {alias["prefix"] for route in routes for alias in route["aliases"]}
    assert shown == set(map(str, mine))
    assert len(shown) == len(routes)
    assert {alias["network"] for route in routes for alias in route["aliases"]} == {r["network"] for r in routes}
