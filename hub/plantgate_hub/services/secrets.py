"""Secrets that are handed out once and known by their hash from then on: links, API tokens, recovery codes."""

import hashlib
import secrets

from plantgate_shared.errors import InvalidInput

from ..domain.accounts import TOKEN_PREFIX
from .passwords import WORD_ALPHABET

RECOVERY_CODES = 10
_RECOVERY_LENGTH = 10
"""Characters; 49 random bits each, and as few tries as the second factor has."""


class LinkVoid(InvalidInput):
    """A one-time link that opens nothing: the same words whatever the reason."""

    http_status = 404

    def __init__(self) -> None:
        super().__init__("this link does not work: it was used, withdrawn or has expired", hint="ask for a new one")


def new_link_secret() -> str:
    """256 random bits for an address."""
    return secrets.token_urlsafe(32)


def new_token_secret() -> str:
    """An API token: 256 random bits behind a prefix that says what it is."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def hash_of(secret: str) -> str:
    """SHA-256 in hex; enough for secrets that are 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_recovery_codes() -> tuple[str, ...]:
    """Ten codes as they are shown: two readable groups each."""
    codes = ("".join(secrets.choice(WORD_ALPHABET) for _ in range(_RECOVERY_LENGTH)) for _ in range(RECOVERY_CODES))
    return tuple(f"{code[:5]}-{code[5:]}" for code in codes)


def plain_recovery_code(text: str) -> str:
    """A recovery code as somebody typed it, in the one spelling that is hashed; empty when it cannot be one."""
    code = "".join(text.split()).replace("-", "").lower()
    return code if len(code) == _RECOVERY_LENGTH and set(code) <= set(WORD_ALPHABET) else ""
