"""Control messages: they survive the wire, tolerate what is new, and name what is wrong."""

from base64 import b64encode
from ipaddress import IPv4Address, IPv4Network

import pytest

from plantgate_shared.protocol import frames
from plantgate_shared.protocol.control import (
    AgentStatus,
    DesiredState,
    DeviceLookedFor,
    LookForDevice,
    PlantSubnet,
    Presence,
    TunnelPath,
    UnknownControl,
    WebTarget,
    parse,
    to_map,
)
from plantgate_shared.protocol.errors import BadControl

DESIRED = DesiredState(
    revision=7,
    hub_wireguard_key=b64encode(bytes(32)).decode(),
    udp_endpoint="hub.example:51821",
    transit_address=IPv4Address("240.0.0.5"),
    peer_networks=(IPv4Network("100.64.0.0/10"),),
    subnets=(PlantSubnet(1, IPv4Network("192.168.1.0/24"), IPv4Network("240.16.0.0/24")),),
    targets=(WebTarget(IPv4Address("192.168.1.10"), 80),),
    probe_key=b"probe-secret",
    mtu=1280,
)
STATUS = AgentStatus(
    revision_applied=7,
    path=TunnelPath.WEBSOCKET,
    boundary=(IPv4Network("192.168.1.0/24"),),
    refused=(),
    error="",
    version="0.1.0",
    handshake_age=3.5,
)


LOOK = LookForDevice(3, IPv4Address("192.168.1.10"))
LOOKED = DeviceLookedFor(3, Presence.ANSWERS, "00:00:5e:00:53:01")


@pytest.mark.parametrize("message", [DESIRED, STATUS, LOOK, LOOKED], ids=lambda message: to_map(message)["type"])
def test_a_message_survives_the_wire(message):
    frame = frames.decode(frames.encode(frames.Control(to_map(message))))
    assert isinstance(frame, frames.Control)
    assert parse(frame.message) == message


def test_a_presence_that_is_none_is_named():
    with pytest.raises(BadControl, match="presence must be one of answers, silent, outside, unknown, not 'maybe'"):
        parse(to_map(LOOKED) | {"presence": "maybe"})


def test_unknown_keys_are_tolerated_at_every_level():
    newer = to_map(DESIRED) | {"colour": "green"}
    newer["targets"] = [{"host": "192.168.1.10", "port": 80, "scheme": "https"}]
    assert parse(newer) == DESIRED


def test_fields_that_an_older_agent_lacks_have_defaults():
    older = {key: value for key, value in to_map(STATUS).items() if key not in ("error", "version", "handshake_age")}
    assert parse(older) == AgentStatus(7, TunnelPath.WEBSOCKET, STATUS.boundary, ())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"revision": -1}, "desired_state.revision must be a whole number from 0 to .*, not -1"),
        ({"revision": True}, "not True"),
        ({"hub_wireguard_key": "c2hvcnQ="}, "hub_wireguard_key must be 32 bytes in base64, not 'c2hvcnQ='"),
        ({"hub_wireguard_key": "!"}, "must be 32 bytes in base64"),
        ({"udp_endpoint": "hub.example"}, "udp_endpoint must be host:port, not 'hub.example'"),
        ({"udp_endpoint": "hub:99999"}, "must be host:port"),
        ({"udp_endpoint": "hub:٣"}, "must be host:port"),
        ({"transit_address": "240.0.0"}, "transit_address must be an IPv4 address, not '240.0.0'"),
        ({"peer_networks": "10.0.0.0/8"}, "peer_networks must be a list, not '10.0.0.0/8'"),
        (
            {"peer_networks": ["10.0.0.1/8"]},
            r"desired_state.peer_networks\[0\] must be an IPv4 network, not '10.0.0.1/8'",
        ),
        ({"subnets": [5]}, r"subnets\[0\] must be a map, not 5"),
        ({"targets": [{"host": "192.168.1.10"}]}, r"desired_state.targets\[0\] lacks the field port"),
        (
            {"targets": [{"host": "192.168.1.10", "port": 0}]},
            r"targets\[0\].port must be a whole number from 1 to 65535",
        ),
        (
            {"subnets": [{"number": 1, "network": "10.0.0.0/8", "transit": "240.16.0.0/24"}]},
            "240.16.0.0/24 cannot stand for 10.0.0.0/8",
        ),
        ({"mtu": 100}, "mtu must be a whole number from 576"),
    ],
)
def test_what_is_wrong_is_named(change, says):
    with pytest.raises(BadControl, match=says):
        parse(to_map(DESIRED) | change)


@pytest.mark.parametrize("field", [name for name in to_map(DESIRED) if name != "type"])
def test_a_missing_field_is_named(field):
    message = to_map(DESIRED)
    del message[field]
    with pytest.raises(BadControl, match=f"desired_state lacks the field {field}"):
        parse(message)


def test_a_status_on_an_unknown_path_is_refused():
    with pytest.raises(BadControl, match="path must be one of udp, websocket, not 'pigeon'"):
        parse(to_map(STATUS) | {"path": "pigeon"})


@pytest.mark.parametrize("message", [{}, {"type": 5}, {"type": "lease"}, {"type": ["x"]}])
def test_an_unknown_type_can_be_told_apart(message):
    with pytest.raises(UnknownControl):
        parse(message)


def test_the_probe_key_is_in_no_representation_and_no_error():
    assert "probe-secret" not in repr(DESIRED)
    with pytest.raises(BadControl) as caught:
        parse(to_map(DESIRED) | {"probe_key": "probe-secret"})
    assert "probe-secret" not in str(caught.value)
