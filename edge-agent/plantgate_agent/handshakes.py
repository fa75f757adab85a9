"""The age of WireGuard's last handshake, measured so that a clock that jumps by years does not matter. Pure."""

PLAUSIBLE = 300.0
"""Seconds: an older handshake than this has no session any more (REJECT_AFTER_TIME is 180 s)."""


class HandshakeAge:
    """WireGuard gives the wall-clock time of a handshake; only its change is believed."""

    def __init__(self) -> None:
        self._seen = 0
        self._at = 0.0

    def observe(self, latest: int, wall: float, now: float) -> float | None:
        """Seconds since the last handshake; None: there was none. `now` is monotonic."""
        if latest == 0:
            self._seen = 0
            return None
        if latest != self._seen:
            first, self._seen = self._seen == 0, latest
            age = wall - latest
            # One that was there before us may be of any age, if the clock can be believed at all.
            self._at = now - age if first and 0 <= age <= PLAUSIBLE else now
        return now - self._at
