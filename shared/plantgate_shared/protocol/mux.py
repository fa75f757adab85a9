"""The multiplexer: many streams, datagrams and control messages over one channel of messages. Sans I/O, no clock.

    messages in  -> receive_message() -> events_received()
    verbs        -> open_stream(), send_data(), ...
                    next_message() / messages_to_send() -> messages out

Order of what goes out: small frames (they make others progress), then datagrams, then the streams in turn, one DATA
frame each. What is sent is decided when the channel takes it, so nothing urgent ever waits behind a queue of bulk data.

What closes what:

- **A stream** is reset with `protocol error`, and everything else runs on, when the peer breaks a rule that concerns
  this stream only: DATA or EOF before ACCEPT or after EOF, a second ACCEPT, more bytes than the stream's credit, more
  credit than can be counted. An OPEN beyond `max_streams` is reset with `too many streams`.
- **The connection** ends with GOAWAY(`protocol error`) and a RemoteProtocolError when it cannot be trusted any more: a
  message that is no frame or too long, a frame of unknown type, a frame for a stream that was never opened, an OPEN
  with an id out of turn, more bytes than the connection's credit, unread replies without end.
- **Nothing** closes for late frames (see `states`), a PONG that nobody asked for, reasons and map keys we do not know.

Credit: a byte of DATA needs credit of its stream and of the connection. The receiver gives it back as its owner
consumes the bytes (`data_consumed`), so every buffer is bounded by credit given, and a stream that is not read stops
alone.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from . import events, frames
from .credit import CONNECTION, CreditGiver
from .errors import CreditExceeded, LocalProtocolError, RemoteProtocolError, UnknownStream
from .frames import Buffer, GoAwayReason, ResetReason
from .limits import (
    DATAGRAM_BURST,
    MAX_CREDIT,
    MAX_DATA,
    MAX_DETAIL,
    MAX_STREAM_ID,
    Limits,
)
from .outbox import Outbox
from .role import Role
from .states import MAY_RECEIVE_DATA, MAY_SEND_DATA, StreamEvent, StreamState
from .stream import StreamRecord


class TunnelMux:
    """One end of a tunnel. Every method may raise LocalProtocolError when it is misused."""

    def __init__(self, role: Role, limits: Limits | None = None) -> None:
        self.role = role
        self.limits = limits or Limits()
        self.closed = False
        """After GOAWAY, whoever sent it: nothing more is received, and nothing but a GOAWAY of ours is sent."""
        self._streams: dict[int, StreamRecord] = {}
        self._next_own = role.value
        self._next_peer = 3 - role.value
        self._events: list[events.Event] = []
        # out
        self._outbox = Outbox(self.limits.datagram_buffer)
        self._burst = 0
        self._turns: deque[StreamRecord] = deque()
        self._credit_out = self.limits.connection_credit
        # in
        self._giver = CreditGiver(self.limits, self._outbox)
        self._receivers: dict[type, Callable[[Any], None]] = {
            frames.Data: lambda frame: self._receive_data(frame.stream, frame.data),
            frames.Credit: self._receive_credit,
            frames.Datagrams: self._receive_datagrams,
            frames.Open: self._receive_open,
            frames.Accept: self._receive_accept,
            frames.Eof: self._receive_eof,
            frames.Reset: self._receive_reset,
            frames.Control: self._receive_control,
            frames.Ping: self._receive_ping,
            frames.Pong: self._receive_pong,
            frames.GoAway: self._receive_goaway,
        }

    # --- receiving ----------------------------------------------------------------------------------------------------

    def receive_message(self, message: bytes) -> None:
        """Take one message of the peer. A RemoteProtocolError means that the connection is over: send what
        `messages_to_send` still has (a GOAWAY that names the error) and close the channel."""
        if self.closed:
            return
        try:
            frame = frames.decode(message)
            self._receivers[type(frame)](frame)
        except RemoteProtocolError as error:
            self.close(GoAwayReason.PROTOCOL_ERROR, str(error))
            raise

    def receive_bulk(self, message: bytes) -> tuple[int, bytes] | None:
        """The short cut for most of the traffic: stream and bytes when `message` is a DATA frame that is in order,
        taken without a DataReceived event. None: nothing was done, give it to `receive_message`."""
        found = frames.split_data(message)
        if found is None:
            return None
        record, size = self._streams.get(found[0]), len(found[1])
        if record is None or size > record.credit_in or size > self._giver.left or record.state not in MAY_RECEIVE_DATA:
            return None
        self._giver.left -= size
        record.credit_in -= size
        record.unread += size
        return found

    def events_received(self) -> list[events.Event]:
        """What happened since the last call, in order."""
        happened = self._events
        if happened:
            self._events = []
        return happened

    # --- streams ------------------------------------------------------------------------------------------------------

    @property
    def stream_count(self) -> int:
        """Streams that count against `max_streams`: open, or closed and not yet consumed to the end."""
        return len(self._streams)

    @property
    def buffered_in(self) -> int:
        """Bytes received and not yet consumed, all streams together."""
        return sum(stream.unread for stream in self._streams.values())

    @property
    def buffered_out(self) -> int:
        """Bytes of streams and datagrams that wait for the channel."""
        return self._outbox.datagrams_size + sum(stream.out.size for stream in self._streams.values())

    def queued(self, stream: int) -> int:
        """Bytes of a stream that wait for the channel."""
        record = self._streams.get(stream)
        return 0 if record is None else record.out.size

    def can_send(self, stream: int) -> bool:
        """Whether `send_data` would take something."""
        record = self._streams.get(stream)
        return record is not None and not record.blocked

    def state_of(self, stream: int) -> StreamState:
        record = self._streams.get(stream)
        if record is not None:
            return record.state
        return StreamState.CLOSED if self._was_opened(stream) else StreamState.IDLE

    def can_open(self) -> bool:
        """Whether `open_stream` has room."""
        return not self.closed and len(self._streams) < self.limits.max_streams and not self._outbox.is_full

    def open_stream(self, target: Mapping[str, Any]) -> int:
        """Ask the peer for a stream; StreamAccepted or StreamWasReset follows."""
        self._require_open()
        if not self.can_open() or self._next_own > MAX_STREAM_ID:
            raise LocalProtocolError(f"{len(self._streams)} streams are open, and no more may be opened")
        self._outbox.put(frames.Open(self._next_own, target))
        record = self._new_stream(self._next_own)
        record.apply(StreamEvent.SEND_OPEN)
        self._next_own += 2
        return record.id

    def accept_stream(self, stream: int) -> None:
        """Say yes to a stream that the peer asked for."""
        record = self._require(stream, StreamEvent.SEND_ACCEPT)
        record.apply(StreamEvent.SEND_ACCEPT)
        self._outbox.put(frames.Accept(stream))

    def send_data(self, stream: int, data: Buffer) -> int:
        """Take bytes for a stream, at most what its credit and its send buffer allow; the number taken. When that is
        less than all, StreamWritable follows. `data` must not change afterwards."""
        record = self._streams.get(stream)
        if record is None or record.state not in MAY_SEND_DATA or record.eof_queued:
            raise self._misuse(stream, StreamEvent.SEND_DATA)
        size = len(data)
        room = min(record.credit_out, self.limits.send_buffer - record.out.size)
        if size > room:
            record.blocked = True
            if room <= 0:
                return 0
            data, size = memoryview(data)[:room], room
        record.credit_out -= size
        record.out.append(data)
        if not record.scheduled:
            self._schedule(record)
        return size

    def send_bulk(self, stream: int, data: bytes) -> bytes | None:
        """The short cut for most of the traffic: the message that carries all of `data`, for the channel to take now,
        when that overtakes nothing and nobody. None: nothing was done, use `send_data`."""
        record = self._streams.get(stream)
        size = len(data)
        if (
            record is None
            or size > record.credit_out
            or not 0 < size <= MAX_DATA
            or size > self._credit_out
            or self._turns
            or record.state not in MAY_SEND_DATA
            or record.eof_queued
            or self._outbox.waiting
        ):
            return None
        record.credit_out -= size
        self._credit_out -= size
        return frames.encode_data(stream, (data,), size)

    def send_eof(self, stream: int) -> None:
        """End our direction, after what was taken so far."""
        record = self._require(stream, StreamEvent.SEND_EOF)
        if record.eof_queued:
            raise self._misuse(stream, StreamEvent.SEND_EOF)
        record.eof_queued = True
        self._schedule(record)

    def reset_stream(self, stream: int, reason: ResetReason) -> None:
        """End a stream both ways and forget what it holds. On one that has ended already this only frees its bytes."""
        if self.closed:
            return
        record = self._streams.get(stream)
        if record is None:
            if not self._was_opened(stream):
                raise LocalProtocolError(f"stream {stream} was never opened")
            return
        if record.allows(StreamEvent.SEND_RESET):
            record.apply(StreamEvent.SEND_RESET)
            self._outbox.put(frames.Reset(stream, reason))
        self._forget(record)

    def data_consumed(self, stream: int, size: int) -> bool:
        """Our side has processed `size` bytes of a DataReceived: the peer may send as many more. True when there is
        something to send now."""
        record = self._streams.get(stream)
        if record is None:
            return False  # it was reset meanwhile, which gave everything back
        if not 0 <= size <= record.unread:
            raise LocalProtocolError(f"stream {stream} has {record.unread} bytes to consume, not {size}")
        record.unread -= size
        granted = self._giver.give_back(size)
        if record.state in MAY_RECEIVE_DATA:
            record.ungranted += size
            if record.ungranted * 2 >= record.window:
                self._giver.grant(record)
                return True
        elif record.state is StreamState.CLOSED and not record.unread:
            self._forget(record)
        return granted

    # --- everything else that is sent ---------------------------------------------------------------------------------

    def send_datagrams(self, segment_size: int, data: Buffer) -> bool:
        """Queue a batch of datagrams of `segment_size` bytes each (the last may be shorter). False: there was no room
        and it was dropped."""
        self._require_open()
        return self._outbox.datagrams(segment_size, data)

    def send_control(self, message: Mapping[str, Any]) -> None:
        """Queue a control message."""
        self._require_open()
        self._outbox.control(message)

    def ping(self, payload: bytes = b"") -> None:
        """Ask for a sign of life; PongReceived follows."""
        self._require_open()
        self._outbox.put(frames.Ping(payload))

    def close(self, reason: GoAwayReason, detail: str = "") -> None:
        """End the connection: everything is dropped, a GOAWAY goes out last. Calling it again does nothing."""
        if self.closed:
            return
        self._drop_everything()
        self._outbox.put(frames.GoAway(reason, detail[:MAX_DETAIL]))

    # --- what goes out ------------------------------------------------------------------------------------------------

    def next_message(self) -> bytes | None:
        """The message to hand to the channel now, or None when there is nothing to send."""
        message = self._outbox.next_small()
        if message is not None or not (self._turns or self._outbox.has_datagrams):
            return message
        return self._next_payload()

    @property
    def wants_to_send(self) -> bool:
        """Whether `next_message` may have something."""
        return bool(self._turns or self._outbox.waiting)

    def messages_to_send(self) -> list[bytes]:
        """Everything that can be sent now."""
        messages = []
        while (message := self.next_message()) is not None:
            messages.append(message)
        return messages

    def _next_payload(self) -> bytes | None:
        if self._outbox.has_datagrams and self._burst < DATAGRAM_BURST:
            self._burst += 1
            return self._outbox.next_datagrams()
        self._burst = 0
        for _ in range(len(self._turns)):
            message = self._take_turn(self._turns.popleft())
            if message is not None:
                return message
        return self._outbox.next_datagrams() if self._outbox.has_datagrams else None

    def _take_turn(self, record: StreamRecord) -> bytes | None:
        """One frame of the stream at the head of the round robin, which goes to its end if it has more."""
        record.scheduled = False
        if record.state is StreamState.CLOSED:
            return None  # reset while it waited
        if not record.out.size:
            return self._emit_eof(record) if record.eof_queued else None
        message = None
        if self._credit_out:
            parts, size = record.out.take_parts(min(MAX_DATA, self._credit_out))
            self._credit_out -= size
            message = frames.encode_data(record.id, parts, size)
            if record.blocked:
                self._unblock(record)
        if record.out.size or record.eof_queued:
            self._schedule(record)
        return message

    def _emit_eof(self, record: StreamRecord) -> bytes:
        record.apply(StreamEvent.SEND_EOF)
        if record.state is StreamState.CLOSED:
            self._closed_by_both(record)
        return frames.encode(frames.Eof(record.id))

    def _schedule(self, record: StreamRecord) -> None:
        if not record.scheduled:
            record.scheduled = True
            self._turns.append(record)

    def _unblock(self, record: StreamRecord) -> None:
        if record.blocked and record.credit_out and record.out.size * 2 <= self.limits.send_buffer:
            record.blocked = False
            self._events.append(events.StreamWritable(record.id))

    # --- one method for each frame ------------------------------------------------------------------------------------

    def _receive_data(self, stream: int, data: bytes) -> None:
        size = len(data)
        record = self._streams.get(stream)
        if record is None or size > record.credit_in or size > self._giver.left or record.state not in MAY_RECEIVE_DATA:
            self._receive_odd_data(stream, size)
            return
        self._giver.left -= size
        record.credit_in -= size
        record.unread += size
        self._events.append(events.DataReceived(stream, data))

    def _receive_odd_data(self, stream: int, size: int) -> None:
        """DATA that came too late, or that should not have come."""
        record = self._known(stream)
        if size > self._giver.left:
            raise CreditExceeded(f"DATA of {size} bytes with {self._giver.left} bytes of connection credit")
        self._giver.left -= size
        self._giver.give_back(size)
        if record is None or record.state is StreamState.CLOSED:
            return  # a late frame
        if record.state not in MAY_RECEIVE_DATA:
            self._fail(record, f"DATA on a stream that is {record.state}")
        else:
            self._fail(record, f"DATA of {size} bytes with {record.credit_in} bytes of credit")

    def _receive_credit(self, frame: frames.Credit) -> None:
        if frame.stream == CONNECTION:
            self._credit_out += frame.size
            if self._credit_out > MAX_CREDIT:
                raise CreditExceeded(f"more than {MAX_CREDIT} bytes of connection credit")
            return
        record = self._known(frame.stream)
        if record is None or record.state is StreamState.CLOSED:
            return
        record.credit_out += frame.size
        if record.credit_out > MAX_CREDIT:
            self._fail(record, f"more than {MAX_CREDIT} bytes of credit")
        else:
            self._unblock(record)

    def _receive_open(self, frame: frames.Open) -> None:
        if frame.stream != self._next_peer:
            raise UnknownStream(f"OPEN of stream {frame.stream} where {self._next_peer} is next")
        self._next_peer += 2
        if len(self._streams) >= self.limits.max_streams:
            self._outbox.reply(frames.Reset(frame.stream, ResetReason.TOO_MANY))
            return
        self._new_stream(frame.stream).apply(StreamEvent.RECV_OPEN)
        self._events.append(events.StreamOffered(frame.stream, frame.target))

    def _receive_accept(self, frame: frames.Accept) -> None:
        record = self._known(frame.stream)
        if record is None:
            return
        if self._applied(record, StreamEvent.RECV_ACCEPT):
            self._events.append(events.StreamAccepted(record.id))

    def _receive_eof(self, frame: frames.Eof) -> None:
        record = self._known(frame.stream)
        if record is None or not self._applied(record, StreamEvent.RECV_EOF):
            return
        self._events.append(events.EofReceived(record.id))
        if record.state is StreamState.CLOSED:
            self._closed_by_both(record)

    def _receive_reset(self, frame: frames.Reset) -> None:
        record = self._known(frame.stream)
        if record is None or not self._applied(record, StreamEvent.RECV_RESET):
            return
        self._events.append(events.StreamWasReset(record.id, frame.reason))
        self._forget(record)

    def _receive_datagrams(self, frame: frames.Datagrams) -> None:
        self._events.append(events.DatagramsReceived(frame.segment_size, frame.data))

    def _receive_control(self, frame: frames.Control) -> None:
        self._events.append(events.ControlReceived(frame.message))

    def _receive_ping(self, frame: frames.Ping) -> None:
        self._outbox.pong(frame.payload)

    def _receive_pong(self, frame: frames.Pong) -> None:
        self._events.append(events.PongReceived(frame.payload))

    def _receive_goaway(self, frame: frames.GoAway) -> None:
        self._drop_everything()
        self._events.append(events.GoAwayReceived(frame.reason, frame.detail))

    # --- records ------------------------------------------------------------------------------------------------------

    def _was_opened(self, stream: int) -> bool:
        if stream <= 0:
            return False
        own = stream % 2 == self.role.value % 2
        return stream < (self._next_own if own else self._next_peer)

    def _known(self, stream: int) -> StreamRecord | None:
        """The record of a live stream, None for one that has ended."""
        record = self._streams.get(stream)
        if record is None and not self._was_opened(stream):
            raise UnknownStream(f"stream {stream} was never opened")
        return record

    def _applied(self, record: StreamRecord, event: StreamEvent) -> bool:
        """Whether the peer's `event` changed the stream; one that its state does not allow resets it."""
        if not record.allows(event):
            self._fail(record, f"{event.removeprefix('recv ')} on a stream that is {record.state}")
            return False
        late = record.state is StreamState.CLOSED
        record.apply(event)
        return not late

    def _require_open(self) -> None:
        if self.closed:
            raise LocalProtocolError("the connection is closed")

    def _require(self, stream: int, event: StreamEvent) -> StreamRecord:
        self._require_open()
        record = self._streams.get(stream)
        if record is None or not record.allows(event):
            raise self._misuse(stream, event)
        return record

    def _misuse(self, stream: int, event: StreamEvent) -> LocalProtocolError:
        record = self._streams.get(stream)
        state = "past its EOF" if record is not None and record.eof_queued else self.state_of(stream)
        return LocalProtocolError(f"cannot {event} on stream {stream}, which is {state}")

    def _new_stream(self, stream: int) -> StreamRecord:
        record = self._streams[stream] = StreamRecord(stream, self.limits.stream_credit)
        return record

    def _fail(self, record: StreamRecord, detail: str) -> None:
        """Reset a stream on which the peer broke a rule."""
        record.apply(StreamEvent.SEND_RESET)
        self._outbox.reply(frames.Reset(record.id, ResetReason.PROTOCOL_ERROR))
        self._events.append(events.StreamWasReset(record.id, ResetReason.PROTOCOL_ERROR, detail))
        self._forget(record)

    def _closed_by_both(self, record: StreamRecord) -> None:
        """Both EOFs went over the wire; bytes that nobody has read yet keep the record until they are consumed."""
        self._events.append(events.StreamClosed(record.id))
        self._outbox.withdraw_grant(record.id)
        if not record.unread:
            self._forget(record)

    def _forget(self, record: StreamRecord) -> None:
        del self._streams[record.id]
        self._outbox.withdraw_grant(record.id)
        self._giver.take_window_back(record)
        record.out.clear()
        self._giver.give_back(record.unread)
        record.unread = 0

    def _drop_everything(self) -> None:
        self.closed = True
        self._outbox.clear()
        self._turns.clear()
        self._streams.clear()
