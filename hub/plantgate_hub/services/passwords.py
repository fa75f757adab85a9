"""Passwords as the services take and make them."""

import asyncio
import secrets

from argon2 import PasswordHasher
from argon2.low_level import Type

from plantgate_shared.errors import InvalidInput

MIN_LENGTH = 12
MAX_BYTES = 1024
WORD_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without what looks alike
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)  # OWASP's minimum


def check_password(password: str) -> str:
    """Raises InvalidInput for a password that is too short or too long; nothing else is asked of it."""
    if len(password) < MIN_LENGTH:
        raise InvalidInput(f"the password is shorter than {MIN_LENGTH} characters")
    if len(password.encode()) > MAX_BYTES:
        raise InvalidInput(f"the password is longer than {MAX_BYTES} bytes")
    return password


def generate_password() -> str:
    """A new password of 98 random bits in four readable groups."""
    return "-".join("".join(secrets.choice(WORD_ALPHABET) for _ in range(5)) for _ in range(4))


async def hash_password(password: str) -> str:
    """Argon2id, off the event loop."""
    return await asyncio.to_thread(_HASHER.hash, password)
