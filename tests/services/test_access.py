"""Grants, cooperations, profiles and routes through the services."""

import pytest

from plantgate_hub.domain.model import AgentId, Job, RouteReason, RouteState
from plantgate_hub.services import CONSOLE
from plantgate_hub.services.profiles import MAX_PROFILES
from plantgate_hub.store import Presence
from plantgate_shared.errors import Conflict, Denied, InvalidInput, NotFound
from plantgate_shared.identity.keys import WireGuardKey
from tests.services.conftest import changed
from tests.services.test_plants import gateway, subnet


def key() -> str:
    return WireGuardKey.generate().public


# Grants


async def test_who_grants(world):
    give = world.services.grants.give
    for name in ("tom", "sam", "root"):
        with pytest.raises(NotFound):
            await give(world.actor(name), world.id("tom"), world.wind.id, Job.VIEWER)
    await give(world.actor("mod"), world.id("tom"), world.wind.id, Job.OPERATOR)
    assert await world.job("tom") is Job.OPERATOR
    assert await world.job("tom", world.solar.id) is None
    with pytest.raises(Denied):
        await give(world.actor("tom"), world.id("tom"), world.wind.id, Job.OPERATOR)


async def test_strangers_are_invited_not_granted(world):
    with pytest.raises(InvalidInput, match="no member"):
        await world.services.grants.give(world.actor("ada"), world.id("sue"), world.wind.id, Job.VIEWER)


async def test_a_lasting_grant_replaces_what_was_there(world):
    give, ada, tom = world.services.grants.give, world.actor("ada"), world.id("tom")
    await give(ada, tom, world.wind.id, Job.OPERATOR)
    await give(ada, tom, world.wind.id, Job.TECHNICAL_MANAGER, ends=world.clock.now + 60)
    await give(ada, tom, world.wind.id, Job.VIEWER)
    assert await world.job("tom") is Job.VIEWER
    assert len((await world.snapshot()).grants_of(tom)) == 1


async def test_a_time_boxed_grant_comes_beside_a_lasting_one(world):
    give, ada, tom = world.services.grants.give, world.actor("ada"), world.id("tom")
    await give(ada, tom, world.wind.id, Job.VIEWER)
    await give(ada, tom, world.wind.id, Job.OPERATOR, starts=world.clock.now + 10, ends=world.clock.now + 60)
    jobs = []
    for passed in (0, 10, 40, 20):
        world.clock.now += passed
        jobs.append(await world.job("tom"))
    assert jobs == [Job.VIEWER, Job.OPERATOR, Job.OPERATOR, Job.VIEWER]
    for period in ({"ends": world.clock.now}, {"starts": world.clock.now + 9, "ends": world.clock.now + 9}):
        with pytest.raises(InvalidInput, match="end"):
            await give(ada, tom, world.wind.id, Job.OPERATOR, **period)


async def test_a_grant_for_later_takes_nothing_away_now(world):
    give, ada, tom = world.services.grants.give, world.actor("ada"), world.id("tom")
    await give(ada, tom, world.wind.id, Job.OPERATOR)
    await give(ada, tom, world.wind.id, Job.VIEWER, starts=world.clock.now + 1000)
    assert await world.job("tom") is Job.OPERATOR


async def test_revoking(world):
    ada, tom = world.actor("ada"), world.id("tom")
    await world.services.grants.give(ada, tom, world.wind.id, Job.VIEWER)
    await world.services.grants.give(ada, tom, world.wind.id, Job.OPERATOR, ends=world.clock.now + 60)
    assert len(await world.services.grants.revoke(ada, tom, world.wind.id, Job.OPERATOR)) == 1
    assert await world.job("tom") is Job.VIEWER
    await world.services.grants.revoke(ada, tom, world.wind.id)
    assert await world.job("tom") is None
    with pytest.raises(NotFound):
        await world.services.grants.revoke(ada, tom, world.wind.id)


# Cooperations


async def shared(world, cap=Job.OPERATOR, **more):
    offer = await world.services.cooperations.offer(world.actor("ada"), world.wind.id, world.south.id, cap, **more)
    return await world.services.cooperations.accept(world.actor("sam"), offer.id)


async def test_sharing_needs_offer_acceptance_and_invitation(world):
    cooperations = world.services.cooperations
    with pytest.raises(NotFound):
        await cooperations.offer(world.actor("sam"), world.wind.id, world.south.id, Job.OPERATOR)
    offer = await cooperations.offer(world.actor("ada"), world.wind.id, world.south.id, Job.OPERATOR)
    with pytest.raises(Conflict, match="not accepted"):
        await cooperations.invite(world.actor("ada"), offer.id, world.id("sue"), Job.VIEWER)
    with pytest.raises(NotFound):
        await cooperations.accept(world.actor("ada"), offer.id)
    with pytest.raises(NotFound):
        await cooperations.accept(world.actor("sue"), offer.id)
    await cooperations.accept(world.actor("sam"), offer.id)
    assert await world.job("sam") is None, "the partner's Administrator inherits nothing"
    await cooperations.invite(world.actor("ada"), offer.id, world.id("sue"), Job.OPERATOR)
    assert await world.job("sue") is Job.OPERATOR
    assert await world.job("sue", world.solar.id) is None


async def test_either_side_invites_members_of_the_partner_at_most_at_the_cap(world):
    cooperation = await shared(world, Job.TECHNICAL_MANAGER)
    invite = world.services.cooperations.invite
    with pytest.raises(InvalidInput, match="at most technical manager"):
        await invite(world.actor("sam"), cooperation.id, world.id("sue"), Job.OPERATOR)
    with pytest.raises(InvalidInput, match="no member of the partner"):
        await invite(world.actor("sam"), cooperation.id, world.id("tom"), Job.VIEWER)
    with pytest.raises(NotFound):
        await invite(world.actor("sue"), cooperation.id, world.id("sue"), Job.VIEWER)
    await invite(world.actor("sam"), cooperation.id, world.id("sue"), Job.TECHNICAL_MANAGER)
    assert await world.job("sue") is Job.TECHNICAL_MANAGER
    await world.services.cooperations.withdraw(world.actor("mod"), cooperation.id, world.id("sue"))
    assert await world.job("sue") is None


async def test_lowering_lowers_everyone_for_good(world):
    cooperation = await shared(world)
    cooperations = world.services.cooperations
    await cooperations.invite(world.actor("ada"), cooperation.id, world.id("sue"), Job.OPERATOR)
    with pytest.raises(NotFound):
        await cooperations.set_cap(world.actor("sam"), cooperation.id, Job.OPERATOR)
    await cooperations.set_cap(world.actor("ada"), cooperation.id, Job.VIEWER)
    assert await world.job("sue") is Job.VIEWER
    await cooperations.set_cap(world.actor("ada"), cooperation.id, Job.OPERATOR)
    assert await world.job("sue") is Job.VIEWER


async def test_ending_and_expiry(world):
    cooperation = await shared(world, ends=world.clock.now + 100)
    await world.services.cooperations.invite(world.actor("ada"), cooperation.id, world.id("sue"), Job.OPERATOR)
    world.clock.now += 100
    assert await world.job("sue") is None
    with pytest.raises(Conflict, match="has ended"):
        await world.services.cooperations.invite(world.actor("ada"), cooperation.id, world.id("sue"), Job.VIEWER)
    second = await shared(world)
    await world.services.cooperations.invite(world.actor("ada"), second.id, world.id("sue"), Job.OPERATOR)
    with pytest.raises(Conflict, match="shared with this organization already"):
        await shared(world)
    await world.services.cooperations.end(world.actor("sam"), second.id)
    assert await world.job("sue") is None
    assert not (await world.snapshot()).grants_in(second.id)


async def test_who_leaves_the_partner_loses_the_invitation(world):
    cooperation = await shared(world)
    await world.services.cooperations.invite(world.actor("ada"), cooperation.id, world.id("sue"), Job.OPERATOR)
    await world.services.organizations.remove_member(world.actor("sam"), world.south.id, world.id("sue"))
    assert await world.job("sue") is None
    assert not (await world.snapshot()).grants_in(cooperation.id)


# Profiles


async def test_a_profile_is_ones_own(world):
    profiles = world.services.profiles
    with pytest.raises(NotFound):
        await profiles.create(world.actor("ada"), world.id("tom"), "laptop", key())
    profile = await profiles.create(world.actor("tom"), world.id("tom"), "laptop", key())
    assert str(profile.address) == "100.64.0.2"
    assert int(profile.address6) & 0xFFFFFFFF == int(profile.address)
    with pytest.raises(Conflict, match="'Laptop' already"):
        await profiles.create(world.actor("tom"), world.id("tom"), "Laptop", key())
    with pytest.raises(NotFound):
        await profiles.revoke(world.actor("ada"), profile.id)
    await profiles.revoke(world.actor("tom"), profile.id)
    again = await profiles.create(CONSOLE, world.id("tom"), "laptop", key())
    assert str(again.address) == "100.64.0.3", "an address is not given again at once"


async def test_a_key_is_used_once(world):
    profiles, tom = world.services.profiles, world.actor("tom")
    first = key()
    profile = await profiles.create(tom, world.id("tom"), "one", first)
    code = await world.services.agents.create_code(CONSOLE, world.wind.id)
    box = gateway()
    await world.services.agents.enrol(code.record.lookup_id, box, world.clock.now)
    for used in (first, box.wireguard_key):
        with pytest.raises(Conflict, match="in use already"):
            await profiles.create(tom, world.id("tom"), "two", used)
    rotated = await profiles.rotate(tom, profile.id, key())
    assert rotated.old_public_key == first
    assert rotated.profile == changed(profile, public_key=rotated.profile.public_key)
    await profiles.create(tom, world.id("tom"), "two", first)


async def test_the_hubs_own_keys_are_nobody_elses(world):
    reserved = key()
    services = type(world.services)(changed(world.services.context, reserved_keys=frozenset({reserved})))
    with pytest.raises(Conflict, match="in use already"):
        await services.profiles.create(world.actor("tom"), world.id("tom"), "one", reserved)


async def test_profiles_are_limited(world):
    tom = world.id("tom")
    for number in range(MAX_PROFILES):
        await world.services.profiles.create(CONSOLE, tom, f"profile {number}", key())
    with pytest.raises(Conflict, match="at most 20"):
        await world.services.profiles.create(CONSOLE, tom, "one more", key())


# Routes


async def two_plants(world):
    """Tom is Operator on two plants with the same range, whose gateways are online."""
    subnets = {}
    for plant in (world.wind, world.solar):
        await world.services.grants.give(world.actor("ada"), world.id("tom"), plant.id, Job.OPERATOR)
        subnets[plant.name] = await subnet(world, plant=plant)
        code = await world.services.agents.create_code(CONSOLE, plant.id)
        agent, _ = await world.services.agents.enrol(code.record.lookup_id, gateway(len(subnets)), world.clock.now)
        await world.services.agents.report_boundary(agent.id, [subnets[plant.name].network])
        await world.store.seen(Presence(AgentId(agent.id), world.clock.now))
    return subnets


async def states(world):
    routes = await world.services.routes.list(world.actor("tom"), world.id("tom"))
    return [(route.state, route.reason) for route in routes]


LOST = (RouteState.CONFLICT, RouteReason.OVERLAP_LOST)
REACHED = (RouteState.REACHABLE, RouteReason.NONE)


async def test_switching_between_two_plants_with_one_range(world):
    subnets = await two_plants(world)
    routes, tom = world.services.routes, world.id("tom")
    assert await states(world) == [REACHED, LOST]
    for _ in range(3):
        preference = await routes.prefer(world.actor("tom"), tom, subnets["Solar"].id)
        assert preference.priority == 1, "switching does not count up"
        assert await states(world) == [LOST, REACHED]
        await routes.prefer(world.actor("tom"), tom, subnets["Wind"].id)
        assert await states(world) == [REACHED, LOST]
    await routes.set_disabled(world.actor("tom"), tom, subnets["Wind"].id, True)
    assert await states(world) == [(RouteState.DISABLED, RouteReason.DISABLED_BY_PERSON), REACHED]
    await routes.set_disabled(world.actor("tom"), tom, subnets["Wind"].id, False)
    await routes.set_priority(world.actor("tom"), tom, subnets["Wind"].id, 0)
    assert len((await world.snapshot()).preferences) == 0


async def test_a_new_grant_does_not_turn_a_range_that_is_in_use(world):
    """Wind's subnet is the older one and would win an undecided overlap; the person is at work on Solar."""
    await world.services.profiles.create(CONSOLE, world.id("tom"), "laptop", key())
    subnets = await two_plants(world)
    grants, ada, tom = world.services.grants, world.actor("ada"), world.id("tom")
    await grants.revoke(ada, tom, world.wind.id)
    assert await states(world) == [REACHED]
    await grants.give(ada, tom, world.wind.id, Job.OPERATOR)
    assert await states(world) == [LOST, REACHED]
    await world.services.routes.prefer(world.actor("tom"), tom, subnets["Wind"].id)
    assert await states(world) == [REACHED, LOST], "the person decides"


async def test_a_grant_for_later_does_not_turn_a_range_when_it_begins(world):
    await world.services.profiles.create(CONSOLE, world.id("tom"), "laptop", key())
    await two_plants(world)
    grants, ada, tom, now = world.services.grants, world.actor("ada"), world.id("tom"), world.clock.now
    await grants.revoke(ada, tom, world.wind.id)
    await grants.give(ada, tom, world.wind.id, Job.OPERATOR, starts=now + 5, ends=now + 3600)
    assert await states(world) == [REACHED]
    world.clock.now += 6
    assert await states(world) == [LOST, REACHED]


async def test_a_route_goes_offline_with_its_agent(world):
    await two_plants(world)
    world.clock.now += 60
    assert await states(world) == [(RouteState.NOT_YET_REACHABLE, RouteReason.AGENT_OFFLINE), LOST]


async def test_preferences_are_ones_own_and_for_routes_one_has(world):
    subnets = await two_plants(world)
    wind = subnets["Wind"].id
    with pytest.raises(NotFound):
        await world.services.routes.prefer(world.actor("ada"), world.id("tom"), wind)
    with pytest.raises(NotFound, match="no route"):
        await world.services.routes.prefer(world.actor("sue"), world.id("sue"), wind)
    with pytest.raises(InvalidInput):
        await world.services.routes.set_priority(world.actor("tom"), world.id("tom"), wind, 10**9)
    with pytest.raises(NotFound):
        await world.services.routes.list(world.actor("ada"), world.id("tom"))
