"""The agent's configuration: every key with its default and its documentation."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network
from itertools import combinations
from pathlib import Path
from typing import Any

from plantgate_shared.config import option, parse

DEFAULT_PATH = Path("/etc/plantgate-agent/agent.yaml")
ENVIRONMENT = "PLANTGATE_AGENT_CONFIG"
"""Variable in which the worker is given its configuration, as JSON: reading YAML would cost it 4 MiB."""
LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Pools:
    """The hub's address pools: no plant network, and so no boundary, may touch one of them."""

    profiles: IPv4Network = option(IPv4Network("100.64.0.0/10"), "Tunnel addresses of people.")
    transit: IPv4Network = option(IPv4Network("240.0.0.0/4"), "Prefixes that stand for plant subnets towards the hub.")
    aliases: IPv4Network = option(IPv4Network("198.18.0.0/15"), "Conflict-free prefixes that people type.")

    def __post_init__(self) -> None:
        pools = {"profiles": self.profiles, "transit": self.transit, "aliases": self.aliases}
        for (name, one), (other_name, other) in combinations(pools.items(), 2):
            if one.overlaps(other):
                raise ValueError(f"the pools {name} ({one}) and {other_name} ({other}) overlap; copy the hub's pools")

    def named(self) -> tuple[tuple[str, IPv4Network], ...]:
        return (("profiles", self.profiles), ("transit", self.transit), ("aliases", self.aliases))


@dataclass(frozen=True, slots=True)
class AgentConfig:
    state_dir: Path = option(
        Path("/var/lib/plantgate-agent"),
        "The gateway's keys and what it pinned at enrolment; mode 0700, files 0600.",
    )
    run_dir: Path = option(Path("/run/plantgate-agent"), "Status of the running agent; empty after a boot.")
    boundary_file: Path = option(
        Path("/etc/plantgate-agent/boundary.yaml"),
        "YAML list of the subnets that may be reached through this gateway, written at enrolment and yours to edit.\n"
        "The hub can ask for less than this file allows, never for more. Changes are read within half a minute.",
    )
    worker_user: str = option(
        "plantgate-agent",
        "System user the worker runs as, with CAP_NET_ADMIN as its only right. Without such a user it runs as\n"
        "whoever starts the agent, and proxy streams are then not held to the boundary by the kernel as well.",
    )
    wireguard_port: int = option(51822, "Local UDP port of WireGuard; no other host can open a conversation with it.")
    ca_file: Path | None = option(
        None,
        "PEM file of a CA that the hub's TLS certificate must come from as well. The agent trusts the hub for the\n"
        "identity it pinned at enrolment, so this is not needed; it makes the gateway's clock matter.",
    )
    pools: Pools = option(Pools, "The hub's address pools; change them only together with the hub's.")
    log_level: str = option("info", "debug, info, warning or error.")

    def __post_init__(self) -> None:
        if not 1 <= self.wireguard_port <= 65535:
            raise ValueError("wireguard_port must be between 1 and 65535")
        if self.log_level not in LOG_LEVELS:
            raise ValueError(f"log_level must be one of {', '.join(LOG_LEVELS)}, not {self.log_level!r}")
        for name in ("state_dir", "run_dir", "boundary_file"):
            if not getattr(self, name).is_absolute():
                raise ValueError(f"{name} must be an absolute path")


def to_environment(config: AgentConfig) -> dict[str, str]:
    """The variable to set for a process that is to run with this configuration."""
    return {ENVIRONMENT: json.dumps(_plain(asdict(config)))}


def from_environment(environment: Mapping[str, str] = os.environ) -> AgentConfig | None:
    """The configuration that this process was given; None: none."""
    text = environment.get(ENVIRONMENT)
    return parse(json.loads(text), AgentConfig, source=f"${ENVIRONMENT}") if text else None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value if value is None or isinstance(value, int | bool) else str(value)
