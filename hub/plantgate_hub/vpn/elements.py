"""From domain values to what the kernel holds: set elements, WireGuard peers, and which flows have ended."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, ip_network

from plantgate_shared.netplan import Peer

from ..domain.model import Agent, PlantId, Profile, Route, RouteReason, RouteState, Subnet, SubnetId
from ..domain.routes import transit_of
from .state import NOTHING, ProfileElements

_CARRIED = {
    RouteState.REACHABLE: {RouteReason.NONE},
    # The agent's absence takes no permission away: once it is back, traffic flows without a change here.
    RouteState.NOT_YET_REACHABLE: {RouteReason.NO_GATEWAY, RouteReason.AGENT_OFFLINE, RouteReason.OUTSIDE_BOUNDARY},
    # The plant lost its real range to another one of this person and keeps its aliases.
    RouteState.CONFLICT: {RouteReason.OVERLAP_LOST},
}
"""States and reasons of routes that are authorized; everything else reaches nothing."""


def profile_elements(routes: Iterable[Route], subnets: Mapping[SubnetId, Subnet]) -> ProfileElements:
    """The elements of one profile, from the routes of its person."""
    plants: dict[IPv4Network, IPv4Network] = {}
    allowed: set[int] = set()
    for route in routes:
        subnet = subnets.get(route.subnet)
        if subnet is None or route.reason not in _CARRIED.get(route.state, ()):
            continue
        found = {} if route.state is RouteState.CONFLICT else {p: transit_of(subnet, p) for p in route.prefixes}
        found |= {alias.prefix: transit_of(subnet, alias.network) for alias in route.aliases}
        if found:
            plants |= found
            allowed.add(subnet.number)
    return ProfileElements(plants, frozenset(allowed)) if plants else NOTHING


def user_peers(profiles: Iterable[Profile]) -> dict[str, Peer]:
    """Peers of pg-users: each may send from its own tunnel addresses only."""
    return {
        profile.public_key: Peer(frozenset({ip_network(profile.address), ip_network(profile.address6)}))
        for profile in profiles
    }


def agent_peers(agents: Iterable[Agent], subnets: Iterable[Subnet]) -> dict[str, Peer]:
    """Peers of pg-agents: per plant its one active agent, which stands for the plant's transit prefixes."""
    networks: dict[PlantId, set[IPv4Network]] = {}
    for subnet in subnets:
        networks.setdefault(subnet.plant, set()).add(subnet.transit)
    active: dict[PlantId, Agent] = {}
    for agent in sorted(agents, key=lambda agent: (agent.epoch, agent.id)):
        if agent.active:
            active[agent.plant] = agent  # the highest epoch stays
    return {
        agent.wireguard_key: Peer(frozenset({*networks.get(agent.plant, ()), ip_network(agent.transit_address)}))
        for agent in active.values()
    }


def leads_to(elements: ProfileElements, destination: IPv4Address) -> IPv4Address | None:
    """The transit address that a packet of this profile to `destination` is sent to now, if any."""
    for prefix, transit in elements.plants.items():
        if destination in prefix:
            return transit[int(destination) - int(prefix.network_address)]
    return None
