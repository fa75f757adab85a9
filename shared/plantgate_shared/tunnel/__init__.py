"""The tunnel as asyncio sees it: `TunnelConnection` and `TunnelStream` over any channel of messages.

The rules are in `protocol.mux`; here are only tasks and waiters. Three tasks run a connection: one receives, one sends
(so that small writes of one turn of the loop leave as one frame, and everybody waits for the channel in one place), one
watches for silence. `run()` ends with a `TunnelEnd` that says why, and then everyone who waited has been woken with a
TunnelClosed that carries it.
"""

from .channel import (
    CLOSE_TIMEOUT,
    UNSENT_BYTES,
    ConnectionClosed,
    EndCause,
    MessageChannel,
    StreamReset,
    TunnelClosed,
    TunnelEnd,
)
from .connection import ControlHandler, DatagramHandler, StreamHandler, TunnelConnection
from .stream import Target, TunnelStream

__all__ = [
    "CLOSE_TIMEOUT",
    "UNSENT_BYTES",
    "ConnectionClosed",
    "ControlHandler",
    "DatagramHandler",
    "EndCause",
    "MessageChannel",
    "StreamHandler",
    "StreamReset",
    "Target",
    "TunnelClosed",
    "TunnelConnection",
    "TunnelEnd",
    "TunnelStream",
]
