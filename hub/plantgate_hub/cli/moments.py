"""Moments and spans as people write them on a command line."""

import re
from datetime import UTC, datetime

from plantgate_shared.errors import InvalidInput

_SPAN = re.compile(r"(\d+)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_span(text: str) -> float:
    """Seconds of '90s', '30m', '4h' or '7d'. Raises InvalidInput."""
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise InvalidInput(f"{text!r} is not a span of time", hint="write it like 30m, 4h or 7d")
    return float(match[1]) * _SECONDS[match[2]]


def parse_moment(text: str, now: float) -> float | None:
    """Seconds since the epoch of '+4h' (from now) or '2026-05-01T08:00' (UTC unless it says otherwise)."""
    if not text:
        return None
    if text.startswith("+"):
        return now + parse_span(text[1:])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{text!r} is not a moment", hint="write it like +4h or 2026-05-01T08:00") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
