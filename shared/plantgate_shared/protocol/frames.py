"""Frames of the tunnel: typed values <-> one msgpack message each.

A frame is a msgpack array whose first item is its type:

    [1, stream, target]           OPEN       ask for a stream to `target` (a map)
    [2, stream]                   ACCEPT     the stream may be used
    [3, stream, bytes]            DATA       1 to 65,536 bytes
    [4, stream]                   EOF        the sender will send no more data on it
    [5, stream, reason]           RESET      the stream is over, both ways
    [6, stream, n]                CREDIT     n more bytes may be sent; stream 0 is the connection
    [7, segment_size, bytes]      DATAGRAMS  datagrams of equal size but the last, end to end
    [8, map]                      CONTROL    see protocol.control
    [9, bytes]                    PING       answered by a PONG with the same bytes
    [10, bytes]                   PONG
    [11, reason, detail]          GOAWAY     the last frame of a connection

`decode` is strict: exactly these fields, of exactly these types, within `limits`. What is new comes with a new version
of the websocket subprotocol, or inside the maps of OPEN and CONTROL, where unknown keys are allowed.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

import msgpack

from .errors import FrameTooLong, LocalProtocolError, MalformedFrame, RemoteProtocolError, UnknownFrame
from .limits import (
    MAX_CONTROL,
    MAX_CREDIT,
    MAX_DATA,
    MAX_DATAGRAMS,
    MAX_DETAIL,
    MAX_ITEMS,
    MAX_MESSAGE,
    MAX_PING,
    MAX_REASON,
    MAX_STREAM_ID,
    MAX_TARGET,
)

SUBPROTOCOL = "plantgate.tunnel.v1"
"""Name of the websocket subprotocol: the version of everything in this package."""

Buffer = bytes | bytearray | memoryview


class FrameType(IntEnum):
    OPEN = 1
    ACCEPT = 2
    DATA = 3
    EOF = 4
    RESET = 5
    CREDIT = 6
    DATAGRAMS = 7
    CONTROL = 8
    PING = 9
    PONG = 10
    GOAWAY = 11


class ResetReason(StrEnum):
    """Why a stream ended before both sides had said EOF."""

    REFUSED = "refused"
    """The device answered that nothing listens there (or the peer takes no streams)."""
    UNREACHABLE = "unreachable"
    """No route, no ARP answer, network down."""
    TIMEOUT = "timeout"
    """Nobody answered in time."""
    NOT_ALLOWED = "not allowed"
    """Outside the boundary, or not among the approved web targets."""
    CANCELLED = "cancelled"
    """The one who wanted it does not want it any more."""
    PROTOCOL_ERROR = "protocol error"
    """A frame that the stream's state does not allow."""
    TOO_MANY = "too many streams"
    GONE = "gone"
    """The other end of the carried connection broke."""
    FAILED = "failed"
    """An internal error; the peer's log has it."""
    OTHER = "other"
    """A reason that this version does not know."""


class GoAwayReason(StrEnum):
    """Why a connection ends."""

    SHUTDOWN = "shutdown"
    REPLACED = "replaced"
    """A newer connection of the same agent took over."""
    REVOKED = "revoked"
    """The agent may not be connected any more."""
    DRAINING = "draining"
    """The node is being emptied: connect to another."""
    TIMEOUT = "timeout"
    """The peer did not answer in time."""
    PROTOCOL_ERROR = "protocol error"
    OTHER = "other"
    """A reason that this version does not know."""


@dataclass(frozen=True, slots=True)
class Open:
    stream: int
    target: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Accept:
    stream: int


@dataclass(frozen=True, slots=True)
class Data:
    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Eof:
    stream: int


@dataclass(frozen=True, slots=True)
class Reset:
    stream: int
    reason: ResetReason


@dataclass(frozen=True, slots=True)
class Credit:
    stream: int
    """0: the connection."""
    size: int


@dataclass(frozen=True, slots=True)
class Datagrams:
    segment_size: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Control:
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ping:
    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    payload: bytes


@dataclass(frozen=True, slots=True)
class GoAway:
    reason: GoAwayReason
    detail: str = ""


Frame = Open | Accept | Data | Eof | Reset | Credit | Datagrams | Control | Ping | Pong | GoAway


# --- encoding ---------------------------------------------------------------------------------------------------------


def encode(frame: Frame) -> bytes:
    """The message of `frame`. Raises LocalProtocolError when `decode` would not take it."""
    kind = _TYPES[type(frame)]
    fields = [getattr(frame, name) for name in type(frame).__slots__]
    try:
        message: bytes = msgpack.packb([int(kind), *fields], default=_plain)
        decode(message)
    except RemoteProtocolError as error:
        raise LocalProtocolError(f"this {kind.name} frame breaks the protocol: {error}") from None
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise LocalProtocolError(f"this {kind.name} frame cannot be encoded: {error}") from None
    return message


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no place in a frame")


_BULK_HEADER = struct.Struct(">3sIcI")
"""An array of three: its type, a number as uint 32, the mark and length of a bin 32; the payload follows. We
always send this form, so that the receiver can tell it by its first bytes; `decode` takes every form of msgpack."""
_DATA_MARK = b"\x93\x03\xce"
_DATAGRAMS_MARK = b"\x93\x07\xce"
_BIN32 = b"\xc6"


def encode_data(stream: int, parts: Sequence[Buffer], size: int) -> bytes:
    """The message of a DATA frame whose payload is `parts`, `size` bytes long: one join, no other copy."""
    return b"".join((_BULK_HEADER.pack(_DATA_MARK, stream, _BIN32, size), *parts))


def encode_credit(stream: int, size: int) -> bytes:
    """The message of a CREDIT frame that is right by its making."""
    message: bytes = msgpack.packb((6, stream, size))
    return message


def encode_datagrams(segment_size: int, data: Buffer) -> bytes:
    """The message of a DATAGRAMS frame, with the same care about copies. Raises LocalProtocolError."""
    size = len(data)
    if not 0 < size <= MAX_DATAGRAMS or not 0 < segment_size <= size:
        raise LocalProtocolError(f"{size} bytes in datagrams of {segment_size} are no batch")
    return b"".join((_BULK_HEADER.pack(_DATAGRAMS_MARK, segment_size, _BIN32, size), data))


# --- decoding ---------------------------------------------------------------------------------------------------------


def decode(message: Buffer) -> Frame:
    """The frame in `message`. Raises RemoteProtocolError, whatever the bytes are."""
    if len(message) > MAX_MESSAGE:
        raise FrameTooLong(f"a message of {len(message)} bytes is longer than {MAX_MESSAGE}")
    try:
        items = msgpack.unpackb(message, use_list=False, max_array_len=MAX_ITEMS, max_map_len=MAX_ITEMS, max_ext_len=0)
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as error:
        raise MalformedFrame(f"the message is not msgpack: {error or type(error).__name__}") from None
    if type(items) is not tuple or not items or type(items[0]) is not int:
        raise MalformedFrame("the message is not an array that starts with a frame type")
    form = _FORMS.get(items[0])
    if form is None:
        raise UnknownFrame(f"there is no frame type {_show(items[0])}", hint="the peer may be newer than this side")
    decoder, length, limit = form
    if len(items) != length:
        raise MalformedFrame(f"a {FrameType(items[0]).name} frame has {length} items, not {len(items)}")
    if len(message) > limit:
        raise FrameTooLong(f"a {FrameType(items[0]).name} frame of {len(message)} bytes is longer than {limit}")
    return decoder(*items[1:])


def split_data(message: bytes) -> tuple[int, bytes] | None:
    """Stream and payload of a DATA frame in the form that `encode_data` writes; None for all else, which `decode` has
    to judge. Bulk data is most of what a tunnel carries, and this takes half of the time."""
    payload_size = len(message) - _BULK_HEADER.size
    if not 0 < payload_size <= MAX_DATA:
        return None
    mark, stream, kind, size = _BULK_HEADER.unpack_from(message)
    if mark != _DATA_MARK or kind != _BIN32 or size != payload_size or not 0 < stream <= MAX_STREAM_ID:
        return None
    return stream, message[_BULK_HEADER.size :]


def _data(stream: object, data: object) -> Data:
    if type(stream) is not int or not 0 < stream <= MAX_STREAM_ID:
        raise MalformedFrame(f"{_show(stream)} is not a stream id")
    if type(data) is not bytes:
        raise MalformedFrame("the data of DATA must be bytes")
    _check_size("DATA", len(data), MAX_DATA)
    return Data(stream, data)


def _datagrams(segment_size: object, data: object) -> Datagrams:
    if type(data) is not bytes:
        raise MalformedFrame("the data of DATAGRAMS must be bytes")
    _check_size("DATAGRAMS", len(data), MAX_DATAGRAMS)
    if type(segment_size) is not int or not 0 < segment_size <= len(data):
        raise MalformedFrame(f"{_show(segment_size)} is not the size of a datagram in a batch of {len(data)} bytes")
    return Datagrams(segment_size, data)


def _open(stream: object, target: object) -> Open:
    return Open(_stream(stream), _map("OPEN", target))


def _accept(stream: object) -> Accept:
    return Accept(_stream(stream))


def _eof(stream: object) -> Eof:
    return Eof(_stream(stream))


def _reset(stream: object, reason: object) -> Reset:
    text = _text("the reason of RESET", reason, MAX_REASON)
    return Reset(_stream(stream), ResetReason(text) if text in _RESET_REASONS else ResetReason.OTHER)


def _credit(stream: object, size: object) -> Credit:
    if type(size) is not int or not 0 < size <= MAX_CREDIT:
        raise MalformedFrame(f"{_show(size)} is not an amount of credit")
    return Credit(0 if type(stream) is int and stream == 0 else _stream(stream), size)


def _control(message: object) -> Control:
    return Control(_map("CONTROL", message))


def _ping(payload: object) -> Ping:
    return Ping(_ping_payload(payload))


def _pong(payload: object) -> Pong:
    return Pong(_ping_payload(payload))


def _goaway(reason: object, detail: object) -> GoAway:
    text = _text("the reason of GOAWAY", reason, MAX_REASON)
    known = GoAwayReason(text) if text in _GOAWAY_REASONS else GoAwayReason.OTHER
    return GoAway(known, _text("the detail of GOAWAY", detail, MAX_DETAIL))


def _stream(value: object) -> int:
    if type(value) is not int or not 0 < value <= MAX_STREAM_ID:
        raise MalformedFrame(f"{_show(value)} is not a stream id")
    return value


def _text(what: str, value: object, limit: int) -> str:
    if type(value) is not str:
        raise MalformedFrame(f"{what} must be text, not {_show(value)}")
    if len(value) > limit:
        raise FrameTooLong(f"{what} has {len(value)} characters, more than {limit}")
    return value


def _map(what: str, value: object) -> dict[str, Any]:
    if type(value) is not dict:
        raise MalformedFrame(f"{what} must hold a map, not {_show(value)}")
    if not all(type(key) is str for key in value):
        raise MalformedFrame(f"the keys of {what}'s map must be text")
    return value


def _ping_payload(value: object) -> bytes:
    if type(value) is not bytes:
        raise MalformedFrame(f"the payload of PING and PONG must be bytes, not {_show(value)}")
    if len(value) > MAX_PING:
        raise FrameTooLong(f"a PING or PONG of {len(value)} bytes is longer than {MAX_PING}")
    return value


def _check_size(what: str, size: int, limit: int) -> None:
    if size > limit:
        raise FrameTooLong(f"{what} with {size} bytes is longer than {limit}")
    if size == 0:
        raise MalformedFrame(f"{what} without bytes")


def _show(value: object) -> str:
    text = repr(value) if isinstance(value, int | float | str | bytes | None) else type(value).__name__
    return text if len(text) <= 40 else f"{text[:37]}..."


_RESET_REASONS = frozenset(ResetReason)
_GOAWAY_REASONS = frozenset(GoAwayReason)

_TYPES: dict[type, FrameType] = {
    Open: FrameType.OPEN,
    Accept: FrameType.ACCEPT,
    Data: FrameType.DATA,
    Eof: FrameType.EOF,
    Reset: FrameType.RESET,
    Credit: FrameType.CREDIT,
    Datagrams: FrameType.DATAGRAMS,
    Control: FrameType.CONTROL,
    Ping: FrameType.PING,
    Pong: FrameType.PONG,
    GoAway: FrameType.GOAWAY,
}

_HEADER = 16
"""At least the bytes that surround a frame's payload."""

_FORMS: dict[int, tuple[Callable[..., Frame], int, int]] = {  # decoder, items, bytes at most
    FrameType.OPEN: (_open, 3, MAX_TARGET + _HEADER),
    FrameType.ACCEPT: (_accept, 2, _HEADER),
    FrameType.DATA: (_data, 3, MAX_DATA + _HEADER),
    FrameType.EOF: (_eof, 2, _HEADER),
    FrameType.RESET: (_reset, 3, 4 * MAX_REASON + _HEADER),
    FrameType.CREDIT: (_credit, 3, 2 * _HEADER),
    FrameType.DATAGRAMS: (_datagrams, 3, MAX_DATAGRAMS + _HEADER),
    FrameType.CONTROL: (_control, 2, MAX_CONTROL + _HEADER),
    FrameType.PING: (_ping, 2, MAX_PING + _HEADER),
    FrameType.PONG: (_pong, 2, MAX_PING + _HEADER),
    FrameType.GOAWAY: (_goaway, 3, 4 * (MAX_REASON + MAX_DETAIL) + _HEADER),
}
