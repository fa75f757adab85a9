"""What ends while a sign-in is under way stays ended: resets, removals and sign-outs that overtake it."""

import re
from urllib.parse import urlsplit

import pytest

from plantgate_hub.domain.model import PersonId
from plantgate_hub.domain.snapshot import Change, Kind
from plantgate_hub.identity.archive import SessionArchive
from plantgate_hub.identity.passwords import Passwords
from plantgate_hub.identity.sessions import SessionBook, SessionPolicy, session_id
from plantgate_hub.ports import PasswordRecord, SessionRecord
from tests.harness.test_sign_in import with_code, with_password
from tests.harness.web_site import PORTAL, Browser, MemorySessions, Site

OLGA = PersonId("olga")


async def end_in_the_store(site: Site) -> None:
    """All of Olga's sessions, as a reset at another process does; this hub has not heard of it yet."""
    for record in await site.records.of_person(OLGA, site.time):
        await site.records.end(record.id)


async def test_a_password_that_is_replaced_while_it_is_checked_opens_nothing(
    site: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = Passwords.check

    async def overtaken(self: Passwords, password: str, stored: str) -> bool:
        right = await check(self, password, stored)
        site.credentials.passwords["olga@example.org"] = PasswordRecord(OLGA, "another one's hash")
        await end_in_the_store(site)
        return right

    monkeypatch.setattr(Passwords, "check", overtaken)
    assert (await with_password(browser)).status == 403
    assert not site.records.records
    assert len(site.sessions.book) == 0


async def test_newer_hash_parameters_never_bring_an_old_password_back(
    site: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Passwords, "outdated", lambda _self, _stored: True)
    hashing = Passwords.hash

    async def overtaken(self: Passwords, password: str) -> str:
        made = await hashing(self, password)
        site.credentials.passwords["olga@example.org"] = PasswordRecord(OLGA, "another one's hash")
        return made

    monkeypatch.setattr(Passwords, "hash", overtaken)
    await with_password(browser)
    assert site.credentials.passwords["olga@example.org"].password_hash == "another one's hash"


async def test_a_code_makes_no_session_out_of_one_that_a_reset_has_ended(
    site: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_password(browser)
    use = site.credentials.use_totp_step

    async def overtaken(person: PersonId, step: int) -> bool:
        used = await use(person, step)
        await end_in_the_store(site)
        return used

    monkeypatch.setattr(site.credentials, "use_totp_step", overtaken)
    assert (await with_code(browser, site.code())).status == 403
    site.feed.change(Change(Kind.SESSION, ("person", "olga")))
    assert not site.records.records
    assert urlsplit((await browser.navigate(PORTAL + "/")).url).path == "/sign-in"


async def test_a_code_passed_once_more_does_not_wake_a_session_that_was_signed_out(
    site: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await browser.sign_in("olga@example.org")
    passing = site.records.pass_two_factor

    async def overtaken(id: str, at: float) -> bool:
        passed = await passing(id, at)
        await site.sessions.end(id)
        return passed

    monkeypatch.setattr(site.records, "pass_two_factor", overtaken)
    assert (await with_code(browser, site.code())).status == 403
    assert len(site.sessions.book) == 0
    assert urlsplit((await browser.navigate(PORTAL + "/")).url).path == "/sign-in"
    site.feed.change(Change(Kind.SESSION, ("person", "olga")))


async def test_a_session_that_ends_while_it_is_looked_up_is_not_taken_up() -> None:
    records = MemorySessions()
    archive = SessionArchive(records, SessionBook(SessionPolicy()), lambda: 100.0)
    identifier = session_id("token")
    records.records[identifier] = SessionRecord(identifier, OLGA, 90.0, 90.0, 1000.0, None, "", "")
    find = records.find

    async def overtaken(id: str, now: float) -> SessionRecord | None:
        found = await find(id, now)
        records.records.clear()
        archive.follow([Change(Kind.SESSION, ("person", OLGA))])
        return found

    records.find = overtaken  # type: ignore[method-assign]
    assert await archive.find("token", "") is None
    assert await archive.find("token", "") is None


async def test_nobody_sees_the_second_factor_that_another_session_is_setting_up(site: Site) -> None:
    """Or a thief of the password would know the owner's codes from then on."""
    secrets = []
    async with site.browser() as owner, site.browser() as thief:
        for browser in (thief, owner):
            await browser.sign_in("nina@example.org")
            form = await browser.navigate(PORTAL + "/two-factor/set-up")
            shown = re.search(r'class="secret">([A-Z2-7 ]+)<', form.text)
            assert shown
            secrets.append(shown.group(1))
    assert secrets[0] != secrets[1]
