"""The shell around the nftables table: read it whole, apply steps to it."""

import asyncio
import time
from contextlib import suppress

from plantgate_shared.errors import KernelError
from plantgate_shared.kernel import links
from plantgate_shared.kernel.nftables import Nftables

from . import rules, tables
from .plan import Grant, Revoke, Sweep, TableState
from .state import VpnSettings

_TABLES = {f"table ip {rules.TABLE}", f"table ip6 {rules.TABLE6}"}
"""As `list tables` prints them."""
_ACCOUNTING = ("net/netfilter/nf_conntrack_acct", "net/netfilter/nf_conntrack_timestamp")
"""Flow records of the audit: bytes, packets, begin and end of every tracked flow. Host-wide, and left on."""


class Table:
    """Our tables in this network namespace. One context for changes; each reading gets one of its own."""

    def __init__(self, settings: VpnSettings) -> None:
        self._settings = settings
        self._changes = Nftables(name="nftables-changes")
        self._expected: tuple[str, str] | None = None

    async def apply(self, step: Revoke | Grant | Sweep) -> None:
        """One transaction. Raises KernelError when the kernel's contents are not what the step assumes."""
        await self._changes.arun(tables.commands(step))

    async def revoke(self, step: Revoke) -> None:
        """`apply` that deletes whatever can be deleted before it raises: one missing element must not keep others."""
        try:
            await self.apply(step)
        except KernelError:
            await self._revoke_halves(step)
            raise

    async def replace(self, contents: TableState) -> None:
        """Put new tables in the place of whatever is there, atomically. Raises KernelError."""
        commands = await asyncio.to_thread(tables.replacement, self._settings, contents)
        await self._changes.arun(commands)
        # The rules have loaded connection tracking, so that its settings exist now.
        for key in _ACCOUNTING:
            links.write_sysctl(key, "1")

    async def read(self) -> TableState:
        """Rules and contents as they are, through a context and a thread of their own. Raises KernelError."""
        reader = Nftables(name="nftables-reading")
        try:
            return await reader.acall(lambda: self._read(reader))
        finally:
            await asyncio.to_thread(reader.close)

    async def is_there(self) -> bool:
        """Whether both tables exist: a quick look, which says nothing of what is in them. Raises KernelError."""
        return _TABLES.issubset((await self._changes.arun("list tables")).splitlines())

    async def remove(self) -> None:
        await self._changes.arun(rules.removal())

    def close(self) -> None:
        self._changes.close()

    async def _revoke_halves(self, step: Revoke) -> None:
        for part in _halves(step):
            try:
                await self.apply(part)
            except KernelError:
                await self._revoke_halves(part)

    def _read(self, reader: Nftables) -> TableState:
        run = reader.run_here
        if not _TABLES.issubset(run("list tables").splitlines()):
            return TableState(intact=False)
        if self._expected is None:
            self._expected = self._learn(reader)
        rules4, rules6 = self._expected
        if tables.rules_of(run(f"list table ip6 {rules.TABLE6}")) != rules6:
            return TableState(intact=False)
        # Between two pieces the interpreter goes to whoever waits for it: the event loop with a revocation.
        return tables.parse(run(f"list table ip {rules.TABLE}"), rules4, pause=lambda: time.sleep(0))

    def _learn(self, reader: Nftables) -> tuple[str, str]:
        """How this kernel and libnftables print our rules, from dormant copies that filter nothing."""
        name, run = rules.REFERENCE, reader.run_here
        delete = "".join(f"add table {family} {name}\ndelete table {family} {name}\n" for family in ("ip", "ip6"))
        copies = rules.base_table(self._settings, name=name, dormant=True) + rules.base_table6(name=name, dormant=True)
        run(delete + copies)
        try:
            return (
                tables.rules_of_reference(run(f"list table ip {name}"), rules.TABLE),
                tables.rules_of_reference(run(f"list table ip6 {name}"), rules.TABLE6),
            )
        finally:
            with suppress(KernelError):
                run(delete)


def _halves(step: Revoke) -> tuple[Revoke, ...]:
    elements = len(step.allowed) + len(step.plant_id)
    if elements <= 1:
        return ()
    if step.allowed and step.plant_id:
        return (Revoke(allowed=step.allowed), Revoke(plant_id=step.plant_id))
    middle = elements // 2
    return (
        Revoke(step.allowed[:middle], step.plant_id[:middle]),
        Revoke(step.allowed[middle:], step.plant_id[middle:]),
    )
