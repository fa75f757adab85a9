"""Keeps the VPN data plane in step with the snapshot: at each change at once, and by a periodic full verification.

Whether an agent's tunnel is up does not matter here: a route that waits for its agent stays in the kernel, so traffic
flows the moment the agent is back, and a hub that restarts takes nothing away while its agents reconnect.
"""

import asyncio
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address

from plantgate_shared.errors import PlantgateError
from plantgate_shared.logging import Event, get_logger

from ..domain.model import AgentId, PersonId, SubnetId
from ..domain.policy import people_in_transition
from ..domain.routes import routes_of
from ..domain.snapshot import Snapshot
from ..freshness import Freshness
from ..store import SnapshotFeed, Store, Update
from .elements import profile_elements
from .reconciler import VpnDataPlane
from .state import NOTHING, ProfileElements, VpnState

Elements = dict[IPv4Address, ProfileElements]
FENCE_EVERY = 1.0
"""Seconds between looks at how old the snapshot is."""
_READINGS = 5
"""Readings of the store that changes may overtake, one after the other, before what the feed says has to do."""


def elements_of(snapshot: Snapshot, people: Iterable[PersonId], now: float) -> Elements:
    """What each profile of these people reaches, by profile address."""
    agents = frozenset(agent.id for agent in snapshot.agents)
    found: Elements = {}
    for person in people:
        if profiles := snapshot.profiles_of(person):
            elements = _person_elements(snapshot, person, agents, now)
            found.update((profile.address, elements) for profile in profiles)
    return found


def _person_elements(snapshot: Snapshot, person: PersonId, agents: frozenset[AgentId], now: float) -> ProfileElements:
    routes = routes_of(snapshot, person, agents, now)
    subnets = {route.subnet: snapshot.subnets.get(route.subnet) for route in routes}
    return profile_elements(routes, {SubnetId(key): subnet for key, subnet in subnets.items() if subnet})


def vpn_state(snapshot: Snapshot, elements: Elements) -> VpnState:
    return VpnState(
        profiles=tuple(snapshot.profiles),
        elements=elements,
        agents=tuple(snapshot.agents),
        subnets=tuple(snapshot.subnets),
        revision=snapshot.revision,
    )


class VpnFollower:
    """`run` until cancelled. The data plane is left as it is then: it goes on forwarding what is authorized."""

    def __init__(
        self,
        plane: VpnDataPlane,
        feed: SnapshotFeed,
        store: Store,
        now: Callable[[], float],
        verify_interval: float,
        freshness: Callable[[], Freshness] = lambda: Freshness.FRESH,
    ) -> None:
        self._plane = plane
        self._feed = feed
        self._store = store
        self._now = now
        self._verify_interval = verify_interval
        self._freshness = freshness
        self._fenced = False
        """Everything is closed, since what is known is too old."""
        self._elements: Elements = {}
        self._followed = 0
        """Revision of the newest update that was passed on."""
        self._log = get_logger(part="vpn")

    async def run(self) -> None:
        updates = self._feed.subscribe()  # before the first state is taken: no change may fall between
        try:
            snapshot = self._feed.snapshot
            self._elements = await self._all_elements(snapshot)
            self._fenced = self._freshness() is Freshness.EXPIRED
            await self._plane.start(vpn_state(snapshot, self._enforced()))
            self._log.info(Event.VPN_ON, profiles=len(snapshot.profiles), subnets=len(snapshot.subnets))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._verify(), name="vpn: verification")
                tasks.create_task(self._fence(), name="vpn: age of what is known")
                async for update in updates:
                    await self._follow(update)
        finally:
            updates.close()

    async def _follow(self, update: Update) -> None:
        snapshot = update.after
        self._followed = snapshot.revision
        changed = {
            address: elements
            for address, elements in elements_of(snapshot, update.people, self._now()).items()
            if self._elements.get(address) != elements
        }
        gone: set[IPv4Address] = set()
        if update.before.profiles is not snapshot.profiles:
            gone = {profile.address for profile in update.before.profiles} - {p.address for p in snapshot.profiles}
            changed |= dict.fromkeys(gone, NOTHING)
        self._elements = {**self._elements, **changed}
        for address in gone:
            del self._elements[address]
        try:
            if changed and not self._fenced:
                await self._plane.update(changed, snapshot.revision)
            if _peers_differ(update.before, snapshot):
                await self._plane.change(vpn_state(snapshot, self._enforced()))
        except PlantgateError as error:  # the data plane has closed what it could not enforce; verification repairs
            self._log.error(Event.KERNEL_REFUSED, error=str(error))
            return
        if changed:
            self._log.info(Event.CHANGES_APPLIED, revision=snapshot.revision, profiles=len(changed))

    def _enforced(self) -> Elements:
        return dict.fromkeys(self._elements, NOTHING) if self._fenced else self._elements

    async def _fence(self) -> None:
        """Close everything while the snapshot is too old, and open it again once the store has confirmed it."""
        while True:
            await asyncio.sleep(FENCE_EVERY)
            expired = self._freshness() is Freshness.EXPIRED
            if expired == self._fenced:
                continue
            self._fenced = expired
            try:
                await self._plane.update(self._enforced(), self._followed)
            except PlantgateError as error:
                self._fenced = not expired  # tried again at the next look
                self._log.error(Event.KERNEL_REFUSED, error=str(error))
            else:
                self._log.error(Event.VPN_FENCED) if expired else self._log.info(Event.VPN_UNFENCED)

    async def _verify(self) -> None:
        """Store and kernel afresh: neither the snapshot nor what we did before is believed."""
        while True:
            await asyncio.sleep(self._verify_interval)
            if self._fenced:
                continue
            try:
                await self._plane.verify(await self._fresh_state())
            except PlantgateError as error:
                self._log.error(Event.VERIFICATION_FAILED, error=str(error))

    async def _fresh_state(self) -> VpnState:
        """What the store says now. Reading takes a while at full size: a state that a change or the end of a time box
        has overtaken meanwhile is not used, or it would open again what was closed since."""
        for _ in range(_READINGS):
            began = self._now()
            snapshot = await self._store.load_snapshot()
            elements = await self._all_elements(snapshot)
            overtaken = self._followed > snapshot.revision or people_in_transition(snapshot, began, self._now())
            if not overtaken:
                return vpn_state(snapshot, elements)
        return vpn_state(self._feed.snapshot, self._elements)

    async def _all_elements(self, snapshot: Snapshot) -> Elements:
        """All profiles' elements, computed beside the event loop; what is unchanged is the same object as before."""
        people = {profile.person for profile in snapshot.profiles}
        found = await asyncio.to_thread(elements_of, snapshot, people, self._now())
        return {address: self._same(address, elements) for address, elements in found.items()}

    def _same(self, address: IPv4Address, elements: ProfileElements) -> ProfileElements:
        known = self._elements.get(address)
        return known if known == elements and known is not None else elements


def _peers_differ(before: Snapshot, after: Snapshot) -> bool:
    """Unchanged tables are the same object."""
    return (
        before.profiles is not after.profiles
        or before.agents is not after.agents
        or before.subnets is not after.subnets
    )
