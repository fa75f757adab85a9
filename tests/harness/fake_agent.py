"""An agent without data plane: real TLS, websocket, handshake and tunnel, made of the shared parts."""

import asyncio
import os
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import websockets

from plantgate_agent.channel import CONNECT_OPTIONS, WebsocketsChannel
from plantgate_hub.tunnel.endpoint import PATH
from plantgate_shared.identity.handshake import AgentHandshake, PinnedHub
from plantgate_shared.identity.keys import IdentityKey, certificate_sha256
from plantgate_shared.protocol import ResetReason, Role
from plantgate_shared.protocol.control import (
    AgentStatus,
    DesiredState,
    DeviceLookedFor,
    LookForDevice,
    TunnelPath,
    parse,
    to_map,
)
from plantgate_shared.tunnel import Target, TunnelConnection, TunnelEnd, TunnelStream
from tests.harness.hub_node import HubNode, Plot

STATUS = AgentStatus(revision_applied=1, path=TunnelPath.UDP, boundary=(), refused=())


def insecure() -> ssl.SSLContext:
    """As the agent has it: any certificate, whatever its dates; the handshake inside proves the hub."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def dial(port: int, **options: Any) -> tuple[WebsocketsChannel, bytes]:
    """A websocket to the hub's tunnel endpoint, and the SHA-256 of the certificate it showed."""
    websocket = await websockets.connect(
        f"wss://127.0.0.1:{port}{PATH}", ssl=insecure(), open_timeout=60, **(CONNECT_OPTIONS | options)
    )
    der = websocket.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return WebsocketsChannel(websocket), certificate_sha256(der)


async def prove(channel: WebsocketsChannel, handshake: AgentHandshake) -> None:
    """Raises HandshakeError, ConnectionClosed."""
    while True:
        for message in handshake.messages_to_send():
            await channel.send(message)
        if handshake.established:
            return
        handshake.receive_message(await channel.receive())


async def echo(stream: TunnelStream, target: Target) -> None:
    """A device that says back what it hears; port 81 refuses, port 82 never answers, port 83 is not allowed."""
    match target["port"]:
        case 81:
            stream.reset(ResetReason.REFUSED)
        case 82:
            await asyncio.Event().wait()
        case 83:
            stream.reset(ResetReason.NOT_ALLOWED)
        case _:
            stream.accept()
            while data := await stream.read():
                await stream.write(data)
            await stream.write_eof()


@dataclass
class FakeAgent:
    """One attached agent; made by `attach`."""

    connection: TunnelConnection
    running: asyncio.Task[TunnelEnd]
    desired: list[DesiredState] = field(default_factory=list)
    datagrams: list[tuple[int, bytes]] = field(default_factory=list)
    questions: list[LookForDevice] = field(default_factory=list)

    def answer(self, answer: DeviceLookedFor) -> None:
        self.connection.send_control(to_map(answer))

    def report(self, status: AgentStatus = STATUS) -> None:
        self.connection.send_control(to_map(status))

    async def ended(self) -> TunnelEnd:
        async with asyncio.timeout(20):
            return await self.running

    async def leave(self) -> None:
        self.connection.close()
        with suppress(Exception):
            await self.running


async def attach(
    node: HubNode,
    plot: Plot,
    *,
    identity: IdentityKey | None = None,
    hub: PinnedHub | None = None,
    epoch: int = 1,
    port: int = 0,
) -> FakeAgent:
    """Raises HandshakeError."""
    channel, certificate = await dial(port or node.port)
    handshake = AgentHandshake(
        identity or plot.identity, plot.agent.id, epoch, hub or node.pinned, certificate, os.urandom(32)
    )
    try:
        await prove(channel, handshake)
    except BaseException:
        await channel.close()
        raise
    desired: list[DesiredState] = []
    datagrams: list[tuple[int, bytes]] = []
    questions: list[LookForDevice] = []

    def control(message: Mapping[str, Any]) -> None:
        heard = parse(message)
        if isinstance(heard, LookForDevice):
            questions.append(heard)
            return
        assert isinstance(heard, DesiredState)
        desired.append(heard)

    connection = TunnelConnection(
        channel,
        Role.CLIENT,
        ping_interval=60,
        ping_timeout=60,
        on_stream=echo,
        on_control=control,
        on_datagrams=lambda segment, data: datagrams.append((segment, bytes(data))),
    )
    return FakeAgent(connection, asyncio.create_task(connection.run()), desired, datagrams, questions)
