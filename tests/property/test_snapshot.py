"""A snapshot changed step by step equals one made at once, and older ones stay as they were."""

from hypothesis import given
from hypothesis import strategies as st

from plantgate_hub.domain.impact import people_touched
from plantgate_hub.domain.model import AgentId
from plantgate_hub.domain.policy import job_of
from plantgate_hub.domain.routes import routes_of
from plantgate_hub.domain.snapshot import Kind, Snapshot, difference, key_of, kind_of, put, remove
from tests import worlds
from tests.worlds import NOW, PEOPLE, PLANTS

steps = st.lists(st.tuples(worlds.rows, st.booleans()), max_size=40)
ONLINE = frozenset(AgentId(f"agent-{plant}") for plant in PLANTS)


@given(steps)
def test_step_by_step_equals_at_once(steps):
    snapshot = Snapshot()
    current = {}
    for number, (row, keep) in enumerate(steps, 1):
        change = put(row) if keep else remove(row)
        snapshot = snapshot.apply([change], number)
        current[kind_of(row), key_of(row)] = row if keep else None
    at_once = Snapshot.of((row for row in current.values() if row), revision=len(steps))
    assert snapshot == at_once
    assert Snapshot.of(snapshot.entities(), len(steps)) == snapshot


@given(worlds.snapshots(), steps)
def test_applying_leaves_the_old_snapshot_alone(snapshot, steps):
    copy = Snapshot.of(snapshot.entities(), snapshot.revision)
    snapshot.apply([put(row) if keep else remove(row) for row, keep in steps], 2)
    assert snapshot == copy


@given(worlds.busy_snapshots(), st.lists(st.tuples(worlds.rows, st.booleans()), min_size=1, max_size=4))
def test_whoever_is_not_touched_has_the_same_jobs_and_routes(before, steps):
    changes = [put(row) if keep else remove(row) for row, keep in steps]
    after = before.apply(changes, 2)
    touched = people_touched(before, after, changes)
    for person in PEOPLE:
        if person not in touched:
            assert routes_of(before, person, ONLINE, NOW) == routes_of(after, person, ONLINE, NOW)
            for plant in PLANTS:
                assert job_of(before, person, plant, NOW) == job_of(after, person, plant, NOW)


def test_kinds_that_are_no_rows_are_passed_over():
    from plantgate_hub.domain.snapshot import Change

    assert Snapshot().apply([Change(Kind.SESSION, ("x",))], 7) == Snapshot(revision=7)


@given(worlds.snapshots(), worlds.snapshots())
def test_the_difference_leads_from_one_to_the_other(before, after):
    assert before.apply(difference(before, after), after.revision) == after
    assert difference(after, after) == ()
