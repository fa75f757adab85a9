"""What an agent is told: its own plant, in one order, and only when it changed."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from plantgate_hub.config import HubConfig, Vpn
from plantgate_hub.domain.model import Device, DeviceId, Person, PersonId, Scheme, TargetId, WebTarget
from plantgate_hub.domain.snapshot import Entity, Snapshot, put
from plantgate_hub.tunnel.desired import desired_state, hub_facts, inputs_changed, same_content
from plantgate_shared.protocol.control import WebTarget as AllowedTarget
from plantgate_shared.protocol.control import parse, to_map
from tests.harness.hub_node import make_plot

PLOTS = [make_plot(1), make_plot(2)]
ENTITIES: list[Entity] = [entity for plot in PLOTS for entity in plot.entities()]
FACTS = hub_facts(HubConfig(), PLOTS[0].agent.wireguard_key)


def test_a_host_of_its_own_for_udp():
    facts = hub_facts(replace(HubConfig(), vpn=Vpn(public_host="vpn.example", agents_port=4500)), "key")
    assert facts.udp_endpoint == "vpn.example:4500"
    assert facts.peer_networks == (IPv4Network("100.64.0.0/10"),)


def test_only_the_own_plant():
    others: list[Entity] = [
        Device(DeviceId("d"), PLOTS[1].plant, "meter", IPv4Address("192.168.1.99")),
        WebTarget(TargetId("t"), DeviceId("d"), "meter", Scheme.HTTPS, 8443),
    ]
    snapshot = Snapshot.of([*ENTITIES, *others], 5)
    theirs = AllowedTarget(IPv4Address("192.168.1.99"), 8443)
    for plot in PLOTS:
        state = desired_state(snapshot, plot.agent, FACTS, b"p" * 32)
        assert [subnet.number for subnet in state.subnets] == [plot.number]
        assert state.transit_address == plot.agent.transit_address
        assert state.revision == 5
        assert (theirs in state.targets) is (plot is PLOTS[1])
        assert parse(to_map(state)) == state


@given(st.permutations(ENTITIES))
def test_the_order_of_rows_does_not_matter(entities: list[Entity]):
    extra: list[Entity] = [
        Device(DeviceId("d"), PLOTS[0].plant, "meter", IPv4Address("192.168.1.9")),
        *(WebTarget(TargetId(f"t{port}"), DeviceId("d"), f"m{port}", Scheme.HTTPS, port) for port in (443, 80, 8443)),
        # two pages of one address and port are one thing to dial
        WebTarget(TargetId("t-again"), DeviceId("d"), "m-again", Scheme.HTTPS, 443, "/admin"),
    ]
    one = desired_state(Snapshot.of(entities + extra), PLOTS[0].agent, FACTS, b"p" * 32)
    other = desired_state(Snapshot.of(list(reversed(entities)) + extra[::-1]), PLOTS[0].agent, FACTS, b"p" * 32)
    assert one == other
    assert one.targets == (
        *(AllowedTarget(IPv4Address("192.168.1.9"), port) for port in (80, 443, 8443)),
        AllowedTarget(IPv4Address("192.168.1.10"), 80),
    )


def test_what_does_not_concern_agents_changes_nothing():
    old = Snapshot.of(ENTITIES, 1)
    person = old.apply([put(Person(PersonId("p"), "a@example.org", "A"))], 2)
    assert not inputs_changed(old, person)
    device = old.apply([put(Device(DeviceId("d"), PLOTS[1].plant, "meter", IPv4Address("192.168.1.9")))], 2)
    assert inputs_changed(old, device)
    before, after = (desired_state(s, PLOTS[0].agent, FACTS, b"p" * 32) for s in (old, device))
    assert before != after
    assert same_content(before, after)
