"""Places for connections that have not proved who they are: few, for a short time, and shared fairly."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Unproved:
    """At most `limit` connections at once, each for at most `seconds`.

    When all places are taken, the newcomer gets the place of the oldest connection from the address that holds most. A
    flood so pushes out itself: an honest agent, which needs its place for two round trips, keeps it. Refusing
    newcomers instead would let anybody lock all agents out with `limit` idle connections every `seconds`.
    """

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._places: dict[asyncio.Timeout, str] = {}
        self.pushed_out = 0

    def __len__(self) -> int:
        return len(self._places)

    @asynccontextmanager
    async def place(self, address: str) -> AsyncIterator[None]:
        """Raises TimeoutError from inside when the time is up or the place went to another."""
        if len(self._places) >= self._limit:
            self._push_one_out()
        async with asyncio.timeout(self._seconds) as timeout:
            self._places[timeout] = address
            try:
                yield
            finally:
                self._places.pop(timeout, None)

    def _push_one_out(self) -> None:
        busiest = Counter(self._places.values()).most_common(1)[0][0]
        oldest = next(timeout for timeout, address in self._places.items() if address == busiest)
        del self._places[oldest]  # its place is free from now on, before its task has noticed
        oldest.reschedule(asyncio.get_running_loop().time())
        self.pushed_out += 1
