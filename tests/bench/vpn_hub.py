"""The hub's data plane at full size, for `vpn-elements`: prints its times as one JSON object, in milliseconds."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any, cast

from plantgate_hub.domain.model import PlantId, Subnet, SubnetId
from plantgate_hub.vpn.interfaces import Interfaces
from plantgate_hub.vpn.reconciler import VpnDataPlane
from plantgate_hub.vpn.state import NOTHING, ProfileElements, VpnSettings, VpnState
from plantgate_shared.secret import Secret

PEOPLE, PLANTS_EACH, ROUNDS = 2500, 20, 40
ELEMENTS = PEOPLE * PLANTS_EACH
REVOKED = 2000
SUBNETS = 500
FIRST = IPv4Address("100.64.1.0")


class _NoInterfaces:
    """The links are there already."""

    async def reconcile(self, _desired: VpnState) -> tuple[str, ...]:
        return ()

    reconcile_peers = reconcile

    async def fence(self) -> None:
        """Nothing to close."""


class Plane(VpnDataPlane):
    """The data plane over links of the benchmark's own."""

    def __init__(self) -> None:
        super().__init__(VpnSettings(), Secret(b""), Secret(b""))
        self._interfaces = cast(Interfaces, _NoInterfaces())


def transit(number: int) -> IPv4Network:
    return IPv4Network((int(IPv4Address("240.16.0.0")) + (number << 8), 24))


def reach(person: int) -> ProfileElements:
    """Twenty plants of the 500; each person has others, all on the same few ranges."""
    chosen = [(person * 7 + plant * 11) % (SUBNETS - 2) for plant in range(PLANTS_EACH)]
    pairs = {IPv4Network(f"192.168.{plant}.0/24"): transit(number) for plant, number in enumerate(chosen)}
    return ProfileElements(pairs, frozenset(number + 1 for number in chosen))


def state() -> VpnState:
    subnets = tuple(
        Subnet(SubnetId(str(n)), PlantId(str(n)), IPv4Network("192.168.0.0/24"), transit(n), n + 1)
        for n in range(SUBNETS)
    )
    return VpnState((), {FIRST + person: reach(person) for person in range(PEOPLE)}, (), subnets)


async def timed(work: Awaitable[Any]) -> float:
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) * 1e3


async def single(plane: Plane) -> dict[str, Any]:
    """Changes of one element each, with nothing else going on, and while a verification reads the table."""
    current = state()
    seen: dict[str, Any] = {"elements": ELEMENTS, "start": await timed(plane.start(current))}
    new, other = IPv4Network("10.9.8.0/24"), IPv4Network("192.168.0.0/24")
    people = [FIRST + person for person in range(REVOKED, REVOKED + ROUNDS)]

    async def each(change: Callable[[ProfileElements], ProfileElements]) -> list[float]:
        nonlocal current
        changed = {address: change(current.elements[address]) for address in people}
        times = [await timed(plane.update({address: elements})) for address, elements in changed.items()]
        await plane.settle()
        current = replace(current, elements={**current.elements, **changed})
        return times

    def granted(has: ProfileElements) -> ProfileElements:  # a range that this person did not have: the map grows
        return ProfileElements({**has.plants, new: transit(SUBNETS - 1)}, has.allowed | {SUBNETS})

    def revoked(has: ProfileElements) -> ProfileElements:
        rest = {prefix: to for prefix, to in has.plants.items() if prefix != new}
        return ProfileElements(rest, has.allowed - {SUBNETS})

    def switched(has: ProfileElements) -> ProfileElements:
        return ProfileElements({**has.plants, other: transit(SUBNETS - 2)}, has.allowed | {SUBNETS - 1})

    seen |= {"grants": await each(granted), "revocations": await each(revoked), "switches": await each(switched)}
    seen["verification"] = await timed(plane.verify(current))
    verifying = asyncio.create_task(plane.verify(current))
    times = []
    for person in range(REVOKED):
        if verifying.done():
            break
        reached = current.elements[FIRST + person]
        times.append(await timed(plane.update({FIRST + person: replace(reached, allowed=frozenset())})))
        await asyncio.sleep(0.005)
    await verifying
    return {**seen, "revocations_while_verifying": times}


async def bulk(plane: Plane) -> dict[str, Any]:
    """One plant subnet each is taken from 2,000 people, and then everything, while all of them send."""
    current = state()
    await plane.start(current)
    print("started", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    seen: dict[str, Any] = {}
    first = IPv4Network("192.168.0.0/24")
    changed = {}
    for person in range(REVOKED):
        has = reach(person)
        gone = int(has.plants[first].network_address) - int(transit(0).network_address) >> 8
        rest = {prefix: to for prefix, to in has.plants.items() if prefix != first}
        changed[FIRST + person] = ProfileElements(rest, has.allowed - {gone + 1})
    seen["revoked_at"] = time.time()
    seen["applied"] = await timed(plane.update(changed))
    await plane.settle()
    await asyncio.sleep(1.5)  # long enough for a packet that should not be there
    seen["everything"] = await timed(plane.update(dict.fromkeys(changed, NOTHING)))
    return seen


async def main() -> None:
    plane = Plane()
    print(json.dumps(await {"single": single, "bulk": bulk}[sys.argv[1]](plane)), flush=True)
    plane.close()


if __name__ == "__main__":
    asyncio.run(main())
