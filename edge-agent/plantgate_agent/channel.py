"""The agent's channel: a websockets client connection as a MessageChannel."""

import asyncio
import socket
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed as WebsocketClosed

from plantgate_shared.protocol import MAX_MESSAGE, SUBPROTOCOL
from plantgate_shared.tunnel import CLOSE_TIMEOUT, UNSENT_BYTES, ConnectionClosed

CONNECT_OPTIONS: dict[str, Any] = {
    "subprotocols": [SUBPROTOCOL],
    "compression": None,  # the payload is ciphertext or compressed already
    "max_size": MAX_MESSAGE,
    "ping_interval": None,  # the tunnel has its own
    "close_timeout": CLOSE_TIMEOUT,
}
"""Arguments for `websockets.connect`."""


class WebsocketsChannel:
    """A connected websocket."""

    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket
        connection = websocket.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)

    async def send(self, message: bytes) -> None:
        try:
            await self._websocket.send(message)
        except WebsocketClosed as error:
            raise ConnectionClosed(f"the websocket was closed: {error}") from None

    async def receive(self) -> bytes:
        try:
            message = await self._websocket.recv()
        except WebsocketClosed as error:
            raise ConnectionClosed(f"the websocket was closed: {error}") from None
        return message if isinstance(message, bytes) else b""  # text is no frame: the tunnel ends with an error

    async def close(self) -> None:
        async with asyncio.timeout(2 * CLOSE_TIMEOUT):
            await self._websocket.close()
