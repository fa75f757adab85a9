"""Gateways whose WireGuard cannot come back by itself, because their clock went back.

WireGuard refuses a handshake whose timestamp is not newer than the last one it saw of that peer (WireGuard paper, 5.1),
so a gateway that boots with a clock years in the past would stay out until its clock is right. Its tunnel has proved
who it is; when no handshake follows the attach, its peer is made anew, and with it what WireGuard remembers of it.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from plantgate_shared.errors import KernelError
from plantgate_shared.logging import Event, get_logger

from ..domain.model import AgentId
from ..tunnel.registry import AgentState

PERIOD = 3.0
"""Seconds between looks; nothing is read while every attached agent had its handshake."""
PATIENCE = 12.0
"""Seconds after the attach within which a handshake must come: an agent makes one at once, and tries every 5 s."""
AGAIN = 60.0
"""Seconds between attempts: a gateway whose datagrams do not get through has no handshake either."""


@dataclass
class Waiting:
    """Which attached agents still owe a handshake. Pure; times are seconds since the epoch."""

    _done: dict[AgentId, float] = field(default_factory=dict)
    _tried: dict[AgentId, float] = field(default_factory=dict)

    def owing(self, states: Iterable[AgentState], now: float) -> tuple[AgentState, ...]:
        return tuple(s for s in states if now - s.since >= PATIENCE and self._done.get(s.agent) != s.since)

    def due(self, owing: Iterable[AgentState], handshakes: Mapping[AgentId, int], now: float) -> tuple[AgentId, ...]:
        """Those to be renewed now; `handshakes` has the second of each agent's last handshake, 0 for never."""
        due = []
        for state in owing:
            if handshakes.get(state.agent, 0) >= int(state.since):
                self._done[state.agent] = state.since
            elif now - self._tried.get(state.agent, float("-inf")) >= AGAIN:
                self._tried[state.agent] = now
                due.append(state.agent)
        return tuple(due)


class AgentPeers(Protocol):
    """What is needed of the data plane."""

    async def agent_handshakes(self) -> Mapping[str, int]:
        """Second of the last handshake by public key."""

    async def renew_agent(self, public_key: str) -> None: ...


class Revival:
    """`run` until cancelled."""

    def __init__(
        self,
        plane: AgentPeers,
        states: Callable[[], Iterable[AgentState]],
        key_of: Callable[[AgentId], str | None],
        now: Callable[[], float],
        period: float = PERIOD,
    ) -> None:
        self._plane = plane
        self._states = states
        self._key_of = key_of
        self._now = now
        self._period = period
        self._waiting = Waiting()
        self._log = get_logger(part="vpn")

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._period)
            try:
                await self._look()
            except KernelError as error:
                self._log.warning(Event.KERNEL_REFUSED, error=str(error))

    async def _look(self) -> None:
        owing = self._waiting.owing(self._states(), self._now())
        if not owing:
            return
        by_key = await self._plane.agent_handshakes()
        keys = {state.agent: self._key_of(state.agent) for state in owing}
        handshakes = {agent: by_key.get(key or "", 0) for agent, key in keys.items()}
        for agent in self._waiting.due(owing, handshakes, self._now()):
            if key := keys[agent]:
                self._log.info(Event.PEER_RENEWED, agent=agent)
                await self._plane.renew_agent(key)
