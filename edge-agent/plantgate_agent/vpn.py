"""The worker's VPN: keeps the kernel as the hub and the boundary want it, and WireGuard on the best path."""

import asyncio
import contextlib
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, ip_address
from pathlib import Path

import msgpack

from plantgate_shared.errors import InvalidInput, KernelError, ProtocolError
from plantgate_shared.logging import Event, get_logger
from plantgate_shared.protocol.control import DesiredState, TunnelPath, parse, to_map
from plantgate_shared.protocol.probe import ProbeKey
from plantgate_shared.secret import Secret
from plantgate_shared.tunnel import TunnelConnection

from .boundary import Boundary, Refused
from .boundary_reader import BoundaryReader
from .config import AgentConfig
from .dataplane import DataPlane, Outcome
from .desired import Decision, Site, check_endpoint, decide
from .handshakes import HandshakeAge
from .paths import PathMachine, SendProbe, UsePath
from .probe import Prober, open_prober
from .relay import Relay
from .rules import INTERFACE
from .targets import Target
from .tunnel import ipv4, resolve

FULL_PASS = 20.0
"""Seconds between passes that read everything anew: boundary file, routes, kernel. They correct whatever drifted."""
RETRY = 2.0
"""Seconds until the next pass after one that failed."""
HANDSHAKE_EVERY = 15.0
"""Seconds between looks at WireGuard's handshake, each of which starts a process."""
FIRST_HANDSHAKE_EVERY = 2.0
"""The same while there was none yet: an installer is waiting for it."""
DOUBT_FOR = 1.5
"""Seconds after a new tunnel within which a packet must come in through WireGuard for its session to be kept."""
COUNT_EVERY = 1.0
"""Seconds between looks at the interface's packet counters."""
CACHE_FILE = "desired.msgpack"
_STATISTICS = Path(f"/sys/class/net/{INTERFACE}/statistics")


@dataclass(slots=True)
class Report:
    """What a person or the hub can be told about the VPN."""

    revision: int = 0
    path: TunnelPath = TunnelPath.WEBSOCKET
    path_reason: str = ""
    boundary: tuple[IPv4Network, ...] | None = None
    """None: not read yet. A hub that were told of an empty one would close what people use."""
    accepted: tuple[IPv4Network, ...] = ()
    refused: tuple[Refused, ...] = ()
    error: str = ""
    handshake_age: float | None = None
    warnings: tuple[str, ...] = field(default=())


class Vpn:
    """`run()` must be running. `on_targets` gets the approved targets, `on_change` hears of a changed report."""

    def __init__(
        self,
        config: AgentConfig,
        dataplane: DataPlane,
        public_key: str,
        worker_uid: int | None,
        on_targets: Callable[[frozenset[Target]], None],
        on_change: Callable[[], None],
        rng: random.Random,
    ) -> None:
        self.report = Report()
        self._config = config
        self._dataplane = dataplane
        self._boundary_file = BoundaryReader(config)
        self._public_key = public_key
        self._worker_uid = worker_uid
        self._on_targets = on_targets
        self._on_change = on_change
        self._rng = rng
        self._log = get_logger()
        self._cache = config.run_dir / CACHE_FILE
        self._message: DesiredState | None = None
        self._fresh_tunnel = True
        self._decision: Decision | None = None
        self._udp_address: IPv4Address | None = None
        self._look_up = True
        self._hub: frozenset[IPv4Address] = frozenset()
        self._connection: TunnelConnection | None = None
        self._renew = False
        self._doubt: tuple[float, int] | None = None
        self._dirty = asyncio.Event()
        self._path_changed = asyncio.Event()
        self._kernel = asyncio.Lock()
        self._paths = PathMachine(asyncio.get_running_loop().time(), rng)
        self._age = HandshakeAge()
        self._relay = Relay(config.wireguard_port, self._from_wireguard)
        self._prober: Prober

    # --- told by the worker -------------------------------------------------------------------------------------------

    def want(self, message: DesiredState) -> None:
        """The hub's newest wish. The first of a tunnel counts whatever its revision: a hub may have been restored."""
        if not self._fresh_tunnel and self._message and message.revision < self._message.revision:
            return
        self._fresh_tunnel = False
        if self._message and message.udp_endpoint != self._message.udp_endpoint:
            self._look_up = self._renew = True
        self._message = message
        self._store(message)
        self._dirty.set()

    def tunnel_up(self, connection: TunnelConnection) -> None:
        self._connection = connection
        self._fresh_tunnel = True
        self._doubt = (self._now() + DOUBT_FOR, _counters()[1])
        self._look_up = True  # and its name may lead elsewhere now
        self._paths.tunnel(True, self._now())
        self._dirty.set()
        self._path_changed.set()

    def tunnel_down(self) -> None:
        self._connection = None
        self._paths.tunnel(False, self._now())
        self._path_changed.set()

    def from_hub(self, segment_size: int, data: bytes) -> None:
        """WireGuard's datagrams that came through the tunnel."""
        self._relay.deliver(segment_size, data)

    def reload(self) -> None:
        """Read the boundary file now."""
        self._dirty.set()

    async def permit(self, addresses: frozenset[IPv4Address]) -> None:
        """The hub is about to be dialled at these addresses."""
        if addresses <= self._hub:
            return
        self._hub = addresses
        async with self._kernel:
            try:
                await self._dataplane.permit_hub(addresses)
            except KernelError as error:
                self._log.warning(Event.KERNEL_REFUSED, error=str(error))

    # --- the loops ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        self._prober = await open_prober(self._answered)
        self._message = self._message or self._stored()
        if self._message:
            await self._adopt_path(self._message)
            self._dirty.set()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_passing())
                group.create_task(self._keep_choosing())
        finally:
            self._prober.close()
            self._relay.close()

    async def stay_alive(self) -> None:
        """The sign of life without which the kernel stops forwarding. To be called every second."""
        if self._decision is None:
            return
        try:
            await self._dataplane.stay_alive()
        except KernelError:  # somebody took the table away
            self._dirty.set()

    async def remove(self) -> None:
        """Leave no trace in the kernel, and forget what was wanted."""
        self._decision = None
        self._cache.unlink(missing_ok=True)
        async with self._kernel:
            outcome = await self._dataplane.reconcile(None)
        if outcome.error:
            raise outcome.error

    async def _adopt_path(self, message: DesiredState) -> None:
        """A worker before this one may have taken WireGuard to UDP: that goes on, whether the hub answers us or not."""
        with contextlib.suppress(KernelError):
            address, _, port = (await self._dataplane.endpoint(message.hub_wireguard_key)).rpartition(":")
            if address and not ip_address(address).is_loopback and int(port) == port_of(message.udp_endpoint):
                self._paths.adopt_udp(self._now())
                self._publish(path=TunnelPath.UDP, path_reason="UDP was in use before")

    async def _keep_passing(self) -> None:
        wait = FULL_PASS
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._dirty.wait()
            asked = self._dirty.is_set()
            self._dirty.clear()
            if self._message is None:
                await self._look_at_boundary()
                continue
            wait = FULL_PASS if await self._pass(self._message, asked) else RETRY

    async def _pass(self, message: DesiredState, asked: bool) -> bool:
        """Read everything anew and lead the kernel there; whether that worked."""
        boundary, problem = await self._look_at_boundary()
        try:
            unresolved = await self._look_up_endpoint(message, boundary)
            decision = decide(message, await self._site(boundary))
            self._on_targets(decision.targets)
            async with self._kernel:
                outcome = await self._apply(decision)
                obstacles = await self._dataplane.foreign_obstacles()
        except (KernelError, InvalidInput) as error:
            self._failed(str(error))
            return False
        if outcome.error:
            self._failed(str(outcome.error))
            return False
        self._done(message, decision, outcome, asked)
        self._publish(
            revision=message.revision,
            accepted=tuple(mapping.network for mapping in decision.network.rules.subnets),
            refused=decision.refused,
            error=problem,
            warnings=(*decision.warnings, *obstacles, *unresolved),
        )
        return True

    async def _look_up_endpoint(self, message: DesiredState, boundary: Boundary) -> tuple[str, ...]:
        """Where the hub's UDP endpoint is; a name that does not resolve only means that there is no UDP now."""
        if self._look_up:
            try:
                found, routes = await address_of(message.udp_endpoint), await self._dataplane.routes()
                self._udp_address = check_endpoint(found, boundary, routes, self._hub)
            except InvalidInput as error:
                self._udp_address = None
                return (str(error),)
            self._look_up = False
        if self._udp_address:
            self._probe_anew(message, self._udp_address)
        return ()

    async def _site(self, boundary: Boundary) -> Site:
        return Site(
            boundary=boundary,
            pools=self._config.pools,
            routes=await self._dataplane.routes(),
            hub=self._hub | ({self._udp_address} if self._udp_address else frozenset()),
            wireguard_port=self._config.wireguard_port,
            public_key=self._public_key,
            worker_uid=self._worker_uid,
        )

    async def _apply(self, decision: Decision) -> Outcome:
        if self._renew:
            await self._dataplane.forget_sessions()
            self._renew = False
        return await self._dataplane.reconcile(replace(decision.network, endpoint=self._endpoint()))

    def _endpoint(self) -> str:
        if self._paths.path is TunnelPath.WEBSOCKET or self._udp_address is None or self._message is None:
            return self._relay.endpoint
        return f"{self._udp_address}:{port_of(self._message.udp_endpoint)}"

    def _done(self, message: DesiredState, decision: Decision, outcome: Outcome, asked: bool) -> None:
        self._decision = decision
        if outcome.done:
            event = Event.CHANGES_APPLIED if asked else Event.DRIFT_CORRECTED
            steps = [type(step).__name__ for step in outcome.done]
            self._log.info(event, revision=message.revision, steps=steps)
        known = set(self.report.refused)
        for refused in decision.refused:
            if refused not in known:
                self._log.warning(Event.BOUNDARY_REFUSED, network=str(refused.network), reason=refused.reason)

    def _failed(self, error: str) -> None:
        if error != self.report.error:
            self._log.error(Event.KERNEL_REFUSED, error=error)
        self._publish(error=error)

    async def _look_at_boundary(self) -> tuple[Boundary, str]:
        """The boundary in the file. One that cannot be read lets nothing through."""
        boundary, problem = await self._boundary_file.read()
        self._publish(boundary=boundary.networks, **({"error": problem} if problem else {}))
        return boundary, problem

    # --- the path -----------------------------------------------------------------------------------------------------

    async def _keep_choosing(self) -> None:
        next_look = 0.0
        while True:
            now = self._now()
            self._paths.traffic(*_counters(), now)
            self._settle_doubt(now)
            if now >= next_look and self._decision:
                await self._look_at_handshake()
                next_look = now + (FIRST_HANDSHAKE_EVERY if self.report.handshake_age is None else HANDSHAKE_EVERY)
            for command in self._paths.poll(self._now()) if self._prober.configured else ():
                self._carry_out(command)
            await self._until(min(self._paths.deadline, self._now() + COUNT_EVERY))

    def _settle_doubt(self, now: float) -> None:
        """The hub behind a new tunnel may be another process or node, which knows no session of ours. Packets from
        people say that it does; else a new session costs nobody anything."""
        if self._doubt is None or now < self._doubt[0]:
            return
        if _counters()[1] <= self._doubt[1]:
            self._renew = True
            self._dirty.set()
        self._doubt = None

    async def _until(self, deadline: float) -> None:
        # A machine without a probe key has nothing due; it must not turn the loop into a spin.
        wait = deadline - self._now() if self._prober.configured else COUNT_EVERY
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, wait)):
                await self._path_changed.wait()
        self._path_changed.clear()

    def _carry_out(self, command: SendProbe | UsePath) -> None:
        if isinstance(command, SendProbe):
            self._prober.send(command.number)
            return
        self._log.info(Event.PATH_CHANGED, path=str(command.path), reason=command.reason)
        self._publish(path=command.path, path_reason=command.reason)
        self._dirty.set()

    def _answered(self, number: int) -> None:
        self._paths.answered(number, self._now())
        self._path_changed.set()

    def _probe_anew(self, message: DesiredState, address: IPv4Address) -> None:
        key = ProbeKey(message.transit_address, Secret(message.probe_key))
        if self._prober.configure((str(address), port_of(message.udp_endpoint)), key):
            self._paths.restart(self._now())
            self._path_changed.set()

    async def _look_at_handshake(self) -> None:
        if self._decision is None:
            return
        with contextlib.suppress(KernelError):
            latest = await self._dataplane.latest_handshake(self._decision.network.peer)
            age = self._age.observe(latest, time.time(), self._now())
            self._paths.handshake(age, self._now())
            self.report.handshake_age = age

    def _from_wireguard(self, segment_size: int, data: bytes) -> None:
        if self._connection is not None:
            self._connection.send_datagrams(segment_size, data)

    # --- what is kept over a crash ------------------------------------------------------------------------------------

    def _store(self, message: DesiredState) -> None:
        """So that a worker that is started again goes on before it has a tunnel. In memory only: gone after a boot."""
        fresh = self._cache.with_suffix(".new")
        try:
            with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(msgpack.packb(to_map(message)))
            fresh.replace(self._cache)
        except OSError as error:
            self._log.warning(Event.FAILED, error=f"cannot write {self._cache}: {error.strerror}")

    def _stored(self) -> DesiredState | None:
        try:
            message = parse(msgpack.unpackb(self._cache.read_bytes()))
        except (OSError, ValueError, ProtocolError, msgpack.UnpackException):
            return None
        return message if isinstance(message, DesiredState) else None

    # --- small things -------------------------------------------------------------------------------------------------

    def _publish(self, **changes: object) -> None:
        changed = {name: value for name, value in changes.items() if getattr(self.report, name) != value}
        for name, value in changed.items():
            setattr(self.report, name, value)
        if changed:
            self._on_change()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


async def address_of(endpoint: str) -> IPv4Address:
    """The first IPv4 address of `host:port`. Raises InvalidInput."""
    host = endpoint.rpartition(":")[0]
    try:
        return IPv4Address(host)
    except ValueError:
        pass
    try:
        found = ipv4(await resolve(host, port_of(endpoint)))
    except OSError:
        found = frozenset()
    if not found:
        raise InvalidInput(f"the hub's UDP endpoint {host!r} does not resolve", hint="check the gateway's DNS")
    return min(found)


def port_of(endpoint: str) -> int:
    return int(endpoint.rpartition(":")[2])


def _counters() -> tuple[int, int]:
    """Packets sent into and received from the tunnel; none while there is no interface."""
    try:
        return int((_STATISTICS / "tx_packets").read_text()), int((_STATISTICS / "rx_packets").read_text())
    except (OSError, ValueError):
        return 0, 0
