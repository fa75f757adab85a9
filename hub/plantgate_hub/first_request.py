"""Ends connections that send no request: aiohttp itself waits for the first one for ever."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

SECONDS = 10.0
"""From the end of the TLS handshake to the end of the first request's head."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FirstRequestGuard:
    """Add `middleware` to the application as the outermost, and keep `run` running beside its server."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._waiting: dict[RequestHandler, float] = {}
        self._served: set[RequestHandler] = set()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._served.add(request.protocol)
        return await handler(request)

    async def run(self, server: web.Server) -> None:
        """Look around until cancelled. Later requests of a connection are bounded by aiohttp's keep-alive timeout."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._seconds / 4)
            now, connections = loop.time(), server.connections
            self._served.intersection_update(connections)
            waiting = {one: self._waiting.get(one, now) for one in connections if one not in self._served}
            for connection in connections:
                since = waiting.get(connection)
                if since is not None and now - since >= self._seconds * 0.75 and connection.transport is not None:
                    connection.transport.abort()
            self._waiting = waiting
