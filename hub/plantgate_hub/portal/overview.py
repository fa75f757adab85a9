"""What a person sees of their plants: pure functions from the snapshot to what the pages show."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address

from ..domain.model import AgentId, DeviceId, Job, PersonId, Plant, PlantId, Route, RouteState, WebTarget
from ..domain.policy import RULES, Action, plants_of_person
from ..domain.snapshot import Snapshot


class GatewayState(StrEnum):
    """Whether a plant's gateway is there; the values name the texts."""

    ONLINE = "online"
    OFFLINE = "offline"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class DevicePages:
    """A device as its person sees it: without address and pages to whom only its name is shown."""

    id: DeviceId
    name: str
    address: IPv4Address | None = None
    targets: tuple[WebTarget, ...] = ()


@dataclass(frozen=True, slots=True)
class PlantLine:
    """A plant in a list: who owns it, what the person is there, whether it is connected."""

    plant: Plant
    organization: str
    job: Job
    gateway: GatewayState


@dataclass(frozen=True, slots=True)
class PlantCard:
    """A plant with all that its person can do there."""

    line: PlantLine
    devices: tuple[DevicePages, ...]
    routes: tuple[Route, ...]
    """VPN routes; empty below Operator."""


def gateway_state(snapshot: Snapshot, plant: PlantId, online: Collection[AgentId]) -> GatewayState:
    active = snapshot.active_agent_of(plant)
    if active is None:
        return GatewayState.NONE
    return GatewayState.ONLINE if active.id in online else GatewayState.OFFLINE


def plant_lines(snapshot: Snapshot, person: PersonId, online: Collection[AgentId], now: float) -> list[PlantLine]:
    """All plants on which the person has a job, by organization and name."""
    lines = [
        PlantLine(plant, organization_name(snapshot, plant), decision.job, gateway_state(snapshot, plant.id, online))
        for plant, decision in plants_of_person(snapshot, person, now)
        if decision.job is not None
    ]
    return sorted(lines, key=lambda line: (line.organization.casefold(), line.plant.name.casefold(), line.plant.id))


def plant_card(snapshot: Snapshot, line: PlantLine, routes: Sequence[Route]) -> PlantCard:
    return PlantCard(line, device_pages(snapshot, line.plant.id, line.job), tuple(routes))


def shows(job: Job, action: Action) -> bool:
    """Whether the job shows this of a plant; for actions that only look."""
    lowest = RULES[action].job
    return lowest is not None and job >= lowest


def device_pages(snapshot: Snapshot, plant: PlantId, job: Job) -> tuple[DevicePages, ...]:
    """The plant's devices by name, as far as the job shows them."""
    if not shows(job, Action.SEE_DEVICES):
        return ()
    devices = sorted(snapshot.devices_of(plant), key=lambda device: (device.name.casefold(), device.id))
    if not shows(job, Action.SEE_NETWORK):
        return tuple(DevicePages(device.id, device.name) for device in devices)
    return tuple(
        DevicePages(
            device.id,
            device.name,
            device.address,
            tuple(sorted(snapshot.targets_of(device.id), key=lambda target: (target.port, target.host))),
        )
        for device in devices
    )


def organization_name(snapshot: Snapshot, plant: Plant) -> str:
    found = snapshot.organizations.get(plant.organization)
    return found.name if found else ""


def by_plant(routes: Iterable[Route]) -> dict[PlantId, list[Route]]:
    grouped: dict[PlantId, list[Route]] = {}
    for route in routes:
        grouped.setdefault(route.plant, []).append(route)
    return grouped


@dataclass(frozen=True, slots=True)
class Overlap:
    """Routes of one person that share addresses: those that have some of them, those that lost, the disabled ones."""

    routes: tuple[Route, ...]

    @property
    def winner(self) -> Route | None:
        """The first that has a part of the range; None when all are disabled or lost."""
        return next((route for route in self.routes if _RANK[route.state] == 0), None)

    def names(self, names: Mapping[PlantId, str], last: str) -> str:
        """The plants in words: `North, West and South`."""
        found = list(dict.fromkeys(names[route.plant] for route in self.routes))
        return f" {last} ".join(filter(None, (", ".join(found[:-1]), found[-1])))


def split_overlaps(routes: Sequence[Route]) -> tuple[list[Overlap], list[Route]]:
    """The groups of routes that overlap, and all the others; both in the order of `routes`.

    A disabled route takes part in no overlap of the VPN, but it stays in its group here: enabling it again is the way
    back, and people look for it where they switched it off.
    """
    networks = sorted(routes, key=lambda route: (int(route.network.network_address), route.network.prefixlen))
    groups: list[list[Route]] = []
    reach = -1
    for route in networks:
        first, last = int(route.network.network_address), int(route.network.broadcast_address)
        if groups and first <= reach:
            groups[-1].append(route)
        else:
            groups.append([route])
        reach = max(reach, last)
    order = {route.subnet: place for place, route in enumerate(routes)}
    overlaps = [
        Overlap(tuple(sorted(group, key=lambda route: (_RANK[route.state], order[route.subnet]))))
        for group in groups
        if len(group) > 1
    ]
    together = {route.subnet for overlap in overlaps for route in overlap.routes}
    overlaps.sort(key=lambda overlap: min(order[route.subnet] for route in overlap.routes))
    return overlaps, [route for route in routes if route.subnet not in together]


_RANK = {
    RouteState.REACHABLE: 0,
    RouteState.NOT_YET_REACHABLE: 0,
    RouteState.CONFLICT: 1,
    RouteState.DISABLED: 2,
}
