"""Datagrams a second through the websocket's relay, with UDP GSO/GRO and without."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from unittest import mock

from plantgate_shared import gso
from tests.harness.fake_agent import attach
from tests.harness.hub_node import hub_node

from .registry import Figure, benchmark

SEGMENT = 1412
"""Bytes of a full WireGuard datagram at our MTU of 1380."""
BATCH = bytes(SEGMENT * 40)
WINDOW = 6 * 40
"""Datagrams under way: what keeps every stage busy and overflows none."""
SECONDS = 0.6
PAIRS = 5


@benchmark("datagram-relay", "datagrams/s through the relay's sockets and through a whole tunnel, GSO on and off")
def datagram_relay() -> Iterator[Figure]:
    for name, measure, at_least in (("sockets alone", _sockets, 2.0), ("agent to hub over TLS", _tunnel, 1.2)):
        pairs = [(asyncio.run(measure()), asyncio.run(_singly(measure))) for _ in range(PAIRS)]
        ratios = sorted(batched / single for batched, single in pairs)
        value = statistics.median(batched for batched, _ in pairs)
        yield Figure.compared(
            f"datagram-relay {name}",
            value,
            "datagrams/s",
            baseline=statistics.median(single for _, single in pairs),
            ratio=statistics.median(ratios),
            at_least=at_least,
            ratio_spread=[ratios[0], ratios[-1]],
            mbit_per_second=value * SEGMENT * 8 / 1e6,
        )


async def _singly(measure: Callable[[], Awaitable[float]]) -> float:
    with mock.patch.object(gso, "_enable_offload", return_value=False):
        return await measure()


class _Sink:
    """Counts datagrams that arrive; there is room for more while few are under way."""

    def __init__(self) -> None:
        self.received = 0
        self.socket = gso.open_socket(self._count)

    def _count(self, segment: int, data: bytes) -> None:
        self.received += -(-len(data) // segment)

    async def rate(self, send: Callable[[], object]) -> float:
        """Datagrams a second while `send` is called (for 40 of them) whenever there is room."""
        started, sent = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - started) < SECONDS:
            if sent - self.received < WINDOW:
                send()
                sent += 40
            await asyncio.sleep(0)
        return self.received / elapsed


async def _sockets() -> float:
    """Source, relay and sink in one process: what the system calls cost."""
    sink = _Sink()
    outgoing = gso.open_socket(lambda *_: None, remote=sink.socket.address)
    incoming = gso.open_socket(outgoing.send)
    source = gso.open_socket(lambda *_: None, remote=incoming.address)
    try:
        return await sink.rate(lambda: source.send(SEGMENT, BATCH))
    finally:
        for sock in (sink.socket, outgoing, incoming, source):
            sock.close()


async def _tunnel() -> float:
    """From an agent's tunnel to the socket in WireGuard's place, all in one process, real TLS and websocket."""
    sink = _Sink()
    try:
        with tempfile.TemporaryDirectory() as directory:
            async with hub_node(Path(directory), wireguard=sink.socket.address) as node:
                (plot,) = node.add_plots(1)
                agent = await attach(node, plot)
                rate = await sink.rate(lambda: agent.connection.send_datagrams(SEGMENT, BATCH))
                await agent.leave()
                return rate
    finally:
        sink.socket.close()
