"""What a TunnelMux tells its owner."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .frames import GoAwayReason, ResetReason


@dataclass(frozen=True, slots=True)
class StreamOffered:
    """The peer asks for a stream: answer with `accept_stream` or `reset_stream`."""

    stream: int
    target: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StreamAccepted:
    stream: int


@dataclass(frozen=True, slots=True)
class DataReceived:
    """Bytes of a stream. They count against its credit until `data_consumed` is called."""

    stream: int
    data: bytes


@dataclass(frozen=True, slots=True)
class EofReceived:
    stream: int


@dataclass(frozen=True, slots=True)
class StreamWasReset:
    """The stream is over. What was received and not consumed is void, and its credit is given back already."""

    stream: int
    reason: ResetReason
    detail: str = ""
    """Set when it was this side that found a protocol error."""


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """Both EOFs have gone over the wire: nothing more will be heard of this stream."""

    stream: int


@dataclass(frozen=True, slots=True)
class StreamWritable:
    """`send_data` took less than it was given; now it will take more."""

    stream: int


@dataclass(frozen=True, slots=True)
class DatagramsReceived:
    segment_size: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ControlReceived:
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PongReceived:
    payload: bytes


@dataclass(frozen=True, slots=True)
class GoAwayReceived:
    """The peer ends the connection; every stream is over."""

    reason: GoAwayReason
    detail: str


Event = (
    StreamOffered
    | StreamAccepted
    | DataReceived
    | EofReceived
    | StreamWasReset
    | StreamClosed
    | StreamWritable
    | DatagramsReceived
    | ControlReceived
    | PongReceived
    | GoAwayReceived
)
