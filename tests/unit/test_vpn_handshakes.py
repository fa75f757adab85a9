"""When a person's VPN last shook hands, without reading the kernel for each who asks."""

import asyncio
from collections.abc import Mapping

from plantgate_hub.domain.model import PersonId
from plantgate_hub.domain.snapshot import Snapshot
from plantgate_hub.vpn.handshakes import READ_EVERY, Handshakes
from plantgate_shared.errors import KernelError
from tests import worlds

ADA, TOM = PersonId("ada"), PersonId("tom")
FIRST, SECOND = worlds.profile("ada", 1), worlds.profile("ada", 2)
SNAPSHOT = Snapshot.of([worlds.person("ada"), worlds.person("tom"), FIRST, SECOND])


class Kernel:
    def __init__(self) -> None:
        self.read = 0
        self.peers = {FIRST.public_key: 100, SECOND.public_key: 200}
        self.broken = False

    async def people_handshakes(self) -> Mapping[str, int]:
        self.read += 1
        await asyncio.sleep(0)
        if self.broken:
            raise KernelError("no such interface")
        return dict(self.peers)


class World:
    def __init__(self) -> None:
        self.now, self.kernel = 0.0, Kernel()
        self.handshakes = Handshakes(lambda: SNAPSHOT, lambda: self.now)
        self.handshakes.plane = self.kernel


async def test_the_newest_of_all_profiles_counts() -> None:
    world = World()
    assert await world.handshakes.newest(ADA) == 200.0
    assert await world.handshakes.newest(TOM) == 0.0


async def test_one_reading_serves_all_who_ask_within_a_second() -> None:
    world = World()
    assert set(await asyncio.gather(*(world.handshakes.newest(ADA) for _ in range(20)))) == {200.0}
    assert world.kernel.read == 1
    world.kernel.peers[FIRST.public_key] = 300
    world.now += READ_EVERY
    assert await world.handshakes.newest(ADA) == 300.0
    assert world.kernel.read == 2


async def test_without_vpn_or_where_the_kernel_does_not_tell_nothing_is_known() -> None:
    world = World()
    world.kernel.broken = True
    assert await world.handshakes.newest(ADA) is None
    world.kernel.broken = False
    assert await world.handshakes.newest(ADA) == 200.0
    world.handshakes.plane = None
    assert await world.handshakes.newest(ADA) is None
