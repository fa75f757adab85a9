"""The device hosts: hand-over, the decision on every request, and what happens then."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Protocol

from aiohttp import web

from .. import cookies
from ..config import Web
from ..connected import Connected
from ..domain.model import Scheme
from ..freshness import Freshness
from ..identity.archive import SessionArchive
from ..identity.sessions import Session
from ..ports import Access, CertificatePins, Clock, Destination, StoreUnavailable, Streams
from . import handover
from .decision import Asked, Verdict, comes_from_own_page, is_navigation, permit
from .forward import Forwarder
from .http1 import is_token
from .live import Exchange, LiveExchanges
from .problems import Problem, ProxyProblem
from .rewrite import Place, addresses_of

MAX_FORGOTTEN = 60
"""Cookies of a device that are expired at once; more than that would not fit into a response head."""
MAX_ATTEMPTS = 6
"""Attempt cookies a browser may hold for one host; more tabs than that opened at once lose the oldest."""

VERDICTS: dict[Verdict, Problem] = {
    Verdict.NOT_AVAILABLE: Problem.NOT_AVAILABLE,
    Verdict.NO_PERMISSION: Problem.NO_PERMISSION,
    Verdict.NO_TWO_FACTOR: Problem.NO_TWO_FACTOR,
    Verdict.ON_HOLD: Problem.ON_HOLD,
    Verdict.NO_PURPOSE: Problem.NO_PURPOSE,
    Verdict.STORE_AWAY: Problem.HUB_STORE,
}
"""What a refused request is answered with."""


class ProblemPage(Protocol):
    """Renders a problem for whoever asked: a page, or a line of text."""

    def __call__(
        self, request: web.Request, asked: Asked, problem: Problem, destination: Destination | None, detail: str
    ) -> web.Response: ...


def read_asked(request: web.Request) -> Asked:
    """What decides about the request, from its headers."""
    headers = request.headers
    upgrade = headers.get("Upgrade", "").strip().lower() == "websocket"
    options = {option.strip().lower() for option in headers.get("Connection", "").split(",")}
    return Asked(
        method=request.method,
        websocket=upgrade and "upgrade" in options and request.method == "GET",
        site=headers.get("Sec-Fetch-Site", "").lower(),
        mode=headers.get("Sec-Fetch-Mode", "").lower(),
        dest=headers.get("Sec-Fetch-Dest", "").lower(),
        origin=headers.get("Origin", ""),
        accept=headers.get("Accept", ""),
        requested_with=headers.get("X-Requested-With", ""),
    )


class DeviceSite:
    """Serves every host name under the devices' domain."""

    def __init__(
        self,
        config: Web,
        access: Access,
        sessions: SessionArchive,
        codes: handover.Codes,
        streams: Streams,
        pins: CertificatePins,
        problem_page: ProblemPage,
        now: Clock,
        connected: Connected,
    ) -> None:
        self._config = config
        self._portal = Place(Scheme.HTTPS.value, config.portal_host.lower(), config.public_port).origin
        self._access = access
        self._sessions = sessions
        self._codes = codes
        self._forwarder = Forwarder(streams, pins)
        self._problem_page = problem_page
        self._now = now
        self._connected = connected
        self.live = LiveExchanges(self._still_allowed, now)

    def origin_of(self, host: str) -> str:
        """The public origin of a device host's name."""
        place = Place(Scheme.HTTPS.value, f"{host}.{self._config.devices_domain.lower()}", self._config.public_port)
        return place.origin

    async def handle(self, request: web.Request, host: str) -> web.StreamResponse:
        """Answer a request to NAME.devices-domain; `host` is NAME, lower case."""
        asked = read_asked(request)
        destination: Destination | None = None
        try:
            path = request.raw_path
            if not path.startswith("/"):  # absolute form or `*`: only the Host header names the host here
                raise ProxyProblem(Problem.BAD_REQUEST)
            sent = request.headers.getall("Cookie", [])
            if len(tokens := cookies.values(sent, cookies.DEVICE)) > 1:
                raise ProxyProblem(Problem.PLANTED_COOKIE)
            session = await self._sessions.find(tokens[0] if tokens else "", host)
            if path.startswith(handover.CALLBACK_PREFIX):
                return await self._come_back(request, host, session)
            if session is None:
                if not is_navigation(asked):
                    raise ProxyProblem(Problem.NO_SESSION)
                return self._send_to_portal(host, path, {name for name, _ in cookies.pairs(sent)})
            if not comes_from_own_page(asked, self.origin_of(host)):
                raise ProxyProblem(Problem.FOREIGN_REQUEST)
            destination = self._permitted(session, host)
            if request.headers.get("Service-Worker", "").lower() == "script":
                raise ProxyProblem(Problem.SERVICE_WORKER)
            return await self._forward(request, session, destination, asked.websocket)
        except ProxyProblem as problem:
            known = destination if problem.problem not in (Problem.NOT_AVAILABLE, Problem.NO_SESSION) else None
            response = self._problem_page(request, asked, problem.problem, known, problem.detail)
            if request.body_exists or asked.websocket:
                response.force_close()  # the rest of the request is not worth reading
            return response

    def _permitted(self, session: Session, host: str) -> Destination:
        destination = self._access.destination(host)
        person = self._access.person(session.person)
        verdict = permit(self._access, person, session, destination, self._now())
        if verdict is not Verdict.ALLOWED or destination is None:
            raise ProxyProblem(VERDICTS[verdict])
        return destination

    async def _forward(
        self, request: web.Request, session: Session, destination: Destination, websocket: bool
    ) -> web.StreamResponse:
        target = destination.target
        siblings = self._access.siblings(destination)
        domain, port = self._config.devices_domain.lower(), self._config.public_port
        addresses = addresses_of(target, str(destination.device.address), siblings, domain, port)
        with (
            self.live.track(Exchange(session.id, target.host, _aborter(request))),
            self._connected.page(session.person, destination.plant.id),
        ):
            return await self._forwarder.forward(request, destination, addresses, websocket)

    def _still_allowed(self, exchange: Exchange, now: float) -> bool:
        session = self._sessions.book.get(exchange.session)
        if session is None or not self._sessions.book.touch(exchange.session, now):
            return False
        destination = self._access.destination(exchange.host)
        person = self._access.person(session.person)
        return permit(self._access, person, session, destination, now) is Verdict.ALLOWED

    def _send_to_portal(self, host: str, path: str, held: set[str]) -> web.Response:
        """Start an attempt. The same for every name, so that a stranger cannot tell which device hosts exist."""
        attempt = handover.attempt_name(secrets.token_hex(4), self._now())
        verifier = secrets.token_urlsafe(32)
        asked_for = handover.Request(host, attempt, handover.challenge_of(verifier), handover.safe_path(path))
        response = _redirect(self._portal + asked_for.portal_path())
        name = cookies.ATTEMPT_PREFIX + attempt
        response.headers.add("Set-Cookie", cookies.render(name, verifier, handover.ATTEMPT_SECONDS))
        attempts = sorted(name for name in held if name.startswith(cookies.ATTEMPT_PREFIX))
        for old in attempts[: max(0, len(attempts) + 1 - MAX_ATTEMPTS)]:
            response.headers.add("Set-Cookie", cookies.render(old, "", 0))
        if cookies.DEVICE in held:
            _forget_device(response, held)
        return response

    async def _come_back(self, request: web.Request, host: str, session: Session | None) -> web.Response:
        """The portal's answer: code and attempt in the query, the attempt's verifier in its cookie."""
        if request.method != "GET" or request.path != handover.CALLBACK_PATH:
            raise ProxyProblem(Problem.HANDOVER)
        code, attempt = request.query.get("code", ""), request.query.get("attempt", "")
        if not handover.is_attempt_name(attempt):
            raise ProxyProblem(Problem.HANDOVER)
        name = cookies.ATTEMPT_PREFIX + attempt
        verifier = cookies.single(request.headers.getall("Cookie", []), name)
        now = self._now()
        ticket = self._codes.redeem(code, host, verifier, now)
        if ticket is None:
            if session is None:
                raise ProxyProblem(Problem.HANDOVER)
            return _redirect(self.origin_of(host) + "/")  # reloaded, or another tab was faster
        parent = self._sessions.book.get(ticket.session)
        if parent is None or not self._sessions.book.touch(parent.id, now):
            raise ProxyProblem(Problem.HANDOVER)
        self._permitted(parent, host)
        if self._access.freshness() is not Freshness.FRESH:
            raise ProxyProblem(Problem.HUB_STORE)
        response = _redirect(self.origin_of(host) + ticket.path)
        response.headers.add("Set-Cookie", cookies.render(name, "", 0))
        if session is None or session.parent != parent.id:
            if session is not None:
                await self._sessions.end(session.id)
            token = secrets.token_urlsafe(32)
            try:
                await self._sessions.added(self._sessions.book.open_child(parent, host, token))
            except StoreUnavailable:
                raise ProxyProblem(Problem.HUB_STORE) from None
            response.headers.add("Set-Cookie", cookies.render(cookies.DEVICE, token))
        return response


def _forget_device(response: web.Response, held: set[str]) -> None:
    """The session is over: the next person at this browser must not find the last one's pages and device sign-in."""
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    gone = [cookies.DEVICE, *sorted(name for name in held if not cookies.is_ours(name) and is_token(name))]
    for name in gone[:MAX_FORGOTTEN]:
        response.headers.add("Set-Cookie", cookies.render(name, "", 0))


def _redirect(url: str) -> web.Response:
    headers = {"Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return web.Response(status=302, headers=headers)


def _aborter(request: web.Request) -> Callable[[], None]:
    """Ends the request at once, in whatever state it is."""
    task = asyncio.current_task()

    def abort() -> None:
        if request.transport is not None:
            request.transport.abort()  # buffered bytes are dropped too
        if task is not None:
            task.cancel()

    return abort
