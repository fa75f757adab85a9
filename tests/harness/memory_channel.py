"""Two MessageChannels joined by bounded queues in memory, with switches to hold and to cut the line."""

import asyncio
from collections import deque

from plantgate_shared.tunnel import ConnectionClosed

CAPACITY = 4
"""Messages under way in one direction before `send` waits: few, so that every test meets backpressure."""


class _Line:
    """What both ends share."""

    def __init__(self) -> None:
        self.cut = False
        self.changed = asyncio.Event()

    async def change(self) -> None:
        self.changed.clear()
        await self.changed.wait()


class MemoryChannel:
    """One end of a line."""

    def __init__(self, line: _Line, outgoing: deque[bytes], incoming: deque[bytes]) -> None:
        self.sent: list[bytes] = []
        """A copy of all that was sent, for asserts; set `record`."""
        self.record = False
        self.held = False
        """Set: what this end sends waits on the way, as on a dead line. See `hold`."""
        self.peer: MemoryChannel
        self._line = line
        self._outgoing = outgoing
        self._incoming = incoming

    async def send(self, message: bytes) -> None:
        if self._line.cut:
            raise ConnectionClosed("the line was cut")
        if self.record:
            self.sent.append(message)
        self._outgoing.append(message)
        self._line.changed.set()
        while len(self._outgoing) > CAPACITY and not self._line.cut:
            await self._line.change()

    async def receive(self) -> bytes:
        while not self._incoming or self.peer.held:
            if self._line.cut:
                raise ConnectionClosed("the line was cut")
            await self._line.change()
        message = self._incoming.popleft()
        self._line.changed.set()
        return message

    async def close(self) -> None:
        self._line.cut = True
        self._line.changed.set()

    def hold(self, held: bool) -> None:
        """Stop or start what this end sends."""
        self.held = held
        self._line.changed.set()


def channel_pair() -> tuple[MemoryChannel, MemoryChannel]:
    """Two ends of one line; closing either cuts it for both, after what is under way."""
    line, there, back = _Line(), deque[bytes](), deque[bytes]()
    one, two = MemoryChannel(line, there, back), MemoryChannel(line, back, there)
    one.peer, two.peer = two, one
    return one, two
