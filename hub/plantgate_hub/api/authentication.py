"""Who calls: a signed-in browser (session cookie) or a program (bearer token)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from aiohttp import web

from .. import cookies
from ..domain.model import PersonId
from ..domain.scopes import TokenScope
from ..domain.snapshot import Snapshot
from ..identity.archive import SessionArchive
from ..identity.sessions import Session
from ..services import Actor, acting
from .problems import ApiProblem, Problem

REALM = "plantgate"
JSON = "application/json"
SAFE_METHODS = frozenset({"GET", "HEAD"})


class Via(StrEnum):
    SESSION = "session"
    TOKEN = "token"  # noqa: S105  a word, not a secret


@dataclass(frozen=True, slots=True)
class Browser:
    """The session that a browser calls with, and where it lies among all others."""

    session: Session
    sessions: SessionArchive

    @property
    def proved(self) -> bool:
        """Whether its person gave the password, and the code, not long ago."""
        return self.sessions.is_proved(self.session)


@dataclass(frozen=True, slots=True)
class Caller:
    person: PersonId
    via: Via
    scopes: frozenset[TokenScope] = frozenset()
    """What the token is for; a session may do whatever its person may."""
    browser: Browser | None = None
    """None for a token."""

    @property
    def actor(self) -> Actor:
        return acting(self.person)


Authenticate = Callable[[web.Request], Awaitable[Caller | None]]
"""Who sent the request; None when nobody is named. Raises ApiProblem when what is named does not hold."""


class Tokens(Protocol):
    """API tokens, from whoever keeps them."""

    async def authenticate(self, token: str) -> tuple[PersonId, frozenset[TokenScope]] | None:
        """Whose token it is and what for; None when it is unknown, expired or withdrawn."""


class Known(Protocol):
    """Where people and tokens are looked up (`call.ApiParts`)."""

    @property
    def snapshot(self) -> Snapshot: ...

    @property
    def tokens(self) -> Tokens | None: ...


class Callers:
    """The hub's `Authenticate`. A request with a bearer token is judged by that alone, whatever cookies come along.

    A browser sends its cookies with requests that other sites make it send. So what changes something must come from
    the portal's own page (`own_request` looks at Origin and Sec-Fetch-Site), and in JSON where the method alone could
    come from a form.
    """

    def __init__(
        self,
        sessions: SessionArchive,
        known: Known,
        own_request: Callable[[web.Request], bool],
    ) -> None:
        self._sessions = sessions
        self._known = known
        self._own_request = own_request

    async def __call__(self, request: web.Request) -> Caller | None:
        authorization = request.headers.getall("Authorization", [])
        if authorization:
            return await self._by_token(authorization)
        return await self._by_session(request)

    async def _by_token(self, authorization: list[str]) -> Caller:
        scheme, _, token = authorization[0].partition(" ")
        found = None
        if len(authorization) == 1 and scheme.lower() == "bearer" and self._known.tokens is not None:
            found = await self._known.tokens.authenticate(token.strip())
        if found is None or self._known.snapshot.people.get(found[0]) is None:
            challenge = f'Bearer realm="{REALM}", error="invalid_token"'
            raise ApiProblem(
                Problem.UNAUTHENTICATED,
                "the token is unknown, has expired or was withdrawn",
                hint="make a new one in the portal",
                headers={"WWW-Authenticate": challenge},
            )
        return Caller(found[0], Via.TOKEN, found[1])

    async def _by_session(self, request: web.Request) -> Caller | None:
        token = cookies.single(request.headers.getall("Cookie", []), cookies.PORTAL)
        session = await self._sessions.find(token, "")
        person = self._known.snapshot.people.get(session.person) if session else None
        if session is None or person is None:
            return None
        if person.totp_active and session.two_factor_at is None:
            raise ApiProblem(
                Problem.SECOND_FACTOR,
                hint="pass it in the portal",
                headers={"WWW-Authenticate": f'Bearer realm="{REALM}"'},
            )
        if request.method not in SAFE_METHODS and not self._came_from_us(request):
            raise ApiProblem(
                Problem.FOREIGN_REQUEST,
                "a request with a session's cookie must come from the portal's own page, as JSON",
                hint="programs use an API token",
            )
        return Caller(person.id, Via.SESSION, browser=Browser(session, self._sessions))

    def _came_from_us(self, request: web.Request) -> bool:
        return self._own_request(request) and (request.method != "POST" or request.content_type == JSON)


def check_scope(caller: Caller, scope: TokenScope | None) -> None:
    """Raises ApiProblem where the caller's token is not for `scope` (None: no token is)."""
    if caller.via is Via.SESSION or (scope is not None and scope in caller.scopes):
        return
    if scope is None:
        raise ApiProblem(Problem.SCOPE, "no token may do this", hint="do it in the portal, signed in")
    challenge = f'Bearer realm="{REALM}", error="insufficient_scope", scope="{scope}"'
    raise ApiProblem(
        Problem.SCOPE,
        f"the token lacks the scope {str(scope)!r}",
        hint="make one that has it",
        headers={"WWW-Authenticate": challenge},
    )
