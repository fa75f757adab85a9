"""Who is connected to a plant now, as far as this node carries it: in memory, bounded, gone with the process.

Flows of the VPN are looked at every few seconds (`vpn.watch`); device pages tell of each request themselves. A
connection counts for a while after it was last seen, since a page is quiet between two clicks.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from .domain.model import PersonId, PlantId
from .domain.policy import Action, Allowed, decide, job_of
from .domain.snapshot import Snapshot

LINGERS = 60.0
"""Seconds for which something that was seen counts as connected."""
NEW_AFTER = 1800.0
"""Seconds without any connection after which a person's next one to the plant is a new one."""
MAX_CONNECTIONS = 20_000
"""Of persons and plants, kept in mind; the one seen longest ago is forgotten first."""


class Means(StrEnum):
    VPN = "VPN"
    PAGE = "device page"


@dataclass(frozen=True, slots=True)
class Connection:
    """One person's use of one plant by one means."""

    person: PersonId
    plant: PlantId
    means: Means
    since: float
    last_seen: float
    open: int = 0
    """Flows, or requests and websockets under way."""
    external: bool = False
    """The person's job on the plant comes by cooperation only."""


class Connected:
    """`on_new_external` hears of the first connection of somebody by cooperation after half an hour without one."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        now: Callable[[], float],
        on_new_external: Callable[[Connection], None] = lambda _connection: None,
    ) -> None:
        self._snapshot = snapshot
        self._now = now
        self._on_new_external = on_new_external
        self._seen: dict[tuple[PersonId, PlantId], dict[Means, Connection]] = {}
        """In the order in which they were last seen."""

    def see(self, person: PersonId, plant: PlantId, means: Means, open_now: int | None = None) -> None:
        """The person uses the plant now; `open_now` replaces how much is under way."""
        now = self._now()
        by_means = self._seen.pop((person, plant), {})
        latest = max((now if self._is_live(c, now) else c.last_seen for c in by_means.values()), default=float("-inf"))
        known = by_means.get(means)
        if known is None or not self._is_live(known, now):
            known = Connection(person, plant, means, now, now, external=self._is_external(person, plant, now))
        seen = replace(known, last_seen=now, open=known.open if open_now is None else open_now)
        self._seen[person, plant] = {**by_means, means: seen}
        while len(self._seen) > MAX_CONNECTIONS:
            del self._seen[next(iter(self._seen))]
        if seen.external and now - latest >= NEW_AFTER:
            self._on_new_external(seen)

    @contextlib.contextmanager
    def page(self, person: PersonId, plant: PlantId) -> Iterator[None]:
        """A request to a device page, or its websocket, for as long as it lasts."""
        self.see(person, plant, Means.PAGE, self._open(person, plant) + 1)
        try:
            yield
        finally:
            self.see(person, plant, Means.PAGE, max(self._open(person, plant) - 1, 0))

    def on_plant(self, plant: PlantId) -> tuple[Connection, ...]:
        """Who is connected to the plant, the latest first."""
        now = self._now()
        found = [
            connection
            for (_, where), by_means in self._seen.items()
            if where == plant
            for connection in by_means.values()
            if self._is_live(connection, now)
        ]
        return tuple(sorted(found, key=lambda connection: (-connection.since, connection.person, connection.means)))

    def shown_to(self, person: PersonId, plant: PlantId) -> tuple[Connection, ...] | None:
        """The same for who may see it; None for others."""
        decision = decide(self._snapshot(), person, Action.SEE_CONNECTIONS, plant, self._now())
        return self.on_plant(plant) if isinstance(decision, Allowed) else None

    def _open(self, person: PersonId, plant: PlantId) -> int:
        known = self._seen.get((person, plant), {}).get(Means.PAGE)
        return known.open if known else 0

    def _is_external(self, person: PersonId, plant: PlantId, now: float) -> bool:
        chain = job_of(self._snapshot(), person, plant, now).chain
        return bool(chain) and all(link.external for link in chain)

    @staticmethod
    def _is_live(connection: Connection, now: float) -> bool:
        under_way = connection.means is Means.PAGE and connection.open > 0
        return under_way or now - connection.last_seen < LINGERS
