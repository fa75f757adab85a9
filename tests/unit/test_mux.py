"""The multiplexer rule by rule: what closes a stream, what closes the connection, what goes out first."""

from typing import Any

import pytest

from plantgate_shared.protocol import (
    GoAwayReason,
    Limits,
    LocalProtocolError,
    RemoteProtocolError,
    ResetReason,
    Role,
    TunnelMux,
    events,
    frames,
)
from plantgate_shared.protocol.errors import CreditExceeded, MalformedFrame, UnknownFrame, UnknownStream
from plantgate_shared.protocol.limits import MAX_CREDIT, MAX_DATA
from plantgate_shared.protocol.states import StreamState

TARGET = {"host": "192.168.1.10", "port": 80}


class Wire:
    """A mux under test, with its peer played by hand."""

    def __init__(self, role: Role = Role.SERVER, limits: Limits | None = None) -> None:
        self.mux = TunnelMux(role, limits)

    def get(self, *received: frames.Frame) -> list[events.Event]:
        """The peer sends these frames."""
        for frame in received:
            self.mux.receive_message(frames.encode(frame))
        return self.mux.events_received()

    def out(self) -> list[Any]:
        """What the mux sends now."""
        return [frames.decode(message) for message in self.mux.messages_to_send()]

    def accepted(self, stream: int = 1) -> "Wire":
        """The peer opened `stream` and we said yes."""
        self.get(frames.Open(stream, TARGET))
        self.mux.accept_stream(stream)
        self.out()
        return self


def test_a_stream_from_open_to_close():
    wire = Wire()
    assert wire.get(frames.Open(1, TARGET)) == [events.StreamOffered(1, TARGET)]
    wire.mux.accept_stream(1)
    assert wire.get(frames.Data(1, b"GET /"), frames.Eof(1)) == [
        events.DataReceived(1, b"GET /"),
        events.EofReceived(1),
    ]
    assert wire.mux.state_of(1) is StreamState.HALF_CLOSED_REMOTE
    wire.mux.data_consumed(1, 5)
    wire.mux.send_data(1, b"200 OK")
    wire.mux.send_eof(1)
    assert wire.out() == [frames.Accept(1), frames.Data(1, b"200 OK"), frames.Eof(1)]
    assert wire.mux.events_received() == [events.StreamClosed(1)]
    assert wire.mux.state_of(1) is StreamState.CLOSED
    assert wire.mux.stream_count == 0


def test_ids_are_odd_for_the_client_and_even_for_the_server():
    client, server = TunnelMux(Role.CLIENT), TunnelMux(Role.SERVER)
    assert [client.open_stream({}), client.open_stream({})] == [1, 3]
    assert [server.open_stream({}), server.open_stream({})] == [2, 4]


def test_small_writes_leave_as_one_frame():
    wire = Wire().accepted()
    for letter in "abcdef":
        wire.mux.send_data(1, letter.encode())
    assert wire.out() == [frames.Data(1, b"abcdef")]


def test_large_writes_leave_in_frames_of_the_maximum_size():
    wire = Wire(limits=Limits(stream_credit=200_000, max_streams=2, send_buffer=300_000)).accepted()
    assert wire.mux.send_data(1, bytes(150_000)) == 150_000
    assert [len(frame.data) for frame in wire.out()] == [MAX_DATA, MAX_DATA, 150_000 - 2 * MAX_DATA]


def test_streams_take_turns():
    wire = Wire(limits=Limits(stream_credit=200_000, max_streams=3)).accepted(1).accepted(3)
    wire.mux.send_data(1, bytes(180_000))
    wire.mux.send_data(3, b"quick")
    assert [frame.stream for frame in wire.out()] == [1, 3, 1, 1]


def test_datagrams_overtake_data_but_do_not_starve_it():
    wire = Wire().accepted()
    wire.mux.send_data(1, b"bulk")
    for _ in range(6):
        assert wire.mux.send_datagrams(100, bytes(300))
    kinds = [type(frame).__name__ for frame in wire.out()]
    assert kinds == ["Datagrams"] * 4 + ["Data"] + ["Datagrams"] * 2


def test_datagrams_beyond_the_queue_are_dropped():
    wire = Wire(limits=Limits(datagram_buffer=1000))
    taken = [wire.mux.send_datagrams(100, bytes(400)) for _ in range(4)]
    assert taken == [True, True, False, False]
    assert len(wire.out()) == 2
    assert wire.mux.send_datagrams(100, bytes(400))


def test_small_frames_go_before_everything():
    wire = Wire().accepted()
    wire.mux.send_data(1, b"bulk")
    wire.mux.send_datagrams(1, b"d")
    wire.mux.send_control({"k": 1})
    wire.get(frames.Ping(b"?"))
    wire.mux.open_stream({})
    kinds = [type(frame).__name__ for frame in wire.out()]
    assert kinds == ["Open", "Pong", "Control", "Datagrams", "Data"]


def test_the_short_cut_overtakes_nobody():
    wire = Wire(limits=Limits(stream_credit=100_000, max_streams=3)).accepted(1).accepted(3)
    message = wire.mux.send_bulk(1, b"first")
    assert message is not None
    assert frames.decode(message) == frames.Data(1, b"first")
    wire.mux.send_data(3, b"waits")
    assert wire.mux.send_bulk(1, b"would overtake") is None
    wire.out()
    wire.mux.send_eof(1)
    assert wire.mux.send_bulk(1, b"past EOF") is None
    wire.out()
    assert wire.mux.send_bulk(3, bytes(MAX_DATA + 1)) is None
    wire.mux.send_data(3, bytes(99_990))
    wire.out()
    assert wire.mux.send_bulk(3, bytes(6)) is None, "there is credit for 5"
    assert wire.mux.send_bulk(99, b"never opened") is None


# --- credit -----------------------------------------------------------------------------------------------------------


def test_no_byte_without_credit_of_the_stream():
    wire = Wire(limits=Limits(stream_credit=10, max_stream_credit=10)).accepted()
    assert wire.mux.send_data(1, b"x" * 15) == 10
    assert wire.mux.send_data(1, b"x" * 5) == 0
    wire.out()
    assert wire.mux.events_received() == []
    assert wire.get(frames.Credit(1, 3)) == [events.StreamWritable(1)]
    assert wire.mux.send_data(1, b"x" * 5) == 3


def test_no_byte_without_credit_of_the_connection():
    tiny = Limits(max_streams=2, stream_credit=10, max_stream_credit=10, connection_credit=21, connection_credit_step=1)
    wire = Wire(limits=tiny).accepted(1)
    wire.get(frames.Credit(1, 100))
    wire.mux.send_data(1, b"x" * 30)
    assert [len(frame.data) for frame in wire.out()] == [21]
    wire.get(frames.Credit(0, 4))
    assert [len(frame.data) for frame in wire.out()] == [4]


def test_credit_comes_back_as_it_is_consumed():
    fixed = Limits(
        max_streams=2, stream_credit=10, max_stream_credit=10, connection_credit=21, connection_credit_step=1
    )
    wire = Wire(limits=fixed).accepted()
    wire.get(frames.Data(1, b"x" * 10))
    assert wire.out() == [], "nothing consumed, no credit"
    wire.mux.data_consumed(1, 4)
    assert wire.out() == [frames.Credit(0, 4)], "less than half a window is saved up"
    wire.mux.data_consumed(1, 1)
    assert wire.out() == [frames.Credit(0, 1), frames.Credit(1, 5)]


def test_the_window_of_a_fast_reader_grows_and_that_of_a_slow_one_does_not():
    fast, slow = Wire().accepted(), Wire().accepted()
    initial = fast.mux.limits.stream_credit
    for _ in range(200):
        fast.get(frames.Data(1, bytes(initial // 2)))
        fast.mux.data_consumed(1, initial // 2)
    assert fast.mux._streams[1].window == fast.mux.limits.max_stream_credit
    slow.get(frames.Data(1, bytes(initial)))
    slow.mux.data_consumed(1, initial // 2)
    assert slow.mux._streams[1].window == initial


def pour(wire: Wire, stream: int) -> int:
    """What the window of a stream has grown by after much fast reading."""
    for _ in range(600):
        wire.get(frames.Data(stream, bytes(MAX_DATA // 2)))
        wire.mux.data_consumed(stream, MAX_DATA // 2)
        wire.out()
    return wire.mux._streams[stream].window - wire.mux.limits.stream_credit


def test_no_window_grows_by_more_than_is_left_for_the_others():
    generous = Limits(max_stream_credit=100_000_000)
    wire = Wire(limits=generous).accepted(1).accepted(3)
    half = generous.spare // 2
    assert half * 0.9 < pour(wire, 1) <= half
    assert half * 0.4 < pour(wire, 3) <= half // 2
    wire.mux.reset_stream(1, ResetReason.CANCELLED)
    wire.mux.reset_stream(3, ResetReason.CANCELLED)
    assert wire.mux._giver.spare == generous.spare, "it comes back"


def test_the_short_cut_for_received_data_keeps_the_same_accounts():
    wire = Wire(limits=Limits(stream_credit=100, max_stream_credit=100)).accepted()
    message = frames.encode_data(1, [b"x" * 60], 60)
    assert wire.mux.receive_bulk(message) == (1, b"x" * 60)
    assert (wire.mux._streams[1].credit_in, wire.mux.buffered_in) == (40, 60)
    assert wire.mux._giver.left == wire.mux.limits.connection_credit - 60
    assert wire.mux.receive_bulk(message) is None, "beyond its credit: a matter for receive_message"
    assert wire.mux.receive_bulk(frames.encode(frames.Eof(1))) is None
    assert wire.mux.receive_bulk(frames.encode_data(9, [b"x"], 1)) is None


def test_unread_streams_leave_the_others_their_guaranteed_credit():
    """Streams whose readers stop after their windows have grown take no more than what is spare."""
    wire = Wire()
    limits, mux = wire.mux.limits, wire.mux
    for number in range(limits.max_streams):
        wire.accepted(2 * number + 1)
    for stream, record in list(mux._streams.items())[:-1]:
        for _ in range(8):
            mux.receive_message(frames.encode(frames.Data(stream, bytes(MAX_DATA // 2))))
            mux.data_consumed(stream, MAX_DATA // 2)
        while record.credit_in:  # and now nobody reads any more
            mux.receive_message(frames.encode(frames.Data(stream, bytes(min(MAX_DATA, record.credit_in)))))
    assert mux._giver.left >= limits.stream_credit
    last = 2 * limits.max_streams - 1
    mux.events_received()
    assert wire.get(frames.Data(last, bytes(limits.stream_credit))) == [
        events.DataReceived(last, bytes(limits.stream_credit))
    ]


# --- what closes a stream ---------------------------------------------------------------------------------------------


def failed(stream: int, detail: str) -> events.StreamWasReset:
    return events.StreamWasReset(stream, ResetReason.PROTOCOL_ERROR, detail)


@pytest.mark.parametrize(
    ("prepare", "frame", "detail"),
    [
        ([], frames.Accept(1), "ACCEPT on a stream that is open"),
        ([frames.Eof(1)], frames.Data(1, b"more"), "DATA on a stream that is half closed (remote)"),
        ([frames.Eof(1)], frames.Eof(1), "EOF on a stream that is half closed (remote)"),
        ([], frames.Credit(1, MAX_CREDIT), f"more than {MAX_CREDIT} bytes of credit"),
        ([frames.Data(1, b"x" * 60)], frames.Data(1, b"y" * 60), "DATA of 60 bytes with 40 bytes of credit"),
    ],
    ids=["second ACCEPT", "DATA after EOF", "second EOF", "credit overflow", "credit exceeded"],
)
def test_a_fault_of_one_stream_resets_it_and_spares_the_others(prepare, frame, detail):
    wire = Wire(limits=Limits(stream_credit=100, max_stream_credit=100)).accepted(1).accepted(3)
    wire.get(*prepare)
    assert wire.get(frame) == [failed(1, detail)]
    assert wire.out() == [frames.Reset(1, ResetReason.PROTOCOL_ERROR)]
    assert wire.get(frames.Data(3, b"fine")) == [events.DataReceived(3, b"fine")]
    assert wire.mux._giver.left + wire.mux._giver.ungranted + 4 == wire.mux.limits.connection_credit, (
        "its bytes came back"
    )


@pytest.mark.parametrize("frame", [frames.Data(2, b"early"), frames.Eof(2)], ids=["DATA", "EOF"])
def test_nothing_before_the_accept(frame):
    wire = Wire()
    wire.mux.open_stream(TARGET)
    wire.out()
    [event] = wire.get(frame)
    assert isinstance(event, events.StreamWasReset)
    assert "that is opening" in event.detail
    assert not wire.mux.closed


def test_one_stream_too_many_is_refused_alone():
    wire = Wire(limits=Limits(max_streams=1)).accepted(1)
    assert wire.get(frames.Open(3, TARGET)) == []
    assert wire.out() == [frames.Reset(3, ResetReason.TOO_MANY)]
    assert wire.mux.state_of(1) is StreamState.OPEN
    with pytest.raises(LocalProtocolError, match="no more may be opened"):
        wire.mux.open_stream(TARGET)


@pytest.mark.parametrize(
    "late",
    [frames.Accept(2), frames.Data(2, b"late"), frames.Eof(2), frames.Reset(2, ResetReason.GONE), frames.Credit(2, 5)],
    ids=lambda frame: type(frame).__name__,
)
def test_late_frames_of_a_reset_stream_are_ignored(late):
    wire = Wire(limits=Limits(connection_credit_step=1))
    wire.mux.open_stream(TARGET)
    wire.mux.reset_stream(2, ResetReason.CANCELLED)
    assert wire.out() == [frames.Open(2, TARGET), frames.Reset(2, ResetReason.CANCELLED)]
    assert wire.get(late) == []
    expected = [frames.Credit(0, 4)] if isinstance(late, frames.Data) else []
    assert wire.out() == expected


def test_a_reset_overtakes_and_discards_what_waits():
    wire = Wire().accepted()
    wire.mux.send_data(1, b"never mind")
    wire.mux.reset_stream(1, ResetReason.CANCELLED)
    assert wire.out() == [frames.Reset(1, ResetReason.CANCELLED)]
    wire.mux.reset_stream(1, ResetReason.CANCELLED)
    assert wire.out() == [], "once is enough"


def test_bytes_that_nobody_read_are_given_back_at_a_reset():
    wire = Wire(limits=Limits(connection_credit_step=1)).accepted()
    wire.get(frames.Data(1, b"12345"), frames.Reset(1, ResetReason.GONE))
    assert wire.out() == [frames.Credit(0, 5)]
    assert wire.mux.data_consumed(1, 5) is False


def test_a_closed_stream_keeps_its_place_until_it_is_read():
    wire = Wire(limits=Limits(max_streams=1)).accepted()
    wire.get(frames.Data(1, b"unread"), frames.Eof(1))
    wire.mux.send_eof(1)
    wire.out()
    assert wire.mux.state_of(1) is StreamState.CLOSED
    assert not wire.mux.can_open()
    wire.mux.data_consumed(1, 6)
    assert wire.mux.can_open()


# --- what closes the connection ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "error", "says"),
    [
        (b"\xc1", MalformedFrame, "not msgpack"),
        (b"\x91\x63", UnknownFrame, "no frame type 99"),
        (frames.encode(frames.Data(5, b"x")), UnknownStream, "stream 5 was never opened"),
        (frames.encode(frames.Data(2, b"x")), UnknownStream, "stream 2 was never opened"),
        (frames.encode(frames.Credit(7, 1)), UnknownStream, "stream 7 was never opened"),
        (frames.encode(frames.Open(5, {})), UnknownStream, "OPEN of stream 5 where 3 is next"),
        (frames.encode(frames.Open(2, {})), UnknownStream, "OPEN of stream 2 where 3 is next"),
        (frames.encode(frames.Open(1, {})), UnknownStream, "OPEN of stream 1 where 3 is next"),
        (frames.encode(frames.Credit(0, MAX_CREDIT)), CreditExceeded, "connection credit"),
    ],
)
def test_what_closes_the_connection(message, error, says):
    wire = Wire().accepted()
    wire.mux.send_data(1, b"will not go out")
    with pytest.raises(error, match=says):
        wire.mux.receive_message(message)
    assert wire.mux.closed
    [goodbye] = wire.out()
    assert isinstance(goodbye, frames.GoAway)
    assert goodbye.reason is GoAwayReason.PROTOCOL_ERROR
    assert says.split()[-1] in goodbye.detail
    assert wire.get(frames.Data(1, b"ignored")) == []


def test_more_bytes_than_the_connection_allows_close_it():
    tiny = Limits(max_streams=2, stream_credit=10, max_stream_credit=10, connection_credit=21, connection_credit_step=1)
    wire = Wire(limits=tiny).accepted()
    with pytest.raises(CreditExceeded, match="DATA of 22 bytes with 21 bytes of connection credit"):
        wire.get(frames.Data(1, b"x" * 22))


def test_goaway_ends_everything():
    wire = Wire().accepted()
    assert wire.get(frames.GoAway(GoAwayReason.DRAINING, "soon")) == [
        events.GoAwayReceived(GoAwayReason.DRAINING, "soon")
    ]
    assert wire.out() == []
    with pytest.raises(LocalProtocolError, match="connection is closed"):
        wire.mux.open_stream(TARGET)
    wire.mux.reset_stream(1, ResetReason.CANCELLED)  # cleaning up is always allowed
    wire.mux.close(GoAwayReason.SHUTDOWN)
    assert wire.out() == []


def test_a_pong_that_nobody_asked_for_is_harmless():
    assert Wire().get(frames.Pong(b"?")) == [events.PongReceived(b"?")]


# --- our own mistakes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mistake",
    [
        lambda mux: mux.send_data(9, b"x"),
        lambda mux: mux.send_eof(9),
        lambda mux: mux.accept_stream(1),
        lambda mux: mux.reset_stream(9, ResetReason.CANCELLED),
        lambda mux: mux.data_consumed(1, 1),
        lambda mux: mux.data_consumed(1, -1),
        lambda mux: (mux.send_eof(1), mux.send_eof(1)),
        lambda mux: (mux.send_eof(1), mux.send_data(1, b"x")),
        lambda mux: mux.open_stream({"x": object()}),
        lambda mux: mux.send_control({"x": "y" * 300_000}),
        lambda mux: mux.ping(bytes(65)),
    ],
)
def test_misuse_is_a_local_error_and_sends_nothing(mistake):
    wire = Wire().accepted()
    with pytest.raises(LocalProtocolError):
        mistake(wire.mux)
    assert [frame for frame in wire.out() if not isinstance(frame, frames.Eof)] == []
    assert not wire.mux.closed


def test_control_messages_do_not_pile_up():
    wire = Wire()
    for _ in range(20):
        wire.mux.send_control({"k": "v" * 200_000})
    with pytest.raises(LocalProtocolError, match="does not read its control messages"):
        wire.mux.send_control({"k": "v" * 200_000})
    assert len(wire.out()) == 20


def test_limits_that_do_not_fit_together_are_refused():
    with pytest.raises(ValueError, match="must cover"):
        Limits(max_streams=1000)
    with pytest.raises(ValueError, match="at least"):
        Limits(max_stream_credit=1)


def test_the_error_that_ends_a_connection_is_remote():
    assert issubclass(UnknownStream, RemoteProtocolError)


def test_the_short_cut_for_bulk_takes_nothing_beyond_credit():
    """Or a peer could fill our memory through the way that most of the traffic takes."""
    small = Limits(1, 8, 8, connection_credit=14, connection_credit_step=4)
    wire = Wire(limits=small).accepted()
    assert wire.mux.receive_bulk(frames.encode_data(1, (bytes(9),), 9)) is None, "the stream has credit for 8"
    assert wire.mux.receive_bulk(frames.encode_data(1, (bytes(8),), 8)) == (1, bytes(8))
    assert wire.mux.receive_bulk(frames.encode_data(1, (b"x",), 1)) is None, "all is used up"
    wire.get(frames.Data(1, b"x"))
    assert wire.mux.state_of(1) is StreamState.CLOSED, "told of it, the mux resets the stream"
