"""Browsers that signed in to an account before, pure: a signed cookie that gives them throttle buckets of their own.

It is no credential: it only keeps strangers' failed guesses from slowing the owner (OWASP: device cookies). What was
proved when it was minted bounds what it is good for, so that a thief of the password cannot mint buckets for guessing
codes.
"""

import hashlib
import hmac
from enum import StrEnum

from plantgate_shared.secret import Secret

LIFETIME = 90 * 86400


class Proved(StrEnum):
    PASSWORD = "password"  # noqa: S105  a word, no secret
    TWO_FACTOR = "two-factor"


def _signature(key: Secret, account: str, *parts: str) -> str:
    text = "\n".join(("plantgate browser", account, *parts)).encode()
    return hmac.new(key.reveal(), text, hashlib.sha256).hexdigest()


def mint(key: Secret, account: str, proved: Proved, nonce: str, now: float) -> str:
    """The cookie's value for a browser that just proved it; `nonce` is random hex."""
    expires = str(int(now) + LIFETIME)
    return f"{proved}.{nonce}.{expires}.{_signature(key, account, proved, nonce, expires)}"


def recognize(key: Secret, account: str, cookie: str, proved: Proved, now: float) -> str:
    """The browser's nonce when the cookie is ours for this account, proves at least `proved` and holds; else empty."""
    parts = cookie.split(".")
    if len(parts) != 4:
        return ""
    minted_for, nonce, expires, signature = parts
    expected = _signature(key, account, minted_for, nonce, expires)
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        return ""
    enough = minted_for == Proved.TWO_FACTOR or proved is Proved.PASSWORD
    return nonce if enough and int(expires) > now else ""
