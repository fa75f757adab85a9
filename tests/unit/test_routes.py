"""VPN routes by example: every state and reason, and every kind of overlap."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from plantgate_hub.domain.impact import people_touched, plants_touched
from plantgate_hub.domain.model import (
    AgentId,
    Job,
    OrgRole,
    PersonId,
    PlantId,
    RoutePreference,
    RouteReason,
    RouteState,
    SubnetId,
)
from plantgate_hub.domain.routes import find_route, routes_of, transit_of
from plantgate_hub.domain.snapshot import Entity, Snapshot, put, remove
from tests import worlds

ADA = PersonId("ada")
NAMES = ("wind", "solar", "chp")
ONLINE = frozenset(AgentId(f"agent-{name}") for name in NAMES)
BASE: list[Entity] = [
    worlds.organization("north"),
    worlds.person("ada"),
    worlds.member("ada", "north", OrgRole.ADMINISTRATOR),
    *(worlds.plant(name, "north") for name in NAMES),
    *(worlds.agent(name, "0.0.0.0/0") for name in NAMES),
    worlds.service("north", *NAMES),
]


def routes(*rows: Entity, online=ONLINE, without=()):
    snapshot = Snapshot.of([*BASE, *rows]).apply(map(remove, without))
    return {str(route.subnet): route for route in routes_of(snapshot, ADA, online, 0.0)}


def prefixes(*rows: Entity) -> list[list[str]]:
    return [[str(p) for p in route.prefixes] for route in routes(*rows).values()]


def prefer(number: int, priority: int = 1, disabled: bool = False) -> RoutePreference:
    return RoutePreference(ADA, SubnetId(f"subnet{number}"), priority, disabled)


WIND, SOLAR = worlds.subnet("wind", "192.168.1.0/24", 1), worlds.subnet("solar", "192.168.1.0/24", 2)


@pytest.mark.parametrize(
    ("rows", "more", "state", "reason"),
    [
        ([WIND], {}, RouteState.REACHABLE, RouteReason.NONE),
        ([WIND], {"online": frozenset()}, RouteState.NOT_YET_REACHABLE, RouteReason.AGENT_OFFLINE),
        (
            [WIND],
            {"without": [worlds.agent("wind")]},
            RouteState.NOT_YET_REACHABLE,
            RouteReason.NO_GATEWAY,
        ),
        (
            [WIND, worlds.agent("wind", "10.0.0.0/8")],
            {},
            RouteState.NOT_YET_REACHABLE,
            RouteReason.OUTSIDE_BOUNDARY,
        ),
        ([WIND, worlds.agent("wind")], {}, RouteState.NOT_YET_REACHABLE, RouteReason.OUTSIDE_BOUNDARY),
        (
            [WIND, worlds.service("north", "solar")],
            {},
            RouteState.NOT_YET_REACHABLE,
            RouteReason.NOT_IN_A_SERVICE,
        ),
        ([WIND, prefer(1, disabled=True)], {}, RouteState.DISABLED, RouteReason.DISABLED_BY_PERSON),
        ([WIND, SOLAR, prefer(2)], {}, RouteState.CONFLICT, RouteReason.OVERLAP_LOST),
        (
            [WIND, prefer(1, disabled=True), worlds.service("north")],
            {},
            RouteState.DISABLED,
            RouteReason.DISABLED_BY_PERSON,
        ),
    ],
)
def test_states_and_reasons(rows, more, state, reason):
    route = routes(*rows, **more)["subnet1"]
    assert (route.state, route.reason) == (state, reason)


def test_no_route_below_operator():
    member = worlds.member("ada", "north")
    assert routes(WIND, member) == {}
    for job in Job:
        assert bool(routes(WIND, member, worlds.grant("ada", "wind", job))) is (job is Job.OPERATOR)
    assert routes(WIND, worlds.member("ada", "north", job=Job.TECHNICAL_MANAGER)) == {}


def test_of_two_equal_ones_the_older_wins_until_the_person_says_otherwise():
    assert prefixes(WIND, SOLAR) == [["192.168.1.0/24"], []]
    assert prefixes(WIND, SOLAR, prefer(2)) == [[], ["192.168.1.0/24"]]
    assert prefixes(WIND, SOLAR, prefer(2), prefer(1, 2)) == [["192.168.1.0/24"], []]


def test_both_sides_of_a_conflict_name_the_other():
    both = routes(WIND, SOLAR)
    assert both["subnet1"].conflicts_with == ("subnet2",)
    assert both["subnet2"].conflicts_with == ("subnet1",)


def test_disabling_one_frees_the_other():
    assert prefixes(WIND, SOLAR, prefer(1, 0, disabled=True)) == [[], ["192.168.1.0/24"]]


def test_a_plant_out_of_service_claims_nothing():
    assert prefixes(WIND, SOLAR, worlds.service("north", "solar")) == [[], ["192.168.1.0/24"]]


def test_a_range_does_not_turn_to_another_plant_when_its_agent_goes_offline():
    both = routes(WIND, SOLAR, online=ONLINE - {"agent-wind"})
    assert both["subnet1"].reason is RouteReason.AGENT_OFFLINE
    assert both["subnet2"].state is RouteState.CONFLICT


def test_the_longer_prefix_wins_and_the_shorter_keeps_the_rest():
    wide, narrow = worlds.subnet("wind", "192.168.0.0/22", 1), worlds.subnet("solar", "192.168.1.0/24", 2)
    assert prefixes(wide, narrow) == [["192.168.0.0/24", "192.168.2.0/23"], ["192.168.1.0/24"]]
    assert prefixes(wide, narrow, prefer(1)) == [["192.168.0.0/22"], []]


def test_a_partial_overlap_of_plants_with_several_subnets():
    """Solar's /23 lies over the second of Wind's networks only."""
    rows = [
        worlds.subnet("wind", "192.168.1.0/24", 1),
        worlds.subnet("wind", "192.168.2.0/24", 2),
        worlds.subnet("solar", "192.168.2.0/23", 3),
    ]
    assert prefixes(*rows) == [["192.168.1.0/24"], ["192.168.2.0/24"], ["192.168.3.0/24"]]
    assert prefixes(*rows, prefer(3)) == [["192.168.1.0/24"], [], ["192.168.2.0/23"]]


def test_three_levels():
    rows = [
        worlds.subnet("wind", "10.0.0.0/16", 1),
        worlds.subnet("solar", "10.0.4.0/22", 2),
        worlds.subnet("chp", "10.0.5.7/32", 3),
    ]
    result = routes(*rows)

    def reached(address: str) -> str | None:
        route = find_route(result.values(), IPv4Address(address))
        return route.plant if route else None

    assert reached("10.0.5.7") == "chp"
    assert reached("10.0.5.8") == "solar"
    assert reached("10.0.8.1") == "wind"
    assert reached("10.1.0.1") is None
    assert sum(prefix.num_addresses for route in result.values() for prefix in route.prefixes) == 65536
    middle = routes(*rows, prefer(2))
    assert middle["subnet3"].state is RouteState.CONFLICT
    assert middle["subnet1"].conflicts_with == ("subnet2",)


def test_only_what_lies_inside_the_boundary_is_routed():
    route = routes(WIND, worlds.agent("wind", "192.168.1.64/26", "192.168.1.10/32", "10.0.0.0/8"))["subnet1"]
    assert [str(p) for p in route.prefixes] == ["192.168.1.10/32", "192.168.1.64/26"]


def test_a_standby_gateway_does_not_count():
    standby = replace(worlds.agent("wind", "0.0.0.0/0"), active=False)
    assert routes(WIND, standby)["subnet1"].reason is RouteReason.NO_GATEWAY


def test_a_thousand_plants_on_one_range():
    plants = [worlds.plant(f"p{n}", "north") for n in range(1000)]
    rows = [worlds.subnet(f"p{n}", "192.168.1.0/24", n + 1) for n in range(1000)]
    agents = [worlds.agent(f"p{n}", "0.0.0.0/0") for n in range(1000)]
    service = worlds.service("north", *(f"p{n}" for n in range(1000)))
    result = routes(*plants, *rows, *agents, service, prefer(500), online=frozenset(a.id for a in agents))
    assert [name for name, route in result.items() if route.prefixes] == ["subnet500"]
    assert len(result["subnet500"].conflicts_with) == 999
    assert result["subnet7"].conflicts_with == ("subnet500",)


def test_the_part_of_a_transit_prefix():
    assert transit_of(WIND, IPv4Network("192.168.1.64/26")) == IPv4Network(f"{WIND.transit[64]}/26")


def test_a_service_touches_only_the_plants_that_came_or_went():
    """Both ways: leaving a service ends VPN, so its people must be compiled anew."""
    before = Snapshot.of([*BASE, worlds.grant("bob", "wind", Job.OPERATOR)])
    change = put(worlds.service("north", "solar", "chp"))
    after = before.apply([change])
    assert plants_touched(before, after, [change]) == {PlantId("wind")}
    assert plants_touched(after, before, [put(worlds.service("north", *NAMES))]) == {PlantId("wind")}
    assert people_touched(before, after, [change]) == {ADA, PersonId("bob")}
