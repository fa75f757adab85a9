"""The web part's look-ups over the node's snapshot: every answer comes from memory and from `domain.policy`."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .domain.model import Person, PersonId, PlantId, WebTarget
from .domain.policy import Action, Allowed, Denial, decide
from .domain.snapshot import Change, Snapshot
from .freshness import Freshness
from .ports import Destination


class SnapshotSource(Protocol):
    """What keeps the snapshot current (`store.SnapshotFeed`)."""

    @property
    def snapshot(self) -> Snapshot: ...

    def on_update(self, listener: Callable[[Any], None]) -> Callable[[], None]: ...


class SnapshotAccess:
    """`ports.Access`; `freshness` tells how much the snapshot still counts."""

    def __init__(self, source: SnapshotSource, freshness: Callable[[], Freshness] = lambda: Freshness.FRESH) -> None:
        self._source = source
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

    def watch(self, listener: Callable[[Sequence[Change]], None]) -> Callable[[], None]:
        return self._source.on_update(lambda update: listener(update.changes))
