"""What the gateway does of what the hub asks: within the boundary, and never against the gateway itself."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantgate_agent.boundary import Boundary
from plantgate_agent.desired import check_endpoint, decide
from plantgate_agent.lans import KernelRoute
from plantgate_shared.errors import InvalidInput
from plantgate_shared.protocol.control import PlantSubnet, WebTarget

from .worlds import DEVICE, LAN, PEER, SITE, TRANSIT, desired_state

ANNEX = IPv4Network("192.168.50.0/24")


def test_what_lies_inside_is_done():
    decision = decide(desired_state(), SITE)
    assert [mapping.network for mapping in decision.network.rules.subnets] == [LAN]
    assert decision.network.rules.lans == {"lan0"}
    assert decision.targets == decision.network.rules.targets == {(DEVICE, 80)}
    assert decision.network.peer == PEER
    assert (decision.refused, decision.warnings) == ((), ())


@pytest.mark.parametrize(
    "address", ["192.168.1.10", "192.168.1.200", "127.0.0.1", "169.254.0.1", "224.0.0.1", "10.1.0.9"]
)
def test_the_hub_cannot_send_datagrams_to_the_plants_side_by_naming_it_as_its_own_endpoint(address: str):
    annex = KernelRoute(IPv4Network("10.1.0.0/24"), "lan0", gateway=False)  # on the plant's wire, not in the boundary
    with pytest.raises(InvalidInput, match="plant's side"):
        check_endpoint(IPv4Address(address), SITE.boundary, (*SITE.routes, annex), SITE.hub)


def test_a_hub_is_reached_by_udp_where_its_tunnel_leads_and_on_the_internet():
    beside = IPv4Address("192.168.1.5")
    assert check_endpoint(beside, SITE.boundary, SITE.routes, frozenset({beside})) == beside
    far = IPv4Address("203.0.113.9")
    assert check_endpoint(far, SITE.boundary, SITE.routes, SITE.hub) == far


def test_what_lies_outside_is_left_out_with_its_targets():
    state = desired_state(
        subnets=(PlantSubnet(1, LAN, TRANSIT), PlantSubnet(2, ANNEX, IPv4Network("240.16.1.0/24"))),
        targets=(
            WebTarget(DEVICE, 80),
            WebTarget(IPv4Address("192.168.50.10"), 80),
            WebTarget(IPv4Address("127.0.0.1"), 80),
        ),
    )
    decision = decide(state, SITE)
    assert [mapping.network for mapping in decision.network.rules.subnets] == [LAN]
    assert decision.targets == {(DEVICE, 80)}
    assert [refused.network for refused in decision.refused] == [ANNEX]


def test_a_target_in_a_network_that_the_hub_does_not_serve_is_not_dialled():
    assert decide(desired_state(subnets=()), SITE).targets == frozenset()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peer_networks": (IPv4Network("0.0.0.0/0"),)}, "outside the pool 100.64.0.0/10"),
        ({"peer_networks": (IPv4Network("192.168.0.0/16"),)}, "outside the pool"),
        ({"peer_networks": ()}, "names no peer networks"),
        ({"transit_address": IPv4Address("192.168.1.1")}, "as its transit address, which is outside the pool"),
        ({"subnets": (PlantSubnet(1, LAN, IPv4Network("10.0.0.0/24")),)}, "as a transit prefix, which is outside"),
        ({"subnets": (PlantSubnet(1, LAN, TRANSIT), PlantSubnet(2, ANNEX, TRANSIT))}, "overlaps another one"),
        ({"subnets": (PlantSubnet(1, LAN, IPv4Network("240.16.0.0/25")),)}, "has another length than 192.168.1.0/24"),
        ({"mtu": 65535}, "an MTU of 65535"),
    ],
)
def test_what_would_turn_the_gateway_against_itself_is_refused_whole(changes, message):
    with pytest.raises(InvalidInput) as caught:
        decide(desired_state(**changes), SITE)
    assert message in str(caught.value)


def test_a_network_without_a_way_is_named():
    decision = decide(desired_state(), replace(SITE, routes=SITE.routes[1:]))
    assert decision.network.rules.lans == frozenset()
    assert decision.warnings == (
        "the gateway has no route to 192.168.1.0/24 but its way to the Internet; give it an address or a route",
    )


networks = st.builds(
    lambda address, length: IPv4Network((address, length), strict=False),
    st.integers(0, 2**32 - 1) | st.sampled_from([int(IPv4Address(a)) for a in ("192.168.1.0", "10.0.0.0", "10.0.7.0")]),
    st.integers(0, 32),
)
allowed = st.sampled_from([IPv4Network(n) for n in ("192.168.1.0/24", "10.0.0.0/8", "10.0.0.0/24", "172.16.0.0/12")])


@given(st.lists(allowed, max_size=4), st.lists(networks, max_size=6), st.lists(networks, max_size=6))
def test_whatever_the_hub_asks_nothing_outside_the_boundary_comes_of_it(boundary, asked, dialled):
    subnets: list[PlantSubnet] = []
    start = int(IPv4Address("240.16.0.0"))
    for number, network in enumerate(asked):
        if start >= 2**32:
            break
        transit = IPv4Network((start, network.prefixlen), strict=False)
        if not transit.subnet_of(IPv4Network("240.0.0.0/4")) or any(transit.overlaps(s.transit) for s in subnets):
            continue
        subnets.append(PlantSubnet(number, network, transit))
        start = int(transit.broadcast_address) + 1
    targets = tuple(WebTarget(network.network_address, 80) for network in dialled)
    site = replace(SITE, boundary=Boundary.of(boundary))
    decision = decide(desired_state(subnets=tuple(subnets), targets=targets), site)
    for mapping in decision.network.rules.subnets:
        addresses = (mapping.network.network_address, mapping.network.broadcast_address)
        assert all(any(address in network for network in boundary) for address in addresses)
    for address, _ in decision.targets:
        assert any(address in network for network in boundary)
        assert any(address in subnet.network for subnet in subnets)
    assert len(decision.refused) + len({m.network for m in decision.network.rules.subnets}) == len(
        {s.network for s in subnets}
    )
