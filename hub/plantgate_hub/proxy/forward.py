"""One request to its device and the answer back: bodies stream both ways, nothing is held as a whole."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
from collections.abc import AsyncIterator

from aiohttp import web

from ..ports import CertificatePins, Destination, Streams
from .device import Connection, connect, framing
from .headers import Headers, to_the_browser, to_the_device
from .http1 import Framing, ReplyHead, chunk, request_head
from .problems import Problem, ProxyProblem
from .rewrite import Addresses, Elsewhere
from .websocket import relay

FIRST_PIECE_SECONDS = 0.1
"""How long the head waits for the first bytes of its body, so that an early reset can still become an error page."""

_WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


class DeviceResponse(web.StreamResponse):
    """A response that carries the device's headers and none of the hub's own."""

    def __init__(self, head: ReplyHead, headers: Headers) -> None:
        super().__init__(status=head.status, reason=head.reason)
        self._exact = headers

    def keep_exact(self) -> None:
        """Called when the head is about to be written: what the server added goes, but for framing."""
        if self.status == 101:
            framing_headers = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
        else:
            names = ("Content-Length", "Transfer-Encoding", "Connection")
            framing_headers = [(name, self.headers[name]) for name in names if name in self.headers]
        self.headers.clear()
        self.headers.extend([*self._exact, *framing_headers])


class Forwarder:
    """Carries permitted requests; whoever calls it has decided already."""

    def __init__(self, streams: Streams, pins: CertificatePins) -> None:
        self._streams = streams
        self._pins = pins

    async def forward(
        self, request: web.Request, destination: Destination, addresses: Addresses, websocket: bool
    ) -> web.StreamResponse:
        """The device's answer, sent to the browser. Raises ProxyProblem as long as nothing of it was sent."""
        connection = await connect(self._streams, self._pins, destination)
        upload: asyncio.Task[None] | None = None
        try:
            upload = await self._send(request, connection, destination, addresses, websocket)
            head = await connection.reply(websocket)
            return await self._answer(request, connection, head, addresses)
        finally:
            if upload is not None:
                upload.cancel()
                await asyncio.gather(upload, return_exceptions=True)
            connection.close("the exchange is over")

    async def _send(
        self,
        request: web.Request,
        connection: Connection,
        destination: Destination,
        addresses: Addresses,
        websocket: bool,
    ) -> asyncio.Task[None] | None:
        received = [
            (name.decode("latin-1"), value.decode("utf-8", "surrogateescape")) for name, value in request.raw_headers
        ]
        headers = to_the_device(received, addresses, destination.target.host_mode, websocket)
        length = request.headers.get("Content-Length")
        chunked = "Transfer-Encoding" in request.headers
        if length is not None:  # what came with a length goes with it: some devices read nothing of a chunked body
            headers.append(("Content-Length", length))
        elif chunked:
            headers.append(("Transfer-Encoding", "chunked"))
        await connection.send(request_head(request.method, request.raw_path, headers))
        if chunked or length not in (None, "0"):
            return asyncio.create_task(_upload(request, connection, chunked))
        return None

    async def _answer(
        self, request: web.Request, connection: Connection, head: ReplyHead, addresses: Addresses
    ) -> web.StreamResponse:
        headers = to_the_browser(head.headers, addresses, redirects=300 <= head.status < 400)
        if isinstance(headers, Elsewhere):
            raise ProxyProblem(Problem.REDIRECT_ELSEWHERE, headers.url)
        response = DeviceResponse(head, headers)
        if head.status == 101:
            _check_upgrade(request, head)
            await response.prepare(request)
            await relay(request, response, connection)
            return response
        length = framing(request.method, head)
        if isinstance(length, int):
            response.content_length = length
        elif length is Framing.NONE and (told := head.values("content-length")):
            response.headers["Content-Length"] = told[0]
        async with contextlib.aclosing(connection.body(length)) as body:
            await _send_body(request, response, body)
        return response


async def _send_body(request: web.Request, response: DeviceResponse, body: AsyncIterator[bytes]) -> None:
    """Head and body to the browser. Raises ProxyProblem as long as the head was not sent."""
    first = asyncio.ensure_future(_next(body))
    try:
        await asyncio.wait((first,), timeout=FIRST_PIECE_SECONDS)
        if first.done():
            first.result()
        await response.prepare(request)
        try:
            piece = await first
            while piece:
                await response.write(piece)
                piece = await _next(body)
        except ProxyProblem:
            # Part of the body has gone out: only a broken connection tells the browser that the rest is missing.
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("the device broke off in the middle of its answer") from None
    finally:
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


async def _next(body: AsyncIterator[bytes]) -> bytes:
    return await anext(body, b"")


async def _upload(request: web.Request, connection: Connection, chunked: bool) -> None:
    """The request's body to the device. A device that stops reading may have answered already, so no error here."""
    try:
        async for piece in request.content.iter_any():
            if piece:
                await connection.send(chunk(piece) if chunked else piece)
        if chunked:
            await connection.send(chunk(b""))
    except ProxyProblem:
        return
    except Exception:  # the browser broke off: half a request must not be carried out
        connection.close("the browser broke off")
        raise


def _check_upgrade(request: web.Request, head: ReplyHead) -> None:
    key = request.headers.get("Sec-WebSocket-Key", "").encode()
    expected = base64.b64encode(hashlib.sha1(key + _WEBSOCKET_GUID).digest())  # noqa: S324  the protocol says so
    accepted = "".join(head.values("sec-websocket-accept")).encode()
    upgrade = ",".join(head.values("upgrade")).lower()
    if upgrade != "websocket" or not hmac.compare_digest(expected, accepted):
        raise ProxyProblem(Problem.DEVICE_REPLY, "its websocket handshake is wrong")
