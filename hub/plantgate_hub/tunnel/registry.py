"""Which agents are attached to this node, what they report, and streams through them to their plants' devices."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Protocol

from plantgate_shared.protocol.control import AgentStatus, DeviceLookedFor, Presence, TunnelPath
from plantgate_shared.protocol.frames import GoAwayReason, ResetReason
from plantgate_shared.secret import Secret
from plantgate_shared.tunnel import StreamReset, TunnelClosed, TunnelStream

from ..domain.model import AgentId, PlantId
from ..ports import StreamProblem, StreamUnavailable


@dataclass(frozen=True, slots=True)
class AgentState:
    """One attached agent, as portal and VPN see it."""

    agent: AgentId
    plant: PlantId
    transit_address: IPv4Address
    epoch: int
    since: float
    """When it attached, seconds since the epoch."""
    status: AgentStatus | None = None
    """What it last reported; None until it has."""

    @property
    def path(self) -> TunnelPath | None:
        """Which way its WireGuard datagrams take."""
        return self.status.path if self.status else None


class Happening(StrEnum):
    """What listeners are told of."""

    ATTACHED = "attached"
    """Also when a newer connection took the place of an older one, which is then not reported as detached."""
    DETACHED = "detached"
    STATUS = "status changed"


Listener = Callable[[Happening, AgentState], None]
"""Called on the event loop, synchronously, after the registry has changed."""


class Attachment(Protocol):
    """The live side of an attached agent, as the registry uses it; `endpoint.AttachedAgent` is one."""

    @property
    def state(self) -> AgentState: ...
    @property
    def probe_key(self) -> Secret: ...

    async def open_stream(self, target: Mapping[str, object], timeout: float) -> TunnelStream: ...

    async def look_for_device(self, address: IPv4Address, timeout: float) -> DeviceLookedFor: ...

    def end(self, reason: GoAwayReason, detail: str = "") -> None: ...


OFFLINE = DeviceLookedFor(0, Presence.UNKNOWN, "the plant's agent is not connected")

_PROBLEMS = {
    ResetReason.REFUSED: StreamProblem.REFUSED,
    ResetReason.NOT_ALLOWED: StreamProblem.OUTSIDE,
    ResetReason.TOO_MANY: StreamProblem.BUSY,
}
"""All other reasons mean that the device was not reached."""


class DeviceStream:
    """A tunnel stream as the Browser Proxy takes it (`ports.ByteStream`)."""

    __slots__ = ("_stream",)

    def __init__(self, stream: TunnelStream) -> None:
        self._stream = stream

    async def read(self, n: int) -> bytes:
        return await self._stream.read(n)

    async def write(self, data: bytes) -> None:
        await self._stream.write(data)

    async def write_eof(self) -> None:
        await self._stream.write_eof()

    def reset(self, reason: str) -> None:
        self._stream.reset(ResetReason(reason) if reason in _RESET_REASONS else ResetReason.CANCELLED)


_RESET_REASONS = frozenset(str(reason) for reason in ResetReason)


class AgentRegistry:
    """The attached agents of this node: at most one attachment an agent, the newest; `ports.Streams` for the proxy."""

    def __init__(self) -> None:
        self._agents: dict[AgentId, Attachment] = {}
        self._by_address: dict[IPv4Address, Attachment] = {}
        self._by_plant: dict[PlantId, dict[AgentId, Attachment]] = {}
        self._listeners: list[Listener] = []

    # --- who is there ---

    @property
    def online(self) -> frozenset[AgentId]:
        """The attached agents, as `domain.routes.routes_of` takes them."""
        return frozenset(self._agents)

    def states(self) -> tuple[AgentState, ...]:
        return tuple(attachment.state for attachment in self._agents.values())

    def get(self, agent: AgentId) -> AgentState | None:
        attachment = self._agents.get(agent)
        return attachment.state if attachment else None

    def of_plant(self, plant: PlantId) -> AgentState | None:
        """The plant's attached agent."""
        attachment = self._serving(plant)
        return attachment.state if attachment else None

    def connected(self, plant: PlantId) -> bool:
        return plant in self._by_plant

    def probe_key(self, transit_address: IPv4Address) -> Secret | None:
        """The probe key of the attached agent with this address."""
        attachment = self._by_address.get(transit_address)
        return attachment.probe_key if attachment else None

    def watch(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` at each happening; returns what ends the watch."""
        self._listeners.append(listener)

        def unwatch() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unwatch

    # --- streams ---

    async def open_stream(self, plant: PlantId, target: Mapping[str, object], timeout: float) -> DeviceStream:
        """A stream to {"host", "port"} in the plant, within `timeout` seconds. Raises StreamUnavailable."""
        attachment = self._serving(plant)
        if attachment is None:
            raise StreamUnavailable(StreamProblem.OFFLINE)
        try:
            return DeviceStream(await attachment.open_stream(target, timeout))
        except TunnelClosed:
            raise StreamUnavailable(StreamProblem.OFFLINE) from None
        except StreamReset as error:
            raise StreamUnavailable(_PROBLEMS.get(error.reason, StreamProblem.UNREACHABLE)) from error

    def _serving(self, plant: PlantId) -> Attachment | None:
        # Two only for the moment in which another gateway became the active one: the higher epoch is the plant's.
        candidates = self._by_plant.get(plant)
        return max(candidates.values(), key=lambda one: one.state.epoch) if candidates else None

    async def look_for_device(self, plant: PlantId, address: IPv4Address, timeout: float) -> DeviceLookedFor:
        """Whether a device answers at this address of the plant's network, within `timeout` seconds."""
        attachment = self._serving(plant)
        return await attachment.look_for_device(address, timeout) if attachment else OFFLINE

    # --- for the endpoint ---

    def attach(self, attachment: Attachment) -> None:
        """Enter an agent; an older connection of the same agent is ended."""
        state = attachment.state
        older = self._agents.get(state.agent)
        if older is not None:
            self._forget(older)
            older.end(GoAwayReason.REPLACED, "a newer connection of this agent took over")
        self._agents[state.agent] = attachment
        self._by_address[state.transit_address] = attachment
        self._by_plant.setdefault(state.plant, {})[state.agent] = attachment
        self._tell(Happening.ATTACHED, state)

    def detach(self, attachment: Attachment) -> None:
        """Forget an agent; does nothing if a newer connection took its place already."""
        if self._agents.get(attachment.state.agent) is attachment:
            self._forget(attachment)
            self._tell(Happening.DETACHED, attachment.state)

    def status_changed(self, attachment: Attachment) -> None:
        if self._agents.get(attachment.state.agent) is attachment:
            self._tell(Happening.STATUS, attachment.state)

    def _forget(self, attachment: Attachment) -> None:
        state = attachment.state
        del self._agents[state.agent]
        if self._by_address.get(state.transit_address) is attachment:
            del self._by_address[state.transit_address]
        of_plant = self._by_plant[state.plant]
        del of_plant[state.agent]
        if not of_plant:
            del self._by_plant[state.plant]

    def _tell(self, happening: Happening, state: AgentState) -> None:
        for listener in tuple(self._listeners):
            listener(happening, state)
