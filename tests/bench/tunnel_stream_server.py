"""The hub's side of the tunnel-stream benchmark, a process of its own: bare websockets and tunnels on one server."""

import asyncio
import contextlib
import json
import ssl
import sys

from aiohttp import WSMsgType, web

from plantgate_hub.tunnel.channel import AiohttpChannel, prepare_websocket
from plantgate_shared.protocol import Role
from plantgate_shared.tunnel import TunnelConnection, TunnelStream

PIECE = b"\xa5" * 65536
"""What one write, and one message of the bare websocket, holds."""


async def bare(request: web.Request) -> web.WebSocketResponse:
    """`/bare/down/N` sends N pieces; `/bare/up/N` reads N pieces and answers with one message."""
    websocket = prepare_websocket()
    await websocket.prepare(request)
    count = int(request.match_info["count"])
    await websocket.receive()  # the start signal
    if request.match_info["direction"] == "down":
        for _ in range(count):
            await websocket.send_bytes(PIECE)
    else:
        received = 0
        while received < count * len(PIECE):
            message = await websocket.receive()
            assert message.type is WSMsgType.BINARY
            received += len(message.data)
        await websocket.send_bytes(b"done")
    await websocket.receive()
    return websocket


async def tunnel(request: web.Request) -> web.WebSocketResponse:
    """The same over a stream whose target says what to do."""
    websocket = prepare_websocket()
    await websocket.prepare(request)

    async def serve(stream: TunnelStream, target) -> None:
        stream.accept()
        await stream.read(len(b"go"))
        if target["direction"] == "down":
            for _ in range(target["count"]):
                await stream.write(PIECE)
        else:
            received = 0
            while received < target["count"] * len(PIECE):
                received += len(await stream.read())
            await stream.write(b"done")
        await stream.write_eof()
        await stream.read()

    connection = TunnelConnection(
        AiohttpChannel(websocket), Role.SERVER, ping_interval=30, ping_timeout=30, on_stream=serve
    )
    await connection.run()
    return websocket


async def main(certificate: str, key: str, address: str = "127.0.0.1") -> None:
    """Listen on two free ports of the address, plain and TLS; print them; run until standard input closes."""
    application = web.Application()
    application.router.add_get("/bare/{direction}/{count}", bare)
    application.router.add_get("/tunnel", tunnel)
    runner = web.AppRunner(application)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    plain = web.TCPSite(runner, address, 0)
    secure = web.TCPSite(runner, address, 0, ssl_context=context)
    await plain.start()
    await secure.start()
    ports = [bound[1] for bound in runner.addresses]
    print(json.dumps(ports), flush=True)
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
