"""Identity messages under attack: no changed bit and no mixed session is ever accepted."""

from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantgate_shared.identity import enrolment, handshake, wire
from plantgate_shared.identity.enrolment import EnrolmentError, GatewayEnrolment
from plantgate_shared.identity.handshake import AgentHandshake, HandshakeError, HubHandshake, PinnedHub
from plantgate_shared.identity.keys import IdentityKey, WireGuardKey

HUB, AGENT, WIREGUARD = IdentityKey.generate(), IdentityKey.generate(), WireGuardKey.generate()
CERTIFICATE = b"c" * 32
CODE = enrolment.make_code(bytes(range(13)))
MAC_KEY = enrolment.derive(CODE).mac_key


@dataclass(frozen=True)
class Record:
    identity_key: bytes = AGENT.public
    active: bool = True
    epoch: int = 3


def ends(nonce_a: bytes = b"a" * 32, nonce_h: bytes = b"h" * 32, record: Record | None = None):
    pinned = PinnedHub("hub", HUB.public)
    agents = {"agent-1": record or Record()}
    return (
        AgentHandshake(AGENT, "agent-1", 3, pinned, CERTIFICATE, nonce_a),
        HubHandshake(HUB, "hub", [CERTIFICATE], agents.get, nonce_h),
    )


def converse(attack, record: Record | None = None):
    """Run a handshake whose n-th message goes through `attack(n, message)`; both ends."""
    agent, hub = ends(record=record)
    number = 0
    while messages := [(hub, m) for m in agent.messages_to_send()] + [(agent, m) for m in hub.messages_to_send()]:
        for receiver, message in messages:
            with suppress(HandshakeError):
                receiver.receive_message(attack(number, message))
            number += 1
    return agent, hub, number


def recorded(record: Record | None = None) -> list[bytes]:
    """The messages of an undisturbed handshake."""
    messages: list[bytes] = []

    def record_it(_: int, message: bytes) -> bytes:
        messages.append(message)
        return message

    converse(record_it, record)
    return messages


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("target", [0, 1, 2, 3])
def test_any_flipped_bit_of_any_handshake_message_is_refused(target: int):
    messages = recorded()
    assert len(messages) == 4
    for bit in range(8 * len(messages[target])):
        agent, _, _ = converse(lambda number, message, bit=bit: flipped(message, bit) if number == target else message)
        assert not agent.established, f"bit {bit} of message {target}"


def test_any_flipped_bit_of_a_refusal_makes_it_unproved():
    old = Record(epoch=9)
    for bit in range(8 * len(recorded(old)[3])):
        agent, hub = ends(record=old)
        hub.receive_message(agent.messages_to_send()[0])
        agent.receive_message(hub.messages_to_send()[0])
        with pytest.raises(HandshakeError):
            hub.receive_message(agent.messages_to_send()[0])
        with pytest.raises(HandshakeError) as caught:
            agent.receive_message(flipped(hub.messages_to_send()[0], bit))
        assert not caught.value.proved


def test_any_flipped_bit_of_an_enrolment_is_refused():
    end = GatewayEnrolment(CODE, "gw", AGENT.public, WIREGUARD.public, CERTIFICATE, b"n" * 32)
    for bit in range(8 * len(end.request)):
        with pytest.raises(EnrolmentError):
            enrolment.check_request(enrolment.read_request(flipped(end.request, bit)), MAC_KEY, [CERTIFICATE])
    request = enrolment.read_request(end.request)
    reply = enrolment.make_reply(request, MAC_KEY, "agent-1", 1, PinnedHub("hub", HUB.public), "plant")
    assert end.finish(reply).agent_id == "agent-1"
    for bit in range(8 * len(reply)):
        with pytest.raises(EnrolmentError):
            end.finish(flipped(reply, bit))


@given(st.binary(max_size=1100))
def test_arbitrary_bytes_only_ever_give_a_clear_error(data: bytes):
    for side in ends():
        with pytest.raises(HandshakeError):
            side.receive_message(data)
    with pytest.raises(EnrolmentError):
        enrolment.read_request(data)


FIELDS = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.text(max_size=140),
    st.binary(max_size=70),
    st.just(b"a" * 32),
    st.just(b"s" * 64),
    st.none(),
    st.booleans(),
    st.floats(allow_nan=False),
)


@given(
    st.sampled_from(["hello", "hub", "agent", "welcome", "refused", "request", "reply"]), st.lists(FIELDS, max_size=8)
)
def test_well_formed_msgpack_with_wrong_content_only_ever_gives_a_clear_error(tag: str, fields: list[object]):
    data = wire.pack(tag, *fields)
    for side in ends():
        with suppress(HandshakeError):
            side.receive_message(data)
        assert not side.established
    with pytest.raises(EnrolmentError):
        enrolment.check_request(enrolment.read_request(data), MAC_KEY, [CERTIFICATE])


@given(
    st.builds(
        handshake.ClientHello,
        st.just(1),
        st.text(max_size=30),
        st.binary(min_size=32, max_size=32),
        st.integers(0, handshake.MAX_EPOCH),
        st.binary(min_size=32, max_size=32),
    )
)
def test_messages_survive_the_wire(hello: handshake.ClientHello):
    assert handshake.decode(handshake.encode(hello)) == hello


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6))
def test_messages_of_one_session_are_worth_nothing_in_another(order: list[int]):
    messages = recorded()
    for fresh in ends(nonce_a=b"b" * 32, nonce_h=b"i" * 32):
        for index in order:
            try:
                fresh.receive_message(messages[index])
            except HandshakeError:
                break
        assert not fresh.established


@given(st.binary(min_size=13, max_size=13))
def test_codes_survive_being_typed(entropy: bytes):
    code = enrolment.make_code(entropy)
    assert enrolment.parse_code(code.lower().replace("-", " ").replace("0", "o").replace("1", "l")) == code
