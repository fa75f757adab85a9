"""One connection to a device through the agent's tunnel, and one request on it."""

import asyncio
from collections.abc import AsyncGenerator

from plantgate_shared.errors import PlantgateError

from ..domain.model import Scheme
from ..ports import (
    ByteStream,
    CertificatePins,
    Destination,
    StoreUnavailable,
    StreamProblem,
    Streams,
    StreamUnavailable,
)
from .http1 import BadReply, ChunkReader, Framing, HeadReader, ReplyHead, framing_of
from .problems import Problem, ProxyProblem
from .tls import secure

CONNECT_SECONDS = 10.0
FIRST_BYTE_SECONDS = 120.0
"""Devices compute for long: firmware checks, reports."""
IDLE_SECONDS = 600.0
READ_SIZE = 64 * 1024
MAX_INTERIM = 10
"""1xx answers before the real one."""

_OPENING: dict[StreamProblem, Problem] = {
    StreamProblem.OFFLINE: Problem.AGENT_OFFLINE,
    StreamProblem.REFUSED: Problem.DEVICE_REFUSED,
    StreamProblem.UNREACHABLE: Problem.DEVICE_UNREACHABLE,
    StreamProblem.OUTSIDE: Problem.DEVICE_OUTSIDE,
    StreamProblem.BUSY: Problem.AGENT_BUSY,
    StreamProblem.FAILED: Problem.DEVICE_BROKE_OFF,
}


class Connection:
    """A stream to the device, with the bytes already read from it."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self._reader = HeadReader()
        self.progress = 0
        """Grows with every byte sent; a request that is still being uploaded is not silent."""

    async def send(self, data: bytes) -> None:
        """Raises ProxyProblem when the device has gone."""
        try:
            await self.stream.write(data)
        except (OSError, PlantgateError) as error:
            raise ProxyProblem(Problem.DEVICE_BROKE_OFF, str(error)) from None
        self.progress += len(data)

    async def reply(self, websocket: bool) -> ReplyHead:
        """The final answer's head; interim answers are skipped. Raises ProxyProblem."""
        for _ in range(MAX_INTERIM):
            head = await self._head()
            if head.status == 101 and not websocket:
                raise ProxyProblem(Problem.DEVICE_REPLY, "it switched protocols unasked")
            if head.status >= 200 or head.status == 101:
                return head
        raise ProxyProblem(Problem.DEVICE_REPLY, "it never came to a final answer")

    async def _head(self) -> ReplyHead:
        while True:
            try:
                head = self._reader.head()
            except BadReply as error:
                raise ProxyProblem(Problem.DEVICE_REPLY, str(error)) from None
            if head is not None:
                return head
            data = await self._first_bytes()
            if not data:
                raise ProxyProblem(Problem.DEVICE_BROKE_OFF, "it closed the connection without an answer")
            self._reader.feed(data)

    async def _first_bytes(self) -> bytes:
        reading = asyncio.ensure_future(self.stream.read(READ_SIZE))
        try:
            while True:
                before = self.progress
                done, _ = await asyncio.wait((reading,), timeout=FIRST_BYTE_SECONDS)
                if done:
                    return reading.result()
                if self.progress == before:
                    raise ProxyProblem(Problem.DEVICE_SILENT, f"no answer within {FIRST_BYTE_SECONDS:.0f} s")
        except (OSError, PlantgateError) as error:
            if isinstance(error, ProxyProblem):
                raise
            raise ProxyProblem(Problem.DEVICE_BROKE_OFF, str(error)) from None
        finally:
            reading.cancel()

    async def some(self, idle: float | None = IDLE_SECONDS) -> bytes:
        """Bytes as they come, first those that came with the head; empty at the end. Raises ProxyProblem."""
        if data := self._reader.rest():
            return data
        try:
            async with asyncio.timeout(idle):
                return await self.stream.read(READ_SIZE)
        except TimeoutError:
            raise ProxyProblem(Problem.DEVICE_SILENT, "nothing came for too long") from None
        except (OSError, PlantgateError) as error:
            raise ProxyProblem(Problem.DEVICE_BROKE_OFF, str(error)) from None

    async def body(self, framing: Framing | int) -> AsyncGenerator[bytes, None]:
        """The body, in pieces as they come. Raises ProxyProblem when it breaks off before its end."""
        if framing is Framing.CHUNKED:
            chunks = ChunkReader()
            while not chunks.finished:
                try:
                    piece = chunks.feed(await self._more())
                except BadReply as error:
                    raise ProxyProblem(Problem.DEVICE_REPLY, str(error)) from None
                if piece:
                    yield piece
        elif framing is Framing.UNTIL_CLOSE:
            while piece := await self.some():
                yield piece
        elif isinstance(framing, int):
            left = framing
            while left > 0:
                piece = (await self._more())[:left]
                left -= len(piece)
                yield piece

    async def _more(self) -> bytes:
        data = await self.some()
        if not data:
            raise ProxyProblem(Problem.DEVICE_BROKE_OFF, "it closed the connection in the middle of its answer")
        return data

    def close(self, reason: str) -> None:
        self.stream.reset(reason)


async def connect(streams: Streams, pins: CertificatePins, destination: Destination) -> Connection:
    """A connection to the configured address and port: nothing else can be dialled. Raises ProxyProblem."""
    target, address = destination.target, str(destination.device.address)
    raw: ByteStream | None = None
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            where = {"host": address, "port": target.port}
            raw = await streams.open_stream(destination.plant.id, where, CONNECT_SECONDS)
            stream = await secure(raw, target, address, pins) if target.scheme is Scheme.HTTPS else raw
    except StreamUnavailable as error:
        raise ProxyProblem(_OPENING[error.problem]) from None
    except TimeoutError:
        _drop(raw, "timeout")
        raise ProxyProblem(Problem.DEVICE_UNREACHABLE, f"no connection within {CONNECT_SECONDS:.0f} s") from None
    except ProxyProblem:
        _drop(raw, "refused")
        raise
    except StoreUnavailable:  # the first certificate of a device cannot be pinned
        _drop(raw, "failed")
        raise ProxyProblem(Problem.HUB_STORE) from None
    except (OSError, PlantgateError) as error:
        _drop(raw, "failed")
        raise ProxyProblem(Problem.DEVICE_BROKE_OFF, str(error)) from None
    except BaseException:
        _drop(raw, "cancelled")
        raise
    return Connection(stream)


def _drop(raw: ByteStream | None, reason: str) -> None:
    if raw is not None:
        raw.reset(reason)


def framing(method: str, head: ReplyHead) -> Framing | int:
    """`framing_of`, with what is wrong as a ProxyProblem."""
    try:
        return framing_of(method, head)
    except BadReply as error:
        raise ProxyProblem(Problem.DEVICE_REPLY, str(error)) from None
