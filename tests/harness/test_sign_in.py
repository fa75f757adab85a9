"""Sign-in, second factor and sign-out as a browser goes through them."""

import asyncio
import re
from urllib.parse import urlsplit

import argon2
import pyotp
import pytest

from plantgate_hub import cookies
from plantgate_hub.domain.model import Job
from plantgate_hub.domain.snapshot import Change, Kind
from plantgate_hub.identity.sessions import SessionPolicy
from plantgate_hub.identity.totp import STEP_SECONDS, code_at
from plantgate_hub.portal import guards
from tests.harness.web_site import PASSWORD, PORTAL, TOTP_SECRET, Browser, Site, device_url

PORTAL_HOST = urlsplit(PORTAL).netloc


async def with_password(browser: Browser, email: str = "olga@example.org", password: str = PASSWORD, **headers: str):
    return await browser.submit(PORTAL + "/sign-in", {"email": email, "password": password}, headers)


async def with_code(browser: Browser, code: str):
    return await browser.submit(PORTAL + "/two-factor", {"code": code})


async def test_password_then_code_leads_home(site: Site, browser: Browser):
    page = await with_password(browser)
    assert urlsplit(page.url).path == "/two-factor"
    page = await with_code(browser, site.code())
    assert (page.url, page.status) == (PORTAL + "/", 200)
    assert "Solarpark Nord" in page.text
    assert device_url("inverter") in page.text


async def test_the_session_changes_its_token_at_each_step(site: Site, browser: Browser):
    await with_password(browser)
    first = browser.cookies[PORTAL_HOST][cookies.PORTAL]
    await with_code(browser, site.code())
    second = browser.cookies[PORTAL_HOST][cookies.PORTAL]
    assert first != second
    stolen = await browser.request("GET", PORTAL + "/", {"Cookie": f"{cookies.PORTAL}={first}"})
    assert stolen.headers["Location"] == "/sign-in"
    await with_password(browser)
    old = await browser.request("GET", PORTAL + "/", {"Cookie": f"{cookies.PORTAL}={second}"})
    assert old.headers["Location"] == "/sign-in"  # signing in again ended it


@pytest.mark.parametrize("path", ["/", "/open?host=inverter", "/two-factor/set-up"])
async def test_nothing_but_the_code_page_opens_before_the_second_factor(browser: Browser, path: str):
    await with_password(browser)
    assert urlsplit((await browser.navigate(PORTAL + path)).url).path == "/two-factor"


async def test_a_code_works_once(site: Site, browser: Browser):
    code = site.code()
    await with_password(browser)
    assert (await with_code(browser, code)).status == 200
    await with_password(browser)
    page = await with_code(browser, code)
    assert page.status == 403
    assert "was used before" in page.text
    assert (await with_code(browser, site.code())).status == 200


async def test_an_older_code_than_the_last_used_is_refused_too(site: Site, browser: Browser):
    step = int(site.time // STEP_SECONDS)
    await with_password(browser)
    assert (await with_code(browser, code_at(TOTP_SECRET, step + 1))).status == 200
    await with_password(browser)
    assert (await with_code(browser, code_at(TOTP_SECRET, step))).status == 403


async def test_two_browsers_with_the_same_code_at_once_get_one_session(site: Site, browser: Browser):
    code = site.code()
    async with site.browser() as other:
        await with_password(browser)
        await with_password(other)
        pages = await asyncio.gather(with_code(browser, code), with_code(other, code))
    assert sorted(page.status for page in pages) == [200, 403]


async def test_unknown_people_and_wrong_passwords_look_alike(site: Site, browser: Browser):
    unknown = await with_password(browser, "nobody@example.org", "x" * 20)
    wrong = await with_password(browser, "olga@example.org", "x" * 20)
    assert unknown.status == wrong.status == 403
    assert unknown.text.replace("nobody@", "olga@") == wrong.text
    assert unknown.cookies_set() == wrong.cookies_set() == []


async def test_unknown_people_cost_the_same_work(browser: Browser, monkeypatch: pytest.MonkeyPatch):
    """Counted, not timed: one check each, of a hash with the same parameters."""
    work: list[argon2.Parameters] = []
    verify = argon2.PasswordHasher.verify

    def counted(self: argon2.PasswordHasher, stored: str, password: str) -> bool:
        work.append(argon2.extract_parameters(stored))
        return verify(self, stored, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", counted)
    for email in ("nobody@example.org", "olga@example.org"):
        await with_password(browser, email, "x" * 20)
    assert len(work) == 2
    assert work[0] == work[1]


async def test_guessing_is_slowed_but_the_owner_is_not_locked_out(site: Site, browser: Browser):
    await browser.sign_in("olga@example.org")  # this browser is known from now on
    async with site.browser() as stranger:
        answers = [(await with_password(stranger, password="guess")).status for _ in range(8)]
        assert answers == [403] * 5 + [429] * 3
        assert (await with_password(stranger)).status == 429  # the right password as well
        assert (await with_password(browser)).status == 200
        site.time += 61
        assert urlsplit((await with_password(stranger)).url).path == "/two-factor"


async def test_a_waiting_time_is_named(site: Site, browser: Browser):
    for _ in range(5):
        await with_password(browser, password="guess")
    assert "Wait 60 s" in (await with_password(browser, password="guess")).text


async def test_guessing_codes_is_slowed_across_sign_ins(site: Site, browser: Browser):
    statuses = []
    for _ in range(12):
        async with site.browser() as thief:  # who knows the password and takes a new browser each time
            await with_password(thief)
            statuses.append((await with_code(thief, "000000")).status)
            site.time += 5
    assert statuses == [403] * 10 + [429] * 2


async def test_setting_up_the_second_factor_opens_device_pages(site: Site, browser: Browser):
    page = await browser.sign_in("nina@example.org")
    assert "Two-factor authentication is not set up" in page.text
    assert device_url("inverter") not in page.text
    refused = await browser.navigate(device_url("inverter"))
    assert refused.status == 403
    assert "second factor" in refused.text
    form = await browser.navigate(PORTAL + "/two-factor/set-up")
    assert "<svg" in form.text
    secret = re.search(r'class="secret">([A-Z2-7 ]+)<', form.text)
    assert secret
    totp = pyotp.TOTP(secret.group(1).replace(" ", ""))
    wrong = await browser.submit(PORTAL + "/two-factor/set-up", {"code": "000000"})
    assert wrong.status == 403
    assert secret.group(1) in wrong.text  # the same secret: the phone has it already
    done = await browser.submit(PORTAL + "/two-factor/set-up", {"code": totp.at(int(site.time))})
    assert (done.url, done.status) == (PORTAL + "/", 200)
    assert (await browser.navigate(device_url("inverter"))).text == "hello"


async def test_a_session_alone_sets_up_no_second_factor(site: Site, browser: Browser):
    """Who finds a browser signed in must not open device pages by a second factor of their own."""
    await browser.sign_in("nina@example.org")
    form = await browser.navigate(PORTAL + "/two-factor/set-up")
    secret = re.search(r'class="secret">([A-Z2-7 ]+)<', form.text)
    assert secret
    site.time += 700
    code = pyotp.TOTP(secret.group(1).replace(" ", "")).at(int(site.time))
    for page in (
        await browser.navigate(PORTAL + "/two-factor/set-up"),
        await browser.submit(PORTAL + "/two-factor/set-up", {"code": code}),
    ):
        assert urlsplit(page.url).path == "/account/confirm"
    assert await site.credentials.active_totp(site.person("nina").id) is None


async def test_a_second_factor_cannot_be_replaced_by_setting_one_up(site: Site, browser: Browser):
    await browser.sign_in("olga@example.org")
    assert (await browser.navigate(PORTAL + "/two-factor/set-up")).url == PORTAL + "/"
    await browser.submit(PORTAL + "/two-factor/set-up", {"code": "000000"})
    record = await site.credentials.active_totp(site.person("olga").id)
    assert record
    assert record.secret == TOTP_SECRET


async def test_a_deep_link_survives_sign_in_and_second_factor(site: Site, browser: Browser):
    page = await browser.sign_in("olga@example.org", start=device_url("inverter", "/a%2Fb?x=%2B"))
    assert page.url == device_url("inverter", "/a%2Fb?x=%2B")
    assert page.text == "hello"


async def test_signing_out_ends_device_sessions(site: Site, opened: Browser):
    page = await opened.submit(PORTAL + "/sign-out", {})
    assert "signed out" in page.text
    assert (await opened.request("GET", device_url("inverter"), {"Accept": "*/*"})).status == 401
    assert len(site.sessions.book) == len(site.records.records) == 0


async def test_the_next_person_at_the_browser_finds_no_device_sign_in(site: Site, opened: Browser):
    host = urlsplit(device_url("inverter")).netloc
    opened.cookies[host] |= {"SID": "olga's", "theme": "dark"}
    await opened.submit(PORTAL + "/sign-out", {})
    page = await opened.request("GET", device_url("inverter"), {"Accept": "text/html"})
    assert page.status == 302
    assert page.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert all(name.startswith(cookies.ATTEMPT_PREFIX) for name in opened.cookies[host])


async def test_ending_all_sessions_of_a_person_reaches_open_pages(site: Site, opened: Browser):
    """As the services do it for a new password or a closed account: told by the feed."""
    for record in await site.records.of_person(site.person("olga").id, site.time):
        await site.records.end(record.id)
    site.feed.change(Change(Kind.SESSION, ("person", "olga")))
    assert (await opened.request("GET", device_url("inverter"), {"Accept": "*/*"})).status == 401
    assert urlsplit((await opened.navigate(PORTAL + "/")).url).path == "/sign-in"


async def test_a_restart_of_the_hub_signs_nobody_out(site: Site, opened: Browser):
    async with site.running():
        asked = site.records.asked
        assert (await opened.request("GET", device_url("inverter"), {"Accept": "*/*"})).status == 200
        assert site.records.asked == asked + 2  # the session and its parent, once
        assert "Solarpark Nord" in (await opened.navigate(PORTAL + "/")).text
        assert (await opened.request("GET", device_url("inverter"), {"Accept": "*/*"})).status == 200
        assert site.records.asked == asked + 2


async def test_idle_sessions_do_not_come_back_with_a_restart(site: Site, opened: Browser):
    site.time += 2 * 3600 + 1
    async with site.running():
        assert (await opened.request("GET", device_url("inverter"), {"Accept": "*/*"})).status == 401


async def test_what_was_ended_elsewhere_stays_ended_when_history_is_lost(site: Site, opened: Browser):
    site.feed.change(Change(Kind.SESSION, ("*",)))
    assert (await opened.request("GET", device_url("inverter"), {"Accept": "*/*"})).status == 200
    site.records.records.clear()
    site.feed.change(Change(Kind.SESSION, ("*",)))
    assert (await opened.request("GET", device_url("inverter"), {"Accept": "*/*"})).status == 401


async def test_with_the_store_away_known_sessions_go_on_and_sign_out_holds(site: Site, opened: Browser):
    site.records.away = True
    assert (await opened.request("GET", device_url("inverter"), {"Accept": "*/*"})).status == 200
    held = dict(opened.cookies[PORTAL_HOST])
    await opened.submit(PORTAL + "/sign-out", {})
    site.records.away = False
    opened.cookies[PORTAL_HOST] = held
    assert urlsplit((await opened.navigate(PORTAL + "/")).url).path == "/sign-in"
    assert (await opened.request("GET", device_url("inverter"), {"Accept": "*/*"})).status == 401
    await site.sessions.tidy()
    assert not site.records.records


async def test_with_the_store_away_nobody_new_gets_in(site: Site, browser: Browser):
    await browser.sign_in("olga@example.org")
    site.records.away = True
    page = await browser.navigate(device_url("inverter"))
    assert page.status == 503
    assert "cannot open new pages" in page.text
    async with site.browser() as other:
        page = await with_password(other)
    assert page.status == 503
    assert not page.cookies_set()


async def test_an_unknown_token_asks_the_store_once(site: Site, browser: Browser):
    browser.cookies[PORTAL_HOST] = {cookies.PORTAL: "unknown"}
    for _ in range(3):
        await browser.navigate(PORTAL + "/sign-in")
    assert site.records.asked == 1


@pytest.mark.parametrize("seconds", [2 * 3600 + 1, 12 * 3600 + 1])
async def test_sessions_end_by_themselves(site: Site, opened: Browser, seconds: int):
    site.time += seconds
    assert (await opened.request("GET", device_url("inverter"), {"Accept": "*/*"})).status == 401
    assert urlsplit((await opened.navigate(PORTAL + "/")).url).path == "/sign-in"


async def test_using_a_device_page_keeps_the_session_awake_until_its_longest_time(site: Site, opened: Browser):
    for _ in range(11):
        site.time += 3600
        assert (await opened.request("GET", device_url("inverter"), {"Accept": "*/*"})).status == 200
    site.time += 3600
    assert (await opened.request("GET", device_url("inverter"), {"Accept": "*/*"})).status == 401


async def test_a_stale_second_factor_opens_no_new_page_but_keeps_open_ones():
    site = Site()
    site.add_person("olga", Job.OPERATOR)
    await site.add_device("inverter", "192.168.1.10")
    await site.add_device("logger", "192.168.1.11")
    async with site.running(SessionPolicy(two_factor_fresh=600)), site.browser() as browser:
        await browser.sign_in("olga@example.org", start=device_url("inverter"))
        site.time += 700
        assert (await browser.navigate(device_url("inverter"))).text == "hello"
        page = await browser.navigate(device_url("logger"))
        assert urlsplit(page.url).path == "/two-factor"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": device_url("inverter", ""), "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null", "Sec-Fetch-Site": ""},
        {"Origin": "", "Sec-Fetch-Site": ""},
    ],
)
async def test_forms_of_other_sites_are_refused(browser: Browser, headers: dict[str, str]):
    page = await with_password(browser, **headers)
    assert page.status == 403
    assert not page.cookies_set()


@pytest.mark.parametrize("following", ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:x"])
async def test_signing_in_leads_nowhere_else(browser: Browser, following: str):
    fields = {"email": "nina@example.org", "password": PASSWORD, "next": following}
    page = await browser.submit(PORTAL + "/sign-in", fields)
    assert page.url == PORTAL + "/"


async def test_pages_before_signing_in_carry_a_strict_policy_and_no_script(site: Site, browser: Browser):
    pages = (PORTAL + "/sign-in", device_url("no-such-thing"))
    await browser.sign_in("olga@example.org", code=False)
    for url in (*pages, PORTAL + "/two-factor"):
        page = await browser.navigate(url)
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script" not in policy + page.text.lower()
        assert "style=" not in page.text
        assert "Server" not in page.headers


async def test_german_and_english(browser: Browser):
    for accepted, word in (("de-AT,de;q=0.9,en;q=0.8", "Anmelden"), ("en;q=0.2,de;q=0", "Sign in"), ("fr", "Sign in")):
        page = await browser.navigate(PORTAL + "/sign-in", {"Accept-Language": accepted})
        assert word in page.text


async def test_a_form_that_does_not_come_holds_no_connection(site: Site, monkeypatch: pytest.MonkeyPatch):
    """Nobody has to be signed in to begin one, so nobody may keep it waiting for ever."""
    monkeypatch.setattr(guards, "FORM_SECONDS", 0.2)
    head = f"POST /sign-in HTTP/1.1\r\nHost: {PORTAL_HOST}\r\nOrigin: {PORTAL}\r\n"
    head += "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nemail="
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(head.encode())
    async with asyncio.timeout(20):
        answer = await reader.read()  # until the hub closes
    writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ")
