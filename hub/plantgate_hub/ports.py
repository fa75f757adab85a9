"""What sign-in, portal and Browser Proxy need from the rest of the hub, as small protocols."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Protocol

from plantgate_shared.errors import PlantgateError
from plantgate_shared.protocol.control import DeviceLookedFor

from .domain.model import Device, Person, PersonId, Plant, PlantId, TargetId, WebTarget
from .domain.policy import Denial
from .domain.snapshot import Change
from .freshness import Freshness
from .store.protocol import Credentials, PasswordRecord, SessionRecord, StoreUnavailable, TotpRecord
from .store.protocol import Sessions as SessionRecords

__all__ = [
    "Access",
    "ByteStream",
    "CertificatePins",
    "Clock",
    "Credentials",
    "Destination",
    "DevicePresence",
    "PasswordRecord",
    "SessionRecord",
    "SessionRecords",
    "StoreUnavailable",
    "StreamProblem",
    "StreamUnavailable",
    "Streams",
    "TotpRecord",
]

Clock = Callable[[], float]
"""Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A web target together with the device and the plant it belongs to."""

    target: WebTarget
    device: Device
    plant: Plant


class Access(Protocol):
    """Look-ups in the node's in-memory snapshot: no I/O, so that each request can ask."""

    def person(self, person: PersonId) -> Person | None: ...

    def destination(self, host: str) -> Destination | None:
        """The web target whose public name's leftmost label is `host` (lower case)."""

    def siblings(self, destination: Destination) -> Sequence[WebTarget]:
        """All web targets of the destination's device, itself included."""

    def sees_plant(self, person: PersonId, plant: PlantId, now: float) -> bool: ...

    def refusal(self, person: PersonId, plant: PlantId, now: float) -> Denial | None:
        """Why the person may not open the plant's device pages; None: they may. That a second factor was passed in the
        session is checked by the proxy itself."""

    def freshness(self) -> Freshness:
        """Whether the snapshot is young enough to let anybody new in, or to go on at all."""

    def watch(self, listener: Callable[[Sequence[Change]], None]) -> Callable[[], None]:
        """Call `listener` with what changed after every change of the snapshot; returns what ends the watch."""


class CertificatePins(Protocol):
    async def pin_first(self, target: TargetId, sha256: str) -> str:
        """Pin `sha256` unless a certificate is pinned already; returns the pin in force. Atomic."""


class StreamProblem(StrEnum):
    """Why a stream to a device could not be opened."""

    OFFLINE = "the plant's agent is not connected"
    REFUSED = "the device refused the connection"
    UNREACHABLE = "the device did not answer"
    OUTSIDE = "the address is outside what the agent may reach"
    BUSY = "the agent carries as many connections as it can"
    FAILED = "the agent could not open the connection"


class StreamUnavailable(PlantgateError):
    http_status = 502

    def __init__(self, problem: StreamProblem) -> None:
        super().__init__(problem.value)
        self.problem = problem


class ByteStream(Protocol):
    """A connection to a device. Failures after opening are OSError or PlantgateError."""

    async def read(self, n: int, /) -> bytes:
        """Up to `n` bytes; empty at the end."""

    async def write(self, data: bytes, /) -> None:
        """Returns when the data has been taken, so a slow device slows its writer."""

    async def write_eof(self) -> None: ...

    def reset(self, reason: str) -> None:
        """Close in both directions at once; harmless on a closed stream."""


class Streams(Protocol):
    """Streams through the plants' agents."""

    def connected(self, plant: PlantId) -> bool: ...

    async def open_stream(self, plant: PlantId, target: Mapping[str, object], timeout: float) -> ByteStream:
        """A stream to {"host", "port"} in the plant. Raises StreamUnavailable or TimeoutError."""


class DevicePresence(Protocol):
    """What the plants' agents see on their networks."""

    async def look_for_device(self, plant: PlantId, address: IPv4Address, timeout: float) -> DeviceLookedFor:
        """Whether a device answers at this address of the plant's network; what cannot be told is an answer too."""
