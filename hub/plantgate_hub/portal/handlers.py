"""The portal's first requests: sign-in, second factor and its set-up, opening a device page, sign-out."""

import asyncio
import secrets
from collections.abc import Callable

from aiohttp import web

from .. import cookies
from ..domain.model import Person
from ..freshness import Freshness
from ..identity.passwords import Busy
from ..identity.sessions import two_factor_is_fresh
from ..identity.sign_in import SignIn, TooManyTries, WrongCode, WrongPassword
from ..identity.totp import provisioning_uri
from ..ports import Access, Clock, StoreUnavailable
from ..proxy import handover
from ..proxy.decision import Verdict, permit
from ..proxy.problems import Problem
from ..proxy.site import VERDICTS
from .guards import Guards, Visitor, known_browser, safe_next, see_other, with_session
from .pages import Pages, grouped, qr_svg

ISSUER = "Plantgate"
SNAPSHOT_SECONDS = 2.0


class Portal:
    """The portal's pages and actions."""

    def __init__(
        self,
        pages: Pages,
        access: Access,
        sign_in: SignIn,
        guards: Guards,
        codes: handover.Codes,
        now: Clock,
        device_origin: Callable[[str], str],
    ) -> None:
        self._pages = pages
        self._access = access
        self._sign_in = sign_in
        self._guards = guards
        self._sessions = sign_in.sessions
        self._codes = codes
        self._now = now
        self._device_origin = device_origin

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sign-in", self.sign_in_page),
            web.post("/sign-in", self._guards.form(self.sign_in)),
            web.get("/two-factor", self._guards.signed_in(self.two_factor_page, second_factor=False)),
            web.post("/two-factor", self._guards.form(self._guards.signed_in(self.two_factor, second_factor=False))),
            # Proved: who only has a session must not become the owner of the second factor.
            web.get("/two-factor/set-up", self._guards.proved(self.set_up_page)),
            web.post("/two-factor/set-up", self._guards.form(self._guards.proved(self.set_up, "/two-factor/set-up"))),
            web.get("/open", self._guards.signed_in(self.open_device)),
            web.post("/sign-out", self._guards.form(self.sign_out)),
        ]

    # Signing in

    async def sign_in_page(self, request: web.Request) -> web.Response:
        if await self._guards.visitor(request) is not None:
            return see_other(safe_next(request.query.get("next", "/")))
        notice = "sign-in.signed-out" if "signed-out" in request.query else ""
        return self._sign_in_form(request, safe_next(request.query.get("next", "/")), notice=notice)

    async def sign_in(self, request: web.Request) -> web.Response:
        form = await request.post()
        email, password = str(form.get("email", "")), str(form.get("password", ""))
        following = safe_next(str(form.get("next", "/")))
        browser = known_browser(request)
        old = cookies.single(request.headers.getall("Cookie", []), cookies.PORTAL)
        if self._access.freshness() is not Freshness.FRESH:
            return self._sign_in_form(request, following, email, error="sign-in.busy", status=503)
        try:
            signed_in = await self._sign_in.with_password(
                email, password, request.remote or "", browser, old, request.headers.get("User-Agent", "")
            )
        except WrongPassword:
            return self._sign_in_form(request, following, email, error="sign-in.wrong", status=403)
        except TooManyTries as error:
            return self._sign_in_form(request, following, email, error="throttled", seconds=error.seconds, status=429)
        except (Busy, StoreUnavailable):
            return self._sign_in_form(request, following, email, error="sign-in.busy", status=503)
        person = self._access.person(signed_in.session.person)
        if person is None or person.totp_active:  # the second factor comes first
            return with_session(see_other(following), signed_in)
        return with_session(await self._guards.land(person, following), signed_in)

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
        visitor = await self._guards.visitor(request)
        if visitor is not None:
            await self._sessions.end(visitor.session.id)
        response = see_other("/sign-in?signed-out")
        response.headers["Clear-Site-Data"] = '"cache", "storage"'
        response.headers.add("Set-Cookie", cookies.render(cookies.PORTAL, "", 0))
        return response

    # Second factor

    async def two_factor_page(self, request: web.Request, visitor: Visitor) -> web.Response:
        if not visitor.person.totp_active:
            return see_other("/two-factor/set-up", safe_next(request.query.get("next", "/")))
        return self._two_factor_form(request, safe_next(request.query.get("next", "/")))

    async def two_factor(self, request: web.Request, visitor: Visitor) -> web.Response:
        form = await request.post()
        following = safe_next(str(form.get("next", "/")))
        browser = known_browser(request)
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
        return with_session(await self._guards.land(visitor.person, following), signed_in)

    def _two_factor_form(
        self, request: web.Request, following: str, error: str = "", seconds: int = 0, status: int = 200
    ) -> web.Response:
        return self._pages.page(request, "two-factor.html", status, following=following, error=error, seconds=seconds)

    async def set_up_page(self, request: web.Request, visitor: Visitor) -> web.Response:
        following = safe_next(request.query.get("next", "/"))
        return (
            self._set_up_form(request, visitor, following) if not visitor.person.totp_active else see_other(following)
        )

    async def set_up(self, request: web.Request, visitor: Visitor) -> web.Response:
        form = await request.post()
        following = safe_next(str(form.get("next", "/")))
        if visitor.person.totp_active:
            return see_other(following)
        try:
            signed_in = await self._sign_in.confirm_totp(visitor.session, str(form.get("code", "")))
        except WrongCode:
            return self._set_up_form(request, visitor, following, "set-up.wrong", status=403)
        except TooManyTries as error:
            return self._set_up_form(request, visitor, following, "throttled", error.seconds, status=429)
        except StoreUnavailable:
            return self._set_up_form(request, visitor, following, "sign-in.busy", status=503)
        await self._snapshot_knows(visitor.person)
        return with_session(see_other(following), signed_in)

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
            secret=grouped(secret),
            qr=qr_svg(provisioning_uri(secret, visitor.person.email, ISSUER)),
        )

    # Device pages

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
            return see_other("/two-factor", request.raw_path)
        if verdict is not Verdict.ALLOWED:
            known = destination if verdict is not Verdict.NOT_AVAILABLE else None
            return self._pages.portal_problem(request, VERDICTS[verdict], known)
        if self._access.freshness() is not Freshness.FRESH:
            return self._pages.portal_problem(request, Problem.HUB_STORE, destination)
        code = secrets.token_urlsafe(32)
        self._codes.mint(code, asked_for, session.id, now)
        back = f"{handover.CALLBACK_PATH}?attempt={asked_for.attempt}&code={code}"
        response = see_other(self._device_origin(asked_for.host) + back)
        response.headers["Referrer-Policy"] = "no-referrer"
        return response


def _wanted_host(following: str) -> str:
    """The device host that a sign-in is for, to be named on the page; empty for the portal itself."""
    if not following.startswith("/open?host="):
        return ""
    host = following.removeprefix("/open?host=").partition("&")[0]
    return host if handover.HOST.fullmatch(host) else ""
