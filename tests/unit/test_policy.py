"""Each rule of who may do what, once, by example."""

import pytest

from plantgate_hub.domain.model import (
    Cooperation,
    CooperationId,
    Job,
    OrganizationId,
    OrgRole,
    PersonId,
    PlantId,
)
from plantgate_hub.domain.policy import (
    Action,
    Allowed,
    Denial,
    Denied,
    Link,
    Source,
    decide,
    decide_in_organization,
    decide_on_platform,
    job_of,
    next_transition,
    people_in_transition,
)
from plantgate_hub.domain.snapshot import Entity, Snapshot, put
from tests import worlds

NOW = 100.0
ADA, WIND, SOLAR = PersonId("ada"), PlantId("wind"), PlantId("solar")
NORTH, SOUTH = OrganizationId("north"), OrganizationId("south")
SHARED = CooperationId("shared")
WORLD = Snapshot.of(
    [
        worlds.organization("north"),
        worlds.organization("south"),
        worlds.person("ada", totp_active=True),
        worlds.plant("wind", "north"),
        worlds.plant("solar", "south"),
    ]
)


def with_rows(*rows: Entity) -> Snapshot:
    return WORLD.apply(map(put, rows))


def cooperation(cap: Job = Job.OPERATOR, accepted: bool = True, ends: float | None = None) -> Cooperation:
    return Cooperation(SHARED, WIND, SOUTH, cap, accepted, ends)


def job(*rows) -> Job | None:
    return job_of(with_rows(*rows), ADA, WIND, NOW).job


NORTHERN, SOUTHERN = worlds.member("ada", "north"), worlds.member("ada", "south")
INVITED = worlds.grant("ada", "wind", Job.OPERATOR, cooperation=SHARED)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], None),
        ([NORTHERN], None),
        ([worlds.member("ada", "north", OrgRole.GUEST)], None),
        ([worlds.member("ada", "north", OrgRole.ADMINISTRATOR)], Job.OPERATOR),
        ([worlds.member("ada", "north", OrgRole.MODERATOR)], Job.OPERATOR),
        ([worlds.member("ada", "south", OrgRole.ADMINISTRATOR)], None),
        ([worlds.member("ada", "north", job=Job.VIEWER)], Job.VIEWER),
        ([worlds.member("ada", "north", job=Job.OPERATOR)], Job.TECHNICAL_MANAGER),
        ([worlds.member("ada", "south", job=Job.TECHNICAL_MANAGER)], None),
        ([NORTHERN, worlds.grant("ada", "wind", Job.OPERATOR)], Job.OPERATOR),
        ([NORTHERN, worlds.grant("ada", "solar", Job.OPERATOR)], None),
        ([worlds.grant("ada", "wind", Job.OPERATOR)], None),
        ([SOUTHERN, worlds.grant("ada", "wind", Job.OPERATOR)], None),
        ([NORTHERN, worlds.grant("ada", "wind", Job.VIEWER), worlds.grant("ada", "wind", Job.OPERATOR)], Job.OPERATOR),
        ([NORTHERN, worlds.grant("ada", "wind", Job.OPERATOR, starts=NOW, ends=NOW + 1)], Job.OPERATOR),
        ([NORTHERN, worlds.grant("ada", "wind", Job.OPERATOR, starts=NOW + 1)], None),
        ([NORTHERN, worlds.grant("ada", "wind", Job.OPERATOR, ends=NOW)], None),
        ([cooperation(), SOUTHERN], None),
        ([cooperation(), worlds.member("ada", "south", OrgRole.ADMINISTRATOR)], None),
        ([cooperation(), SOUTHERN, INVITED], Job.OPERATOR),
        ([cooperation(Job.VIEWER), SOUTHERN, INVITED], Job.VIEWER),
        ([cooperation(), SOUTHERN, worlds.grant("ada", "wind", Job.VIEWER, cooperation=SHARED)], Job.VIEWER),
        ([cooperation(accepted=False), SOUTHERN, INVITED], None),
        ([cooperation(ends=NOW), SOUTHERN, INVITED], None),
        ([cooperation(ends=NOW + 1), SOUTHERN, INVITED], Job.OPERATOR),
        ([cooperation(), INVITED], None),
        ([cooperation(), NORTHERN, INVITED], None),
        ([SOUTHERN, INVITED], None),
    ],
)
def test_the_job_on_a_plant(rows, expected):
    assert job(*rows) == expected


def test_an_invitation_holds_on_the_shared_plant_only():
    elsewhere = Cooperation(SHARED, SOLAR, SOUTH, Job.OPERATOR, accepted=True)
    assert job(elsewhere, SOUTHERN, INVITED) is None


def test_the_chain_names_all_that_gives_a_job_the_highest_first():
    rows: list[Entity] = [
        worlds.member("ada", "north", OrgRole.MODERATOR, Job.VIEWER),
        worlds.grant("ada", "wind", Job.TECHNICAL_MANAGER, ends=NOW + 5, reason="repair"),
    ]
    assert job_of(with_rows(*rows), ADA, WIND, NOW).chain == (
        Link(Source.ROLE, Job.OPERATOR, NORTH),
        Link(Source.GRANT, Job.TECHNICAL_MANAGER, NORTH, ends=NOW + 5, reason="repair"),
        Link(Source.ORGANIZATION_JOB, Job.VIEWER, NORTH),
    )


def test_an_invitation_ends_with_its_cooperation():
    snapshot = with_rows(cooperation(Job.VIEWER, ends=NOW + 9), SOUTHERN, INVITED)
    (link,) = job_of(snapshot, ADA, WIND, NOW).chain
    assert link == Link(Source.INVITATION, Job.VIEWER, SOUTH, SHARED, NOW + 9)


def with_job(job: Job, totp: bool = True) -> Snapshot:
    person = worlds.person("ada", totp_active=totp)
    return with_rows(person, NORTHERN, worlds.grant("ada", "wind", job))


@pytest.mark.parametrize(
    ("action", "lowest"),
    [
        (Action.SEE_PLANT, Job.VIEWER),
        (Action.USE_VPN, Job.OPERATOR),
        (Action.OPEN_DEVICE, Job.TECHNICAL_MANAGER),
        (Action.USE_CREDENTIALS, Job.TECHNICAL_MANAGER),
        (Action.CHECK_CONNECTION, Job.TECHNICAL_MANAGER),
        (Action.CONFIGURE_PLANT, Job.TECHNICAL_MANAGER),
        (Action.ENROL_GATEWAY, Job.TECHNICAL_MANAGER),
        (Action.READ_AUDIT, Job.TECHNICAL_MANAGER),
    ],
)
def test_the_lowest_job_for_an_action(action, lowest):
    for job in Job:
        decision = decide(with_job(job), ADA, action, WIND, NOW)
        if job >= lowest:
            assert isinstance(decision, Allowed)
        else:
            assert decision == Denied(Denial.JOB_TOO_LOW, job)


@pytest.mark.parametrize("action", [Action.OPEN_DEVICE, Action.USE_CREDENTIALS, Action.CHECK_CONNECTION])
def test_what_touches_devices_needs_two_factor_whatever_the_job(action):
    assert decide(with_job(Job.OPERATOR, totp=False), ADA, action, WIND, NOW) == Denied(
        Denial.NO_TWO_FACTOR, Job.OPERATOR
    )
    allowed = decide(with_job(Job.OPERATOR), ADA, action, WIND, NOW)
    assert isinstance(allowed, Allowed)
    assert allowed.two_factor


@pytest.mark.parametrize(
    ("action", "who"),
    [
        (Action.MANAGE_SERVICES, {"administrator", "moderator", "technical manager"}),
        (Action.MANAGE_PLANTS, {"administrator", "moderator"}),
        (Action.MANAGE_MEMBERS, {"administrator", "moderator"}),
        (Action.MANAGE_COOPERATIONS, {"administrator", "moderator"}),
        (Action.MANAGE_ORGANIZATION, {"administrator"}),
    ],
)
def test_who_manages_an_organization(action, who):
    memberships = {str(role): worlds.member("ada", "north", role) for role in OrgRole}
    memberships["technical manager"] = worlds.member("ada", "north", job=Job.TECHNICAL_MANAGER)
    memberships["asset manager"] = worlds.member("ada", "north", job=Job.ASSET_MANAGER_TECHNICAL)
    for name, membership in memberships.items():
        snapshot = WORLD.apply([put(membership)])
        for decision in (
            decide_in_organization(snapshot, ADA, action, NORTH),
            decide(snapshot, ADA, action, WIND, NOW),
        ):
            assert isinstance(decision, Allowed) == (name in who)
        assert isinstance(decide_in_organization(snapshot, ADA, action, SOUTH), Denied)


def test_the_platform_is_for_cloud_operators_and_gives_nothing_else():
    snapshot = WORLD.apply([put(worlds.person("ada", cloud_operator=True, totp_active=True))])
    assert decide_on_platform(WORLD, ADA, Action.RUN_PLATFORM) == Denied(Denial.NOT_CLOUD_OPERATOR)
    assert decide_on_platform(snapshot, ADA, Action.RUN_PLATFORM) == Allowed()
    for action in Action:
        assert isinstance(decide(snapshot, ADA, action, WIND, NOW), Denied)


def test_an_action_of_another_scope_is_denied():
    snapshot = WORLD.apply([put(worlds.member("ada", "north", OrgRole.ADMINISTRATOR))])
    assert decide_in_organization(snapshot, ADA, Action.SEE_PLANT, NORTH) == Denied(Denial.WRONG_SCOPE)
    assert decide_on_platform(snapshot, ADA, Action.SEE_PLANT) == Denied(Denial.WRONG_SCOPE)
    assert decide(snapshot, ADA, Action.RUN_PLATFORM, WIND, NOW) == Denied(Denial.WRONG_SCOPE)


def test_what_does_not_exist_is_denied():
    for action in (Action.SEE_PLANT, Action.MANAGE_MEMBERS):
        assert decide(WORLD, ADA, action, PlantId("nowhere"), NOW) == Denied(Denial.NOT_KNOWN)


def test_transitions():
    rows: list[Entity] = [
        cooperation(ends=150.0),
        worlds.grant("ada", "wind", Job.OPERATOR, starts=120.0, ends=130.0),
        worlds.grant("bob", "wind", Job.OPERATOR, cooperation=SHARED),
    ]
    snapshot = with_rows(*rows)
    assert next_transition(snapshot, NOW) == 120.0
    assert next_transition(snapshot, 120.0) == 130.0
    assert next_transition(snapshot, 130.0) == 150.0
    assert next_transition(snapshot, 150.0) is None
    assert people_in_transition(snapshot, NOW, 120.0) == {ADA}
    assert people_in_transition(snapshot, 120.0, 129.0) == frozenset()
    assert people_in_transition(snapshot, 130.0, 150.0) == {PersonId("bob")}
