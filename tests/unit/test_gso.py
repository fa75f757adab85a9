"""The batching UDP socket on loopback: whatever goes in comes out, datagram by datagram, with and without offload."""

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantgate_shared import gso
from tests.eventually import eventually


def split(segment: int, data: bytes) -> list[bytes]:
    return [data[start : start + segment] for start in range(0, len(data), segment)]


class Sink:
    """Collects batches and checks their form."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, bytes]] = []

    def __call__(self, segment: int, data: bytes) -> None:
        assert segment > 0
        assert 0 < len(data) <= gso.MAX_BATCH
        self.batches.append((segment, data))

    @property
    def datagrams(self) -> list[bytes]:
        return [datagram for segment, data in self.batches for datagram in split(segment, data)]


@contextmanager
def pair(offload: bool) -> Iterator[tuple[gso.BatchSocket, gso.BatchSocket, Sink, Sink]]:
    one_sink, other_sink = Sink(), Sink()
    one = gso.open_socket(one_sink, offload=offload)
    other = gso.open_socket(other_sink, remote=one.address, offload=offload)
    one.connect(other.address)
    try:
        yield one, other, one_sink, other_sink
    finally:
        one.close()
        other.close()


@pytest.mark.parametrize("offload", [True, False])
async def test_batches_arrive_datagram_by_datagram(offload: bool):
    with pair(offload) as (one, _, _, sink):
        sent = []
        for segment, count, last in [(1400, 40, 7), (1, 3, 1), (100, 200, 99), (1400, 1, 1400), (60000, 1, 60000)]:
            data = random.Random(segment).randbytes(segment * (count - 1) + last)
            one.send(segment, data)
            sent += split(segment, data)
        await eventually(lambda: len(sink.datagrams) == len(sent))
        assert sink.datagrams == sent
        assert one.counters.sent == len(sent)
        assert one.counters.dropped == 0


async def test_offload_needs_few_system_calls():
    with pair(True) as (one, other, _, sink):
        if not one.offload:
            pytest.skip("this kernel has neither UDP_SEGMENT nor UDP_GRO")
        one.send(1000, bytes(40_000))
        await eventually(lambda: len(sink.datagrams) == 40)
        assert sink.batches == [(1000, bytes(40_000))]
        assert one.counters.send_calls == 1
        assert other.counters.receive_calls == 1


async def test_single_datagrams_that_wait_together_become_one_batch():
    with pair(True) as (one, _, _, sink):
        for number in range(20):
            one.send(500, bytes([number]) * 500)
        await eventually(lambda: len(sink.datagrams) == 20)
        assert sink.batches == [(500, b"".join(bytes([number]) * 500 for number in range(20)))]


async def test_a_path_without_offload_falls_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gso, "_enable_offload", lambda _: False)
    with pair(True) as (one, _, _, sink):
        assert not one.offload
        one.send(100, bytes(1000))
        await eventually(lambda: len(sink.datagrams) == 10)


async def test_nobody_listening_loses_datagrams_and_nothing_else():
    sink = Sink()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    one = gso.open_socket(sink, remote=("127.0.0.1", port))
    for _ in range(5):
        one.send(100, bytes(1000))
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", port))
    listener.setblocking(False)
    one.send(3, b"nowandnow")  # the first call reports what went wrong before, and sends nothing
    assert [listener.recv(100) for _ in range(3)] == [b"now", b"and", b"now"]
    one.close()
    listener.close()


async def test_a_receiver_that_is_full_loses_datagrams_and_blocks_nobody():
    slow = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    slow.bind(("127.0.0.1", 0))
    one = gso.open_socket(Sink(), remote=slow.getsockname())
    for _ in range(200):
        one.send(1400, bytes(45 * 1400))
    one.close()
    slow.close()


async def test_others_datagrams_are_not_taken():
    with pair(True) as (one, other, _, sink), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"stranger", other.address)
        one.send(10, b"friend")
        await eventually(lambda: sink.datagrams)
        assert sink.datagrams == [b"friend"]


async def test_malformed_batches_are_dropped():
    with pair(True) as (one, _, _, sink):
        for segment, data in [(0, b"x"), (-1, b"x"), (70_000, bytes(66_000)), (1, b"")]:
            one.send(segment, data)
        one.send(3, b"end")
        await eventually(lambda: sink.datagrams)
        assert sink.datagrams == [b"end"]
        assert one.counters.dropped == 4


async def test_closing_twice_is_fine_and_closing_while_receiving_too():
    sockets: list[gso.BatchSocket] = []
    receiver = gso.open_socket(lambda *_: sockets[0].close())
    sockets.append(receiver)
    sender = gso.open_socket(Sink(), remote=receiver.address)
    receiver.connect(sender.address)
    sender.send(10, bytes(100))
    sender.send(100, bytes(1000))
    await eventually(lambda: receiver._socket.fileno() < 0)
    receiver.close()
    sender.close()


@given(st.lists(st.tuples(st.integers(1, 2000), st.integers(1, 6), st.floats(0, 1)), max_size=30))
def test_the_batcher_keeps_every_datagram_in_order(items: list[tuple[int, int, float]]):
    sink = Sink()
    batcher = gso.Batcher(sink)
    expected = []
    for number, (segment, count, part) in enumerate(items):
        last = max(1, int(segment * part))
        data = bytes([number]) * (segment * (count - 1) + last)
        batcher.add(segment if count > 1 else last, data)
        expected += split(segment, data)
    batcher.flush()
    assert sink.datagrams == expected
