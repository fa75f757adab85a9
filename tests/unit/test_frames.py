"""Frames: what goes in comes out, and the one clear error for what is not a frame."""

import msgpack
import pytest

from plantgate_shared.protocol import frames
from plantgate_shared.protocol.errors import (
    FrameTooLong,
    LocalProtocolError,
    MalformedFrame,
    RemoteProtocolError,
    UnknownFrame,
)
from plantgate_shared.protocol.frames import GoAwayReason, ResetReason
from plantgate_shared.protocol.limits import MAX_CONTROL, MAX_DATA, MAX_DATAGRAMS, MAX_MESSAGE, MAX_TARGET

EXAMPLES = [
    frames.Open(1, {"host": "192.168.1.10", "port": 80}),
    frames.Accept(2),
    frames.Data(2**31 - 1, b"x" * MAX_DATA),
    frames.Eof(4),
    frames.Reset(5, ResetReason.NOT_ALLOWED),
    frames.Credit(0, 2**31 - 1),
    frames.Credit(6, 1),
    frames.Datagrams(1420, b"d" * MAX_DATAGRAMS),
    frames.Control({"type": "x", "list": (1, 2, {"deep": None})}),
    frames.Ping(b"12345678"),
    frames.Pong(b""),
    frames.GoAway(GoAwayReason.DRAINING, "node b is next"),
]


@pytest.mark.parametrize("frame", EXAMPLES, ids=lambda frame: type(frame).__name__)
def test_a_frame_survives_the_wire(frame):
    assert frames.decode(frames.encode(frame)) == frame


def test_every_type_has_an_example():
    assert {type(frame) for frame in EXAMPLES} == set(frames.Frame.__args__)


def test_data_encoded_from_parts_is_the_same_frame():
    message = frames.encode_data(70_000, [b"abc", memoryview(b"defgh")[:2], bytearray(b"z")], 6)
    assert frames.decode(message) == frames.Data(70_000, b"abcdez")


def test_datagrams_encoded_from_a_buffer_are_the_same_frame():
    assert frames.decode(frames.encode_datagrams(2, memoryview(b"aabbc"))) == frames.Datagrams(2, b"aabbc")


@pytest.mark.parametrize(("segment_size", "data"), [(1, b""), (0, b"a"), (2, b"a"), (1, bytes(MAX_DATAGRAMS + 1))])
def test_a_batch_that_is_none_is_our_mistake(segment_size, data):
    with pytest.raises(LocalProtocolError):
        frames.encode_datagrams(segment_size, data)


@pytest.mark.parametrize(
    ("items", "error", "says"),
    [
        ("text", MalformedFrame, "not an array"),
        ([], MalformedFrame, "not an array"),
        ([True, 1], MalformedFrame, "not an array"),
        ([99, 1], UnknownFrame, "no frame type 99"),
        ([10**18], UnknownFrame, "no frame type 1000000000000000000"),
        ([2], MalformedFrame, "ACCEPT frame has 2 items, not 1"),
        ([4, 1, 1], MalformedFrame, "EOF frame has 2 items, not 3"),
        ([2, 0], MalformedFrame, "0 is not a stream id"),
        ([2, -1], MalformedFrame, "-1 is not a stream id"),
        ([2, True], MalformedFrame, "True is not a stream id"),
        ([3, 2**31, b"a"], MalformedFrame, "2147483648 is not a stream id"),
        ([3, 1, "text"], MalformedFrame, "must be bytes"),
        ([3, 1, b""], MalformedFrame, "DATA without bytes"),
        ([3, 1, bytes(MAX_DATA + 1)], FrameTooLong, "65537 bytes is longer than 65536"),
        ([1, 1, [1]], MalformedFrame, "OPEN must hold a map"),
        ([1, 1, {b"k": 1}], MalformedFrame, "must be text"),
        ([1, 1, {"host": "h" * (MAX_TARGET + 20)}], FrameTooLong, "OPEN frame of"),
        ([5, 1, 7], MalformedFrame, "the reason of RESET must be text, not 7"),
        ([5, 1, "r" * 65], FrameTooLong, "65 characters"),
        ([6, 1, 0], MalformedFrame, "0 is not an amount of credit"),
        ([6, 1, 2**31], MalformedFrame, "not an amount of credit"),
        ([6, True, 5], MalformedFrame, "True is not a stream id"),
        ([7, 0, b"a"], MalformedFrame, "0 is not the size of a datagram"),
        ([7, 2, b"a"], MalformedFrame, "2 is not the size of a datagram in a batch of 1"),
        ([7, 1, b""], MalformedFrame, "DATAGRAMS without bytes"),
        ([8, [1]], MalformedFrame, "CONTROL must hold a map"),
        ([9, b"p" * 65], FrameTooLong, "PING"),
        ([11, "shutdown", None], MalformedFrame, "detail of GOAWAY must be text, not None"),
    ],
)
def test_what_is_no_frame_is_named(items, error, says):
    with pytest.raises(error, match=says):
        frames.decode(msgpack.packb(items))


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xc1",
        b"\x93\x03",
        b"\x92\x02\x01trailing",
        b"\x92\x08\x81\xa1\xff\x01",  # text that is not UTF-8
        b"\x92\x08\xd6\xff\x00\x00\x00\x00",  # a timestamp
        b"\x91" * 3000 + b"\x01",  # nested beyond what msgpack follows
        b"\xdd\x7f\xff\xff\xff",  # an array that claims two thousand million items
        b"\xdf\x7f\xff\xff\xff",
        b"\x92\x08\x81\x91\x01\x01",  # a map whose key is an array
        bytes(MAX_MESSAGE + 1),
    ],
)
def test_bytes_that_are_no_frame_raise_only_protocol_errors(message):
    with pytest.raises(RemoteProtocolError):
        frames.decode(message)


def test_a_short_message_cannot_claim_memory():
    """msgpack allocates what an array's header claims; nested claims must stay small in total."""
    claims = b"\xdc\xff\xff" * 400
    with pytest.raises(MalformedFrame):
        frames.decode(claims)


def test_the_longest_control_message_fits():
    size = MAX_CONTROL - 20
    assert len(frames.encode(frames.Control({"k": "v" * size}))) <= MAX_MESSAGE
    with pytest.raises(LocalProtocolError, match="CONTROL frame of"):
        frames.encode(frames.Control({"k": "v" * (MAX_CONTROL + 20)}))


@pytest.mark.parametrize(
    "frame",
    [frames.Accept(0), frames.Open(1, {"x": object()}), frames.Ping(b"p" * 65), frames.Open(1, {"x": 2**70})],
)
def test_a_frame_that_the_peer_would_refuse_is_our_mistake(frame):
    with pytest.raises(LocalProtocolError):
        frames.encode(frame)


def test_reasons_of_a_newer_peer_are_tolerated():
    assert frames.decode(msgpack.packb([5, 1, "sunspots"])) == frames.Reset(1, ResetReason.OTHER)
    assert frames.decode(msgpack.packb([11, "sunspots", ""])) == frames.GoAway(GoAwayReason.OTHER, "")
