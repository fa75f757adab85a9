"""Hostile peers: whatever they send, only a ProtocolError comes out of it, and no other stream is harmed."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantgate_shared.errors import ProtocolError
from plantgate_shared.protocol import GoAwayReason, RemoteProtocolError, ResetReason, Role, TunnelMux, events, frames
from plantgate_shared.protocol.control import parse
from plantgate_shared.protocol.errors import BadControl
from plantgate_shared.protocol.limits import MAX_REPLIES
from tests.property.mux_world import TINY

streams = st.one_of(st.integers(-2, 9), st.integers(0, 2**33))
reasons = st.one_of(st.sampled_from([str(reason) for reason in ResetReason]), st.text(max_size=80))
maps = st.dictionaries(st.one_of(st.text(max_size=5), st.binary(max_size=3)), st.integers(0, 9), max_size=3)
junk = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 2**40), st.floats(), st.text(max_size=5), st.binary(max_size=40)
)

plausible = st.one_of(
    st.tuples(st.just(1), streams, maps),
    st.tuples(st.just(2), streams),
    st.tuples(st.just(3), streams, st.binary(max_size=40)),
    st.tuples(st.just(4), streams),
    st.tuples(st.just(5), streams, reasons),
    st.tuples(st.just(6), streams, st.integers(-1, 2**32)),
    st.tuples(st.just(7), st.integers(-1, 50), st.binary(max_size=40)),
    st.tuples(st.just(8), maps),
    st.tuples(st.just(9), st.binary(max_size=70)),
    st.tuples(st.just(10), st.binary(max_size=70)),
    st.tuples(st.just(11), reasons, st.text(max_size=9)),
    st.lists(junk, max_size=5).map(tuple),
)
plausible_messages = plausible.map(msgpack.packb)


@st.composite
def mutated_messages(draw):
    """A plausible message with a few bytes changed, cut off or put in."""
    message = bytearray(draw(plausible_messages))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(message)))
        match draw(st.sampled_from(["change", "cut", "insert"])):
            case "change" if place < len(message):
                message[place] = draw(st.integers(0, 255))
            case "cut":
                del message[place : place + draw(st.integers(1, 4))]
            case _:
                message[place:place] = draw(st.binary(min_size=1, max_size=4))
    return bytes(message)


messages = st.one_of(st.binary(max_size=64), plausible_messages, mutated_messages())


@given(messages)
def test_decode_raises_only_protocol_errors(message):
    try:
        frame = frames.decode(message)
    except RemoteProtocolError:
        pass
    else:
        assert frames.decode(frames.encode(frame)) == frame
    split = frames.split_data(message)
    assert split is None or frames.decode(message) == frames.Data(*split)


def connected() -> tuple[TunnelMux, TunnelMux, int]:
    """A mux to attack, its honest twin, and the stream that is open between them."""
    victim, honest = TunnelMux(Role.SERVER, TINY), TunnelMux(Role.CLIENT, TINY)
    stream = honest.open_stream({})
    exchange(honest, victim)
    victim.accept_stream(stream)
    exchange(victim, honest)
    return victim, honest, stream


def exchange(sender: TunnelMux, receiver: TunnelMux) -> list[events.Event]:
    for message in sender.messages_to_send():
        receiver.receive_message(message)
    return receiver.events_received()


@given(st.lists(messages, min_size=1, max_size=12))
def test_nothing_but_a_protocol_error_comes_out(attack):
    victim, _, _ = connected()
    for message in attack:
        try:
            if victim.receive_bulk(message) is None:
                victim.receive_message(message)
        except RemoteProtocolError:
            assert victim.closed
            last = victim.messages_to_send()[-1]
            assert isinstance(goodbye := frames.decode(last), frames.GoAway)
            assert goodbye.reason is GoAwayReason.PROTOCOL_ERROR
            assert goodbye.detail
            return
        for sent in victim.messages_to_send():
            frames.decode(sent)


def concerns(message: bytes, stream: int) -> bool:
    """Whether a message is a rightful frame for `stream` or the whole connection: those may change it."""
    try:
        frame = frames.decode(message)
    except ProtocolError:
        return False
    return isinstance(frame, frames.GoAway) or getattr(frame, "stream", None) in (0, stream)


@given(st.lists(messages, max_size=12))
def test_an_attack_on_one_stream_leaves_the_others_intact(attack):
    victim, honest, stream = connected()
    received = b""
    for number, message in enumerate(attack):
        if concerns(message, stream):
            continue
        try:
            victim.receive_message(message)
        except RemoteProtocolError:
            return  # the connection had to end; the test above looks at that
        victim.events_received()
        victim.messages_to_send()  # answers to the attacker, not to the honest twin
        taken = honest.send_data(stream, bytes([number]))
        assert taken == 1
        for event in exchange(honest, victim):
            assert isinstance(event, events.DataReceived)
            received += event.data
            victim.data_consumed(stream, len(event.data))
        for answer in victim.messages_to_send():
            if concerns(answer, stream):
                honest.receive_message(answer)
    assert received == bytes(n for n, message in enumerate(attack) if not concerns(message, stream))


@given(
    st.dictionaries(st.text(max_size=8), st.recursive(junk, lambda inner: st.lists(inner, max_size=3), max_leaves=5))
)
def test_a_control_map_raises_only_bad_control(message):
    for name in ("desired_state", "agent_status"):
        with pytest.raises(BadControl):
            parse(message | {"type": name})


def test_a_peer_that_opens_and_never_reads_is_cut_off():
    victim = TunnelMux(Role.SERVER, TINY)
    for number in range(TINY.max_streams + MAX_REPLIES):
        victim.receive_message(frames.encode(frames.Open(2 * number + 1, {})))
    one_more = frames.encode(frames.Open(2 * (TINY.max_streams + MAX_REPLIES) + 1, {}))
    with pytest.raises(RemoteProtocolError, match="replies wait for a peer"):
        victim.receive_message(one_more)


def test_a_ping_flood_costs_no_memory():
    victim = TunnelMux(Role.SERVER)
    for number in range(10_000):
        victim.receive_message(frames.encode(frames.Ping(number.to_bytes(4, "big"))))
    pongs = [frames.decode(message) for message in victim.messages_to_send()]
    assert len(pongs) <= 8
    assert pongs[-1] == frames.Pong((9_999).to_bytes(4, "big"))
