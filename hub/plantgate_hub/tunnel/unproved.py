"""Places for connections that have not proved who they are: few, for a short time, and shared fairly."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class NoPlace(Exception):
    """All places are taken by others with as good a right to them."""


class Unproved:
    """At most `limit` connections at once, each for at most `seconds`.

    When all places are taken, a newcomer gets one from the address that holds most: at once if it holds fewer itself,
    so that a flood from some addresses does not keep others out, and otherwise only once the oldest there is older than
    `grace`, which an honest agent needs for its two round trips. Else the newcomer is sent away: when all agents come
    back at once, those under way must finish, or nobody would.
    """

    def __init__(self, limit: int, seconds: float, grace: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._grace = grace
        self._places: dict[asyncio.Timeout, tuple[str, float]] = {}  # address and since when, oldest first
        self._held: Counter[str] = Counter()
        self.pushed_out = 0
        self.sent_away = 0

    def __len__(self) -> int:
        return len(self._places)

    @asynccontextmanager
    async def place(self, address: str) -> AsyncIterator[None]:
        """Raises NoPlace; TimeoutError from inside when the time is up or the place went to another."""
        now = asyncio.get_running_loop().time()
        if len(self._places) >= self._limit:
            self._make_room(address, now)
        async with asyncio.timeout(self._seconds) as timeout:
            self._places[timeout] = address, now
            self._held[address] += 1
            try:
                yield
            finally:
                self._free(timeout)

    def _make_room(self, address: str, now: float) -> None:
        busiest, most = self._held.most_common(1)[0]
        oldest, since = next((place, at) for place, (owner, at) in self._places.items() if owner == busiest)
        if self._held[address] + 1 >= most and now - since < self._grace:
            self.sent_away += 1
            raise NoPlace
        self._free(oldest)  # from now on, before its task has noticed
        oldest.reschedule(now)
        self.pushed_out += 1

    def _free(self, place: asyncio.Timeout) -> None:
        entry = self._places.pop(place, None)
        if entry is None:
            return
        self._held[entry[0]] -= 1
        if not self._held[entry[0]]:
            del self._held[entry[0]]
