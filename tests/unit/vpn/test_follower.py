"""A verification that was overtaken by a change, or by the end of a time box, opens nothing again."""

import asyncio
from typing import Any, cast

import pytest

from plantgate_hub.domain.model import Job
from plantgate_hub.domain.snapshot import Snapshot, remove
from plantgate_hub.store.feed import Update
from plantgate_hub.vpn.follower import Elements, VpnFollower
from plantgate_hub.vpn.state import VpnState
from tests import worlds


class FakePlane:
    def __init__(self) -> None:
        self.verified: list[VpnState] = []

    async def update(self, *_: Any) -> None:
        """Taken."""

    async def change(self, _state: VpnState) -> None:
        """Taken."""

    async def verify(self, state: VpnState) -> tuple[str, ...]:
        self.verified.append(state)
        raise asyncio.CancelledError  # one is enough


class World:
    """A person who is Operator until 50, and a store whose reading something overtakes once."""

    def __init__(self) -> None:
        self.now = 0.0
        self.snapshot = Snapshot.of(
            [
                worlds.organization("north"),
                worlds.plant("wind", "north"),
                worlds.person("ada"),
                worlds.member("ada", "north"),
                worlds.subnet("wind", "192.168.1.0/24", 1),
                worlds.service("north", "wind"),
                worlds.grant("ada", "wind", Job.OPERATOR, ends=50.0),
                worlds.profile("ada", 5),
                worlds.agent("wind", "192.168.1.0/24"),
            ],
            revision=7,
        )
        self.plane = FakePlane()
        self.follower = VpnFollower(cast(Any, self.plane), cast(Any, self), cast(Any, self), lambda: self.now, 0.0)
        self.overtaken_by: Any = None

    async def load_snapshot(self) -> Snapshot:
        read, happens, self.overtaken_by = self.snapshot, self.overtaken_by, None
        if happens:
            await happens()
        return read

    async def verify(self) -> VpnState:
        with pytest.raises(asyncio.CancelledError):
            await self.follower._verify()
        return self.plane.verified[-1]


async def test_a_fresh_reading_is_verified() -> None:
    state = await World().verify()
    assert [bool(elements.allowed) for elements in state.elements.values()] == [True]


async def test_a_time_box_that_ends_meanwhile_stays_closed() -> None:
    world = World()
    compute = world.follower._all_elements

    async def slowly(snapshot: Snapshot) -> Elements:
        elements = await compute(snapshot)
        world.now = 50.0
        return elements

    cast(Any, world.follower)._all_elements = slowly
    state = await world.verify()
    assert not any(elements.allowed for elements in state.elements.values())


async def test_a_gateway_that_is_removed_meanwhile_stays_removed() -> None:
    world = World()
    before = world.snapshot

    async def removed() -> None:
        world.snapshot = before.apply([remove(agent) for agent in before.agents], 8)
        await world.follower._follow(Update(before, world.snapshot))

    world.overtaken_by = removed
    assert (await world.verify()).agents == ()


async def test_changes_without_end_do_not_keep_a_verification_off() -> None:
    world = World()

    async def again() -> None:
        world.snapshot = world.snapshot.apply([], world.snapshot.revision + 1)
        await world.follower._follow(Update(world.snapshot, world.snapshot))
        world.overtaken_by = again

    world.overtaken_by = again
    assert (await world.verify()).revision == world.snapshot.revision
