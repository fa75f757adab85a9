"""Permissions, whatever the rows are: caps hold, nothing crosses organizations, the empty world denies."""

from hypothesis import given
from hypothesis import strategies as st

from plantgate_hub.domain.model import (
    Cooperation,
    CooperationId,
    HoldScope,
    Job,
    Membership,
    OrgRole,
    Person,
    PersonId,
    PlantId,
)
from plantgate_hub.domain.policy import (
    RULES,
    Action,
    Allowed,
    Denied,
    Effect,
    Scope,
    Source,
    decide,
    decide_in_organization,
    decide_on_platform,
    is_live,
    job_of,
    may_set_role,
    next_transition,
    people_in_transition,
    plants_of_person,
)
from plantgate_hub.domain.snapshot import Snapshot, put, remove
from tests import worlds
from tests.worlds import NOW, ORGANIZATIONS, OWNER, PEOPLE, PLANTS

actions = st.sampled_from(list(Action))
plant_actions = [action for action, rule in RULES.items() if rule.scope is Scope.PLANT]


@given(worlds.people_ids, worlds.plant_ids, actions)
def test_an_empty_snapshot_denies_everything(person, plant, action):
    assert isinstance(decide(Snapshot(), person, action, plant, NOW), Denied)
    assert isinstance(decide_in_organization(Snapshot(), person, action, ORGANIZATIONS[0]), Denied)
    assert isinstance(decide_on_platform(Snapshot(), person, action), Denied)


def within(row):
    return row.starts in (None, 0.0, 50.0, NOW) and row.ends in (None, 150.0)  # of `worlds.TIMES`


def jobs_given(snapshot, person, plant):
    """An independent reading of the rules: every job that some row gives."""
    owner = OWNER[plant]
    for membership in snapshot.memberships:
        if (membership.person, membership.organization) == (person, owner):
            if membership.role in (OrgRole.ADMINISTRATOR, OrgRole.MODERATOR):
                yield Job.OPERATOR
            if membership.job and membership.role is not OrgRole.GUEST:
                yield min(membership.job, Job.TECHNICAL_MANAGER)
    belongs = {m.organization for m in snapshot.memberships if m.person == person}
    offered = {c.id: c for c in snapshot.cooperations if c.accepted and c.plant == plant and c.ends in (None, 150.0)}
    for grant in snapshot.grants:
        if (grant.person, grant.plant) == (person, plant) and within(grant):
            if grant.cooperation is None and owner in belongs:
                yield grant.job
            elif grant.cooperation in offered and offered[grant.cooperation].partner in belongs:
                yield min(grant.job, offered[grant.cooperation].cap)


@given(worlds.snapshots(), worlds.people_ids, worlds.plant_ids)
def test_a_job_is_the_highest_that_some_row_gives(snapshot, person, plant):
    assert job_of(snapshot, person, plant, NOW).job == max(jobs_given(snapshot, person, plant), default=None)


@given(worlds.snapshots(), worlds.plant_ids, worlds.jobs, st.data())
def test_no_sequence_of_grants_exceeds_a_cooperations_cap(snapshot, plant, cap, data):
    person = PEOPLE[0]
    partner = data.draw(st.sampled_from([o for o in ORGANIZATIONS if o != OWNER[plant]]))
    cooperation = Cooperation(CooperationId("shared"), plant, partner, cap, accepted=True)
    given = data.draw(st.lists(worlds.invitations([cooperation]) | worlds.grants, max_size=15))
    start = [
        *(remove(m) for m in snapshot.memberships_of(person)),
        *(remove(c) for c in snapshot.cooperations),
        put(Membership(person, partner, data.draw(st.sampled_from(list(OrgRole))))),
        put(cooperation),
    ]
    snapshot = snapshot.apply([*start, *map(put, given)])
    job = job_of(snapshot, person, plant, NOW).job
    assert job is None or job <= cap
    for elsewhere in PLANTS:
        if elsewhere != plant and OWNER[elsewhere] != partner:
            assert job_of(snapshot, person, elsewhere, NOW).job is None


@given(worlds.snapshots(), worlds.people_ids, worlds.plant_ids)
def test_a_partners_office_gives_nothing_without_an_invitation(snapshot, person, plant):
    without = snapshot.apply(
        [
            *(remove(g) for g in snapshot.grants_of(person)),
            *(remove(m) for m in snapshot.memberships_of(person) if m.organization == OWNER[plant]),
        ]
    )
    assert job_of(without, person, plant, NOW).job is None


@given(worlds.snapshots(), worlds.people_ids, worlds.plant_ids, st.sampled_from(plant_actions))
def test_being_cloud_operator_changes_no_decision_about_plants(snapshot, person, plant, action):
    account = snapshot.people.get(person)
    as_operator = snapshot.apply([put(Person(person, account.email, account.name, account.totp_active, True))])
    assert decide(snapshot, person, action, plant, NOW) == decide(as_operator, person, action, plant, NOW)


@given(worlds.busy_snapshots(), worlds.people_ids, worlds.plant_ids)
def test_a_job_high_enough_suffices_but_for_holds_second_factor_and_purpose(snapshot, person, plant):
    decision = job_of(snapshot, person, plant, NOW)
    account = snapshot.people.get(person)
    for action in plant_actions:
        rule = RULES[action]
        expected = decision.job is not None and decision.job >= (rule.job or 99)
        expected = expected and (account.totp_active or not rule.two_factor)
        own = [link.job for link in decision.chain if link.source is not Source.INVITATION]
        by_right = max(own, default=0) >= (rule.job or 99)
        stopped = {hold.scope for hold in snapshot.holds if hold.plant == plant}
        if rule.owners_only or (stopped and rule.effect is not Effect.LOOKS):
            expected = expected and by_right
        if HoldScope.EVERYONE in stopped and rule.effect is Effect.REACHES:
            expected = False
        if rule.purpose and any(
            p.organization == OWNER[plant] and p.purpose_required for p in snapshot.connection_policies
        ):
            expected = expected and any(
                p.person == person and p.plant == plant and p.ends > NOW for p in snapshot.purposes
            )
        assert isinstance(decide(snapshot, person, action, plant, NOW), Allowed) == expected


@given(worlds.snapshots(), worlds.people_ids, worlds.plant_ids)
def test_operator_comes_in_three_ways_only(snapshot, person, plant):
    for link in job_of(snapshot, person, plant, NOW).chain:
        if link.job is Job.OPERATOR:
            assert link.source in (Source.ROLE, Source.GRANT, Source.INVITATION)


@given(worlds.snapshots(), worlds.people_ids)
def test_the_list_of_plants_is_complete(snapshot, person):
    listed = {plant.id: decision for plant, decision in plants_of_person(snapshot, person, NOW)}
    for plant in PLANTS:
        decision = job_of(snapshot, person, plant, NOW)
        assert listed.get(plant) == (decision if decision.job else None)


@given(worlds.snapshots(), st.floats(0, 200))
def test_between_transitions_nothing_changes(snapshot, now):
    """Only people named by `people_in_transition` can have another job at the next transition, nobody before it."""
    moment = next_transition(snapshot, now)
    later = 1000.0 if moment is None else moment
    named = people_in_transition(snapshot, now, later)
    for person in PEOPLE:
        for plant in PLANTS:
            before = job_of(snapshot, person, plant, now)
            just_before = now + (later - now) * 0.999
            assert job_of(snapshot, person, plant, just_before) == before
            if person not in named:
                assert job_of(snapshot, person, plant, later) == before


@given(worlds.snapshots(), worlds.people_ids, worlds.people_ids, worlds.organization_ids)
def test_moderators_never_touch_or_make_administrators(snapshot, person, member, organization):
    acting = snapshot.memberships.get(person, organization)
    current = snapshot.memberships.get(member, organization)
    for role in (*OrgRole, None):
        allowed = isinstance(may_set_role(snapshot, person, organization, member, role), Allowed)
        if allowed and not (member == person and role is None):
            assert acting is not None
            assert acting.role in (OrgRole.ADMINISTRATOR, OrgRole.MODERATOR)
            if role is OrgRole.ADMINISTRATOR or (current and current.role is OrgRole.ADMINISTRATOR):
                assert acting.role is OrgRole.ADMINISTRATOR


def test_a_time_box_is_open_from_its_start_until_before_its_end():
    assert [is_live(10, 20, t) for t in (9.9, 10, 19.9, 20)] == [False, True, True, False]


def test_an_unknown_person_with_rows_has_no_job():
    """Rows that outlived their person give nothing."""
    snapshot = Snapshot.of(
        [
            worlds.organization("o"),
            worlds.plant("p", "o"),
            worlds.member("ghost", "o", OrgRole.ADMINISTRATOR),
            worlds.grant("ghost", "p", Job.OPERATOR),
        ]
    )
    assert job_of(snapshot, PersonId("ghost"), PlantId("p"), NOW).job is None
