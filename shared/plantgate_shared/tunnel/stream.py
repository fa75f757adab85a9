"""`TunnelStream`: one stream of a tunnel, as asyncio code reads and writes it."""

import asyncio
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..errors import PlantgateError
from ..protocol.buffer import ByteQueue
from ..protocol.frames import Buffer, ResetReason
from ..protocol.limits import MAX_DATA
from ..protocol.mux import TunnelMux
from .channel import StreamReset

if TYPE_CHECKING:
    from .connection import TunnelConnection

Target = Mapping[str, Any]
"""Where a stream leads: `{"host": "192.168.1.10", "port": 80}`."""

BULK = 16 * 1024
"""Writes from this size on go to the channel by the task that writes, when nothing else waits: no copy into a queue, no
task switch. Smaller ones wait for the end of the loop's turn, so that they leave together."""


class _Signal:
    """Wakes those who wait now; whoever comes later waits for the next time."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[None]] = []

    def wake(self) -> None:
        if self._waiters:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiters.clear()

    async def wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            if not waiter.done() or waiter.cancelled():
                self._waiters = [other for other in self._waiters if other is not waiter]


class _Discard(ByteQueue):
    """Stands in for the bytes of a stream that nobody will read: takes them and gives their credit back."""

    __slots__ = ("_kick", "_mux", "_stream")

    def __init__(self, mux: TunnelMux, stream: int, kick: Callable[[], None]) -> None:
        super().__init__()
        self._mux = mux
        self._stream = stream
        self._kick = kick

    def append(self, data: Buffer) -> None:
        if self._mux.data_consumed(self._stream, len(data)):
            self._kick()


class TunnelStream:
    """A byte stream each way. Made by `TunnelConnection.open_stream`, or handed to `on_stream`.

    As a context manager it ends itself: `async with await connection.open_stream(...) as stream`.
    """

    def __init__(self, connection: "TunnelConnection", stream: int, target: Target) -> None:
        self.id = stream
        self.target = target
        self._connection = connection
        self._mux = connection.mux
        self._received: ByteQueue = ByteQueue()
        self._error: PlantgateError | None = None
        self._accepted = False
        self._eof_received = False
        self._eof_sent = False
        self._closed_on_wire = False
        self._readable = _Signal()
        self._writable = _Signal()

    @property
    def closed(self) -> bool:
        """Whether both directions are over, in whatever way."""
        return self._error is not None or self._closed_on_wire

    def accept(self) -> None:
        """Say yes to the peer's wish; from here on it reads and writes. Raises StreamReset, TunnelClosed."""
        self._raise_error()
        self._mux.accept_stream(self.id)
        self._accepted = True
        self._connection._kick()

    async def read(self, limit: int = MAX_DATA) -> bytes:
        """Up to `limit` bytes, as soon as there are some; b"" when the peer has said EOF. Cancelling it loses nothing.
        Raises StreamReset, TunnelClosed."""
        while not self._received.size:
            if self._eof_received:
                return b""
            self._raise_error()
            await self._readable.wait()
        data = self._received.take(limit)
        if self._error is None and self._mux.data_consumed(self.id, len(data)):
            self._connection._kick()
        return data

    async def write(self, data: Buffer) -> None:
        """Send `data`; waits for credit and for the channel. Raises StreamReset, TunnelClosed."""
        if type(data) is not bytes:
            data = bytes(data)
        connection, bulk = self._connection, len(data) >= BULK
        if bulk and not connection._sending and (message := self._mux.send_bulk(self.id, data)) is not None:
            await connection._hand_over_one(message)
            return
        view: Buffer = data
        while True:
            self._raise_error()
            taken = self._mux.send_data(self.id, view)
            if bulk and not connection._sending:
                await connection._hand_over(self.id)
            else:
                connection._kick()
            if taken == len(view):
                return
            view = memoryview(view)[taken:]
            if self._error is None and not self._mux.can_send(self.id):
                await self._writable.wait()

    async def write_eof(self) -> None:
        """End our direction; the peer's goes on. Saying it again does nothing. Raises StreamReset, TunnelClosed."""
        if self._eof_sent:
            return
        self._raise_error()
        self._mux.send_eof(self.id)
        self._eof_sent = True
        self._connection._kick()

    def reset(self, reason: ResetReason = ResetReason.CANCELLED) -> None:
        """End both directions at once; what is under way is lost. Does nothing on a stream that is over."""
        if self._error is None:
            self._mux.reset_stream(self.id, reason)
            self._connection._forget(self.id)
            self._end(StreamReset(reason, "by this side"))
            self._connection._kick()

    def close(self) -> None:
        """Be done with the stream. After `write_eof` what was written still goes out, and what the peer still sends is
        thrown away; without it, both directions are reset."""
        if self._error is not None:
            return
        if not self._eof_sent:
            self.reset(ResetReason.CANCELLED if self._accepted else ResetReason.REFUSED)
            return
        unread, self._received = self._received.size, _Discard(self._mux, self.id, self._connection._kick)
        self._error = StreamReset(ResetReason.CANCELLED, "closed by this side")
        if self._mux.data_consumed(self.id, unread):
            self._connection._kick()
        self._readable.wake()
        self._writable.wake()

    async def __aenter__(self) -> "TunnelStream":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # what the connection tells it

    def _end(self, error: PlantgateError) -> None:
        """The stream is over. Bytes after which the peer had said EOF are complete and stay readable if the tunnel
        closed; a reset makes them void."""
        if self._error is None:
            self._error = error
        if isinstance(error, StreamReset) or not self._eof_received:
            self._received.clear()
            self._eof_received = False
        self._readable.wake()
        self._writable.wake()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error.with_traceback(None)
