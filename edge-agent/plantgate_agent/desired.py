"""From the hub's desired state to the gateway's: what of it the boundary and the pools let through. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from plantgate_shared.errors import InvalidInput
from plantgate_shared.protocol.control import DesiredState

from .boundary import Boundary, Refused, effective
from .config import Pools
from .lans import KernelRoute, interfaces_towards
from .netstate import Desired
from .rules import Mapping, Rules
from .targets import Target, approved, is_never

SMALLEST_MTU, LARGEST_MTU = 576, 9000


@dataclass(frozen=True, slots=True)
class Site:
    """What the gateway itself brings in."""

    boundary: Boundary
    pools: Pools
    routes: tuple[KernelRoute, ...]
    hub: frozenset[IPv4Address]
    wireguard_port: int
    public_key: str
    worker_uid: int | None


@dataclass(frozen=True, slots=True)
class Decision:
    network: Desired
    targets: frozenset[Target]
    refused: tuple[Refused, ...]
    warnings: tuple[str, ...]


def decide(state: DesiredState, site: Site) -> Decision:
    """What the gateway does of what the hub asks.

    A subnet outside the boundary is left out. A state that would turn the gateway's own traffic into the tunnel, or
    that contradicts itself, is refused whole. Raises InvalidInput.
    """
    transit_address = _within(IPv4Network(state.transit_address), site.pools.transit, "its transit address")
    peers = tuple(_within(n, site.pools.profiles, "a peer network") for n in state.peer_networks)
    if not peers:
        raise InvalidInput("the hub names no peer networks", hint="update the hub")
    if not SMALLEST_MTU <= state.mtu <= LARGEST_MTU:
        raise InvalidInput(f"the hub asks for an MTU of {state.mtu}", hint="correct the hub's configuration")
    mappings = _mappings(state, site.pools)
    verdict = effective(site.boundary, [mapping.network for mapping in mappings], site.pools)
    accepted = tuple(mapping for mapping in mappings if mapping.network in verdict.accepted)
    reachable = Boundary.of(verdict.accepted)
    targets = approved(((target.host, target.port) for target in state.targets), reachable)
    lans = interfaces_towards((mapping.network for mapping in accepted), site.routes)
    rules = Rules(
        transit_address=transit_address.network_address,
        peers=peers,
        subnets=accepted,
        lans=lans,
        targets=targets,
        hub=site.hub,
        wireguard_port=site.wireguard_port,
        worker_uid=site.worker_uid,
    )
    network = Desired(rules, site.public_key, state.hub_wireguard_key, state.mtu)
    return Decision(network, targets, verdict.refused, tuple(_without_route(verdict.accepted, site.routes)))


def check_endpoint(
    address: IPv4Address, boundary: Boundary, routes: Sequence[KernelRoute], hub: frozenset[IPv4Address]
) -> IPv4Address:
    """The hub's UDP endpoint, unless it lies on the plant's side: whatever the hub says, its datagrams go there.

    Where the tunnel itself leads (`hub`) is no secret way into the plant. Raises InvalidInput.
    """
    lans = interfaces_towards(boundary.networks, routes)
    near = (route.network for route in routes if route.interface in lans and route.network.prefixlen > 0)
    inside = boundary.contains(address) or any(address in network for network in near)
    if address not in hub and (is_never(address) or inside):
        raise InvalidInput(
            f"the hub's UDP endpoint {address} lies on the plant's side", hint="correct the hub's vpn.public_host"
        )
    return address


def _within(network: IPv4Network, pool: IPv4Network, what: str) -> IPv4Network:
    if not network.subnet_of(pool):
        raise InvalidInput(
            f"the hub asks for {network} as {what}, which is outside the pool {pool}",
            hint="make pools in the agent's configuration the same as the hub's",
        )
    return network


def _mappings(state: DesiredState, pools: Pools) -> tuple[Mapping, ...]:
    found: list[Mapping] = []
    for subnet in state.subnets:
        network, transit = subnet.network, subnet.transit
        _within(transit, pools.transit, "a transit prefix")
        if transit.prefixlen != network.prefixlen:
            raise InvalidInput(f"the hub's transit prefix {transit} has another length than {network}")
        if any(transit.overlaps(other.transit) for other in found):
            raise InvalidInput(f"the hub's transit prefix {transit} overlaps another one")
        found.append(Mapping(transit, network))
    return tuple(found)


def _without_route(networks: Sequence[IPv4Network], routes: Iterable[KernelRoute]) -> Iterable[str]:
    known = tuple(routes)
    for network in networks:
        if not interfaces_towards((network,), known):
            yield f"the gateway has no route to {network} but its way to the Internet; give it an address or a route"
