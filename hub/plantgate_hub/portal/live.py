"""Tells open pages that something they may show has changed; the page then asks for itself anew and swaps what differs.

One stream of Server-Sent Events per page. An event carries no contents: what a person sees is rendered and decided
by the page's own handler, so nothing has to be decided twice.
"""

import asyncio
import itertools
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from aiohttp import web

from ..domain import policy
from ..domain.model import Cooperation, Membership, Organization, OrganizationId, PersonId, PlantId, VpnService
from ..domain.policy import Action
from ..domain.snapshot import Kind, Snapshot
from ..ports import Clock
from ..store import Update
from ..tunnel.registry import AgentState, Happening
from .desk import Hub
from .guards import Guards, Visitor

HEARTBEAT = 15.0
"""Seconds between comments on a quiet stream: what lies between forgets idle connections, and we notice dead ones."""
PAUSE = 0.5
"""Seconds between two events of a stream; whatever happens in between becomes one."""
MAX_PER_PERSON = 12
"""Streams of one person; the oldest ends first, and its page asks again when it is looked at."""
MAX_STREAMS = 10_000
"""Streams of one node."""
MANY_PLANTS = 20
"""A change of more plants than that is told to everyone: deciding would take longer than asking once more."""
RETRY_MS = 2000


@dataclass(eq=False)
class Watcher:
    """One page that is open somewhere."""

    session: str
    person: PersonId
    deadline: asyncio.Timeout
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self) -> None:
        """Ends the stream wherever it waits, also for a browser that does not read."""
        self.deadline.reschedule(asyncio.get_running_loop().time())


class Live:
    """The open streams of this node."""

    def __init__(self, guards: Guards, hub: Hub, now: Clock) -> None:
        self._guards = guards
        self._hub = hub
        self._now = now
        self._watchers: dict[PersonId, list[Watcher]] = {}
        self._happenings = secrets.randbits(40)  # a page of an earlier run must not look current
        self._stops = (hub.snapshots.on_update(self._updated), hub.agents.watch(self._agent_happened))

    def version(self) -> int:
        """Grows with all that happens; a page that was rendered at another one asks for itself once more."""
        return self._happenings

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/live", self.stream)]

    async def close(self, _app: web.Application) -> None:
        """End all streams, and follow the hub no longer."""
        for stop in self._stops:
            stop()
        for watcher in self._all():
            watcher.end()

    def sessions_ended(self, sessions: frozenset[str]) -> None:
        for watcher in self._all():
            if watcher.session in sessions:
                watcher.end()

    def __len__(self) -> int:
        return sum(map(len, self._watchers.values()))

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Never keeps a session awake: a page that is left open does not sign anybody in for longer."""
        visitor = await self._guards.visitor(request)
        if visitor is None or visitor.second_factor_due:
            return web.Response(status=401)
        if len(self) >= MAX_STREAMS:
            return web.Response(status=503, headers={"Retry-After": "60"})
        headers = {
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Accel-Buffering": "no",  # a reverse proxy in between must not hold events back
        }
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        try:
            async with asyncio.timeout(None) as deadline:
                watcher = self._enter(visitor, deadline)
                try:
                    if request.query.get("since") != str(self._happenings):
                        watcher.changed.set()
                    await self._send(response, watcher)
                finally:
                    self._leave(watcher)
        except TimeoutError:  # ended by us
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _send(self, response: web.StreamResponse, watcher: Watcher) -> None:
        await response.write(f"retry: {RETRY_MS}\n\n".encode())
        while True:
            if await _within(HEARTBEAT, watcher.changed):
                watcher.changed.clear()
                await response.write(b"event: changed\ndata:\n\n")
                await asyncio.sleep(PAUSE)
            else:
                await response.write(b":\n\n")

    def _enter(self, visitor: Visitor, deadline: asyncio.Timeout) -> Watcher:
        watcher = Watcher(visitor.session.id, visitor.person.id, deadline)
        own = self._watchers.setdefault(watcher.person, [])
        own.append(watcher)
        if len(own) > MAX_PER_PERSON:
            own[0].end()
        return watcher

    def _leave(self, watcher: Watcher) -> None:
        own = self._watchers[watcher.person]
        own.remove(watcher)
        if not own:
            del self._watchers[watcher.person]

    def _all(self) -> tuple[Watcher, ...]:
        return tuple(itertools.chain.from_iterable(self._watchers.values()))

    # What happens

    def _updated(self, update: Update) -> None:
        organizations = frozenset(_organizations(update))
        self._tell(update.people, update.plants, organizations)

    def _agent_happened(self, _happening: Happening, state: AgentState) -> None:
        self._tell(frozenset(), (state.plant,), frozenset())

    def _tell(
        self, people: frozenset[PersonId], plants: Iterable[PlantId], organizations: frozenset[OrganizationId]
    ) -> None:
        self._happenings += 1
        snapshot, now, touched = self._hub.snapshots.snapshot, self._now(), tuple(plants)
        everyone = len(touched) > MANY_PLANTS
        for person, watchers in self._watchers.items():
            if everyone or person in people or _concerns(snapshot, person, touched, organizations, now):
                for watcher in watchers:
                    watcher.changed.set()


def _concerns(
    snapshot: Snapshot,
    person: PersonId,
    plants: tuple[PlantId, ...],
    organizations: frozenset[OrganizationId],
    now: float,
) -> bool:
    account = snapshot.people.get(person)
    if account is None or account.cloud_operator:
        return True
    if any(membership.organization in organizations for membership in snapshot.memberships_of(person)):
        return True
    return any(
        isinstance(policy.decide(snapshot, person, Action.SEE_PLANT, plant, now), policy.Allowed) for plant in plants
    )


def _organizations(update: Update) -> Iterable[OrganizationId]:
    """Those whose own pages the changes may touch."""
    for change in update.changes:
        if change.kind is Kind.SESSION:
            continue
        for row in (update.before.table(change.kind).get(*change.key), change.value):
            match row:
                case Organization():
                    yield row.id
                case Membership() | VpnService():
                    yield row.organization
                case Cooperation():
                    yield row.partner
    for plant in update.plants:
        for snapshot in (update.before, update.after):
            place = snapshot.plants.get(plant)
            if place is not None:
                yield place.organization


async def _within(seconds: float, event: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
