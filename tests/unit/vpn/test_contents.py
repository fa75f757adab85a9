"""Bringing the table's contents to what is desired, over a table that can refuse, be slow, and be changed by hand."""

import asyncio
from ipaddress import IPv4Address, IPv4Network
from typing import Any, cast

import pytest

from plantgate_hub.vpn.contents import Contents
from plantgate_hub.vpn.plan import Grant, Revoke, Sweep, TableState, advance
from plantgate_hub.vpn.state import NOTHING, ProfileElements, VpnSettings
from plantgate_hub.vpn.table import Table
from plantgate_shared.errors import KernelError

FIVE, SIX = IPv4Address("100.64.0.5"), IPv4Address("100.64.0.6")
REAL = IPv4Network("192.168.1.0/24")
NORTH, SOUTH = IPv4Network("240.16.1.0/24"), IPv4Network("240.16.2.0/24")
IDS = {NORTH: 1, SOUTH: 2}
TO_NORTH = ProfileElements({REAL: NORTH}, frozenset({1}))
TO_SOUTH = ProfileElements({REAL: SOUTH}, frozenset({2}))


class FakeTable:
    """Keeps contents as the kernel would. `refuse` makes steps of a type fail; `reading` holds a reading up."""

    def __init__(self) -> None:
        self.profiles: dict[IPv4Address, ProfileElements] = {}
        self.plant_id: dict[IPv4Network, int] = {}
        self.intact = False
        self.done: list[str] = []
        self.refuse: tuple[type, ...] = ()
        self.reading = asyncio.Event()
        self.reading.set()
        self.snapshot_taken = asyncio.Event()

    async def apply(self, step: Revoke | Grant | Sweep) -> None:
        if isinstance(step, self.refuse):
            raise KernelError("refused")
        if isinstance(step, Revoke):
            there = {(address, number) for address, e in self.profiles.items() for number in e.allowed}
            if not there >= set(step.allowed):
                raise KernelError("No such file or directory")
        self.done.append(type(step).__name__)
        advance(step, self.profiles, self.plant_id)

    revoke = apply

    async def replace(self, contents: TableState) -> None:
        self.done.append("replace")
        self.profiles, self.plant_id, self.intact = dict(contents.profiles), dict(contents.plant_id), True

    async def read(self) -> TableState:
        seen = TableState(dict(self.profiles), dict(self.plant_id), self.intact)
        self.snapshot_taken.set()
        await self.reading.wait()
        return seen


async def ready(profiles: dict[IPv4Address, ProfileElements]) -> tuple[Contents, FakeTable]:
    table = FakeTable()
    contents = Contents(cast(Table, table))
    contents.desire(TableState(profiles, IDS))
    await contents.refresh()
    table.done.clear()
    return contents, table


async def test_a_missing_table_is_made_with_everything_in_it() -> None:
    _, table = await ready({FIVE: TO_NORTH})
    assert table.intact
    assert table.profiles == {FIVE: TO_NORTH}


async def test_what_is_there_already_is_adopted() -> None:
    table = FakeTable()
    table.profiles, table.plant_id, table.intact = {FIVE: TO_NORTH}, dict(IDS), True
    contents = Contents(cast(Table, table))
    contents.desire(TableState({FIVE: TO_NORTH}, IDS))
    await contents.refresh()
    assert table.done == []


async def test_revocations_of_all_come_before_any_grant() -> None:
    contents, table = await ready({FIVE: TO_NORTH, SIX: TO_NORTH})
    contents.desire(TableState({FIVE: TO_SOUTH, SIX: TO_SOUTH}, IDS))
    assert await contents.bring({FIVE, SIX}) == {FIVE, SIX}
    assert table.done == ["Revoke", "Grant"]
    assert table.profiles == {FIVE: TO_SOUTH, SIX: TO_SOUTH}


async def test_a_change_during_a_reading_is_not_undone_by_it() -> None:
    contents, table = await ready({FIVE: TO_NORTH})
    table.reading.clear()
    table.snapshot_taken.clear()
    reading = asyncio.create_task(contents.refresh())
    await table.snapshot_taken.wait()
    contents.desire(TableState({SIX: TO_SOUTH}, IDS))
    await asyncio.wait_for(contents.bring({FIVE, SIX}), 5)  # does not wait for the reading
    assert table.profiles[FIVE].allowed == frozenset()
    table.reading.set()
    assert await reading == ()
    assert table.profiles[FIVE].allowed == frozenset()
    assert table.profiles[SIX] == TO_SOUTH


@pytest.mark.parametrize("wanted", [{}, {FIVE: TO_NORTH}])
async def test_a_profile_that_drifted_and_changed_during_a_reading_is_read_again(
    wanted: dict[IPv4Address, ProfileElements],
) -> None:
    contents, table = await ready({FIVE: TO_NORTH})
    table.profiles[FIVE] = ProfileElements({}, frozenset({1}))  # a hand took the way
    table.reading.clear()
    table.snapshot_taken.clear()
    reading = asyncio.create_task(contents.refresh())
    await table.snapshot_taken.wait()
    contents.desire(TableState({}, IDS))
    await contents.bring({FIVE})
    contents.desire(TableState(wanted, IDS))
    table.reading.set()
    await reading
    assert table.profiles == wanted


async def test_a_replacement_during_a_reading_is_not_undone_by_it() -> None:
    contents, table = await ready({FIVE: TO_NORTH})
    table.intact = False
    table.reading.clear()
    table.snapshot_taken.clear()
    first = asyncio.create_task(contents.refresh())
    await table.snapshot_taken.wait()
    table.reading.set()
    await first
    assert table.done == ["replace"]


async def test_drift_is_described_and_corrected() -> None:
    contents, table = await ready({FIVE: TO_NORTH})
    table.profiles = {FIVE: ProfileElements({REAL: NORTH}), SIX: ProfileElements({}, frozenset({2}))}
    assert set(await contents.refresh()) == {
        "allowed 100.64.0.5 . 1 was missing",
        "allowed 100.64.0.6 . 2 was added",
    }
    assert table.profiles == {FIVE: TO_NORTH}
    assert await contents.refresh() == ()


async def test_a_way_without_permission_is_swept_later_and_comes_back_for_free() -> None:
    contents, table = await ready({FIVE: TO_NORTH})
    now = asyncio.get_running_loop().time()
    contents.desire(TableState({FIVE: NOTHING}, IDS))
    await contents.bring({FIVE})
    assert table.done == ["Revoke"]
    assert not await contents.sweep(now - 60)
    contents.desire(TableState({FIVE: TO_NORTH}, IDS))
    await contents.bring({FIVE})
    assert await contents.sweep(now + 60)  # looked at, and left alone
    assert table.profiles == {FIVE: TO_NORTH}
    contents.desire(TableState({}, IDS))
    await contents.bring({FIVE})
    assert await contents.sweep(now + 60)
    assert table.profiles == {}
    assert contents.stale == 0


async def test_it_knows_that_a_revocation_was_not_enforced() -> None:
    contents, table = await ready({FIVE: TO_NORTH})
    table.refuse = (Revoke,)
    contents.desire(TableState({}, IDS))
    assert contents.holds_too_much()
    with pytest.raises(KernelError):
        await contents.bring({FIVE})
    assert contents.holds_too_much()
    table.refuse = ()
    await contents.refresh()
    assert not contents.holds_too_much()


class Refusing:
    """Stands for libnftables: refuses a transaction that deletes an element that is not there."""

    def __init__(self, there: set[str]) -> None:
        self.there = there

    async def arun(self, commands: str) -> str:
        named = {pair for pair in ("100.64.0.5 . 1", "100.64.0.5 . 2", "100.64.0.6 . 1") if pair in commands}
        if not named <= self.there:
            raise KernelError("No such file or directory")
        self.there -= named
        return ""


async def test_one_missing_element_keeps_no_other_revocation_from_taking_effect() -> None:
    table = Table.__new__(Table)
    kernel = Refusing({"100.64.0.5 . 1", "100.64.0.6 . 1"})
    parts: dict[str, Any] = {"_changes": kernel, "_settings": VpnSettings()}
    for name, value in parts.items():
        setattr(table, name, value)
    with pytest.raises(KernelError):
        await table.revoke(Revoke(((FIVE, 1), (FIVE, 2), (SIX, 1))))
    assert kernel.there == set()
