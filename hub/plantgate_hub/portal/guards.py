"""What stands before the portal's handlers: who is signed in, second factor, fresh proof, and whose form it is."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote

from aiohttp import web

from .. import cookies
from ..domain.model import Person, PersonId
from ..identity.browsers import LIFETIME
from ..identity.sessions import Session
from ..identity.sign_in import SignedIn, SignIn
from ..ports import Access, StoreUnavailable
from ..proxy.problems import Problem
from .pages import Pages

MAX_NEXT = 16 * 1024
FORM_SECONDS = 10.0
"""For a form's few hundred bytes; nobody has to be signed in to send one."""

UNATTENDED = "Plantgate-Live"
"""Header of requests that a page makes by itself: they do not keep a session awake that nobody uses."""

Response = web.StreamResponse
Plain = Callable[[web.Request], Awaitable[Response]]
Handler = Callable[[web.Request, "Visitor"], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is signed in: the session and its person."""

    session: Session
    person: Person

    @property
    def second_factor_due(self) -> bool:
        """The person has a second factor and has not passed it in this session yet."""
        return self.person.totp_active and self.session.two_factor_at is None


def safe_next(path: str) -> str:
    """Where to go after signing in: a path on the portal, whatever somebody wrote into a link."""
    fine = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isascii() and path.isprintable()
    return path if fine and len(path) <= MAX_NEXT else "/"


def own_form(request: web.Request, origin: str) -> bool:
    """Whether a form was sent from the portal's own page: browsers say so in Sec-Fetch-Site or Origin."""
    site = request.headers.get("Sec-Fetch-Site", "")
    sent_from = request.headers.get("Origin", "").lower()
    return site in ("", "same-origin") and (sent_from == origin or (site == "same-origin" and not sent_from))


def see_other(path: str, following: str = "") -> web.Response:
    """On to another page after a form; `following` is where that one leads."""
    if following and following != "/":
        path += f"?next={quote(following, safe='')}"
    return web.Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})


def with_session(response: web.Response, signed_in: SignedIn) -> web.Response:
    """The response with the cookies of a sign-in."""
    if signed_in.token:
        response.headers.add("Set-Cookie", cookies.render(cookies.PORTAL, signed_in.token))
    return with_known_browser(response, signed_in.browser)


def with_known_browser(response: web.Response, value: str) -> web.Response:
    if value:
        response.headers.add("Set-Cookie", cookies.render(cookies.KNOWN_BROWSER, value, LIFETIME))
    return response


def known_browser(request: web.Request) -> str:
    """The known-browser cookie."""
    return cookies.single(request.headers.getall("Cookie", []), cookies.KNOWN_BROWSER)


HasNews = Callable[[PersonId], Awaitable[bool]]
"""Whether something happened to the account that its person has to be told."""


async def no_news(_person: PersonId) -> bool:
    return False


class Guards:
    """What every page group puts before its handlers."""

    def __init__(self, pages: Pages, access: Access, sign_in: SignIn, has_news: HasNews = no_news) -> None:
        self._pages = pages
        self._access = access
        self._sign_in = sign_in
        self._has_news = has_news

    async def visitor(self, request: web.Request) -> Visitor | None:
        token = cookies.single(request.headers.getall("Cookie", []), cookies.PORTAL)
        session = await self._sign_in.sessions.find(token, "", touch=UNATTENDED not in request.headers)
        person = self._access.person(session.person) if session else None
        return Visitor(session, person) if session and person else None

    def signed_in(self, handler: Handler, second_factor: bool = True) -> Plain:
        """Requires a session, and the second factor of those who have one; others are sent there and come back."""

        async def guarded(request: web.Request) -> Response:
            visitor = await self.visitor(request)
            here = request.raw_path if request.method == "GET" else "/"
            if visitor is None:
                return see_other("/sign-in", here)
            if second_factor and visitor.second_factor_due:
                return see_other("/two-factor", here)
            return await handler(request, visitor)

        return guarded

    def proved(self, handler: Handler, back: str = "") -> Plain:
        """For sensitive acts: who signed in a while ago proves anew who they are, and comes back to the page, or after
        a form to `back`, which may name parts of the form's own path."""

        async def guarded(request: web.Request, visitor: Visitor) -> Response:
            if self._sign_in.is_proved(visitor.session):
                return await handler(request, visitor)
            there = back.format_map(request.match_info)
            return see_other("/account/confirm", request.raw_path if request.method == "GET" else there)

        return self.signed_in(guarded)

    async def land(self, person: Person, following: str) -> web.Response:
        """Where a sign-in leads: where the person wanted to go, past the news about the account if there are any."""
        try:
            news = await self._has_news(person.id)
        except StoreUnavailable:  # told the next time
            news = False
        return see_other("/account/news", following) if news else see_other(following)

    def form(self, handler: Plain) -> Plain:
        """Requires that the form comes from the portal's own page, and in time."""

        async def checked(request: web.Request) -> Response:
            if not own_form(request, self._pages.portal):
                return self._pages.portal_problem(request, Problem.FOREIGN_REQUEST, None)
            try:
                async with asyncio.timeout(FORM_SECONDS):
                    await request.post()  # kept for the handler
            except TimeoutError:
                late = web.Response(status=408, text="The form did not arrive in time.\n")
                late.force_close()
                return late
            return await handler(request)

        return checked
