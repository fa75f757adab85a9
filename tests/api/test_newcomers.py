"""People come in by invitation; who lost the second factor gets help from above."""

from dataclasses import replace

import pytest

from plantgate_hub.api.problems import Problem
from plantgate_hub.domain.model import PersonId
from tests.api.samples import send
from tests.api.site import OPERATIONS, ApiSite


async def test_from_the_invitation_to_the_membership(site: ApiSite):
    invitations = f"/organizations/{site.id('north')}/invitations"
    body = {"email": "New@Example.com", "role": "moderator", "job": "technical-manager"}
    invited = await site.call("POST", invitations, body=body)
    assert (invited.status, invited.json["email"]) == (201, "new@example.com")
    listed = (await site.call("GET", invitations)).json["items"]
    assert [one["email"] for one in listed] == ["adas-friend@example.com", "new@example.com"]
    assert "link" not in listed[0]
    secret = invited.json["link"].partition("code=")[2]
    person = await site.services.invitations.join(secret, "New", "a good password")
    await site.feed.reaches(await site.revision())
    member = (await site.call("GET", f"/organizations/{site.id('north')}/members/{person.id}")).json
    assert (member["role"], member["job"]) == ("moderator", "technical-manager")
    assert len((await site.call("GET", invitations)).json["items"]) == 1


async def test_nobodys_mailbox_is_flooded(site: ApiSite):
    invitations, body = f"/organizations/{site.id('north')}/invitations", {"email": "new@example.com"}
    replies = [await site.call("POST", invitations, body=body) for _ in range(6)]
    assert [reply.status for reply in replies] == [201] * 5 + [429]


async def test_where_the_hub_mails_the_link_it_is_nobody_else_s(site: ApiSite, monkeypatch):
    monkeypatch.setattr(type(site.services.context.outbox), "sends", property(lambda _: True))
    invited = await send(site, OPERATIONS["invite_member"])
    assert (invited.status, invited.json["link"]) == (201, None)


async def test_the_answer_is_the_same_whether_there_is_an_account(site: ApiSite):
    def shape(reply):
        return reply.status, {key: value for key, value in reply.json.items() if key not in ("id", "link", "email")}

    invitations = f"/organizations/{site.id('north')}/invitations"
    known = await site.call("POST", invitations, body={"email": "wes@example.com"})
    unknown = await site.call("POST", invitations, body={"email": "nobody@example.com"})
    assert shape(known) == shape(unknown)


async def test_a_withdrawn_invitation_opens_nothing(site: ApiSite):
    invited = await send(site, OPERATIONS["invite_member"])
    path = f"/organizations/{site.id('north')}/invitations/{invited.json['id']}/withdraw"
    assert (await site.call("POST", path, "mod")).status == 204
    with pytest.raises(Exception, match="does not work"):
        await site.services.invitations.join(invited.json["link"].partition("code=")[2], "New", "a good password")
    assert (await site.call("POST", path, "mod")).problem is Problem.NOT_FOUND


async def test_who_may_invite_whom(site: ApiSite):
    invitations = f"/organizations/{site.id('north')}/invitations"
    body = {"email": "new@example.com", "role": "administrator"}
    for who in ("mod", "tom", "vic"):
        assert (await site.call("POST", invitations, who, body=body)).problem is Problem.FORBIDDEN, who
    assert (await site.call("GET", invitations, "tom")).problem is Problem.FORBIDDEN
    assert (await site.call("POST", invitations, "mod", body={"email": "new@example.com"})).status == 201
    assert (await site.call("POST", invitations, body={"email": "tom@example.com"})).problem is Problem.CONFLICT
    guest = {"email": "new@example.com", "role": "guest", "job": "viewer"}
    assert (await site.call("POST", invitations, body=guest)).problem is Problem.INVALID


async def test_a_cloud_operator_invites_the_first_administrator_and_nobody_else(site: ApiSite):
    made = await site.call("POST", "/organizations", "root", body={"name": "East"})
    assert made.status == 201
    invitations = f"/organizations/{made.json['id']}/invitations"
    member, administrator = {"email": "boss@example.com"}, {"email": "boss@example.com", "role": "administrator"}
    assert (await site.call("POST", invitations, "root", body=member)).status in (403, 404)
    assert (await site.call("POST", invitations, "root", body=administrator)).status == 201
    north = f"/organizations/{site.id('north')}/invitations"
    assert (await site.call("POST", north, "root", body=administrator)).status in (403, 404)


async def test_a_lost_second_factor_is_reset_from_above(site: ApiSite):
    async with site.store.change("test") as change:
        for name in ("tom", "mod", "ada"):
            person = change.snapshot.people.get(PersonId(site.id(name)))
            assert person
            change.put(replace(person, totp_active=name != "ada"))
    await site.feed.reaches(await site.revision())
    tom = f"/people/{site.id('tom')}"
    assert (await site.call("GET", tom)).json["totp_active"]
    reset = OPERATIONS["reset_second_factor"]
    assert (await send(site, reset, path=f"{tom}/second-factor-reset")).status == 204
    assert not (await site.call("GET", tom)).json["totp_active"]
    events = (await site.call("GET", "/me/history", "tom")).json["items"]
    assert [(one["event"], one["detail"], one["own"]) for one in events] == [
        ("second factor reset by another person", "Ada", False)
    ]
    own = await send(site, reset, path=f"/people/{site.id('ada')}/second-factor-reset")
    above = await send(site, reset, who="tec", path=f"/people/{site.id('tec')}/second-factor-reset")
    assert (own.problem, above.problem) == (Problem.FORBIDDEN, Problem.FORBIDDEN)
