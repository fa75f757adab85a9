"""Who stands above whom, over many organizations: no low office is a lever against a high one."""

from hypothesis import given
from hypothesis import strategies as st

from plantgate_hub.domain.accounts import shared_organizations, stands_above
from plantgate_hub.domain.model import OrgRole
from plantgate_hub.domain.snapshot import Snapshot, put
from tests import worlds

PEOPLE = ["ada", "bob", "eve"]
PLACES = ["north", "south", "east"]
HEIGHT = {OrgRole.ADMINISTRATOR: 3, OrgRole.MODERATOR: 2, OrgRole.MEMBER: 1, OrgRole.GUEST: 1}

roles = st.dictionaries(
    st.tuples(st.sampled_from(PEOPLE), st.sampled_from(PLACES)), st.sampled_from(list(OrgRole)), max_size=9
)
operators = st.sets(st.sampled_from(PEOPLE))
people = st.sampled_from(PEOPLE)


def world(roles, operators) -> Snapshot:
    return Snapshot.of(
        [
            *(worlds.organization(name) for name in PLACES),
            *(worlds.person(name, cloud_operator=name in operators) for name in PEOPLE),
            *(worlds.member(who, where, role) for (who, where), role in roles.items()),
        ]
    )


@given(roles, operators, people, people)
def test_nobody_stands_above_an_equal_or_higher_role_anywhere(roles, operators, actor, person):
    if not stands_above(world(roles, operators), actor, person):
        return
    assert person not in operators
    for where in PLACES:
        if actor not in operators and (person, where) in roles:
            assert HEIGHT[roles[actor, where]] > HEIGHT[roles[person, where]]


@given(roles, operators, people, people)
def test_it_is_never_mutual_nor_oneself(roles, operators, actor, person):
    snapshot = world(roles, operators)
    assert not (stands_above(snapshot, actor, person) and stands_above(snapshot, person, actor))
    assert not stands_above(snapshot, actor, actor)


@given(roles, people, people, st.sampled_from(PLACES), st.sampled_from(list(OrgRole)))
def test_an_office_of_the_person_more_never_puts_anybody_above(roles, actor, person, where, role):
    """So nobody gains a hold on a person by making them a member of something, in whatever role."""
    if (person, where) in roles:
        return
    snapshot = world(roles, ())
    if roles and any(who == person for who, _ in roles) and not stands_above(snapshot, actor, person):
        assert not stands_above(snapshot.apply([put(worlds.member(person, where, role))]), actor, person)


@given(roles, operators, people, people)
def test_cloud_operators_stand_above_all_but_each_other(roles, operators, actor, person):
    if actor in operators and actor != person:
        assert stands_above(world(roles, operators), actor, person) == (person not in operators)


@given(roles, people, people)
def test_who_stands_above_shares_every_organization(roles, actor, person):
    snapshot = world(roles, ())
    if stands_above(snapshot, actor, person):
        places = {where for who, where in roles if who == person}
        assert {place.id for place in shared_organizations(snapshot, actor, person)} == places != set()
