"""The agent's end of the UDP probe: one socket, one question at a time, and only a valid answer counts."""

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import cast

from plantgate_shared.protocol.probe import ProbeKey, answer_nonce, question

Address = tuple[str, int]


class Prober(asyncio.DatagramProtocol):
    """Asks the hub's WireGuard port whether UDP gets through."""

    def __init__(self, on_answer: Callable[[int], None]) -> None:
        self._on_answer = on_answer
        self._transport: asyncio.DatagramTransport | None = None
        self._endpoint: Address | None = None
        self._key: ProbeKey | None = None
        self._asked: tuple[int, bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if self._key is None or self._asked is None or addr[:2] != self._endpoint:
            return
        number, nonce = self._asked
        if answer_nonce(data, self._key) == nonce:
            self._asked = None
            self._on_answer(number)

    def error_received(self, exc: Exception) -> None:
        """An ICMP error about a probe: the same as no answer."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        self._transport = None

    @property
    def configured(self) -> bool:
        return self._key is not None

    def configure(self, endpoint: Address, key: ProbeKey) -> bool:
        """Whom to ask from now on; whether that is news."""
        if (self._endpoint, self._key) == (endpoint, key):
            return False
        self._endpoint, self._key, self._asked = endpoint, key, None
        return True

    def send(self, number: int) -> None:
        """Ask; a send that fails at once (no route) is a probe without answer."""
        if self._transport is None or self._endpoint is None or self._key is None:
            return
        nonce = os.urandom(12)
        self._asked = (number, nonce)
        with contextlib.suppress(OSError):
            self._transport.sendto(question(self._key, nonce), self._endpoint)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def open_prober(on_answer: Callable[[int], None]) -> Prober:
    loop = asyncio.get_running_loop()
    _, prober = await loop.create_datagram_endpoint(lambda: Prober(on_answer), local_addr=("0.0.0.0", 0))  # noqa: S104
    return prober
