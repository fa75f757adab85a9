"""The agent's way to the hub: dial, prove both ends, run the tunnel, and dial again when it ends."""

import asyncio
import dataclasses
import os
import random
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException

from plantgate_shared.errors import PlantgateError
from plantgate_shared.identity.handshake import AgentHandshake, HandshakeError, Reason
from plantgate_shared.identity.keys import IdentityKey, certificate_sha256
from plantgate_shared.logging import Event, get_logger
from plantgate_shared.protocol import GoAwayReason, Role
from plantgate_shared.tunnel import (
    ConnectionClosed,
    EndCause,
    StreamHandler,
    TunnelConnection,
    TunnelEnd,
)

from . import __version__, backoff
from .channel import CONNECT_OPTIONS, WebsocketsChannel
from .reach import HubUnreachable, unreachable
from .state import Enrolment

PATH = "/tunnel/v1"
CONNECT_TIMEOUT = 10.0
"""Seconds for TCP, TLS and the websocket's opening, per address of the hub."""
HANDSHAKE_TIMEOUT = 10.0
"""Seconds for the identity handshake."""
PING_INTERVAL = 25.0
"""Seconds of silence after which the hub is asked whether it is there; few NAT boxes forget TCP before 30 s.
Idle cost: about 300 bytes each, 1 MB a day."""
PING_TIMEOUT = 8.0
STABLE_AFTER = 30.0
"""Seconds a tunnel must last before its end counts as the first failure again."""

_FOR_LONG = frozenset({Reason.UNKNOWN_AGENT, Reason.INACTIVE, Reason.HUB_KEY, Reason.HUB_NAME, Reason.CERTIFICATE})
"""Refusals that only a person can lift."""
_GOAWAY_FOR_LONG = frozenset({GoAwayReason.REPLACED, GoAwayReason.REVOKED})

Permit = Callable[[frozenset[IPv4Address]], Awaitable[None]]
"""Called with the hub's addresses before they are dialled."""


@dataclass(frozen=True, slots=True)
class Handlers:
    """What the worker does with a tunnel. Only `on_stream` may wait."""

    on_up: Callable[[TunnelConnection], None]
    on_down: Callable[[], None]
    on_stream: StreamHandler
    on_control: Callable[[Mapping[str, Any]], None]
    on_datagrams: Callable[[int, bytes], None]
    on_epoch: Callable[[int], None]
    """The hub proved that the plant's epoch is a later one."""
    on_problem: Callable[[], None] = lambda: None
    """There is no tunnel, for a reason that `HubTunnel.problem` has anew."""


async def resolve(host: str, port: int) -> tuple[str, ...]:
    """The addresses of a name, in the system's order. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def ipv4(addresses: tuple[str, ...]) -> frozenset[IPv4Address]:
    return frozenset(IPv4Address(address) for address in addresses if ":" not in address)


async def attach(
    enrolment: Enrolment, identity: IdentityKey, context: ssl.SSLContext, permit: Permit
) -> WebsocketsChannel:
    """A channel whose both ends are proved. Raises HubUnreachable or HandshakeError."""
    websocket = await _dial(enrolment, context, permit)
    try:
        async with asyncio.timeout(HANDSHAKE_TIMEOUT):
            return await _prove(websocket, enrolment, identity)
    except (ConnectionClosed, TimeoutError) as error:
        websocket.transport.abort()
        raise HubUnreachable(
            f"the hub {enrolment.hub} ended the connection before it proved its identity: {error or 'no answer'}",
            hint="check that this is a Plantgate hub of a supported release",
        ) from None
    except BaseException:
        websocket.transport.abort()
        raise


async def _dial(enrolment: Enrolment, context: ssl.SSLContext, permit: Permit) -> ClientConnection:
    hub = enrolment.hub
    failure: BaseException = OSError("it has no address")
    try:
        addresses = await resolve(hub.host, hub.port)
    except OSError as error:
        raise unreachable(hub, error) from None
    await permit(ipv4(addresses))
    for address in addresses:
        try:
            return await connect(
                f"wss://{hub.authority}{PATH}",
                ssl=context,
                server_hostname=hub.host,
                host=address,
                port=hub.port,
                proxy=None,
                open_timeout=CONNECT_TIMEOUT,
                user_agent_header=f"plantgate-agent/{__version__}",
                **CONNECT_OPTIONS,
            )
        except (OSError, WebSocketException, ValueError, EOFError) as error:
            failure = error
    if isinstance(failure, InvalidStatus):
        raise HubUnreachable(
            f"{hub} answers with HTTP status {failure.response.status_code} instead of a tunnel",
            hint="check the address; behind it there must be a Plantgate hub of a supported release",
        ) from None
    if isinstance(failure, InvalidHandshake):
        raise HubUnreachable(f"{hub} does not open a websocket: {failure}", hint="check the hub's address") from None
    raise unreachable(hub, failure) from None


async def _prove(websocket: ClientConnection, enrolment: Enrolment, identity: IdentityKey) -> WebsocketsChannel:
    channel = WebsocketsChannel(websocket)
    seen = websocket.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
    handshake = AgentHandshake(
        identity, enrolment.agent_id, enrolment.epoch, enrolment.pinned, certificate_sha256(seen), os.urandom(32)
    )
    while True:
        for message in handshake.messages_to_send():
            await channel.send(message)
        if handshake.established:
            return channel
        handshake.receive_message(await channel.receive())


class HubTunnel:
    """Keeps a tunnel to the hub as long as it runs."""

    def __init__(
        self,
        enrolment: Enrolment,
        identity: IdentityKey,
        context: ssl.SSLContext,
        handlers: Handlers,
        permit: Permit,
        rng: random.Random,
    ) -> None:
        self._enrolment = enrolment
        self._identity = identity
        self._context = context
        self._handlers = handlers
        self._permit = permit
        self._rng = rng
        self._log = get_logger()
        self.connection: TunnelConnection | None = None
        self.problem = ""
        """Why there is no tunnel, for a person; empty while there is one."""

    async def run(self) -> None:
        """Until cancelled, which says good-bye to the hub."""
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            longest = await self._once()
            failures = 1 if loop.time() - started > STABLE_AFTER else failures + 1
            await asyncio.sleep(backoff.delay(failures, self._rng, longest))

    async def _once(self) -> float:
        """One tunnel from dialling to its end; returns the bound of the wait that follows."""
        try:
            channel = await attach(self._enrolment, self._identity, self._context, self._permit)
        except HandshakeError as error:
            return self._refused(error)
        except PlantgateError as error:
            self._problem(str(error))
            return backoff.LONGEST
        end = await self._serve(channel)
        self._problem(str(end))
        lasting = end.cause is EndCause.PEER and end.reason in _GOAWAY_FOR_LONG
        return backoff.LONGEST_REFUSED if lasting else backoff.LONGEST

    async def _serve(self, channel: WebsocketsChannel) -> TunnelEnd:
        handlers = self._handlers
        connection = TunnelConnection(
            channel,
            Role.CLIENT,
            ping_interval=PING_INTERVAL,
            ping_timeout=PING_TIMEOUT,
            on_stream=handlers.on_stream,
            on_control=handlers.on_control,
            on_datagrams=handlers.on_datagrams,
        )
        self.connection, self.problem = connection, ""
        self._log.info(Event.TUNNEL_UP, hub=str(self._enrolment.hub))
        handlers.on_up(connection)
        try:
            return await connection.run()
        finally:
            self.connection = None
            handlers.on_down()

    def _refused(self, error: HandshakeError) -> float:
        self._log.warning(Event.TUNNEL_REFUSED, reason=str(error.reason), proved=error.proved, error=str(error))
        self._tell(str(error))
        if error.proved and error.epoch > self._enrolment.epoch:
            self._enrolment = dataclasses.replace(self._enrolment, epoch=error.epoch)
            self._handlers.on_epoch(error.epoch)
        if error.reason is Reason.EPOCH:
            return backoff.FIRST  # with the epoch it was just told it may attach
        return backoff.LONGEST_REFUSED if error.reason in _FOR_LONG else backoff.LONGEST

    def _problem(self, text: str) -> None:
        if text != self.problem:  # once, not at every attempt of a long outage
            self._log.warning(Event.TUNNEL_DOWN, hub=str(self._enrolment.hub), error=text)
        self._tell(text)

    def _tell(self, problem: str) -> None:
        changed, self.problem = problem != self.problem, problem
        if changed:
            self._handlers.on_problem()
