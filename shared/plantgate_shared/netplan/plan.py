"""The pure diff: which steps lead from the observed to the desired state, adding before deleting."""

from collections.abc import Mapping
from dataclasses import dataclass

from .state import Interface, LinkState, Network, Peer, RouteEntry


@dataclass(frozen=True, slots=True)
class SetPeer:
    """Add a peer or change it; its allowed IPs are replaced, its handshake and counters stay.

    WireGuard takes an allowed IP away from whichever peer had it before.
    """

    public_key: str
    allowed_ips: frozenset[Network]
    endpoint: str | None = None
    """None leaves the endpoint as it is."""
    keepalive: int = 0


@dataclass(frozen=True, slots=True)
class RemovePeer:
    public_key: str


PeerStep = SetPeer | RemovePeer


@dataclass(frozen=True, slots=True)
class SetMtu:
    mtu: int


@dataclass(frozen=True, slots=True)
class SetUp:
    up: bool


@dataclass(frozen=True, slots=True)
class AddAddress:
    address: Interface


@dataclass(frozen=True, slots=True)
class RemoveAddress:
    address: Interface


@dataclass(frozen=True, slots=True)
class AddRoute:
    route: RouteEntry


@dataclass(frozen=True, slots=True)
class RemoveRoute:
    route: RouteEntry


LinkStep = SetMtu | SetUp | AddAddress | RemoveAddress | AddRoute | RemoveRoute


def plan_peers(desired: Mapping[str, Peer], observed: Mapping[str, Peer]) -> tuple[PeerStep, ...]:
    """Steps for one WireGuard interface. Raises ValueError when two desired peers claim the same allowed IP."""
    _refuse_shared_allowed_ips(desired)
    changed = [
        SetPeer(key, peer.allowed_ips, peer.endpoint, peer.keepalive)
        for key, peer in sorted(desired.items())
        if not _satisfied(peer, observed.get(key))
    ]
    return (*changed, *(RemovePeer(key) for key in sorted(observed.keys() - desired.keys())))


def _satisfied(desired: Peer, observed: Peer | None) -> bool:
    return (
        observed is not None
        and desired.allowed_ips == observed.allowed_ips
        and desired.keepalive == observed.keepalive
        and desired.endpoint in (None, observed.endpoint)
    )


def _refuse_shared_allowed_ips(peers: Mapping[str, Peer]) -> None:
    owner: dict[Network, str] = {}
    for key, peer in peers.items():
        for network in peer.allowed_ips:
            if (other := owner.setdefault(network, key)) != key:
                raise ValueError(f"the WireGuard peers {other} and {key} both claim {network}")


def plan_link(desired: LinkState, observed: LinkState) -> tuple[LinkStep, ...]:
    """Steps for one link. Routes need the link up, and a route's source address needs to exist first."""
    if not desired.up:
        return (SetUp(False),) if observed.up else ()
    steps: list[LinkStep] = []
    if desired.mtu != observed.mtu:
        steps.append(SetMtu(desired.mtu))
    steps += (AddAddress(address) for address in sorted(desired.addresses - observed.addresses, key=str))
    if not observed.up:
        steps.append(SetUp(True))
    # A route replaces the one to the same network, so only networks that are not wanted at all are removed.
    steps += (AddRoute(route) for route in sorted(desired.routes - observed.routes, key=str))
    wanted = {route.network for route in desired.routes}
    stale = (route for route in observed.routes if route.network not in wanted)
    steps += (RemoveRoute(route) for route in sorted(stale, key=str))
    steps += (RemoveAddress(address) for address in sorted(observed.addresses - desired.addresses, key=str))
    return tuple(steps)
