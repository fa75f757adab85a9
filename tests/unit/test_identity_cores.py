"""Time steps of codes, throttling, known browsers, cookies: the pure parts of sign-in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantgate_hub import cookies
from plantgate_hub.identity import browsers, throttle, totp
from plantgate_hub.identity.browsers import Proved
from plantgate_hub.identity.throttle import Key, Limit, Throttle
from plantgate_shared.secret import Secret

RFC_SECRET = totp.encode_secret(b"12345678901234567890")


@pytest.mark.parametrize(
    ("at", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_rfc_6238_vectors(at: int, code: str):
    assert totp.matching_step(RFC_SECRET, code, at, -1) == at // 30


@pytest.mark.parametrize(("steps_off", "accepted"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_one_step_of_clock_error_is_accepted(steps_off: int, accepted: bool):
    code = totp.code_at(RFC_SECRET, 1000 + steps_off)
    assert (totp.matching_step(RFC_SECRET, code, 1000 * 30, -1) is not None) == accepted


def test_no_step_works_twice_nor_an_older_one():
    for step in (999, 1000):
        assert totp.matching_step(RFC_SECRET, totp.code_at(RFC_SECRET, step), 1000 * 30, 1000) is None
    assert totp.matching_step(RFC_SECRET, totp.code_at(RFC_SECRET, 1001), 1000 * 30, 1000) == 1001


@pytest.mark.parametrize("code", ["", "12345", "1234567", "12345a", "１２３４５６", "-12345", "287082\n0"])
def test_what_is_no_code(code: str):
    assert totp.matching_step(RFC_SECRET, code, 59, -1) is None


def test_a_code_may_be_typed_with_spaces():
    assert totp.matching_step(RFC_SECRET, " 287 082 ", 59, -1) == 1


KEY = Key(Limit(burst=3, interval=10), "k")


def test_a_bucket_refills_with_time():
    bucket = Throttle()
    assert [bucket.take([KEY], 0) for _ in range(5)] == [0, 0, 0, 10, 10]
    assert bucket.take([KEY], 4) == 6
    assert bucket.take([KEY], 10) == 0
    assert bucket.take([KEY], 10) > 0
    assert [bucket.take([KEY], 1000) for _ in range(3)] == [0, 0, 0]


def test_a_success_costs_nothing():
    bucket = Throttle()
    for _ in range(100):
        assert bucket.take([KEY], 0) == 0
        bucket.give_back([KEY])


def test_a_refused_try_counts_nowhere():
    bucket = Throttle()
    other = Key(Limit(1, 1000), "other")
    for _ in range(3):
        bucket.take([KEY], 0)
    assert bucket.take([KEY, other], 0) > 0
    assert bucket.take([other], 0) == 0


@given(st.lists(st.floats(min_value=0, max_value=30), max_size=60))
def test_never_more_than_burst_and_rate_allow_and_never_locked_for_good(gaps: list[float]):
    bucket, now, passed = Throttle(), 0.0, 0
    for gap in gaps:
        now += gap
        wait = bucket.take([KEY], now)
        passed += wait == 0
        assert wait <= 10 + 1e-6
    assert passed <= 3 + now / 10 + 1e-6
    assert bucket.take([KEY], now + 10.001) == 0  # whatever happened before: one interval later one more may try


def test_memory_is_bounded_and_the_guiltiest_are_kept():
    bucket = Throttle(max_keys=100)
    for _ in range(3):
        bucket.take([KEY], 0)
    for number in range(500):
        bucket.take([Key(KEY.limit, f"n{number}")], 0)
    assert bucket.take([KEY], 0) > 0
    assert len(bucket._full_at) <= 101


def test_a_bucket_s_name_is_short_whatever_was_typed():
    """Anybody may send a form full of text as an e-mail address, and buckets stay for long."""
    of_address, of_account = throttle.reset_keys("x" * 60_000, "192.0.2.1")
    tried = throttle.password_keys("x" * 60_000, "192.0.2.1", "")
    assert max(len(key.name) for key in (*of_address, *of_account, *tried)) < 400


def test_strangers_share_and_known_browsers_do_not():
    stranger = {key.name for key in throttle.password_keys("a@b", "192.0.2.1", "")}
    known = {key.name for key in throttle.password_keys("a@b", "192.0.2.1", "nonce")}
    assert not stranger & known
    assert any("a@b" in name and "192.0.2.1" not in name for name in stranger)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("not an address", "unknown"),
    ],
)
def test_what_counts_as_one_address(address: str, network: str):
    assert throttle.network_of(address) == network


SECRET_KEY = Secret(b"k" * 32)


def test_a_known_browser_is_known_for_its_account_and_a_time():
    cookie = browsers.mint(SECRET_KEY, "a@b", Proved.TWO_FACTOR, "ab12", 0)
    for proved in Proved:
        assert browsers.recognize(SECRET_KEY, "a@b", cookie, proved, 1) == "ab12"
    assert not browsers.recognize(SECRET_KEY, "c@d", cookie, Proved.PASSWORD, 1)
    assert not browsers.recognize(SECRET_KEY, "a@b", cookie, Proved.PASSWORD, browsers.LIFETIME)
    assert not browsers.recognize(Secret(b"x" * 32), "a@b", cookie, Proved.PASSWORD, 1)


def test_a_password_alone_makes_no_browser_that_may_guess_codes():
    cookie = browsers.mint(SECRET_KEY, "a@b", Proved.PASSWORD, "ab12", 0)
    assert not browsers.recognize(SECRET_KEY, "a@b", cookie, Proved.TWO_FACTOR, 1)
    forged = cookie.replace("password", "two-factor")
    assert not browsers.recognize(SECRET_KEY, "a@b", forged, Proved.TWO_FACTOR, 1)


@given(st.text())
def test_any_other_cookie_is_no_known_browser(text: str):
    assert not browsers.recognize(SECRET_KEY, "a@b", text, Proved.PASSWORD, 0)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("a=1; __Host-plantgate=x; b=2", "a=1; b=2"),
        ("__Host-plantgate-device=x", ""),
        ("__host-PLANTGATE-device=x;a=1", "a=1"),
        ("__Secure-plantgate=x; plantgate-device=y; plantgates=z", "plantgates=z"),
        ("a=1;b=2", "a=1;b=2"),
        ("odd; =x; a==;;", "odd; =x; a==;;"),
    ],
)
def test_our_cookies_are_taken_out_and_the_rest_left(sent: str, kept: str):
    assert cookies.without_ours(sent) == kept


def test_a_cookie_sent_twice_is_no_cookie():
    assert cookies.single(["a=1; b=2", "a=3"], "a") == ""
    assert cookies.values(["a=1; b=2", "a=3"], "a") == ["1", "3"]
    assert cookies.single(["a=1; b=2"], "b") == "2"
