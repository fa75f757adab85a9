"""Bytes a second of one tunnel stream against a bare websocket between the same two processes."""

import asyncio
import contextlib
import json
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect

from plantgate_agent.channel import CONNECT_OPTIONS, WebsocketsChannel
from plantgate_shared.protocol import Role
from plantgate_shared.tunnel import TunnelConnection
from tests.certificate import write_certificate

from .registry import Figure, benchmark
from .tunnel_stream_server import PIECE

COUNT = 1000
"""Pieces of one measurement: 63 MiB, 0.1 to 0.4 s."""
PAIRS = 27
"""Measurements of each kind; mux and bare take turns, many and short ones, so that both see the same machine."""
AT_LEAST = 0.7


@benchmark("tunnel-stream", "bytes/s of one tunnel stream against a bare websocket, 64 KiB messages, plain and TLS")
def tunnel_stream() -> Iterator[Figure]:
    for (direction, scheme), pairs in asyncio.run(_measure()).items():
        ratios = [ours / bare for ours, bare in pairs]
        first, middle, third = statistics.quantiles(ratios, n=4, method="inclusive")
        yield Figure.compared(
            f"tunnel-stream {direction} {scheme}",
            statistics.median(ours for ours, _ in pairs) / 1e6,
            "MB/s",
            baseline=statistics.median(bare for _, bare in pairs) / 1e6,
            ratio=middle,
            at_least=AT_LEAST,
            pairs=len(pairs),
            ratio_quartiles=[first, third],
        )


Pairs = dict[tuple[str, str], list[tuple[float, float]]]


async def _measure(count: int = COUNT, pairs: int = PAIRS) -> Pairs:
    """(our bytes/s, the bare websocket's) for each direction and scheme. `down` is hub to agent."""
    results: Pairs = {}
    async with _server() as (ports, context):
        for scheme, port, tls in (("plain", ports[0], None), ("TLS", ports[1], context)):
            base = f"{'wss' if tls else 'ws'}://127.0.0.1:{port}"
            for direction in ("down", "up"):
                await _tunnel(base, tls, direction, count // 10)
                await _bare(base, tls, direction, count // 10)
                found = results[direction, scheme] = []
                for number in range(pairs):  # each is first in turn
                    rates = {}
                    for measure in (_tunnel, _bare) if number % 2 else (_bare, _tunnel):
                        rates[measure] = await measure(base, tls, direction, count)
                    found.append((rates[_tunnel], rates[_bare]))
    return results


@contextlib.asynccontextmanager
async def _server() -> AsyncIterator[tuple[list[int], ssl.SSLContext]]:
    with tempfile.TemporaryDirectory() as directory:
        certificate, key = write_certificate(Path(directory), "127.0.0.1")
        command = [sys.executable, "-m", "tests.bench.tunnel_stream_server", str(certificate), str(key)]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            ports = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
            yield ports, ssl.create_default_context(cafile=str(certificate))
        finally:
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()


def _connect(url: str, tls: ssl.SSLContext | None) -> connect:
    return connect(url, ssl=tls, proxy=None, **CONNECT_OPTIONS)


async def _bare(base: str, tls: ssl.SSLContext | None, direction: str, count: int) -> float:
    async with _connect(f"{base}/bare/{direction}/{count}", tls) as websocket:
        started = time.perf_counter()
        await websocket.send(b"go")
        await move_bare(websocket, direction, count)
        return count * len(PIECE) / (time.perf_counter() - started)


async def move_bare(websocket: ClientConnection, direction: str, count: int) -> None:
    """What `bare` of the server moves, from its start signal on."""
    if direction == "up":
        for _ in range(count):
            await websocket.send(PIECE)
        await websocket.recv()
        return
    received = 0
    while received < count * len(PIECE):
        received += len(await websocket.recv())


async def _tunnel(base: str, tls: ssl.SSLContext | None, direction: str, count: int) -> float:
    async with _connect(f"{base}/tunnel", tls) as websocket:
        connection = TunnelConnection(WebsocketsChannel(websocket), Role.CLIENT, ping_interval=30, ping_timeout=30)
        running = asyncio.create_task(connection.run())
        async with await connection.open_stream({"direction": direction, "count": count}, 10) as stream:
            started = time.perf_counter()
            await stream.write(b"go")
            if direction == "up":
                for _ in range(count):
                    await stream.write(PIECE)
                await stream.read()
            else:
                received = 0
                while received < count * len(PIECE):
                    received += len(await stream.read())
            rate = count * len(PIECE) / (time.perf_counter() - started)
            await stream.write_eof()
            while await stream.read():
                pass
        connection.close()
        await running
        return rate
