"""Connections that send no request are ended; those that have sent one are left alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from plantgate_hub.first_request import FirstRequestGuard

HEAD = b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n"


@asynccontextmanager
async def server(seconds: float) -> AsyncIterator[tuple[int, asyncio.Event]]:
    guard, release = FirstRequestGuard(seconds), asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        await release.wait()
        return web.Response(text="done")

    app = web.Application(middlewares=[guard.middleware])
    app.router.add_get("/", slow)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    assert runner.server is not None
    watching = asyncio.create_task(guard.run(runner.server))
    try:
        yield runner.addresses[0][1], release
    finally:
        watching.cancel()
        release.set()
        await runner.cleanup()


async def ended(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(20):
            return await reader.read(1) == b""
    except ConnectionResetError:
        return True


async def test_silence_and_half_a_request_end_in_time():
    async with server(0.4) as (port, _):
        silent_reader, silent = await asyncio.open_connection("127.0.0.1", port)
        half_reader, half = await asyncio.open_connection("127.0.0.1", port)
        half.write(HEAD[:20])
        assert await ended(silent_reader)
        assert await ended(half_reader)
        silent.close()
        half.close()


async def test_a_long_answer_is_not_disturbed():
    async with server(0.2) as (port, release):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD)
        idle_reader, idle = await asyncio.open_connection("127.0.0.1", port)
        assert await ended(idle_reader)  # so the time was up
        release.set()
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        idle.close()
