"""Which networks a gateway stands on: read from `ip -json`, told from what is not a plant network. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError
from typing import Any

from .boundary import objection
from .config import Pools

_PRIVATE = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_CONTAINER_LINKS = re.compile(r"^(lo|pg-.*|docker\d*|br-[0-9a-f]{12}|virbr.*|cni.*|flannel.*|podman\d*|lxc.*)$")
_TUNNEL_KINDS = frozenset({"wireguard", "tun", "ipip", "sit", "gre", "vti", "xfrm", "ppp", "dummy"})
_LONGEST_PREFIX = 30
"""A network for at least two hosts; /31 and /32 are links between routers."""

Document = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Lan:
    """A network that the gateway can reach without the hub."""

    network: IPv4Network
    interface: str
    uplink: bool
    """The gateway's own way to the Internet goes through this interface."""
    routed: bool = False
    """Behind another router, not on the gateway's own wire."""
    proposed: bool = False

    def __str__(self) -> str:
        notes = [f"on {self.interface}"]
        if self.routed:
            notes.append("behind a router")
        if self.uplink:
            notes.append("also the way to the Internet")
        return f"{self.network} ({', '.join(notes)})"


@dataclass(frozen=True, slots=True)
class KernelRoute:
    network: IPv4Network
    interface: str
    gateway: bool
    metric: int = 0


def parse_routes(document: Document) -> tuple[KernelRoute, ...]:
    """The unicast IPv4 routes of `ip -json -4 route show`."""
    routes: list[KernelRoute] = []
    for entry in document:
        if entry.get("type", "unicast") != "unicast":
            continue
        text = "0.0.0.0/0" if entry.get("dst") == "default" else str(entry.get("dst", ""))
        try:
            network = IPv4Network(text)
        except (AddressValueError, NetmaskValueError, ValueError):
            continue
        metric = int(entry.get("metric", 0))
        hops = [hop for hop in entry.get("nexthops") or [entry] if "dev" in hop]
        routes += [KernelRoute(network, hop["dev"], "gateway" in hop, metric) for hop in hops]
    return tuple(routes)


def detect(addresses: Document, routes: Document, pools: Pools) -> tuple[Lan, ...]:
    """The networks of a gateway from `ip -json -details -4 addr show` and `ip -json -4 route show`.

    Proposed are private networks on the gateway's own wires; the one that leads to the Internet only where there is
    no other, as on a gateway with a single network card.
    """
    known = parse_routes(routes)
    uplinks = {route.interface for route in known if route.network.prefixlen == 0}
    usable = {str(link["ifname"]) for link in addresses if _may_be_lan(link)}
    found: dict[IPv4Network, Lan] = {}
    for route in sorted(known, key=lambda r: (r.gateway, r.metric)):
        network = route.network
        if route.interface not in usable or network.prefixlen > _LONGEST_PREFIX or objection(network, pools):
            continue
        found.setdefault(network, Lan(network, route.interface, route.interface in uplinks, route.gateway))
    return _propose(found.values())


def _may_be_lan(link: Mapping[str, Any]) -> bool:
    kind = (link.get("linkinfo") or {}).get("info_kind", "")
    return kind not in _TUNNEL_KINDS and not _CONTAINER_LINKS.match(str(link.get("ifname", "")))


def _propose(lans: Iterable[Lan]) -> tuple[Lan, ...]:
    ordered = sorted(lans, key=lambda lan: (lan.routed, lan.uplink, lan.interface, lan.network))
    wired = [lan for lan in ordered if not lan.routed and _is_private(lan.network)]
    chosen = [lan for lan in wired if not lan.uplink] or wired
    return tuple(Lan(lan.network, lan.interface, lan.uplink, lan.routed, proposed=lan in chosen) for lan in ordered)


def _is_private(network: IPv4Network) -> bool:
    return any(network.subnet_of(private) for private in _PRIVATE)


def interfaces_towards(networks: Iterable[IPv4Network], routes: Iterable[KernelRoute]) -> frozenset[str]:
    """The interfaces through which packets for `networks` may leave; never our own.

    A network may be split over several routes; where none names it whole, the longest one around it counts too. The
    default route counts only if its interface stands on a private network that is no mere link to the Internet, as on
    a gateway with one network card: otherwise an unplugged LAN would send plant traffic to the Internet provider.
    """
    known = [route for route in routes if not route.interface.startswith("pg-")]
    wanted = tuple(networks)
    single = {route.interface for route in known if not route.gateway and _is_private(route.network)}
    others = {route.interface for route in known if not route.gateway and not _is_container(route.interface)}
    usable = [r for r in known if r.network.prefixlen > 0 or (r.interface in single and others == {r.interface})]
    result: set[str] = set()
    for network in wanted:
        result |= _towards(network, usable)
    return frozenset(result)


def _towards(network: IPv4Network, routes: Sequence[KernelRoute]) -> set[str]:
    found = {route.interface for route in routes if route.network.subnet_of(network)}
    if any(route.network == network for route in routes):
        return found
    around = [route for route in routes if network.subnet_of(route.network)]
    longest = max((route.network.prefixlen for route in around), default=0)
    return found | {route.interface for route in around if route.network.prefixlen == longest}


def _is_container(interface: str) -> bool:
    return bool(_CONTAINER_LINKS.match(interface))
