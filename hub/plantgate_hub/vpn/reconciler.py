"""The shell that keeps the kernel in step with the desired VPN state.

`update` touches only the elements of the profiles that changed, `change` takes a whole new state, `verify` reads the
kernel and corrects what drifted. A revocation never waits for anything slow: it goes first, alone, through a context
that no reading uses. When one cannot be enforced at all, pg-users goes down.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address

from plantgate_shared.errors import KernelError
from plantgate_shared.logging import Event, get_logger
from plantgate_shared.secret import Secret

from .availability import Availability, available
from .contents import Contents
from .flows import Flows
from .interfaces import Interfaces
from .plan import TableState, table_state
from .state import ProfileElements, VpnSettings, VpnState
from .table import Table

SWEEP_AFTER = 60.0
"""Seconds that an entry without permission stays in the map: an agent that comes and goes costs no map changes."""
WATCH_EVERY = 1.0
"""Seconds between looks whether our tables are there at all: a firewall's reload may flush the whole ruleset."""
_SWEEP_POLL = 1.0
_SWEEP_REST = 3
"""The sweeper rests this many times as long as a deletion took, and so leaves the kernel to others."""


class VpnDataPlane:
    """One node's VPN data plane in the current network namespace.

    Start it, tell it of changes, let it verify now and then. `close` leaves the kernel as it is, so that people's
    connections go on while the process is replaced; `stop` takes everything away. Methods raise KernelError.
    """

    def __init__(
        self,
        settings: VpnSettings,
        users_key: Secret,
        agents_key: Secret,
        *,
        sweep_after: float = SWEEP_AFTER,
        watch_every: float = WATCH_EVERY,
    ) -> None:
        self._settings = settings
        self._sweep_after = sweep_after
        self._watch_every = watch_every
        self._interfaces = Interfaces(settings, users_key, agents_key)
        self._desired = VpnState()
        self._updated: dict[IPv4Address, int] = {}
        """Revision of each profile's last `update`: an older whole state does not undo it."""
        self._cut: set[IPv4Address] = set()
        self._was_cut = asyncio.Event()
        self._chores: list[asyncio.Task[None]] = []
        self._linking = asyncio.Lock()
        """Interfaces and peers are read and set by one task at a time, always to the newest state."""
        self._log = get_logger(part="vpn")

    @staticmethod
    async def available() -> Availability:
        """Whether the VPN can run here, and exactly why not."""
        return await available()

    async def start(self, desired: VpnState) -> None:
        """Adopt what is in the kernel, bring it to the desired state, and keep it tidy from now on."""
        self._table = Table(self._settings)
        self._flows = Flows(self._settings.profiles_pool, self._settings.transit_pool)
        self._contents = Contents(self._table)
        self._accept(desired)
        try:
            await self._contents.refresh()
            # The rules are in place before anything can pass: only now do the interfaces come up.
            await self._interfaces.reconcile(self._desired)
        except KernelError:
            await self._fence()
            self.close()
            raise
        await self._flows.end_misled(self._elements)
        self._chores = [asyncio.create_task(chore()) for chore in (self._end_flows, self._sweep, self._watch)]

    async def update(self, changed: Mapping[IPv4Address, ProfileElements], revision: int = 0) -> None:
        """The fast path: these profiles reach this from now on (`NOTHING` for nothing at all)."""
        self._updated.update(dict.fromkeys(changed, revision))
        self._want(replace(self._desired, elements={**self._desired.elements, **changed}))
        await self._bring(set(changed))

    async def change(self, desired: VpnState) -> None:
        """A whole new state without reading the table: people, gateways, subnets, any number of profiles.

        Profiles whose elements are the same object as before cost nothing.
        """
        before = self._desired
        self._accept(desired)
        now = self._desired
        changed = {
            address
            for address in before.elements.keys() | now.elements.keys()
            if before.elements.get(address) is not now.elements.get(address)
        }
        await self._bring(changed)
        if (before.profiles, before.agents, before.subnets) != (now.profiles, now.agents, now.subnets):
            async with self._linking:
                await self._interfaces.reconcile_peers(self._desired)

    async def verify(self, desired: VpnState) -> tuple[str, ...]:
        """The full pass: read everything, correct it, and return what had drifted."""
        await self.change(desired)
        drift = await self._refresh()
        async with self._linking:
            drift += await self._interfaces.reconcile(self._desired)
        if ended := await self._flows.end_misled(self._elements):
            drift += (f"{ended} flow(s) led to another place",)
        if drift:
            self._log.warning(Event.DRIFT_CORRECTED, count=len(drift))
            self._log.debug(Event.DRIFT_CORRECTED, corrected=drift)
        return drift

    async def agent_handshakes(self) -> Mapping[str, int]:
        """Second of each gateway's last handshake by public key, 0 for never."""
        return await self._interfaces.agent_handshakes()

    async def profile_handshakes(self) -> Mapping[str, int]:
        """Second of each profile's last handshake by public key, 0 for never."""
        return await self._interfaces.profile_handshakes()

    async def renew_agent(self, public_key: str) -> None:
        """Forget a gateway's WireGuard session and timestamps; its next handshake is taken whatever its clock says."""
        async with self._linking:
            await self._interfaces.renew_agent(public_key, self._desired)

    async def stop(self) -> None:
        """Take interfaces and tables away; with the interfaces goes their forwarding. Also without a `start`."""
        started = bool(self._chores)
        table = self._table if started else Table(self._settings)
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)  # none may put back what is taken away now
        try:
            await self._interfaces.remove()
            await table.remove()
        finally:
            if started:
                self.close()
            else:
                table.close()

    def close(self) -> None:
        """End the work and leave the kernel as it is: it goes on forwarding what is authorized."""
        for chore in self._chores:
            chore.cancel()
        self._chores = []
        self._table.close()
        self._flows.close()

    async def settle(self) -> None:
        """Wait until flows that ended by a change are ended in the kernel, too."""
        while self._cut:
            await self._end_flows_once()

    def _elements(self) -> Mapping[IPv4Address, ProfileElements]:
        return self._desired.elements

    def _accept(self, desired: VpnState) -> None:
        """Take a whole state, but keep what newer updates said about single profiles."""
        newer = {address for address, revision in self._updated.items() if revision > desired.revision}
        self._updated = {address: self._updated[address] for address in newer}
        elements = dict(desired.elements)
        for address in newer:
            elements.pop(address, None)
            if address in self._desired.elements:
                elements[address] = self._desired.elements[address]
        self._want(replace(desired, elements=elements) if newer else desired)

    def _want(self, desired: VpnState) -> None:
        same_subnets = desired.subnets is self._desired.subnets
        self._desired = desired
        ids = self._contents.desired.plant_id
        self._contents.desire(TableState(desired.elements, ids) if same_subnets else table_state(desired))

    async def _bring(self, addresses: set[IPv4Address]) -> None:
        try:
            self._cut |= await self._contents.bring(addresses)
        except KernelError as error:
            self._log.warning(Event.KERNEL_REFUSED, error=str(error))
            self._cut |= addresses
            await self._refresh()
        if self._cut:
            self._was_cut.set()

    async def _refresh(self) -> tuple[str, ...]:
        try:
            return await self._contents.refresh()
        except KernelError:
            if self._contents.holds_too_much():
                await self._fence()
            raise

    async def _fence(self) -> None:
        with suppress(KernelError):
            await self._interfaces.fence()

    async def _end_flows(self) -> None:
        while True:
            await self._was_cut.wait()
            self._was_cut.clear()
            await self._tolerating(self._end_flows_once)

    async def _end_flows_once(self) -> None:
        cut, self._cut = self._cut, set()
        await self._flows.end_misled(self._elements, cut)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await self._tolerating(self._sweep_once)
            rest = (loop.time() - began) * _SWEEP_REST
            await asyncio.sleep(rest if self._contents.stale and rest > _SWEEP_POLL / 100 else _SWEEP_POLL)

    async def _sweep_once(self) -> None:
        await self._contents.sweep(asyncio.get_running_loop().time() - self._sweep_after)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._watch_every)
            await self._tolerating(self._watch_once)

    async def _watch_once(self) -> None:
        """Without our rules the kernel forwards whatever a person sends: nothing of them passes until they are back."""
        if await self._table.is_there():
            return
        self._log.error(Event.DRIFT_CORRECTED, count=1, corrected="the tables were gone")
        async with self._linking:
            await self._fence()
            await self._refresh()
            await self._interfaces.reconcile(self._desired)

    async def _tolerating(self, chore: Callable[[], Awaitable[object]]) -> None:
        """A chore that fails is not urgent: the next full pass does it. It goes on in any case."""
        try:
            await chore()
        except KernelError as error:
            self._log.warning(Event.KERNEL_REFUSED, error=str(error))
        except Exception:
            self._log.exception(Event.FAILED)
