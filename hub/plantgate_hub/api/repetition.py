"""Requests that may be sent twice: a creation under an Idempotency-Key is carried out once.

The key belongs to the person who sends it, for a day. Only success is kept: a request that was refused changed nothing,
and may be sent again. A request goes on when its sender goes away, since that is when they will ask again.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from ..domain.model import PersonId
from ..store.protocol import Answers
from .operation import Operation
from .problems import ApiProblem, Problem
from .schema import Answer

HEADER = "Idempotency-Key"
KEPT_SECONDS = 24 * 3600.0
MAX_KEY = 255
_KEY = re.compile(rf"[!-~]{{1,{MAX_KEY}}}")


def key_of(request: web.Request, operation: Operation) -> str:
    """The request's key; empty when it has none. Raises ApiProblem for one that is none, or is of no use here."""
    keys = request.headers.getall(HEADER, [])
    if not keys:
        return ""
    if not operation.repeatable:
        raise ApiProblem(Problem.INVALID, f"this operation takes no {HEADER}", hint="leave it out")
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        raise ApiProblem(Problem.INVALID, f"{HEADER} is one word of at most {MAX_KEY} visible ASCII characters")
    return keys[0]


class Repetitions:
    """Carries out what has a key; `now` is in seconds since the epoch."""

    def __init__(self, answers: Answers, now: Callable[[], float]) -> None:
        self._answers = answers
        self._now = now
        self._running: set[asyncio.Task[Answer | None]] = set()

    async def once(
        self,
        person: PersonId,
        key: str,
        operation: Operation,
        values: Mapping[str, Any],
        carry_out: Callable[[], Awaitable[Answer | None]],
    ) -> Answer | None:
        """The answer of `carry_out`, or the one that the same request got before. Raises PlantgateError."""
        now = self._now()
        fingerprint = fingerprint_of(operation, values)
        kept = await self._answers.begin(person, key, fingerprint, now, now + KEPT_SECONDS)
        if kept is None:
            return await self._to_its_end(self._carry_out(person, key, carry_out))
        if kept.fingerprint != fingerprint:
            raise ApiProblem(Problem.KEY_REUSED, hint="use a new key for each thing that you make")
        if kept.body is None or operation.answer is None:
            raise ApiProblem(
                Problem.CONFLICT,
                f"the first request with this {HEADER} has not come to its end",
                hint="look whether it was done; for another try use a new key",
            )
        return operation.answer.model_validate_json(kept.body)

    async def _to_its_end(self, work: Any) -> Answer | None:
        task: asyncio.Task[Answer | None] = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _carry_out(
        self, person: PersonId, key: str, carry_out: Callable[[], Awaitable[Answer | None]]
    ) -> Answer | None:
        try:
            answer = await carry_out()
        except Exception:
            await self._answers.forget(person, key)
            raise
        await self._answers.finish(person, key, "" if answer is None else answer.model_dump_json())
        return answer


def fingerprint_of(operation: Operation, values: Mapping[str, Any]) -> str:
    """What makes two requests the same: operation, path, query, and what the body says."""
    parts = [operation.name]
    for name in sorted(values):
        value = values[name]
        parts.append(f"{name}={value.model_dump_json() if isinstance(value, BaseModel) else value}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
