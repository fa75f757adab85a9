"""A UDP stream on port 5005: `start RATE` makes the device send numbered datagrams to the asker until `stop`.

Like measuring devices that keep sending to whoever asked last; nothing from the receiver keeps it alive.
"""

import asyncio
import contextlib
from typing import cast

from .identity import Identity

PORT = 5005
LONGEST = 120.0
"""Seconds after which it stops by itself: nobody looks any more."""
FASTEST = 5000.0
"""Datagrams a second."""

Address = tuple[str, int]


class Stream(asyncio.DatagramProtocol):
    def __init__(self, identity: Identity) -> None:
        self.label = identity.label
        self.running: dict[Address, asyncio.Task[None]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def error_received(self, exc: Exception) -> None:
        """An ICMP error: the receiver is gone or forbidden. A simple device does not care and sends on."""

    def datagram_received(self, data: bytes, addr: Address) -> None:
        words = data.decode("ascii", "replace").split()
        if words and words[0] in ("start", "stop"):
            if running := self.running.pop(addr, None):
                running.cancel()
            if words[0] == "start":
                rate = 50.0
                with contextlib.suppress(IndexError, ValueError):
                    rate = min(FASTEST, max(0.1, float(words[1])))
                self.running[addr] = asyncio.get_running_loop().create_task(self.send(addr, 1 / rate))

    async def send(self, receiver: Address, interval: float) -> None:
        clock = asyncio.get_running_loop().time
        started, number = clock(), 0
        while (now := clock()) - started < LONGEST:
            self.transport.sendto(f"{self.label} {number}\n".encode(), receiver)
            number += 1
            await asyncio.sleep(max(0.0, started + number * interval - now))


async def serve(identity: Identity) -> Stream:
    loop = asyncio.get_running_loop()
    _, protocol = await loop.create_datagram_endpoint(lambda: Stream(identity), local_addr=("0.0.0.0", PORT))
    return protocol
