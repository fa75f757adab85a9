"""A device page's body along its whole way, against a bare websocket between two processes.

Browser, hub, agent and device are a process each: the browser speaks HTTPS to the hub, which decides, passes the body
through the agent's websocket, and the agent to the device's socket. What the tunnel alone costs is in `tunnel-stream`;
here four processes share the processors, of which the bare websocket needs two.
"""

import asyncio
import contextlib
import json
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

from websockets.asyncio.client import connect

from plantgate_agent.channel import CONNECT_OPTIONS
from tests.certificate import write_certificate
from tests.eventually import eventually
from tests.lab.browser import Browser
from tests.lab.hosts import ROOT, Host
from tests.lab.lab import Lab
from tests.lab.product import Product
from tests.lab.topology import HUB_ADDRESS
from tests.lab.world import World

from .lines import compared
from .registry import Figure, benchmark
from .tunnel_stream import move_bare
from .tunnel_stream_server import PIECE

PAGE = "https://device-plant.devices.localhost"
COUNT = 500
"""Pieces of one measurement: 31 MiB."""
PAIRS = 15
READY = 60.0
SAME_ORIGIN = {"Origin": PAGE, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}

Measure = Callable[[str, int], Awaitable[None]]


@benchmark("proxied-stream", "bytes/s of a device page's body from device to browser and back, against a websocket")
def proxied_stream() -> Iterator[Figure]:
    with Lab.up("bare", name="bench-proxied", with_devices=False) as lab:
        found = asyncio.run(_measure(lab))
    for direction, pairs in found.items():
        yield compared(f"proxied-stream {direction}", pairs, "MB/s", 1e-6)


async def _measure(lab: Lab) -> dict[str, list[tuple[float, float]]]:
    """(the page's bytes/s, the bare websocket's), `down` to the browser and `up` to the device."""
    found: dict[str, list[tuple[float, float]]] = {}
    async with _browser(lab) as browser, _websockets(lab) as websocket:
        proxied = _through_the_page(browser)
        for direction in ("down", "up"):
            for measure in (proxied, websocket):
                await _rate(measure, direction)  # warm up
            pairs = found[direction] = []
            for number in range(PAIRS):  # each is first in turn
                order = (proxied, websocket) if number % 2 else (websocket, proxied)
                rates = {measure: await _rate(measure, direction) for measure in order}
                pairs.append((rates[proxied], rates[websocket]))
    return found


async def _rate(measure: Measure, direction: str) -> float:
    started = time.perf_counter()
    await measure(direction, COUNT)
    return COUNT * len(PIECE) / (time.perf_counter() - started)


@contextlib.asynccontextmanager
async def _browser(lab: Lab) -> AsyncIterator[Browser]:
    """Signed in where the product runs, with the device's page open."""
    product = Product(lab)
    world = World(product)
    product.configure_hub(log={"level": "info"})
    await product.start_hub()
    await world.build()
    await world.gateway("plant")
    await world.close()
    lab["device"].spawn_python("tests.bench.proxied_stream_device", name="web").wait_for("ready\n")
    async with Browser.open(lab["tech"]) as browser:
        await browser.sign_in(world.people["admin"])

        async def answers() -> bool:
            return (await browser.get(f"{PAGE}/1")).body == b"\0"

        await eventually(answers, READY)
        yield browser


def _through_the_page(browser: Browser) -> Measure:
    async def move(direction: str, count: int) -> None:
        size = count * len(PIECE)
        if direction == "down":
            async with browser.session.get(f"{PAGE}/{size}", headers=SAME_ORIGIN) as answer:
                received = 0
                async for piece in answer.content.iter_any():
                    received += len(piece)
            assert received == size, answer.status
            return
        headers = {**SAME_ORIGIN, "Content-Length": str(size)}
        async with browser.session.post(f"{PAGE}/", data=_pieces(count), headers=headers) as answer:
            assert answer.status == 200
            await answer.read()

    return move


async def _pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield PIECE


@contextlib.asynccontextmanager
async def _websockets(lab: Lab) -> AsyncIterator[Measure]:
    """A server on the hub's host, and this process as its client on the technician's."""
    with tempfile.TemporaryDirectory() as directory:
        certificate, key = write_certificate(Path(directory), HUB_ADDRESS)
        command = [sys.executable, "-m", "tests.bench.tunnel_stream_server", str(certificate), str(key), HUB_ADDRESS]
        with lab["hub"].popen(command, ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            _, port = json.loads(await asyncio.to_thread(server.stdout.readline))
            tls = ssl.create_default_context(cafile=str(certificate))
            try:
                yield _over_a_websocket(lab["tech"], port, tls)
            finally:
                server.kill()


def _over_a_websocket(host: Host, port: int, tls: ssl.SSLContext) -> Measure:
    async def move(direction: str, count: int) -> None:
        made = host.socket()
        await asyncio.get_running_loop().sock_connect(made, (HUB_ADDRESS, port))
        url = f"wss://{HUB_ADDRESS}:{port}/bare/{direction}/{count}"
        async with connect(url, ssl=tls, sock=made, proxy=None, **CONNECT_OPTIONS) as websocket:
            await websocket.send(b"go")
            await move_bare(websocket, direction, count)

    return move
