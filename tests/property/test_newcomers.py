"""No grant, subnet or service of others turns a range that a person reaches to another plant."""

from hypothesis import given
from hypothesis import strategies as st

from plantgate_hub.domain.model import AgentId, Job
from plantgate_hub.domain.newcomers import rank_newcomers
from plantgate_hub.domain.routes import find_route, routes_of
from plantgate_hub.domain.snapshot import Kind, Snapshot, difference, put, remove
from tests import worlds
from tests.worlds import NOW, PLANTS
from tests.worlds import grant as granted

EVERYONE = frozenset(AgentId(f"agent-{plant}") for plant in PLANTS)
corners = sorted({a for n in worlds.NETWORKS for a in (n[0], n[-1])})


@given(worlds.busy_snapshots(), worlds.people_ids, st.sampled_from(PLANTS))
def test_a_range_in_use_stays_with_its_plant(snapshot, person, plant):
    plain = [worlds.member(person, organization) for organization in worlds.ORGANIZATIONS]  # nothing by their role
    less = [remove(row) for row in snapshot.grants_between(person, plant)]
    snapshot = snapshot.apply([*less, *map(put, plain), put(worlds.profile(person, 200))])
    chosen = {p.subnet for p in snapshot.preferences_of(person) if p.priority}
    after = snapshot.apply([put(granted(person, plant, Job.OPERATOR))])
    ranked = rank_newcomers(snapshot, after, difference(snapshot, after), (NOW,))
    settled = after.apply([put(preference) for preference in ranked])
    before, now = (routes_of(world, person, EVERYONE, NOW) for world in (snapshot, settled))
    for address in corners:
        held, holds = find_route(before, address), find_route(now, address)
        if held is not None:
            assert holds is not None
            assert holds.subnet == held.subnet or holds.subnet in chosen, "only the person's own choice outranks"


@given(worlds.busy_snapshots(), worlds.people_ids)
def test_taking_something_away_ranks_nothing(snapshot: Snapshot, person):
    after = snapshot.apply([c for c in difference(snapshot, Snapshot()) if c.kind is Kind.GRANT])
    assert rank_newcomers(snapshot, after, difference(snapshot, after), (NOW,)) == ()
