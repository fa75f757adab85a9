"""A port of this machine that leads to a port of a lab host: `python -m tests.lab.forward PORT NETNS_FD TO`.

It listens where it is started and then moves into the host's network for good: the listening socket stays behind.
"""

import asyncio
import contextlib
import os
import socket
import sys

from .hosts import enter_network

CHUNK = 256 * 1024


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    try:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:  # the hub is not running at the moment
        writer.close()
        return
    try:
        await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))
    finally:
        writer.close()
        there_writer.close()


async def _serve(listening: socket.socket, to: int) -> None:
    server = await asyncio.start_server(lambda r, w: _carry(r, w, to), sock=listening)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


def main() -> None:
    port, namespace, to = map(int, sys.argv[1:4])
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError as error:
        sys.exit(f"127.0.0.1:{port} of this machine cannot be used: {error.strerror}; choose another with --port")
    listening.listen()
    enter_network(namespace)
    os.close(namespace)
    asyncio.run(_serve(listening, to))


if __name__ == "__main__":
    main()
