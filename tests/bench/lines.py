"""Lines of technician, hub, gateway and device for the benchmarks of the whole way, and what is measured along them.

Each is a lab of the `bare` topology: `product_line` runs the real hub and agent with a stock client's configuration,
`plain_line` the same two WireGuard hops with plain routes. Several stand side by side, and measurements take turns.
"""

import asyncio
import contextlib
import socket
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.eventually import eventually
from tests.lab.lab import Lab
from tests.lab.product import Product
from tests.lab.world import World

from . import plain_hops
from .registry import Figure

DEVICE = "192.168.1.10"
PORT = 5001
TIMEOUT = 10.0
PULL_WARM = 0.15
READY = 60.0
"""Seconds until a path is there; the machine may be busy."""
NO_UDP = """
table ip firewall {
    chain out { type filter hook postrouting priority 300; oifname "wan0" meta l4proto udp drop; }
    chain in { type filter hook prerouting priority -300; iifname "wan0" meta l4proto udp drop; }
}
"""
"""A plant's firewall that lets no UDP through, on the gateway's uplink; no table of the product."""

TRACKING = """
table ip tracking {
    map same { type ipv4_addr : interval ipv4_addr; flags interval; elements = { 192.168.1.0/24 : 192.168.1.0/24 } }
    chain translate { type nat hook %s; }
    chain forward { type filter hook forward priority filter; ct state established,related accept; }
}
"""


@dataclass(frozen=True, slots=True)
class Line:
    """A way from the technician to the device that works."""

    lab: Lab

    @contextlib.contextmanager
    def connected(self, what: str) -> Iterator[socket.socket]:
        """A TCP connection from the technician's host to the device's server: it sends (`pull`) or answers (`echo`)."""
        with self.lab["tech"].network():
            connection = socket.create_connection((DEVICE, PORT), timeout=TIMEOUT)
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(what.encode())
            yield connection


def pull(connection: socket.socket, seconds: float) -> float:
    """Bytes a second, once what piled up while nobody read is gone and TCP has found its pace again."""
    buffer = bytearray(1 << 18)
    warm = time.monotonic() + PULL_WARM
    while time.monotonic() < warm:
        connection.recv_into(buffer)
    start, received = time.monotonic(), 0
    while (now := time.monotonic()) < start + seconds:
        received += connection.recv_into(buffer)
    return received / (now - start)


def round_trip(connection: socket.socket, count: int) -> float:
    """Median seconds of `count` round trips of one byte."""
    taken = []
    for _ in range(count):
        start = time.perf_counter()
        connection.sendall(b"x")
        connection.recv(16)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def pulls(*lines: Line, rounds: int = 24, seconds: float = 0.5) -> list[tuple[float, ...]]:
    """Bytes a second along each line, in turns."""
    with contextlib.ExitStack() as stack:
        open_ones = [stack.enter_context(line.connected("pull")) for line in lines]
        return turns(rounds, *(partial(pull, connection, seconds) for connection in open_ones))


def round_trips(*lines: Line, rounds: int = 300, count: int = 15) -> list[tuple[float, ...]]:
    """Seconds of a round trip along each line. Turns are so short that other programs' load hits all lines alike."""
    with contextlib.ExitStack() as stack:
        open_ones = [stack.enter_context(line.connected("echo")) for line in lines]
        return turns(rounds, *(partial(round_trip, connection, count) for connection in open_ones))


@contextlib.contextmanager
def plain_line(name: str, *, tracking: bool = False) -> Iterator[Line]:
    """Two WireGuard hops, no Plantgate; with `tracking`, what any router that translates addresses does as well."""
    with Lab.up("bare", name=name, with_devices=False) as lab:
        plain_hops.connect(lab)
        if tracking:
            lab["hub"].nft(TRACKING % 'prerouting priority dstnat; iifname "wgu" dnat ip prefix to ip daddr map @same')
            lab["gateway"].nft(TRACKING % 'postrouting priority srcnat; iifname "wgh" masquerade')
        yield _serving(lab)


@contextlib.contextmanager
def product_line(name: str, *, udp: bool = True) -> Iterator[Line]:
    """The product, as installed; with `udp` false the plant's firewall leaves only the websocket."""
    with Lab.up("bare", name=name, with_devices=False) as lab:
        if not udp:
            lab["gateway"].nft(NO_UDP)
        asyncio.run(_set_up(lab, "udp" if udp else "websocket"))
        yield _serving(lab)


def _serving(lab: Lab) -> Line:
    lab["device"].spawn_python("tests.bench.transfer", "serve", str(PORT), name="transfer").wait_for("ready\n")
    return Line(lab)


async def _set_up(lab: Lab, path: str) -> None:
    product = Product(lab)
    world = World(product)
    product.configure_hub(log={"level": "info"})
    await product.start_hub()
    await world.build()
    await world.person("tina", "Tina Technician", member=True)
    await world.gateway("plant")
    technician = await world.technician("tina", "tech")
    technician.up()
    await world.grant("tina", "plant")
    await world.close()

    async def there() -> bool:
        status = await product.agent_status("plant")
        return status.get("path") == path and status.get("handshake_age") is not None

    await eventually(there, READY, poll=0.2)
    await eventually(lambda: technician.ping(DEVICE), READY)


def turns(rounds: int, *measures: Callable[[], float]) -> list[tuple[float, ...]]:
    """Rounds of one measurement each; who begins goes around, so that drift of the machine cancels out."""
    for measure in measures:
        measure()  # warm up
    found = []
    for number in range(rounds):
        results = {}
        for position in range(len(measures)):
            index = (position + number) % len(measures)
            results[index] = measures[index]()
        found.append(tuple(results[index] for index in range(len(measures))))
    return found


def compared(name: str, found: Iterable[tuple[float, ...]], unit: str, scale: float, **bound: Any) -> Figure:
    """The figure of (ours, baseline) pairs: medians, and the median and quartiles of the ratios of the pairs."""
    ours, base = zip(*found, strict=True)
    ratios = [one / other for one, other in zip(ours, base, strict=True)]
    first, middle, third = statistics.quantiles(ratios, n=4, method="inclusive")
    return Figure.compared(
        name,
        statistics.median(ours) * scale,
        unit,
        baseline=statistics.median(base) * scale,
        ratio=middle,
        ratio_quartiles=[first, third],
        pairs=len(ratios),
        **bound,
    )
