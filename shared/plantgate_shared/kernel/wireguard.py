"""WireGuard interfaces through `wg`: one code path for the kernel's module and for wireguard-go.

Why the command line and not netlink or the UAPI socket: it speaks to both kinds alike, and the gateway saves the
memory of a netlink library.
"""

import asyncio
import shutil
from base64 import b64encode
from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from itertools import groupby
from pathlib import Path

from ..errors import KernelError
from ..netplan import Peer, PeerStep, RemovePeer, SetPeer, WireGuardState
from ..secret import Secret
from .commands import run
from .links import link_exists, link_kind

TUN_DEVICE = Path("/dev/net/tun")
_APPEAR_TIMEOUT = 10.0
"""Seconds for wireguard-go to answer after it made the interface; it takes some milliseconds."""
_APPEAR_POLL = 0.02
_REMOVALS_PER_COMMAND = 500
"""Keeps an argument list far below the kernel's limit for one command."""


class WireGuardInterface:
    """One WireGuard interface by name. Holds no state: everything is read from the kernel."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def ensure(self, private_key: Secret, listen_port: int, mtu: int) -> None:
        """Make the interface if it is not there, and set key, port (0: any) and MTU where they differ.

        An existing interface is adopted with its peers and handshakes: it outlives the process that made it.
        `private_key` holds the 32 raw bytes or their base64 text. Raises KernelError.
        """
        if not self.exists():
            await self._make()
        elif not await self._answers():
            await self._replace_dead()
        arguments = ["wg", "set", self.name, "private-key", "/dev/stdin"]
        if listen_port and (await self.observe()).port != listen_port:  # setting it again would rebind the socket
            arguments += ["listen-port", str(listen_port)]
        # The same key again is no change to either kind of WireGuard.
        await run(*arguments, operation=f"set the key and port of {self.name}", stdin=_key_text(private_key) + b"\n")
        await run("ip", "link", "set", self.name, "mtu", str(mtu), operation=f"set the MTU of {self.name} to {mtu}")

    def exists(self) -> bool:
        return link_exists(self.name)

    async def observe(self) -> WireGuardState:
        """Key, port and peers as they are. Raises KernelError when there is no such WireGuard interface."""
        return parse_dump(await run("wg", "show", self.name, "dump", operation=f"read the peers of {self.name}"))

    async def apply(self, steps: Iterable[PeerStep]) -> None:
        """Apply the steps in their order, neighbours of one kind in one command. Raises KernelError."""
        for kind, group in groupby(steps, key=type):
            if kind is SetPeer:
                await self._set_peers([step for step in group if isinstance(step, SetPeer)])
            else:
                await self._remove_peers([step for step in group if isinstance(step, RemovePeer)])

    async def remove(self) -> None:
        """Take the interface away if it is there; wireguard-go ends with it."""
        if self.exists():
            await run("ip", "link", "delete", self.name, operation=f"remove the interface {self.name}")

    async def _set_peers(self, steps: Sequence[SetPeer]) -> None:
        # `addconf` replaces the allowed IPs of the peers it names and touches no other peer and no handshake.
        configuration = "".join(map(_peer_section, steps))
        await run(
            "wg",
            "addconf",
            self.name,
            "/dev/stdin",
            operation=f"set {len(steps)} peer(s) of {self.name}",
            stdin=configuration.encode(),
        )

    async def _remove_peers(self, steps: Sequence[RemovePeer]) -> None:
        for start in range(0, len(steps), _REMOVALS_PER_COMMAND):
            part = steps[start : start + _REMOVALS_PER_COMMAND]
            arguments = [word for step in part for word in ("peer", step.public_key, "remove")]
            await run("wg", "set", self.name, *arguments, operation=f"remove {len(part)} peer(s) of {self.name}")

    async def _answers(self) -> bool:
        try:
            await self.observe()
        except KernelError:
            return False
        return True

    async def _replace_dead(self) -> None:
        """A TUN device whose wireguard-go lost its control socket is made anew; anything else is not ours."""
        if await link_kind(self.name) == "tun":
            await self.remove()
            await self._make()
            return
        raise KernelError(
            f"cannot use the interface {self.name}: it exists and is not a WireGuard interface",
            hint=f"remove it with: ip link delete {self.name}",
        )

    async def _make(self) -> None:
        operation = f"make the WireGuard interface {self.name}"
        try:
            await run("ip", "link", "add", self.name, "type", "wireguard", operation=operation)
        except KernelError as error:
            if shutil.which("wireguard-go") is None:
                raise KernelError(
                    f"{error.message}; the kernel's module failed and wireguard-go is not installed",
                    hint="load the module with modprobe wireguard, or install the package wireguard-go",
                ) from error
            await self._start_wireguard_go(operation)

    async def _start_wireguard_go(self, operation: str) -> None:
        # Without -f it goes into the background by itself once the device exists, reports a failure by its exit
        # status and is nobody's child: it outlives a crash of ours just as a kernel interface would.
        if not TUN_DEVICE.exists():  # noqa: ASYNC240  a stat of a device node does not block
            raise KernelError(
                f"cannot {operation}: wireguard-go needs /dev/net/tun", hint="load the module with: modprobe tun"
            )
        await run("env", "-u", "LOG_LEVEL", "wireguard-go", self.name, operation=operation)
        deadline = asyncio.get_running_loop().time() + _APPEAR_TIMEOUT
        while not (self.exists() and await self._answers()):
            if asyncio.get_running_loop().time() > deadline:
                raise KernelError(f"cannot {operation}: wireguard-go does not answer", hint="see whether it runs: ps")
            await asyncio.sleep(_APPEAR_POLL)


async def public_key(private_key: Secret) -> str:
    """The base64 public key of a private one."""
    text = await run("wg", "pubkey", operation="derive a WireGuard public key", stdin=_key_text(private_key) + b"\n")
    return text.strip()


def parse_dump(dump: str) -> WireGuardState:
    """`wg show NAME dump`: one line for the interface, then one a peer, separated by tabs."""
    lines = [line.split("\t") for line in dump.splitlines() if line]
    _private, public, port, _mark = lines[0]
    peers = {fields[0]: _parse_peer(fields) for fields in lines[1:]}
    return WireGuardState("" if public == "(none)" else public, int(port), peers)


def _parse_peer(fields: Sequence[str]) -> Peer:
    _key, _preshared, endpoint, allowed, handshake, rx, tx, keepalive = fields
    return Peer(
        allowed_ips=frozenset(map(ip_network, allowed.split(","))) if allowed != "(none)" else frozenset(),
        endpoint=None if endpoint == "(none)" else endpoint,
        keepalive=0 if keepalive == "off" else int(keepalive),
        latest_handshake=int(handshake),
        rx=int(rx),
        tx=int(tx),
    )


def _peer_section(step: SetPeer) -> str:
    lines = ["[Peer]", f"PublicKey = {step.public_key}"]
    if step.allowed_ips:
        lines.append("AllowedIPs = " + ", ".join(sorted(map(str, step.allowed_ips))))
    if step.endpoint:
        lines.append(f"Endpoint = {step.endpoint}")
    lines.append(f"PersistentKeepalive = {step.keepalive or 'off'}")
    return "\n".join(lines) + "\n\n"


def _key_text(key: Secret) -> bytes:
    value = key.reveal()
    return b64encode(value) if len(value) == 32 else value.strip()
