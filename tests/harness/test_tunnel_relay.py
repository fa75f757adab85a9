"""WireGuard's datagrams through a real tunnel and real UDP sockets, and the UDP path probe."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from plantgate_hub.tunnel import probe as responder
from plantgate_hub.tunnel.relay import Relay
from plantgate_shared import gso
from plantgate_shared.protocol import probe
from plantgate_shared.secret import Secret
from tests.eventually import eventually
from tests.harness.fake_agent import FakeAgent, attach
from tests.harness.hub_node import hub_node


@contextmanager
def fake_wireguard() -> Iterator[socket.socket]:
    """A UDP socket in the place of pg-agents."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        yield sock


def receive_all(sock: socket.socket) -> list[tuple[bytes, gso.Address]]:
    received = []
    while True:
        try:
            received.append(sock.recvfrom(65536))
        except BlockingIOError:
            return received


def datagrams_of(agent: FakeAgent) -> list[bytes]:
    return [
        data[start : start + segment] for segment, data in agent.datagrams for start in range(0, len(data), segment)
    ]


def has_received(agent: FakeAgent, count: int) -> bool:
    return len(datagrams_of(agent)) == count


async def test_datagrams_go_round_and_each_agent_has_an_address_of_its_own(tmp_path: Path):
    with fake_wireguard() as wireguard:
        async with hub_node(tmp_path, wireguard=wireguard.getsockname()) as node:
            plots = node.add_plots(2)
            agents = [await attach(node, plot) for plot in plots]
            batches = [os.urandom(1400 * 20 + 99) for _ in agents]
            for agent, batch in zip(agents, batches, strict=True):
                agent.connection.send_datagrams(1400, batch)
            received: list[tuple[bytes, gso.Address]] = []

            def all_there() -> bool:
                received.extend(receive_all(wireguard))
                return len(received) == 42

            await eventually(all_there)
            endpoints = {address for _, address in received}
            assert len(endpoints) == 2
            for batch in batches:
                (endpoint,) = {address for data, address in received if data in batch}
                assert b"".join(data for data, address in received if address == endpoint) == batch
            for data, address in received:  # and back, as an echo
                wireguard.sendto(data, address)
            for agent, batch in zip(agents, batches, strict=True):
                await eventually(partial(has_received, agent, 21))
                assert b"".join(datagrams_of(agent)) == batch
            for agent in agents:
                await agent.leave()


async def test_an_agent_that_left_leaves_no_socket(tmp_path: Path):
    with fake_wireguard() as wireguard:
        async with hub_node(tmp_path, wireguard=wireguard.getsockname()) as node:
            (plot,) = node.add_plots(1)
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(3):
                agent = await attach(node, plot)
                agent.connection.send_datagrams(100, bytes(100))
                await eventually(lambda: receive_all(wireguard))
                await agent.leave()
                await eventually(lambda: not node.registry.online)
            await eventually(lambda: len(os.listdir("/proc/self/fd")) <= before)


async def test_wireguard_that_is_down_costs_datagrams_and_not_the_tunnel(tmp_path: Path):
    with fake_wireguard() as gone:
        address = gone.getsockname()
    async with hub_node(tmp_path, wireguard=address) as node:
        (plot,) = node.add_plots(1)
        agent = await attach(node, plot)
        for _ in range(20):
            agent.connection.send_datagrams(100, bytes(1000))
        stream = await node.registry.open_stream(plot.plant, {"host": "192.168.1.10", "port": 80}, 10)
        await stream.write(b"still here")
        assert await stream.read(100) == b"still here"
        stream.reset("cancelled")
        await agent.leave()


async def test_a_replaced_connection_relays_nothing_any_more(tmp_path: Path):
    with fake_wireguard() as wireguard:
        async with hub_node(tmp_path, wireguard=wireguard.getsockname()) as node:
            (plot,) = node.add_plots(1)
            older = await attach(node, plot)
            older.connection.send_datagrams(100, b"o" * 100)
            await eventually(lambda: receive_all(wireguard))
            newer = await attach(node, plot)
            older.connection.send_datagrams(100, b"x" * 100)
            newer.connection.send_datagrams(100, b"n" * 100)
            received: list[bytes] = []

            def newest_there() -> bool:
                received.extend(data for data, _ in receive_all(wireguard))
                return b"n" * 100 in received

            await eventually(newest_there)
            await older.ended()
            received.extend(data for data, _ in receive_all(wireguard))
            assert received == [b"n" * 100]
            await newer.leave()


async def test_what_cannot_be_wireguard_is_not_cut_into_a_thousand_system_calls():
    with fake_wireguard() as wireguard:
        relay = Relay(wireguard.getsockname(), lambda *_: None)
        relay.from_agent(1, bytes(65536))
        assert relay.address is None
        relay.from_agent(32, bytes(64))
        assert [len(data) for data, _ in receive_all(wireguard)] == [32, 32]
        relay.close()
        relay.from_agent(32, bytes(32))
        assert receive_all(wireguard) == []
        unused = Relay(wireguard.getsockname(), lambda *_: None)
        unused.close()
        unused.from_agent(32, bytes(32))
        assert unused.address is None, "a closed relay opens no socket"


ADDRESS = IPv4Address("240.0.0.7")
SECRET = Secret(b"k" * 32)


class Asker:
    """A socket that asks the responder; only what comes back from it counts."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self._answers: list[bytes] = []

    def ask(self, key: probe.ProbeKey, nonce: bytes = b"n" * probe.NONCE_SIZE) -> None:
        self.socket.send(probe.question(key, nonce))

    def answers(self) -> list[bytes]:
        """All that came so far."""
        self._answers += [data for data, _ in receive_all(self.socket)]
        return self._answers


@pytest.fixture
async def responding():
    server = responder.open_responder({ADDRESS: SECRET}.get, "127.0.0.1")
    asker = Asker(server.port)
    yield server, asker
    asker.socket.close()
    server.close()
    server.close()


async def test_a_valid_probe_is_answered(responding):
    _, asker = responding
    key = probe.ProbeKey(ADDRESS, SECRET)
    asker.ask(key)
    answers = await eventually(asker.answers)
    assert [probe.answer_nonce(answer, key) for answer in answers] == [b"n" * probe.NONCE_SIZE]


async def test_everything_else_meets_silence(responding):
    server, asker = responding
    key = probe.ProbeKey(ADDRESS, SECRET)
    valid = probe.question(key, b"n" * probe.NONCE_SIZE)
    for bit in range(0, 8 * len(valid), 3):
        changed = bytearray(valid)
        changed[bit // 8] ^= 1 << bit % 8
        asker.socket.send(changed)
    for other in (b"", b"PGP1", valid + b"x", valid[:-1], os.urandom(148), probe.answer(valid, key)):
        asker.socket.send(other or b"")
    asker.ask(probe.ProbeKey(IPv4Address("240.0.0.8"), SECRET))
    asker.ask(probe.ProbeKey(ADDRESS, Secret(b"w" * 32)))
    asker.ask(key, b"l" * probe.NONCE_SIZE)
    answers = await eventually(asker.answers)
    assert [probe.answer_nonce(answer, key) for answer in answers] == [b"l" * probe.NONCE_SIZE]
    assert server.answered == 1


async def test_answers_are_bounded_and_strangers_cannot_use_them_up(responding):
    server, asker = responding
    forged = probe.ProbeKey(ADDRESS, Secret(b"w" * 32))
    for _ in range(100):
        asker.ask(forged)
    await asyncio.sleep(0)
    for _ in range(100):
        asker.ask(probe.ProbeKey(ADDRESS, SECRET))
    await eventually(lambda: server.answered >= responder.EACH.burst)
    for _ in range(20):
        await asyncio.sleep(0)
    assert server.answered <= responder.EACH.burst + 10


async def test_the_registry_knows_the_probe_keys_of_attached_agents_only(tmp_path: Path):
    async with hub_node(tmp_path) as node:
        (plot,) = node.add_plots(1)
        assert node.registry.probe_key(plot.agent.transit_address) is None
        agent = await attach(node, plot)
        await eventually(lambda: agent.desired)
        assert node.registry.probe_key(plot.agent.transit_address) == Secret(agent.desired[0].probe_key)
        await agent.leave()
        await eventually(lambda: node.registry.probe_key(plot.agent.transit_address) is None)
