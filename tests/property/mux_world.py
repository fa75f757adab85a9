"""Two TunnelMuxes joined by a lossless pipe, with a model of what has to arrive and an accountant of the credit."""

from collections import defaultdict, deque
from dataclasses import dataclass, field

from plantgate_shared.protocol import Limits, ResetReason, Role, TunnelMux, events, frames
from plantgate_shared.protocol.credit import CONNECTION
from plantgate_shared.protocol.states import MAY_RECEIVE_DATA, StreamState

TINY = Limits(
    max_streams=3,
    stream_credit=8,
    max_stream_credit=32,
    connection_credit=56,
    connection_credit_step=8,
    send_buffer=16,
    datagram_buffer=64,
)
"""So small that every limit is met within a few steps."""


@dataclass
class End:
    """One side: its mux, what its application sent and got, and the messages under way to the other side."""

    name: str
    mux: TunnelMux
    pipe: deque[bytes] = field(default_factory=deque)
    sent: dict[int, bytearray] = field(default_factory=lambda: defaultdict(bytearray))
    got: dict[int, bytearray] = field(default_factory=lambda: defaultdict(bytearray))
    unread: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    offered: set[int] = field(default_factory=set)
    said_eof: set[int] = field(default_factory=set)
    heard_eof: set[int] = field(default_factory=set)
    over: set[int] = field(default_factory=set)
    """Streams reset by either side, as far as this side knows."""
    controls: list[object] = field(default_factory=list)
    datagrams: list[bytes] = field(default_factory=list)
    paid: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """Bytes of DATA put on the wire, by stream and (0) in total."""
    allowed: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """Bytes that CREDIT frames have allowed so far, beyond the initial credit."""

    def writable(self) -> list[int]:
        states = (StreamState.OPEN, StreamState.HALF_CLOSED_REMOTE)
        return [s for s in self.mux._streams if self.mux.state_of(s) in states and s not in self.said_eof]

    def live(self) -> list[int]:
        return list(self.mux._streams)

    # verbs of the application

    def write(self, stream: int, data: bytes) -> None:
        """As the shell does: the short cut if it is open, else the queue."""
        message = self.mux.send_bulk(stream, data)
        taken = len(data)
        if message is not None:
            self.put(message)
        else:
            taken = self.mux.send_data(stream, data)
        self.sent[stream] += data[:taken]

    def reset(self, stream: int) -> None:
        self.mux.reset_stream(stream, ResetReason.CANCELLED)
        self._ended(stream)

    def consume(self, stream: int, size: int) -> None:
        size = min(size, self.unread[stream])
        self.unread[stream] -= size
        self.mux.data_consumed(stream, size)

    # the wire

    def put(self, message: bytes) -> None:
        """One message onto the wire, past the accountant."""
        frame = frames.decode(message)
        if isinstance(frame, frames.Data):
            limits, size = self.mux.limits, len(frame.data)
            self.paid[frame.stream] += size
            self.paid[CONNECTION] += size
            assert self.paid[frame.stream] <= limits.stream_credit + self.allowed[frame.stream]
            assert self.paid[CONNECTION] <= limits.connection_credit + self.allowed[CONNECTION]
        self.pipe.append(message)

    def flush(self, count: int) -> bool:
        """Put up to `count` messages on the wire; whether there was one."""
        for number in range(count):
            message = self.mux.next_message()
            if message is None:
                return number > 0
            self.put(message)
        return True

    def receive(self, message: bytes) -> None:
        """As the shell does."""
        bulk = self.mux.receive_bulk(message)
        if bulk is not None:
            self._data(*bulk)
            return
        frame = frames.decode(message)
        if isinstance(frame, frames.Credit):
            self.allowed[frame.stream] += frame.size
        self.mux.receive_message(message)
        self.take_events()

    def take_events(self) -> None:
        for event in self.mux.events_received():
            match event:
                case events.StreamOffered(stream, _):
                    self.offered.add(stream)
                case events.DataReceived(stream, data):
                    self._data(stream, data)
                case events.EofReceived(stream):
                    self.heard_eof.add(stream)
                case events.StreamWasReset(stream, reason, _):
                    assert reason in (ResetReason.CANCELLED, ResetReason.TOO_MANY)
                    self._ended(stream)
                case events.ControlReceived(message):
                    self.controls.append(message)
                case events.DatagramsReceived(_, data):
                    self.datagrams.append(data)
                case events.GoAwayReceived():
                    raise AssertionError("nobody said goodbye")

    def _data(self, stream: int, data: bytes) -> None:
        assert stream not in self.over, "data after a reset"
        assert stream not in self.heard_eof, "data after EOF"
        self.got[stream] += data
        self.unread[stream] += len(data)

    def _ended(self, stream: int) -> None:
        self.over.add(stream)
        self.offered.discard(stream)
        self.unread[stream] = 0

    def check(self) -> None:
        """What must hold at every moment."""
        mux, limits = self.mux, self.mux.limits
        assert mux.stream_count <= limits.max_streams
        assert mux.buffered_in == sum(self.unread[s] for s in mux._streams)
        assert mux.buffered_in <= limits.connection_credit
        assert mux._outbox.datagrams_size <= limits.datagram_buffer + 16
        assert 0 <= mux._giver.left <= limits.connection_credit
        grown = 0
        for record in mux._streams.values():
            assert record.out.size <= limits.send_buffer
            assert record.unread <= record.window <= limits.max_stream_credit
            if record.state in MAY_RECEIVE_DATA:
                assert record.credit_in + record.unread + record.ungranted == record.window
            grown += record.window - limits.stream_credit
        assert mux._giver.spare == limits.spare - grown


def world() -> tuple[End, End]:
    return End("client", TunnelMux(Role.CLIENT, TINY)), End("server", TunnelMux(Role.SERVER, TINY))


def deliver(sender: End, receiver: End, count: int) -> bool:
    """Up to `count` messages from the wire; whether there was one."""
    for number in range(count):
        if not sender.pipe:
            return number > 0
        receiver.receive(sender.pipe.popleft())
    return True


def settle(a: End, b: End) -> None:
    """Both applications accept, read and say EOF as soon as they can, until nothing moves."""
    moving = True
    while moving:
        moving = False
        for end, other in ((a, b), (b, a)):
            for stream in sorted(end.offered):
                end.offered.discard(stream)
                end.mux.accept_stream(stream)
                moving = True
            for stream in end.live():
                end.consume(stream, end.unread[stream])
            for stream in end.writable():
                end.said_eof.add(stream)
                end.mux.send_eof(stream)
                moving = True
            moving = end.flush(100) or moving
            moving = deliver(end, other, 100) or moving
            end.take_events()
            other.take_events()


def assert_all_arrived(a: End, b: End) -> None:
    """After `settle`: every stream ended, every byte that nobody gave up arrived, all credit is back."""
    for end, other in ((a, b), (b, a)):
        assert end.mux.stream_count == 0, f"{end.name} still has {end.mux._streams}"
        for stream, data in end.sent.items():
            if stream not in end.over and stream not in other.over:
                assert other.got[stream] == data
                assert stream in other.heard_eof
        assert end.mux._credit_out + other.mux._giver.ungranted == end.mux.limits.connection_credit
        assert end.mux._giver.spare == end.mux.limits.spare
