"""Values that the tests of the agent's data plane share."""

from ipaddress import IPv4Address, IPv4Network

from plantgate_agent.boundary import Boundary
from plantgate_agent.config import Pools
from plantgate_agent.desired import Site
from plantgate_agent.lans import KernelRoute
from plantgate_agent.rules import Mapping, Rules
from plantgate_shared.protocol.control import DesiredState, PlantSubnet, WebTarget

LAN, TRANSIT = IPv4Network("192.168.1.0/24"), IPv4Network("240.16.0.0/24")
DEVICE = IPv4Address("192.168.1.10")
HUB = IPv4Address("198.51.100.10")
PEER = "A" * 43 + "="

RULES = Rules(
    transit_address=IPv4Address("240.0.0.5"),
    peers=(IPv4Network("100.64.0.0/10"),),
    subnets=(Mapping(TRANSIT, LAN),),
    lans=frozenset({"lan0"}),
    targets=frozenset({(DEVICE, 80)}),
    hub=frozenset({HUB}),
    worker_uid=990,
)

SITE = Site(
    boundary=Boundary((LAN,)),
    pools=Pools(),
    routes=(KernelRoute(LAN, "lan0", gateway=False), KernelRoute(IPv4Network("0.0.0.0/0"), "wan0", gateway=True)),
    hub=frozenset({HUB}),
    wireguard_port=51822,
    public_key="B" * 43 + "=",
    worker_uid=990,
)


def desired_state(**changes: object) -> DesiredState:
    fields: dict[str, object] = {
        "revision": 1,
        "hub_wireguard_key": PEER,
        "udp_endpoint": "198.51.100.10:51821",
        "transit_address": IPv4Address("240.0.0.5"),
        "peer_networks": (IPv4Network("100.64.0.0/10"),),
        "subnets": (PlantSubnet(1, LAN, TRANSIT),),
        "targets": (WebTarget(DEVICE, 80),),
        "probe_key": b"k" * 32,
        "mtu": 1380,
    }
    return DesiredState(**{**fields, **changes})  # type: ignore[arg-type]
