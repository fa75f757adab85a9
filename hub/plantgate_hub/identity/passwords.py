"""Password hashes: Argon2id in a bounded pool of threads, with the same work for people who do not exist."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from plantgate_shared.errors import PlantgateError

MEMORY_KIB, TIME_COST, PARALLELISM = 19 * 1024, 2, 1
"""OWASP's minimum for Argon2id; about 40 ms on a small server's core."""
THREADS = 2
MAX_WAITING = 64
"""Checks queued or running; beyond it sign-in answers 'busy' instead of piling up memory (19 MiB a check)."""
MAX_PASSWORD_BYTES = 1024

T = TypeVar("T")


class Busy(PlantgateError):
    http_status = 503


class Passwords:
    """Hashing and checking, off the event loop."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(
            time_cost=TIME_COST, memory_cost=MEMORY_KIB, parallelism=PARALLELISM, type=Type.ID
        )
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
        self._waiting = 0
        self._nobody = self._hasher.hash("nobody's password")

    async def hash(self, password: str) -> str:
        """The encoded hash to store."""
        return await self._run(lambda: self._hasher.hash(password))

    async def check(self, password: str, stored: str) -> bool:
        """Whether `password` belongs to `stored`; an empty `stored` costs the same and is never right."""
        known = bool(stored)
        right = await self._run(lambda: self._matches(password, stored or self._nobody))
        return known and right

    def outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters and should be made anew."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _matches(self, password: str, stored: str) -> bool:
        if len(password.encode(errors="replace")) > MAX_PASSWORD_BYTES:
            password = ""  # still the same work
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise Busy("too many people are signing in at this moment", hint="try again in a few seconds")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1
