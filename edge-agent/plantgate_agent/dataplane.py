"""The data plane in the kernel: observe, plan, apply. Touches our own things and forwarding only."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from plantgate_shared.errors import KernelError
from plantgate_shared.kernel import links
from plantgate_shared.kernel.commands import run
from plantgate_shared.kernel.nftables import Nftables
from plantgate_shared.kernel.wireguard import WireGuardInterface
from plantgate_shared.netplan import RemovePeer, SetPeer, WireGuardState
from plantgate_shared.secret import Secret

from . import rules as nft
from .lans import KernelRoute, parse_routes
from .netstate import (
    ChangeLink,
    ChangePeers,
    Desired,
    EnsureInterface,
    LoadTable,
    Observed,
    RemoveInterface,
    RemoveTable,
    SetForwarding,
    Step,
    plan,
)

_FAMILIES = ("ip", "ip6")
_PASSES = 3
_CONF = Path("/proc/sys/net/ipv4/conf")


async def kernel_routes() -> tuple[KernelRoute, ...]:
    """The host's IPv4 routes in the main table. Raises KernelError."""
    output = await run("ip", "-json", "-4", "route", "show", operation="read the routes")
    return parse_routes(json.loads(output or "[]"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pass achieved: the steps done, and the error that ended it, if one did."""

    done: tuple[Step, ...]
    error: KernelError | None = None


class DataPlane:
    def __init__(self, nftables: Nftables, private_key: Secret) -> None:
        self._nft = nftables
        self._key = private_key
        self._wireguard = WireGuardInterface(nft.INTERFACE)

    async def reconcile(self, desired: Desired | None) -> Outcome:
        """Lead the kernel to `desired`; None: to a state without any trace of the agent.

        Passes until there is nothing left to do, since an interface made anew starts from nothing. Raises KernelError
        when the state cannot even be read.
        """
        done: list[Step] = []
        for _ in range(_PASSES):
            steps = plan(desired, await self.observe(desired.rules.lans if desired else frozenset()))
            if not steps:
                break
            for step in steps:
                try:
                    await self._apply(step)
                except KernelError as error:  # what follows relies on it: rules before interface before peers
                    return Outcome(tuple(done), error)
                done.append(step)
        return Outcome(tuple(done))

    async def observe(self, lans: Iterable[str] = ()) -> Observed:
        table = await self._observe_table()
        exists = self._wireguard.exists()
        names = {nft.INTERFACE, *lans, *(table.opened if table else ())}
        return Observed(
            table=table,
            exists=exists,
            link=await links.observe(nft.INTERFACE),
            wireguard=await self._observe_wireguard() if exists else None,
            forwarding={name: _forwards(name) for name in names if (_CONF / name).is_dir()},
            forwards_all=links.read_sysctl("net/ipv4/ip_forward") == "1",
        )

    async def routes(self) -> tuple[KernelRoute, ...]:
        return await kernel_routes()

    async def stay_alive(self) -> None:
        """Let the kernel forward for another few seconds. Raises KernelError when the table is gone."""
        await self._nft.arun(nft.refresh_live())

    async def permit_hub(self, addresses: frozenset[IPv4Address]) -> None:
        """Let the worker reach further addresses of the hub, where the rules hold it at all."""
        if addresses and await self._observe_table() is not None:
            await self._nft.arun(nft.permit_hub(addresses))

    async def forget_sessions(self) -> None:
        """Drop WireGuard's peers; the next pass adds the hub again, and a handshake starts at once."""
        known = await self._observe_wireguard() if self._wireguard.exists() else None
        if known:
            await self._wireguard.apply([RemovePeer(peer) for peer in known.peers])

    async def foreign_obstacles(self) -> list[str]:
        """Other rules on this host that drop what the agent forwards, as sentences for a person."""
        chains = json.loads(await self._nft.arun("list chains", json=True) or "{}")
        found = []
        for family, table, chain in dropping_forward_chains(chains):
            if nft.INTERFACE not in await self._nft.arun(f"list table {family} {table}"):
                found.append(obstacle(family, table, chain))
        return found

    async def _observe_table(self) -> nft.TableState | None:
        tables = await self._nft.arun("list tables")
        present = [family for family in _FAMILIES if f"table {family} {nft.TABLE}\n" in tables + "\n"]
        if not present:
            return None
        return nft.parse_listing(await self._listing(present))

    async def _listing(self, families: Sequence[str]) -> str:
        # One command a call: libnftables 1.0.6 reads only the last one's table for all of them.
        return "".join([await self._nft.arun(f"list table {family} {nft.TABLE}") for family in families])

    async def latest_handshake(self, peer: str) -> int:
        """Wall-clock second of the last handshake with the hub; 0: none. Raises KernelError."""
        known = (await self._wireguard.observe()).peers.get(peer)
        return known.latest_handshake if known else 0

    async def endpoint(self, peer: str) -> str:
        """Where WireGuard sends to the hub now, as `address:port`; empty for nowhere. Raises KernelError."""
        if not self._wireguard.exists():
            return ""
        known = (await self._wireguard.observe()).peers.get(peer)
        return known.endpoint or "" if known else ""

    async def _observe_wireguard(self) -> WireGuardState | None:
        try:
            return await self._wireguard.observe()
        except KernelError:  # an interface whose process is dead: `ensure` makes it anew
            return None

    async def _apply(self, step: Step) -> None:
        match step:
            case LoadTable(rules):
                await self._nft.arun(nft.render(rules))
                await self._nft.arun(nft.seal(rules, await self._listing(_FAMILIES)))
            case RemoveTable():
                await self._nft.arun(nft.REMOVE)
            case EnsureInterface(port, mtu):
                await self._wireguard.ensure(self._key, port, mtu)
            case RemoveInterface():
                await self._wireguard.remove()
            case SetForwarding(interface, on):
                if (_CONF / interface).is_dir():
                    links.write_sysctl(f"net/ipv4/conf/{interface}/forwarding", "1" if on else "0")
            case ChangeLink(steps):
                await links.apply(nft.INTERFACE, steps)
            case ChangePeers(steps):
                # Keepalive from off to on makes WireGuard send at once: the hub learns the new way in one round trip.
                quiet = [replace(s, keepalive=0) for s in steps if isinstance(s, SetPeer) and s.endpoint]
                await self._wireguard.apply(quiet)
                await self._wireguard.apply(steps)


def _forwards(interface: str) -> bool:
    return links.read_sysctl(f"net/ipv4/conf/{interface}/forwarding") == "1"


def dropping_forward_chains(document: Any) -> list[tuple[str, str, str]]:
    """Family, table and name of each base chain of others that drops forwarded IPv4 packets unless told otherwise."""
    found = []
    for entry in document.get("nftables", ()):
        chain = entry.get("chain")
        if not chain or chain.get("hook") != "forward" or chain.get("policy") != "drop":
            continue
        if chain["family"] in ("ip", "inet") and chain["table"] != nft.TABLE:
            found.append((chain["family"], chain["table"], chain["name"]))
    return found


def obstacle(family: str, table: str, chain: str) -> str:
    if (family, table, chain) == ("ip", "filter", "FORWARD"):
        remedy = "allow it with: " + "; ".join(
            f"iptables -I FORWARD {way} {nft.INTERFACE} -j ACCEPT" for way in ("-i", "-o")
        )
    else:
        remedy = (
            f"accept iifname and oifname {nft.INTERFACE} there; the agent's own rules still hold it to the boundary"
        )
    return f"the chain {chain} of the table {family} {table} drops forwarded packets unless told otherwise ({remedy})"
