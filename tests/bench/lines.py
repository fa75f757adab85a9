"""Lines of technician, hub, gateway and device for the benchmarks of the whole way, and what is measured along them.

Each is a lab of the `bare` topology: `product_line` runs the real hub and agent with a stock client's configuration,
`plain_line` the same two WireGuard hops with plain routes. Several stand side by side, and measurements take turns.
"""

import asyncio
import contextlib
import json
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.eventually import eventually
from tests.lab.hosts import ROOT
from tests.lab.lab import Lab
from tests.lab.product import Product
from tests.lab.world import World

from . import plain_hops

DEVICE = "192.168.1.10"
PORT = 5001
READY = 60.0
"""Seconds until a path is there; the machine may be busy."""
NO_UDP = """
table ip firewall {
    chain out { type filter hook postrouting priority 300; oifname "wan0" meta l4proto udp drop; }
    chain in { type filter hook prerouting priority -300; iifname "wan0" meta l4proto udp drop; }
}
"""
"""A plant's firewall that lets no UDP through, on the gateway's uplink; no table of the product."""


@dataclass(frozen=True, slots=True)
class Line:
    """A way from the technician to the device that works."""

    lab: Lab

    def measure(self, what: str, seconds: float) -> dict[str, float]:
        """`pull` or `rtt` of tests.bench.transfer from the technician's host."""
        command = [sys.executable, "-m", "tests.bench.transfer", what, DEVICE, str(PORT), str(seconds)]
        done = self.lab["tech"].run(command, cwd=ROOT, timeout=seconds + 30)
        measured: dict[str, float] = json.loads(done.stdout)
        return measured

    def pull(self, seconds: float) -> float:
        """Bytes a second of one TCP connection, device to technician."""
        return self.measure("pull", seconds)["bytes_per_second"]

    def round_trip(self, seconds: float) -> float:
        """Median seconds of a round trip of one byte over TCP."""
        return self.measure("rtt", seconds)["median"]


@contextlib.contextmanager
def plain_line(name: str) -> Iterator[Line]:
    """Two WireGuard hops, no Plantgate."""
    with Lab.up("bare", name=name, with_devices=False) as lab:
        plain_hops.connect(lab)
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


def pairs(count: int, ours: Callable[[], float], baseline: Callable[[], float]) -> list[tuple[float, float]]:
    """`count` measurements of each, one of each at a time; which comes first alternates, so that drift cancels out."""
    ours(), baseline()  # warm up
    found = []
    for number in range(count):
        if number % 2:
            second, first = baseline(), ours()
        else:
            first, second = ours(), baseline()
        found.append((first, second))
    return found


@dataclass(frozen=True, slots=True)
class Compared:
    """What interleaved pairs come to: medians, and the median and spread of the ratios of the pairs."""

    value: float
    baseline: float
    ratio: float
    ratio_spread: tuple[float, float]
    """First and third quartile."""
    pairs: int

    @classmethod
    def of(cls, found: list[tuple[float, float]], scale: float = 1.0) -> "Compared":
        ratios = [ours / base for ours, base in found]
        first, middle, third = statistics.quantiles(ratios, n=4, method="inclusive")
        return cls(
            statistics.median(ours for ours, _ in found) * scale,
            statistics.median(base for _, base in found) * scale,
            middle,
            (first, third),
            len(found),
        )
