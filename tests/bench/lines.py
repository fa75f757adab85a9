"""Lines of technician, hub, gateway and device for the benchmarks of the whole way, and what is measured along them.

Each is a lab of the `bare` topology: `product_line` runs the real hub and agent with a stock client's configuration,
`plain_line` the same two WireGuard hops with plain routes. Several stand side by side, and measurements take turns.
"""

import asyncio
import contextlib
import socket
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tests.eventually import eventually
from tests.lab.lab import Lab
from tests.lab.product import Product
from tests.lab.state import MARK
from tests.lab.world import World

from . import plain_hops
from .registry import Figure

T = TypeVar("T")
DEVICE = "192.168.1.10"
PORT = 5001
TIMEOUT = 10.0
PULL_WARM = 0.4
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
        """A TCP connection to the device's server, which sends (`pull`; `pace`: slowly) or answers (`echo`)."""
        with self.lab["tech"].network():
            connection = socket.create_connection((DEVICE, PORT), timeout=TIMEOUT)
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(what.encode())
            yield connection


@dataclass(frozen=True, slots=True)
class Pull:
    """What one connection moved."""

    rate: float
    """Bytes a second."""
    cost: float
    """Seconds of processor time a byte, of all processes on the line's hosts together."""
    wakeups: float
    """How often a byte one of their threads waited and was woken again: what WireGuard in user space costs most."""


def pull(connection: socket.socket, tasks: Sequence[Path], seconds: float) -> Pull:
    """Measure once what piled up while nobody read is gone and TCP has found its pace again."""
    buffer = bytearray(1 << 18)
    warm = time.monotonic() + PULL_WARM
    while time.monotonic() < warm:
        connection.recv_into(buffer)
    before, woken, start, received = _processor_time(tasks), _wakeups(tasks), time.monotonic(), 0
    while (now := time.monotonic()) < start + seconds:
        received += connection.recv_into(buffer)
    cost, wakeups = _processor_time(tasks) - before, _wakeups(tasks) - woken
    return Pull(received / (now - start), cost / received, wakeups / received)


def _tasks(lab: Lab) -> list[Path]:
    """The folders of all threads of the lab's processes."""
    mark = f"{MARK}={lab.name}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(process / "task")
    return found


def _processor_time(tasks: Sequence[Path]) -> float:
    """Seconds that the processes have run; the kernel's work on their packets is done in their name."""
    total = 0
    for folder in tasks:
        with contextlib.suppress(OSError):
            total += sum(int((thread / "schedstat").read_text().split()[0]) for thread in folder.iterdir())
    return total / 1e9


def _wakeups(tasks: Sequence[Path]) -> int:
    """How often their threads have waited for something."""
    total = 0
    for folder in tasks:
        with contextlib.suppress(OSError):
            for thread in folder.iterdir():
                _, _, rest = (thread / "status").read_text().partition("\nvoluntary_ctxt_switches:")
                total += int(rest.split()[0])
    return total


def round_trip(connection: socket.socket, count: int) -> float:
    """Median seconds of `count` round trips of one byte."""
    taken = []
    for _ in range(count):
        start = time.perf_counter()
        connection.sendall(b"x")
        connection.recv(16)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def pulls(*lines: Line, rounds: int = 8, seconds: float = 2.5) -> list[tuple[Pull, ...]]:
    """Transfers along each line, in turns."""
    with contextlib.ExitStack() as stack:
        open_ones = [stack.enter_context(line.connected("pull")) for line in lines]
        tasks = [_tasks(line.lab) for line in lines]
        return turns(rounds, *(partial(pull, *one, seconds) for one in zip(open_ones, tasks, strict=True)))


def paced(*lines: Line, rounds: int = 8, seconds: float = 1.5) -> list[tuple[Pull, ...]]:
    """Transfers along each line at the same moderate rate, in turns; their connections are not open at once."""

    def once(line: Line, tasks: Sequence[Path]) -> Pull:
        with line.connected("pace") as connection:
            return pull(connection, tasks, seconds)

    return turns(rounds, *(partial(once, line, _tasks(line.lab)) for line in lines))


def transfer_figures(name: str, found: Sequence[tuple[Pull, ...]], at_least: float) -> Iterator[Figure]:
    """Throughput, and the processor time behind it: on a machine that others use as well, the steadier figure.

    The bound of the second is the same bound: where processors are the limit, throughput is one over their time.
    """
    yield compared(name, [(one.rate, other.rate) for one, other in found], "Mbit/s", 8e-6, at_least=at_least)
    costs = [(one.cost, other.cost) for one, other in found]
    yield compared(f"{name}: processor time", costs, "ms/MB", 1e9, at_most=1 / at_least)


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


def turns(rounds: int, *measures: Callable[[], T]) -> list[tuple[T, ...]]:
    """Rounds of one measurement each; who begins goes around, so that drift of the machine cancels out."""
    for measure in measures:
        measure()  # warm up
    found = []
    for number in range(rounds):
        results: dict[int, T] = {}
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
