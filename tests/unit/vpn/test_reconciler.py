"""What the data plane does when the kernel refuses, and with states that arrive out of order."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any, cast

import pytest

from plantgate_hub.vpn.availability import _has_net_admin
from plantgate_hub.vpn.contents import Contents
from plantgate_hub.vpn.interfaces import Interfaces
from plantgate_hub.vpn.plan import TableState
from plantgate_hub.vpn.reconciler import VpnDataPlane
from plantgate_hub.vpn.state import NOTHING, ProfileElements, VpnSettings, VpnState
from plantgate_shared.errors import KernelError
from plantgate_shared.secret import Secret

FIVE = IPv4Address("100.64.0.5")
SOMETHING = ProfileElements({}, frozenset({1}))


class FakeContents:
    def __init__(self) -> None:
        self.desired = TableState()
        self.failures = 0
        self.too_much = False
        self.refreshed = 0

    def desire(self, desired: TableState) -> None:
        self.desired = desired

    def holds_too_much(self) -> bool:
        return self.too_much

    async def bring(self, addresses: set[IPv4Address]) -> set[IPv4Address]:
        self._fail()
        return addresses

    async def refresh(self) -> tuple[str, ...]:
        self.refreshed += 1
        self._fail()
        return ()

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise KernelError("refused")


class FakeInterfaces:
    fenced = False

    async def fence(self) -> None:
        self.fenced = True

    async def reconcile_peers(self, _desired: VpnState) -> None:
        """Nothing to do."""


class Plane(VpnDataPlane):
    def __init__(self) -> None:
        super().__init__(VpnSettings(), Secret(b""), Secret(b""))
        self.contents, self.interfaces = FakeContents(), FakeInterfaces()
        self._contents, self._interfaces = cast(Contents, self.contents), cast(Interfaces, self.interfaces)

    def wanted(self) -> Mapping[IPv4Address, ProfileElements]:
        return self.contents.desired.profiles


async def test_a_refused_update_falls_back_to_a_full_pass() -> None:
    plane = Plane()
    plane.contents.failures = 1
    await plane.update({FIVE: NOTHING})
    assert plane.contents.refreshed == 1
    assert not plane.interfaces.fenced


@pytest.mark.parametrize("too_much", [True, False])
async def test_people_are_cut_off_only_when_a_revocation_cannot_be_enforced(too_much: bool) -> None:
    plane = Plane()
    plane.contents.failures, plane.contents.too_much = 2, too_much
    with pytest.raises(KernelError):
        await plane.update({FIVE: NOTHING})
    assert plane.interfaces.fenced is too_much


async def test_an_older_state_does_not_undo_a_newer_update() -> None:
    plane = Plane()
    old: Any = VpnState(elements={FIVE: SOMETHING}, revision=7)
    await plane.change(old)
    await plane.update({FIVE: NOTHING}, revision=9)
    await plane.change(replace(old, revision=8))
    assert plane.wanted()[FIVE] == NOTHING
    await plane.change(replace(old, revision=9))
    assert plane.wanted()[FIVE] == SOMETHING


async def test_a_subnet_that_changed_reaches_the_table() -> None:
    plane = Plane()
    await plane.change(VpnState(revision=1))
    ids = plane.contents.desired.plant_id
    await plane.update({FIVE: SOMETHING})
    assert plane.contents.desired.plant_id is ids


@pytest.mark.parametrize(("capabilities", "expected"), [("000001ffffffffff", True), ("0", False), ("1000", True)])
def test_the_right_to_change_networks_is_read_from_the_process(capabilities: str, expected: bool) -> None:
    assert _has_net_admin(f"Name:\tx\nCapEff:\t{capabilities}\n") is expected
