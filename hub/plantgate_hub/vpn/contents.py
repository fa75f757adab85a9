"""What the kernel's table holds, and bringing it to what it should hold without ever delaying a revocation."""

import asyncio
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network
from itertools import islice

from .plan import (
    GRANTS_AT_ONCE,
    SWEEP_BUDGET,
    Grant,
    Key,
    ReplaceTable,
    Revoke,
    Sweep,
    TableState,
    advance,
    plan,
    revocations,
)
from .state import NOTHING, ProfileElements
from .table import Table

_COMPARED_AT_ONCE = 200
"""Profiles compared between two pauses: below a millisecond."""

_READINGS = 3
"""A profile that drifted and was changed by us during the reading is read again, so many times at most."""


class Contents:
    """The table's contents, desired and held.

    Held is what was last read from the kernel, plus our own transactions since. When one fails, held was wrong: the
    KernelError goes to the caller, and `refresh` reads again.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._desired = TableState()
        self._held: dict[IPv4Address, ProfileElements] = {}
        self._held_ids: Mapping[IPv4Network, int] = {}
        self._size = 0
        self._stale: dict[Key, float] = {}
        self._changing = asyncio.Lock()
        """Held for one transaction or two, never for a reading."""
        self._reading = asyncio.Lock()
        self._touched: set[IPv4Address] = set()
        """Profiles changed by us since the current reading began; what it saw of them may be old."""
        self._ids_touched = self._replaced = False

    @property
    def desired(self) -> TableState:
        return self._desired

    def desire(self, desired: TableState) -> None:
        """Set what is wanted from now on; `bring` and `refresh` act on it."""
        self._desired = desired

    def holds_too_much(self) -> bool:
        """Whether the kernel is known to allow something that is not desired."""
        return bool(revocations(self._desired, TableState(self._held, self._held_ids)))

    async def bring(self, addresses: Collection[IPv4Address]) -> set[IPv4Address]:
        """Bring these profiles (and the plant ids) to what is desired; whose flows may have ended by it.

        All revocations go first, in one transaction. Raises KernelError.
        """
        async with self._changing:
            cut = await self._revoke(addresses)
        for batch in self._batches(addresses):
            async with self._changing:  # planned anew, since a revocation may have come in between
                cut |= await self._revoke(batch)
                cut |= await self._grant(batch)
        return cut

    async def refresh(self) -> tuple[str, ...]:
        """Read the kernel, take over what it holds, correct it; what differed from what we knew. Raises KernelError."""
        drift: tuple[str, ...] = ()
        async with self._reading:
            for _ in range(_READINGS):
                found, unclear = await self._refresh_once()
                drift += found
                if not unclear:
                    break
        return drift

    async def _refresh_once(self) -> tuple[tuple[str, ...], bool]:
        """One reading; also whether a profile differed that was changed meanwhile, so that it has to be read again."""
        async with self._changing:
            self._touched, self._ids_touched, self._replaced = set(), False, False
            known = dict(self._held)
        observed = await self._table.read()
        if not observed.intact:
            async with self._changing:
                if not self._replaced:
                    await self._replace()
            return ("the rules were not ours",), False
        drifted = await asyncio.to_thread(_differing, known, observed.profiles)
        async with self._changing:
            drift = self._take_over(observed, drifted)
            unclear = not self._replaced and not self._touched.isdisjoint(drifted)
        wrong = await asyncio.to_thread(_differing, self._desired.profiles, observed.profiles)
        await self.bring({*wrong, *drifted})
        return drift, unclear

    async def sweep(self, older_than: float) -> bool:
        """Delete a few entries that lead nowhere since before this loop time; whether there were any."""
        async with self._changing:
            due = (key for key, since in self._stale.items() if since <= older_than)
            keys = tuple(islice(due, max(1, SWEEP_BUDGET // max(1, self._size))))
            for key in keys:
                del self._stale[key]
            step = Sweep(tuple(key for key in keys if self._is_stale(key)))
            if step.plants:
                await self._table.apply(step)
                self._advance(step)
        return bool(keys)

    @property
    def stale(self) -> int:
        """Entries that wait to be swept."""
        return len(self._stale)

    async def _revoke(self, addresses: Collection[IPv4Address]) -> set[IPv4Address]:
        for step in revocations(*self._part(addresses)):
            await self._table.revoke(step)
            self._advance(step)
            return {address for address, _ in step.allowed}
        return set()

    async def _grant(self, addresses: Collection[IPv4Address]) -> set[IPv4Address]:
        cut: set[IPv4Address] = set()
        for step in plan(*self._part(addresses), size=self._size):
            match step:
                case Grant():
                    await self._table.apply(step)
                    self._advance(step)
                    cut |= {address for address, _ in step.instead_of}
                case Sweep(keys):
                    now = asyncio.get_running_loop().time()
                    cut |= {address for address, _ in keys}
                    for key in keys:
                        self._stale.setdefault(key, now)
                case ReplaceTable():
                    await self._replace()
                    return set(addresses)
                case Revoke():  # gone before, by `_revoke`
                    raise AssertionError("a revocation is left over")
        return cut

    async def _replace(self) -> None:
        desired = self._desired
        await self._table.replace(desired)
        self._held, self._held_ids = dict(desired.profiles), desired.plant_id
        self._size = _entries(desired.profiles)
        self._stale.clear()
        self._touched.update(desired.profiles)
        self._ids_touched = self._replaced = True

    def _take_over(self, observed: TableState, drifted: Iterable[IPv4Address]) -> tuple[str, ...]:
        if self._replaced:
            return ()
        drift: list[str] = []
        for address in drifted:
            if address not in self._touched:
                drift += _describe(address, self._held.get(address, NOTHING), observed.profiles.get(address, NOTHING))
                self._hold(address, observed.profiles.get(address, NOTHING))
        if not self._ids_touched and observed.plant_id != self._held_ids:
            drift.append("ids of plant subnets differed")
            self._held_ids = observed.plant_id
        if self._held_ids == self._desired.plant_id:
            self._held_ids = self._desired.plant_id
        self._size = _entries(self._held)
        return tuple(drift)

    def _part(self, addresses: Iterable[IPv4Address]) -> tuple[TableState, TableState]:
        wanted, held = {}, {}
        for address in addresses:
            wanted[address] = self._desired.profiles.get(address, NOTHING)
            held[address] = self._held.get(address, NOTHING)
        return TableState(wanted, self._desired.plant_id), TableState(held, self._held_ids)

    def _batches(self, addresses: Iterable[IPv4Address]) -> Iterator[list[IPv4Address]]:
        batch: list[IPv4Address] = []
        size = 0
        for address in addresses:
            batch.append(address)
            size += len(self._desired.profiles.get(address, NOTHING).plants)
            if size >= GRANTS_AT_ONCE:
                yield batch
                batch, size = [], 0
        if batch or self._held_ids is not self._desired.plant_id:
            yield batch

    def _advance(self, step: Revoke | Grant | Sweep) -> None:
        if isinstance(step, Sweep) or not step.plant_id:
            self._touched |= advance(step, self._held, {})
        else:
            ids = dict(self._held_ids)
            self._touched |= advance(step, self._held, ids)
            self._ids_touched = True
            # The very same object where they are equal: no more comparing.
            self._held_ids = self._desired.plant_id if ids == self._desired.plant_id else ids
        match step:
            case Grant():
                self._size += len(step.plants) - len(step.instead_of)
            case Sweep():
                self._size -= len(step.plants)

    def _hold(self, address: IPv4Address, elements: ProfileElements) -> None:
        if elements == NOTHING:
            self._held.pop(address, None)
        else:
            self._held[address] = elements

    def _is_stale(self, key: Key) -> bool:
        address, prefix = key
        wanted = self._desired.profiles.get(address, NOTHING)
        return prefix in self._held.get(address, NOTHING).plants and prefix not in wanted.plants


def _entries(profiles: Mapping[IPv4Address, ProfileElements]) -> int:
    return sum(len(elements.plants) for elements in profiles.values())


def _differing(
    one: Mapping[IPv4Address, ProfileElements], other: Mapping[IPv4Address, ProfileElements]
) -> list[IPv4Address]:
    found = []
    for index, address in enumerate(one.keys() | other.keys()):
        if one.get(address, NOTHING) != other.get(address, NOTHING):
            found.append(address)
        if index % _COMPARED_AT_ONCE == 0:
            time.sleep(0)  # lets the event loop have the interpreter
    return found


def _describe(address: IPv4Address, known: ProfileElements, seen: ProfileElements) -> list[str]:
    return [
        *(f"allowed {address} . {number} was added" for number in sorted(seen.allowed - known.allowed)),
        *(f"allowed {address} . {number} was missing" for number in sorted(known.allowed - seen.allowed)),
        *(f"plants {address} . {p} was added" for p in seen.plants if seen.plants[p] != known.plants.get(p)),
        *(f"plants {address} . {p} was missing" for p in known.plants if p not in seen.plants),
    ]
