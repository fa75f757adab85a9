"""/tunnel/v1: where agents attach. Proves who they are, keeps them told what to be, and carries their datagrams."""

import asyncio
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Any

from aiohttp import web

from plantgate_shared.errors import ProtocolError
from plantgate_shared.gso import Address
from plantgate_shared.identity.handshake import NONCE_LENGTH, HandshakeError, HubHandshake
from plantgate_shared.identity.keys import IdentityKey
from plantgate_shared.logging import Event, get_logger
from plantgate_shared.protocol import SUBPROTOCOL, GoAwayReason, Role
from plantgate_shared.protocol.control import (
    AgentStatus,
    DesiredState,
    DeviceLookedFor,
    UnknownControl,
    parse,
    to_map,
)
from plantgate_shared.secret import Secret
from plantgate_shared.tunnel import (
    ConnectionClosed,
    MessageChannel,
    TunnelClosed,
    TunnelConnection,
    TunnelEnd,
    TunnelStream,
)

from ..domain.model import Agent, AgentId
from ..domain.snapshot import Snapshot, Table
from ..identity.throttle import Key, Limit, Throttle
from .channel import AiohttpChannel, prepare_websocket
from .desired import HubFacts, desired_state, inputs_changed, same_content
from .questions import Questions
from .registry import AgentRegistry, AgentState
from .relay import Relay
from .unproved import NoPlace, Unproved

PATH = "/tunnel/v1"
HANDSHAKE_SECONDS = 10.0
"""For two round trips; a satellite link with retransmissions needs three of them."""
HANDSHAKE_GRACE = 2.0
"""Seconds after which an unfinished handshake gives way when places are scarce."""
MAX_UNPROVED = 1000
"""Connections in the handshake at once, some 100 KB each. More would not attach faster: they wait for the processor."""
PING_INTERVAL = 20.0
"""Seconds of silence until the hub asks whether the agent is there: 0.7 MB a day on an idle line."""
PING_TIMEOUT = 6.0
REPORT_INTERVAL = 1.0
"""Seconds between reports of one agent that others hear of: each may cost a write in the store."""
MAX_BOUNDARY = 256
"""Networks in an agent's boundary; a plant has a handful."""
PUSHES_A_TURN = 100
"""Agents whose desired state is computed before other tasks get their turn."""
REFUSALS_LOGGED = Key(Limit(burst=50, interval=0.2), "refusals")
"""A flood of refusals must not become a flood of log lines."""


@dataclass(frozen=True, slots=True)
class HubIdentity:
    """Who the hub is to its agents."""

    key: IdentityKey
    name: str
    certificates: Callable[[], Collection[bytes]]
    """SHA-256 of the TLS certificates an agent may see (`tls.Tls.certificates`)."""


class AttachedAgent:
    """One agent's live connection."""

    def __init__(
        self, channel: MessageChannel, state: AgentState, wireguard: Address, registry: AgentRegistry, identity: bytes
    ) -> None:
        self.state = state
        self.identity = identity
        """The public key that it proved."""
        self.probe_key = Secret(os.urandom(32))
        self.sent: DesiredState | None = None
        self._registry = registry
        self._told = -REPORT_INTERVAL
        self._telling: asyncio.TimerHandle | None = None
        self._log = get_logger(agent=state.agent)
        self._connection = TunnelConnection(
            channel,
            Role.SERVER,
            ping_interval=PING_INTERVAL,
            ping_timeout=PING_TIMEOUT,
            on_control=self._control_received,
            on_datagrams=self._datagrams_received,
        )
        self.relay = Relay(wireguard, self._connection.send_datagrams)
        self._questions = Questions(lambda question: self._connection.send_control(to_map(question)))

    async def run(self) -> TunnelEnd:
        try:
            return await self._connection.run()
        finally:
            self.relay.close()
            self._questions.close()
            if self._telling is not None:
                self._telling.cancel()

    def end(self, reason: GoAwayReason, detail: str = "") -> None:
        """Say goodbye; from now on nothing of this agent passes."""
        self.relay.close()
        self._connection.close(reason, detail)

    async def open_stream(self, target: Mapping[str, object], timeout: float) -> TunnelStream:
        return await self._connection.open_stream(target, timeout)

    async def look_for_device(self, address: IPv4Address, timeout: float) -> DeviceLookedFor:
        return await self._questions.ask(address, timeout)

    def push(self, desired: DesiredState) -> None:
        """Tell the agent what to be, unless it has been told the same. A tunnel that is over is no error here."""
        if self.sent is not None and same_content(self.sent, desired):
            return
        try:
            self._connection.send_control(to_map(desired))
        except TunnelClosed:
            return
        except ProtocolError as error:  # too long: this plant's own trouble, the others go on
            self._log.error(Event.PUSH_FAILED, error=str(error))
            return
        self.sent = desired

    def _control_received(self, message: Mapping[str, Any]) -> None:
        if self._connection.closed:
            return
        try:
            status = parse(message)
            if isinstance(status, DeviceLookedFor):
                self._questions.answered(status)
                return
            if not isinstance(status, AgentStatus):
                raise ProtocolError("an agent does not say what the hub is to be")
            if len(status.boundary) > MAX_BOUNDARY:
                raise ProtocolError(f"a boundary of {len(status.boundary)} networks is longer than {MAX_BOUNDARY}")
        except UnknownControl as error:
            self._log.debug(Event.CONTROL_SKIPPED, error=str(error))
            return
        except ProtocolError as error:
            self._log.warning(Event.TUNNEL_REFUSED, error=str(error))
            self.end(GoAwayReason.PROTOCOL_ERROR, error.message)
            return
        if self.state.path != status.path:
            self._log.info(Event.PATH_CHANGED, path=str(status.path))
        if self.state.status != status:
            self.state = replace(self.state, status=status)
            self._tell_soon()

    def _tell_soon(self) -> None:
        """Tell the registry's listeners at once, or as soon as their last report is old enough."""
        loop = asyncio.get_running_loop()
        if self._telling is None:
            self._telling = loop.call_at(max(loop.time(), self._told + REPORT_INTERVAL), self._tell)

    def _tell(self) -> None:
        self._telling = None
        self._told = asyncio.get_running_loop().time()
        self._registry.status_changed(self)

    def _datagrams_received(self, segment_size: int, data: bytes) -> None:
        try:
            self.relay.from_agent(segment_size, data)
        except OSError as error:  # no socket to be had: the same as a lossy network
            self._log.warning(Event.RELAY_FAILED, error=str(error))


class TunnelEndpoint:
    """The agents' tunnel endpoint of this node.

    `snapshot` gives the newest snapshot; call `snapshot_changed` whenever it has changed. `wireguard` is where
    pg-agents listens, seen from this host. `run` must be running for changes to reach agents; `close` says goodbye.
    """

    def __init__(
        self,
        identity: HubIdentity,
        facts: HubFacts,
        snapshot: Callable[[], Snapshot],
        registry: AgentRegistry,
        wireguard: Address,
        clock: Callable[[], float],
        *,
        max_unproved: int = MAX_UNPROVED,
        handshake_seconds: float = HANDSHAKE_SECONDS,
        handshake_grace: float = HANDSHAKE_GRACE,
    ) -> None:
        self._identity = identity
        self._facts = facts
        self._snapshot = snapshot
        self._registry = registry
        self._wireguard = wireguard
        self._clock = clock
        self.unproved = Unproved(max_unproved, handshake_seconds, handshake_grace)
        self._attached: set[AttachedAgent] = set()
        self._checked: Table[Agent] | None = None
        """The agents as of which all that are attached may be."""
        self._throttle = Throttle()
        self._closing = False
        self._changed = asyncio.Event()
        self._log = get_logger()

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PATH, self.handle)]

    # --- attaching ---

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self._closing:
            return _try_later("This node is stopping.")
        websocket = prepare_websocket()
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        if SUBPROTOCOL not in [name.strip() for name in offered.split(",")] or not websocket.can_prepare(request):
            return web.Response(
                status=426,
                text=f"Plantgate's agents attach here, by a websocket with the subprotocol {SUBPROTOCOL}.\n",
                headers={"Upgrade": "websocket"},
            )
        address = request.remote or ""
        try:
            async with self.unproved.place(address):
                await websocket.prepare(request)
                channel = AiohttpChannel(websocket)
                handshake = await self._prove(channel, address)
                if handshake is None:
                    await channel.close()
                    return websocket
        except NoPlace:
            return _try_later("Too many agents are attaching at this moment.")
        except TimeoutError:
            self._refused(address, "too slow")
            if request.transport is not None:  # no farewell: its place may be taken already
                request.transport.abort()
            return websocket
        except ConnectionClosed:
            self._refused(address, "closed by the other side")
            return websocket
        await self._serve(channel, handshake)
        return websocket

    async def _prove(self, channel: MessageChannel, address: str) -> HubHandshake | None:
        """The finished handshake, or None after a refusal was sent. Raises ConnectionClosed."""
        identity = self._identity
        handshake = HubHandshake(
            identity.key, identity.name, identity.certificates(), self._find_agent, os.urandom(NONCE_LENGTH)
        )
        refusal: HandshakeError | None = None
        while refusal is None and not handshake.established:
            try:
                handshake.receive_message(await channel.receive())
            except HandshakeError as error:
                refusal = error
                self._refused(address, str(error.reason), error.message, handshake.agent_id)
            for message in handshake.messages_to_send():
                await channel.send(message)
        return None if refusal else handshake

    def _find_agent(self, agent_id: str) -> Agent | None:
        agent = self._snapshot().agents.get(agent_id)
        attached = self._registry.get(AgentId(agent_id))
        if agent is not None and attached is not None and attached.epoch > agent.epoch:
            return replace(agent, epoch=attached.epoch)  # an older attach never replaces a newer one
        return agent

    async def _serve(self, channel: MessageChannel, handshake: HubHandshake) -> None:
        agent = self._find_agent(handshake.agent_id)
        # All this was checked in the handshake, but the world may have changed while the welcome was sent.
        if agent is None or not agent.active or agent.epoch > handshake.epoch or self._closing:
            await channel.close()
            return
        state = AgentState(agent.id, agent.plant, agent.transit_address, handshake.epoch, self._clock())
        attached = AttachedAgent(channel, state, self._wireguard, self._registry, agent.identity_key)
        log = self._log.bind(agent=agent.id, plant=agent.plant)
        self._attached.add(attached)
        self._registry.attach(attached)
        log.info(Event.TUNNEL_UP, epoch=handshake.epoch)
        try:
            self._push(attached)
            end = await attached.run()
            log.info(Event.TUNNEL_DOWN, cause=str(end))
        finally:
            self._attached.discard(attached)
            self._registry.detach(attached)

    def _refused(self, address: str, reason: str, detail: str = "", agent: str = "") -> None:
        if not self._throttle.take((REFUSALS_LOGGED,), asyncio.get_running_loop().time()):
            self._log.warning(Event.TUNNEL_REFUSED, remote=address, reason=reason, detail=detail, agent=agent)

    # --- following the store ---

    def snapshot_changed(self) -> None:
        """End the attachments that the newest snapshot does not allow, at once; desired states follow in `run`."""
        snapshot = self._snapshot()
        if snapshot.agents is not self._checked:  # most changes leave the agents as they are
            self._checked = snapshot.agents
            for attached in tuple(self._attached):
                if not self._may_stay(attached, snapshot):
                    attached.end(GoAwayReason.REVOKED, "this agent is not the active one of its plant any more")
                    self._registry.detach(attached)
        self._changed.set()

    def _may_stay(self, attached: AttachedAgent, snapshot: Snapshot) -> bool:
        agent = snapshot.agents.get(attached.state.agent)
        return (
            agent is not None
            and agent.active
            and agent.epoch <= attached.state.epoch
            and agent.plant == attached.state.plant
            and agent.transit_address == attached.state.transit_address
            and agent.identity_key == attached.identity
        )

    async def run(self) -> None:
        """Push desired states when they change, until cancelled."""
        done: Snapshot | None = None
        while True:
            await self._changed.wait()
            self._changed.clear()
            snapshot = self._snapshot()
            if done is not None and not inputs_changed(done, snapshot):
                continue
            for number, attached in enumerate(tuple(self._attached), start=1):
                self._push(attached)
                if number % PUSHES_A_TURN == 0:
                    await asyncio.sleep(0)
            done = snapshot

    def _push(self, attached: AttachedAgent) -> None:
        snapshot = self._snapshot()  # the newest: never tell an agent something older than it was told
        agent = snapshot.agents.get(attached.state.agent)
        if agent is not None:
            attached.push(desired_state(snapshot, agent, self._facts, attached.probe_key.reveal()))

    # --- stopping ---

    def close(self) -> None:
        """Take no more agents and say goodbye to those that are there; their handlers end by themselves."""
        self._closing = True
        for attached in tuple(self._attached):
            attached.end(GoAwayReason.SHUTDOWN, "the hub is stopping")


def _try_later(why: str) -> web.Response:
    return web.Response(status=503, text=f"{why}\n", headers={"Retry-After": "1"})
