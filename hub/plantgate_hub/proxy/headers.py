"""Headers in both directions, pure: what the device gets to see of the browser, and the browser of the device."""

import re
from collections.abc import Iterable, Sequence

from .. import cookies
from ..domain.accounts import TOKEN_PREFIX
from ..domain.model import HostMode
from .rewrite import Addresses, Elsewhere, map_location, map_refresh, to_device

Headers = list[tuple[str, str]]

HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization")
) | {"te", "trailer", "transfer-encoding", "upgrade"}
"""RFC 9110, 7.6.1: meant for the next hop only."""

_FORGEABLE = frozenset(
    ("forwarded", "x-real-ip", "x-original-url", "x-rewrite-url", "x-original-host", "x-http-host-override")
)
"""What a device could take for the word of a proxy in front of it (x-forwarded-* besides)."""
_NOT_FOR_DEVICES = frozenset(("host", "expect", "http2-settings", "content-length", "origin", "referer", "cookie"))
"""Made anew for the device, or answered by the hub itself."""
_NOT_FOR_BROWSERS = frozenset(
    ("strict-transport-security", "clear-site-data", "public-key-pins", "alt-svc", "content-length")
)
"""Would speak for the whole host for longer than this page, or of a connection the browser does not have."""

_FIELD_BREAK = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def connection_options(values: Iterable[str]) -> set[str]:
    """The header names that a Connection header declares to be for this hop only."""
    return {option.strip().lower() for value in values for option in value.split(",")}


def to_the_device(
    received: Sequence[tuple[str, str]], addresses: Addresses, mode: HostMode, websocket: bool
) -> Headers:
    """The browser's headers as the device gets them; framing (Content-Length, Transfer-Encoding) is added later."""
    hop = HOP_BY_HOP | connection_options(value for name, value in received if name.lower() == "connection")
    sent: Headers = [("Host", addresses.public.authority if mode is HostMode.KEEP else addresses.own.authority)]
    for name, value in received:
        lower = name.lower()
        if lower in hop or lower in _FORGEABLE or lower.startswith("x-forwarded-") or "_" in name:
            continue
        if lower in ("origin", "referer"):
            value = _own_page(lower, value, addresses, mode)
        elif lower == "cookie":
            value = cookies.without_ours(value)
        elif lower == "authorization" and TOKEN_PREFIX in value:
            continue  # sent here by mistake: it is for the API, and worth more than this page
        elif lower in _NOT_FOR_DEVICES:
            continue
        if value or lower not in _NOT_FOR_DEVICES:
            sent.append((name, value))
    if mode is HostMode.MIX:
        sent += [("X-Forwarded-Host", addresses.public.authority), ("X-Forwarded-Proto", addresses.public.scheme)]
    sent += [("Upgrade", "websocket"), ("Connection", "Upgrade")] if websocket else [("Connection", "close")]
    return sent


def _own_page(name: str, value: str, addresses: Addresses, mode: HostMode) -> str:
    """Origin or Referer for the device; empty drops it: no device learns which page linked to it."""
    if value == "null" and name == "origin":
        return value
    translated = to_device(value, addresses)
    return value if translated and mode is HostMode.KEEP else translated


def to_the_browser(received: Sequence[tuple[str, str]], addresses: Addresses, redirects: bool) -> Headers | Elsewhere:
    """The device's headers as the browser gets them, without framing; Elsewhere when it leads away from the device.

    `redirects`: the status is one with which a browser follows Location.
    """
    hop = HOP_BY_HOP | connection_options(value for name, value in received if name.lower() == "connection")
    sent: Headers = []
    for name, value in received:
        lower = name.lower()
        if lower in hop or lower in _NOT_FOR_BROWSERS:
            continue
        value = _FIELD_BREAK.sub(" ", value)  # first: what is judged below is what the browser will read
        if lower in ("location", "content-location", "refresh"):
            mapped = map_refresh(value, addresses) if lower == "refresh" else map_location(value, addresses)
            if isinstance(mapped, Elsewhere):
                if lower == "refresh" or (lower == "location" and redirects):
                    return mapped
                continue
            value = mapped
        elif lower == "set-cookie":
            value = cookie_for_browser(value)
            if not value:
                continue
        sent.append((name, value))
    return sent


def cookie_for_browser(value: str) -> str:
    """A device's Set-Cookie, bound to the device's own public host and to TLS; empty for one that poses as ours."""
    first, *attributes = value.split(";")
    name, equals, _ = first.partition("=")
    if not equals or not name.strip() or cookies.is_ours(name):  # a nameless one could spell any name in its value
        return ""
    kept = [part for part in attributes if part.partition("=")[0].strip().lower() not in ("domain", "secure")]
    return ";".join([first, *kept, " Secure"])
