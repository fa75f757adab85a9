"""`TunnelConnection`: the tasks and waiters around a `TunnelMux`."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ..logging import Event as LogEvent
from ..logging import get_logger
from ..protocol import events
from ..protocol.errors import RemoteProtocolError
from ..protocol.frames import Buffer, GoAwayReason, ResetReason
from ..protocol.limits import Limits
from ..protocol.mux import TunnelMux
from ..protocol.role import Role
from .channel import CLOSE_TIMEOUT, ConnectionClosed, EndCause, MessageChannel, StreamReset, TunnelClosed, TunnelEnd
from .stream import Target, TunnelStream

StreamHandler = Callable[[TunnelStream, Target], Awaitable[None]]
ControlHandler = Callable[[Mapping[str, Any]], None]
DatagramHandler = Callable[[int, bytes], None]


class TunnelConnection:
    """One end of a tunnel. `run()` must be running for anything to move.

    - `on_stream(stream, target)`: a coroutine, run as a task of its own, for each stream the peer asks for. It calls
      `stream.accept()` or `stream.reset(reason)`; when it returns, the stream is closed as `TunnelStream.close` says.
      Without it the peer's streams are refused.
    - `on_control(message)` and `on_datagrams(segment_size, data)` are called by the receiving task and must not block.
    - `ping_interval`: seconds without anything received after which a PING goes out; `ping_timeout`: seconds after
      that within which something must arrive.
    """

    def __init__(
        self,
        channel: MessageChannel,
        role: Role,
        *,
        ping_interval: float,
        ping_timeout: float,
        on_stream: StreamHandler | None = None,
        on_control: ControlHandler | None = None,
        on_datagrams: DatagramHandler | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.mux = TunnelMux(role, limits)
        self.datagrams_dropped = 0
        """Batches that found the queue full."""
        self._channel = channel
        self._ping_interval = ping_interval
        self._ping_timeout = ping_timeout
        self._on_stream = on_stream
        self._on_control = on_control
        self._on_datagrams = on_datagrams
        self._streams: dict[int, TunnelStream] = {}
        self._handlers: set[asyncio.Task[None]] = set()
        self._pongs: dict[bytes, asyncio.Future[None]] = {}
        self._ping_number = 0
        self._last_received = 0.0
        self._sending = False
        """Somebody is handing a message to the channel: one at a time, so that the order is kept."""
        self._sender_waits: asyncio.Future[None] | None = None
        self._end: asyncio.Future[TunnelEnd] = asyncio.get_running_loop().create_future()
        self._react: dict[type, Callable[[Any], None]] = {
            events.DataReceived: self._data_received,
            events.StreamWritable: self._stream_writable,
            events.DatagramsReceived: self._datagrams_received,
            events.StreamOffered: self._stream_offered,
            events.StreamAccepted: self._stream_accepted,
            events.EofReceived: self._eof_received,
            events.StreamWasReset: self._stream_was_reset,
            events.StreamClosed: self._stream_closed,
            events.ControlReceived: self._control_received,
            events.PongReceived: self._pong_received,
            events.GoAwayReceived: self._goaway_received,
        }

    @property
    def closed(self) -> bool:
        return self._end.done()

    async def open_stream(self, target: Target, timeout: float) -> TunnelStream:
        """A stream to `target`, once the peer has accepted it. Raises StreamReset (with the peer's reason; `timeout`
        and `too many streams` may be ours), TunnelClosed."""
        self._raise_end()
        if not self.mux.can_open():
            raise StreamReset(ResetReason.TOO_MANY, "by this side")
        stream = TunnelStream(self, self.mux.open_stream(target), target)
        self._streams[stream.id] = stream
        self._kick()
        try:
            async with asyncio.timeout(timeout):
                while not stream._accepted:
                    await stream._writable.wait()
                    stream._raise_error()
        except TimeoutError:
            stream.reset(ResetReason.TIMEOUT)
            raise StreamReset(ResetReason.TIMEOUT, f"no answer within {timeout:g} s") from None
        except asyncio.CancelledError:
            stream.reset(ResetReason.CANCELLED)
            raise
        return stream

    def send_control(self, message: Mapping[str, Any]) -> None:
        """Queue a control message. Raises TunnelClosed; LocalProtocolError if it is too long or the peer reads none."""
        self._raise_end()
        self.mux.send_control(message)
        self._kick()

    def send_datagrams(self, segment_size: int, data: Buffer) -> bool:
        """Queue a batch of datagrams; False if it was dropped, because the queue is full or the tunnel is over."""
        if self._end.done():
            return False
        taken = self.mux.send_datagrams(segment_size, data)
        if not taken:
            self.datagrams_dropped += 1
        self._kick()
        return taken

    async def ping(self, timeout: float) -> float:
        """Seconds of one round trip through both ends' event loops. Raises TimeoutError, TunnelClosed."""
        self._raise_end()
        loop = asyncio.get_running_loop()
        self._ping_number += 1
        payload = self._ping_number.to_bytes(8, "big")
        answer = self._pongs[payload] = loop.create_future()
        try:
            self.mux.ping(payload)
            self._kick()
            started = loop.time()
            async with asyncio.timeout(timeout):
                await answer
            return loop.time() - started
        finally:
            del self._pongs[payload]

    def close(self, reason: GoAwayReason = GoAwayReason.SHUTDOWN, detail: str = "") -> None:
        """End the tunnel: `run()` says GOAWAY to the peer and returns."""
        self._finish(TunnelEnd(EndCause.LOCAL, reason, detail), say=reason)

    async def run(self) -> TunnelEnd:
        """Move messages until the tunnel ends; says why. Closes the channel. Cancelling it closes the tunnel too."""
        self._last_received = asyncio.get_running_loop().time()
        sender = asyncio.create_task(self._send_messages())
        tasks = [sender, asyncio.create_task(self._receive_messages()), asyncio.create_task(self._watch())]
        for task in tasks:
            task.add_done_callback(self._task_done)
        try:
            return await asyncio.shield(self._end)
        finally:
            self.close()
            await self._shut_down(sender, tasks)

    # --- the three tasks ----------------------------------------------------------------------------------------------

    async def _receive_messages(self) -> None:
        receive, mux, now = self._channel.receive, self.mux, asyncio.get_running_loop().time
        take_bulk, streams = mux.receive_bulk, self._streams
        try:
            while not mux.closed:
                message = await receive()
                self._last_received = now()
                if (bulk := take_bulk(message)) is not None:
                    if (stream := streams.get(bulk[0])) is not None:
                        stream._received.append(bulk[1])
                        stream._readable.wake()
                    continue
                mux.receive_message(message)
                self._dispatch()
                if mux.wants_to_send:
                    self._kick()
        except ConnectionClosed as error:
            self._finish(TunnelEnd(EndCause.LOST, detail=error.message))
        except RemoteProtocolError as error:
            self._dispatch()
            self._finish(TunnelEnd(EndCause.BROKEN, GoAwayReason.PROTOCOL_ERROR, str(error)))

    async def _send_messages(self) -> None:
        mux = self.mux
        loop = asyncio.get_running_loop()
        while True:
            if not self._sending:
                await self._hand_over()
                if mux.closed or self._end.done():
                    return
            self._sender_waits = loop.create_future()
            await self._sender_waits

    async def _hand_over(self, stream: int | None = None) -> None:
        """Hand messages to the channel until none is left, or none of `stream`."""
        send, mux = self._channel.send, self.mux
        self._sending = True
        try:
            while (stream is None or mux.queued(stream)) and (message := mux.next_message()) is not None:
                await send(message)
                self._dispatch()
        except ConnectionClosed as error:
            self._finish(TunnelEnd(EndCause.LOST, detail=error.message))
        finally:
            self._stop_sending()

    async def _hand_over_one(self, message: bytes) -> None:
        """Hand `message` to the channel."""
        self._sending = True
        try:
            await self._channel.send(message)
        except ConnectionClosed as error:
            self._finish(TunnelEnd(EndCause.LOST, detail=error.message))
            self._raise_end()
        finally:
            self._stop_sending()

    def _stop_sending(self) -> None:
        self._sending = False
        if self.mux.wants_to_send or self.mux.closed:
            self._kick()

    async def _watch(self) -> None:
        """End the tunnel when the peer is silent for too long. Anything received is a sign of life."""
        loop = asyncio.get_running_loop()
        while True:
            seen = self._last_received
            await asyncio.sleep(seen + self._ping_interval - loop.time())
            if self._last_received != seen:
                continue
            with contextlib.suppress(TimeoutError, TunnelClosed):
                await self.ping(self._ping_timeout)
            if self._last_received == seen:
                silence = f"nothing received for {loop.time() - seen:.1f} s"
                self._finish(TunnelEnd(EndCause.SILENT, GoAwayReason.TIMEOUT, silence), say=GoAwayReason.TIMEOUT)
                return

    async def _send_bulk(self, stream: int, data: bytes) -> bool:
        """Send `data` as one frame if it is its turn; False: it has to queue."""
        if self._sending or (message := self.mux.send_bulk(stream, data)) is None:
            return False
        self._sending = True
        try:
            await self._channel.send(message)
        except ConnectionClosed as error:
            self._finish(TunnelEnd(EndCause.LOST, detail=error.message))
            self._raise_end()
        finally:
            self._sending = False
            if self.mux.wants_to_send or self.mux.closed:
                self._kick()
        return True

    def _kick(self) -> None:
        """Wake the sending task if it has nothing to do."""
        waiter = self._sender_waits
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._end.done():  # a bug: run() raises it
            self._end.set_exception(error)
            self._end_streams(TunnelEnd(EndCause.LOCAL, detail=f"internal error: {error}"))

    # --- the end ------------------------------------------------------------------------------------------------------

    def _finish(self, end: TunnelEnd, say: GoAwayReason | None = None) -> None:
        if self._end.done():
            return
        if say is not None:
            self.mux.close(say, end.detail)
        self._end.set_result(end)
        self._end_streams(end)
        self._kick()

    def _end_streams(self, end: TunnelEnd) -> None:
        for stream in self._streams.values():
            stream._end(TunnelClosed(end))
        self._streams.clear()
        for answer in self._pongs.values():
            if not answer.done():
                answer.set_exception(TunnelClosed(end))

    def _raise_end(self) -> None:
        if self._end.done():
            raise TunnelClosed(self._end.result())

    async def _shut_down(self, sender: asyncio.Task[None], tasks: list[asyncio.Task[None]]) -> None:
        self.mux.close(GoAwayReason.SHUTDOWN)
        self._kick()
        others = [task for task in tasks if task is not sender] + list(self._handlers)
        for task in others:
            task.cancel()
        try:
            await asyncio.wait({sender}, timeout=CLOSE_TIMEOUT)
        finally:
            sender.cancel()
            await asyncio.gather(*others, sender, return_exceptions=True)
            await self._channel.close()

    # --- what the multiplexer reports ---------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        react = self._react
        for event in self.mux.events_received():
            react[type(event)](event)

    def _data_received(self, event: events.DataReceived) -> None:
        stream = self._streams.get(event.stream)
        if stream is not None:
            stream._received.append(event.data)
            stream._readable.wake()

    def _eof_received(self, event: events.EofReceived) -> None:
        stream = self._streams.get(event.stream)
        if stream is not None:
            stream._eof_received = True
            stream._readable.wake()

    def _stream_writable(self, event: events.StreamWritable) -> None:
        stream = self._streams.get(event.stream)
        if stream is not None:
            stream._writable.wake()

    def _stream_offered(self, event: events.StreamOffered) -> None:
        if self._on_stream is None:
            self.mux.reset_stream(event.stream, ResetReason.REFUSED)
            return
        stream = self._streams[event.stream] = TunnelStream(self, event.stream, event.target)
        task = asyncio.create_task(self._serve(self._on_stream, stream))
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)

    async def _serve(self, handler: StreamHandler, stream: TunnelStream) -> None:
        try:
            await handler(stream, stream.target)
        except (StreamReset, TunnelClosed):
            pass  # the handler has nothing to add to it
        except Exception:
            get_logger().exception(LogEvent.STREAM_FAILED, stream=stream.id)
            stream.reset(ResetReason.FAILED)
        finally:
            stream.close()

    def _stream_accepted(self, event: events.StreamAccepted) -> None:
        stream = self._streams.get(event.stream)
        if stream is not None:
            stream._accepted = True
            stream._writable.wake()

    def _stream_was_reset(self, event: events.StreamWasReset) -> None:
        stream = self._streams.pop(event.stream, None)
        if stream is not None:
            stream._end(StreamReset(event.reason, event.detail))

    def _stream_closed(self, event: events.StreamClosed) -> None:
        stream = self._streams.pop(event.stream, None)
        if stream is not None:
            stream._closed_on_wire = True

    def _datagrams_received(self, event: events.DatagramsReceived) -> None:
        if self._on_datagrams is not None:
            self._on_datagrams(event.segment_size, event.data)

    def _control_received(self, event: events.ControlReceived) -> None:
        if self._on_control is not None:
            self._on_control(event.message)

    def _pong_received(self, event: events.PongReceived) -> None:
        answer = self._pongs.get(event.payload)
        if answer is not None and not answer.done():
            answer.set_result(None)

    def _goaway_received(self, event: events.GoAwayReceived) -> None:
        self._finish(TunnelEnd(EndCause.PEER, event.reason, event.detail))

    def _forget(self, stream: int) -> None:
        self._streams.pop(stream, None)
