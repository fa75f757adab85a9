"""Plans for WireGuard peers and links, applied to models of the kernel."""

from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantgate_shared.netplan import (
    AddAddress,
    AddRoute,
    LinkState,
    Peer,
    RemoveAddress,
    RemovePeer,
    RemoveRoute,
    RouteEntry,
    SetMtu,
    SetPeer,
    SetUp,
    plan_link,
    plan_peers,
)

KEYS = ["a" * 43 + "=", "b" * 43 + "=", "c" * 43 + "="]
NETWORKS = [ip_network(f"240.16.{n}.0/24") for n in range(5)]


@st.composite
def peer_sets(draw: st.DrawFn, desired: bool) -> dict[str, Peer]:
    owners = draw(st.lists(st.sampled_from([*KEYS, None]), min_size=len(NETWORKS), max_size=len(NETWORKS)))
    endpoints = st.sampled_from([None, "192.0.2.1:1", "[2001:db8::1]:2"])
    return {
        key: Peer(
            frozenset(n for n, owner in zip(NETWORKS, owners, strict=True) if owner == key),
            draw(endpoints),
            draw(st.sampled_from([0, 25])),
            latest_handshake=0 if desired else draw(st.integers(0, 2**31)),
        )
        for key in draw(st.lists(st.sampled_from(KEYS), unique=True))
    }


@given(peer_sets(desired=False))
def test_no_step_for_the_same_peers(peers: dict[str, Peer]) -> None:
    assert plan_peers(peers, peers) == ()


@given(peer_sets(desired=True), peer_sets(desired=False))
def test_peers_reach_what_is_desired(desired: dict[str, Peer], observed: dict[str, Peer]) -> None:
    kernel = dict(observed)
    for step in plan_peers(desired, observed):
        match step:
            case SetPeer(key, allowed, endpoint, keepalive):
                for other in kernel:  # the kernel takes them away from whoever had them
                    kernel[other] = replace(kernel[other], allowed_ips=kernel[other].allowed_ips - allowed)
                kept = kernel[key].endpoint if key in kernel else None
                kernel[key] = Peer(allowed, endpoint or kept, keepalive)
            case RemovePeer(key):
                del kernel[key]
    assert kernel.keys() == desired.keys()
    for key, peer in desired.items():
        assert kernel[key].allowed_ips == peer.allowed_ips
        assert kernel[key].keepalive == peer.keepalive
        assert peer.endpoint in (None, kernel[key].endpoint)
    assert plan_peers(desired, kernel) == ()


def test_an_allowed_ip_has_one_owner() -> None:
    both = Peer(frozenset({NETWORKS[0]}))
    with pytest.raises(ValueError, match=r"240\.16\.0\.0/24"):
        plan_peers({KEYS[0]: both, KEYS[1]: both}, {})


ADDRESSES = [ip_interface(text) for text in ("100.64.0.1/32", "240.0.0.5/32", "fd00::1/128")]
ROUTES = [
    RouteEntry(network, source)
    for network in (ip_network("100.64.0.0/10"), ip_network("240.0.0.0/4"))
    for source in (None, ip_address("100.64.0.1"))
]


@st.composite
def links(draw: st.DrawFn) -> LinkState:
    routes = {route.network: route for route in draw(st.lists(st.sampled_from(ROUTES)))}
    addresses = draw(st.frozensets(st.sampled_from(ADDRESSES)))
    return LinkState(draw(st.booleans()), draw(st.sampled_from([1380, 1420])), addresses, frozenset(routes.values()))


@given(links())
def test_no_step_for_the_same_link(link: LinkState) -> None:
    assert plan_link(link, link) == ()


@given(links(), links())
def test_a_link_reaches_what_is_desired(desired: LinkState, observed: LinkState) -> None:
    link = observed
    for step in plan_link(desired, observed):
        match step:
            case SetUp(up):
                link = replace(link, up=up)
            case SetMtu(mtu):
                link = replace(link, mtu=mtu)
            case AddAddress(address):
                link = replace(link, addresses=link.addresses | {address})
            case RemoveAddress(address):
                link = replace(link, addresses=link.addresses - {address})
            case AddRoute(route):
                assert link.up, "Network is down"
                others = {other for other in link.routes if other.network != route.network}
                link = replace(link, routes=frozenset(others | {route}))
            case RemoveRoute(route):
                link = replace(link, routes=link.routes - {route})
    assert link.up == desired.up
    assert not desired.up or link == desired
