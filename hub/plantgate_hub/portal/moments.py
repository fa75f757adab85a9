"""Dates and times as forms send them and pages show them, in UTC and saying so."""

import re
from datetime import UTC, datetime

from plantgate_shared.errors import InvalidInput

_LOCAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?")


def read_moment(text: str, what: str) -> float | None:
    """Seconds since the epoch of a datetime-local input; None when it was left empty. Raises InvalidInput."""
    text = text.strip()
    if not text:
        return None
    try:
        if not _LOCAL.fullmatch(text):
            raise ValueError
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise InvalidInput(f"the {what} is no date and time", hint="write it like 2031-05-17T18:00") from None


def show_moment(at: float) -> str:
    """Like `2031-05-17 18:00 UTC`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def machine_moment(at: float) -> str:
    """For a `<time datetime>`, which our script shows in the reader's own time zone."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
