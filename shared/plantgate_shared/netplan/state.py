"""Network state as values: WireGuard peers, and a link's addresses and routes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

Network = IPv4Network | IPv6Network
Interface = IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True)
class Peer:
    """One WireGuard peer. Desired and observed peers are equal when there is nothing to do."""

    allowed_ips: frozenset[Network] = frozenset()
    endpoint: str | None = None
    """`address:port` as `wg` prints it (`[v6]:port`). Desired None: keep what is there, peers roam."""
    keepalive: int = 0
    """Seconds between persistent keepalives, 0 is off."""
    latest_handshake: int = field(default=0, compare=False)
    """Unix time of the last handshake, 0 for never. Observed only, as are the byte counters."""
    rx: int = field(default=0, compare=False)
    tx: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class WireGuardState:
    """An interface as `wg show NAME dump` reports it."""

    public_key: str
    """Base64; empty while no private key is set."""
    port: int
    peers: Mapping[str, Peer]
    """By base64 public key."""


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """A route of ours (route protocol 202) through a link."""

    network: Network
    source: IPv4Address | IPv6Address | None = None
    """Preferred source address for packets of this host."""


@dataclass(frozen=True, slots=True)
class LinkState:
    """What we set on one of our links. Link-local addresses and routes of others are not part of it."""

    up: bool = False
    mtu: int = 0
    addresses: frozenset[Interface] = frozenset()
    routes: frozenset[RouteEntry] = frozenset()
