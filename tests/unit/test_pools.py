"""Address pools: what may be a pool or a plant's subnet, and the next free one of each."""

from ipaddress import IPv4Address, IPv4Network, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantgate_hub.domain.pools import (
    NUMBER_LIMIT,
    Pools,
    address6,
    next_address,
    next_number,
    next_transit,
    parse_subnet,
)
from plantgate_shared.errors import ConfigError, Conflict, InvalidInput

POOLS = Pools()
SMALL = IPv4Network("100.64.0.0/29")  # hosts .2 to .6 are for profiles


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"profiles": IPv4Network("198.18.0.0/16")}, r"profiles \(198.18.0.0/16\) and aliases .* overlap"),
        ({"transit": IPv4Network("100.0.0.0/8")}, r"profiles \(100.64.0.0/10\) and transit .* overlap"),
        ({"profiles": IPv4Network("100.64.0.0/24")}, "too small"),
        ({"aliases": IPv4Network("10.128.0.0/12")}, "overlaps 10.0.0.0/8, which plants use"),
    ],
)
def test_pools_that_clash_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        Pools(**changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.0.0.0/0", "default route"),
        ("127.0.0.0/24", "loopback"),
        ("169.254.7.0/24", "link-local"),
        ("224.0.0.0/24", "multicast"),
        ("240.1.0.0/24", "reserved"),
        ("0.0.0.0/16", "this network"),
        ("100.64.9.0/24", "pool profiles"),
        ("198.19.0.0/24", "pool aliases"),
        ("128.0.0.0/1", "overlaps"),
        ("10.0.0.0/8", "larger than /16"),
        ("192.168.1.7/24", "did you mean 192.168.1.0/24"),
        ("192.168.1.0", "did you mean 192.168.1.0/32"),
        ("fd00::/64", "not an IPv4 network"),
        ("plant", "not an IPv4 network"),
    ],
)
def test_what_cannot_be_a_plants_subnet(text, message):
    with pytest.raises(InvalidInput, match=message):
        parse_subnet(text, POOLS)


@pytest.mark.parametrize("text", ["192.168.1.0/24", "10.0.0.0/16", "172.16.5.4/32", " 192.168.1.0/255.255.255.0 "])
def test_what_can(text):
    assert parse_subnet(text, POOLS).prefixlen >= 16


def test_addresses_are_given_in_turn_and_come_back_last():
    used: list[IPv4Address] = []
    for expected in (2, 3, 4, 5, 6):
        used.append(next_address(SMALL, used, used[-1] if used else None))
        assert used[-1] == SMALL[expected]
    with pytest.raises(Conflict, match="no free address left"):
        next_address(SMALL, used, used[-1])
    assert next_address(SMALL, used[1:], SMALL[6]) == SMALL[2]
    assert next_address(SMALL, used[:3], SMALL[3]) == SMALL[5], "free again, but not while others are there"


@given(st.sets(st.integers(2, 6)), st.none() | st.integers(0, 7))
def test_an_address_is_free_and_never_the_hubs(used, after):
    taken = [SMALL[host] for host in used]
    if len(used) == 5:
        with pytest.raises(Conflict):
            next_address(SMALL, taken, None if after is None else SMALL[after])
        return
    address = next_address(SMALL, taken, None if after is None else SMALL[after])
    assert address in SMALL
    assert address not in taken
    assert address not in (SMALL[0], SMALL[1], SMALL[7])


@given(st.lists(st.integers(16, 32), max_size=40))
def test_transit_prefixes_are_disjoint_and_outside_the_agents_part(lengths):
    used: list[IPv4Network] = []
    for length in lengths:
        prefix = next_transit(POOLS, used, length, used[-1] if used else None)
        assert prefix.prefixlen == length
        assert prefix.subnet_of(POOLS.transit)
        assert not prefix.overlaps(POOLS.agents)
        assert not any(prefix.overlaps(other) for other in used)
        used.append(prefix)


def _all_of(pools: Pools) -> list[IPv4Network]:
    """Every /24 that the pool gives, in turn."""
    given: list[IPv4Network] = []
    try:
        while True:
            given.append(next_transit(pools, given, 24, given[-1] if given else None))
    except Conflict:
        return given


def test_a_transit_prefix_that_was_given_back_waits_until_the_pool_went_round():
    pools = Pools(transit=IPv4Network("240.0.0.0/20"))
    first = next_transit(pools, [], 24)
    assert next_transit(pools, [], 24, first) != first
    everything = _all_of(pools)
    assert len(everything) == 15, "the first /24 holds the agents' /28"
    assert next_transit(pools, everything[1:], 24, everything[-1]) == everything[0]


def test_the_limited_broadcast_address_is_never_given():
    pools = Pools(transit=IPv4Network("255.255.240.0/20"))
    given = _all_of(pools)
    assert IPv4Network("255.255.255.0/24") not in given


def test_numbers_only_grow():
    assert next_number(0) == 1
    with pytest.raises(Conflict):
        next_number(NUMBER_LIMIT)


def test_the_ipv6_address_holds_the_ipv4_one():
    assert str(address6(IPv6Network("fd12:3456:789a::/48"), IPv4Address("100.64.0.2"))) == "fd12:3456:789a::6440:2"
