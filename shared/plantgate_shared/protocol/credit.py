"""The credit that we give: how much the peer may still send, and when it gets more."""

from .limits import Limits
from .outbox import Outbox
from .stream import StreamRecord

CONNECTION = 0
"""The stream id that stands for the whole connection in CREDIT frames."""


class CreditGiver:
    """The connection's credit, and the spare bytes by which the windows of streams may grow."""

    __slots__ = ("_limits", "_outbox", "left", "spare", "ungranted")

    def __init__(self, limits: Limits, outbox: Outbox) -> None:
        self._limits = limits
        self._outbox = outbox
        self.left = limits.connection_credit
        """Bytes that the peer may still send, all streams together."""
        self.ungranted = 0
        """Bytes consumed, and not yet given back."""
        self.spare = limits.spare

    def give_back(self, size: int) -> bool:
        """Return connection credit, in steps; whether a step is full."""
        self.ungranted += size
        if self.ungranted < self._limits.connection_credit_step:
            return False
        self.left += self.ungranted
        self._outbox.grant(CONNECTION, self.ungranted)
        self.ungranted = 0
        return True

    def grant(self, record: StreamRecord) -> None:
        """Give a stream new credit. Its window grows when its reader has read nearly all: then it is the network that
        it waits for. It gets at most half of what is spare, so that many slow streams together cannot take all."""
        if record.unread * 4 <= record.window:
            extra = min(record.window, self._limits.max_stream_credit - record.window, self.spare // 2)
            self.spare -= extra
            record.window += extra
            record.ungranted += extra
        record.credit_in += record.ungranted
        self._outbox.grant(record.id, record.ungranted)
        record.ungranted = 0

    def take_window_back(self, record: StreamRecord) -> None:
        """The stream is over: what its window had grown by is spare again."""
        self.spare += record.window - self._limits.stream_credit
