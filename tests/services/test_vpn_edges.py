"""VPN elements follow permission at every edge by themselves: time boxes, cooperations, holds, declared reasons.

The real store, feed and follower; only the kernel is played by a list of what it was told.
"""

import asyncio
import contextlib
import time
from dataclasses import replace

import pytest

from plantgate_hub.domain.model import HoldScope, Job
from plantgate_hub.freshness import Freshness, StalenessLimits
from plantgate_hub.services import CONSOLE, Services
from plantgate_hub.store import SnapshotFeed
from plantgate_hub.vpn.follower import VpnFollower
from tests.eventually import eventually
from tests.services.test_access import key
from tests.services.test_plants import gateway

LATE = 1.0
"""Seconds after the edge in which everything has to follow."""


class Kernel:
    """What the data plane was told last, per profile address, and when."""

    def __init__(self):
        self.allowed = {}
        self.told = {}

    def take(self, elements):
        for address, found in elements.items():
            self.allowed[address] = found.allowed
            self.told[address] = time.time()

    async def start(self, state):
        self.take(state.elements)

    async def update(self, changed, _revision):
        self.take(changed)

    async def change(self, state):
        self.take(state.elements)


@pytest.fixture
async def plant(world):
    """Sue of South, with a profile, and a cooperation of North's on Wind; the clock is the real one."""
    world.services = Services(replace(world.services.context, now=time.time))
    services, ada = world.services, world.actor("ada")
    await services.plants.add_subnet(ada, world.wind.id, "192.168.1.0/24")
    code = await services.agents.create_code(ada, world.wind.id)
    agent, _ = await services.agents.enrol(code.record.lookup_id, gateway(), time.time())
    await services.agents.report_boundary(agent.id, [s.network for s in (await world.snapshot()).subnets])
    profile = await services.profiles.create(world.actor("sue"), world.id("sue"), "laptop", key())
    offered = await services.cooperations.offer(ada, world.wind.id, world.south.id, Job.OPERATOR)
    await services.cooperations.accept(world.actor("sam"), offered.id)
    world.cooperation, world.address, world.kernel = offered, profile.address, Kernel()
    async with SnapshotFeed(world.store).running() as feed:
        world.freshness = Freshness.FRESH
        follower = VpnFollower(world.kernel, feed, world.store, time.time, 3600.0, lambda: world.freshness)
        running = asyncio.create_task(follower.run())
        yield world
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def invite(world, **period):
    return await world.services.cooperations.invite(
        CONSOLE, world.cooperation.id, world.id("sue"), Job.OPERATOR, **period
    )


async def reaches(world, wanted):
    await eventually(lambda: bool(world.kernel.allowed.get(world.address)) == wanted)
    return world.kernel.told.get(world.address, 0.0)


async def test_an_invitation_begins_and_ends_on_time_and_nobody_acts(plant):
    now = time.time()
    await invite(plant, starts=now + 1.5, ends=now + 3.5)
    assert now + 1.5 <= await reaches(plant, True) <= now + 1.5 + LATE
    assert now + 3.5 <= await reaches(plant, False) <= now + 3.5 + LATE


async def test_a_cooperation_that_ends_ends_what_it_gave(plant):
    await plant.services.cooperations.end(CONSOLE, plant.cooperation.id)
    ends = time.time() + 2.5
    plant.cooperation = await plant.services.cooperations.offer(
        plant.actor("ada"), plant.wind.id, plant.south.id, Job.OPERATOR, ends=ends
    )
    await plant.services.cooperations.accept(plant.actor("sam"), plant.cooperation.id)
    await invite(plant)
    await reaches(plant, True)
    assert ends <= await reaches(plant, False) <= ends + LATE


@pytest.mark.parametrize("scope", HoldScope)
async def test_a_hold_closes_and_its_lifting_opens(plant, scope):
    await invite(plant)
    await reaches(plant, True)
    began = time.time()
    await plant.services.holds.end_access(plant.actor("ada"), plant.wind.id, scope)
    assert await reaches(plant, False) <= began + LATE
    began = time.time()
    await plant.services.holds.restore(plant.actor("ada"), plant.wind.id)
    assert await reaches(plant, True) <= began + LATE


async def test_a_declared_reason_opens_and_its_end_closes(plant):
    await invite(plant)
    await reaches(plant, True)
    await plant.services.purposes.set_policy(plant.actor("ada"), plant.north.id, required=True)
    await reaches(plant, False)
    await plant.services.purposes.declare(plant.actor("sue"), plant.wind.id, "ticket 7")
    await reaches(plant, True)
    async with plant.store.change("test") as change:  # a minute is the shortest that a person may declare
        (purpose,) = change.snapshot.purposes_of(plant.id("sue"))
        ends = time.time() + 1.5
        change.put(replace(purpose, ends=ends))
    assert ends <= await reaches(plant, False) <= ends + LATE


async def test_what_is_too_old_closes_everything_until_it_is_confirmed_again(plant, monkeypatch):
    monkeypatch.setattr("plantgate_hub.vpn.follower.FENCE_EVERY", 0.02)
    await invite(plant)
    await reaches(plant, True)
    plant.freshness = Freshness.STALE
    await asyncio.sleep(0)
    assert await reaches(plant, True)
    plant.freshness = Freshness.EXPIRED
    await reaches(plant, False)
    await plant.services.cooperations.withdraw(CONSOLE, plant.cooperation.id, plant.id("sue"))
    await invite(plant, reason="again")
    assert not plant.kernel.allowed[plant.address]  # changes that arrive meanwhile open nothing
    plant.freshness = Freshness.FRESH
    await reaches(plant, True)


@pytest.mark.parametrize(
    ("staleness", "freshness"),
    [(0.0, "fresh"), (60.0, "fresh"), (61.0, "stale"), (900.0, "stale"), (901.0, "expired"), (float("inf"), "expired")],
)
def test_how_long_what_is_known_counts(staleness, freshness):
    assert StalenessLimits().of(staleness) == freshness
