"""Exchanges that are under way: decided anew after every change, and ended at once when no longer allowed."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from plantgate_shared.logging import Event, get_logger

from ..ports import Clock

TICK_SECONDS = 0.5
"""Time alone ends permissions and sessions too; half a second keeps within the promised one."""


@dataclass(slots=True, eq=False)
class Exchange:
    """One request, from its decision to the last byte of its answer."""

    session: str
    host: str
    abort: Callable[[], None]
    ended: bool = False


class LiveExchanges:
    """`allowed(exchange, now)` decides as for a new request; what cannot be decided is not allowed."""

    def __init__(self, allowed: Callable[[Exchange, float], bool], now: Clock) -> None:
        self._allowed = allowed
        self._now = now
        self._exchanges: set[Exchange] = set()

    @contextlib.contextmanager
    def track(self, exchange: Exchange) -> Iterator[None]:
        self._exchanges.add(exchange)
        try:
            yield
        finally:
            self._exchanges.discard(exchange)

    def recheck(self) -> None:
        """Decide all of them anew."""
        now = self._now()
        for exchange in tuple(self._exchanges):
            if not exchange.ended and not self._decide(exchange, now):
                exchange.ended = True
                exchange.abort()

    def _decide(self, exchange: Exchange, now: float) -> bool:
        try:
            return self._allowed(exchange, now)
        except Exception:
            get_logger().exception(Event.REQUEST_FAILED, host=exchange.host)
            return False

    async def run(self) -> None:
        """Recheck for ever, as time passes."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.recheck()

    def __len__(self) -> int:
        return len(self._exchanges)
