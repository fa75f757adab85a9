"""Why can't I reach it? Each way to a device, looked at hop by hop when somebody asks (`diagnosis.Diagnosis`)."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web

from plantgate_shared.errors import NotFound

from ..domain.diagnosis import Result, Step, Way, failed
from ..domain.model import Device, DeviceId, Job, PersonId, Plant, Route, WebTarget
from ..domain.policy import Action, job_of
from ..domain.snapshot import Snapshot
from .desk import Desk
from .guards import Response, Visitor
from .overview import device_pages

MAX_PER_PERSON = 2
"""Looks of one person at the same time: each keeps the plant's agent busy for seconds."""
MAX_LOOKS = 100
"""Looks of one node at the same time."""
BUSY_STATUS = 429


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to the device; `key` names it in the page's address."""

    key: str
    way: Way
    target: WebTarget | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a look: the hops in order, and the one that fails or, without any, that cannot be told."""

    steps: tuple[Step, ...]

    @property
    def stop(self) -> Step | None:
        return failed(self.steps)

    @property
    def unsure(self) -> bool:
        return self.stop is None and any(step.result is Result.UNKNOWN for step in self.steps)


class Why:
    """`/devices/{device}/why`: there at once with its ways; with `?way=` it takes the seconds that a look takes.

    The page's script fetches the slow page and shows its answer in place; without script a link leads there.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._looking: Counter[PersonId] = Counter()

    def routes(self) -> list[web.RouteDef]:
        return [self._desk.get("/devices/{device}/why", self.show)]

    async def show(self, request: web.Request, visitor: Visitor) -> Response:
        device, plant = self._device(request, visitor)
        choices = self._choices(visitor, device)
        chosen = next((choice for choice in choices if choice.key == request.query.get("way")), None)
        answer = await self._look(visitor.person.id, device.id, chosen) if chosen else None
        return self._desk.page(
            request,
            visitor,
            "why.html",
            BUSY_STATUS if chosen and answer is None else 200,
            here="plants",
            plant=plant,
            device=device,
            choices=choices,
            chosen=chosen,
            answer=answer,
        )

    def _device(self, request: web.Request, visitor: Visitor) -> tuple[Device, Plant]:
        """Raises NotFound also for what the visitor may not see."""
        snapshot = self._desk.snapshot
        device = snapshot.devices.get(request.match_info["device"])
        plant = snapshot.plants.get(device.plant) if device else None
        if device is None or plant is None or not self._desk.may(visitor, Action.SEE_DEVICES, plant.id):
            raise NotFound("there is no such device")
        return device, plant

    def _choices(self, visitor: Visitor, device: Device) -> list[Choice]:
        """VPN for Operators, the browser for each page that their job shows; at least one, to say what is missing."""
        snapshot = self._desk.snapshot
        job = job_of(snapshot, visitor.person.id, device.plant, self._desk.now()).job or Job.VIEWER
        vpn = Choice("vpn", Way.VPN)
        pages = [
            Choice(target.id, Way.BROWSER, target)
            for shown in device_pages(snapshot, device.plant, job)
            if shown.id == device.id
            for target in shown.targets
        ]
        return [vpn, *pages] if job is Job.OPERATOR or not pages else pages

    async def _look(self, person: PersonId, device: DeviceId, choice: Choice) -> Answer | None:
        """None: too many looks are under way."""
        if self._looking[person] >= MAX_PER_PERSON or self._looking.total() >= MAX_LOOKS:
            return None
        diagnosis = self._desk.hub.diagnosis
        with self._counted(person):
            if choice.target is None:
                return Answer(await diagnosis.vpn(person, device))
            return Answer(await diagnosis.browser(person, choice.target.id))

    @contextmanager
    def _counted(self, person: PersonId) -> Iterator[None]:
        self._looking[person] += 1
        try:
            yield
        finally:
            self._looking[person] -= 1
            self._looking += Counter()  # forgets who looks at nothing


def example_device(snapshot: Snapshot, route: Route) -> DeviceId | None:
    """A device that the route leads to: what keeps one from being reached keeps the others as well."""
    devices = (device for device in snapshot.devices_of(route.plant) if device.address in route.network)
    first = min(devices, key=lambda device: (device.address, device.id), default=None)
    return first.id if first else None
