"""The two WireGuard interfaces with their peers, addresses, routes and forwarding."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_interface

from plantgate_shared.kernel import links
from plantgate_shared.kernel.wireguard import WireGuardInterface
from plantgate_shared.netplan import LinkState, Peer, RemovePeer, RouteEntry, SetUp, plan_link, plan_peers
from plantgate_shared.secret import Secret

from .elements import agent_peers, user_peers
from .state import AGENTS, USERS, VpnSettings, VpnState


@dataclass(frozen=True, slots=True)
class _Wanted:
    interface: WireGuardInterface
    key: Secret
    port: int
    link: LinkState


class Interfaces:
    """Keeps pg-users and pg-agents as desired. Holds no state: everything is read from the kernel each time."""

    def __init__(self, settings: VpnSettings, users_key: Secret, agents_key: Secret) -> None:
        service = settings.service_address
        users = LinkState(
            up=True,
            mtu=settings.mtu,
            addresses=frozenset({ip_interface(service)}),
            routes=frozenset({RouteEntry(settings.profiles_pool, service)}),
        )
        # Echoes to agents carry the service address, which their WireGuard accepts as one of the profile pool.
        agents = LinkState(up=True, mtu=settings.mtu, routes=frozenset({RouteEntry(settings.transit_pool, service)}))
        self._mtu = settings.mtu
        self._users = _Wanted(WireGuardInterface(USERS), users_key, settings.users_port, users)
        self._agents = _Wanted(WireGuardInterface(AGENTS), agents_key, settings.agents_port, agents)

    async def reconcile(self, desired: VpnState) -> tuple[str, ...]:
        """Make interfaces, peers, addresses, routes and forwarding as desired; what was done. Raises KernelError."""
        done = await self._reconcile(self._users, user_peers(desired.profiles))
        return done + await self._reconcile(self._agents, agent_peers(desired.agents, desired.subnets))

    async def reconcile_peers(self, desired: VpnState) -> None:
        """Only the peers: what changes when people and gateways come and go. Raises KernelError."""
        await self._set_peers(self._users.interface, user_peers(desired.profiles))
        await self._set_peers(self._agents.interface, agent_peers(desired.agents, desired.subnets))

    async def agent_handshakes(self) -> Mapping[str, int]:
        """Second of each gateway's last handshake by public key, 0 for never. Raises KernelError."""
        return await _handshakes(self._agents.interface)

    async def profile_handshakes(self) -> Mapping[str, int]:
        """Second of each profile's last handshake by public key, 0 for never. Raises KernelError."""
        return await _handshakes(self._users.interface)

    async def renew_agent(self, public_key: str, desired: VpnState) -> None:
        """Make a gateway's peer anew: WireGuard forgets its session and the newest timestamp it saw of it."""
        await self._agents.interface.apply((RemovePeer(public_key),))
        await self._set_peers(self._agents.interface, agent_peers(desired.agents, desired.subnets))

    async def fence(self) -> None:
        """Take pg-users down, so that nothing of any person passes. The next `reconcile` opens it again."""
        if self._users.interface.exists():
            await links.apply(USERS, (SetUp(False),))

    async def remove(self) -> None:
        """Take both interfaces away, and with them their peers, addresses, routes and forwarding."""
        await self._users.interface.remove()
        await self._agents.interface.remove()

    async def _reconcile(self, wanted: _Wanted, peers: Mapping[str, Peer]) -> tuple[str, ...]:
        interface = wanted.interface
        done: tuple[str, ...] = () if interface.exists() else (f"{interface.name}: made",)
        await interface.ensure(wanted.key, wanted.port, self._mtu)
        # Peers first: a link that comes up without them would answer people with errors.
        done += await self._set_peers(interface, peers)
        steps = plan_link(wanted.link, await links.observe(interface.name))
        await links.apply(interface.name, steps)
        done += tuple(f"{interface.name}: {step}" for step in steps)
        # Forwarding belongs to the interface, so the host's other forwarding keeps its own setting, and removing
        # the interface restores everything.
        if links.write_sysctl(f"net/ipv4/conf/{interface.name}/forwarding", "1"):
            done += (f"{interface.name}: forwarding on",)
        return done

    async def _set_peers(self, interface: WireGuardInterface, peers: Mapping[str, Peer]) -> tuple[str, ...]:
        steps = plan_peers(peers, (await interface.observe()).peers)
        await interface.apply(steps)
        return tuple(f"{interface.name}: {type(step).__name__} {step.public_key}" for step in steps)


async def _handshakes(interface: WireGuardInterface) -> Mapping[str, int]:
    return {key: peer.latest_handshake for key, peer in (await interface.observe()).peers.items()}
