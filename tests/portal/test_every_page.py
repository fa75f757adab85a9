"""One test goes through all pages that a person can get to, in both languages, and sends every form empty."""

import re
from collections import deque
from urllib.parse import urljoin, urlsplit

import pytest

from plantgate_hub.domain.model import HoldScope, Job, OrgRole
from plantgate_hub.portal.catalogue import Language
from plantgate_hub.services import CONSOLE, acting
from plantgate_shared.identity.keys import WireGuardKey
from tests.harness.web_site import PORTAL, TOTP_SECRET, Browser, Page
from tests.portal.conftest import World, enrol
from tests.portal.html import Document, check

ELSEWHERE = re.compile(r"/(static|live|two-factor|sign-in|open|invitation|reset|reset-password|api)\b|/file$")
"""No page of this layout."""
IDENTIFIER = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
UNLINKED = ("/account/confirm", "/account/news")
"""Where people are sent."""
PROOFS = ("/account/confirm", "/account/two-factor")
"""Forms that prove who one is: nothing is the wrong proof."""
ACTIONS = frozenset({"/sign-out", "/look"})


async def fill(world: World) -> None:
    """Something for every block of every page."""
    services, people, plants = world.services, world.people, world.plants
    await enrol(world, "solar", "second gateway")
    await services.agents.create_code(CONSOLE, plants["hydro"].id, "for the installer")
    await services.profiles.create(
        acting(people["tina"].id), people["tina"].id, "laptop", WireGuardKey.generate().public
    )
    north, partner = world.organizations["North"].id, world.organizations["Service Ltd"].id
    await services.vpn.create(CONSOLE, north, "Weekend")
    cooperation = await services.cooperations.offer(CONSOLE, plants["solar"].id, partner, Job.OPERATOR, reason="<b>")
    await services.cooperations.accept(CONSOLE, cooperation.id)
    await services.cooperations.invite(
        CONSOLE, cooperation.id, people["sue"].id, Job.OPERATOR, ends=world.clock.now + 9e5
    )
    await services.cooperations.offer(CONSOLE, plants["wind"].id, partner, Job.VIEWER)
    await services.grants.give(
        CONSOLE, people["tina"].id, plants["hydro"].id, Job.VIEWER, ends=world.clock.now + 9e5, reason="<i>holiday</i>"
    )
    await services.routes.set_disabled(acting(people["tina"].id), people["tina"].id, world.subnet("wind").id, True)
    await services.organizations.set_member(CONSOLE, partner, people["ada"].id)
    await services.holds.end_access(CONSOLE, plants["storage"].id, HoldScope.EXTERNAL, "<b>")
    await services.purposes.declare(acting(people["ada"].id), plants["solar"].id, "<b>ticket 7</b>")
    await world.store.credentials.activate_totp(people["gus"].id, TOTP_SECRET, -1)
    await services.people.remove_totp(CONSOLE, people["gus"].id)  # which is news to gus
    await services.invitations.create(CONSOLE, north, "new@example.com", OrgRole.GUEST)
    await world.caught_up()


def shape(path: str) -> str:
    """The path with its identifiers left out: pages of one shape are made by one handler and template."""
    parts = urlsplit(path)
    return IDENTIFIER.sub("ID", parts.path) + ("?plant" if "plant=" in parts.query else "")


async def crawl(browser: Browser, language: Language) -> dict[str, tuple[Page, Document]]:
    """One page of each shape that links lead to from Home."""
    await browser.submit(f"{PORTAL}/look", {"language": language.value})
    waiting, found = deque(["/", *UNLINKED]), dict[str, tuple[Page, Document]]()
    while waiting:
        path = waiting.popleft()
        if shape(path) in found:
            continue
        page = await browser.navigate(PORTAL + path)
        assert page.status == 200, (path, page.status)
        document = check(page.text, page.headers["Content-Security-Policy"], language.value)
        found[shape(path)] = found[shape(urlsplit(page.url).path)] = (page, document)
        for link in document.all("a"):
            target = urljoin(page.url, link.get("href"))
            inside = target.startswith(PORTAL + "/")
            if inside and link.get("href") and not ELSEWHERE.search(target):
                parts = urlsplit(target)
                waiting.append(parts.path + (f"?{parts.query}" if parts.query else ""))
    return found


@pytest.mark.parametrize("language", list(Language))
async def test_all_pages_are_well_made(world: World, language: Language):
    await fill(world)
    visited: set[str] = set()
    for name in ("root", "ada", "tina", "max", "vera", "gus", "sam"):
        async with world.visit(name) as browser:
            visited |= set(await crawl(browser, language))
    # Nothing was left out: every page that the application has was found by links.
    assert world.app is not None
    patterns = {
        re.sub(r"\{kind[^}]*\}|\{act[^}]*\}", r"[a-z]+", route.resource.canonical)
        for route in world.app.router.routes()
        if route.method == "GET" and route.resource is not None and not ELSEWHERE.search(route.resource.canonical)
    }
    missed = {p for p in patterns if not any(re.fullmatch(re.sub(r"\{\w+\}", "ID", p), path) for path in visited)}
    assert missed - {"/organizations/{organization}"} == set()


@pytest.mark.parametrize("name", ["root", "ada", "max", "sam"])
async def test_forms_that_are_sent_empty_come_back_in_place(world: World, name: str):
    """With a reason, on a page that is as well made; a confirmation changes something, so it is left out."""
    await fill(world)
    async with world.visit(name) as browser:
        for page, document in (await crawl(browser, Language.ENGLISH)).values():
            for form in document.all("form"):
                action = form.get("action")
                if form.get("method") != "post" or not action or action in ACTIONS:
                    continue
                if not any("required" in field.attributes for field in form.all("input")):
                    continue
                answer = await browser.submit(urljoin(page.url, action), {})
                assert answer.status == (403 if action in PROOFS else 422), (action, answer.status)
                again = check(answer.text, answer.headers["Content-Security-Policy"], "en")
                alerts = [element for element in again.all() if element.get("role") == "alert" and element.words]
                assert alerts, action


async def test_what_people_wrote_is_shown_as_text(world: World):
    await fill(world)
    async with world.visit("ada") as browser:
        page = await browser.navigate(f"{PORTAL}/organizations/{world.organizations['North'].id}/cooperations")
        (link,) = [a for a in Document(page.text).all("a") if "Solar" in a.words and "cooperations/" in a.get("href")]
        page = await browser.navigate(PORTAL + link.get("href"))
        assert "&lt;b&gt;" in page.text
        assert "<b>" not in page.text


async def test_a_form_of_another_site_changes_nothing(world: World):
    before = await world.store.revision()
    async with world.visit("ada") as browser:
        answer = await browser.submit(
            f"{PORTAL}/plants/{world.plants['solar'].id}/remove", {}, {"Sec-Fetch-Site": "cross-site"}
        )
        assert answer.status == 403
    assert world.plants["solar"].id in {plant.id for plant in (await world.store.load_snapshot()).plants}
    assert await world.store.revision() >= before


async def test_every_page_asks_for_a_session(world: World):
    assert world.app is not None
    async with world.browser() as browser:
        for route in world.app.router.routes():
            path = route.resource.canonical if route.resource is not None else ""
            if route.method not in ("GET", "POST") or ELSEWHERE.search(path) or path in ACTIONS:
                continue
            path = re.sub(r"\{kind[^}]*\}", "devices", re.sub(r"\{act[^}]*\}", "remove", path))
            url = PORTAL + re.sub(r"\{\w+\}", "x", path)
            own = {"Origin": PORTAL, "Sec-Fetch-Site": "same-origin"}
            page = await browser.request(route.method, url, own)
            assert page.status == 303, (path, page.status)
            assert page.headers["Location"].startswith("/sign-in")


async def test_the_look_is_kept_and_only_ours_is_taken(world: World):
    async with world.visit("tina") as browser:
        page = await browser.submit(f"{PORTAL}/look", {"theme": "dark", "language": "de", "next": "/vpn"})
        assert page.url == f"{PORTAL}/vpn"
        (html,) = Document(page.text).all("html")
        assert (html.get("data-theme"), html.get("lang")) == ("dark", "de")
        page = await browser.submit(f"{PORTAL}/look", {"theme": '"><x', "language": "xx", "next": "//evil.example"})
        (html,) = Document(page.text).all("html")
        assert (html.get("data-theme"), html.get("lang")) == ("dark", "de")
        assert page.url == f"{PORTAL}/"
        page = await browser.submit(f"{PORTAL}/routes/unknown/prefer", {})
        (following,) = [e.get("value") for e in Document(page.text).all("input") if e.get("name") == "next"]
        assert (await browser.navigate(PORTAL + following)).status == 200
