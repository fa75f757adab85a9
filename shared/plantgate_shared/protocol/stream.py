"""What the multiplexer keeps of one stream: state, credit both ways, bytes that wait to be sent."""

from .buffer import ByteQueue
from .states import STREAM_TRANSITIONS, StreamEvent, StreamState


class StreamRecord:
    """One live stream. `TunnelMux` is its only user."""

    __slots__ = (
        "blocked",
        "credit_in",
        "credit_out",
        "eof_queued",
        "id",
        "out",
        "scheduled",
        "state",
        "ungranted",
        "unread",
        "window",
    )

    def __init__(self, stream: int, credit: int) -> None:
        self.id = stream
        self.state = StreamState.IDLE
        # towards the peer
        self.out = ByteQueue()
        """Accepted from our side and not yet on the wire."""
        self.credit_out = credit
        """Bytes that we may still accept; `out` is paid for already."""
        self.eof_queued = False
        self.scheduled = False
        """It is in the round robin."""
        self.blocked = False
        """Our side was told to wait."""
        # from the peer: credit_in + unread + ungranted == window
        self.window = credit
        self.credit_in = credit
        """Bytes that the peer may still send."""
        self.unread = 0
        """Bytes handed to our side and not yet consumed."""
        self.ungranted = 0
        """Bytes consumed, and not yet given back as credit."""

    def allows(self, event: StreamEvent) -> bool:
        return event in STREAM_TRANSITIONS[self.state]

    def apply(self, event: StreamEvent) -> None:
        self.state = STREAM_TRANSITIONS[self.state][event]
