"""Streams through the agents' tunnels, as the proxy knows them."""

from collections.abc import Mapping
from typing import Protocol

from plantgate_shared.errors import PlantgateError
from plantgate_shared.protocol.frames import ResetReason
from plantgate_shared.tunnel import StreamReset, TunnelStream

from ..domain.model import PlantId
from ..ports import StreamProblem, StreamUnavailable

_PROBLEMS: dict[ResetReason, StreamProblem] = {
    ResetReason.REFUSED: StreamProblem.REFUSED,
    ResetReason.UNREACHABLE: StreamProblem.UNREACHABLE,
    ResetReason.TIMEOUT: StreamProblem.UNREACHABLE,
    ResetReason.NOT_ALLOWED: StreamProblem.OUTSIDE,
    ResetReason.TOO_MANY: StreamProblem.BUSY,
}


class Tunnels(Protocol):
    """The tunnels that are up, by plant."""

    def connected(self, plant: PlantId) -> bool: ...

    async def open_stream(self, plant: PlantId, target: Mapping[str, object], timeout: float) -> TunnelStream:
        """Raises StreamReset, or another PlantgateError when the plant has no tunnel."""


class TunnelBytes:
    """`ports.ByteStream` over a tunnel's stream."""

    def __init__(self, stream: TunnelStream) -> None:
        self._stream = stream
        self.read = stream.read
        self.write = stream.write
        self.write_eof = stream.write_eof

    def reset(self, reason: str) -> None:
        del reason  # the peer needs no more than that it is over
        self._stream.close()


class TunnelStreams:
    """`ports.Streams` over the tunnels."""

    def __init__(self, tunnels: Tunnels) -> None:
        self._tunnels = tunnels

    def connected(self, plant: PlantId) -> bool:
        return self._tunnels.connected(plant)

    async def open_stream(self, plant: PlantId, target: Mapping[str, object], timeout: float) -> TunnelBytes:
        try:
            return TunnelBytes(await self._tunnels.open_stream(plant, target, timeout))
        except StreamReset as error:
            raise StreamUnavailable(_PROBLEMS.get(error.reason, StreamProblem.FAILED)) from None
        except PlantgateError:
            raise StreamUnavailable(StreamProblem.OFFLINE) from None
