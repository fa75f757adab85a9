"""Which networks are proposed at enrolment, and where plant networks lie, told from `ip -json`."""

from ipaddress import IPv4Network
from typing import Any

import pytest

from plantgate_agent.config import Pools
from plantgate_agent.lans import KernelRoute, detect, interfaces_towards, parse_routes

POOLS = Pools()


def link(name: str, kind: str = "") -> dict[str, Any]:
    return {"ifname": name, "linkinfo": {"info_kind": kind}} if kind else {"ifname": name}


def wire(network: str, dev: str) -> dict[str, Any]:
    return {"dst": network, "dev": dev, "protocol": "kernel", "scope": "link"}


DEFAULT = {"dst": "default", "gateway": "10.40.0.1", "dev": "wan0"}


def names(lans) -> list[tuple[str, bool]]:
    return [(str(lan.network), lan.proposed) for lan in lans]


def test_the_lan_is_proposed_and_the_way_to_the_internet_is_not():
    links = [link("lo"), link("wan0"), link("lan0", "veth")]
    routes = [DEFAULT, wire("10.40.0.0/24", "wan0"), wire("192.168.1.0/24", "lan0")]
    found = detect(links, routes, POOLS)
    assert names(found) == [("192.168.1.0/24", True), ("10.40.0.0/24", False)]
    assert str(found[1]) == "10.40.0.0/24 (on wan0, also the way to the Internet)"


def test_with_one_card_its_network_is_proposed():
    routes = [DEFAULT | {"dev": "eth0"}, wire("192.168.1.0/24", "eth0")]
    assert names(detect([link("eth0")], routes, POOLS)) == [("192.168.1.0/24", True)]


def test_networks_behind_a_router_are_shown_and_not_proposed():
    routes = [wire("192.168.1.0/24", "lan0"), {"dst": "10.9.0.0/16", "gateway": "192.168.1.254", "dev": "lan0"}]
    found = detect([link("lan0")], routes, POOLS)
    assert names(found) == [("192.168.1.0/24", True), ("10.9.0.0/16", False)]
    assert str(found[1]) == "10.9.0.0/16 (on lan0, behind a router)"


@pytest.mark.parametrize("name", ["docker0", "br-0123456789ab", "virbr0", "cni0", "pg-hub", "lo"])
def test_containers_and_our_own_are_no_plant(name):
    assert detect([link(name)], [wire("172.17.0.0/16", name)], POOLS) == ()


@pytest.mark.parametrize("kind", ["wireguard", "tun"])
def test_tunnels_are_no_plant(kind):
    assert detect([link("x0", kind)], [wire("10.8.0.0/24", "x0")], POOLS) == ()


@pytest.mark.parametrize("network", ["100.64.0.0/24", "169.254.0.0/16", "10.0.0.0/31", "10.0.0.5"])
def test_what_no_boundary_may_hold_is_not_shown(network):
    assert detect([link("lan0")], [wire(network, "lan0")], POOLS) == ()


def test_a_bridge_with_a_name_of_its_own_is_a_lan():
    assert names(detect([link("br0", "bridge")], [wire("192.168.1.0/24", "br0")], POOLS)) == [("192.168.1.0/24", True)]


def test_routes_of_all_kinds_are_read():
    document: list[dict[str, Any]] = [
        {"dst": "default", "nexthops": [{"gateway": "10.0.0.1", "dev": "a"}, {"gateway": "10.0.1.1", "dev": "b"}]},
        {"type": "unreachable", "dst": "10.5.0.0/16"},
        {"dst": "10.6.0.7", "dev": "c"},
        {"dst": "strange", "dev": "d"},
    ]
    read = parse_routes(document)
    assert [(str(r.network), r.interface, r.gateway) for r in read] == [
        ("0.0.0.0/0", "a", True),
        ("0.0.0.0/0", "b", True),
        ("10.6.0.7/32", "c", False),
    ]


def routes(*lines: str) -> tuple[KernelRoute, ...]:
    """`NETWORK INTERFACE [via]`"""
    made = []
    for line in lines:
        network, interface, *via = line.split()
        made.append(KernelRoute(IPv4Network(network), interface, bool(via)))
    return tuple(made)


@pytest.mark.parametrize(
    ("network", "known", "expected"),
    [
        ("192.168.1.0/24", ["192.168.1.0/24 lan0", "0.0.0.0/0 wan0 via"], {"lan0"}),
        ("192.168.0.0/23", ["192.168.0.0/24 a", "192.168.1.0/24 b"], {"a", "b"}),
        ("192.168.0.0/23", ["192.168.0.0/24 a", "192.168.0.0/16 b via"], {"a", "b"}),
        ("10.1.0.0/16", ["10.0.0.0/8 lan0 via", "0.0.0.0/0 wan0 via"], {"lan0"}),
        ("192.168.1.0/24", ["192.168.1.0/24 pg-hub"], set()),
        # A LAN that is unplugged must not send plant traffic to the Internet provider,
        ("192.168.1.0/24", ["10.40.0.0/24 wan0", "192.168.7.0/24 lan1", "0.0.0.0/0 wan0 via"], set()),
        ("192.168.1.0/24", ["203.0.113.0/24 wan0", "0.0.0.0/0 wan0 via"], set()),
        # while on a gateway with one card the default route leads to the plant's other networks as well.
        ("192.168.2.0/24", ["192.168.1.0/24 eth0", "172.17.0.0/16 docker0", "0.0.0.0/0 eth0 via"], {"eth0"}),
    ],
)
def test_where_a_plant_network_lies(network, known, expected):
    assert interfaces_towards([IPv4Network(network)], routes(*known)) == expected
