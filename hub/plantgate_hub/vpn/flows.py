"""Ending tracked flows that lead to another place than the person's elements say now."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network

from plantgate_shared.kernel.conntrack import Conntrack, Flow

from .elements import leads_to
from .state import NOTHING, ProfileElements

_SINGLE_SOURCES = 8
"""Up to so many people the kernel is asked for each one's flows; for more, one listing of all is cheaper."""


def misled(
    flows: Iterable[Flow],
    elements: Mapping[IPv4Address, ProfileElements],
    profiles_pool: IPv4Network,
    transit_pool: IPv4Network,
) -> list[Flow]:
    """Flows of people to plants that a new packet of theirs would not take."""
    return [
        flow
        for flow in flows
        if flow.source in profiles_pool
        and flow.reply_source in transit_pool
        and leads_to(elements.get(flow.source, NOTHING), flow.destination) != flow.reply_source
    ]


class Flows:
    """The tracked flows of this network namespace."""

    def __init__(self, profiles_pool: IPv4Network, transit_pool: IPv4Network) -> None:
        self._pools = (profiles_pool, transit_pool)
        self._conntrack = Conntrack()

    async def end_misled(
        self,
        elements: Callable[[], Mapping[IPv4Address, ProfileElements]],
        addresses: Collection[IPv4Address] | None = None,
    ) -> int:
        """End misled flows, of these people or of all; how many there were. Raises KernelError.

        `elements` is asked once the flows are listed: a flow that began by a later change must be judged by that.
        """
        if addresses is None or len(addresses) > _SINGLE_SOURCES:
            flows = await self._conntrack.flows()
        else:
            flows = [flow for address in addresses for flow in await self._conntrack.flows(address)]
        return await self._conntrack.delete(await asyncio.to_thread(misled, flows, elements(), *self._pools))

    async def of_people(self) -> list[Flow]:
        """All flows of people to plants. Raises KernelError."""
        profiles, transit = self._pools
        return [f for f in await self._conntrack.flows() if f.source in profiles and f.reply_source in transit]

    def close(self) -> None:
        self._conntrack.close()
