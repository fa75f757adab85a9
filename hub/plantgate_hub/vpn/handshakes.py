"""When people's WireGuard clients last shook hands with this node, however often somebody asks."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from plantgate_shared.errors import KernelError

from ..domain.model import PersonId
from ..domain.snapshot import Snapshot

READ_EVERY = 1.0
"""Seconds for which one reading of the kernel serves everybody who asks."""


class ProfilePeers(Protocol):
    """What is needed of the data plane."""

    async def people_handshakes(self) -> Mapping[str, int]:
        """Second of the last handshake by public key, 0 for never. Raises KernelError."""


class Handshakes:
    """Of one node. `clock` never goes back."""

    def __init__(self, snapshot: Callable[[], Snapshot], clock: Callable[[], float]) -> None:
        self.plane: ProfilePeers | None = None
        """The data plane while it runs."""
        self._snapshot = snapshot
        self._clock = clock
        self._read: Mapping[str, int] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def newest(self, person: PersonId) -> float | None:
        """The newest of the person's profiles, seconds since the epoch; 0 for never, None when it cannot be told."""
        async with self._reading:
            plane = self.plane
            if plane is None:
                return None
            if self._clock() - self._read_at >= READ_EVERY:
                try:
                    self._read = await plane.people_handshakes()
                except KernelError:
                    return None
                self._read_at = self._clock()
        profiles = self._snapshot().profiles_of(person)
        return float(max((self._read.get(profile.public_key, 0) for profile in profiles), default=0))
