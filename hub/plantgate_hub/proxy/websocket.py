"""Upgraded connections: after both handshakes raw bytes go both ways, so that no message is ever held as a whole."""

import asyncio
from collections import deque
from typing import Any

from aiohttp import web

from .device import Connection
from .problems import ProxyProblem

MAX_WAITING = 256 * 1024
"""Bytes from the browser that may wait for the device; beyond it the browser's connection is not read."""


class BrowserBytes:
    """What the browser sends after the upgrade; takes the place of aiohttp's websocket parser on its connection."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._paused = False
        self._arrived = asyncio.Event()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._waiting.append(bytes(data))
        self._size += len(data)
        self._arrived.set()
        if self._size > MAX_WAITING and not self._paused:
            self._paused = True
            self._protocol.pause_reading()
        return False, b""

    def feed_eof(self) -> None:
        self._ended = True
        self._arrived.set()

    async def read(self) -> bytes:
        """All that has come; empty at the end."""
        while not self._waiting and not self._ended:
            self._arrived.clear()
            await self._arrived.wait()
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        if self._paused:
            self._paused = False
            self._protocol.resume_reading()
        return data


async def relay(request: web.Request, response: web.StreamResponse, connection: Connection) -> None:
    """Carry bytes both ways until either side ends. `response` is the prepared 101."""
    browser = BrowserBytes(request.protocol)
    request.protocol.set_parser(browser)  # type: ignore[arg-type]  # the two methods above are all it calls
    request.protocol.keep_alive(False)
    up = asyncio.create_task(_upstream(browser, connection))
    down = asyncio.create_task(_downstream(response, connection))
    try:
        await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
    finally:
        up.cancel()
        down.cancel()
        await asyncio.gather(up, down, return_exceptions=True)


async def _upstream(browser: BrowserBytes, connection: Connection) -> None:
    while data := await browser.read():
        await connection.send(data)


async def _downstream(response: web.StreamResponse, connection: Connection) -> None:
    try:
        while data := await connection.some(idle=None):
            await response.write(data)
    except (ProxyProblem, OSError):
        return  # either side is gone: so is the websocket
