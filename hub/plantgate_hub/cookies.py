"""Cookies of ours, by name and by the book: reading exactly, writing host-only, never passing them on."""

import re
from collections.abc import Iterable

PORTAL = "__Host-plantgate"
DEVICE = "__Host-plantgate-device"
ATTEMPT_PREFIX = "__Host-plantgate-attempt-"
KNOWN_BROWSER = "__Host-plantgate-browser"

_OURS = re.compile(r"(__(host|secure)-)?plantgate(-|$)", re.IGNORECASE)


def is_ours(name: str) -> bool:
    """Whether a cookie's name belongs to Plantgate, in any spelling a browser or a device might try."""
    return _OURS.match(name.strip()) is not None


def pairs(header_values: Iterable[str]) -> list[tuple[str, str]]:
    """(name, value) of every cookie in the request's Cookie headers, duplicates kept."""
    found: list[tuple[str, str]] = []
    for header in header_values:
        for part in header.split(";"):
            name, equals, value = part.strip().partition("=")
            if equals:
                found.append((name.strip(), value.strip()))
    return found


def values(header_values: Iterable[str], name: str) -> list[str]:
    """All values sent for `name`; more than one means that somebody planted a second cookie."""
    return [value for found, value in pairs(header_values) if found == name]


def single(header_values: Iterable[str], name: str) -> str:
    """The value of `name`; empty when there is none or more than one."""
    found = values(header_values, name)
    return found[0] if len(found) == 1 else ""


def without_ours(header_value: str) -> str:
    """A Cookie header's value with our cookies left out and the rest byte for byte; empty when nothing is left."""
    kept = [part for part in header_value.split(";") if not is_ours(part.partition("=")[0])]
    return ";".join(kept).strip()


def render(name: str, value: str, max_age: int | None = None) -> str:
    """A Set-Cookie value: host-only, HttpOnly, Secure, SameSite=Lax; `max_age=0` removes the cookie."""
    age = "" if max_age is None else f"; Max-Age={max_age}"
    return f"{name}={value}; Path=/{age}; Secure; HttpOnly; SameSite=Lax"
