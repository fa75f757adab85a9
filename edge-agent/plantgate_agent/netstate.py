"""The gateway's data plane as values: what is wanted, what the kernel has, and the pure plan from one to the other."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface

from plantgate_shared.netplan import (
    LinkState,
    LinkStep,
    Peer,
    PeerStep,
    RouteEntry,
    WireGuardState,
    plan_link,
    plan_peers,
)

from .rules import INTERFACE, Rules, TableState, digest, render

KEEPALIVE = 25
"""Seconds between WireGuard's keepalives: NAT boxes forget UDP after 30 at the earliest."""


@dataclass(frozen=True, slots=True)
class Desired:
    """Everything the kernel shall hold for the agent. `rules.opened` stays empty: it follows from what is observed."""

    rules: Rules
    public_key: str
    """Of the gateway's own WireGuard key."""
    peer: str
    """The hub's WireGuard key."""
    mtu: int
    endpoint: str | None = None
    """Where the peer is; None leaves it, so that the peer may roam."""

    def link(self) -> LinkState:
        address = self.rules.transit_address
        return LinkState(
            up=True,
            mtu=self.mtu,
            addresses=frozenset({IPv4Interface((address, 32))}),
            routes=frozenset(RouteEntry(network, address) for network in self.rules.peers),
        )

    def peers(self, observed: Mapping[str, Peer]) -> Mapping[str, Peer]:
        known = observed.get(self.peer)
        endpoint = endpoint_to_set(self.endpoint, known.endpoint if known else None)
        return {self.peer: Peer(frozenset(self.rules.peers), endpoint, KEEPALIVE)}


@dataclass(frozen=True, slots=True)
class Observed:
    """What the kernel has; read, never remembered."""

    table: TableState | None = None
    exists: bool = False
    """There is an interface of our name."""
    link: LinkState = LinkState()
    wireguard: WireGuardState | None = None
    forwarding: Mapping[str, bool] = field(default_factory=dict)
    """Per interface that exists, of those that matter here."""
    forwards_all: bool = False
    """net.ipv4.ip_forward: somebody wants this host to be a router, so every interface forwards without us."""


@dataclass(frozen=True, slots=True)
class LoadTable:
    rules: Rules


@dataclass(frozen=True, slots=True)
class RemoveTable:
    pass


@dataclass(frozen=True, slots=True)
class EnsureInterface:
    port: int
    mtu: int


@dataclass(frozen=True, slots=True)
class RemoveInterface:
    pass


@dataclass(frozen=True, slots=True)
class SetForwarding:
    interface: str
    on: bool


@dataclass(frozen=True, slots=True)
class ChangeLink:
    steps: tuple[LinkStep, ...]


@dataclass(frozen=True, slots=True)
class ChangePeers:
    steps: tuple[PeerStep, ...]


Step = LoadTable | RemoveTable | EnsureInterface | RemoveInterface | SetForwarding | ChangeLink | ChangePeers


def plan(desired: Desired | None, observed: Observed) -> tuple[Step, ...]:
    """Steps in the order in which nothing is open without its rules; `None` leads to a kernel without a trace of us."""
    if desired is None:
        return _plan_removal(observed)
    rules = replace(desired.rules, opened=opened(desired.rules.lans, observed))
    steps: list[Step] = _close(_remembered(observed) - rules.opened, observed)
    if not _loaded(rules, observed.table):
        steps.append(LoadTable(rules))
    steps += _plan_interface(desired, observed)
    forwarding = sorted({INTERFACE, *desired.rules.lans})
    # An interface that is not there yet has no entry; ours is made by the steps before.
    steps += (
        SetForwarding(name, True) for name in forwarding if observed.forwarding.get(name, name != INTERFACE) is False
    )
    return tuple(steps)


def opened(lans: frozenset[str], observed: Observed) -> frozenset[str]:
    """The interfaces that forward only because of us: off when we came, or noted in the table as such before."""
    if observed.forwards_all:
        return frozenset()
    off = {name for name in lans if observed.forwarding.get(name) is False}
    noted = {name for name in _remembered(observed) & lans if name in observed.forwarding}
    return frozenset(off | noted)


def _remembered(observed: Observed) -> frozenset[str]:
    return observed.table.opened if observed.table else frozenset()


def _loaded(rules: Rules, table: TableState | None) -> bool:
    return table is not None and table.intact and table.wanted == digest(render(rules))


def _close(interfaces: frozenset[str], observed: Observed) -> list[Step]:
    """Switch forwarding off again, unless somebody else has since asked for it everywhere."""
    if observed.forwards_all:
        return []
    return [SetForwarding(name, False) for name in sorted(interfaces) if observed.forwarding.get(name)]


def _plan_interface(desired: Desired, observed: Observed) -> list[Step]:
    steps: list[Step] = []
    known = observed.wireguard
    present = known.peers if known else {}
    port = desired.rules.wireguard_port
    if known is None or known.port != port or known.public_key != desired.public_key:
        steps.append(EnsureInterface(port, desired.mtu))
    link = plan_link(desired.link(), observed.link if known else LinkState(mtu=desired.mtu))
    if link:
        steps.append(ChangeLink(link))
    peers = plan_peers(desired.peers(present), present)
    if peers:
        steps.append(ChangePeers(peers))
    return steps


def _plan_removal(observed: Observed) -> tuple[Step, ...]:
    steps = _close(_remembered(observed), observed)
    if observed.exists:
        steps.append(RemoveInterface())
    if observed.table is not None:
        steps.append(RemoveTable())
    return tuple(steps)


def endpoint_to_set(wanted: str | None, observed: str | None) -> str | None:
    """The endpoint to set; None leaves what is there.

    A loopback address is our relay, anything else the hub by UDP. Between these two nothing roams, but the hub itself
    may: a node that takes over sends from an address of its own. A new address in the hub's desired state comes with a
    new session, whose peer has no endpoint yet.
    """
    if wanted is None or observed is None or wanted == observed:
        return wanted
    return None if _is_relay(wanted) is _is_relay(observed) is False else wanted


def _is_relay(endpoint: str) -> bool:
    return endpoint.startswith("127.")
