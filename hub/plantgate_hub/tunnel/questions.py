"""Questions to one agent, and the answers that belong to them."""

import asyncio
from collections.abc import Callable
from ipaddress import IPv4Address
from itertools import count

from plantgate_shared.protocol.control import DeviceLookedFor, LookForDevice, Presence
from plantgate_shared.tunnel import TunnelClosed

MAX_OPEN = 16
"""Unanswered questions of one agent at once."""

GONE = DeviceLookedFor(0, Presence.UNKNOWN, "the agent is no longer connected")
BUSY = DeviceLookedFor(0, Presence.UNKNOWN, "too many questions to this agent at once; try again")
NO_ANSWER = DeviceLookedFor(0, Presence.UNKNOWN, "the agent did not answer; its version may be too old to know how")


class Questions:
    """Whatever goes wrong is an answer too: Presence.UNKNOWN with the cause."""

    def __init__(self, send: Callable[[LookForDevice], None]) -> None:
        self._send = send
        self._numbers = count(1)
        self._open: dict[int, asyncio.Future[DeviceLookedFor]] = {}

    async def ask(self, address: IPv4Address, timeout: float) -> DeviceLookedFor:
        """Whether a device answers at this address, within `timeout` seconds."""
        if len(self._open) >= MAX_OPEN:
            return BUSY
        number = next(self._numbers) % 2**32
        answer: asyncio.Future[DeviceLookedFor] = asyncio.get_running_loop().create_future()
        self._open[number] = answer
        try:
            self._send(LookForDevice(number, address))
            async with asyncio.timeout(timeout):
                return await answer
        except TunnelClosed:
            return GONE
        except TimeoutError:
            return NO_ANSWER
        finally:
            del self._open[number]

    def answered(self, answer: DeviceLookedFor) -> None:
        """An answer that nobody waits for any more is dropped."""
        waiting = self._open.get(answer.number)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def close(self) -> None:
        for waiting in self._open.values():
            if not waiting.done():
                waiting.set_result(GONE)
