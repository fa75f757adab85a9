"""The UDP path probe: only who has the key is answered, only a true answer counts."""

import asyncio
import os
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from plantgate_agent.probe import open_prober
from plantgate_shared.protocol import probe
from plantgate_shared.protocol.probe import ProbeKey
from plantgate_shared.secret import Secret

KEY = ProbeKey(IPv4Address("240.0.0.5"), Secret(b"k" * 32))
NONCE = bytes(range(12))


def test_a_question_names_its_asker_and_gets_an_answer_of_its_own_size():
    question = probe.question(KEY, NONCE)
    assert probe.asker(question) == KEY.transit_address
    answer = probe.answer(question, KEY)
    assert answer is not None
    assert len(answer) == len(question) == probe.SIZE
    assert probe.answer_nonce(answer, KEY) == NONCE


def test_it_is_no_wireguard_message():
    assert probe.question(KEY, NONCE)[0] not in (1, 2, 3, 4)


@given(st.integers(0, probe.SIZE * 8 - 1))
def test_a_question_with_any_bit_changed_is_not_answered(bit):
    changed = bytearray(probe.question(KEY, NONCE))
    changed[bit // 8] ^= 1 << bit % 8
    assert probe.answer(bytes(changed), KEY) is None


@given(st.binary(max_size=80))
def test_noise_is_never_answered(noise):
    assert probe.answer(noise, KEY) is None
    assert probe.answer_nonce(noise, KEY) is None


def test_answers_are_not_questions_and_other_keys_are_nobody():
    question = probe.question(KEY, NONCE)
    answer = probe.answer(question, KEY)
    assert answer is not None
    assert probe.answer(answer, KEY) is None
    assert probe.answer_nonce(question, KEY) is None
    for other in (ProbeKey(IPv4Address("240.0.0.6"), KEY.secret), ProbeKey(KEY.transit_address, Secret(b"x" * 32))):
        assert probe.answer(question, other) is None


class Hub(asyncio.DatagramProtocol):
    """Answers with what the test wants."""

    def __init__(self, reply):
        self.reply = reply

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        for answer in self.reply(data):
            self.transport.sendto(answer, addr)


async def asked(reply) -> list[int]:
    """Numbers of the probes that the prober takes as answered."""
    loop = asyncio.get_running_loop()
    heard: list[int] = []
    over = asyncio.Event()

    def answer(data):
        replies = reply(data)
        loop.call_later(0.05, over.set)
        return replies

    transport, _ = await loop.create_datagram_endpoint(lambda: Hub(answer), local_addr=("127.0.0.1", 0))
    prober = await open_prober(heard.append)
    prober.send(1)  # not configured yet: nothing happens
    assert prober.configure(transport.get_extra_info("sockname"), KEY)
    assert not prober.configure(transport.get_extra_info("sockname"), KEY)
    prober.send(7)
    async with asyncio.timeout(5):
        await over.wait()
    prober.close()
    transport.close()
    return heard


async def test_a_true_answer_counts_once():
    assert await asked(lambda data: [probe.answer(data, KEY)] * 3) == [7]


async def test_an_answer_to_another_question_counts_nothing():
    old = probe.answer(probe.question(KEY, os.urandom(12)), KEY)
    assert await asked(lambda _: [old, b"noise", b""]) == []
