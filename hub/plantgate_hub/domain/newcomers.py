"""A range never turns to another plant because of what somebody else did.

When a new grant, subnet or service makes a second plant claim a range that a person reaches a first one under, the rank
among undecided claims (longer prefix, older subnet) could redirect running work to other equipment. So a newcomer that
the person has not ranked comes after what they have: it gets what is left, and shows as a conflict until they decide.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from .impact import people_touched
from .model import PersonId, Route, RoutePreference, RouteReason, SubnetId
from .routes import routes_of
from .snapshot import Change, Kind, Snapshot

_ADDS_CLAIMS = {Kind.MEMBERSHIP, Kind.GRANT, Kind.COOPERATION, Kind.SUBNET, Kind.SERVICE}
"""Kinds of change that can bring a person a further plant subnet. Gateways and boundaries give no claim."""


def rank_newcomers(
    before: Snapshot, after: Snapshot, changes: Iterable[Change], moments: Iterable[float]
) -> tuple[RoutePreference, ...]:
    """The preferences that rank people's new subnets behind those whose range they claim, as of each of `moments`
    (time boxes open later than they are made)."""
    adding = [change for change in changes if change.kind in _ADDS_CLAIMS and change.value is not None]
    ranked: dict[tuple[PersonId, SubnetId], RoutePreference] = {}
    for person in sorted(people_touched(before, after, adding)) if adding else ():
        if after.profiles_of(person):
            for now in moments:
                ranked |= {(p.person, p.subnet): p for p in _newcomers(before, after, person, now)}
    return tuple(ranked.values())


def _newcomers(before: Snapshot, after: Snapshot, person: PersonId, now: float) -> Iterator[RoutePreference]:
    # As if every agent were there: a gateway that is away just now does not lose its range.
    everyone = frozenset(agent.id for agent in after.agents)
    had = {route.subnet: route for route in routes_of(before, person, everyone, now)}
    has = routes_of(after, person, everyone, now)
    held = [route for route in has if route.subnet in had and _has_its_range(had[route.subnet])]
    for new in has:
        choice = _preference(after, person, new.subnet)
        if new.subnet in had or choice.priority:
            continue
        rivals = [route for route in held if route.network.overlaps(new.network)]
        if rivals:
            lowest = min(_preference(after, person, rival.subnet).priority for rival in rivals)
            yield replace(choice, priority=lowest - 1)


def _has_its_range(route: Route) -> bool:
    """What waits for a hold to be lifted, or for a reason to be declared, keeps its range as well."""
    return bool(route.prefixes) or route.reason in (RouteReason.ON_HOLD, RouteReason.PURPOSE_REQUIRED)


def _preference(snapshot: Snapshot, person: PersonId, subnet: SubnetId) -> RoutePreference:
    return snapshot.preferences.get(person, subnet) or RoutePreference(person, subnet)
