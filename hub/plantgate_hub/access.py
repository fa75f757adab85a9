"""The web part's look-ups over the node's snapshot: every answer comes from memory and from `domain.policy`."""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

from .domain.model import AgentId, Device, Job, Person, PersonId, Plant, PlantId, Route, WebTarget
from .domain.policy import Action, Allowed, Denial, actions_on, decide, plants_of_person
from .domain.routes import routes_of
from .domain.snapshot import Change, Snapshot
from .freshness import Freshness
from .ports import Destination, DevicePages, PlantView


class SnapshotSource(Protocol):
    """What keeps the snapshot current (`store.SnapshotFeed`)."""

    @property
    def snapshot(self) -> Snapshot: ...

    def on_update(self, listener: Callable[[Any], None]) -> Callable[[], None]: ...


class SnapshotAccess:
    """`ports.Access`; `online` tells the agents whose tunnel is up, `freshness` how much the snapshot still counts."""

    def __init__(
        self,
        source: SnapshotSource,
        online: Callable[[], AbstractSet[AgentId]],
        freshness: Callable[[], Freshness] = lambda: Freshness.FRESH,
    ) -> None:
        self._source = source
        self._online = online
        self.freshness = freshness

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

    def refusal(self, person: PersonId, plant: PlantId, now: float) -> Denial | None:
        decision = decide(self._source.snapshot, person, Action.OPEN_DEVICE, plant, now)
        return None if isinstance(decision, Allowed) else decision.reason

    def plants(self, person: PersonId, now: float) -> Sequence[PlantView]:
        snapshot = self._source.snapshot
        routes = routes_of(snapshot, person, self._online(), now)
        views = [
            _view(snapshot, plant, decision.job, routes, actions_on(snapshot, person, plant.id, now))
            for plant, decision in plants_of_person(snapshot, person, now)
            if decision.job is not None
        ]
        return sorted(views, key=lambda view: (view.organization.casefold(), view.plant.name.casefold(), view.plant.id))

    def watch(self, listener: Callable[[Sequence[Change]], None]) -> Callable[[], None]:
        return self._source.on_update(lambda update: listener(update.changes))


def _view(snapshot: Snapshot, plant: Plant, job: Job, routes: tuple[Route, ...], may: frozenset[Action]) -> PlantView:
    """What these actions show of the plant, and nothing else."""
    organization = snapshot.organizations.get(plant.organization)
    return PlantView(
        plant=plant,
        organization=organization.name if organization else "",
        job=job,
        devices=tuple(_devices(snapshot, plant, Action.SEE_NETWORK in may)) if Action.SEE_DEVICES in may else (),
        routes=tuple(route for route in routes if route.plant == plant.id),
        has_gateway=snapshot.active_agent_of(plant.id) is not None,
        may=may,
    )


def _devices(snapshot: Snapshot, plant: Plant, network: bool) -> Iterator[DevicePages]:
    for device in sorted(snapshot.devices_of(plant.id), key=lambda device: (device.name.casefold(), device.id)):
        if network:
            yield DevicePages(device.id, device.name, device.address, _targets(snapshot, device))
        else:
            yield DevicePages(device.id, device.name)


def _targets(snapshot: Snapshot, device: Device) -> tuple[WebTarget, ...]:
    return tuple(sorted(snapshot.targets_of(device.id), key=lambda target: (target.port, target.host)))
