"""The web part's look-ups over the node's snapshot: every answer comes from memory and from `domain.policy`."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

from .domain.model import AgentId, Device, Job, Person, PersonId, Plant, PlantId, Route, WebTarget
from .domain.policy import Action, Allowed, Denial, decide, plants_of_person
from .domain.routes import routes_of
from .domain.snapshot import Change, Snapshot
from .ports import Destination, DevicePages, PlantView


class SnapshotSource(Protocol):
    """What keeps the snapshot current (`store.SnapshotFeed`)."""

    @property
    def snapshot(self) -> Snapshot: ...

    def on_update(self, listener: Callable[[Any], None]) -> Callable[[], None]: ...


class SnapshotAccess:
    """`ports.Access`; `online` tells the agents whose tunnel is up."""

    def __init__(self, source: SnapshotSource, online: Callable[[], AbstractSet[AgentId]]) -> None:
        self._source = source
        self._online = online

    def person(self, person: PersonId) -> Person | None:
        return self._source.snapshot.people.get(person)

    def destination(self, host: str) -> Destination | None:
        snapshot = self._source.snapshot
        target = snapshot.target_by_host(host)
        device = snapshot.devices.get(target.device) if target else None
        plant = snapshot.plants.get(device.plant) if device else None
        return Destination(target, device, plant) if target and device and plant else None

    def siblings(self, destination: Destination) -> Sequence[WebTarget]:
        return tuple(self._source.snapshot.targets_of(destination.device.id))

    def sees_plant(self, person: PersonId, plant: PlantId, now: float) -> bool:
        return isinstance(decide(self._source.snapshot, person, Action.SEE_PLANT, plant, now), Allowed)

    def may_open(self, person: PersonId, plant: PlantId, now: float) -> bool:
        decision = decide(self._source.snapshot, person, Action.OPEN_DEVICE, plant, now)
        # the job is enough here: `proxy.decision` asks for the second factor, to be able to say what is missing
        return isinstance(decision, Allowed) or decision.reason is Denial.NO_TWO_FACTOR

    def plants(self, person: PersonId, now: float) -> Sequence[PlantView]:
        snapshot = self._source.snapshot
        routes = routes_of(snapshot, person, self._online(), now)
        views = [
            self._view(snapshot, plant, decision.job, routes)
            for plant, decision in plants_of_person(snapshot, person, now)
            if decision.job is not None
        ]
        return sorted(views, key=lambda view: (view.organization.casefold(), view.plant.name.casefold(), view.plant.id))

    def watch(self, listener: Callable[[Sequence[Change]], None]) -> Callable[[], None]:
        return self._source.on_update(lambda update: listener(update.changes))

    @staticmethod
    def _view(snapshot: Snapshot, plant: Plant, job: Job, routes: tuple[Route, ...]) -> PlantView:
        organization = snapshot.organizations.get(plant.organization)
        devices = sorted(snapshot.devices_of(plant.id), key=lambda device: (device.name.casefold(), device.id))
        return PlantView(
            plant=plant,
            organization=organization.name if organization else "",
            job=job,
            devices=tuple(DevicePages(device, _targets(snapshot, device)) for device in devices),
            routes=tuple(route for route in routes if route.plant == plant.id),
            has_gateway=snapshot.active_agent_of(plant.id) is not None,
        )


def _targets(snapshot: Snapshot, device: Device) -> tuple[WebTarget, ...]:
    return tuple(sorted(snapshot.targets_of(device.id), key=lambda target: (target.port, target.host)))
