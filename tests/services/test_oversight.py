"""Holds, declared reasons and explanations through the services."""

import pytest

from plantgate_hub.connected import NEW_AFTER, Connection, Means
from plantgate_hub.domain.explain import Obstacle, Remedy, Way, Who
from plantgate_hub.domain.model import HoldScope, Job, OrgRole, RouteReason
from plantgate_hub.domain.policy import Action, Denial, Denied, decide
from plantgate_hub.services import CONSOLE
from plantgate_hub.services.purposes import PER_PERSON, TooManyReasons
from plantgate_hub.store import PlantEventKind
from plantgate_shared.errors import Denied as Refused
from plantgate_shared.errors import InvalidInput, NotFound
from tests.services.test_access import key
from tests.services.test_plants import subnet

HOUR = 3600.0


async def may(world, name, action=Action.USE_VPN):
    decision = decide(await world.snapshot(), world.id(name), action, world.wind.id, world.clock.now)
    return decision.reason if isinstance(decision, Denied) else None


@pytest.fixture
async def shared(world):
    """Wind is shared with South: sue is invited as Operator; tom is Operator of North's own."""
    ada = world.actor("ada")
    cooperation = await world.services.cooperations.offer(ada, world.wind.id, world.south.id, Job.OPERATOR)
    await world.services.cooperations.accept(world.actor("sam"), cooperation.id)
    await world.services.cooperations.invite(ada, cooperation.id, world.id("sue"), Job.OPERATOR)
    await world.services.grants.give(ada, world.id("tom"), world.wind.id, Job.OPERATOR)
    world.cooperation = cooperation
    return world


# Holds


async def test_a_hold_on_external_people_leaves_the_own_ones(shared):
    await shared.services.holds.end_access(shared.actor("mod"), shared.wind.id, HoldScope.EXTERNAL, " a  leak ")
    assert [await may(shared, name) for name in ("tom", "ada", "sue")] == [None, None, Denial.ON_HOLD]
    assert await may(shared, "sue", Action.SEE_PLANT) is None
    assert await may(shared, "sue", Action.CONFIGURE_PLANT) is Denial.ON_HOLD


async def test_a_hold_on_everyone_stops_connections_and_leaves_the_work_of_the_own_people(shared):
    await shared.services.holds.end_access(shared.actor("ada"), shared.wind.id)
    for name in ("tom", "ada", "sue"):
        assert await may(shared, name) is Denial.ON_HOLD
    assert await may(shared, "tom", Action.ENROL_GATEWAY) is None
    assert await may(shared, "tom", Action.CONFIGURE_PLANT) is None
    await shared.services.holds.restore(shared.actor("mod"), shared.wind.id)
    assert [await may(shared, name) for name in ("tom", "ada", "sue")] == [None, None, None]


async def test_who_ends_access_and_who_gives_it_free(shared):
    holds, wind = shared.services.holds, shared.wind.id
    for stranger in ("sam", "root"):
        with pytest.raises(NotFound):
            await holds.end_access(shared.actor(stranger), wind)
    with pytest.raises(Refused, match="own organization"):
        await holds.end_access(shared.actor("sue"), wind)
    await holds.end_access(shared.actor("tom"), wind)
    with pytest.raises(Refused):
        await holds.restore(shared.actor("tom"), wind)
    with pytest.raises(NotFound, match="no such hold"):
        await holds.restore(shared.actor("mod"), wind, HoldScope.EXTERNAL)
    assert [hold.by for hold in await holds.restore(shared.actor("mod"), wind)] == ["Tom"]


async def test_the_two_holds_are_lifted_one_by_one(shared):
    holds, mod, wind = shared.services.holds, shared.actor("mod"), shared.wind.id
    for scope in HoldScope:
        await holds.end_access(mod, wind, scope)
    await holds.restore(mod, wind, HoldScope.EVERYONE)
    assert [await may(shared, name) for name in ("tom", "sue")] == [None, Denial.ON_HOLD]


async def test_a_hold_is_on_record_once_and_outlives_the_account(shared):
    for reason in ("smoke", "again"):
        await shared.services.holds.end_access(shared.actor("tom"), shared.wind.id, reason=reason)
    await shared.services.people.delete(CONSOLE, shared.id("tom"))
    assert [(hold.by, hold.reason) for hold in (await shared.snapshot()).holds] == [("Tom", "smoke")]
    await shared.services.holds.restore(shared.actor("ada"), shared.wind.id)
    record = await shared.services.answers.plant_record(shared.actor("ada"), shared.wind.id)
    assert [(event.what, event.name, event.detail) for event in record] == [
        (PlantEventKind.HOLD_PUT, "Tom", "everyone: smoke"),
        (PlantEventKind.HOLD_LIFTED, "Ada", "everyone"),
    ]


async def test_a_plant_goes_with_its_holds_and_reasons(shared):
    await shared.services.holds.end_access(CONSOLE, shared.wind.id)
    await shared.services.purposes.declare(shared.actor("ada"), shared.wind.id, "before")
    await shared.services.plants.remove(shared.actor("ada"), shared.wind.id)
    snapshot = await shared.snapshot()
    assert not list(snapshot.holds)
    assert not list(snapshot.purposes)


async def test_a_route_says_that_it_is_on_hold_and_comes_back(shared):
    await subnet(shared)
    await shared.services.profiles.create(shared.actor("sue"), shared.id("sue"), "laptop", key())

    async def reasons():
        return [r.reason for r in await shared.services.routes.list(CONSOLE, shared.id("sue"))]

    before = await reasons()
    await shared.services.holds.end_access(shared.actor("ada"), shared.wind.id, HoldScope.EXTERNAL)
    assert await reasons() == [RouteReason.ON_HOLD]
    await shared.services.holds.restore(shared.actor("ada"), shared.wind.id)
    assert await reasons() == before


# Reasons


async def test_connecting_needs_a_reason_where_the_organization_asks(shared):
    purposes, wind = shared.services.purposes, shared.wind.id
    await purposes.set_policy(shared.actor("ada"), shared.north.id, required=True)
    assert [await may(shared, name) for name in ("tom", "ada", "sue")] == [Denial.NO_PURPOSE] * 3
    declared = await purposes.declare(shared.actor("sue"), wind, "ticket  4711", 2 * HOUR)
    assert (declared.text, declared.ends) == ("ticket 4711", shared.clock.now + 2 * HOUR)
    assert [await may(shared, name) for name in ("tom", "sue")] == [Denial.NO_PURPOSE, None]
    shared.clock.now += 2 * HOUR
    assert await may(shared, "sue") is Denial.NO_PURPOSE


async def test_a_reason_ends_with_the_work_and_both_are_on_record(shared):
    purposes, sue, wind = shared.services.purposes, shared.actor("sue"), shared.wind.id
    await purposes.set_policy(shared.actor("ada"), shared.north.id, required=True)
    await purposes.declare(sue, wind, "ticket 1")
    await purposes.end(sue, wind)
    assert await may(shared, "sue") is Denial.NO_PURPOSE
    with pytest.raises(NotFound):
        await purposes.end(sue, wind)
    record = await shared.services.answers.plant_record(shared.actor("tom"), wind)
    assert [(event.what, event.person, event.detail) for event in record] == [
        (PlantEventKind.PURPOSE_DECLARED, shared.id("sue"), "ticket 1"),
        (PlantEventKind.PURPOSE_ENDED, shared.id("sue"), "ticket 1"),
    ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", None), (" \n", None), ("x" * 501, None), ("x", 59.0), ("x", 8 * HOUR + 1), ("x\u202e", None)],
)
async def test_reasons_that_are_not_taken(shared, text, seconds):
    with pytest.raises(InvalidInput):
        await shared.services.purposes.declare(shared.actor("sue"), shared.wind.id, text, seconds)
    assert not list((await shared.snapshot()).purposes)


async def test_what_has_ended_is_kept_on_record_only(shared):
    sue, purposes = shared.actor("sue"), shared.services.purposes
    await purposes.declare(sue, shared.wind.id, "first", HOUR)
    await shared.services.grants.give(shared.actor("ada"), shared.id("tom"), shared.solar.id, Job.OPERATOR)
    shared.clock.now += HOUR
    for name, plant in (("tom", shared.solar.id), ("tom", shared.wind.id)):
        await purposes.declare(shared.actor(name), plant, "second")
    assert len((await shared.snapshot()).purposes) == 3  # each tidies their own
    shared.clock.now += 9 * HOUR
    await purposes.declare(shared.actor("tom"), shared.wind.id, "third")
    assert {purpose.text for purpose in (await shared.snapshot()).purposes} == {"first", "third"}
    assert len(await shared.services.answers.plant_record(shared.actor("tom"), shared.wind.id)) == 3


async def test_a_plant_s_record_is_not_buried_under_reasons(shared):
    for number in range(PER_PERSON.burst):
        await shared.services.purposes.declare(shared.actor("sue"), shared.wind.id, f"ticket {number}")
    with pytest.raises(TooManyReasons, match="in 60 seconds"):
        await shared.services.purposes.declare(shared.actor("sue"), shared.wind.id, "one more")
    await shared.services.purposes.declare(shared.actor("ada"), shared.wind.id, "another's work")
    shared.clock.now += PER_PERSON.interval
    await shared.services.purposes.declare(shared.actor("sue"), shared.wind.id, "one more")


async def test_a_shorter_limit_cuts_what_was_declared(shared):
    purposes, ada = shared.services.purposes, shared.actor("ada")
    await purposes.set_policy(ada, shared.north.id, required=True)
    await purposes.declare(shared.actor("sue"), shared.wind.id, "long work", 8 * HOUR)
    await purposes.set_policy(ada, shared.north.id, longest=HOUR)
    shared.clock.now += HOUR
    assert await may(shared, "sue") is Denial.NO_PURPOSE
    for longest in (59.0, 8 * 24 * HOUR):
        with pytest.raises(InvalidInput):
            await purposes.set_policy(ada, shared.north.id, longest=longest)


async def test_who_asks_for_reasons_and_who_declares(shared):
    with pytest.raises(Refused):
        await shared.services.purposes.set_policy(shared.actor("mod"), shared.north.id, required=False)
    for name, error in (("sam", NotFound), ("root", NotFound)):
        with pytest.raises(error):
            await shared.services.purposes.declare(shared.actor(name), shared.wind.id, "let me in")
    with pytest.raises(InvalidInput, match="only a person"):
        await shared.services.purposes.declare(CONSOLE, shared.wind.id, "console")


# Explanations


async def explained(world, asking, name, action=Action.USE_VPN):
    actor = world.actor(asking)
    (found,) = await world.services.answers.explain(actor, world.id(name), world.wind.id, [action])
    return found


async def test_the_chain_behind_a_yes(shared):
    await shared.services.cooperations.withdraw(shared.actor("sam"), shared.cooperation.id, shared.id("sue"))
    await shared.services.cooperations.invite(
        shared.actor("sam"), shared.cooperation.id, shared.id("sue"), Job.OPERATOR, ends=shared.clock.now + HOUR
    )
    found = await explained(shared, "ada", "sue")
    (ground,) = found.grounds
    assert found.allowed
    assert (ground.cooperation, ground.cap, ground.gives) == (shared.cooperation.id, Job.OPERATOR, Job.OPERATOR)
    assert found.changes_at == ground.ends == shared.clock.now + HOUR
    assert (await explained(shared, "mod", "ada")).grounds[0].role is OrgRole.ADMINISTRATOR


async def test_the_missing_step_and_who_can_take_it(shared):
    async def ways(asking, name, action=Action.USE_VPN):
        return [(way.who, way.remedy) for way in (await explained(shared, asking, name, action)).ways]

    await shared.services.cooperations.set_cap(shared.actor("ada"), shared.cooperation.id, Job.VIEWER)
    assert await ways("sue", "sue") == [(Who.OWNERS, Remedy.RAISE_CAP)]
    await shared.services.grants.revoke(shared.actor("ada"), shared.id("tom"), shared.wind.id)
    assert await ways("ada", "tom") == [(Who.OWNERS, Remedy.GRANT)]
    await shared.services.grants.give(
        shared.actor("ada"), shared.id("tom"), shared.wind.id, Job.OPERATOR, starts=shared.clock.now + HOUR
    )
    found = await explained(shared, "tom", "tom")
    assert found.grounds[0].obstacle is Obstacle.NOT_STARTED
    assert found.changes_at == shared.clock.now + HOUR
    assert Way(Who.TIME, Remedy.WAIT, Job.OPERATOR) in found.ways
    assert await ways("ada", "ada", Action.OPEN_DEVICE) == [(Who.THE_PERSON, Remedy.SET_UP_TWO_FACTOR)]
    await shared.services.holds.end_access(shared.actor("ada"), shared.wind.id)
    assert await ways("ada", "ada") == [(Who.OWNERS, Remedy.LIFT_HOLD)]
    assert await ways("ada", "mod", Action.MANAGE_ORGANIZATION) == [(Who.OWNER_ADMINISTRATORS, Remedy.CHANGE_ROLE)]


async def test_who_may_ask(shared):
    assert (await explained(shared, "tom", "tom")).allowed
    assert (await explained(shared, "ada", "sam")).denial is Denial.NO_JOB
    for asking, name in (
        ("tom", "ada"),  # manages nobody
        ("sam", "sue"),  # of the partner: not the plant's organization
        ("sam", "sam"),  # knows nothing of the plant
        ("root", "tom"),
        ("root", "root"),
        ("ada", "root"),  # no one of hers
    ):
        with pytest.raises(NotFound):
            await explained(shared, asking, name)


async def test_only_what_is_about_a_plant_is_explained(shared):
    with pytest.raises(InvalidInput):
        await explained(shared, "ada", "ada", Action.RUN_PLATFORM)


async def test_who_lost_a_grant_to_time_may_ask_why(shared):
    ada, tom, solar = shared.actor("ada"), shared.id("tom"), shared.solar.id
    await shared.services.grants.give(ada, tom, solar, Job.OPERATOR, ends=shared.clock.now + 60)
    shared.clock.now += 60
    (found,) = await shared.services.answers.explain(shared.actor("tom"), tom, solar, [Action.USE_VPN])
    assert found.grounds[0].obstacle is Obstacle.ENDED


# Alerts


async def test_a_new_external_connection_goes_on_record_once(shared):
    def connection(since):
        return Connection(shared.id("sue"), shared.wind.id, Means.VPN, since, since, 1, external=True)

    alerts = shared.services.alerts
    assert await alerts.external_connection(connection(1000.0), "Sue")
    assert not await alerts.external_connection(connection(1000.0 + NEW_AFTER - 1), "Sue")  # as another node would
    assert await alerts.external_connection(connection(1000.0 + NEW_AFTER), "Sue")
    record = await shared.services.answers.plant_record(shared.actor("ada"), shared.wind.id)
    assert [(event.what, event.name, event.detail) for event in record] == [
        (PlantEventKind.EXTERNAL_CONNECTED, "Sue", "VPN")
    ] * 2
