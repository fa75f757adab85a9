"""How long a node goes on without its store: it never opens wider, and not for ever.

While no node reaches the store no revocation can be committed, so what was authorized goes on. But a node alone cannot
tell that from being cut off, and so its snapshot counts only up to a stated age (docs/security.md).
"""

from dataclasses import dataclass
from enum import StrEnum


class Freshness(StrEnum):
    FRESH = "fresh"
    STALE = "stale"
    """Too old to let anybody new in; who is in goes on."""
    EXPIRED = "expired"
    """Too old for anything: sessions and VPN traffic end until the store answers again."""


@dataclass(frozen=True, slots=True)
class StalenessLimits:
    """Seconds since the store last confirmed the snapshot."""

    no_new_sessions: float = 60.0
    end_sessions: float = 900.0

    def of(self, staleness: float) -> Freshness:
        if staleness > self.end_sessions:
            return Freshness.EXPIRED
        return Freshness.STALE if staleness > self.no_new_sessions else Freshness.FRESH
