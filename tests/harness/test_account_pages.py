"""A person's own account as its browser sees it, on a real store: password, second factor, sessions, tokens."""

import re
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from plantgate_hub import cookies
from plantgate_hub.domain.model import PersonId
from plantgate_hub.domain.scopes import TokenScope
from plantgate_hub.identity.totp import code_at
from plantgate_hub.services import CONSOLE, acting
from tests.eventually import eventually
from tests.harness.account_site import NEW_PASSWORD, AccountSite, account_site, get, link_in, post, secret_in
from tests.harness.web_site import PASSWORD, PORTAL, Browser, Page, RawDevice, device_url

PORTAL_HOST = urlsplit(PORTAL).netloc
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
STALE = 601.0
XHR = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Accept": "*/*"}


@pytest.fixture
async def site(tmp_path) -> AsyncIterator[AccountSite]:
    async with account_site(tmp_path) as site:
        yield site


@pytest.fixture
async def tom(site: AccountSite) -> AsyncIterator[Browser]:
    """A browser in which Tom is signed in, with his second factor."""
    await site.with_second_factor("tom")
    async with site.browser("tom") as browser:
        yield browser


def path_of(page: Page) -> str:
    return urlsplit(page.url).path


async def signed_in(browser: Browser) -> bool:
    return path_of(await get(browser, "/account")) == "/account"


# Password


async def change_password(browser: Browser, current: str = PASSWORD, new: str = NEW_PASSWORD, **more: str) -> Page:
    return await post(browser, "/account/password", current=current, password=new, **{"repeat": new, **more})


async def test_a_new_password_ends_all_other_sessions_and_rotates_this_one(site: AccountSite, tom: Browser):
    async with site.browser("tom") as other:
        before = tom.cookies[PORTAL_HOST][cookies.PORTAL]
        page = await change_password(tom)
        assert (page.status, path_of(page)) == (200, "/account")
        assert "Your password is changed" in page.text
        await site.caught_up()
        assert tom.cookies[PORTAL_HOST][cookies.PORTAL] != before
        assert await signed_in(tom)
        assert not await signed_in(other)
        tom.cookies[PORTAL_HOST][cookies.PORTAL] = before
        assert not await signed_in(tom)
    async with site.browser() as browser:
        assert (await post(browser, "/sign-in", email="tom@example.org", password=PASSWORD)).status == 403
        assert path_of(await site.sign_in(browser, "tom", NEW_PASSWORD)) == "/"
    assert "password of your Plantgate account was changed" in (await site.letters())[0].text


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"current": "wrong"}, 403, "password is wrong"),
        ({"new": "short"}, 422, "at least 12 characters"),
        ({"repeat": "something else entirely"}, 422, "not the same"),
    ],
)
async def test_a_wrong_form_changes_nothing(site: AccountSite, tom: Browser, fields, status, words):
    async with site.browser("tom") as other:
        page = await change_password(tom, **fields)
        assert (page.status, words in page.text) == (status, True)
        assert await signed_in(other)
    assert (await change_password(tom)).status == 200  # the old password still holds


async def test_an_old_sign_in_needs_a_code_for_a_new_password(site: AccountSite, tom: Browser):
    site.now += STALE
    assert (await change_password(tom)).status == 403
    used = code_at(site.secrets["tom"], site.steps["tom"])
    assert (await change_password(tom, code=used)).status == 403  # the one of the sign-in, once more
    assert (await change_password(tom, code=site.code("tom"))).status == 200


async def test_guessing_the_current_password_is_slowed(site: AccountSite, tom: Browser):
    statuses = [(await change_password(tom, current=f"guess {number}")).status for number in range(11)]
    assert statuses == [403] * 10 + [429]


# Proving anew


SENSITIVE = ["/account/two-factor", "/account/recovery-codes"]


@pytest.mark.parametrize("path", SENSITIVE)
async def test_a_sensitive_page_asks_again_after_ten_minutes(site: AccountSite, tom: Browser, path: str):
    assert path_of(await get(tom, path)) == path
    site.now += STALE
    page = await get(tom, path)
    assert path_of(page) == "/account/confirm"
    assert (await post(tom, "/account/confirm", password=PASSWORD, code="000000", next=path)).status == 403
    assert path_of(await get(tom, path)) == "/account/confirm"
    wrong = await post(tom, "/account/confirm", password="wrong", code=site.code("tom"), next=path)
    assert (wrong.status, "password is wrong" in wrong.text) == (403, True)
    assert path_of(await post(tom, "/account/confirm", password=PASSWORD, code=site.code("tom"), next=path)) == path


async def test_sensitive_forms_do_nothing_without_a_fresh_proof(site: AccountSite, tom: Browser):
    site.now += STALE
    before = await site.store.credentials.active_totp(PersonId("tom"))
    for path, fields in (
        ("/account/recovery-codes", {}),
        ("/account/two-factor", {"code": "000000"}),
        ("/account/tokens", {"name": "x", "scope": "read", "days": "7"}),
    ):
        page = await post(tom, path, **fields)
        assert path_of(page) == "/account/confirm"
    assert await site.store.accounts.recovery_codes_left(PersonId("tom")) == 0
    assert await site.store.credentials.active_totp(PersonId("tom")) == before
    assert await site.store.accounts.tokens_of(PersonId("tom")) == ()


@pytest.mark.parametrize("following", ["https://evil.example/", "//evil.example"])
async def test_proving_anew_leads_nowhere_else(site: AccountSite, tom: Browser, following: str):
    page = await post(tom, "/account/confirm", password=PASSWORD, next=following)
    assert page.url == PORTAL + "/"


@pytest.mark.parametrize(
    "path", ["/account", "/account/tokens", "/account/password", "/account/two-factor", "/account/news"]
)
async def test_account_pages_need_a_sign_in_with_its_second_factor(site: AccountSite, path: str):
    await site.with_second_factor("tom")
    async with site.browser() as browser:
        assert path_of(await get(browser, path)) == "/sign-in"
        await post(browser, "/sign-in", email="tom@example.org", password=PASSWORD)
        assert path_of(await get(browser, path)) == "/two-factor"


@pytest.mark.parametrize(
    "path", ["/account/password", "/account/recovery-codes", "/account/sessions/end", "/account/tokens", "/reset"]
)
async def test_forms_of_other_sites_are_refused(tom: Browser, path: str):
    page = await tom.request("POST", PORTAL + path, {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"})
    assert page.status == 403


# Second factor and recovery codes


async def test_replacing_the_second_factor_needs_a_code_of_the_new_one(site: AccountSite, tom: Browser):
    async with site.browser("tom") as other:
        secret = secret_in(await get(tom, "/account/two-factor")).replace(" ", "")
        old = site.secrets["tom"]
        assert (await post(tom, "/account/two-factor", code=code_at(old, int(site.now // 30)))).status == 403
        record = await site.store.credentials.active_totp(PersonId("tom"))
        assert record
        assert record.secret == old
        page = await post(tom, "/account/two-factor", code=code_at(secret, int(site.now // 30)))
        assert "new second factor is active" in page.text
        await site.caught_up()
        assert not await signed_in(other)
        assert await signed_in(tom)
    site.secrets["tom"] = secret
    async with site.browser("tom") as browser:
        assert await signed_in(browser)


async def make_codes(browser: Browser) -> list[str]:
    page = await post(browser, "/account/recovery-codes")
    return re.findall(r'class="secret">([a-z0-9-]+)<', page.text)


async def test_a_recovery_code_signs_in_once_and_its_owner_is_told(site: AccountSite, tom: Browser):
    codes = await make_codes(tom)
    assert len(set(codes)) == 10
    assert codes[0] not in (await get(tom, "/account/recovery-codes")).text
    async with site.browser() as browser:
        await post(browser, "/sign-in", email="tom@example.org", password=PASSWORD)
        assert path_of(await get(browser, "/account")) == "/two-factor"
        assert (await post(browser, "/two-factor/recovery", code="aaaaa-aaaaa")).status == 403
        before = browser.cookies[PORTAL_HOST][cookies.PORTAL]
        page = await post(browser, "/two-factor/recovery", code=codes[0].upper(), next="/account")
        assert path_of(page) == "/account/news"
        assert "A recovery code was used" in page.text
        assert browser.cookies[PORTAL_HOST][cookies.PORTAL] != before
        assert path_of(await post(browser, "/account/news", next="/account")) == "/account"
        assert "codes left: 9" in (await get(browser, "/account")).text
    async with site.browser() as browser:
        await post(browser, "/sign-in", email="tom@example.org", password=PASSWORD)
        page = await post(browser, "/two-factor/recovery", code=codes[0])
        assert (page.status, "was used before" in page.text) == (403, True)
        assert not await signed_in(browser)


async def test_guessing_recovery_codes_shares_the_tries_of_the_second_factor(site: AccountSite, tom: Browser):
    async with site.browser() as thief:
        await post(thief, "/sign-in", email="tom@example.org", password=PASSWORD)
        statuses = [(await post(thief, "/two-factor/recovery", code="aaaaa-aaaaa")).status for _ in range(10)]
        assert statuses == [403] * 10
        assert (await post(thief, "/two-factor/recovery", code="aaaaa-aaaaa")).status == 429
        assert (await post(thief, "/two-factor", code=site.code("tom"))).status == 429


async def test_a_second_factor_reset_by_a_moderator_is_told_at_the_next_sign_in(site: AccountSite, tom: Browser):
    async with site.browser("mod") as mod:
        page = await post(mod, "/organizations/org/members/tom/second-factor")
        assert "second factor is reset" in page.text
        refused = await post(mod, "/organizations/org/members/ada/second-factor")
        assert refused.status == 403
    await site.caught_up()
    assert not await signed_in(tom)
    del site.secrets["tom"]
    page = await site.sign_in(tom, "tom")
    assert path_of(page) == "/account/news"
    assert "reset by another person" in page.text
    assert "Mod" in page.text
    await post(tom, "/account/news")
    assert path_of(await site.sign_in(tom, "tom")) == "/"
    assert (await site.letters())[-1].to == "tom@example.org"


# Sessions


async def test_sessions_are_listed_and_one_or_all_others_ended(site: AccountSite, tom: Browser):
    tom_from_firefox = {"User-Agent": FIREFOX, "Sec-Fetch-Site": "same-origin", "Origin": PORTAL}
    async with site.browser() as one, site.browser() as two, site.browser("ada") as ada:
        for browser in (one, two):
            form = {"email": "tom@example.org", "password": PASSWORD}
            await browser.submit(PORTAL + "/sign-in", form, tom_from_firefox)
            await post(browser, "/two-factor", code=site.code("tom"))
        page = await get(tom, "/account")
        assert page.text.count("Firefox, Linux") == 4  # twice shown, twice in a button's name
        assert page.text.count("127.0.0.1") == 3
        assert page.text.count("this session") == 1
        ids = re.findall(r'name="session" value="([0-9a-f]{64})"', page.text)
        assert len(ids) == 2
        await post(ada, "/account/sessions/end", session=ids[0])  # not hers
        assert await signed_in(one)
        assert await signed_in(two)
        await post(tom, "/account/sessions/end", session=ids[0])
        assert [await signed_in(one), await signed_in(two)].count(True) == 1
        await post(tom, "/account/sessions/end", session="others")
        assert not await signed_in(one)
        assert not await signed_in(two)
        assert await signed_in(tom)
        assert await signed_in(ada)


# API tokens


async def make_token(site: AccountSite, browser: Browser) -> str:
    page = await post(browser, "/account/tokens", name="script", scope="read", days="7")
    secret = secret_in(page)
    assert secret not in (await get(browser, "/account/tokens")).text
    return secret


async def test_a_token_authenticates_until_it_is_revoked(site: AccountSite, tom: Browser):
    secret = await make_token(site, tom)
    assert await site.tokens.authenticate(secret) == ("tom", frozenset({TokenScope.READ}))
    (token,) = await site.store.accounts.tokens_of(PersonId("tom"))
    assert token.last_used == site.now // 3600 * 3600
    async with site.browser("ada") as ada:
        await post(ada, "/account/tokens/revoke", token=token.id)  # not hers
    site.now += 1.0
    assert await site.tokens.authenticate(secret) is not None
    await post(tom, "/account/tokens/revoke", token=token.id)
    site.now += 1.0
    assert await site.tokens.authenticate(secret) is None


async def test_a_token_ends_by_itself_and_wrong_ones_are_refused(site: AccountSite, tom: Browser):
    secret = await make_token(site, tom)
    for wrong in ("", "pgt_", secret[:-1], secret + "x", secret[4:], "pgt_" + "x" * 43, "pgt_" + "ü" * 43):
        assert await site.tokens.authenticate(wrong) is None
    site.now += 7 * 86400.0
    assert await site.tokens.authenticate(secret) is None


async def test_a_tokens_last_use_is_written_once_an_hour(site: AccountSite, tom: Browser, monkeypatch):
    secret, written = await make_token(site, tom), []
    token_used = site.store.accounts.token_used

    async def counted(id: str, at: float) -> None:
        written.append(at)
        await token_used(id, at)

    monkeypatch.setattr(site.store.accounts, "token_used", counted)
    for _ in range(20):
        site.now += 360.0
        assert await site.tokens.authenticate(secret)
    assert len(written) == len(set(written)) <= 3


async def test_a_token_opens_neither_portal_nor_device_pages(site: AccountSite, tom: Browser):
    secret = await make_token(site, tom)
    async with site.browser() as browser:
        for header in ({"Authorization": f"Bearer {secret}"}, {"Cookie": f"{cookies.PORTAL}={secret}"}):
            assert path_of(await browser.navigate(PORTAL + "/account", header)) == "/sign-in"
        for header in ({"Authorization": f"Bearer {secret}"}, {"Cookie": f"{cookies.DEVICE}={secret}"}):
            page = await browser.request("GET", device_url("inverter"), {**XHR, **header})
            assert page.status == 401


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "x", "days": "7"},
        {"name": "x", "scope": "everything", "days": "7"},
        {"name": "x", "scope": "read", "days": "4000"},
        {"name": "", "scope": "read", "days": "7"},
    ],
)
async def test_what_makes_no_token(site: AccountSite, tom: Browser, fields: dict[str, str]):
    assert (await post(tom, "/account/tokens", **fields)).status == 422
    assert await site.store.accounts.tokens_of(PersonId("tom")) == ()


# Deletion


async def test_deleting_a_person_ends_everything_within_a_second_and_keeps_the_history(site: AccountSite, tom: Browser):
    secret = await make_token(site, tom)
    key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="
    await site.services.profiles.create(acting(PersonId("tom")), PersonId("tom"), "laptop", key)
    device = RawDevice()
    await site.serve_device(device)
    assert (await tom.navigate(device_url("inverter"))).text == "hello"
    assert await site.tokens.authenticate(secret)
    started = time.monotonic()
    await site.services.people.delete(CONSOLE, PersonId("tom"))

    async def over() -> bool:
        page = await tom.request("GET", device_url("inverter"), XHR)
        return page.status == 401 and await site.tokens.authenticate(secret) is None and not await signed_in(tom)

    site.now += 1.0
    await eventually(over, timeout=10)
    assert time.monotonic() - started < 1.0
    snapshot = await site.store.load_snapshot()
    assert not snapshot.profiles_of(PersonId("tom"))
    assert await site.store.sessions.of_person(PersonId("tom"), site.now) == ()
    events = [str(record.event) for record in await site.store.accounts.history(9, PersonId("tom"))]
    assert events[-2:] == ["API token made", "account deleted"]
    assert any(record.key == "tom" and record.gone for record in await site.store.history(50))


# Password reset


async def test_a_forgotten_password_is_set_by_a_mailed_link_but_the_second_factor_stays(
    site: AccountSite, tom: Browser
):
    async with site.browser() as browser:
        page = await post(browser, "/reset", email=" Tom@Example.org")
        link = link_in((await site.letters())[-1].text)
        for _ in range(2):  # opening it uses nothing up
            form = await get(browser, link)
            assert form.status == 200
        code = link.partition("code=")[2]
        wrong = await post(browser, "/reset/password", code=code, password="short", repeat="short")
        assert wrong.status == 422
        done = await post(browser, "/reset/password", code=code, password=NEW_PASSWORD, repeat=NEW_PASSWORD)
        assert "Your password is set" in done.text
        await site.caught_up()
        assert not await signed_in(tom)
        again = await post(browser, "/reset/password", code=code, password=NEW_PASSWORD, repeat=NEW_PASSWORD)
        assert (again.status, "does not work" in again.text) == (404, True)
        assert (await get(browser, link)).status == 404
        await post(browser, "/sign-in", email="tom@example.org", password=NEW_PASSWORD)
        assert path_of(await get(browser, "/account")) == "/two-factor"
        news = await post(browser, "/two-factor", code=site.code("tom"))
        assert "A new password was set by a link" in news.text
    assert page.status == 200


async def test_a_reset_request_looks_the_same_for_strangers(site: AccountSite):
    async with site.browser() as browser:
        answers = [await post(browser, "/reset", email=email) for email in ("tom@example.org", "x@y.de", "nonsense")]
    assert len({(answer.status, answer.text) for answer in answers}) == 1
    assert [letter.to for letter in await site.letters()] == ["tom@example.org"]


async def test_reset_requests_are_throttled(site: AccountSite):
    async with site.browser() as browser:
        statuses = [(await post(browser, "/reset", email="tom@example.org")).status for _ in range(11)]
        assert statuses == [200] * 10 + [429]
        assert len(await site.letters()) == 3


async def test_a_botnet_that_guesses_for_hours_locks_nobody_out(site: AccountSite):
    """Strangers' buckets are full and stay so; the owner's new browser becomes a known one by a mailed link."""
    async with site.browser() as bot, site.browser() as owner:
        for number in range(60):
            await post(bot, "/sign-in", email="tom@example.org", password=f"guess {number}")
        assert (await site.sign_in(owner, "tom")).status == 429
        await post(owner, "/reset", email="tom@example.org")
        code = link_in((await site.letters())[-1].text).partition("code=")[2]
        await post(owner, "/reset/password", code=code, password=NEW_PASSWORD, repeat=NEW_PASSWORD)
        assert path_of(await site.sign_in(owner, "tom", NEW_PASSWORD)) == "/account/news"
        assert (await site.sign_in(bot, "tom", NEW_PASSWORD)).status == 429


async def test_without_mail_the_reset_page_says_whom_to_ask(tmp_path):
    async with account_site(tmp_path, mails=False) as site, site.browser() as browser:
        for page in (await get(browser, "/reset"), await post(browser, "/reset", email="tom@example.org")):
            assert "sends no mail" in page.text


async def test_german_and_kept_by_nobody(tom: Browser):
    for path, words in (("/account", "Ihr Konto"), ("/account/tokens", "API-Token"), ("/reasons", "Meine Gründe")):
        page = await tom.navigate(PORTAL + path, {"Accept-Language": "de"})
        assert words in page.text
        assert page.headers["Cache-Control"] == "no-store"
