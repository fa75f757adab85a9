"""Members, cooperations, VPN services, and the cloud operator's page."""

import re

import pytest

from plantgate_hub.domain.model import Job, OrgRole
from plantgate_hub.domain.policy import job_of
from plantgate_hub.identity.sessions import SessionPolicy
from plantgate_hub.services import CONSOLE, acting
from plantgate_shared.identity.keys import WireGuardKey
from tests.harness.web_site import PORTAL
from tests.portal.conftest import NETWORKS, World
from tests.portal.html import Document


def url(world: World, page: str, organization: str = "North") -> str:
    return f"{PORTAL}/organizations/{world.organizations[organization].id}/{page}"


def job(world: World, person: str, plant: str) -> Job | None:
    return job_of(world.snapshot, world.people[person].id, world.plants[plant].id, world.clock.now).job


@pytest.mark.parametrize("page", ["members", "cooperations", "services"])
async def test_only_who_manages_has_these_pages(world: World, page: str):
    for name, status in (("ada", 200), ("mo", 200), ("tina", 404), ("gus", 404), ("sam", 404), ("root", 404)):
        async with world.visit(name) as browser:
            assert (await browser.navigate(url(world, page))).status == status
            assert ("/organizations" in (await browser.navigate(PORTAL + "/")).text) == (name in ("ada", "mo", "sam"))


async def test_a_technical_manager_of_all_plants_manages_services_only(world: World):
    north, vera = world.organizations["North"].id, world.people["vera"].id
    await world.services.organizations.set_member(CONSOLE, north, vera, OrgRole.MEMBER, Job.TECHNICAL_MANAGER)
    await world.caught_up()
    async with world.visit("vera") as browser:
        page = await browser.navigate(f"{PORTAL}/organizations")
        assert page.url == url(world, "services")
        assert (await browser.navigate(url(world, "members"))).status == 404


async def test_members_are_invited_changed_and_removed(world: World):
    north, person = world.organizations["North"].id, world.people["vera"]
    async with world.visit("mo") as browser:
        page = await browser.submit(url(world, "members"), {"email": "New@Example.com ", "role": "MEMBER"})
        assert "new@example.com is invited." in page.text
        assert "/invitation?code=" in page.text
        assert world.snapshot.person_by_email("new@example.com") is None, "they have yet to accept"
        page = await browser.submit(url(world, "members"), {"email": person.email, "role": "MEMBER"})
        assert page.status == 409
        member = url(world, f"members/{person.id}")
        await browser.submit(member, {"role": "MEMBER", "job": "VIEWER"})
        membership = world.snapshot.memberships.get(person.id, north)
        assert membership is not None
        assert (membership.role, membership.job) == (OrgRole.MEMBER, Job.VIEWER)
        assert (await browser.navigate(f"{member}/remove")).status == 200
        await browser.submit(f"{member}/remove", {})
        assert world.snapshot.memberships.get(person.id, north) is None


async def test_a_browser_left_open_invites_and_promotes_nobody(world: World):
    vera = world.people["vera"].id
    async with world.visit("ada") as browser:
        world.clock.now += SessionPolicy().proof_fresh
        for page in (
            await browser.submit(url(world, "members"), {"email": "new@example.com", "role": "ADMINISTRATOR"}),
            await browser.submit(url(world, f"members/{vera}"), {"role": "ADMINISTRATOR"}),
        ):
            assert "/account/confirm" in page.url
    assert await world.store.accounts.invitations(world.organizations["North"].id) == ()
    membership = world.snapshot.memberships.get(vera, world.organizations["North"].id)
    assert membership is not None
    assert membership.role is OrgRole.MEMBER


async def test_a_moderator_makes_no_administrators(world: World):
    async with world.visit("mo") as browser:
        page = await browser.navigate(url(world, "members"))
        assert "ADMINISTRATOR" not in page.text
        page = await browser.submit(url(world, f"members/{world.people['tina'].id}"), {"role": "ADMINISTRATOR"})
        assert page.status == 403
        membership = world.snapshot.memberships.get(world.people["tina"].id, world.organizations["North"].id)
        assert membership is not None
        assert membership.role is OrgRole.MEMBER


async def test_a_job_is_granted_for_a_time_and_revoked(world: World):
    async with world.visit("ada") as browser:
        member = url(world, f"members/{world.people['vera'].id}")
        fields = {"plant": world.plants["hydro"].id, "job": "OPERATOR", "reason": "ticket 7"}
        page = await browser.submit(f"{member}/grants", {**fields, "ends": "2001-01-01T10:00"})
        assert page.status == 422
        reason = Document(page.text).by_id("grant-reason")
        assert reason is not None
        assert reason.get("value") == "ticket 7"
        page = await browser.submit(f"{member}/grants", {**fields, "ends": "tomorrow"})
        assert "no date and time" in page.text
        page = await browser.submit(f"{member}/grants", {**fields, "ends": "2101-01-01T10:00"})
        assert "2101-01-01 10:00 UTC" in page.text
        assert job(world, "vera", "hydro") is Job.OPERATOR
        await browser.submit(f"{member}/grants/revoke", {"plant": fields["plant"], "job": "OPERATOR"})
        assert job(world, "vera", "hydro") is None


async def test_a_cooperation_from_the_offer_to_its_end(world: World):
    async with world.visit("ada") as owner, world.visit("sam") as partner:
        fields = {"plant": world.plants["wind"].id, "partner": "service  LTD", "cap": "TECHNICAL_MANAGER"}
        page = await owner.submit(url(world, "cooperations"), {**fields, "partner": "Service"})
        assert page.status == 422
        assert "there is no organization of this name" in page.text
        await owner.submit(url(world, "cooperations"), fields)
        (cooperation,) = world.snapshot.cooperations_on(world.plants["wind"].id)
        ours = url(world, f"cooperations/{cooperation.id}")
        theirs = url(world, f"cooperations/{cooperation.id}", "Service Ltd")
        assert (await partner.navigate(ours)).status == 404
        assert (await owner.submit(f"{ours}/accept", {})).status == 422  # the partner's to do
        assert "Accepted." in (await partner.submit(f"{theirs}/accept", {})).text
        invitation = {"email": "sue@example.com", "job": "OPERATOR"}
        assert (await partner.submit(f"{theirs}/invitations", invitation)).status == 422  # above the cap
        page = await owner.submit(f"{ours}/invitations", {**invitation, "job": "VIEWER", "email": "gus@example.com"})
        assert page.status == 422
        assert "the partner has no member" in page.text
        await owner.submit(f"{ours}/invitations", {**invitation, "job": "TECHNICAL_MANAGER"})
        assert job(world, "sue", "wind") is Job.TECHNICAL_MANAGER
        await owner.submit(f"{ours}/cap", {"cap": "VIEWER"})
        assert job(world, "sue", "wind") is Job.VIEWER
        assert "1 invited people" in (await partner.navigate(f"{theirs}/end")).text
        await partner.submit(f"{theirs}/end", {})
        assert job(world, "sue", "wind") is None


async def test_the_owner_does_not_see_the_partners_people(world: World):
    wind, partner = world.plants["wind"].id, world.organizations["Service Ltd"].id
    cooperation = await world.services.cooperations.offer(CONSOLE, wind, partner, Job.OPERATOR)
    await world.services.cooperations.accept(CONSOLE, cooperation.id)
    await world.caught_up()
    async with world.visit("ada") as owner:
        assert "sue@example.com" not in (await owner.navigate(url(world, f"cooperations/{cooperation.id}"))).text
    async with world.visit("sam") as theirs:
        page = await theirs.navigate(url(world, f"cooperations/{cooperation.id}", "Service Ltd"))
        assert "sue@example.com" in page.text
        assert "tina@example.com" not in page.text


async def test_taking_a_plant_from_its_last_service_says_whom_it_cuts_off(world: World):
    tina, north = world.people["tina"].id, world.organizations["North"].id
    await world.services.profiles.create(acting(tina), tina, "laptop", WireGuardKey.generate().public)
    await world.caught_up()
    (service,) = world.snapshot.services_of(north)
    solar = world.plants["solar"].id
    async with world.visit("mo") as browser:
        question = await browser.navigate(url(world, f"services/{service.id}/remove?plant={solar}"))
        assert "This ends VPN at once" in question.text
        assert "1 people with a VPN profile" in question.text
        await browser.submit(url(world, "services"), {"name": "Second"})
        (second,) = [s for s in world.snapshot.services_of(north) if s.name == "Second"]
        await browser.submit(url(world, f"services/{second.id}/plants"), {"plant": solar})
        question = await browser.navigate(url(world, f"services/{service.id}/remove?plant={solar}"))
        assert "VPN goes on" in question.text
        await browser.submit(url(world, f"services/{service.id}/remove?plant={solar}"), {})
        assert {s.id for s in world.snapshot.services_with(solar)} == {second.id}
        page = await browser.submit(url(world, f"services/{second.id}/remove"), {})
        assert not world.snapshot.services_with(solar)
        assert re.search(r"without VPN:\s*Solar", page.text)


async def test_the_fleet_page_shows_health_and_nothing_of_plants(world: World):
    async with world.visit("root") as browser:
        page = await browser.navigate(f"{PORTAL}/fleet")
        assert "1 of 2 gateways connected." in page.text
        assert "Service Ltd" in page.text
        assert world.agents["wind"].id in page.text
        secrets = [plant.title() for plant in NETWORKS] + list(NETWORKS.values())
        secrets += [person.email for name, person in world.people.items() if name != "root"]
        assert [secret for secret in secrets if secret in page.text] == []
        page = await browser.submit(f"{PORTAL}/fleet/organizations", {"name": "Third"})
        assert "The organization is added." in page.text
        assert (await browser.submit(f"{PORTAL}/fleet/organizations", {"name": "third"})).status == 409
    async with world.visit("ada") as browser:
        assert (await browser.navigate(f"{PORTAL}/fleet")).status == 404
        assert (await browser.submit(f"{PORTAL}/fleet/organizations", {"name": "Mine"})).status == 404
