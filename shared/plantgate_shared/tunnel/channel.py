"""What a tunnel runs on, and how it and its streams end."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from ..errors import PlantgateError
from ..protocol.frames import GoAwayReason, ResetReason

CLOSE_TIMEOUT = 2.0
"""Seconds for the last frame and for the channel's own farewell: a dead peer must not hold us longer."""

UNSENT_BYTES = 256 * 1024
"""TCP_NOTSENT_LOWAT for channels: bulk data waits here, where urgent frames overtake it, and not in the kernel, whose
send buffer holds seconds of it on a thin uplink."""


class ConnectionClosed(PlantgateError):
    """The channel has ended: raised by `MessageChannel`."""


class MessageChannel(Protocol):
    """What a tunnel runs on: whole messages, in order, both ways. A websocket, or a pair of queues in tests."""

    async def send(self, message: bytes) -> None:
        """Take a message, then wait while the channel is full. It must take the message before it waits for the first
        time: a caller that is cancelled while it waits has sent it. Raises ConnectionClosed."""

    async def receive(self) -> bytes:
        """The next message. Raises ConnectionClosed."""

    async def close(self) -> None:
        """End it, within a bounded time; never raises for a channel that has ended already."""


class EndCause(StrEnum):
    """Who or what ended a tunnel."""

    LOCAL = "closed by this side"
    PEER = "closed by the peer"
    LOST = "connection lost"
    SILENT = "the peer went silent"
    BROKEN = "the peer broke the protocol"


@dataclass(frozen=True, slots=True)
class TunnelEnd:
    """Why a tunnel ended."""

    cause: EndCause
    reason: GoAwayReason = GoAwayReason.OTHER
    """What the GOAWAY said, ours or the peer's."""
    detail: str = ""

    def __str__(self) -> str:
        said = f": {self.reason}" if self.cause in (EndCause.LOCAL, EndCause.PEER) else ""
        return f"{self.cause}{said}" + (f" ({self.detail})" if self.detail else "")


class TunnelClosed(PlantgateError):
    """The tunnel is over, and with it every stream."""

    http_status = 503

    def __init__(self, end: TunnelEnd) -> None:
        super().__init__(f"the tunnel is over: {end}")
        self.end = end


class StreamReset(PlantgateError):
    """The stream ended before its time."""

    http_status = 502

    def __init__(self, reason: ResetReason, detail: str = "") -> None:
        super().__init__(f"the stream was reset: {reason}" + (f" ({detail})" if detail else ""))
        self.reason = reason
        self.detail = detail
