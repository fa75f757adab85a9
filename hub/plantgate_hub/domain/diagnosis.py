"""Why can't I reach it? The way to a device hop by hop, up to the first that fails, and who can fix that.

Pure: what the hub knows by itself (permission to boundary) is decided here from the snapshot and a few facts; what only
the plant's network can tell (whether the device is there, its port, its page) comes in as observations.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from plantgate_shared.protocol.control import DeviceLookedFor, Presence

from . import policy
from .model import AgentId, Device, PersonId, Route, RouteReason, RouteState
from .policy import Action, Denial
from .routes import routes_of
from .snapshot import Snapshot

HANDSHAKE_FRESH = 180.0
"""Seconds after which WireGuard drops a session without a new handshake (REJECT_AFTER_TIME, WireGuard paper 6.1)."""


class Way(StrEnum):
    """How the person wants to reach the device."""

    VPN = "vpn"
    BROWSER = "browser"


class Hop(StrEnum):
    PERMISSION = "permission"
    TUNNEL = "your VPN tunnel"
    ROUTE = "route"
    AGENT = "agent"
    BOUNDARY = "boundary"
    NETWORK = "plant network"
    PORT = "port"
    PAGE = "page"


HOPS: dict[Way, tuple[Hop, ...]] = {
    Way.VPN: (Hop.PERMISSION, Hop.TUNNEL, Hop.ROUTE, Hop.AGENT, Hop.BOUNDARY, Hop.NETWORK),
    Way.BROWSER: (Hop.PERMISSION, Hop.AGENT, Hop.BOUNDARY, Hop.NETWORK, Hop.PORT, Hop.PAGE),
}


class Result(StrEnum):
    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """It cannot be told; the hops after it are looked at all the same."""
    NOT_TRIED = "not tried"
    """A hop before it failed."""


class Fixer(StrEnum):
    """Who can fix a failed hop."""

    NOBODY = ""
    YOU = "you"
    MODERATOR = "a Moderator or Administrator of the plant's organization"
    MANAGER = "a Technical Manager or Operator of the plant"
    ON_SITE = "somebody at the plant"
    OPERATOR = "the operator of this hub"


class Cause(StrEnum):
    """What is wrong at a hop, as a sentence's end."""

    NONE = ""
    NO_JOB = "you have no job on this plant"
    JOB_TOO_LOW = "your job on this plant does not include this way"
    NO_TWO_FACTOR = "two-factor authentication is not set up on your account"
    ON_HOLD = "the plant's owner has ended all access for now"
    NO_PURPOSE = "a reason for connecting has to be declared first"
    NO_PROFILE = "you have no VPN profile"
    NEVER_CONNECTED = "your VPN has never connected"
    NOT_CONNECTED = "your VPN is not connected now"
    NOT_LOOKED_AT = "the hub cannot tell whether your VPN is connected"
    NO_SUBNET = "no subnet of the plant holds the device's address"
    NOT_IN_A_SERVICE = "the plant is not in a VPN service"
    OVERLAP_LOST = "another plant with this range has priority for you"
    DISABLED = "you have disabled this route"
    NO_GATEWAY = "no gateway is enrolled at the plant"
    AGENT_OFFLINE = "the plant's agent is not connected"
    OUTSIDE_BOUNDARY = "the address lies outside what the gateway lets through"
    SILENT = "no device answers at this address"
    PRESENCE_UNKNOWN = "whether the device is there cannot be told"
    PORT_REFUSED = "the device refuses connections to this port"
    PORT_SILENT = "the device is there, but does not answer on this port"
    PAGE_FAILED = "the device does not answer as a web page does"
    OTHER = "it cannot be told why"


FIXERS: dict[Cause, Fixer] = {
    Cause.NO_JOB: Fixer.MODERATOR,
    Cause.JOB_TOO_LOW: Fixer.MODERATOR,
    Cause.NO_TWO_FACTOR: Fixer.YOU,
    Cause.ON_HOLD: Fixer.MODERATOR,
    Cause.NO_PURPOSE: Fixer.YOU,
    Cause.NO_PROFILE: Fixer.YOU,
    Cause.NEVER_CONNECTED: Fixer.YOU,
    Cause.NOT_CONNECTED: Fixer.YOU,
    Cause.NO_SUBNET: Fixer.MANAGER,
    Cause.NOT_IN_A_SERVICE: Fixer.MODERATOR,
    Cause.OVERLAP_LOST: Fixer.YOU,
    Cause.DISABLED: Fixer.YOU,
    Cause.NO_GATEWAY: Fixer.MANAGER,
    Cause.AGENT_OFFLINE: Fixer.ON_SITE,
    Cause.OUTSIDE_BOUNDARY: Fixer.ON_SITE,
    Cause.SILENT: Fixer.ON_SITE,
    Cause.PORT_REFUSED: Fixer.ON_SITE,
    Cause.PORT_SILENT: Fixer.ON_SITE,
    Cause.PAGE_FAILED: Fixer.ON_SITE,
    Cause.OTHER: Fixer.OPERATOR,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One hop of the way and what came of it. `detail` is a technical word for the small print."""

    hop: Hop
    result: Result
    cause: Cause = Cause.NONE
    detail: str = ""

    @property
    def fixer(self) -> Fixer:
        return FIXERS.get(self.cause, Fixer.NOBODY) if self.result is Result.FAILED else Fixer.NOBODY


@dataclass(frozen=True, slots=True)
class Question:
    """Who wants to reach what, and how."""

    person: PersonId
    device: Device
    way: Way


@dataclass(frozen=True, slots=True)
class Facts:
    """What the hub sees now."""

    now: float
    online: AbstractSet[AgentId]
    handshake: float | None = None
    """When WireGuard last shook hands with one of the person's profiles, seconds since the epoch; 0: never; None: not
    known, as this hub carries no VPN."""


def known_steps(snapshot: Snapshot, question: Question, facts: Facts) -> tuple[Step, ...]:
    """The hops that the hub can tell by itself, up to the first that fails."""
    steps = [_permission(snapshot, question, facts)]
    if question.way is Way.VPN:
        route = _route_to(snapshot, question, facts)
        steps += [_tunnel(snapshot, question, facts), _route(route, question.device)]
    steps += [_agent(snapshot, question, facts), _boundary(snapshot, question)]
    return up_to_failure(steps)


def network_step(found: DeviceLookedFor) -> Step:
    """Whether the device is on the plant's network."""
    match found.presence:
        case Presence.ANSWERS:
            return Step(Hop.NETWORK, Result.OK, detail=found.detail)
        case Presence.SILENT:
            return Step(Hop.NETWORK, Result.FAILED, Cause.SILENT)
        case Presence.OUTSIDE:
            return Step(Hop.BOUNDARY, Result.FAILED, Cause.OUTSIDE_BOUNDARY)
        case Presence.UNKNOWN:
            return Step(Hop.NETWORK, Result.UNKNOWN, Cause.PRESENCE_UNKNOWN, found.detail)


def up_to_failure(steps: Iterable[Step]) -> tuple[Step, ...]:
    kept: list[Step] = []
    for step in steps:
        kept.append(step)
        if step.result is Result.FAILED:
            break
    return tuple(kept)


def failed(steps: Iterable[Step]) -> Step | None:
    """The hop that fails, if one does."""
    return next((step for step in steps if step.result is Result.FAILED), None)


def whole(way: Way, steps: Iterable[Step]) -> tuple[Step, ...]:
    """Every hop of the way in its order, those that were not reached as NOT_TRIED."""
    found = {step.hop: step for step in steps}
    return tuple(found.get(hop, Step(hop, Result.NOT_TRIED)) for hop in HOPS[way])


_DENIALS = {
    Denial.NO_JOB: Cause.NO_JOB,
    Denial.JOB_TOO_LOW: Cause.JOB_TOO_LOW,
    Denial.NO_TWO_FACTOR: Cause.NO_TWO_FACTOR,
    Denial.ON_HOLD: Cause.ON_HOLD,
    Denial.NO_PURPOSE: Cause.NO_PURPOSE,
}


def _permission(snapshot: Snapshot, question: Question, facts: Facts) -> Step:
    action = Action.USE_VPN if question.way is Way.VPN else Action.OPEN_DEVICE
    decision = policy.decide(snapshot, question.person, action, question.device.plant, facts.now)
    if isinstance(decision, policy.Denied):
        cause = _DENIALS.get(decision.reason, Cause.OTHER)
        return Step(Hop.PERMISSION, Result.FAILED, cause, str(decision.reason) if cause is Cause.OTHER else "")
    return Step(Hop.PERMISSION, Result.OK)


def _tunnel(snapshot: Snapshot, question: Question, facts: Facts) -> Step:
    if not snapshot.profiles_of(question.person):
        return Step(Hop.TUNNEL, Result.FAILED, Cause.NO_PROFILE)
    if facts.handshake is None:
        return Step(Hop.TUNNEL, Result.UNKNOWN, Cause.NOT_LOOKED_AT)
    if not facts.handshake:
        return Step(Hop.TUNNEL, Result.FAILED, Cause.NEVER_CONNECTED)
    age = facts.now - facts.handshake
    if age > HANDSHAKE_FRESH:
        return Step(Hop.TUNNEL, Result.FAILED, Cause.NOT_CONNECTED, f"{age:.0f} s")
    return Step(Hop.TUNNEL, Result.OK)


_ROUTE_REASONS = {
    RouteReason.NOT_IN_A_SERVICE: Cause.NOT_IN_A_SERVICE,
    RouteReason.OVERLAP_LOST: Cause.OVERLAP_LOST,
    RouteReason.DISABLED_BY_PERSON: Cause.DISABLED,
}
"""Reasons that are the route's own; gateway, agent and boundary are hops of their own."""


def _route_to(snapshot: Snapshot, question: Question, facts: Facts) -> Route | None:
    """The most specific of the person's routes into the plant that hold the device's address."""
    routes = (
        route
        for route in routes_of(snapshot, question.person, facts.online, facts.now)
        if route.plant == question.device.plant and question.device.address in route.network
    )
    return max(routes, key=lambda route: route.network.prefixlen, default=None)


def _route(route: Route | None, device: Device) -> Step:
    if route is None:
        return Step(Hop.ROUTE, Result.FAILED, Cause.NO_SUBNET)
    if cause := _ROUTE_REASONS.get(route.reason):
        return Step(Hop.ROUTE, Result.FAILED, cause, str(route.network))
    if route.state in (RouteState.CONFLICT, RouteState.DISABLED):
        return Step(Hop.ROUTE, Result.FAILED, Cause.OTHER, f"{route.network}: {route.reason}")
    elsewhere = route.conflicts_with and not any(device.address in prefix for prefix in route.prefixes)
    if route.state is RouteState.REACHABLE and elsewhere:  # another plant has this part of the range
        return Step(Hop.ROUTE, Result.FAILED, Cause.OVERLAP_LOST, str(route.network))
    return Step(Hop.ROUTE, Result.OK, detail=str(route.network))


def _agent(snapshot: Snapshot, question: Question, facts: Facts) -> Step:
    agent = snapshot.active_agent_of(question.device.plant)
    if agent is None:
        return Step(Hop.AGENT, Result.FAILED, Cause.NO_GATEWAY)
    if agent.id not in facts.online:
        return Step(Hop.AGENT, Result.FAILED, Cause.AGENT_OFFLINE, agent.name)
    return Step(Hop.AGENT, Result.OK, detail=agent.name)


def _boundary(snapshot: Snapshot, question: Question) -> Step:
    agent = snapshot.active_agent_of(question.device.plant)
    if agent is not None and any(question.device.address in network for network in agent.boundary):
        return Step(Hop.BOUNDARY, Result.OK)
    return Step(Hop.BOUNDARY, Result.FAILED, Cause.OUTSIDE_BOUNDARY)
