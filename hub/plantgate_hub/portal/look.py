"""What a browser chose for itself: theme and language, kept in a cookie that names nobody."""

from dataclasses import dataclass
from enum import StrEnum

from aiohttp import web

from .. import cookies
from . import catalogue
from .catalogue import Language

COOKIE = "__Host-plantgate-look"
LIFETIME = 400 * 24 * 3600
"""Seconds; browsers keep no cookie for longer."""


class Theme(StrEnum):
    """The default is whatever the device prefers."""

    DEVICE = "device"
    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class Look:
    """`language` None: the one that the browser asks for."""

    theme: Theme = Theme.DEVICE
    language: Language | None = None

    def cookie(self) -> str:
        return cookies.render(COOKIE, f"{self.theme}.{self.language or ''}", LIFETIME)


def chosen(request: web.Request) -> Look:
    """What this browser chose earlier."""
    theme, _, language = cookies.single(request.headers.getall("Cookie", []), COOKIE).partition(".")
    return read(theme, language, Look())


def read(theme: str, language: str, before: Look) -> Look:
    """A choice from a form or cookie; what is not one of ours leaves that part as it was `before`."""
    return Look(
        Theme(theme) if theme in tuple(Theme) else before.theme,
        Language(language) if language in tuple(Language) else before.language,
    )


def language_of(request: web.Request) -> Language:
    return chosen(request).language or catalogue.choose(request.headers.get("Accept-Language", ""))
