"""People's own WireGuard profiles, and what they choose where plants share a range."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from plantgate_shared.errors import Conflict, InvalidInput, NotFound

from ..domain.clients import check_public_key
from ..domain.model import AgentId, PersonId, Profile, ProfileId, Route, RoutePreference, SubnetId
from ..domain.pools import address6, next_address
from ..domain.routes import routes_of
from ..domain.snapshot import Snapshot
from ..store.ids import new_id
from ..store.protocol import ChangeTransaction, Counter
from .context import Actor, Context, clean_name

MAX_PROFILES = 20
"""Profiles of one person; one for each device of theirs is meant."""
MAX_PRIORITY = 1_000_000
ONLINE_WITHIN = 15.0
"""Seconds since an agent was last heard of, for callers that are not the hub itself."""


@dataclass(frozen=True, slots=True)
class RotatedProfile:
    """The profile with its new key, and the key that no longer works."""

    profile: Profile
    old_public_key: str


class Profiles:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def create(self, actor: Actor, person: PersonId, name: str, public_key: str) -> Profile:
        """A profile for a key pair that was made on the person's device; only its public half comes here."""
        prefix = await self._context.store.ipv6_prefix()
        async with self._context.change(actor) as change:
            snapshot = change.snapshot
            self._context.own_account(snapshot, actor, person)
            own = snapshot.profiles_of(person)
            if len(own) >= MAX_PROFILES:
                raise Conflict(f"a person has at most {MAX_PROFILES} profiles", hint="revoke one that is not used")
            title = clean_name(name)
            if any(profile.name.casefold() == title.casefold() for profile in own):
                raise Conflict(f"there is a profile {title!r} already")
            key = self._unused_key(snapshot, public_key)
            address = await self._address(change)
            profile = Profile(ProfileId(new_id()), person, title, key, address, address6(prefix, address))
            change.put(profile)
            return profile

    async def rotate(self, actor: Actor, profile: ProfileId, public_key: str) -> RotatedProfile:
        """A new key pair for the same profile: addresses and routes stay, the old key stops at once."""
        async with self._context.change(actor) as change:
            found = self._own(change.snapshot, actor, profile)
            rotated = replace(found, public_key=self._unused_key(change.snapshot, public_key))
            change.put(rotated)
            return RotatedProfile(rotated, found.public_key)

    async def revoke(self, actor: Actor, profile: ProfileId) -> None:
        async with self._context.change(actor) as change:
            change.remove(self._own(change.snapshot, actor, profile))

    def _own(self, snapshot: Snapshot, actor: Actor, profile: ProfileId) -> Profile:
        found = snapshot.profiles.get(profile)
        if found is None or actor.person not in (None, found.person):
            raise NotFound("there is no such profile")
        return found

    def _unused_key(self, snapshot: Snapshot, public_key: str) -> str:
        key = check_public_key(public_key)
        used = snapshot.profile_by_key(key) or snapshot.agents.one_by("wireguard key", key)
        if used is not None or key in self._context.reserved_keys:
            raise Conflict("this public key is in use already", hint="make a new key pair for each profile")
        return key

    async def _address(self, change: ChangeTransaction) -> IPv4Address:
        last = await change.counter(Counter.PROFILE_ADDRESS)
        used = [profile.address for profile in change.snapshot.profiles]
        address = next_address(self._context.pools.profiles, used, IPv4Address(last) if last else None)
        await change.set_counter(Counter.PROFILE_ADDRESS, int(address))
        return address


class Routes:
    """Route preferences hold for all of a person's profiles."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def set_priority(self, actor: Actor, person: PersonId, subnet: SubnetId, priority: int) -> RoutePreference:
        """The highest priority wins an overlap."""
        return await self.choose(actor, person, subnet, priority=priority, disabled=None)

    async def choose(
        self, actor: Actor, person: PersonId, subnet: SubnetId, *, priority: int | None, disabled: bool | None
    ) -> RoutePreference:
        """Set priority and disabling in one change; None leaves it as it is."""
        if priority is not None and abs(priority) > MAX_PRIORITY:
            raise InvalidInput(f"a priority lies between -{MAX_PRIORITY} and {MAX_PRIORITY}")
        async with self._context.change(actor) as change:
            current = self._preference(change.snapshot, actor, person, subnet)
            return _keep(
                change,
                replace(
                    current,
                    priority=current.priority if priority is None else priority,
                    disabled=current.disabled if disabled is None else disabled,
                ),
            )

    async def prefer(self, actor: Actor, person: PersonId, subnet: SubnetId) -> RoutePreference:
        """Let this subnet win over all that overlap it: the switch from one plant to the other."""
        async with self._context.change(actor) as change:
            snapshot = change.snapshot
            current = self._preference(snapshot, actor, person, subnet)
            mine = snapshot.subnets.get(subnet)
            routes = routes_of(snapshot, person, frozenset(), self._context.now())
            highest = 0
            for route in routes:
                if mine is not None and route.subnet != subnet and route.network.overlaps(mine.network):
                    other = snapshot.preferences.get(person, route.subnet)
                    priority = other.priority if other else 0
                    if other is not None and priority > 0:  # start from 0 again, so that switching does not count up
                        _keep(change, replace(other, priority=0))
                        priority = 0
                    highest = max(highest, priority)
            return _keep(change, replace(current, priority=highest + 1))

    async def set_disabled(self, actor: Actor, person: PersonId, subnet: SubnetId, disabled: bool) -> RoutePreference:
        """A disabled route frees its range for the others."""
        return await self.choose(actor, person, subnet, priority=None, disabled=disabled)

    async def list(
        self, actor: Actor, person: PersonId, online: AbstractSet[AgentId] | None = None
    ) -> tuple[Route, ...]:
        """The person's routes; without `online`, by when the agents were last heard of."""
        snapshot = await self._context.store.load_snapshot()
        self._context.own_account(snapshot, actor, person)
        now = self._context.now()
        if online is None:
            presences = await self._context.store.presences()
            online = frozenset(p.agent for p in presences if p.last_seen > now - ONLINE_WITHIN)
        return routes_of(snapshot, person, online, now)

    def _preference(self, snapshot: Snapshot, actor: Actor, person: PersonId, subnet: SubnetId) -> RoutePreference:
        """The current preference for a subnet that the person has a route to. Raises NotFound."""
        self._context.own_account(snapshot, actor, person)
        routes = routes_of(snapshot, person, frozenset(), self._context.now())
        if all(route.subnet != subnet for route in routes):
            raise NotFound("there is no route to such a subnet")
        return snapshot.preferences.get(person, subnet) or RoutePreference(person, subnet)


def _keep(change: ChangeTransaction, preference: RoutePreference) -> RoutePreference:
    """Store the preference; one that says nothing is not kept."""
    if preference == RoutePreference(preference.person, preference.subnet):
        change.remove(preference)
    else:
        change.put(preference)
    return preference
