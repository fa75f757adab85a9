"""Keys by which lists of what happened are paged."""

from .schema import LATEST

_WIDTH = 17
"""Ten digits of seconds, the point, six of microseconds."""


def newest_first(at: float) -> str:
    """A key that sorts later moments before earlier ones; `at` in seconds since the epoch."""
    return f"{LATEST.timestamp() - at:0{_WIDTH}.6f}"
