"""What the VPN data plane should do, as one frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from ..config import Pools, Vpn
from ..domain.model import Agent, Profile, Subnet
from ..domain.pools import AGENT_SHARE

USERS = "pg-users"
"""Interface that technicians dial."""
AGENTS = "pg-agents"
"""Interface that gateways dial."""


@dataclass(frozen=True, slots=True)
class ProfileElements:
    """What one profile reaches. Both parts together authorize: an address leads somewhere, and that is allowed."""

    plants: Mapping[IPv4Network, IPv4Network] = field(default_factory=dict)
    """Disjoint real or alias prefixes to transit prefixes of the same length."""
    allowed: frozenset[int] = frozenset()
    """Numbers of the plant subnets."""


NOTHING = ProfileElements()


@dataclass(frozen=True, slots=True)
class VpnState:
    """Everything the data plane needs. A later state has a higher revision of the store, or the same one."""

    profiles: tuple[Profile, ...] = ()
    elements: Mapping[IPv4Address, ProfileElements] = field(default_factory=dict)
    """By profile address; a profile that reaches nothing may be left out."""
    agents: tuple[Agent, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    revision: int = 0


@dataclass(frozen=True, slots=True)
class VpnSettings:
    """Configuration of the data plane; the same for all nodes of a fleet."""

    profiles_pool: IPv4Network = IPv4Network("100.64.0.0/10")
    transit_pool: IPv4Network = IPv4Network("240.0.0.0/4")
    users_port: int = 51820
    agents_port: int = 51821
    mtu: int = 1380
    probe_port: int = 51822
    """Local UDP port of the responder for the agents' UDP path probes."""

    @classmethod
    def of(cls, vpn: Vpn, pools: Pools, *, probe_port: int = 51822) -> "VpnSettings":
        return cls(pools.profiles, pools.transit, vpn.users_port, vpn.agents_port, vpn.mtu, probe_port)

    @property
    def agents_pool(self) -> IPv4Network:
        """The agents' own addresses: the only ones on the transit network that stand for no device."""
        return IPv4Network((self.transit_pool.network_address, self.transit_pool.prefixlen + AGENT_SHARE))

    @property
    def service_address(self) -> IPv4Address:
        """The hub's own address in the tunnel: the first host of the profile pool."""
        return self.profiles_pool[1]
