"""The tunnel protocol, sans I/O: frames, stream states, the multiplexer, control messages."""

from .errors import LocalProtocolError, RemoteProtocolError
from .frames import SUBPROTOCOL, GoAwayReason, ResetReason
from .limits import MAX_MESSAGE, Limits
from .mux import TunnelMux
from .role import Role

__all__ = [
    "MAX_MESSAGE",
    "SUBPROTOCOL",
    "GoAwayReason",
    "Limits",
    "LocalProtocolError",
    "RemoteProtocolError",
    "ResetReason",
    "Role",
    "TunnelMux",
]
