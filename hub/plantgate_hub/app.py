"""The hub's composition root: builds one node from its configuration and runs it until it is told to stop."""

import asyncio
import contextlib
import errno
import gc
import os
import signal
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import cast

from aiohttp import web
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from plantgate_shared.errors import KernelError, PlantgateError
from plantgate_shared.identity.handshake import PinnedHub
from plantgate_shared.logging import Event, get_logger
from plantgate_shared.secret import Secret

from . import keys as hub_keys
from . import tls as hub_tls
from .access import SnapshotAccess
from .api import ApiParts
from .config import HubConfig
from .connected import Connected, Connection
from .diagnosis import Diagnosis, Sources
from .domain.clients import ClientSettings
from .domain.model import AgentId
from .first_request import FirstRequestGuard
from .freshness import Freshness
from .identity.passwords import Passwords
from .identity.tokens import ApiTokens
from .notify import Notify
from .opening import Opened, open_services
from .portal.desk import Hub
from .store import Presence, SnapshotFeed
from .tunnel.desired import hub_facts
from .tunnel.endpoint import HubIdentity, TunnelEndpoint
from .tunnel.enrol import EnrolmentEndpoint
from .tunnel.probe import open_responder
from .tunnel.registry import AgentRegistry, AgentState, Happening
from .vpn.follower import VpnFollower
from .vpn.handshakes import Handshakes
from .vpn.reconciler import VpnDataPlane
from .vpn.revival import Revival
from .vpn.state import VpnSettings
from .vpn.watch import ConnectionWatch
from .web import SERVER_OPTIONS, WebParts, build_web

CERTIFICATE_CHECK = 3600.0
"""Seconds between looks at whether the TLS certificate has to be renewed."""
PRESENCE_EVERY = 5.0
"""Seconds between notes of which agents are attached; readers take one for gone after 15."""
RECORD_KEPT = 730 * 86400.0
"""Seconds for which a plant's record is kept: 24 months, as the audit."""
RECORD_SWEEP = 6 * 3600.0
FRESHNESS_EVERY = 1.0
"""Seconds between looks at how old the snapshot is."""
_STATUS = {
    Freshness.FRESH: "serving",
    Freshness.STALE: "not ready: the database does not answer; nobody new is let in",
    Freshness.EXPIRED: "not ready: the database has not answered for too long; all access has ended",
}
VPN_RETRY = 10.0
"""Seconds until the VPN is tried again after the kernel refused it."""
CLOCK_TOLERANCE = 300.0
"""Seconds that the clocks of a hub's nodes may differ."""
SHUTDOWN_SECONDS = 2.0
"""For requests in progress; streams to devices never end by themselves."""


async def serve(config: HubConfig) -> None:
    """Run one node until SIGTERM or SIGINT. Raises PlantgateError when it cannot start."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with open_services(config) as opened:
        await Node(config, opened).run(stopping)


async def clean_up() -> None:
    """Take the VPN's interfaces and tables away, after the hub has ended.

    They are found by their names: a configuration that cannot be read, or keys that are gone, must not keep them.
    """
    config, unused = HubConfig(), Secret(bytes(32))
    plane = VpnDataPlane(VpnSettings.of(config.vpn, config.pools, probe_port=1), unused, unused)
    available = await plane.available()
    if available.possible:
        await plane.stop()
    else:
        get_logger().warning(Event.VPN_OFF, cause=str(available))


def _data_plane(config: HubConfig, keys: hub_keys.HubKeys, probe_port: int) -> VpnDataPlane:
    settings = VpnSettings.of(config.vpn, config.pools, probe_port=probe_port)
    return VpnDataPlane(settings, keys.wireguard_users.private, keys.wireguard_agents.private)


def _derived(key: Secret, purpose: str) -> Secret:
    """A key of its own for a purpose, from one that is kept."""
    return Secret(HKDF(SHA256(), 32, None, purpose.encode()).derive(key.reveal()))


class Node:
    """One hub process. Each part is built here and knows nothing of the others but what it is given."""

    def __init__(self, config: HubConfig, opened: Opened) -> None:
        self._config = config
        self._opened = opened
        self._store = opened.store
        self._services = opened.services
        self._keys = opened.keys
        self._log = get_logger(node=config.name)
        self._tls = hub_tls.load_or_create(config, time.time())
        self._feed = SnapshotFeed(self._store)
        self._registry = AgentRegistry()
        self._passwords = Passwords()
        self._endpoint = TunnelEndpoint(
            HubIdentity(self._keys.identity, config.name, lambda: self._tls.certificates),
            hub_facts(config, self._keys.wireguard_agents.public),
            lambda: self._feed.snapshot,
            self._registry,
            ("127.0.0.1", config.vpn.agents_port),
            time.time,
        )
        self._handshakes = Handshakes(lambda: self._feed.snapshot, time.monotonic)
        self._reports: asyncio.Queue[AgentState] = asyncio.Queue(maxsize=1000)
        self._notify = Notify()
        self._alerts: asyncio.Queue[Connection] = asyncio.Queue(maxsize=1000)
        self.connected = Connected(lambda: self._feed.snapshot, time.time, self._new_external)
        """Who is connected to which plant now, as far as this node carries it."""

    async def run(self, stopping: asyncio.Event) -> None:
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._passwords.close)
            await self._feed.load()
            gc.freeze()  # what was just loaded stays: going through it at each collection makes answers wait
            await self._look_at_the_clock()
            application = self._application(await self._opened.client_settings(self._config))
            stack.callback(self._feed.on_update(lambda _update: self._endpoint.snapshot_changed()))
            stack.callback(self._registry.watch(self._agent_happened))
            probe = open_responder(self._registry.probe_key, "0.0.0.0")  # noqa: S104  nft redirects to the asked address
            stack.callback(probe.close)
            tasks = await stack.enter_async_context(_background())
            tasks.create_task(self._feed.run(), name="snapshot feed")
            tasks.create_task(self._watch_freshness(), name="age of the snapshot")
            tasks.create_task(self._endpoint.run(), name="tunnel: desired states")
            tasks.create_task(self._store_reports(), name="tunnel: reports")
            tasks.create_task(self._store_presence(), name="tunnel: presence")
            tasks.create_task(self._store_alerts(), name="connections: alerts")
            tasks.create_task(self._tidy_records(), name="plants' records")
            tasks.create_task(self._renew_certificate(), name="certificate")
            tasks.create_task(self._services.context.outbox.run(), name="mail")
            tasks.create_task(self._notify.watchdog(), name="watchdog")
            # Listening comes first: beside a node that runs already, this one ends here and leaves its VPN alone.
            await stack.enter_async_context(self._listening(application, tasks))
            vpn_off = await self._start_vpn(tasks, probe.port)
            self._notify.send(f"READY=1\nSTATUS={'serving without VPN: ' + vpn_off if vpn_off else 'serving'}")
            self._log.info(Event.STARTED, port=self._config.web.port, keys=dict(self._keys.fingerprints()))
            await stopping.wait()
            self._notify.send("STOPPING=1")
            self._log.info(Event.STOPPED)
            self._endpoint.close()

    def _freshness(self) -> Freshness:
        return self._config.database.limits().of(self._feed.staleness())

    async def _watch_freshness(self) -> None:
        """Say when the node stops letting people in, and when it is ready again."""
        known = Freshness.FRESH
        while True:
            await asyncio.sleep(FRESHNESS_EVERY)
            now = self._freshness()
            if now is known:
                continue
            known = now
            say = self._log.info if now is Freshness.FRESH else self._log.error
            say(Event.STORE_FRESHNESS, state=now, revision=self._feed.snapshot.revision)
            self._notify.send(f"STATUS={_STATUS[now]}")

    def _application(self, client_settings: ClientSettings) -> web.Application:
        access = SnapshotAccess(self._feed, self._freshness)
        hub = PinnedHub(self._config.name, self._keys.identity.public)
        enrolment = EnrolmentEndpoint(self._services.agents, hub, lambda: self._tls.certificates, time.time)
        diagnosis = self._diagnosis()
        parts = WebParts(
            self._config.web,
            access,
            self._store.credentials,
            self._store.sessions,
            self._registry,
            self._store,
            self._passwords,
            _derived(self._keys.vault, "known browsers"),
            self.connected,
            hub=Hub(self._feed, self._registry, self._services, client_settings, diagnosis),
            api=ApiParts(
                self._services,
                self._feed,
                lambda: self._registry.online,
                lambda: self._opened.client_settings(self._config),
                ApiTokens(self._store.accounts, time.time),
                diagnosis,
                self.connected,
            ),
        )
        return build_web(parts, [*self._endpoint.routes(), *enrolment.routes()])

    def _diagnosis(self) -> Diagnosis:
        """Why can't I reach it?, answered from what this node knows and what its agents see."""
        return Diagnosis(
            Sources(
                snapshot=lambda: self._feed.snapshot,
                online=lambda: self._registry.online,
                handshake=self._handshakes.newest,
                presence=self._registry,
                streams=self._registry,
                pins=self._store,
                clock=time.time,
                freshness=self._freshness,
            )
        )

    @contextlib.asynccontextmanager
    async def _listening(self, application: web.Application, tasks: asyncio.TaskGroup) -> AsyncIterator[None]:
        settings = self._config.web
        guard = FirstRequestGuard()
        application.middlewares.insert(0, guard.middleware)
        runner = web.AppRunner(application, shutdown_timeout=SHUTDOWN_SECONDS, **SERVER_OPTIONS)
        await runner.setup()
        watching = tasks.create_task(guard.run(cast(web.Server, runner.server)), name="first requests")
        try:
            try:
                site = web.TCPSite(runner, settings.listen, settings.port, ssl_context=self._tls.context)
                await site.start()
            except OSError as error:
                cause = os.strerror(error.errno) if error.errno else str(error)
                raise KernelError(
                    f"cannot listen on {settings.listen} port {settings.port}: {cause}", hint=_listen_hint(error)
                ) from None
            yield
        finally:
            watching.cancel()
            await runner.cleanup()

    async def _look_at_the_clock(self) -> None:
        """A clock that was set back keeps the hub running, but people's codes and time-limited access are wrong."""
        newest = max((change.at for change in await self._store.history(limit=1)), default=0.0)
        if newest - time.time() > CLOCK_TOLERANCE:
            self._log.error(
                Event.CLOCK_WRONG,
                cause=f"this host's clock says {_day(time.time())}, but the newest change was made on {_day(newest)}",
                remedy="set the clock (timedatectl); until then sign-in codes and time-limited access are wrong",
            )

    async def _start_vpn(self, tasks: asyncio.TaskGroup, probe_port: int) -> str:
        """Start the data plane; why it is off, otherwise. Portal and proxy serve in either case."""
        if not self._config.vpn.enabled:
            why = "it is switched off in the configuration (vpn.enabled)"
        else:
            available = await VpnDataPlane.available()
            why = "" if available.possible else str(available)
        if why:
            self._log.warning(Event.VPN_OFF, cause=why)
            return why
        tasks.create_task(self._run_vpn(probe_port), name="vpn")
        return ""

    async def _run_vpn(self, probe_port: int) -> None:
        """Portal and proxy go on where the kernel refuses; what it refuses today it may take tomorrow."""
        interval = self._config.vpn.verify_interval
        while True:
            plane = _data_plane(self._config, self._keys, probe_port)
            follower = VpnFollower(plane, self._feed, self._store, time.time, interval, self._freshness)
            revival = Revival(plane, self._registry.states, self._wireguard_key, time.time)
            watch = ConnectionWatch(plane, lambda: self._feed.snapshot, self.connected, time.time)
            self._handshakes.plane = plane
            try:
                async with asyncio.TaskGroup() as parts:
                    parts.create_task(follower.run())
                    parts.create_task(revival.run())
                    parts.create_task(watch.run())
            except* KernelError as errors:
                self._log.error(Event.VPN_OFF, cause="; ".join(map(str, errors.exceptions)))
            finally:
                self._handshakes.plane = None
            await asyncio.sleep(VPN_RETRY)

    def _wireguard_key(self, agent: AgentId) -> str | None:
        found = self._feed.snapshot.agents.get(agent)
        return found.wireguard_key if found else None

    # --- events -----------------------------------------------------------------------------------------------------

    def _agent_happened(self, happening: Happening, state: AgentState) -> None:
        if happening is Happening.DETACHED or self._reports.full():
            return  # a report that finds no room is made again with the next change of the agent's status
        self._reports.put_nowait(state)

    async def _store_reports(self) -> None:
        """What agents report is kept: their boundary for the routes, when they were seen for people who look."""
        while True:
            state = await self._reports.get()
            status = state.status
            try:
                await self._store.seen(self._presence(state))
                if status is not None:
                    await self._services.agents.report_boundary(state.agent, status.boundary)
            except PlantgateError as error:
                self._log.warning(Event.REPORT_LOST, agent=state.agent, error=str(error))

    def _new_external(self, connection: Connection) -> None:
        if not self._alerts.full():
            self._alerts.put_nowait(connection)

    async def _store_alerts(self) -> None:
        """Somebody by cooperation connected anew: the plant's owners find it on the plant's record."""
        while True:
            connection = await self._alerts.get()
            account = self._feed.snapshot.people.get(connection.person)
            with contextlib.suppress(PlantgateError):  # the feed says when the store is away
                await self._services.alerts.external_connection(connection, account.name if account else "")

    async def _tidy_records(self) -> None:
        """Plants' records are kept as long as the audit is."""
        while True:
            with contextlib.suppress(PlantgateError):  # the feed says when the store is away
                await self._store.plant_events.sweep(time.time() - RECORD_KEPT)
            await asyncio.sleep(RECORD_SWEEP)

    async def _store_presence(self) -> None:
        """Who is attached here is kept for others who look: the command line, and later other nodes."""
        while True:
            await asyncio.sleep(PRESENCE_EVERY)
            for state in self._registry.states():
                with contextlib.suppress(PlantgateError):  # the feed says when the store is away
                    await self._store.seen(self._presence(state))

    def _presence(self, state: AgentState) -> Presence:
        path, version = (str(state.status.path), state.status.version) if state.status else ("", "")
        return Presence(state.agent, time.time(), self._config.name, path, version)

    async def _renew_certificate(self) -> None:
        while True:
            await asyncio.sleep(CERTIFICATE_CHECK)
            try:
                if self._tls.refresh(time.time()):
                    self._log.info(Event.CERTIFICATE_RENEWED)
            except PlantgateError as error:
                self._log.error(Event.CERTIFICATE_NOT_RENEWED, error=str(error))


@contextlib.asynccontextmanager
async def _background() -> AsyncIterator[asyncio.TaskGroup]:
    """Tasks that run while the block does. The first that fails ends the block and the node: systemd starts another."""

    class Ended(Exception):
        """The block is over; its tasks go with it."""

    async def end() -> None:
        raise Ended

    told: list[BaseException] = []
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
            tasks.create_task(end())
    except* Ended:
        pass
    except* PlantgateError as errors:
        told += errors.exceptions
    if told:  # outside of `except*`, which would wrap it again: a person gets the one line
        raise told[0]


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def _listen_hint(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program, perhaps this hub itself, has it; web.listen and web.port choose another"
    if error.errno == errno.EACCES:
        return "ports below 1024 need root or CAP_NET_BIND_SERVICE; web.port chooses another"
    return "web.listen must be an address of this host"
