"""The portal's requests: sign-in, second factor and its set-up, the home page, opening a device page, sign-out."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote

from aiohttp import web

from .. import cookies
from ..domain.model import Job, Person
from ..domain.policy import Action
from ..freshness import Freshness
from ..identity.browsers import LIFETIME
from ..identity.passwords import Busy
from ..identity.sessions import Session, two_factor_is_fresh
from ..identity.sign_in import SignedIn, SignIn, TooManyTries, WrongCode, WrongPassword
from ..identity.totp import provisioning_uri
from ..ports import Access, Clock, StoreUnavailable, Streams
from ..proxy import handover
from ..proxy.decision import Verdict, permit
from ..proxy.problems import Problem
from ..proxy.site import VERDICTS
from .pages import Pages, qr_svg

ISSUER = "Plantgate"
SNAPSHOT_SECONDS = 2.0
MAX_NEXT = 16 * 1024
FORM_SECONDS = 10.0
"""For a form's few hundred bytes; nobody has to be signed in to send one."""

Handler = Callable[[web.Request, "Visitor"], Awaitable[web.Response]]


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


class Portal:
    """The portal's pages and actions."""

    def __init__(
        self,
        pages: Pages,
        access: Access,
        sign_in: SignIn,
        codes: handover.Codes,
        streams: Streams,
        now: Clock,
        device_origin: Callable[[str], str],
    ) -> None:
        self._pages = pages
        self._access = access
        self._sign_in = sign_in
        self._sessions = sign_in.sessions
        self._codes = codes
        self._streams = streams
        self._now = now
        self._device_origin = device_origin

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self._signed_in(self.home)),
            web.get("/sign-in", self.sign_in_page),
            web.post("/sign-in", self._form(self.sign_in)),
            web.get("/two-factor", self._signed_in(self.two_factor_page, second_factor=False)),
            web.post("/two-factor", self._form(self._signed_in(self.two_factor, second_factor=False))),
            web.get("/two-factor/set-up", self._signed_in(self.set_up_page)),
            web.post("/two-factor/set-up", self._form(self._signed_in(self.set_up))),
            web.get("/open", self._signed_in(self.open_device)),
            web.post("/sign-out", self._form(self.sign_out)),
            web.get(self._pages.style_path, self.style),
            web.get("/static/icon.svg", self.icon),
        ]

    # Who asks

    async def _visitor(self, request: web.Request) -> Visitor | None:
        token = cookies.single(request.headers.getall("Cookie", []), cookies.PORTAL)
        session = await self._sessions.find(token, "")
        person = self._access.person(session.person) if session else None
        return Visitor(session, person) if session and person else None

    def _signed_in(
        self, handler: Handler, second_factor: bool = True
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Requires a session, and the second factor of those who have one; others are sent there and come back."""

        async def guarded(request: web.Request) -> web.Response:
            visitor = await self._visitor(request)
            here = request.raw_path if request.method == "GET" else "/"
            if visitor is None:
                return _see_other("/sign-in", here)
            if second_factor and visitor.second_factor_due:
                return _see_other("/two-factor", here)
            return await handler(request, visitor)

        return guarded

    def _form(
        self, handler: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def checked(request: web.Request) -> web.Response:
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

    # Signing in

    async def sign_in_page(self, request: web.Request) -> web.Response:
        if await self._visitor(request) is not None:
            return _see_other(safe_next(request.query.get("next", "/")))
        notice = "sign-in.signed-out" if "signed-out" in request.query else ""
        return self._sign_in_form(request, safe_next(request.query.get("next", "/")), notice=notice)

    async def sign_in(self, request: web.Request) -> web.Response:
        form = await request.post()
        email, password = str(form.get("email", "")), str(form.get("password", ""))
        following = safe_next(str(form.get("next", "/")))
        sent = request.headers.getall("Cookie", [])
        browser, old = cookies.single(sent, cookies.KNOWN_BROWSER), cookies.single(sent, cookies.PORTAL)
        if self._access.freshness() is not Freshness.FRESH:
            return self._sign_in_form(request, following, email, error="sign-in.busy", status=503)
        try:
            signed_in = await self._sign_in.with_password(email, password, request.remote or "", browser, old)
        except WrongPassword:
            return self._sign_in_form(request, following, email, error="sign-in.wrong", status=403)
        except TooManyTries as error:
            return self._sign_in_form(request, following, email, error="throttled", seconds=error.seconds, status=429)
        except (Busy, StoreUnavailable):
            return self._sign_in_form(request, following, email, error="sign-in.busy", status=503)
        return _with_session(_see_other(following), signed_in)

    def _sign_in_form(
        self,
        request: web.Request,
        following: str,
        email: str = "",
        *,
        error: str = "",
        notice: str = "",
        seconds: int = 0,
        status: int = 200,
    ) -> web.Response:
        wanted = request.query.get("next", "") if request.method == "GET" else following
        return self._pages.page(
            request,
            "sign-in.html",
            status,
            following=following,
            email=email[:200],
            error=error,
            notice=notice,
            seconds=seconds,
            host=_wanted_host(wanted),
        )

    async def sign_out(self, request: web.Request) -> web.Response:
        visitor = await self._visitor(request)
        if visitor is not None:
            await self._sessions.end(visitor.session.id)
        response = _see_other("/sign-in?signed-out")
        response.headers["Clear-Site-Data"] = '"cache", "storage"'
        response.headers.add("Set-Cookie", cookies.render(cookies.PORTAL, "", 0))
        return response

    # Second factor

    async def two_factor_page(self, request: web.Request, visitor: Visitor) -> web.Response:
        if not visitor.person.totp_active:
            return _see_other("/two-factor/set-up", safe_next(request.query.get("next", "/")))
        return self._two_factor_form(request, safe_next(request.query.get("next", "/")))

    async def two_factor(self, request: web.Request, visitor: Visitor) -> web.Response:
        form = await request.post()
        following = safe_next(str(form.get("next", "/")))
        browser = cookies.single(request.headers.getall("Cookie", []), cookies.KNOWN_BROWSER)
        try:
            signed_in = await self._sign_in.with_totp(
                visitor.session, visitor.person.email, str(form.get("code", "")), browser
            )
        except WrongCode:
            return self._two_factor_form(request, following, "two-factor.wrong", status=403)
        except TooManyTries as error:
            return self._two_factor_form(request, following, "throttled", error.seconds, status=429)
        except StoreUnavailable:
            return self._two_factor_form(request, following, "sign-in.busy", status=503)
        return _with_session(_see_other(following), signed_in)

    def _two_factor_form(
        self, request: web.Request, following: str, error: str = "", seconds: int = 0, status: int = 200
    ) -> web.Response:
        return self._pages.page(request, "two-factor.html", status, following=following, error=error, seconds=seconds)

    async def set_up_page(self, request: web.Request, visitor: Visitor) -> web.Response:
        following = safe_next(request.query.get("next", "/"))
        return (
            self._set_up_form(request, visitor, following) if not visitor.person.totp_active else _see_other(following)
        )

    async def set_up(self, request: web.Request, visitor: Visitor) -> web.Response:
        form = await request.post()
        following = safe_next(str(form.get("next", "/")))
        if visitor.person.totp_active:
            return _see_other(following)
        try:
            signed_in = await self._sign_in.confirm_totp(visitor.session, str(form.get("code", "")))
        except WrongCode:
            return self._set_up_form(request, visitor, following, "set-up.wrong", status=403)
        except TooManyTries as error:
            return self._set_up_form(request, visitor, following, "throttled", error.seconds, status=429)
        except StoreUnavailable:
            return self._set_up_form(request, visitor, following, "sign-in.busy", status=503)
        await self._snapshot_knows(visitor.person)
        return _with_session(_see_other(following), signed_in)

    async def _snapshot_knows(self, person: Person) -> None:
        """Wait a moment until the snapshot has the second factor, so that the next page does not say it is missing."""
        changed = asyncio.Event()
        unwatch = self._access.watch(lambda _changes: changed.set())
        try:
            async with asyncio.timeout(SNAPSHOT_SECONDS):
                while (known := self._access.person(person.id)) is not None and not known.totp_active:
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            return
        finally:
            unwatch()

    def _set_up_form(
        self,
        request: web.Request,
        visitor: Visitor,
        following: str,
        error: str = "",
        seconds: int = 0,
        status: int = 200,
    ) -> web.Response:
        secret = self._sign_in.pending_secret(visitor.session)
        return self._pages.page(
            request,
            "set-up.html",
            status,
            following=following,
            error=error,
            seconds=seconds,
            secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
            qr=qr_svg(provisioning_uri(secret, visitor.person.email, ISSUER)),
        )

    # Plants and devices

    async def home(self, request: web.Request, visitor: Visitor) -> web.Response:
        plants = self._access.plants(visitor.person.id, self._now())
        return self._pages.page(
            request,
            "home.html",
            person=visitor.person,
            plants=plants,
            opens=Job.TECHNICAL_MANAGER,
            operator=Job.OPERATOR,
            sees_devices=Action.SEE_DEVICES,
            online=frozenset(view.plant.id for view in plants if self._streams.connected(view.plant.id)),
            device_origin=self._device_origin,
        )

    async def open_device(self, request: web.Request, visitor: Visitor) -> web.Response:
        """The portal's side of the hand-over: a code for the device host that the browser came from."""
        query = request.query
        asked_for = handover.read_request(
            query.get("host", ""), query.get("attempt", ""), query.get("challenge", ""), query.get("path", "/")
        )
        if asked_for is None:
            return self._pages.portal_problem(request, Problem.HANDOVER, None)
        now = self._now()
        session = visitor.session
        destination = self._access.destination(asked_for.host)
        verdict = permit(self._access, visitor.person, session, destination, now)
        if verdict is Verdict.ALLOWED and not two_factor_is_fresh(session, now, self._sessions.book.policy):
            return _see_other("/two-factor", request.raw_path)
        if verdict is not Verdict.ALLOWED:
            known = destination if verdict is not Verdict.NOT_AVAILABLE else None
            return self._pages.portal_problem(request, VERDICTS[verdict], known)
        if self._access.freshness() is not Freshness.FRESH:
            return self._pages.portal_problem(request, Problem.HUB_STORE, destination)
        code = secrets.token_urlsafe(32)
        self._codes.mint(code, asked_for, session.id, now)
        back = f"{handover.CALLBACK_PATH}?attempt={asked_for.attempt}&code={code}"
        response = _see_other(self._device_origin(asked_for.host) + back)
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    async def style(self, _request: web.Request) -> web.Response:
        return _static(self._pages.style, "text/css", "immutable, max-age=31536000")

    async def icon(self, _request: web.Request) -> web.Response:
        return _static(self._pages.icon, "image/svg+xml", "max-age=86400")


def _static(text: str, content_type: str, lifetime: str) -> web.Response:
    headers = {"Cache-Control": f"public, {lifetime}", "X-Content-Type-Options": "nosniff"}
    return web.Response(text=text, content_type=content_type, headers=headers)


def _wanted_host(following: str) -> str:
    """The device host that a sign-in is for, to be named on the page; empty for the portal itself."""
    if not following.startswith("/open?host="):
        return ""
    host = following.removeprefix("/open?host=").partition("&")[0]
    return host if handover.HOST.fullmatch(host) else ""


def _see_other(path: str, following: str = "") -> web.Response:
    if following and following != "/":
        path += f"?next={quote(following, safe='')}"
    return web.Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})


def _with_session(response: web.Response, signed_in: SignedIn) -> web.Response:
    if signed_in.token:
        response.headers.add("Set-Cookie", cookies.render(cookies.PORTAL, signed_in.token))
    if signed_in.browser:
        value = cookies.render(cookies.KNOWN_BROWSER, signed_in.browser, LIFETIME)
        response.headers.add("Set-Cookie", value)
    return response
