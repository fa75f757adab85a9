"""A person's VPN routes: which plant subnets, in which state and why, and which disjoint prefixes lead to each.

Permission, VPN service and the person's own choices decide who claims a range; whether the agent is there does not. A
range therefore never turns to another plant by itself: when the plant that has it goes offline, its route waits.

Overlaps: networks in CIDR notation are equal, nested or disjoint; a plant with several subnets may overlap another in
part. Claims are ranked by the person's priority, then the longer prefix, then the smaller (older) subnet number; each
takes what those before it left. So the prefixes of one person are disjoint, and every claimed address leads somewhere.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network, collapse_addresses, summarize_address_range

from .model import (
    AgentId,
    Alias,
    PersonId,
    PlantId,
    Route,
    RoutePreference,
    RouteReason,
    RouteState,
    Subnet,
    SubnetId,
)
from .policy import Action, Denial, Denied, decide_for, plants_of_person
from .snapshot import Snapshot

_Span = tuple[int, int]
"""First and last address of a range, both inside."""


def routes_of(snapshot: Snapshot, person: PersonId, online: AbstractSet[AgentId], now: float) -> tuple[Route, ...]:
    """All VPN routes of the person, by subnet number. `online` are the agents whose tunnel is up."""
    preferences = {p.subnet: p for p in snapshot.preferences_of(person)}
    waiting = _authorized(snapshot, person, now)
    subnets = sorted((s for plant in waiting for s in snapshot.subnets_of(plant)), key=lambda subnet: subnet.number)
    offered: dict[PlantId, bool] = {}
    claims: list[_Claim] = []
    for subnet in subnets:
        if subnet.plant not in offered:
            offered[subnet.plant] = bool(snapshot.services_with(subnet.plant))
        preference = preferences.get(subnet.id)
        if offered[subnet.plant] and not (preference and preference.disabled):
            claims.append(_Claim(subnet, preference.priority if preference else 0))
    shares = _share(claims)
    liveness = {plant: _liveness(snapshot, plant, online, waiting[plant]) for plant in offered}
    aliases: dict[SubnetId, tuple[Alias, ...]] = {}
    for alias in sorted(snapshot.aliases_of(person), key=lambda alias: alias.network):
        aliases[alias.subnet] = (*aliases.get(alias.subnet, ()), alias)
    return tuple(
        replace(
            _route(person, subnet, preferences.get(subnet.id), claim, liveness[subnet.plant]),
            aliases=aliases.get(subnet.id, ()) if claim and not liveness[subnet.plant].closed else (),
        )
        for subnet in subnets
        for claim in (shares.get(subnet.id),)
    )


def transit_of(subnet: Subnet, prefix: IPv4Network) -> IPv4Network:
    """The part of the subnet's transit prefix that stands for `prefix`; ValueError unless it is in the subnet."""
    if not prefix.subnet_of(subnet.network):
        raise ValueError(f"{prefix} is not a part of the plant subnet {subnet.network}")
    offset = int(prefix.network_address) - int(subnet.network.network_address)
    return IPv4Network((int(subnet.transit.network_address) + offset, prefix.prefixlen))


def find_route(routes: Iterable[Route], address: IPv4Address) -> Route | None:
    """The route that a packet to `address`, a real one or an alias, takes, if any."""
    return next((route for route in routes for prefix in _prefixes(route) if address in prefix), None)


def _prefixes(route: Route) -> Iterator[IPv4Network]:
    yield from route.prefixes
    yield from (alias.prefix for alias in route.aliases)


@dataclass(slots=True)
class _Claim:
    """A subnet that takes part in the person's sharing of ranges, and what became of it."""

    subnet: Subnet
    priority: int
    first: int = 0
    last: int = 0
    spans: list[_Span] = field(default_factory=list)
    """What it got."""
    rivals: list[SubnetId] = field(default_factory=list)
    """Those that took a part of it, or that it took a part of."""

    def __post_init__(self) -> None:
        self.first, self.last = _span(self.subnet.network)

    def rank(self) -> tuple[int, int, int]:
        return -self.priority, -self.subnet.network.prefixlen, self.subnet.number

    def prefixes(self) -> tuple[IPv4Network, ...]:
        if self.spans == [(self.first, self.last)]:
            return (self.subnet.network,)
        return tuple(
            prefix
            for first, last in self.spans
            for prefix in summarize_address_range(IPv4Address(first), IPv4Address(last))
        )


@dataclass(frozen=True, slots=True)
class _Liveness:
    """Whether a plant can be reached now, and which part of it."""

    reason: RouteReason = RouteReason.NONE
    closed: bool = False
    """The person may have the route and not use it now: not under an alias either."""
    boundary: tuple[IPv4Network, ...] = ()
    spans: tuple[_Span, ...] = ()


def authorized_subnets(snapshot: Snapshot, person: PersonId, now: float) -> Iterator[Subnet]:
    """The subnets that the person's job covers; what closes them for a while and their own choices aside."""
    for plant in _authorized(snapshot, person, now):
        yield from snapshot.subnets_of(plant)


_WAITING = {Denial.ON_HOLD: RouteReason.ON_HOLD, Denial.NO_PURPOSE: RouteReason.PURPOSE_REQUIRED}
"""Refusals that end without a change of the person's job. The range stays theirs meanwhile, so that it never turns to
other equipment because of them."""


def _authorized(snapshot: Snapshot, person: PersonId, now: float) -> dict[PlantId, RouteReason]:
    """The plants to which the person has routes, each with what keeps them closed, or NONE."""
    plants: dict[PlantId, RouteReason] = {}
    for plant, held in plants_of_person(snapshot, person, now):
        decision = decide_for(snapshot, person, Action.USE_VPN, plant, held, now)
        if not isinstance(decision, Denied):
            plants[plant.id] = RouteReason.NONE
        elif decision.reason in _WAITING:
            plants[plant.id] = _WAITING[decision.reason]
    return plants


def _liveness(snapshot: Snapshot, plant: PlantId, online: AbstractSet[AgentId], waiting: RouteReason) -> _Liveness:
    if waiting is not RouteReason.NONE:
        return _Liveness(waiting, closed=True)
    agent = snapshot.active_agent_of(plant)
    if agent is None:
        return _Liveness(RouteReason.NO_GATEWAY)
    if agent.id not in online:
        return _Liveness(RouteReason.AGENT_OFFLINE)
    return _Liveness(boundary=agent.boundary, spans=tuple(map(_span, agent.boundary)))


def _route(
    person: PersonId,
    subnet: Subnet,
    preference: RoutePreference | None,
    claim: _Claim | None,
    liveness: _Liveness,
) -> Route:
    def route(state: RouteState, reason: RouteReason, prefixes: tuple[IPv4Network, ...] = ()) -> Route:
        rivals = tuple(claim.rivals) if claim else ()
        return Route(person, subnet.id, subnet.plant, subnet.network, state, reason, prefixes, rivals)

    if claim is None:
        if preference and preference.disabled:
            return route(RouteState.DISABLED, RouteReason.DISABLED_BY_PERSON)
        return route(RouteState.NOT_YET_REACHABLE, RouteReason.NOT_IN_A_SERVICE)
    if liveness.closed:
        return route(RouteState.NOT_YET_REACHABLE, liveness.reason)
    if not claim.spans:
        return route(RouteState.CONFLICT, RouteReason.OVERLAP_LOST)
    if liveness.reason is not RouteReason.NONE:
        return route(RouteState.NOT_YET_REACHABLE, liveness.reason)
    prefixes = _inside(claim, liveness)
    if not prefixes:
        return route(RouteState.NOT_YET_REACHABLE, RouteReason.OUTSIDE_BOUNDARY)
    return route(RouteState.REACHABLE, RouteReason.NONE, prefixes)


def _inside(claim: _Claim, liveness: _Liveness) -> tuple[IPv4Network, ...]:
    """The parts of what the claim got that lie inside the agent's boundary."""
    if any(first <= claim.first and claim.last <= last for first, last in liveness.spans):
        return claim.prefixes()
    parts = (
        max(prefix, network, key=lambda n: n.prefixlen)  # of two that overlap one holds the other: the common part
        for prefix in claim.prefixes()
        for network in liveness.boundary
        if prefix.overlaps(network)
    )
    return tuple(collapse_addresses(parts))


def _share(claims: Sequence[_Claim]) -> dict[SubnetId, _Claim]:
    """Fill in what each claim gets."""
    for group in _overlapping(claims):
        if len(group) == 1:
            group[0].spans = [(group[0].first, group[0].last)]
        else:
            _share_group(group)
    return {claim.subnet.id: claim for claim in claims}


def _overlapping(claims: Sequence[_Claim]) -> Iterator[list[_Claim]]:
    """The claims in groups: no two of different groups overlap."""
    group: list[_Claim] = []
    reach = -1
    for claim in sorted(claims, key=lambda c: c.first):
        if group and claim.first > reach:
            yield group
            group = []
        group.append(claim)
        reach = max(reach, claim.last) if len(group) > 1 else claim.last
    if group:
        yield group


def _share_group(group: list[_Claim]) -> None:
    taken: list[tuple[int, int, _Claim]] = []  # disjoint, in order
    for claim in sorted(group, key=_Claim.rank):
        start = bisect_left(taken, claim.first, key=lambda span: span[1])
        end, free = start, claim.first
        new: list[tuple[int, int, _Claim]] = []
        owners: dict[SubnetId, _Claim] = {}
        while end < len(taken) and taken[end][0] <= claim.last:
            first, last, owner = taken[end]
            owners[owner.subnet.id] = owner
            if free < first:
                claim.spans.append((free, first - 1))
                new.append((free, first - 1, claim))
            new.append(taken[end])
            free = last + 1
            end += 1
        if free <= claim.last:
            claim.spans.append((free, claim.last))
            new.append((free, claim.last, claim))
        taken[start:end] = new
        for owner in owners.values():
            claim.rivals.append(owner.subnet.id)
            owner.rivals.append(claim.subnet.id)


def _span(network: IPv4Network) -> _Span:
    first = int(network.network_address)
    return first, first | ((1 << (32 - network.prefixlen)) - 1)
