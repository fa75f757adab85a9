"""Entity tags and the conditions that requests put on them (RFC 9110, sections 8.8.3 and 13)."""

import hashlib
from dataclasses import dataclass

from aiohttp import web

from .problems import ApiProblem, Problem
from .schema import Answer

_HEX_DIGITS = 32
_ANY = "*"


def tag_of(body: bytes) -> str:
    """The strong tag of a representation, without its quotes."""
    return hashlib.sha256(body).hexdigest()[:_HEX_DIGITS]


def serialized(answer: Answer) -> bytes:
    return answer.model_dump_json().encode()


@dataclass(frozen=True, slots=True)
class Condition:
    """What a request asks of the state it changes. Without any, everything will do."""

    match: frozenset[str] | None = None
    """Strong tags, or "*" for anything that is there; None: not asked for."""

    def hold(self, current: Answer) -> None:
        """Raises ApiProblem unless the current state is one that was asked for."""
        if self.match is None or _ANY in self.match or tag_of(serialized(current)) in self.match:
            return
        raise ApiProblem(Problem.STALE, hint="read it again, and name its new ETag in If-Match")


def condition_of(request: web.Request, needed: bool) -> Condition:
    """The request's condition. Raises ApiProblem when there is none and one is needed."""
    match = request.if_match
    if match is None and needed:
        raise ApiProblem(
            Problem.PRECONDITION,
            "the header If-Match is missing",
            hint="name the ETag of the state that you change (* for any)",
        )
    strong = None if match is None else frozenset(tag.value for tag in match if not tag.is_weak)
    return Condition(strong)


def is_known(request: web.Request, tag: str) -> bool:
    """Whether the caller has this representation already (If-None-Match, compared weakly)."""
    known = request.if_none_match
    return known is not None and any(one.value in (tag, _ANY) for one in known)
