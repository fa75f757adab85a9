"""A box that ends TLS with a certificate of its own and passes on what it read: `python -m … PORT HOST HOSTPORT`."""

import asyncio
import contextlib
import ssl
import sys
import tempfile
from pathlib import Path

from tests.certificate import write_certificate


async def main(port: int, host: str, hub_port: int) -> None:
    outwards = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    outwards.check_hostname, outwards.verify_mode = False, ssl.CERT_NONE
    inwards = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        inwards.load_cert_chain(*write_certificate(Path(folder), host))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hub_reader, hub_writer = await asyncio.open_connection(host, hub_port, ssl=outwards)
        await asyncio.gather(_pass_on(reader, hub_writer), _pass_on(hub_reader, writer))

    server = await asyncio.start_server(serve, "0.0.0.0", port, ssl=inwards)
    print("ready", flush=True)
    await server.serve_forever()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
