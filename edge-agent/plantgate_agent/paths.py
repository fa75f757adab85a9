"""Which way WireGuard's datagrams take, UDP or the websocket: a state machine without I/O or clock.

Theory. The websocket works wherever the agent works at all, so every agent starts there and falls back to it. One
that is started again while WireGuard goes by UDP leaves it there, since the hub may be away just now.
UDP is better (no second retransmission below TCP, no Python on the way), so it is taken as soon as it is proved:

    WEBSOCKET --(one answer to the first probes after start)------------------> UDP
    WEBSOCKET --(RETURN_AFTER answers in a row, after a time that grows)------> UDP
    UDP --(LOST_AFTER probes in a row without answer)-------------------------> WEBSOCKET
    UDP --(WireGuard itself does not get through although probes do)----------> WEBSOCKET, for long

On UDP, received traffic is proof enough and costs nothing; only an idle or a one-way connection is probed. Time on UDP
that ends soon after it began is flapping, and doubles the wait before the next try (hysteresis). Without a tunnel there
is nothing to fall back to, so the machine then stays on UDP.

Idle cost on UDP: a probe and its answer (2 x 65 bytes) every PROBE_IDLE, 0.35 MB a day.
"""

import random
from dataclasses import dataclass

from plantgate_shared.protocol.control import TunnelPath

PROBE_TIMEOUT = 1.0
"""Seconds until a probe counts as lost; round trips over satellite take 0.7."""
PROBE_ACTIVE = 5.0
"""Seconds after the last received packet until a probe asks whether people went quiet or UDP did: when it is cut, their
packets no longer arrive, so there is nothing else to notice."""
PROBE_IDLE = 30.0
"""Longest time between probes on UDP; each answer without traffic in between doubles it up to this."""
STALLED_AFTER = 4.0
"""Seconds of sending without receiving after which UDP is doubted and probed at once."""
LOST_AFTER = 3
"""Lost probes in a row that end UDP: one lost datagram is weather."""
START_PROBES = 3
"""Probes sent in a row when a try begins."""
RETURN_AFTER = 3
"""Answers in a row that UDP needs once it has failed."""
RETRY_FIRST = 10.0
"""Seconds on the websocket before UDP is tried again."""
RETRY_LONGEST = 300.0
FLAPPING_WITHIN = 120.0
"""UDP that lasts less than this was not worth the change: the next wait doubles instead of starting anew."""
RETRY_WITHOUT_TUNNEL = 5.0
"""Seconds between tries while there is no tunnel: UDP is then the only hope."""
FIRST_HANDSHAKE_WITHIN = 12.0
"""Seconds on UDP within which WireGuard must complete a first handshake (it tries every 5)."""
HANDSHAKE_OLD = 165.0
"""Age in seconds of a handshake that shows failed rekeying: REKEY_AFTER_TIME 120 s, keepalive 25 s, some tries."""
WIREGUARD_BLOCKED_HOLD = 900.0
"""Seconds on the websocket when WireGuard was blocked though probes passed: deep inspection is there to stay."""


@dataclass(frozen=True, slots=True)
class SendProbe:
    """Send one probe; its answer is reported by `answered(number)`."""

    number: int


@dataclass(frozen=True, slots=True)
class UsePath:
    """Point WireGuard's peer at this path and make it send at once, so that the hub follows."""

    path: TunnelPath
    reason: str


Command = SendProbe | UsePath


class PathMachine:
    """Feed it events with the time (monotonic seconds), do what `poll` returns, call `poll` again at `deadline`."""

    def __init__(self, now: float, rng: random.Random) -> None:
        self.path = TunnelPath.WEBSOCKET
        self._rng = rng
        self._tunnel = False
        self._since = now
        self._number = 0
        self._pending: int | None = None
        self._next = now
        self._good = 0
        self._lost = 0
        self._retry = RETRY_FIRST
        self._needed = 1
        self._quiet = PROBE_ACTIVE
        self._counters: tuple[int, int] | None = None
        self._stalled_since: float | None = None
        self._blocked: str = ""

    @property
    def deadline(self) -> float:
        """When `poll` has to be called at the latest."""
        return self._next

    def restart(self, now: float) -> None:
        """The hub's endpoint or the probe key is new, or the network changed: try UDP at once, one answer is enough."""
        self._retry = RETRY_FIRST
        self._needed = 1
        self._begin_try(now)

    def adopt_udp(self, now: float) -> None:
        """WireGuard goes by UDP already: this process took over from one that ended. Doubted at once, but not left."""
        self.path = TunnelPath.UDP
        self._since = now
        self._begin_try(now)

    def tunnel(self, up: bool, now: float) -> None:
        """The websocket came up or went away."""
        if up == self._tunnel:
            return
        self._tunnel = up
        if self.path is TunnelPath.UDP:
            self._next = min(self._next, now)  # the same event may have cut UDP: look now, not after the idle time
        elif not up:
            self._next = min(self._next, now + RETRY_WITHOUT_TUNNEL)
        elif self._retry < WIREGUARD_BLOCKED_HOLD:  # a new tunnel may mean a new network
            self._retry = RETRY_FIRST
            self._begin_try(now)

    def answered(self, number: int, now: float) -> None:
        """A valid answer to probe `number` came; late answers to earlier probes prove nothing about now."""
        if number != self._pending:
            return
        self._pending = None
        self._lost = 0
        self._stalled_since = None
        if self.path is TunnelPath.UDP:
            self._next = now + self._quiet
            self._quiet = min(PROBE_IDLE, self._quiet * 2)
            return
        self._good += 1
        self._next = now if self._good >= self._needed else now + PROBE_TIMEOUT

    def traffic(self, sent: int, received: int, now: float) -> None:
        """Counters of the WireGuard interface, packets; they only ever grow, or start anew with the interface."""
        before, self._counters = self._counters, (sent, received)
        if before is None or self.path is not TunnelPath.UDP:
            self._stalled_since = None
            return
        if received > before[1]:
            self._stalled_since = None
            self._quiet = PROBE_ACTIVE
            if self._pending is None:
                self._lost = 0
                self._next = now + self._quiet
        elif sent > before[0] and self._stalled_since is None:
            self._stalled_since = now
        elif self._stalled_since is not None and now - self._stalled_since >= STALLED_AFTER and self._pending is None:
            self._stalled_since = None
            self._next = min(self._next, now)

    def handshake(self, age: float | None, now: float) -> None:
        """Seconds since WireGuard's last handshake; None: there was none yet."""
        if self.path is not TunnelPath.UDP or not self._tunnel:
            return
        on_udp = now - self._since
        if age is None and on_udp > FIRST_HANDSHAKE_WITHIN:
            self._blocked = "probes pass over UDP, but WireGuard completes no handshake"
        elif age is not None and age > HANDSHAKE_OLD and on_udp > FIRST_HANDSHAKE_WITHIN:
            self._blocked = "probes pass over UDP, but WireGuard cannot renew its session"
        if self._blocked:
            self._next = min(self._next, now)

    def poll(self, now: float) -> list[Command]:
        """What is due at `now`."""
        if self._blocked:
            reason, self._blocked = self._blocked, ""
            self._retry = WIREGUARD_BLOCKED_HOLD
            return [self._fall_back(reason, now)]
        if now < self._next:
            return []
        if self.path is TunnelPath.WEBSOCKET and self._good >= self._needed:
            return [self._take_udp(now)]
        if self._pending is not None:
            self._pending = None
            self._lost += 1
            self._good = 0
            if self.path is TunnelPath.UDP and self._lost >= LOST_AFTER:
                if self._tunnel:
                    return [self._fall_back("UDP no longer gets through", now)]
                self._lost = 0
            if self.path is TunnelPath.WEBSOCKET and self._lost >= START_PROBES:
                self._give_up(now)
                return []
        return [self._probe(now)]

    def _begin_try(self, now: float) -> None:
        self._pending = None
        self._good = self._lost = 0
        self._next = now

    def _probe(self, now: float) -> SendProbe:
        self._number += 1
        self._pending = self._number
        self._next = now + PROBE_TIMEOUT
        return SendProbe(self._number)

    def _give_up(self, now: float) -> None:
        """The try failed: wait, longer each time."""
        wait = self._retry if self._tunnel else RETRY_WITHOUT_TUNNEL
        self._begin_try(now + wait * self._rng.uniform(0.8, 1.2))
        self._retry = max(self._retry, min(RETRY_LONGEST, self._retry * 2))
        self._needed = RETURN_AFTER if self._tunnel else 1

    def _take_udp(self, now: float) -> UsePath:
        self.path = TunnelPath.UDP
        self._since = now
        self._stalled_since = None
        self._quiet = PROBE_ACTIVE
        self._begin_try(now + self._quiet)
        return UsePath(TunnelPath.UDP, "UDP gets through")

    def _fall_back(self, reason: str, now: float) -> UsePath:
        lasted = now - self._since
        if self._retry < WIREGUARD_BLOCKED_HOLD:
            self._retry = min(RETRY_LONGEST, self._retry * 2) if lasted < FLAPPING_WITHIN else RETRY_FIRST
        self.path = TunnelPath.WEBSOCKET
        self._since = now
        self._needed = RETURN_AFTER
        self._begin_try(now + self._retry * self._rng.uniform(0.8, 1.2))
        return UsePath(TunnelPath.WEBSOCKET, reason)
