"""The topologies, each declared in a few lines.

A node has network cards on named Ethernet segments. A segment with two members is a cable, one that a node bridges
runs through that bridge, any other gets a switch of its own. See docs/lab.md for how to declare a new one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface

from . import rulesets

HUB_ADDRESS = "198.51.100.10"
PLANT_SUBNET = "192.168.1.0/24"
ALL_SERVICES = ("web", "modbus", "ssh", "snmp", "stream")


@dataclass(frozen=True, slots=True)
class Nic:
    """A network card: its name on the node, its segment, its address (`192.168.1.2/24`, empty: none)."""

    name: str
    segment: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A host to be made. `gateway` is its default route; `ruleset` is given to nft before it is connected."""

    name: str
    nics: tuple[Nic, ...] = ()
    gateway: str = ""
    bridges: tuple[Nic, ...] = ()
    routes: tuple[str, ...] = ()
    forwards: bool = False
    ruleset: str = ""

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(nic.address.partition("/")[0] for nic in (*self.nics, *self.bridges) if nic.address)


@dataclass(frozen=True, slots=True)
class Device:
    """Real servers on one node, which say the plant's and the device's name."""

    name: str
    plant: str
    node: str
    address: str
    services: tuple[str, ...]
    inside: bool = True
    """Whether it lies within the plant's subnets (and so within the agent's boundary)."""


@dataclass(frozen=True, slots=True)
class Plant:
    """A plant: the node that runs the edge agent and what that may reach."""

    name: str
    gateway: str
    lan: str
    """The gateway's network card on the plant's network."""
    subnets: tuple[str, ...]
    router: str = ""
    udp: bool = True
    """Whether UDP gets out of the plant."""


@dataclass(frozen=True, slots=True)
class Topology:
    name: str
    nodes: tuple[Node, ...]
    plants: tuple[Plant, ...] = ()
    devices: tuple[Device, ...] = ()
    hub: str = "hub"
    technicians: tuple[str, ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    """Host names for every node's /etc/hosts, besides those of the nodes with public addresses."""

    def complete(self) -> "Topology":
        """With a node for each device that has none, and a switch for each segment that needs one."""
        have = {node.name for node in self.nodes}
        nodes = list(self.nodes)
        nodes += [_device_node(device, self) for device in self.devices if device.node not in have]
        bridged = {bridge.segment for node in nodes for bridge in node.bridges}
        for segment in dict.fromkeys(nic.segment for node in nodes for nic in node.nics):
            members = sum(nic.segment == segment for node in nodes for nic in node.nics)
            if segment not in bridged and members != 2:
                nodes.append(Node(f"switch-{segment}", bridges=(Nic("br0", segment),)))
        return replace(self, nodes=tuple(nodes))


def nics(*lines: str) -> tuple[Nic, ...]:
    """Network cards, each as `NAME SEGMENT [ADDRESS/LENGTH]`."""
    return tuple(Nic(*line.split()) for line in lines)


def devices(plant: str, *lines: str, inside: bool = True) -> tuple[Device, ...]:
    """Devices of a plant, each as `NAME ADDRESS SERVICE...`; the node of one is called `PLANT-NAME`."""
    made = []
    for line in lines:
        name, address, *services = line.split()
        made.append(Device(name, plant, f"{plant}-{name}", address, tuple(services), inside))
    return tuple(made)


def _device_node(device: Device, topology: Topology) -> Node:
    """A device on the segment that its address belongs to at its own plant; no route to anywhere else."""
    plant = next(plant for plant in topology.plants if plant.name == device.plant)
    own = [node for node in topology.nodes if node.name in (plant.gateway, plant.router)]
    for nic in (nic for node in own for nic in (*node.nics, *node.bridges) if nic.address):
        network = IPv4Interface(nic.address).network
        if IPv4Interface(f"{device.address}/32").ip in network:
            return Node(device.node, nics(f"eth0 {nic.segment} {device.address}/{network.prefixlen}"))
    raise ValueError(f"no segment of plant {plant.name} has the address {device.address} of {device.name}")


def _main() -> Topology:
    """Two plants on the same addresses, one behind a UDP-blocking firewall; a technician behind NAT, one without."""
    every = " ".join(ALL_SERVICES)
    nodes = (
        Node(
            "internet",
            nics("eth0 datacentre 198.51.100.1/24"),
            bridges=nics("access public 203.0.113.1/24"),
            forwards=True,
        ),
        Node("hub", nics(f"eth0 datacentre {HUB_ADDRESS}/24"), gateway="198.51.100.1"),
        # technicians
        Node(
            "home-router",
            nics("wan0 public 203.0.113.20/24", "lan0 home 192.168.178.1/24"),
            gateway="203.0.113.1",
            forwards=True,
            ruleset=rulesets.home_router("wan0"),
        ),
        Node("tech", nics("eth0 home 192.168.178.10/24"), gateway="192.168.178.1"),
        Node("tech2", nics("eth0 public 203.0.113.30/24"), gateway="203.0.113.1"),
        # plant north: its gateway has a card towards the internet and one towards the devices
        Node(
            "north-router",
            nics("wan0 public 203.0.113.40/24", "lan0 north-uplink 10.40.0.1/24"),
            gateway="203.0.113.1",
            forwards=True,
            ruleset=rulesets.home_router("wan0"),
        ),
        Node(
            "north-gateway",
            nics("wan0 north-uplink 10.40.0.2/24", "lan0 north-lan 192.168.1.2/24"),
            gateway="10.40.0.1",
        ),
        # plant south: one card for everything, containers on the gateway, TCP 443 outward and nothing else
        Node(
            "south-router",
            nics("wan0 public 203.0.113.50/24", "lan1 south-annex 192.168.50.1/24"),
            gateway="203.0.113.1",
            bridges=nics("lan0 south-lan 192.168.1.1/24"),
            forwards=True,
            ruleset=rulesets.strict_router("wan0") + rulesets.UDP_BLOCK,
        ),
        Node(
            "south-gateway",
            nics("eth0 south-lan 192.168.1.2/24"),
            gateway="192.168.1.1",
            bridges=nics("ctr0 south-containers 172.20.0.1/24"),
            forwards=True,
            ruleset=rulesets.container_host("ctr0", "172.20.0.0/24", published=8080, container="172.20.0.2", port=80),
        ),
        Node("south-container", nics("eth0 south-containers 172.20.0.2/24"), gateway="172.20.0.1"),
        Node("south-outside", nics("eth0 south-annex 192.168.50.10/24"), gateway="192.168.50.1"),
    )
    plants = (
        Plant("north", "north-gateway", "lan0", (PLANT_SUBNET,), router="north-router"),
        Plant("south", "south-gateway", "eth0", (PLANT_SUBNET,), router="south-router", udp=False),
    )
    return Topology(
        "main",
        nodes,
        plants,
        (
            *devices("north", f"inverter 192.168.1.10 {every}", "meter 192.168.1.20 web modbus"),
            *devices("south", f"inverter 192.168.1.10 {every}", "meter 192.168.1.20 web modbus"),
            *devices("south", "outside 192.168.50.10 web", "container 172.20.0.2 web", inside=False),
        ),
        technicians=("tech", "tech2"),
        names={"portal.localhost": HUB_ADDRESS},
    )


def _bare() -> Topology:
    """Technician, hub, gateway, device in a line with plain cables: for benchmarks."""
    nodes = (
        Node("tech", nics("eth0 left 198.51.100.20/24"), gateway=HUB_ADDRESS),
        Node("hub", nics(f"eth0 left {HUB_ADDRESS}/24", "eth1 right 203.0.113.10/24")),
        Node("gateway", nics("wan0 right 203.0.113.40/24", "lan0 lan 192.168.1.2/24"), gateway="203.0.113.10"),
    )
    return Topology(
        "bare",
        nodes,
        (Plant("plant", "gateway", "lan0", (PLANT_SUBNET,)),),
        (Device("device", "plant", "device", "192.168.1.10", ("web",)),),
        technicians=("tech",),
        names={"portal.localhost": HUB_ADDRESS},
    )


TOPOLOGIES: dict[str, Topology] = {topology.name: topology for topology in (_main(), _bare())}


def known() -> Iterable[str]:
    return sorted(TOPOLOGIES)
