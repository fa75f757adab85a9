"""VPN routes, whatever the rows are: exactly what `decide` allows, disjoint, deterministic."""

from ipaddress import IPv4Network
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from plantgate_hub.domain.model import AgentId, RoutePreference, RouteReason, RouteState
from plantgate_hub.domain.policy import Action, Allowed, Denial, decide
from plantgate_hub.domain.routes import find_route, routes_of, transit_of
from plantgate_hub.domain.snapshot import Snapshot, put
from tests import worlds
from tests.worlds import NOW, PLANTS

EVERY_AGENT = frozenset(AgentId(f"agent-{plant}") for plant in PLANTS)
online_sets = st.frozensets(st.sampled_from(sorted(EVERY_AGENT))) | st.just(EVERY_AGENT)
corners = sorted({a for n in worlds.NETWORKS for a in (n[0], n[-1])})
addresses = st.sampled_from(corners)


def may_have_route(snapshot, person, plant):
    """Operators, also those whom a hold or a missing reason keeps out for now."""
    decision = decide(snapshot, person, Action.USE_VPN, plant, NOW)
    return isinstance(decision, Allowed) or decision.reason in (Denial.ON_HOLD, Denial.NO_PURPOSE)


@given(worlds.busy_snapshots(), worlds.people_ids, online_sets, addresses)
def test_routes_allow_exactly_what_decide_allows(snapshot, person, online, address):
    """A packet is routed iff somebody's decision, service, liveness, boundary and choice say so (independent model).
    What is on hold, or waits for a reason, keeps its range and leads nowhere."""
    routes = routes_of(snapshot, person, online, NOW)
    taken = find_route(routes, address)
    claims = [
        subnet
        for subnet in snapshot.subnets
        if address in subnet.network
        and may_have_route(snapshot, person, subnet.plant)
        and snapshot.services_with(subnet.plant)
        and not (snapshot.preferences.get(person, subnet.id) or RoutePreference(person, subnet.id)).disabled
    ]

    def rank(subnet):
        preference = snapshot.preferences.get(person, subnet.id)
        return -(preference.priority if preference else 0), -subnet.network.prefixlen, subnet.number

    winner = min(claims, key=rank, default=None)
    agent = snapshot.active_agent_of(winner.plant) if winner else None
    allowed = winner and isinstance(decide(snapshot, person, Action.USE_VPN, winner.plant, NOW), Allowed)
    reachable = bool(allowed and agent and agent.id in online and any(address in network for network in agent.boundary))
    assert (taken.subnet if taken else None) == (winner.id if winner and reachable else None)


@given(worlds.busy_snapshots(), worlds.people_ids, online_sets)
def test_prefixes_of_one_person_are_disjoint_and_inside_their_subnet(snapshot, person, online):
    routes = routes_of(snapshot, person, online, NOW)
    for route in routes:
        assert bool(route.prefixes) == (route.state is RouteState.REACHABLE)
        assert all(prefix.subnet_of(route.network) for prefix in route.prefixes)
        assert (route.state is RouteState.REACHABLE) == (route.reason is RouteReason.NONE)
    everything = [prefix for route in routes for prefix in route.prefixes]
    assert not any(a.overlaps(b) for a, b in combinations(everything, 2))


@given(worlds.busy_snapshots(), worlds.people_ids)
def test_every_authorized_subnet_is_listed_and_no_other(snapshot, person):
    listed = {route.subnet for route in routes_of(snapshot, person, EVERY_AGENT, NOW)}
    allowed = {subnet.id for subnet in snapshot.subnets if may_have_route(snapshot, person, subnet.plant)}
    assert listed == allowed


@given(worlds.busy_snapshots(), worlds.people_ids, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(snapshot, person, rng):
    """Equal states give equal routes, however they were reached: a switch of priority is deterministic."""
    entities = list(snapshot.entities())
    rng.shuffle(entities)
    assert routes_of(Snapshot.of(entities), person, EVERY_AGENT, NOW) == routes_of(snapshot, person, EVERY_AGENT, NOW)


@given(worlds.busy_snapshots(), worlds.people_ids, st.data())
def test_the_highest_priority_gets_its_whole_subnet(snapshot, person, data):
    routes = routes_of(snapshot, person, EVERY_AGENT, NOW)
    offered = [r for r in routes if r.reason not in (RouteReason.NOT_IN_A_SERVICE, RouteReason.DISABLED_BY_PERSON)]
    if not offered:
        return
    chosen = data.draw(st.sampled_from(offered))
    switched = snapshot.apply([put(RoutePreference(person, chosen.subnet, priority=99))])
    result = {r.subnet: r for r in routes_of(switched, person, EVERY_AGENT, NOW)}[chosen.subnet]
    assert result.state is not RouteState.CONFLICT
    if (
        chosen.reason not in (RouteReason.ON_HOLD, RouteReason.PURPOSE_REQUIRED)
        and snapshot.active_agent_of(chosen.plant)
        and IPv4Network("0.0.0.0/0") in snapshot.active_agent_of(chosen.plant).boundary
    ):
        assert result.prefixes == (chosen.network,)


@given(worlds.busy_snapshots(), worlds.people_ids, online_sets)
def test_going_offline_never_turns_a_range_to_another_plant(snapshot, person, online):
    """With fewer agents online, an address leads where it led before or nowhere."""
    everywhere = routes_of(snapshot, person, EVERY_AGENT, NOW)
    some = routes_of(snapshot, person, online, NOW)
    for address in corners:
        route = find_route(some, address)
        assert route is None or route == find_route(everywhere, address)


@given(worlds.busy_snapshots(), worlds.people_ids)
def test_conflicts_are_named_on_both_sides(snapshot, person):
    routes = {route.subnet: route for route in routes_of(snapshot, person, EVERY_AGENT, NOW)}
    for route in routes.values():
        for rival in route.conflicts_with:
            assert route.subnet in routes[rival].conflicts_with
            assert routes[rival].network.overlaps(route.network)
        if route.state is RouteState.CONFLICT:
            assert route.conflicts_with


@given(worlds.subnets(), st.data())
def test_transit_parts_keep_their_place(subnet, data):
    length = data.draw(st.integers(subnet.network.prefixlen, 32))
    part = data.draw(st.sampled_from(list(subnet.network.subnets(new_prefix=length))[:64]))
    transit = transit_of(subnet, part)
    assert transit.subnet_of(subnet.transit)
    assert int(transit[0]) - int(subnet.transit[0]) == int(part[0]) - int(subnet.network[0])
