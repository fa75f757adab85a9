"""The local boundary: what the installer allows through this gateway. The hub can narrow it, never widen it.

All of it is pure but `read` and `write`. A boundary is a set of networks; what the hub asks for is accepted only where
it lies wholly inside, so that nothing is reachable that a person did not write into the file on the gateway.
"""

import contextlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, collapse_addresses
from pathlib import Path

from plantgate_shared.config import parse_network
from plantgate_shared.errors import ConfigError

from .config import Pools

SHORTEST_PREFIX = 8
"""A plant network wider than the widest private range is a mistake, or a default route in disguise."""

_FORBIDDEN = (
    (IPv4Network("127.0.0.0/8"), "it is the gateway's own loopback"),
    (IPv4Network("169.254.0.0/16"), "it is link-local"),
    (IPv4Network("224.0.0.0/4"), "it is multicast"),
    (IPv4Network("0.0.0.0/8"), "it is no network of hosts"),
    (IPv4Network("255.255.255.255/32"), "it is the broadcast address"),
)

HEADER = """\
# Networks that may be reached through this gateway, and nothing else, whatever the hub asks for.
# Changes are read within half a minute.
"""


@dataclass(frozen=True, slots=True)
class Refused:
    """A network that was asked for and is not let through, with the reason as a sentence's end."""

    network: IPv4Network
    reason: str

    def __str__(self) -> str:
        return f"{self.network}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Effective:
    accepted: tuple[IPv4Network, ...]
    refused: tuple[Refused, ...]


@dataclass(frozen=True, slots=True)
class Boundary:
    """Disjoint networks in order. The empty boundary lets nothing through."""

    networks: tuple[IPv4Network, ...] = ()

    @classmethod
    def of(cls, networks: Iterable[IPv4Network]) -> "Boundary":
        return cls(tuple(collapse_addresses(networks)))

    def covers(self, network: IPv4Network) -> bool:
        return any(network.subnet_of(allowed) for allowed in self.networks)

    def contains(self, address: IPv4Address) -> bool:
        return any(address in allowed for allowed in self.networks)


def objection(network: IPv4Network, pools: Pools) -> str | None:
    """Why a network can be no plant network at all; None if it can."""
    if network.prefixlen == 0:
        return "it is the default route"
    if network.prefixlen < SHORTEST_PREFIX:
        return f"it is wider than /{SHORTEST_PREFIX}"
    for forbidden, reason in _FORBIDDEN:
        if network.overlaps(forbidden):
            return reason
    for name, pool in pools.named():
        if network.overlaps(pool):
            return f"it overlaps the hub's pool {name} ({pool})"
    return None


def effective(boundary: Boundary, desired: Sequence[IPv4Network], pools: Pools) -> Effective:
    """What of `desired` passes the boundary, in the order given and each once, and why the rest does not."""
    accepted: list[IPv4Network] = []
    refused: list[Refused] = []
    for network in dict.fromkeys(desired):
        reason = objection(network, pools) or _outside(boundary, network)
        if reason is None:
            accepted.append(network)
        else:
            refused.append(Refused(network, reason))
    return Effective(tuple(accepted), tuple(refused))


def _outside(boundary: Boundary, network: IPv4Network) -> str | None:
    if boundary.covers(network):
        return None
    if not boundary.networks:
        return "the gateway's boundary is empty"
    if any(network.overlaps(allowed) for allowed in boundary.networks):
        return "it lies only partly inside the gateway's boundary"
    return "it lies outside the gateway's boundary"


def parse(document: object, source: str, pools: Pools) -> Boundary:
    """The boundary of a YAML document. Raises ConfigError that names entry, cause and remedy."""
    if document is None:
        document = []
    if not isinstance(document, list):
        raise ConfigError(f"{source} must be a list of networks", hint="one line each, like: - 192.168.1.0/24")
    networks = []
    for position, entry in enumerate(document, start=1):
        where = f"{source}: entry {position}"
        if not isinstance(entry, str):
            raise ConfigError(f"{where} must be a network, not {entry!r}", hint="write it like 192.168.1.0/24")
        network = parse_network(entry, IPv4Network, where)
        reason = objection(network, pools)
        if reason:
            raise ConfigError(f"{where}: {entry} cannot be reached through a gateway: {reason}", hint="remove it")
        networks.append(network)
    return Boundary.of(networks)


def read(path: Path, pools: Pools) -> Boundary:
    """The boundary in the file. Raises ConfigError, also when there is none: then nothing may pass."""
    import yaml  # here, because the worker has another process read the file and must stay small

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"there is no boundary file {path}, so nothing is reachable through this gateway",
            hint="list the plant's networks in it, like: - 192.168.1.0/24",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the boundary file {path}: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path} is not valid YAML{place}", hint="one line each, like: - 192.168.1.0/24") from None
    return parse(document, str(path), pools)


def check_writable(path: Path) -> None:
    """Make the file's folder where it is missing. Raises ConfigError where `write` would fail."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ConfigError(f"cannot write the boundary file {path}", hint="run as root, or change boundary_file")


def write(path: Path, boundary: Boundary) -> None:
    """Write the file whole or not at all; readable for the worker, writable for its owner only."""
    lines = [f"- {network}" for network in boundary.networks] or ["[]"]
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), "w", encoding="utf-8") as file:
        file.write(HEADER + "\n".join(lines) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
