"""Enrolment codes and messages: what people type is understood, and nobody without the code gets anywhere."""

from dataclasses import replace

import pytest

from plantgate_shared.errors import InvalidInput
from plantgate_shared.identity import enrolment
from plantgate_shared.identity.enrolment import EnrolmentError, GatewayEnrolment, Reason
from plantgate_shared.identity.handshake import PinnedHub
from plantgate_shared.identity.keys import IdentityKey, WireGuardKey

CODE = enrolment.make_code(bytes(range(7, 20)))
OTHER_CODE = enrolment.make_code(b"x" * 13)
CERTIFICATE = b"c" * 32
IDENTITY, WIREGUARD = IdentityKey.generate(), WireGuardKey.generate()
HUB = PinnedHub("hub", IdentityKey.generate().public)


def gateway(code: str = CODE, name: str = "gw-1") -> GatewayEnrolment:
    return GatewayEnrolment(code, name, IDENTITY.public, WIREGUARD.public, CERTIFICATE, b"n" * 32)


def reply_to(data: bytes, code: str = CODE, plant: str = "Solar park") -> bytes:
    key = enrolment.derive(code).mac_key
    request = enrolment.read_request(data)
    enrolment.check_request(request, key, [b"o" * 32, CERTIFICATE])
    return enrolment.make_reply(request, key, "agent-1", 1, HUB, plant)


def test_both_ends_learn_of_each_other():
    end = gateway()
    request = enrolment.read_request(end.request)
    assert request.lookup == enrolment.derive(CODE).lookup
    assert (request.identity_key, request.wireguard_key, request.name) == (IDENTITY.public, WIREGUARD.public, "gw-1")
    assert end.finish(reply_to(end.request)) == enrolment.Enrolled("agent-1", 1, "Solar park", HUB)


def test_codes_have_four_groups_of_five():
    assert enrolment.make_code(bytes(13)) == "00000-00000-00000-00000"
    assert enrolment.make_code(b"\xff" * 13) == "ZZZZZ-ZZZZZ-ZZZZZ-ZZZZZ"
    assert enrolment.make_code(bytes([0] * 11 + [0, 0x1F])) == "00000-00000-00000-00001"


@pytest.mark.parametrize(
    "typed",
    [
        "0a1b2-c3d4e-5f6g7-h8j9k",
        "oAIB2 C3D4E 5F6G7 H8J9K",
        "OalB2C3D4E5F6G7H8J9K",
        " 0A1B2-C3D4E–5F6G7—H8J9K\n",
        "0 A 1 B 2_C3D4E.5F6G7\tH8J9K",
    ],
)
def test_what_people_type_is_understood(typed: str):
    assert enrolment.parse_code(typed) == "0A1B2-C3D4E-5F6G7-H8J9K"
    assert enrolment.derive(typed) == enrolment.derive("0A1B2-C3D4E-5F6G7-H8J9K")


@pytest.mark.parametrize(
    ("typed", "cause"),
    [
        ("", "20 characters, this one 0"),
        ("0A1B2-C3D4E-5F6G7-H8J9", "20 characters, this one 19"),
        ("0A1B2-C3D4E-5F6G7-H8J9KK", "20 characters, this one 21"),
        ("0A1B2-C3D4E-5F6G7-H8J9U", "has no 'U'"),
        ("0A1B2-C3D4E-5F6G7-H8J9?", r"has no '\?'"),
        ("ÄA1B2-C3D4E-5F6G7-H8J9K", "has no 'Ä'"),
    ],
)
def test_what_cannot_be_a_code_says_why(typed: str, cause: str):
    with pytest.raises(InvalidInput, match=cause) as caught:
        enrolment.parse_code(typed)
    assert "C3D4E" not in str(caught.value)


def test_look_up_id_and_key_are_independent_of_each_other():
    keys = enrolment.derive(CODE)
    assert keys.lookup not in keys.mac_key.reveal().hex()
    assert len(bytes.fromhex(keys.lookup)) == 16
    assert len(keys.mac_key.reveal()) == 32
    assert enrolment.derive(OTHER_CODE).lookup != keys.lookup


def test_the_hub_refuses_a_request_made_without_the_code():
    request = enrolment.read_request(gateway(OTHER_CODE).request)
    with pytest.raises(EnrolmentError) as caught:
        enrolment.check_request(request, enrolment.derive(CODE).mac_key, [CERTIFICATE])
    assert caught.value.reason is Reason.CODE


@pytest.mark.parametrize(
    "change",
    [
        {"name": "gw-2"},
        {"identity_key": IdentityKey.generate().public},
        {"wireguard_key": WireGuardKey.generate().public},
        {"nonce": b"m" * 32},
        {"certificate_sha256": b"o" * 32},
        {"lookup": "0" * 32},
    ],
)
def test_the_requests_mac_covers_every_field(change):
    request = enrolment.read_request(gateway().request)
    with pytest.raises(EnrolmentError) as caught:
        enrolment.check_request(replace(request, **change), enrolment.derive(CODE).mac_key, [CERTIFICATE, b"o" * 32])
    assert caught.value.reason is Reason.CODE


@pytest.mark.parametrize(
    "change",
    [
        {"agent_id": "agent-2"},
        {"epoch": 2},
        {"hub_name": "other"},
        {"hub_key": IdentityKey.generate().public},
        {"plant_name": "Wind park"},
    ],
)
def test_the_replys_mac_covers_every_field(change):
    end = gateway()
    reply = enrolment.decode(reply_to(end.request))
    with pytest.raises(EnrolmentError) as caught:
        end.finish(enrolment.encode(replace(reply, **change)))
    assert caught.value.reason is Reason.HUB_PROOF


def test_a_reply_belongs_to_one_request():
    first = gateway()
    answer = reply_to(first.request)
    with pytest.raises(EnrolmentError) as caught:
        gateway(name="gw-2").finish(answer)
    assert caught.value.reason is Reason.HUB_PROOF


def test_a_box_that_ends_tls_is_told_apart_and_the_code_is_not_to_blame():
    request = enrolment.read_request(gateway().request)
    with pytest.raises(EnrolmentError, match="not used up") as caught:
        enrolment.check_request(request, enrolment.derive(CODE).mac_key, [b"o" * 32])
    assert caught.value.reason is Reason.CERTIFICATE


def test_a_failure_is_told_to_the_gateway():
    for reason in Reason:
        with pytest.raises(EnrolmentError) as caught:
            gateway().finish(enrolment.encode(enrolment.Failure(str(reason))))
        assert caught.value.reason is reason
    for odd in (enrolment.encode(enrolment.Failure("whatever")), gateway().request, b"<html>", b""):
        with pytest.raises(EnrolmentError) as caught:
            gateway().finish(odd)
        assert caught.value.reason is Reason.MALFORMED


def test_a_hub_reads_requests_only():
    for odd in (b"", b"{}", enrolment.encode(enrolment.Failure("code")), bytes(2000)):
        with pytest.raises(EnrolmentError) as caught:
            enrolment.read_request(odd)
        assert caught.value.reason is Reason.MALFORMED


def test_names_are_cut_to_what_fits_and_prints():
    request = enrolment.read_request(gateway(name="gw\n\x1b[31m" + "x" * 500).request)
    assert request.name.startswith("gw[31mxxx")
    assert len(request.name) == 60
    end = gateway()
    assert end.finish(reply_to(end.request, plant="Ü" * 100)).plant_name == "Ü" * 64


def test_every_reason_has_cause_and_remedy():
    assert set(enrolment.EXPLANATIONS) == set(Reason)
