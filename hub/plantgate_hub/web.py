"""The hub's HTTPS site as one application: portal, device hosts, and where the agents' endpoints are mounted."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from plantgate_shared.logging import Event, get_logger
from plantgate_shared.secret import Secret

from .api import PREFIX, ApiParts, Callers, build_api
from .config import Web
from .connected import Connected
from .domain.model import PersonId
from .domain.snapshot import Change
from .identity.archive import SessionArchive
from .identity.passwords import Passwords
from .identity.sessions import SessionBook, SessionPolicy
from .identity.sign_in import SignIn
from .portal.account import Account
from .portal.desk import Desk, Hub
from .portal.guards import Guards, HasNews, own_form
from .portal.handlers import Portal
from .portal.links import Links
from .portal.live import Live
from .portal.pages import Pages
from .portal.site import PageGroup, page_groups
from .ports import Access, CertificatePins, Clock, Credentials, SessionRecords, StoreUnavailable, Streams
from .proxy.forward import DeviceResponse
from .proxy.handover import HOST, Codes
from .proxy.site import DeviceSite
from .services import Services

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SERVER_OPTIONS: dict[str, Any] = {
    "auto_decompress": False,  # bodies go to devices as they came
    "max_line_size": 16 * 1024,
    "max_field_size": 16 * 1024,  # pages of devices collect cookies
    "max_headers": 200,
    "keepalive_timeout": 75.0,
    "lingering_time": 2.0,
    "handler_cancellation": True,  # a browser that goes away frees its device connection at once
    "access_log": None,  # addresses and paths belong into the audit, not into the log
}
"""For `aiohttp.web.AppRunner(app, **SERVER_OPTIONS)`."""

MAX_FORM_BYTES = 64 * 1024
TIDY_SECONDS = 60.0
SESSIONS: web.AppKey[SessionArchive] = web.AppKey("sessions", SessionArchive)
"""The application's sessions."""


@dataclass(frozen=True, slots=True)
class WebParts:
    """What the site is made from."""

    config: Web
    access: Access
    credentials: Credentials
    sessions: SessionRecords
    streams: Streams
    pins: CertificatePins
    passwords: Passwords
    browser_key: Secret
    """Signs the known-browser cookie; losing it only means that browsers are strangers once more."""
    connected: Connected
    """Who is connected to which plant; device pages tell it."""
    session_policy: SessionPolicy = SessionPolicy()
    now: Clock = time.time
    hub: Hub = field(kw_only=True)
    """What the portal's own pages show and act by."""
    api: ApiParts | None = None
    """Without it the site has no REST API."""


def build_web(parts: WebParts, agent_routes: list[web.RouteDef] | None = None) -> web.Application:
    """The application. `agent_routes` (the tunnel and enrolment) answer on every host name but the devices'."""
    book = SessionBook(parts.session_policy)
    sessions = SessionArchive(parts.sessions, book, parts.now)
    codes = Codes()
    pages = Pages(parts.config)
    site = DeviceSite(
        parts.config,
        parts.access,
        sessions,
        codes,
        parts.streams,
        parts.pins,
        pages.device_problem,
        parts.now,
        parts.connected,
    )
    services = parts.hub.services
    sign_in = SignIn(parts.credentials, parts.passwords, sessions, parts.browser_key, parts.now)
    guards = Guards(pages, parts.access, sign_in, _news_of(services))
    live = Live(guards, parts.hub, parts.now)
    desk = Desk(pages, guards, parts.hub, parts.now, site.origin_of, live.version)

    def ended(ids: frozenset[str]) -> None:
        site.live.recheck()
        live.sessions_ended(ids)

    book.on_end = ended
    portal = Portal(pages, parts.access, sign_in, guards, codes, parts.now, site.origin_of)

    app = web.Application(
        client_max_size=MAX_FORM_BYTES, middlewares=[_by_host(parts.config, site, agent_routes or [])]
    )
    app[SESSIONS] = sessions
    groups: list[PageGroup] = [
        *(portal, pages.assets, live),
        *page_groups(desk, guards),
        Account(desk, pages, guards, sign_in),
        Links(pages, guards, sign_in, services),
    ]
    for group in groups:
        app.add_routes(group.routes())
    app.add_routes(agent_routes or [])
    if parts.api is not None:
        callers = Callers(sessions, parts.api, lambda request: own_form(request, pages.portal))
        app.add_subapp(PREFIX, build_api(parts.api, callers))
    app.on_response_prepare.append(_finish_head)
    app.cleanup_ctx.append(_background(site, sessions, parts))
    app.on_shutdown.append(live.close)
    return app


def host_name(header: str) -> str:
    """The host of a Host header, lower case, without port and final dot."""
    host, colon, port = header.rpartition(":")
    name = host if colon and port.isdigit() else header
    return name.lower().removesuffix(".")


def _news_of(services: Services) -> HasNews:
    async def has_news(person: PersonId) -> bool:
        return bool(await services.context.store.accounts.unseen(person))

    return has_news


def _by_host(config: Web, site: DeviceSite, agent_routes: list[web.RouteDef]) -> Any:
    portal = config.portal_host.lower()
    suffix = "." + config.devices_domain.lower()
    agent_paths = frozenset(route.path for route in agent_routes)

    @web.middleware
    async def dispatch(request: web.Request, handler: Handler) -> web.StreamResponse:
        name = host_name(request.headers.get("Host", ""))
        if name.endswith(suffix) and HOST.fullmatch(label := name.removesuffix(suffix)):
            return await site.handle(request, label)
        if request.path in agent_paths or name == portal:
            return await _answer(request, handler)
        return web.Response(status=421, text="This server has no site of that name.\n")

    return dispatch


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The portal's answer; a mistake of ours is logged without the request's contents."""
    try:
        return await handler(request)
    except web.HTTPException:
        raise
    except Exception:
        get_logger().exception(Event.REQUEST_FAILED, method=request.method, path=request.path)
        return web.Response(status=500, text="Something went wrong in the hub. It has been logged.\n")


async def _finish_head(_request: web.Request, response: web.StreamResponse) -> None:
    if isinstance(response, DeviceResponse):
        response.keep_exact()
    else:
        response.headers.popall("Server", None)


def _background(
    site: DeviceSite, sessions: SessionArchive, parts: WebParts
) -> Callable[[web.Application], AsyncIterator[None]]:
    def changed(changes: Sequence[Change]) -> None:
        sessions.follow(changes)
        site.live.recheck()

    async def run(_app: web.Application) -> AsyncIterator[None]:
        unwatch = parts.access.watch(changed)
        tasks = [asyncio.create_task(site.live.run()), asyncio.create_task(_tidy(sessions, parts))]
        yield
        unwatch()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await sessions.tidy()

    return run


async def _tidy(sessions: SessionArchive, parts: WebParts) -> None:
    while True:
        await asyncio.sleep(TIDY_SECONDS)
        try:
            await sessions.tidy()
            with suppress(StoreUnavailable):
                await parts.hub.services.context.store.accounts.sweep(parts.now())
        except Exception:  # the next round may do better; without any, sessions would pile up
            get_logger().exception(Event.SESSIONS_NOT_TIDIED)
