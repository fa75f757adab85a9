"""Two MessageChannels joined by bounded queues in memory, with a switch to cut or hold them."""

import asyncio

from plantgate_shared.tunnel import ConnectionClosed

CAPACITY = 4
"""Messages under way in one direction: few, so that backpressure is met in every test."""


class MemoryChannel:
    """One end. `sent` keeps a copy of every message for asserts when `record` is set."""

    def __init__(self, outgoing: asyncio.Queue[bytes], incoming: asyncio.Queue[bytes], cut: asyncio.Event) -> None:
        self._outgoing = outgoing
        self._incoming = incoming
        self._cut = cut
        self.record = False
        self.sent: list[bytes] = []
        self.flowing = asyncio.Event()
        """Cleared: nothing this end sends gets through, as on a dead line."""
        self.flowing.set()

    async def send(self, message: bytes) -> None:
        await self._unless_cut(self.flowing.wait())
        if self.record:
            self.sent.append(message)
        await self._unless_cut(self._outgoing.put(message))

    async def receive(self) -> bytes:
        return await self._unless_cut(self._incoming.get())

    async def close(self) -> None:
        self._cut.set()

    async def _unless_cut(self, work):
        task = asyncio.ensure_future(work)
        cut = asyncio.ensure_future(self._cut.wait())
        try:
            await asyncio.wait({task, cut}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise ConnectionClosed("the line was cut")
        finally:
            task.cancel()
            cut.cancel()


def channel_pair() -> tuple[MemoryChannel, MemoryChannel]:
    """Two ends of one channel; closing either cuts both."""
    there: asyncio.Queue[bytes] = asyncio.Queue(CAPACITY)
    back: asyncio.Queue[bytes] = asyncio.Queue(CAPACITY)
    cut = asyncio.Event()
    return MemoryChannel(there, back, cut), MemoryChannel(back, there, cut)
