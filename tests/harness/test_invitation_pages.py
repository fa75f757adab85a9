"""Invitations as browsers go through them: the inviter's, the new person's, and that of somebody with an account."""

from collections.abc import AsyncIterator
from urllib.parse import quote, urlsplit

import pytest

from plantgate_hub.domain.model import OrgRole
from plantgate_hub.services import CONSOLE
from tests.harness.account_site import (
    NEW_PASSWORD,
    ORGANIZATION,
    AccountSite,
    account_site,
    get,
    link_in,
    post,
)
from tests.harness.web_site import PASSWORD, Browser, Page

NEW = "nora@example.org"
MEMBERS = "/organizations/org/members"


@pytest.fixture
async def site(tmp_path) -> AsyncIterator[AccountSite]:
    async with account_site(tmp_path) as site:
        yield site


@pytest.fixture
async def ada(site: AccountSite) -> AsyncIterator[Browser]:
    async with site.browser("ada") as browser:
        yield browser


async def invite(browser: Browser, email: str = NEW, role: str = "MEMBER", job: str = "", place: str = "org") -> Page:
    return await post(browser, f"/organizations/{place}/members", email=email, role=role, job=job)


async def code_of(site: AccountSite) -> str:
    """From the newest letter."""
    return link_in((await site.letters())[-1].text).partition("code=")[2]


async def membership(site: AccountSite, email: str):
    snapshot = await site.store.load_snapshot()
    person = snapshot.person_by_email(email)
    return snapshot.memberships.get(person.id, ORGANIZATION.id) if person else None


async def test_from_the_invitation_to_the_first_sign_in(site: AccountSite, ada: Browser):
    page = await invite(ada, job="TECHNICAL_MANAGER")
    assert f"{NEW} is invited" in page.text
    assert NEW in page.text
    assert "code=" not in page.text
    code = await code_of(site)
    async with site.browser() as nora:
        form = await get(nora, f"/invitation?code={code}")
        assert "Join Sonnenfeld Energie" in form.text
        assert "Technical Manager" in form.text
        fields = {"code": code, "name": "Nora", "password": NEW_PASSWORD}
        assert (await post(nora, "/invitation", **fields, repeat="something else")).status == 422
        assert (await post(nora, "/invitation", **{**fields, "name": " "}, repeat=NEW_PASSWORD)).status == 422
        assert await membership(site, NEW) is None
        done = await post(nora, "/invitation", **fields, repeat=NEW_PASSWORD)
        assert "Your account is ready" in done.text
        await site.caught_up()
        home = await site.sign_in(nora, "nora", NEW_PASSWORD)
        assert "Solarpark Nord" in home.text
        again = await get(nora, f"/invitation?code={code}")
        assert (again.status, "does not work" in again.text) == (404, True)
    assert NEW not in (await get(ada, MEMBERS)).text.partition("Open invitations")[2].partition("Invite somebody")[0]


async def test_who_has_an_account_signs_in_and_accepts(site: AccountSite, ada: Browser):
    await invite(ada, "sue@example.org", "GUEST")
    code = await code_of(site)
    async with site.browser() as sue:
        start = await get(sue, f"/invitation?code={code}")
        following = f"/invitation?code={code}"
        assert f"/sign-in?next={quote(following)}" in start.text
        form = {"email": "sue@example.org", "password": PASSWORD, "next": following}
        page = await post(sue, "/sign-in", **form)
        assert urlsplit(page.url).path == "/invitation"
        assert "Accept" in page.text
        assert await membership(site, "sue@example.org") is None
        await post(sue, "/invitation/accept", code=code)
    found = await membership(site, "sue@example.org")
    assert found
    assert found.role is OrgRole.GUEST


async def test_only_the_invited_account_can_accept(site: AccountSite, ada: Browser):
    await invite(ada, NEW, "ADMINISTRATOR")
    code = await code_of(site)
    async with site.browser("sue") as sue:
        page = await get(sue, f"/invitation?code={code}")
        assert "You are signed in as sue@example.org" in page.text
        assert "/invitation/accept" not in page.text
        assert (await post(sue, "/invitation/accept", code=code)).status == 403
    async with site.browser() as stranger:
        assert urlsplit((await post(stranger, "/invitation/accept", code=code)).url).path == "/sign-in"
    assert await membership(site, "sue@example.org") is None
    assert await membership(site, NEW) is None


async def test_an_account_is_not_made_twice(site: AccountSite, ada: Browser):
    await invite(ada, "sue@example.org")
    code = await code_of(site)
    async with site.browser() as sue:
        fields = {"code": code, "name": "Sue", "password": NEW_PASSWORD, "repeat": NEW_PASSWORD}
        page = await post(sue, "/invitation", **fields)
        assert (page.status, "Sign in to accept" in page.text) == (409, True)
        assert (await post(sue, "/sign-in", email="sue@example.org", password=NEW_PASSWORD)).status == 403
        assert (await post(sue, "/sign-in", email="sue@example.org", password=PASSWORD)).status == 200


async def test_the_inviters_page_is_the_same_with_and_without_an_account(site: AccountSite, ada: Browser):
    pages = []
    for email in ("sue@example.org", "xxx@example.org"):
        page = await invite(ada, email)
        pages.append(page.text.replace(email, "somebody"))
        await withdraw_all(site)
    assert pages[0].count("somebody") == pages[1].count("somebody")
    assert without_ids(pages[0]) == without_ids(pages[1])
    links = []
    for email in ("sue@example.org", "xxx@example.org"):
        await invite(ada, email)
        async with site.browser() as browser:
            code = await code_of(site)
            page = await get(browser, f"/invitation?code={code}")
            links.append(page.text.replace(email, "somebody").replace(code, "CODE"))
    assert links[0] == links[1]


async def withdraw_all(site: AccountSite) -> None:
    for invitation in await site.services.invitations.open(CONSOLE, ORGANIZATION.id):
        await site.services.invitations.withdraw(CONSOLE, ORGANIZATION.id, invitation.id)


def without_ids(text: str) -> str:
    return "\n".join(
        line for line in text.splitlines() if "data-version" not in line and 'name="invitation"' not in line
    )


async def test_an_invitation_is_withdrawn(site: AccountSite, ada: Browser):
    await invite(ada)
    code = await code_of(site)
    (invitation,) = await site.services.invitations.open(CONSOLE, ORGANIZATION.id)
    await post(ada, "/organizations/org/invitations/withdraw", invitation=invitation.id)
    async with site.browser() as nora:
        page = await post(nora, "/invitation", code=code, name="Nora", password=NEW_PASSWORD, repeat=NEW_PASSWORD)
    assert page.status == 404
    assert await membership(site, NEW) is None


@pytest.mark.parametrize(
    ("who", "fields", "status"),
    [
        ("mod", {"role": "ADMINISTRATOR"}, 403),
        ("tom", {}, 404),
        ("sue", {}, 404),
        ("ada", {"place": "nowhere"}, 404),
        ("ada", {"email": "no address"}, 422),
        ("ada", {"email": "tom@example.org"}, 409),
        ("ada", {"role": "emperor"}, 422),
        ("ada", {"job": "OPERATOR"}, 422),
        ("ada", {"job": "x"}, 422),
    ],
)
async def test_what_is_no_invitation(site: AccountSite, who: str, fields: dict[str, str], status: int):
    async with site.browser(who) as browser:
        page = await invite(browser, **fields)
    assert (page.status, "Not done." in page.text) == (status, status != 404)
    assert await site.letters() == []
    assert await site.services.invitations.open(CONSOLE, ORGANIZATION.id) == ()


async def test_an_old_sign_in_is_asked_again_before_it_invites(site: AccountSite, ada: Browser):
    site.now += 601.0
    assert urlsplit((await invite(ada)).url).path == "/account/confirm"
    assert await site.services.invitations.open(CONSOLE, ORGANIZATION.id) == ()


async def test_without_mail_the_inviter_is_shown_the_link_once(tmp_path):
    async with account_site(tmp_path, mails=False) as site, site.browser("ada") as ada:
        link = link_in((await invite(ada)).text)
        assert link.partition("code=")[2] not in (await get(ada, MEMBERS)).text
        async with site.browser() as nora:
            assert (await get(nora, link)).status == 200


async def test_members_are_listed_to_those_who_manage_them_only(site: AccountSite, ada: Browser):
    page = await get(ada, MEMBERS)
    for email in ("ada@example.org", "mod@example.org", "tom@example.org"):
        assert email in page.text
    assert "sue@example.org" not in page.text
    async with site.browser("tom") as tom:
        assert "mod@example.org" not in (await get(tom, MEMBERS)).text
    await site.with_second_factor("mod")
    await site.with_second_factor("tom")
    del site.secrets["mod"], site.secrets["tom"]
    for who, may in (("mod", True), ("tom", True), ("ada", False)):
        page = await get(ada, f"{MEMBERS}/{who}")
        assert ("Reset the second factor of" in page.text) is may
