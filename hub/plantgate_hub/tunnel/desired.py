"""What an agent is to be: a pure function of the snapshot and of what this hub is."""

from dataclasses import dataclass, replace
from ipaddress import IPv4Network

from plantgate_shared.protocol.control import DesiredState, PlantSubnet, WebTarget

from ..config import HubConfig
from ..domain.model import Agent
from ..domain.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class HubFacts:
    """What every agent is told about the hub."""

    wireguard_key: str
    udp_endpoint: str
    """`host:port` of pg-agents as gateways dial it."""
    peer_networks: tuple[IPv4Network, ...]
    mtu: int


def hub_facts(config: HubConfig, wireguard_key: str) -> HubFacts:
    host = config.vpn.public_host or config.web.portal_host
    return HubFacts(wireguard_key, f"{host}:{config.vpn.agents_port}", (config.pools.profiles,), config.vpn.mtu)


def desired_state(snapshot: Snapshot, agent: Agent, hub: HubFacts, probe_key: bytes) -> DesiredState:
    """What `agent` is to be, of its own plant and nothing else. In one order, so that equal states are equal."""
    subnets = sorted(snapshot.subnets_of(agent.plant), key=lambda subnet: subnet.number)
    targets = {
        WebTarget(device.address, target.port)
        for device in snapshot.devices_of(agent.plant)
        for target in snapshot.targets_of(device.id)
    }
    return DesiredState(
        revision=snapshot.revision,
        hub_wireguard_key=hub.wireguard_key,
        udp_endpoint=hub.udp_endpoint,
        transit_address=agent.transit_address,
        peer_networks=hub.peer_networks,
        subnets=tuple(PlantSubnet(subnet.number, subnet.network, subnet.transit) for subnet in subnets),
        targets=tuple(sorted(targets, key=lambda target: (target.host, target.port))),
        probe_key=probe_key,
        mtu=hub.mtu,
    )


def same_content(one: DesiredState, other: DesiredState) -> bool:
    """Whether two states differ in nothing but the revision: then the agent need not hear of it."""
    return replace(one, revision=other.revision) == other


def inputs_changed(old: Snapshot, new: Snapshot) -> bool:
    """Whether any agent's state can differ between two snapshots. Unchanged tables are the same object."""
    return (
        old.subnets is not new.subnets
        or old.devices is not new.devices
        or old.targets is not new.targets
        or old.agents is not new.agents
    )
