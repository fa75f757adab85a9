"""Policy decides what the table says: every kind of person x every action, and the page in docs shows the same."""

from pathlib import Path

import pytest

from plantgate_hub.domain.model import OrganizationId, PersonId, PlantId
from plantgate_hub.domain.permissions_page import render
from plantgate_hub.domain.policy import (
    RULES,
    Action,
    Allowed,
    Decision,
    Denied,
    Scope,
    actions_on,
    decide,
    decide_in_organization,
    decide_on_account,
    decide_on_platform,
)
from plantgate_hub.domain.snapshot import Snapshot, put
from tests import worlds
from tests.permission_matrix import KINDS, MATRIX, cooperation, rows_of

PAGE = Path(__file__).parents[2] / "docs" / "permissions.md"
ADA, WIND, NORTH = PersonId("ada"), PlantId("wind"), OrganizationId("north")
NOW = 100.0
WORLD = Snapshot.of(
    [
        *map(worlds.organization, ("north", "south", "east", "west")),
        worlds.plant("wind", "north"),
        worlds.plant("hydro", "west"),
        worlds.person("ada", totp_active=True),
        worlds.person("bob"),
        cooperation("wind", "south"),
    ]
)


def world(kind: str) -> Snapshot:
    return WORLD.apply(map(put, rows_of(kind, "ada", "north", "wind", "south", "east")))


def decision(snapshot: Snapshot, action: Action) -> Decision:
    match RULES[action].scope:
        case Scope.ACCOUNT:
            return decide_on_account(snapshot, ADA, action, ADA)
        case Scope.PLATFORM:
            return decide_on_platform(snapshot, ADA, action)
    return decide(snapshot, ADA, action, WIND, NOW)


def test_every_action_has_its_row_and_its_rule():
    assert set(MATRIX) == set(RULES) == set(Action)


@pytest.mark.parametrize("action", Action)
def test_each_kind_of_person_may_do_what_the_table_says(action):
    for kind in KINDS:
        found = decision(world(kind), action)
        mark = "." if isinstance(found, Denied) else "2" if found.two_factor else "x"
        assert mark == MATRIX[action][kind], kind


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_view_may_show_is_what_is_allowed(kind):
    about_the_plant = {action for action, rule in RULES.items() if rule.scope in (Scope.PLANT, Scope.ORGANIZATION)}
    expected = {action for action in about_the_plant if MATRIX[action][kind] != "."}
    assert actions_on(world(kind), ADA, WIND, NOW) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_person_acts_in_an_organization_that_is_not_theirs(kind):
    snapshot = world(kind)
    for action, rule in RULES.items():
        if rule.scope in (Scope.PLANT, Scope.ORGANIZATION):
            assert isinstance(decide(snapshot, ADA, action, PlantId("hydro"), NOW), Denied)
        assert isinstance(decide_in_organization(snapshot, ADA, action, OrganizationId("west")), Denied)


def test_nobody_does_anything_with_another_persons_account():
    for kind in KINDS:
        for action in (Action.MANAGE_ACCOUNT, Action.SEE_OWN_HISTORY):
            assert isinstance(decide_on_account(world(kind), ADA, action, PersonId("bob")), Denied)


@pytest.mark.parametrize("action", [action for action in Action if "2" in MATRIX[action].values()])
def test_without_a_second_factor_these_are_refused(action):
    for kind in KINDS:
        snapshot = world(kind).apply([put(worlds.person("ada", totp_active=False))])
        assert not isinstance(decision(snapshot, action), Allowed)


def test_the_documentation_shows_what_is_decided():
    page = PAGE.read_text(encoding="utf-8")
    assert page == render(page), "run: python -m plantgate_hub.domain.permissions_page docs/permissions.md"
