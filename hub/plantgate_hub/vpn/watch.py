"""Who uses the VPN to which plant: the flows that the kernel tracks, of people whose tunnel is up."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address
from typing import Protocol

from plantgate_shared.errors import KernelError
from plantgate_shared.kernel.conntrack import Flow
from plantgate_shared.logging import Event, get_logger

from ..connected import Connected, Means
from ..domain.diagnosis import HANDSHAKE_FRESH
from ..domain.model import PersonId, PlantId
from ..domain.snapshot import Snapshot

PERIOD = 5.0
"""Seconds between looks; all flows are listed, some microseconds each."""


class PeopleFlows(Protocol):
    """What is needed of the data plane."""

    async def people_flows(self) -> Iterable[Flow]:
        """Tracked flows of people to plants."""

    async def people_handshakes(self) -> Mapping[str, int]:
        """Second of the last handshake by public key."""


def uses(
    snapshot: Snapshot, flows: Iterable[Flow], handshakes: Mapping[str, int], now: float
) -> Mapping[tuple[PersonId, PlantId], int]:
    """How many flows each person has to each plant. Pure."""
    people: dict[IPv4Address, PersonId] = {
        profile.address: profile.person
        for profile in snapshot.profiles
        # An entry of a TCP connection whose ends are both gone stays for days: the tunnel has to be up as well.
        if now - handshakes.get(profile.public_key, 0) < HANDSHAKE_FRESH
    }
    transits = {subnet.transit: subnet.plant for subnet in snapshot.subnets}
    lengths = sorted({transit.prefixlen for transit in transits}, reverse=True)
    by_start = {(int(transit.network_address), transit.prefixlen): plant for transit, plant in transits.items()}
    found: Counter[tuple[PersonId, PlantId]] = Counter()
    for flow in flows:
        person = people.get(flow.source)
        address = int(flow.reply_source)
        starts = ((address >> (32 - length) << (32 - length), length) for length in lengths)
        plant = next((by_start[start] for start in starts if start in by_start), None)
        if person is not None and plant is not None:
            found[person, plant] += 1
    return found


class ConnectionWatch:
    """`run` until cancelled."""

    def __init__(
        self,
        plane: PeopleFlows,
        snapshot: Callable[[], Snapshot],
        connected: Connected,
        now: Callable[[], float],
        period: float = PERIOD,
    ) -> None:
        self._plane = plane
        self._snapshot = snapshot
        self._connected = connected
        self._now = now
        self._period = period
        self._log = get_logger(part="vpn")

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._period)
            try:
                flows = await self._plane.people_flows()
                handshakes = await self._plane.people_handshakes() if flows else {}
            except KernelError as error:
                self._log.warning(Event.KERNEL_REFUSED, error=str(error))
                continue
            found = await asyncio.to_thread(uses, self._snapshot(), flows, handshakes, self._now())
            for (person, plant), count in found.items():
                self._connected.see(person, plant, Means.VPN, count)
