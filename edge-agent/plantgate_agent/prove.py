"""The end of an enrolment: connect once as the running agent will, and see which path works."""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from plantgate_shared.errors import InvalidInput, ProtocolError
from plantgate_shared.identity.handshake import HandshakeError, Reason
from plantgate_shared.identity.keys import IdentityKey
from plantgate_shared.protocol import Role
from plantgate_shared.protocol.control import DesiredState, parse
from plantgate_shared.protocol.probe import ProbeKey
from plantgate_shared.secret import Secret
from plantgate_shared.tunnel import TunnelConnection

from .boundary import read as read_boundary
from .channel import WebsocketsChannel
from .config import AgentConfig
from .dataplane import kernel_routes
from .desired import check_endpoint
from .paths import PROBE_TIMEOUT, START_PROBES
from .probe import open_prober
from .state import Enrolment
from .tls import client_context
from .tunnel import PING_INTERVAL, PING_TIMEOUT, attach
from .vpn import address_of, port_of

KNOWN_WITHIN = 10.0
"""Seconds within which every node of the hub knows a new agent; a poll of the store takes a quarter of one."""
RETRY_EVERY = 0.3
FIRST_STATE_WITHIN = 10.0
"""Seconds the hub has to say what it wants of this agent."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was seen. `udp` is None where the hub said nothing to try it with."""

    state: DesiredState | None
    udp: bool | None

    def sentences(self) -> list[str]:
        lines = ["the hub is reached over TLS, and both sides proved their identity"]
        if self.udp:
            lines.append("UDP gets through: the VPN will use it")
        elif self.udp is False:
            lines.append("UDP does not get through: the VPN will run inside the TLS connection, which is slower")
        if self.state is None:
            lines.append("the hub has not yet said which networks it wants; the running agent will hear it")
        else:
            networks = ", ".join(str(subnet.network) for subnet in self.state.subnets)
            lines.append(f"the hub wants to reach: {networks or 'nothing yet; add the plant networks in the portal'}")
        return lines


async def prove(config: AgentConfig, enrolment: Enrolment, identity: IdentityKey) -> Proof:
    """Raises HubUnreachable or HandshakeError."""
    heard: asyncio.Future[DesiredState] = asyncio.get_running_loop().create_future()

    def on_control(message: Mapping[str, Any]) -> None:
        with contextlib.suppress(ProtocolError):
            parsed = parse(message)
            if isinstance(parsed, DesiredState) and not heard.done():
                heard.set_result(parsed)

    hub: set[IPv4Address] = set()
    channel = await _attach(enrolment, identity, client_context(config.ca_file), hub)
    connection = TunnelConnection(
        channel, Role.CLIENT, ping_interval=PING_INTERVAL, ping_timeout=PING_TIMEOUT, on_control=on_control
    )
    running = asyncio.create_task(connection.run())
    try:
        waited: set[asyncio.Future[Any]] = {running, heard}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED, timeout=FIRST_STATE_WITHIN)
        state = heard.result() if heard.done() else None
        return Proof(state, await udp_works(config, state, frozenset(hub)) if state else None)
    finally:
        connection.close()
        await asyncio.gather(running, return_exceptions=True)


async def _attach(
    enrolment: Enrolment, identity: IdentityKey, context: ssl.SSLContext, hub: set[IPv4Address]
) -> WebsocketsChannel:
    """Patient with a hub whose other nodes and snapshots have yet to hear of this agent. `hub` gets its addresses."""

    async def permit(addresses: frozenset[IPv4Address]) -> None:
        hub.update(addresses)  # no rules hold this process

    deadline = asyncio.get_running_loop().time() + KNOWN_WITHIN
    while True:
        try:
            return await attach(enrolment, identity, context, permit)
        except HandshakeError as error:
            if error.reason is not Reason.UNKNOWN_AGENT or asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(RETRY_EVERY)


async def udp_works(config: AgentConfig, state: DesiredState, hub: frozenset[IPv4Address]) -> bool:
    """Whether one of a few probes is answered. Nothing is sent to an endpoint that the running agent would refuse."""
    boundary = read_boundary(config.boundary_file, config.pools)
    answered = asyncio.Event()
    prober = await open_prober(lambda _: answered.set())
    try:
        found = await address_of(state.udp_endpoint)
        address = check_endpoint(found, boundary, await kernel_routes(), hub)
        key = ProbeKey(state.transit_address, Secret(state.probe_key))
        prober.configure((str(address), port_of(state.udp_endpoint)), key)
        for number in range(START_PROBES):
            prober.send(number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PROBE_TIMEOUT):
                    await answered.wait()
                    return True
        return False
    except InvalidInput:
        return False
    finally:
        prober.close()
