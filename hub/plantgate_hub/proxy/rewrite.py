"""Addresses in what a device answers, pure: its own become its public ones, others are not followed blindly.

Everything but scheme, host and port is kept byte for byte.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..domain.model import Scheme, WebTarget

DEFAULT_PORTS = {"http": 80, "https": 443}

_ABSOLUTE = re.compile(r"(?:(https?):)?[/\\]{2}([^/\\?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_IGNORED = re.compile(r"[\t\r\n]")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_REFRESH = re.compile(r"(\s*[\d.]+\s*[;,]?\s*(?:url\s*=\s*)?)(['\"]?)(.*?)(['\"]?\s*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Place:
    """Scheme, host (lower case) and port of an absolute address."""

    scheme: str
    host: str
    port: int

    @property
    def origin(self) -> str:
        """As browsers write it: without the scheme's own port."""
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        return self.host if self.port == DEFAULT_PORTS.get(self.scheme) else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the pages of one device are: `own` at the device, `public` in the browser, and its other targets'."""

    own: Place
    public: Place
    known: dict[Place, Place]
    """Device-side place -> public place, for all targets of the device, this one included."""


def addresses_of(target: WebTarget, address: str, siblings: Iterable[WebTarget], domain: str, port: int) -> Addresses:
    """The addresses of a target on the device at `address`; public names are under `domain`, HTTPS on `port`."""

    def own(one: WebTarget) -> Place:
        return Place(one.scheme.value, address, one.port)

    def public(one: WebTarget) -> Place:
        return Place(Scheme.HTTPS.value, f"{one.host}.{domain}", port)

    known = {own(one): public(one) for one in (*siblings, target)}
    return Addresses(own(target), public(target), known)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An address that is none of this device's configured ones."""

    url: str


def map_location(value: str, addresses: Addresses) -> str | Elsewhere:
    """A Location's value as the browser should see it. Relative ones stay as they are."""
    as_parsed = _IGNORED.sub("", value).strip()  # what a browser's URL parser leaves of it
    absolute = _ABSOLUTE.fullmatch(as_parsed)
    if absolute is None:
        return Elsewhere(value) if _SCHEME.match(as_parsed) else value
    scheme, authority, rest = absolute.groups()
    place = _place((scheme or addresses.own.scheme).lower(), authority)
    if place is None:
        return Elsewhere(value)
    if place.host == addresses.public.host:  # a device that was told its public name
        return addresses.public.origin + rest
    mapped = addresses.known.get(place)
    return Elsewhere(value) if mapped is None else mapped.origin + rest


def map_refresh(value: str, addresses: Addresses) -> str | Elsewhere:
    """A Refresh header's value (`5; url=...`)."""
    found = _REFRESH.fullmatch(value)
    if found is None or not found.group(3):
        return value
    before, quote, url, after = found.groups()
    mapped = map_location(url, addresses)
    return mapped if isinstance(mapped, Elsewhere) else before + quote + mapped + after


def to_device(url: str, addresses: Addresses) -> str:
    """An Origin or Referer of the browser as the device knows it; empty when it is another page's."""
    absolute = _ABSOLUTE.fullmatch(url)
    if absolute is None:
        return ""
    scheme, authority, rest = absolute.groups()
    place = _place((scheme or "").lower(), authority)
    for own, public in addresses.known.items():
        if place == public:
            return own.origin + rest
    return ""


def _place(scheme: str, authority: str) -> Place | None:
    host, _, port = authority.rpartition("@")[2].partition(":")
    if port and not (port.isascii() and port.isdigit() and len(port) <= 5):
        return None
    if not host or scheme not in DEFAULT_PORTS:
        return None
    return Place(scheme, host.lower(), int(port) if port else DEFAULT_PORTS[scheme])
