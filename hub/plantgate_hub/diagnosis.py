"""Why can't I reach it? The shell: asks the hub's parts and the plant's network, hop by hop (`domain.diagnosis`)."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address

from plantgate_shared.errors import NotFound, PlantgateError

from .domain import policy
from .domain.diagnosis import (
    Cause,
    Facts,
    Hop,
    Question,
    Result,
    Step,
    Way,
    failed,
    known_steps,
    network_step,
    whole,
)
from .domain.model import AgentId, Device, DeviceId, PersonId, PlantId, Scheme, TargetId
from .domain.policy import Action
from .domain.snapshot import Snapshot
from .freshness import Freshness
from .ports import CertificatePins, Clock, Destination, DevicePresence, Streams
from .proxy.device import connect
from .proxy.http1 import request_head
from .proxy.problems import Problem, ProxyProblem

LOOK_SECONDS = 8.0
"""For the agent's look at its network, which takes three."""
PAGE_SECONDS = 15.0
"""For connection and first answer of a device's page."""
RECHECK_SECONDS = 0.25
"""Between looks at whether the person still may ask the plant's network."""
MAX_AT_ONCE = 3
"""Questions of one person that wait for a plant's network."""

_PORT: dict[Problem, Step] = {
    Problem.DEVICE_REFUSED: Step(Hop.PORT, Result.FAILED, Cause.PORT_REFUSED),
    Problem.DEVICE_UNREACHABLE: Step(Hop.PORT, Result.FAILED, Cause.PORT_SILENT),
    Problem.DEVICE_OUTSIDE: Step(Hop.BOUNDARY, Result.FAILED, Cause.OUTSIDE_BOUNDARY),
    Problem.AGENT_OFFLINE: Step(Hop.AGENT, Result.FAILED, Cause.AGENT_OFFLINE),
    Problem.AGENT_BUSY: Step(Hop.PORT, Result.UNKNOWN, Cause.OTHER, "the agent carries as many connections as it can"),
}
"""What the connection's problems say about the way to the device; every other one is the page's own."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the facts come from."""

    snapshot: Callable[[], Snapshot]
    online: Callable[[], AbstractSet[AgentId]]
    handshake: Callable[[PersonId], Awaitable[float | None]]
    """The newest WireGuard handshake of the person's profiles; see `Facts.handshake`."""
    presence: DevicePresence
    streams: Streams
    pins: CertificatePins
    clock: Clock
    freshness: Callable[[], Freshness] = lambda: Freshness.FRESH
    """How much the snapshot still counts."""


class TooManyAtOnce(PlantgateError):
    http_status = 429

    def __init__(self) -> None:
        super().__init__(f"{MAX_AT_ONCE} of your questions are open already", hint="wait for their answers")


class Diagnosis:
    """Answers for people about themselves. Asking changes nothing but a first pin, as opening the page would."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._asking: Counter[PersonId] = Counter()

    async def vpn(self, person: PersonId, device: DeviceId) -> tuple[Step, ...]:
        """Every hop of the way over VPN, up to the device on its network. Raises NotFound, TooManyAtOnce."""
        return await self._ask(person, device, Way.VPN)

    async def browser(self, person: PersonId, target: TargetId) -> tuple[Step, ...]:
        """Every hop of the way to a device's page. Raises NotFound, TooManyAtOnce."""
        found = self._sources.snapshot().targets.get(target)
        if found is None:
            raise _not_known()
        return await self._ask(person, found.device, Way.BROWSER, target)

    async def _ask(
        self, person: PersonId, device: DeviceId, way: Way, target: TargetId | None = None
    ) -> tuple[Step, ...]:
        sources = self._sources
        snapshot, now = sources.snapshot(), sources.clock()
        found = snapshot.devices.get(device)
        if found is None or isinstance(
            policy.decide(snapshot, person, Action.SEE_DEVICES, found.plant, now), policy.Denied
        ):
            raise _not_known()
        handshake = await sources.handshake(person) if way is Way.VPN else None
        question = Question(person, found, way)
        destination = _destination(snapshot, target) if target else None
        steps = self._known(question, destination, handshake)
        if not failed(steps):
            with self._one_of_few(person):
                looking = asyncio.ensure_future(self._on_the_plant(found, destination))
                try:
                    while not (await asyncio.wait({looking}, timeout=RECHECK_SECONDS))[0]:
                        known = self._known(question, destination, handshake)
                        if failed(known):
                            return whole(way, known)
                    steps += looking.result()
                finally:
                    looking.cancel()  # harmless when it is done
        return whole(way, steps)

    def _known(self, question: Question, destination: Destination | None, handshake: float | None) -> tuple[Step, ...]:
        """What the hub can tell as of now. Raises NotFound where the device or its page is elsewhere by now."""
        sources = self._sources
        if sources.freshness() is Freshness.EXPIRED:  # too old to reach anything by
            return (Step(Hop.PERMISSION, Result.FAILED, Cause.OTHER, "the hub's database does not answer"),)
        snapshot = sources.snapshot()
        current = _destination(snapshot, destination.target.id) if destination else None
        device = snapshot.devices.get(question.device.id)
        if device is None or _place(device) != _place(question.device) or _port(current) != _port(destination):
            raise _not_known()
        return known_steps(snapshot, question, Facts(sources.clock(), sources.online(), handshake))

    async def _on_the_plant(self, device: Device, destination: Destination | None) -> tuple[Step, ...]:
        """What only the plant's network can tell."""
        looked = await self._sources.presence.look_for_device(device.plant, device.address, LOOK_SECONDS)
        steps: tuple[Step, ...] = (network_step(looked),)
        if destination and not failed(steps):
            steps += await self._page(destination)
        return steps

    @contextmanager
    def _one_of_few(self, person: PersonId) -> Iterator[None]:
        if self._asking[person] >= MAX_AT_ONCE:
            raise TooManyAtOnce
        self._asking[person] += 1
        try:
            yield
        finally:
            self._asking[person] -= 1
            if not self._asking[person]:
                del self._asking[person]

    async def _page(self, destination: Destination) -> tuple[Step, ...]:
        """Connect and ask for the page's head, as a browser would."""
        connected = False
        try:
            async with asyncio.timeout(PAGE_SECONDS):
                connection = await connect(self._sources.streams, self._sources.pins, destination)
                connected = True
                try:
                    await connection.send(_question(destination))
                    status = (await connection.reply(websocket=False)).status
                finally:
                    connection.close("cancelled")
        except ProxyProblem as problem:
            if step := None if connected else _PORT.get(problem.problem):
                return (step,)
            return _page_failed(str(problem))
        except TimeoutError:
            return _page_failed(f"no answer within {PAGE_SECONDS:.0f} s")
        return Step(Hop.PORT, Result.OK), Step(Hop.PAGE, Result.OK, detail=f"HTTP {status}")


def _not_known() -> NotFound:
    """The same words for what does not exist and for what they may not see."""
    return NotFound("there is no such device")


def _page_failed(detail: str) -> tuple[Step, ...]:
    return Step(Hop.PORT, Result.OK), Step(Hop.PAGE, Result.FAILED, Cause.PAGE_FAILED, detail)


def _question(destination: Destination) -> bytes:
    target, device = destination.target, destination.device
    host = str(device.address) if target.port in (80, 443) else f"{device.address}:{target.port}"
    return request_head("GET", target.base_path, [("Host", host), ("Accept", "*/*"), ("Connection", "close")])


def _place(device: Device) -> tuple[PlantId, IPv4Address]:
    return device.plant, device.address


def _port(destination: Destination | None) -> tuple[DeviceId, Scheme, int] | None:
    return (destination.device.id, destination.target.scheme, destination.target.port) if destination else None


def _destination(snapshot: Snapshot, target: TargetId) -> Destination | None:
    page = snapshot.targets.get(target)
    device = snapshot.devices.get(page.device) if page else None
    plant = snapshot.plants.get(device.plant) if device else None
    return Destination(page, device, plant) if page and device and plant else None
