"""The tunnel handshake: both ends against each other, and every reason for which it fails."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from plantgate_shared.identity import handshake
from plantgate_shared.identity.handshake import (
    AgentHandshake,
    HandshakeError,
    HubHandshake,
    PinnedHub,
    Reason,
    Role,
    State,
)
from plantgate_shared.identity.keys import IdentityKey

HUB, AGENT = IdentityKey.generate(), IdentityKey.generate()
CERTIFICATE, OTHER_CERTIFICATE = b"c" * 32, b"d" * 32
NONCE_A, NONCE_H = b"a" * 32, b"h" * 32


@dataclass(frozen=True)
class Record:
    identity_key: bytes = AGENT.public
    active: bool = True
    epoch: int = 3


def make_agent(**changes):
    values: dict[str, Any] = {
        "identity": AGENT,
        "agent_id": "agent-1",
        "epoch": 3,
        "hub": PinnedHub("hub", HUB.public),
        "certificate_sha256": CERTIFICATE,
        "nonce": NONCE_A,
    }
    return AgentHandshake(**(values | changes))


def make_hub(agents=None, **changes):
    agents = {"agent-1": Record()} if agents is None else agents
    values: dict[str, Any] = {
        "identity": HUB,
        "name": "hub",
        "certificates": [OTHER_CERTIFICATE, CERTIFICATE],
        "find_agent": agents.get,
        "nonce": NONCE_H,
    }
    return HubHandshake(**(values | changes))


def decode(data: bytes) -> Any:
    return handshake.decode(data)


def run(agent, hub):
    """Let both talk until neither has anything to say; the errors of (agent, hub)."""
    errors: list[Any] = [None, None]
    while True:
        messages = [(1, message) for message in agent.messages_to_send()]
        messages += [(0, message) for message in hub.messages_to_send()]
        if not messages:
            return errors
        for receiver, message in messages:
            try:
                (agent, hub)[receiver].receive_message(message)
            except HandshakeError as error:
                errors[receiver] = errors[receiver] or error


def refused(agent, hub):
    """The agent's and the hub's error after both failed to establish."""
    errors = run(agent, hub)
    assert not agent.established
    assert not hub.established
    assert agent.state is State.FAILED
    return errors


def test_both_ends_establish():
    agent, hub = make_agent(), make_hub()
    assert run(agent, hub) == [None, None]
    assert agent.established
    assert hub.established
    assert (hub.agent_id, hub.epoch) == ("agent-1", 3)


@pytest.mark.parametrize("epoch", [3, 4])
def test_an_epoch_that_is_not_older_attaches(epoch: int):
    agent, hub = make_agent(epoch=epoch), make_hub()
    assert run(agent, hub) == [None, None]
    assert hub.epoch == epoch


@pytest.mark.parametrize(
    ("record", "reason", "epoch"),
    [
        (None, Reason.UNKNOWN_AGENT, 0),
        (Record(active=False, epoch=5), Reason.INACTIVE, 5),
        (Record(epoch=4), Reason.EPOCH, 4),
        (Record(identity_key=IdentityKey.generate().public), Reason.SIGNATURE, 0),
    ],
)
def test_the_hub_refuses_and_proves_its_refusal(record, reason: Reason, epoch: int):
    at_agent, at_hub = refused(make_agent(), make_hub({"agent-1": record} if record else {}))
    assert at_hub.reason is reason
    assert (at_agent.reason, at_agent.proved, at_agent.epoch) == (reason, True, epoch)
    assert at_agent.hint


def test_a_certificate_that_is_not_the_hubs_own_is_refused_by_the_hub():
    at_agent, at_hub = refused(make_agent(certificate_sha256=b"x" * 32), make_hub())
    assert at_hub.reason is Reason.CERTIFICATE
    assert (at_agent.reason, at_agent.proved) == (Reason.CERTIFICATE, True)
    assert "TLS inspection" in at_agent.hint


def test_a_box_that_rewrites_the_certificate_in_the_hello_is_found_by_the_agent():
    agent, hub = make_agent(certificate_sha256=b"x" * 32), make_hub()
    hello = decode(agent.messages_to_send()[0])
    hub.receive_message(handshake.encode(replace(hello, certificate_sha256=CERTIFICATE)))
    with pytest.raises(HandshakeError) as caught:
        agent.receive_message(hub.messages_to_send()[0])
    assert caught.value.reason is Reason.CERTIFICATE
    assert agent.messages_to_send() == []

    # also when it rewrites the answer
    agent, hub = make_agent(certificate_sha256=b"x" * 32), make_hub()
    hello = decode(agent.messages_to_send()[0])
    hub.receive_message(handshake.encode(replace(hello, certificate_sha256=CERTIFICATE)))
    proof = decode(hub.messages_to_send()[0])
    with pytest.raises(HandshakeError) as caught:
        agent.receive_message(handshake.encode(replace(proof, certificate_sha256=b"x" * 32)))
    assert caught.value.reason is Reason.SIGNATURE


def test_a_wrong_hub_is_named_with_both_fingerprints():
    stranger = IdentityKey.generate()
    agent, hub = make_agent(), make_hub(identity=stranger)
    hub.receive_message(agent.messages_to_send()[0])
    with pytest.raises(HandshakeError, match=r"pinned is SHA256:.*it shows SHA256:") as caught:
        agent.receive_message(hub.messages_to_send()[0])
    assert caught.value.reason is Reason.HUB_KEY
    assert agent.messages_to_send() == [], "a stranger gets no proof of the agent"


def test_a_stranger_that_shows_the_hubs_key_cannot_sign():
    agent, hub = make_agent(), make_hub(identity=IdentityKey.generate())
    hub.receive_message(agent.messages_to_send()[0])
    proof = decode(hub.messages_to_send()[0])
    with pytest.raises(HandshakeError) as caught:
        agent.receive_message(handshake.encode(replace(proof, hub_key=HUB.public)))
    assert caught.value.reason is Reason.SIGNATURE


def test_another_hub_name_is_refused():
    at_agent, _ = refused(make_agent(), make_hub(name="other"))
    assert at_agent.reason is Reason.HUB_NAME


def test_a_strangers_refusal_is_not_proved():
    at_agent, _ = refused(make_agent(certificate_sha256=b"x" * 32), make_hub(identity=IdentityKey.generate()))
    assert (at_agent.reason, at_agent.proved, at_agent.epoch) == (Reason.CERTIFICATE, False, 0)


def test_a_recorded_agent_cannot_be_replayed():
    agent, hub = make_agent(), make_hub()
    hello = agent.messages_to_send()
    hub.receive_message(hello[0])
    agent.receive_message(hub.messages_to_send()[0])
    proof = agent.messages_to_send()
    hub.receive_message(proof[0])
    assert hub.established

    again = make_hub(nonce=b"n" * 32)
    again.receive_message(hello[0])
    with pytest.raises(HandshakeError) as caught:
        again.receive_message(proof[0])
    assert caught.value.reason is Reason.SIGNATURE


def test_a_recorded_hub_cannot_be_replayed():
    agent, hub = make_agent(), make_hub()
    hub.receive_message(agent.messages_to_send()[0])
    recorded = hub.messages_to_send()[0]
    with pytest.raises(HandshakeError) as caught:
        make_agent(nonce=b"n" * 32).receive_message(recorded)
    assert caught.value.reason is Reason.SIGNATURE


def test_a_signature_for_one_role_is_none_for_another():
    """The hub's own proof, sent back to it as the agent's, proves nothing even if both had the same key."""
    agent, hub = make_agent(identity=HUB), make_hub({"agent-1": Record(identity_key=HUB.public)})
    hub.receive_message(agent.messages_to_send()[0])
    reflected = decode(hub.messages_to_send()[0]).signature
    with pytest.raises(HandshakeError) as caught:
        hub.receive_message(handshake.encode(handshake.AgentProof(reflected)))
    assert caught.value.reason is Reason.SIGNATURE


def test_another_version_is_refused_by_name():
    hub = make_hub()
    hello = decode(make_agent().messages_to_send()[0])
    with pytest.raises(HandshakeError, match="it speaks 2, this side 1") as caught:
        hub.receive_message(handshake.encode(replace(hello, version=2)))
    assert caught.value.reason is Reason.VERSION
    agent = make_agent()
    with pytest.raises(HandshakeError) as at_agent:
        agent.receive_message(hub.messages_to_send()[0])
    assert (at_agent.value.reason, at_agent.value.proved) == (Reason.VERSION, False)


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "not msgpack"),
        (b"GET / HTTP/1.1\r\n", "not msgpack"),
        (b"\x90", "not an array that starts with its kind"),
        (b"\x91\x01", "not an array that starts with its kind"),
        (b"\x91\xa5other", "kind 'other' is unknown"),
        (b"\x91\xa5agent", "0 fields instead of 1"),
        (b"\x92\xa5agent\x01", "signature is not bytes"),
        (b"\x92\xa5agent\xc4\x01x", "1 bytes instead of 64"),
        (b"\x92\xa5agent\xc5\x00\x40" + bytes(64), "not in canonical form"),
        (b"\x92\xa5agent\xc4\x40" + bytes(64) + b"\x00", "not msgpack"),
        (b"\x92\xa5agent\x90", "neither number nor text nor bytes"),
        (b"\xc4\xff" + bytes(1200), "longer than 1024"),
    ],
)
def test_malformed_messages_name_what_is_wrong(data: bytes, cause: str):
    for side in (make_agent(), make_hub()):
        with pytest.raises(HandshakeError, match=cause) as caught:
            side.receive_message(data)
        assert caught.value.reason is Reason.MALFORMED
        assert side.state is State.FAILED


def test_messages_out_of_turn_end_the_handshake():
    messages: list[handshake.Message] = [
        handshake.AgentProof(bytes(64)),
        handshake.Welcome(bytes(64)),
        handshake.HubProof("hub", HUB.public, NONCE_H, CERTIFICATE, bytes(64)),
        handshake.ClientHello(1, "agent-1", NONCE_A, 3, CERTIFICATE),
    ]
    for message in messages:
        for side, table in (
            (make_agent(), handshake.AGENT_TRANSITIONS),
            (make_hub(), handshake.HUB_TRANSITIONS),
        ):
            if type(message) in table[side.state]:
                continue
            with pytest.raises(HandshakeError) as caught:
                side.receive_message(handshake.encode(message))
            assert caught.value.reason is Reason.UNEXPECTED


def test_nothing_is_accepted_after_a_failure_or_after_the_end():
    agent, hub = make_agent(), make_hub()
    run(agent, hub)
    for side in (agent, hub):
        with pytest.raises(HandshakeError):
            side.receive_message(handshake.encode(handshake.Welcome(bytes(64))))
        assert not side.established


def test_every_reason_has_cause_and_remedy():
    assert set(handshake.EXPLANATIONS) == set(Reason)


def test_the_tables_lead_nowhere_but_to_their_own_states():
    for table in (handshake.AGENT_TRANSITIONS, handshake.HUB_TRANSITIONS):
        for row in table.values():
            assert set(row.values()) <= set(table)


def test_the_transcript_binds_every_field():
    hello = handshake.ClientHello(1, "agent-1", NONCE_A, 3, CERTIFICATE)
    base: tuple[Any, ...] = (Role.HUB, hello, "hub", HUB.public, NONCE_H)
    changes: dict[str, Any] = {
        "version": 2,
        "agent_id": "agent-2",
        "nonce": b"b" * 32,
        "epoch": 4,
        "certificate_sha256": OTHER_CERTIFICATE,
    }
    variants: list[tuple[Any, ...]] = [
        (Role.AGENT, *base[1:]),
        *[(Role.HUB, replace(hello, **{name: value}), *base[2:]) for name, value in changes.items()],
        (*base[:2], "hub2", *base[3:]),
        (*base[:3], AGENT.public, NONCE_H),
        (*base[:4], b"i" * 32),
        (*base, "extra"),
    ]
    assert len({handshake.transcript(*variant) for variant in [base, *variants]}) == len(variants) + 1
