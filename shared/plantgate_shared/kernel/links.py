"""Links through iproute2: addresses, routes of ours, up and down, MTU; and sysctls through /proc/sys."""

import asyncio
import json
import socket
from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Any

from ..errors import KernelError
from ..netplan import (
    AddAddress,
    AddRoute,
    LinkState,
    LinkStep,
    RemoveAddress,
    RemoveRoute,
    RouteEntry,
    SetMtu,
    SetUp,
)
from .commands import NO_RIGHTS, run

ROUTE_PROTOCOL = 202
"""Marks routes as ours, so that nobody else's are ever touched; linux/rtnetlink.h gives it to no routing daemon."""


def link_exists(name: str) -> bool:
    """Whether this network namespace has the link (/sys would show the namespace it was mounted in)."""
    try:
        return socket.if_nametoindex(name) > 0
    except OSError:
        return False


async def link_kind(name: str) -> str:
    """`wireguard`, `tun`, `veth`, …; empty for hardware."""
    links = await _ip_json("-details", "link", "show", "dev", name, operation=f"read the kind of the link {name}")
    kind = links[0].get("linkinfo", {}).get("info_kind", "") if links else ""
    return str(kind)


async def observe(name: str) -> LinkState:
    """The link as it is; a link that does not exist is down and has nothing. Raises KernelError."""
    return (await observe_all(name)).get(name, LinkState())


async def observe_all(name: str | None = None) -> Mapping[str, LinkState]:
    """Every link of this namespace (or the one named) by name, with our routes only."""
    if name is not None and not link_exists(name):
        return {}
    device = ["dev", name] if name else []
    links = await _ip_json("address", "show", *device, operation="read the addresses of the links")
    routes = await _routes(device)
    return {link["ifname"]: _link_state(link, routes) for link in links if "ifname" in link}


async def apply(name: str, steps: Iterable[LinkStep]) -> None:
    """Apply the steps to the link in their order, as one batch. Raises KernelError."""
    commands = [_command(name, step) for step in steps]
    if commands:
        batch = "\n".join(commands) + "\n"
        await run("ip", "-batch", "-", operation=f"set addresses and routes of {name}", stdin=batch.encode())


def read_sysctl(key: str) -> str:
    """The value of a sysctl such as `net/ipv4/conf/pg-users/forwarding` in this network namespace."""
    try:
        return (Path("/proc/sys") / key).read_text().strip()
    except OSError as error:
        raise KernelError(f"cannot read the sysctl {key}: {error.strerror}") from None


def write_sysctl(key: str, value: str) -> bool:
    """Set a sysctl unless it has the value already; whether it was changed. Raises KernelError."""
    try:
        path = Path("/proc/sys") / key
        if path.read_text().strip() == value:
            return False
        path.write_text(value)
    except OSError as error:
        hint = NO_RIGHTS if isinstance(error, PermissionError) or error.errno == 30 else ""
        raise KernelError(f"cannot set the sysctl {key} to {value}: {error.strerror}", hint=hint) from None
    return True


async def _routes(device: list[str]) -> list[dict[str, Any]]:
    found = await asyncio.gather(
        *(
            _ip_json(family, "route", "show", *device, "proto", str(ROUTE_PROTOCOL), operation="read our routes")
            for family in ("-4", "-6")
        )
    )
    routes = [route for family in found for route in family]
    for route in routes:  # `ip route show dev X` leaves the device out of its answer
        route.setdefault("dev", device[1] if device else "")
    return routes


async def _ip_json(*arguments: str, operation: str) -> list[dict[str, Any]]:
    output = await run("ip", "-json", *arguments, operation=operation)
    document = json.loads(output) if output.strip() else []
    return list(document)


def _link_state(link: Mapping[str, Any], routes: Iterable[Mapping[str, Any]]) -> LinkState:
    name = link["ifname"]
    return LinkState(
        up="UP" in link.get("flags", ()),
        mtu=int(link.get("mtu", 0)),
        addresses=frozenset(
            ip_interface(f"{address['local']}/{address['prefixlen']}")
            for address in link.get("addr_info", ())
            if address.get("scope") != "link" and "local" in address
        ),
        routes=frozenset(_route_entry(route) for route in routes if route["dev"] == name),
    )


def _route_entry(route: Mapping[str, Any]) -> RouteEntry:
    destination = route["dst"]
    if destination == "default":
        destination = "::/0" if ":" in route.get("prefsrc", route.get("gateway", "")) else "0.0.0.0/0"
    return RouteEntry(ip_network(destination), ip_address(route["prefsrc"]) if "prefsrc" in route else None)


def _command(name: str, step: LinkStep) -> str:
    match step:
        case SetMtu(mtu):
            return f"link set dev {name} mtu {mtu}"
        case SetUp(up):
            return f"link set dev {name} {'up' if up else 'down'}"
        case AddAddress(address):
            # An IPv6 address would be 'tentative' for a second while nobody can answer on a tunnel.
            return f"address replace {address} dev {name}" + (" nodad" if address.version == 6 else "")
        case RemoveAddress(address):
            return f"address delete {address} dev {name}"
        case AddRoute(route):
            source = f" src {route.source}" if route.source else ""
            return f"route replace {route.network} dev {name} proto {ROUTE_PROTOCOL}{source}"
        case RemoveRoute(route):
            return f"route delete {route.network} dev {name} proto {ROUTE_PROTOCOL}"
