"""The hub's channel: an aiohttp server websocket as a MessageChannel."""

import asyncio
import socket

from aiohttp import ClientError, WSMsgType, web

from plantgate_shared.protocol import MAX_MESSAGE, SUBPROTOCOL
from plantgate_shared.tunnel import CLOSE_TIMEOUT, UNSENT_BYTES, ConnectionClosed


def prepare_websocket() -> web.WebSocketResponse:
    """A websocket response for the tunnel: our subprotocol, our size limit, no compression (the payload is ciphertext
    or compressed already), no pings of its own (the tunnel has its own)."""
    return web.WebSocketResponse(
        protocols=(SUBPROTOCOL,), max_msg_size=MAX_MESSAGE, compress=False, autoping=True, timeout=CLOSE_TIMEOUT
    )


class AiohttpChannel:
    """A prepared websocket."""

    def __init__(self, websocket: web.WebSocketResponse) -> None:
        self._websocket = websocket
        connection = websocket.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)

    async def send(self, message: bytes) -> None:
        try:
            await self._websocket.send_bytes(message)
        except (ClientError, ConnectionError, RuntimeError) as error:
            raise ConnectionClosed(f"the websocket cannot send: {error}") from None

    async def receive(self) -> bytes:
        message = await self._websocket.receive()
        if message.type is WSMsgType.BINARY:
            data: bytes = message.data
            return data
        if message.type is WSMsgType.TEXT:
            return b""  # no frame: the tunnel ends with an error that says so
        if message.type is WSMsgType.ERROR:
            raise ConnectionClosed(f"the websocket failed: {message.data}")
        raise ConnectionClosed(f"the websocket was closed (code {self._websocket.close_code})")

    async def close(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._websocket.close()
        except (TimeoutError, ClientError, ConnectionError, RuntimeError):
            pass
