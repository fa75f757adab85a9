"""Paths of WireGuard's datagrams and streams of the proxy, with real packets."""

import asyncio
import contextlib
import hashlib
import json

import pytest

from tests.eventually import eventually, wait_until

from .hub import STREAM_PORT, WIREGUARD_PORT
from .site import DEVICE, DEVICE_TRANSIT, OUTSIDE, TWO_CARDS, Site, measure_until, site_up

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

PORT = 6000


@pytest.fixture(scope="module")
def site():
    with site_up(TWO_CARDS) as up:
        up.want()
        up.enrol()
        up.start_agent()
        up.reachable()
        yield up


def block_udp(site: Site) -> None:
    site.hub.nft(
        "table ip block {\nchain x { type filter hook prerouting priority -400;\n"
        f'iifname "eth0" udp dport {WIREGUARD_PORT} drop\n}}\nchain y {{ type filter hook postrouting priority 400;\n'
        f'oifname "eth0" udp sport {WIREGUARD_PORT} drop\n}}\n}}\n'
    )


def unblock_udp(site: Site) -> None:
    site.hub.nft("table ip block\ndelete table ip block\n")


def test_udp_is_left_when_it_is_blocked(site):
    assert site.told()["path"] == "udp"
    block_udp(site)
    try:
        # A person's packets that find no answer make the agent look; idle, it would take until the next probe.
        stalled = measure_until(lambda: site.ping(DEVICE_TRANSIT, wait=0.3), timeout=60)
        wait_until(lambda: site.told()["path"] == "websocket")
        assert "UDP no longer gets through" in site.status()["path_reason"]
        assert site.ping(DEVICE_TRANSIT)
        transfer = asyncio.run(_upload(site, 2_000_000))
        print(f"\nUDP blocked: {stalled:.1f} s until packets flow over the websocket ({transfer:.0f} Mbit/s)")
    finally:
        unblock_udp(site)


@pytest.mark.slow
def test_udp_is_taken_again_when_it_works(site):
    block_udp(site)
    try:
        wait_until(lambda: not site.ping(DEVICE_TRANSIT) or site.told()["path"] == "websocket")
        wait_until(lambda: site.told()["path"] == "websocket", timeout=60)
    finally:
        unblock_udp(site)
    back = measure_until(lambda: site.told()["path"] == "udp", timeout=90)
    assert site.ping(DEVICE_TRANSIT)
    print(f"\nUDP open again: taken after {back:.1f} s")


async def _upload(site: Site, size: int) -> float:
    """Mbit/s of one TCP connection from the hub to the device, through the tunnel."""
    loop = asyncio.get_running_loop()
    listener = site.device.socket()
    listener.bind((DEVICE, 0))
    listener.listen()
    port = listener.getsockname()[1]
    reader_done = loop.create_future()

    async def receive():
        accepted, _ = await loop.sock_accept(listener)
        received = 0
        while chunk := await loop.sock_recv(accepted, 65536):
            received += len(chunk)
        accepted.close()
        reader_done.set_result(received)

    task = asyncio.create_task(receive())
    _, writer = await site.hub.connect(DEVICE_TRANSIT, port, timeout=10)
    started = loop.time()
    writer.write(bytes(size))
    await writer.drain()
    writer.write_eof()
    async with asyncio.timeout(30):
        assert await reader_done == size
    await task
    writer.close()
    listener.close()
    return size * 8 / (loop.time() - started) / 1e6


# --- streams of the proxy ---------------------------------------------------------------------------------------------


async def serve(site: Site, handler, host=DEVICE, port=PORT):
    """A device's server in this process, with its socket on the device."""
    listener = (site.device if host == DEVICE else site.lab["outside"]).socket()
    listener.bind((host, port))
    return await asyncio.start_server(handler, sock=listener)


async def open_stream(site: Site, host: str, port: int):
    """The hub's answer, and the two ends of a stream through the agent."""
    reader, writer = await site.hub.connect("127.0.0.1", STREAM_PORT)
    writer.write(f"{host} {port}\n".encode())
    async with asyncio.timeout(15):
        return (await reader.readline()).decode().strip(), reader, writer


async def test_a_stream_carries_bytes_both_ways_and_half_closes(site):
    site.want(targets=((DEVICE, PORT),))
    data = bytes(range(256)) * 20_000

    async def answer_after_eof(reader, writer):
        digest = hashlib.sha256()
        while chunk := await reader.read(65536):
            digest.update(chunk)
        writer.write(digest.digest() + data)
        await writer.drain()
        writer.close()

    server = await serve(site, answer_after_eof)
    async with server:
        said, reader, writer = await open_stream(site, DEVICE, PORT)
        assert said == "ok"
        writer.write(data)
        writer.write_eof()
        async with asyncio.timeout(20):
            answer = await reader.read(-1)
    assert answer == hashlib.sha256(data).digest() + data
    writer.close()


async def test_a_slow_device_slows_its_own_stream_only(site):
    """The hub's side is held back, the agent's memory stays, and another stream goes at once."""
    site.want(targets=((DEVICE, PORT), (DEVICE, PORT + 1)))
    release = asyncio.Event()

    async def slow(reader, writer):
        await release.wait()
        total = 0
        while chunk := await reader.read(65536):
            total += len(chunk)
        writer.write(str(total).encode())
        writer.close()

    async def quick(reader, writer):
        writer.write(await reader.readline())
        writer.close()

    async with await serve(site, slow), await serve(site, quick, port=PORT + 1):
        _, slow_reader, slow_writer = await open_stream(site, DEVICE, PORT)
        block, sent = bytes(1 << 20), 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3):
                while sent < 64 << 20:
                    slow_writer.write(block)
                    sent += len(block)
                    await slow_writer.drain()
        assert sent < 64 << 20, "somebody buffers without bound"
        _, reader, writer = await open_stream(site, DEVICE, PORT + 1)
        writer.write(b"hello\n")
        async with asyncio.timeout(3):
            assert await reader.readline() == b"hello\n"
        release.set()
        slow_writer.write_eof()
        async with asyncio.timeout(30):
            assert int(await slow_reader.read(-1)) == sent
        writer.close()
        slow_writer.close()


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [
        (DEVICE, PORT + 9, "not allowed"),  # not a target
        (OUTSIDE, PORT, "not allowed"),  # a target of the hub's, outside the boundary
        ("127.0.0.1", PORT, "not allowed"),
        ("192.168.1.2", PORT, "not allowed"),  # the gateway itself
        ("device", PORT, "not allowed"),  # names are not looked up
        (DEVICE, PORT + 2, "refused"),
        ("192.168.1.77", PORT, "unreachable"),
    ],
)
async def test_what_is_not_dialled_says_why(site, host, port, said):
    targets = ((DEVICE, PORT), (DEVICE, PORT + 2), (OUTSIDE, PORT), ("192.168.1.77", PORT), ("192.168.1.2", PORT))
    site.want(targets=(*targets, ("127.0.0.1", PORT)))

    async def never(reader, writer):
        raise AssertionError("was dialled")

    async with await serve(site, never, host=OUTSIDE):
        answer, _, writer = await open_stream(site, host, port)
        writer.close()
    assert answer == said


async def test_a_target_that_is_withdrawn_ends_its_streams(site):
    site.want(targets=((DEVICE, PORT),))
    closed = asyncio.Event()

    async def talk(reader, writer):
        try:
            while True:
                writer.write(b"tick\n")
                await writer.drain()
                await asyncio.sleep(0.05)
        except OSError:
            closed.set()

    async with await serve(site, talk):
        said, reader, writer = await open_stream(site, DEVICE, PORT)
        assert said == "ok"
        assert await reader.readline() == b"tick\n"
        await asyncio.to_thread(site.want, targets=())
        async with asyncio.timeout(5):
            await closed.wait()
            with contextlib.suppress(ConnectionError):  # an orderly end is an end as well
                while await reader.read(65536):
                    pass
        await eventually(lambda: site.status()["streams"] == 0)
        writer.close()


# --- whether a device is there ----------------------------------------------------------------------------------------


async def looked_for(site: Site, address: str) -> str:
    reader, writer = await site.hub.connect("127.0.0.1", STREAM_PORT)
    writer.write(f"look {address}\n".encode())
    try:
        return (await reader.read()).decode()
    finally:
        writer.close()


async def test_a_device_that_is_there_shows_its_hardware_address(site):
    (link,) = json.loads(site.device.run(["ip", "-json", "link", "show", "eth0"]).stdout)
    for _ in range(2):  # the second time the gateway knows it already
        assert await looked_for(site, DEVICE) == f"answers {link['address']}\n"


async def test_a_device_that_is_off_is_silent_also_when_the_gateway_knew_it(site):
    assert await looked_for(site, "192.168.1.77") == "silent \n"
    assert site.ping(DEVICE_TRANSIT)  # the gateway has a fresh entry for it
    site.device.run(["ip", "link", "set", "eth0", "down"])
    try:
        assert await looked_for(site, DEVICE) == "silent \n"
    finally:
        site.device.run(["ip", "link", "set", "eth0", "up"])
        await eventually(lambda: site.ping(DEVICE_TRANSIT))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (OUTSIDE, "outside"),
        ("198.51.100.10", "outside"),
        ("192.168.1.2", "unknown it is an address of the gateway itself"),
    ],
)
async def test_nothing_is_looked_for_outside_the_boundary(site, address, said):
    assert (await looked_for(site, address)).strip() == said
