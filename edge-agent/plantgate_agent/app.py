"""Composition root: the worker's parts, made from the configuration and nothing else."""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass

from plantgate_shared.kernel.nftables import Nftables
from plantgate_shared.secret import Secret

from .config import AgentConfig
from .dataplane import DataPlane
from .state import Enrolment, StateDirectory
from .targets import Dialler
from .tls import client_context
from .tunnel import Handlers, HubTunnel, Permit
from .vpn import CACHE_FILE, Vpn

AS_ROOT = (
    "the worker runs as root, so the kernel does not hold its proxy streams to the boundary as well; "
    "make the user that worker_user names and restart"
)


@dataclass(frozen=True, slots=True)
class Parts:
    config: AgentConfig
    state: StateDirectory
    enrolment: Enrolment
    dialler: Dialler
    vpn: Callable[[Callable[[], None]], Vpn]
    """Makes the VPN's part, given what to call when its report changed."""
    tunnel: Callable[[Handlers, Permit], HubTunnel]
    warnings: tuple[str, ...]


def build(config: AgentConfig) -> Parts:
    """Raises PlantgateError: not enrolled, damaged keys, no nftables."""
    state = StateDirectory(config.state_dir, config.worker_user)
    enrolment = state.enrolment()
    identity, wireguard = state.identity(), state.wireguard()
    context = client_context(config.ca_file)
    dataplane = DataPlane(Nftables(), wireguard.private)
    dialler = Dialler()
    rng = random.Random()  # noqa: S311  jitter only
    uid = os.geteuid() or None

    def vpn(on_change: Callable[[], None]) -> Vpn:
        return Vpn(config, dataplane, wireguard.public, uid, dialler.update, on_change, rng)

    def tunnel(handlers: Handlers, permit: Permit) -> HubTunnel:
        return HubTunnel(enrolment, identity, context, handlers, permit, rng)

    return Parts(config, state, enrolment, dialler, vpn, tunnel, () if uid else (AS_ROOT,))


async def clean_up(config: AgentConfig) -> None:
    """Take out of the kernel whatever an agent that is gone left there. Raises KernelError."""
    outcome = await DataPlane(Nftables(), Secret(b"")).reconcile(None)
    (config.run_dir / CACHE_FILE).unlink(missing_ok=True)
    if outcome.error:
        raise outcome.error
