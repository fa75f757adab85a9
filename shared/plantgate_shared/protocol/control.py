"""Control messages: typed values <-> the map inside a CONTROL frame.

    hub -> agent    DesiredState      what the agent is to be, whole; a higher revision replaces a lower one
    agent -> hub    AgentStatus       what it has become of it, whole
    hub -> agent    LookForDevice     whether a device answers on the plant's network
    agent -> hub    DeviceLookedFor   what came of that

A map has the key `type`; the others are the fields' names. `parse` is strict about what it knows (a missing or wrong
field is a BadControl that names it and shows the value) and **tolerates unknown keys**: that is how a newer hub adds a
field without breaking older agents, and the other way round. A field that a peer may lack has a default here. A message
of an unknown type is a BadControl too, told apart by `UnknownControl`, so that its receiver can skip it.
"""

import dataclasses
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from typing import Any, TypeVar

from .errors import BadControl

KEY_BYTES = 32
"""Length of a WireGuard key (RFC 7748 X25519)."""

MAX_TEXT = 2048
"""Characters of an error text in a status; the rest of a longer one is cut by its sender."""


_Choice = TypeVar("_Choice", bound=StrEnum)


class UnknownControl(BadControl):
    """A control message of a type that this version does not know."""


class TunnelPath(StrEnum):
    """Which way WireGuard's datagrams go between agent and hub."""

    UDP = "udp"
    WEBSOCKET = "websocket"


@dataclass(frozen=True, slots=True)
class PlantSubnet:
    """One subnet of the plant, and the prefix that stands for it between hub and agent."""

    number: int
    network: IPv4Network
    transit: IPv4Network
    """As long as `network`."""


@dataclass(frozen=True, slots=True)
class WebTarget:
    """One address and port that the agent may dial for the Browser Proxy."""

    host: IPv4Address
    port: int


@dataclass(frozen=True, slots=True)
class DesiredState:
    revision: int
    """The store's revision that it follows from."""
    hub_wireguard_key: str
    """Public key of the hub's agent interface, base64."""
    udp_endpoint: str
    """`host:port` of the hub's agent interface."""
    transit_address: IPv4Address
    """The agent's own address inside the tunnel."""
    peer_networks: tuple[IPv4Network, ...]
    """Where packets from people may come from: the profile pool."""
    subnets: tuple[PlantSubnet, ...]
    targets: tuple[WebTarget, ...]
    probe_key: bytes = field(repr=False)
    """Secret of the UDP path probe."""
    mtu: int


@dataclass(frozen=True, slots=True)
class AgentStatus:
    revision_applied: int
    """Revision of the last DesiredState that is in force; 0 before the first."""
    path: TunnelPath
    boundary: tuple[IPv4Network, ...]
    """The installer's boundary file."""
    refused: tuple[IPv4Network, ...]
    """Subnets of the desired state that lie outside the boundary."""
    error: str = ""
    """Why the desired state is not in force, for a person to read; empty when it is."""
    version: str = ""
    handshake_age: float | None = None
    """Seconds since WireGuard's last handshake; None before the first."""


class Presence(StrEnum):
    """Whether a device is there, as its network's own address resolution (ARP, RFC 826) tells."""

    ANSWERS = "answers"
    SILENT = "silent"
    """Nobody on that network has the address: the device is off, unplugged or has another one."""
    OUTSIDE = "outside"
    """Not within what this agent lets through."""
    UNKNOWN = "unknown"
    """It cannot be told from here, see the detail."""


@dataclass(frozen=True, slots=True)
class LookForDevice:
    number: int
    """Comes back in the answer."""
    address: IPv4Address


@dataclass(frozen=True, slots=True)
class DeviceLookedFor:
    number: int
    presence: Presence
    detail: str = ""
    """For a person: the hardware address that answered, or why it cannot be told."""


ControlMessage = DesiredState | AgentStatus | LookForDevice | DeviceLookedFor


def to_map(message: ControlMessage) -> dict[str, Any]:
    """The map to send."""
    return {"type": _NAMES[type(message)], **_plain_fields(message)}


def parse(message: Mapping[str, Any]) -> ControlMessage:
    """The typed message in a received map. Raises BadControl."""
    name = message.get("type")
    parser = _PARSERS.get(name) if isinstance(name, str) else None
    if parser is None:
        raise UnknownControl(f"there is no control message of type {_show(name)}", hint="the peer may be newer")
    return parser(_Fields(str(name), message))


def _plain_fields(value: Any) -> dict[str, Any]:
    return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return _plain_fields(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, StrEnum | IPv4Address | IPv4Network):
        return str(value)
    return value


class _Fields:
    """Takes typed values out of a map; every error names the field by its full path."""

    def __init__(self, where: str, values: Mapping[str, Any]) -> None:
        self.where = where
        self._values = values

    def _get(self, name: str) -> Any:
        if name not in self._values:
            raise BadControl(f"{self.where} lacks the field {name}")
        return self._values[name]

    def _wrong(self, name: str, expected: str) -> BadControl:
        return BadControl(f"{self.where}.{name} must be {expected}, not {_show(self._values.get(name))}")

    def has(self, name: str) -> bool:
        return name in self._values

    def number(self, name: str, low: int, high: int) -> int:
        value = self._get(name)
        if type(value) is not int or not low <= value <= high:
            raise self._wrong(name, f"a whole number from {low} to {high}")
        return value

    def seconds(self, name: str) -> float | None:
        value = self._get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise self._wrong(name, "a number of seconds or nothing")
        return float(value)

    def text(self, name: str, limit: int = MAX_TEXT) -> str:
        value = self._get(name)
        if type(value) is not str or len(value) > limit:
            raise self._wrong(name, f"text of at most {limit} characters")
        return value

    def secret(self, name: str) -> bytes:
        value = self._get(name)
        if type(value) is not bytes or not value:
            raise BadControl(f"{self.where}.{name} must be bytes")  # its value belongs in no log
        return value

    def wireguard_key(self, name: str) -> str:
        value = self.text(name)
        try:
            size = len(b64decode(value, validate=True))
        except ValueError:
            size = 0
        if size != KEY_BYTES:
            raise self._wrong(name, f"{KEY_BYTES} bytes in base64")
        return value

    def endpoint(self, name: str) -> str:
        value = self.text(name)
        host, separator, port = value.rpartition(":")
        if not host or not separator or not port.isascii() or not port.isdigit() or not 0 < int(port[:6]) < 2**16:
            raise self._wrong(name, "host:port")
        return value

    def address(self, name: str) -> IPv4Address:
        try:
            return IPv4Address(self.text(name))
        except ValueError:
            raise self._wrong(name, "an IPv4 address") from None

    def network(self, name: str) -> IPv4Network:
        try:
            return IPv4Network(self.text(name))
        except ValueError:
            raise self._wrong(name, "an IPv4 network") from None

    def one_of(self, name: str, values: type[_Choice]) -> _Choice:
        try:
            return values(self.text(name))
        except ValueError:
            raise self._wrong(name, f"one of {', '.join(values)}") from None

    def items(self, name: str) -> "list[_Fields]":
        """A list of maps."""
        fields = []
        for number, item in enumerate(self._list(name)):
            if not isinstance(item, Mapping):
                raise BadControl(f"{self.where}.{name}[{number}] must be a map, not {_show(item)}")
            fields.append(_Fields(f"{self.where}.{name}[{number}]", item))
        return fields

    def networks(self, name: str) -> tuple[IPv4Network, ...]:
        values = {f"{name}[{number}]": item for number, item in enumerate(self._list(name))}
        inner = _Fields(self.where, values)
        return tuple(inner.network(key) for key in values)

    def _list(self, name: str) -> list[Any] | tuple[Any, ...]:
        value = self._get(name)
        if not isinstance(value, list | tuple):
            raise self._wrong(name, "a list")
        return value


def _desired_state(fields: _Fields) -> DesiredState:
    return DesiredState(
        revision=fields.number("revision", 0, 2**63 - 1),
        hub_wireguard_key=fields.wireguard_key("hub_wireguard_key"),
        udp_endpoint=fields.endpoint("udp_endpoint"),
        transit_address=fields.address("transit_address"),
        peer_networks=fields.networks("peer_networks"),
        subnets=tuple(_subnet(item) for item in fields.items("subnets")),
        targets=tuple(
            WebTarget(item.address("host"), item.number("port", 1, 2**16 - 1)) for item in fields.items("targets")
        ),
        probe_key=fields.secret("probe_key"),
        mtu=fields.number("mtu", 576, 2**16 - 1),
    )


def _subnet(fields: _Fields) -> PlantSubnet:
    subnet = PlantSubnet(fields.number("number", 0, 2**32 - 1), fields.network("network"), fields.network("transit"))
    if subnet.network.prefixlen != subnet.transit.prefixlen:
        raise BadControl(f"{fields.where}: {subnet.transit} cannot stand for {subnet.network}: they differ in length")
    return subnet


def _agent_status(fields: _Fields) -> AgentStatus:
    return AgentStatus(
        revision_applied=fields.number("revision_applied", 0, 2**63 - 1),
        path=fields.one_of("path", TunnelPath),
        boundary=fields.networks("boundary"),
        refused=fields.networks("refused"),
        error=fields.text("error") if fields.has("error") else "",
        version=fields.text("version", 64) if fields.has("version") else "",
        handshake_age=fields.seconds("handshake_age") if fields.has("handshake_age") else None,
    )


def _look_for_device(fields: _Fields) -> LookForDevice:
    return LookForDevice(fields.number("number", 0, 2**32 - 1), fields.address("address"))


def _device_looked_for(fields: _Fields) -> DeviceLookedFor:
    return DeviceLookedFor(
        fields.number("number", 0, 2**32 - 1), fields.one_of("presence", Presence), fields.text("detail")
    )


def _show(value: object) -> str:
    if value is None:
        return "nothing"
    text = repr(value) if isinstance(value, int | float | str) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


_NAMES: dict[type, str] = {
    DesiredState: "desired_state",
    AgentStatus: "agent_status",
    LookForDevice: "look_for_device",
    DeviceLookedFor: "device_looked_for",
}

_PARSERS: dict[str, Callable[[_Fields], ControlMessage]] = {
    "desired_state": _desired_state,
    "agent_status": _agent_status,
    "look_for_device": _look_for_device,
    "device_looked_for": _device_looked_for,
}
