"""Explanations, whatever the rows are: they say what is decided, from what, and never leave a 'no' without a way."""

from hypothesis import given
from hypothesis import strategies as st

from plantgate_hub.domain.explain import Who, explain
from plantgate_hub.domain.policy import RULES, Action, Allowed, Denied, Scope, Source, decide, job_of
from tests import worlds
from tests.worlds import NOW, OWNER

ABOUT_PLANTS = st.sampled_from([a for a, rule in RULES.items() if rule.scope in (Scope.PLANT, Scope.ORGANIZATION)])


@given(worlds.snapshots(), worlds.people_ids, worlds.plant_ids, ABOUT_PLANTS)
def test_the_explanation_is_the_decision(snapshot, person, plant, action):
    found = explain(snapshot, person, action, plant, NOW)
    decision = decide(snapshot, person, action, plant, NOW)
    assert found.allowed == isinstance(decision, Allowed)
    assert found.denial == (decision.reason if isinstance(decision, Denied) else None)
    assert bool(found.ways) == (not found.allowed)


@given(worlds.snapshots(), worlds.people_ids, worlds.plant_ids)
def test_what_counts_are_exactly_the_reasons_of_the_job(snapshot, person, plant):
    found = explain(snapshot, person, Action.USE_VPN, plant, NOW)
    held = job_of(snapshot, person, plant, NOW)
    assert found.job == held.job
    counting = sorted((g.gives, g.source, g.cooperation or "", g.ends or 0) for g in found.grounds if not g.obstacle)
    assert counting == sorted((link.job, link.source, link.cooperation or "", link.ends or 0) for link in held.chain)
    assert all((ground.gives is None) == bool(ground.obstacle) for ground in found.grounds)


@given(worlds.snapshots(), worlds.people_ids, worlds.plant_ids, ABOUT_PLANTS)
def test_the_answer_turns_at_the_moment_it_names_and_not_before(snapshot, person, plant, action):
    found = explain(snapshot, person, action, plant, NOW)
    turns = found.changes_at or 10_000.0
    assert turns > NOW
    just_before = NOW + (turns - NOW) * 0.999
    assert isinstance(decide(snapshot, person, action, plant, just_before), Allowed) == found.allowed
    if found.changes_at:
        assert isinstance(decide(snapshot, person, action, plant, turns), Allowed) != found.allowed


@given(worlds.snapshots(), worlds.people_ids, worlds.plant_ids, ABOUT_PLANTS)
def test_nothing_of_a_third_organization_is_told(snapshot, person, plant, action):
    found = explain(snapshot, person, action, plant, NOW)
    partners = {cooperation.partner for cooperation in snapshot.cooperations_on(plant)}
    assert {ground.organization for ground in found.grounds} <= {OWNER[plant], *partners}
    invitations = [ground for ground in found.grounds if ground.source is Source.INVITATION]
    assert all(ground.cap is None or ground.gives is None or ground.gives <= ground.cap for ground in invitations)
    assert not {way.who for way in found.ways} & {Who.PARTNERS, Who.EITHER_SIDE} or partners
