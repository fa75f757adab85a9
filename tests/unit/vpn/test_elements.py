"""From routes, profiles and agents to elements and peers."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_network

import pytest

from plantgate_hub.domain.model import (
    Agent,
    AgentId,
    Alias,
    PersonId,
    PlantId,
    Profile,
    ProfileId,
    Route,
    RouteReason,
    RouteState,
    Subnet,
    SubnetId,
)
from plantgate_hub.domain.routes import transit_of
from plantgate_hub.vpn.elements import agent_peers, leads_to, profile_elements, user_peers
from plantgate_hub.vpn.state import NOTHING

NORTH = Subnet(SubnetId("north"), PlantId("north"), IPv4Network("192.168.0.0/22"), IPv4Network("240.16.0.0/22"), 7)
SUBNETS = {NORTH.id: NORTH}


def alias(address: str, prefix: str) -> Alias:
    return Alias(PersonId("p"), NORTH.id, IPv4Address(address), IPv4Network(prefix))


ALIAS = alias("192.168.0.0", "198.18.4.0/22")


def route(state: RouteState, reason: RouteReason = RouteReason.NONE, *prefixes: str, aliases=()) -> Route:
    networks = tuple(map(IPv4Network, prefixes))
    return Route(PersonId("p"), NORTH.id, NORTH.plant, NORTH.network, state, reason, networks, aliases=tuple(aliases))


def test_a_part_of_a_subnet_leads_to_the_same_part_of_its_transit_prefix() -> None:
    elements = profile_elements(
        [route(RouteState.REACHABLE, RouteReason.NONE, "192.168.2.0/23", "192.168.0.8/29")], SUBNETS
    )
    assert elements.plants == {
        IPv4Network("192.168.2.0/23"): IPv4Network("240.16.2.0/23"),
        IPv4Network("192.168.0.8/29"): IPv4Network("240.16.0.8/29"),
    }
    assert elements.allowed == {7}


def test_what_is_no_part_of_the_subnet_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/24 is not a part of the plant subnet 192\.168\.0\.0/22"):
        transit_of(NORTH, IPv4Network("10.0.0.0/24"))


def test_an_alias_leads_to_the_plant_and_a_single_device_has_one_of_its_own() -> None:
    one = alias("192.168.1.10", "198.18.9.5/32")
    found = route(RouteState.REACHABLE, RouteReason.NONE, "192.168.0.0/22", aliases=[one])
    elements = profile_elements([found], SUBNETS)
    assert leads_to(elements, IPv4Address("198.18.9.5")) == IPv4Address("240.16.1.10")
    assert leads_to(elements, IPv4Address("192.168.1.10")) == IPv4Address("240.16.1.10")
    assert leads_to(elements, IPv4Address("198.18.9.6")) is None


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (RouteState.DISABLED, RouteReason.DISABLED_BY_PERSON),
        (RouteState.NOT_YET_REACHABLE, RouteReason.NOT_IN_A_SERVICE),
        (RouteState.REACHABLE, RouteReason.NOT_IN_A_SERVICE),
        (RouteState.CONFLICT, RouteReason.DISABLED_BY_PERSON),
    ],
)
def test_what_is_not_known_to_be_authorized_reaches_nothing(state: RouteState, reason: RouteReason) -> None:
    assert profile_elements([route(state, reason, "192.168.0.0/22", aliases=[ALIAS])], SUBNETS) == NOTHING


def test_a_plant_that_lost_its_range_keeps_its_alias_only() -> None:
    lost = route(RouteState.CONFLICT, RouteReason.OVERLAP_LOST, "192.168.0.0/22", aliases=[ALIAS])
    elements = profile_elements([lost], SUBNETS)
    assert list(elements.plants) == [IPv4Network("198.18.4.0/22")]


def test_an_absent_agent_takes_no_permission_away() -> None:
    offline = route(RouteState.NOT_YET_REACHABLE, RouteReason.AGENT_OFFLINE, "192.168.0.0/22")
    assert profile_elements([offline], SUBNETS).allowed == {7}


def test_a_route_of_an_unknown_subnet_reaches_nothing() -> None:
    assert profile_elements([route(RouteState.REACHABLE, RouteReason.NONE, "192.168.0.0/22")], {}) == NOTHING


def test_people_may_send_from_their_own_addresses_only() -> None:
    profile = Profile(ProfileId("1"), PersonId("p"), "laptop", "key", IPv4Address("100.64.0.5"), IPv6Address("fd00::5"))
    assert user_peers([profile])["key"].allowed_ips == {ip_network("100.64.0.5"), ip_network("fd00::5")}


def agent(name: str, epoch: int = 1, active: bool = True) -> Agent:
    return Agent(AgentId(name), NORTH.plant, name, b"", f"key-{name}", IPv4Address("240.0.0.1") + epoch, active, epoch)


def test_a_plant_is_served_by_its_active_agent_of_the_highest_epoch() -> None:
    peers = agent_peers([agent("new", 3), agent("old", 2), agent("spare", 4, active=False)], [NORTH])
    assert list(peers) == ["key-new"]
    assert peers["key-new"].allowed_ips == {NORTH.transit, ip_network("240.0.0.4")}
