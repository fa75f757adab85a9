"""Whether this host can carry VPN traffic, and exactly why not."""

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

from plantgate_shared.errors import KernelError
from plantgate_shared.kernel.nftables import Nftables
from plantgate_shared.kernel.wireguard import TUN_DEVICE

_CAP_NET_ADMIN = 12  # linux/capability.h


@dataclass(frozen=True, slots=True)
class Availability:
    possible: bool
    reasons: tuple[str, ...] = ()
    """Every obstacle, each with its remedy."""

    def __str__(self) -> str:
        return "the VPN can run here" if self.possible else "the VPN cannot run here: " + "; ".join(self.reasons)


async def available() -> Availability:
    """Look at rights, nftables, iproute2 and WireGuard. Changes nothing."""
    reasons = await asyncio.to_thread(_obstacles)
    return Availability(not reasons, reasons)


def _obstacles() -> tuple[str, ...]:
    rights = _rights()
    checks = (rights, _tools(), "" if rights else _nftables(), _wireguard())  # without rights nftables says no more
    return tuple(obstacle for obstacle in checks if obstacle)


def _rights() -> str:
    if _has_net_admin(Path("/proc/self/status").read_text()):
        return ""
    return "this process may not change networks (run it as root or give it CAP_NET_ADMIN)"


def _has_net_admin(status: str) -> bool:
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> _CAP_NET_ADMIN & 1)


def _tools() -> str:
    packages = {"ip": "iproute2", "wg": "wireguard-tools"}
    missing = [package for command, package in packages.items() if shutil.which(command) is None]
    return f"these programs are missing: {', '.join(missing)} (install the packages of these names)" if missing else ""


def _nftables() -> str:
    try:
        nftables = Nftables(name="nftables-check")
    except KernelError as error:
        return str(error)
    try:
        nftables.run("list tables")
    except KernelError as error:
        return str(error)
    finally:
        nftables.close()
    return ""


def _wireguard() -> str:
    if Path("/sys/module/wireguard").exists() or _module_can_be_loaded():
        return ""
    if shutil.which("wireguard-go") is None:
        return "the kernel has no WireGuard (load the module wireguard, or install the package wireguard-go)"
    if not TUN_DEVICE.exists():
        return "the kernel has no WireGuard and wireguard-go needs /dev/net/tun (load the module wireguard or tun)"
    return ""


def _module_can_be_loaded() -> bool:
    release = Path("/proc/sys/kernel/osrelease").read_text().strip()
    modules = Path("/lib/modules") / release
    names = ("modules.dep", "modules.builtin")
    listings = [(modules / name) for name in names]
    try:
        return any("/wireguard.ko" in listing.read_text() for listing in listings if listing.exists())
    except PermissionError:  # ProtectKernelModules=yes hides them; the unit loads the module beforehand
        return False
