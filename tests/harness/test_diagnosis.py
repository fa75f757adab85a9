"""The way to a device's page, tried: what the device does is what the last hops say."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import IPv4Address

import pytest

from plantgate_hub.diagnosis import Diagnosis, Sources
from plantgate_hub.domain.diagnosis import Cause, Hop, Result, Step, Way, failed
from plantgate_hub.domain.model import (
    AgentId,
    Device,
    DeviceId,
    Hold,
    HoldScope,
    Job,
    PersonId,
    PlantId,
    Scheme,
    TargetId,
    WebTarget,
)
from plantgate_hub.domain.snapshot import Entity, Snapshot
from plantgate_hub.freshness import Freshness
from plantgate_hub.ports import StreamProblem
from plantgate_shared.errors import NotFound
from plantgate_shared.protocol.control import DeviceLookedFor, Presence
from tests import worlds
from tests.harness.web_site import LoopbackStreams, Pins, RawDevice, Received

ADA, VERA, EVE = PersonId("ada"), PersonId("vera"), PersonId("eve")
DEVICE = Device(DeviceId("inverter"), PlantId("wind"), "inverter", IPv4Address("192.168.1.10"))
PAGE = WebTarget(TargetId("page"), DEVICE.id, "inverter", Scheme.HTTP, 8080, "/start")
ROWS: list[Entity] = [
    worlds.organization("north"),
    *(worlds.person(name, totp_active=True) for name in ("ada", "vera", "eve")),
    *(worlds.member(name, "north") for name in ("ada", "vera")),
    worlds.plant("wind", "north"),
    worlds.service("north", "wind"),
    worlds.agent("wind", "192.168.1.0/24"),
    worlds.subnet("wind", "192.168.1.0/24", 1),
    worlds.grant("ada", "wind", Job.OPERATOR),
    worlds.grant("vera", "wind", Job.ASSET_MANAGER_COMMERCIAL),
    worlds.profile("ada", 1),
    *(DEVICE, PAGE),
]
SNAPSHOT = Snapshot.of(ROWS)


class Network:
    """What the agent sees."""

    def __init__(self, presence: Presence = Presence.ANSWERS) -> None:
        self.presence = presence
        self.asked: list[IPv4Address] = []
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        """What happens while the agent looks."""

    async def look_for_device(self, _plant: PlantId, address: IPv4Address, _timeout: float) -> DeviceLookedFor:
        self.asked.append(address)
        if self.meanwhile:
            await self.meanwhile()
        return DeviceLookedFor(1, self.presence)


class World:
    def __init__(self) -> None:
        self.network, self.streams, self.device = Network(), LoopbackStreams(), RawDevice()
        self.snapshot, self.freshness = SNAPSHOT, Freshness.FRESH
        self.diagnosis = Diagnosis(
            Sources(
                snapshot=lambda: self.snapshot,
                online=lambda: frozenset({AgentId("agent-wind")}),
                handshake=self.handshake,
                presence=self.network,
                streams=self.streams,
                pins=Pins(),
                clock=lambda: 1000.0,
                freshness=lambda: self.freshness,
            )
        )

    async def handshake(self, _person: PersonId) -> float:
        return 990.0

    async def page(self) -> dict[Hop, Step]:
        return {step.hop: step for step in await self.diagnosis.browser(ADA, PAGE.id)}


@asynccontextmanager
async def running() -> AsyncIterator[World]:
    world = World()
    server = await asyncio.start_server(world.device.serve, "127.0.0.1", 0)
    world.streams.places["wind", "192.168.1.10", 8080] = server.sockets[0].getsockname()[1]
    async with server:
        yield world


async def test_a_page_that_opens() -> None:
    async with running() as world:
        found = await world.page()
        assert {step.result for step in found.values()} == {Result.OK}
        assert found[Hop.PAGE].detail == "HTTP 200"
        (request,) = world.device.requests
        assert (request.target, request.values("Host")) == ("/start", ["192.168.1.10:8080"])
        assert world.network.asked == [DEVICE.address]


async def closes(_: Received, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize(
    ("answer", "detail"),
    [(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "device-reply"), (closes, "device-broke-off")],
    ids=["no web server", "closes at once"],
)
async def test_a_port_that_is_no_page(answer: bytes | Callable[..., Awaitable[None]], detail: str) -> None:
    async with running() as world:
        world.device.answer = answer
        found = await world.page()
        assert found[Hop.PORT].result is Result.OK
        assert (found[Hop.PAGE].result, found[Hop.PAGE].cause) == (Result.FAILED, Cause.PAGE_FAILED)
        assert detail in found[Hop.PAGE].detail


@pytest.mark.parametrize(
    ("problem", "hop", "cause"),
    [
        (StreamProblem.REFUSED, Hop.PORT, Cause.PORT_REFUSED),
        (StreamProblem.UNREACHABLE, Hop.PORT, Cause.PORT_SILENT),
        (StreamProblem.OUTSIDE, Hop.BOUNDARY, Cause.OUTSIDE_BOUNDARY),
    ],
)
async def test_a_port_that_does_not_open(problem: StreamProblem, hop: Hop, cause: Cause) -> None:
    async with running() as world:
        world.streams.problem = problem
        step = failed((await world.page()).values())
        assert step is not None
        assert (step.hop, step.cause) == (hop, cause)


async def test_a_device_that_is_off_is_not_dialled() -> None:
    async with running() as world:
        world.network.presence = Presence.SILENT
        found = await world.page()
        assert (found[Hop.NETWORK].cause, found[Hop.PORT].result) == (Cause.SILENT, Result.NOT_TRIED)
        assert not world.streams.dialled


async def test_where_presence_cannot_be_told_the_page_is_tried_all_the_same() -> None:
    async with running() as world:
        world.network.presence = Presence.UNKNOWN
        found = await world.page()
        assert (found[Hop.NETWORK].result, found[Hop.PAGE].result) == (Result.UNKNOWN, Result.OK)


async def test_over_vpn_the_way_ends_at_the_device() -> None:
    async with running() as world:
        found = await world.diagnosis.vpn(ADA, DEVICE.id)
        assert {step.result for step in found} == {Result.OK}
        assert found[-1].hop is Hop.NETWORK
        assert not world.streams.dialled


async def test_without_permission_nothing_is_asked_of_the_plant() -> None:
    async with running() as world:
        for way in Way:
            asked = world.diagnosis.vpn(VERA, DEVICE.id) if way is Way.VPN else world.diagnosis.browser(VERA, PAGE.id)
            step = failed(await asked)
            assert step is not None
            assert (step.hop, step.cause) == (Hop.PERMISSION, Cause.JOB_TOO_LOW)
        assert not world.network.asked
        assert not world.streams.dialled


async def test_strangers_learn_nothing() -> None:
    async with running() as world:
        for asked in (
            world.diagnosis.vpn(EVE, DEVICE.id),
            world.diagnosis.vpn(ADA, DeviceId("none")),
            world.diagnosis.browser(EVE, PAGE.id),
            world.diagnosis.browser(ADA, TargetId("none")),
        ):
            with pytest.raises(NotFound, match=r"^there is no such device$"):
                await asked


async def test_nothing_is_asked_of_a_plant_that_is_closed_meanwhile() -> None:
    """A question under way is a connection like any other."""
    async with running() as world:

        async def hold() -> None:
            world.snapshot = Snapshot.of([*ROWS, Hold(PlantId("wind"), HoldScope.EVERYONE, 1.0, "", "")])
            await asyncio.Event().wait()

        world.network.meanwhile = hold
        async with asyncio.timeout(5):
            found = await world.page()
        assert found[Hop.PERMISSION].cause is Cause.ON_HOLD
        assert not world.streams.dialled


async def test_a_page_that_was_removed_meanwhile_is_not_asked_for() -> None:
    async with running() as world:

        async def remove() -> None:
            world.snapshot = Snapshot.of([row for row in ROWS if row != PAGE])
            await asyncio.Event().wait()

        world.network.meanwhile = remove
        async with asyncio.timeout(5):
            with pytest.raises(NotFound):
                await world.page()
        assert not world.streams.dialled


async def test_by_what_is_too_old_no_plant_is_reached() -> None:
    async with running() as world:
        world.freshness = Freshness.EXPIRED
        found = await world.page()
        assert found[Hop.PERMISSION].result is Result.FAILED
        assert not world.network.asked
        assert not world.streams.dialled
