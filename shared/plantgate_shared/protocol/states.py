"""The life of a stream, as a table.

Rules that may be broken by either side are stated once, here, and both directions of every rule are in the table: what
we may send (`SEND_…`, else LocalProtocolError) and what the peer may send (`RECV_…`, else the stream is reset).

A stream is two byte streams between the same two ends, one each way, that are opened together and end independently:

- One side asks (OPEN), the other dials and then says yes (ACCEPT) or no (RESET). No data before ACCEPT: the one who
  asks learns first whether the device answers, and nothing has to be kept for a device that never does.
- EOF ends one direction (half-close, RFC 9293 3.6): HTTP/1.0 devices and many line protocols end a request or an answer
  like that. The other direction goes on. Two EOFs close the stream.
- RESET ends both directions at once and discards what is under way. Either side may send it in any state.

The two ends see a stream in different states while frames travel. So a closed stream may still get what the peer sent
before it heard of the end; the table has these **late frames** as transitions of CLOSED to itself: they are ignored
(the bytes of DATA go back to the connection's credit). RFC 9113 5.1 has the same rule. Ids are never used again and
follow one another without gaps, so 'closed' and 'never opened' can be told apart without remembering anything.

States follow what went over the wire: data that is buffered behind a full channel keeps the stream out of
HALF_CLOSED_LOCAL until its EOF has really been handed over.

CREDIT changes no state: it is legal on any stream that was opened, and ignored where nothing more will be sent.
"""

from collections.abc import Mapping
from enum import StrEnum


class StreamState(StrEnum):
    IDLE = "idle"
    """Never opened."""
    OPENING = "opening"
    """We asked and wait for the answer."""
    OFFERED = "offered"
    """The peer asked and waits for our answer."""
    OPEN = "open"
    HALF_CLOSED_LOCAL = "half closed (local)"
    """We said EOF; the peer may still send."""
    HALF_CLOSED_REMOTE = "half closed (remote)"
    """The peer said EOF; we may still send."""
    CLOSED = "closed"


class StreamEvent(StrEnum):
    SEND_OPEN = "send OPEN"
    RECV_OPEN = "recv OPEN"
    SEND_ACCEPT = "send ACCEPT"
    RECV_ACCEPT = "recv ACCEPT"
    SEND_DATA = "send DATA"
    RECV_DATA = "recv DATA"
    SEND_EOF = "send EOF"
    RECV_EOF = "recv EOF"
    SEND_RESET = "send RESET"
    RECV_RESET = "recv RESET"


_S = StreamState
_E = StreamEvent

STREAM_TRANSITIONS: Mapping[StreamState, Mapping[StreamEvent, StreamState]] = {
    _S.IDLE: {
        _E.SEND_OPEN: _S.OPENING,
        _E.RECV_OPEN: _S.OFFERED,
    },
    _S.OPENING: {
        _E.RECV_ACCEPT: _S.OPEN,
        _E.RECV_RESET: _S.CLOSED,
        _E.SEND_RESET: _S.CLOSED,
    },
    _S.OFFERED: {
        _E.SEND_ACCEPT: _S.OPEN,
        _E.SEND_RESET: _S.CLOSED,
        _E.RECV_RESET: _S.CLOSED,
    },
    _S.OPEN: {
        _E.SEND_DATA: _S.OPEN,
        _E.RECV_DATA: _S.OPEN,
        _E.SEND_EOF: _S.HALF_CLOSED_LOCAL,
        _E.RECV_EOF: _S.HALF_CLOSED_REMOTE,
        _E.SEND_RESET: _S.CLOSED,
        _E.RECV_RESET: _S.CLOSED,
    },
    _S.HALF_CLOSED_LOCAL: {
        _E.RECV_DATA: _S.HALF_CLOSED_LOCAL,
        _E.RECV_EOF: _S.CLOSED,
        _E.SEND_RESET: _S.CLOSED,
        _E.RECV_RESET: _S.CLOSED,
    },
    _S.HALF_CLOSED_REMOTE: {
        _E.SEND_DATA: _S.HALF_CLOSED_REMOTE,
        _E.SEND_EOF: _S.CLOSED,
        _E.SEND_RESET: _S.CLOSED,
        _E.RECV_RESET: _S.CLOSED,
    },
    _S.CLOSED: {  # late frames
        _E.RECV_ACCEPT: _S.CLOSED,
        _E.RECV_DATA: _S.CLOSED,
        _E.RECV_EOF: _S.CLOSED,
        _E.RECV_RESET: _S.CLOSED,
    },
}

MAY_SEND_DATA = frozenset(state for state, row in STREAM_TRANSITIONS.items() if row.get(StreamEvent.SEND_DATA) is state)
"""States in which DATA goes out; it changes none of them."""

MAY_RECEIVE_DATA = frozenset(
    state
    for state, row in STREAM_TRANSITIONS.items()
    if row.get(StreamEvent.RECV_DATA) is state and state is not StreamState.CLOSED
)
"""States in which DATA comes in and counts; it changes none of them."""
