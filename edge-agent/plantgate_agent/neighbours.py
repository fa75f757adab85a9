"""Whether a device is there at all: asked by address resolution, without a packet to the device's own programs.

`ip neigh replace ADDRESS dev LAN use` makes the kernel resolve the address as if a packet were to be sent
(NTF_USE, linux/neighbour.h); the neighbour table then says what came of it (ip-neighbour(8)).
"""

import asyncio
import json
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

from plantgate_shared.errors import KernelError
from plantgate_shared.kernel.commands import run
from plantgate_shared.protocol.control import DeviceLookedFor, LookForDevice, Presence

AT_ONCE = 4
"""Questions at the same time: each costs a few processes on a small gateway."""
PATIENCE = 6.0
"""Seconds; the kernel gives up after three requests, a second apart."""
LOOK_EVERY = 0.1

_THERE = frozenset({"REACHABLE", "STALE", "DELAY", "PROBE"})
_FIXED = frozenset({"PERMANENT", "NOARP"})


class Neighbours:
    """Answers the hub's questions. `inside` says whether people may reach an address through this gateway at all."""

    def __init__(self, inside: Callable[[IPv4Address], bool]) -> None:
        self._inside = inside
        self._running: set[asyncio.Task[None]] = set()

    def ask(self, question: LookForDevice, answer: Callable[[DeviceLookedFor], None]) -> None:
        """Look in the background; `answer` hears the result within PATIENCE, or that there are too many questions."""
        if len(self._running) >= AT_ONCE:
            answer(DeviceLookedFor(question.number, Presence.UNKNOWN, "the gateway is looking for other devices"))
            return
        task = asyncio.get_running_loop().create_task(self._look(question, answer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _look(self, question: LookForDevice, answer: Callable[[DeviceLookedFor], None]) -> None:
        if self._inside(question.address):
            try:
                presence, detail = await look(question.address)
            except KernelError as error:
                presence, detail = Presence.UNKNOWN, error.message
        else:
            presence, detail = Presence.OUTSIDE, ""
        answer(DeviceLookedFor(question.number, presence, detail))


async def look(address: IPv4Address) -> tuple[Presence, str]:
    """Whether a device has this address on a network of this host, and a detail. Raises KernelError."""
    route = (await _ip("-4", "route", "get", str(address), operation=f"find the way to {address}"))[0]
    if route.get("type") == "local":
        return Presence.UNKNOWN, "it is an address of the gateway itself"
    if "gateway" in route:
        return Presence.UNKNOWN, f"it is behind another router, {route['gateway']}"
    place = (str(address), "dev", str(route["dev"]))
    known, _ = await _state(place)
    if known & _FIXED:
        return Presence.UNKNOWN, "the gateway has a fixed entry for it"
    if known:  # what an earlier packet learnt may be out of date
        await _forget(place)
    states, hardware = frozenset[str](), ""
    await _ip("neigh", "replace", *place, "use", operation=f"resolve {address}")
    try:
        async with asyncio.timeout(PATIENCE):
            while "FAILED" not in states and not (states & _THERE and hardware):
                await asyncio.sleep(LOOK_EVERY)
                states, hardware = await _state(place)
    except TimeoutError:
        return Presence.SILENT, ""
    return (Presence.SILENT, "") if "FAILED" in states else (Presence.ANSWERS, hardware)


async def _forget(place: tuple[str, ...]) -> None:
    try:
        await _ip("neigh", "del", *place, operation=f"resolve {place[0]} anew")
    except KernelError:
        if (await _state(place))[0]:  # else it expired meanwhile
            raise


async def _state(place: tuple[str, ...]) -> tuple[frozenset[str], str]:
    """The neighbour's states and hardware address; nothing where the kernel knows none."""
    address, *device = place
    for entry in await _ip("neigh", "show", "to", address, *device, operation=f"look for {address}"):
        return frozenset(entry.get("state", ())), str(entry.get("lladdr", ""))
    return frozenset(), ""


async def _ip(*arguments: str, operation: str) -> list[dict[str, Any]]:
    output = await run("ip", "-json", *arguments, operation=operation)
    found: list[dict[str, Any]] = json.loads(output) if output.strip() else []
    return found
