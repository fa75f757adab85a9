"""Renders the portal's templates, with the headers that keep a page harmless."""

import base64
import hashlib
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from ..config import Web
from ..domain.model import Scheme
from ..ports import Destination
from ..proxy.decision import Asked, wants_page
from ..proxy.problems import STATUS, Problem
from ..proxy.rewrite import Place
from . import catalogue, error_texts, look
from .assets import Assets
from .moments import machine_moment, show_moment

_LINKS: dict[Problem, str] = {
    Problem.NO_SESSION: "action.sign-in",
    Problem.NO_TWO_FACTOR: "action.set-up",
    Problem.NOT_AVAILABLE: "action.home",
    Problem.NO_PERMISSION: "action.home",
    Problem.ON_HOLD: "action.home",
    Problem.NO_PURPOSE: "action.declare",
    Problem.REDIRECT_ELSEWHERE: "action.home",
    Problem.CERTIFICATE_CHANGED: "action.home",
    Problem.CERTIFICATE_UNTRUSTED: "action.home",
}
"""What a problem's page offers besides trying again, where that would not help."""


class Pages:
    """The portal's and the device hosts' pages."""

    def __init__(self, config: Web) -> None:
        self.portal = Place(Scheme.HTTPS.value, config.portal_host.lower(), config.public_port).origin
        self._devices = Place(Scheme.HTTPS.value, f"*.{config.devices_domain.lower()}", config.public_port).origin
        self._templates = Environment(
            loader=PackageLoader("plantgate_hub.portal"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            auto_reload=False,
        )
        self._templates.filters |= {"moment": show_moment, "machine_moment": machine_moment, "told": _told}
        self._templates.globals["has"] = catalogue.TEXTS.__contains__
        self.assets = Assets()
        self._style = self.assets.files["plantgate.css"]
        self._style_hash = base64.b64encode(hashlib.sha256(self._style.encode()).digest()).decode()

    def page(
        self, request: web.Request, template: str, status: int = 200, *, scripts: bool = False, **fields: Any
    ) -> web.Response:
        """A page of the portal in the browser's language; only those with `scripts` may run ours."""
        html = self._render(request, template, style="", asset=self.assets.path, home="/", **fields)
        # form-action names the device hosts too: browsers hold the redirects after a form to it.
        policy = f"style-src 'self'; form-action 'self' {self._devices}"
        if scripts:
            policy += "; script-src 'self'; connect-src 'self'"
        return _respond(html, status, policy)

    def device_problem(
        self, request: web.Request, asked: Asked, problem: Problem, destination: Destination | None, detail: str
    ) -> web.Response:
        """What is wrong with a device page, on the device's own host: a page, or one line for what is not a person."""
        status = STATUS[problem]
        if not wants_page(asked):
            translate = catalogue.translator(look.language_of(request))
            headers = {
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
                "Plantgate-Problem": problem.value,
            }
            text = translate(f"{problem.value}.title") + ". " + translate(f"{problem.value}.text") + "\n"
            return web.Response(status=status, text=text, headers=headers)
        path = request.raw_path
        link = self.portal + _way_out(problem, destination, path)
        retry = path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"
        fields = self._problem_fields(problem, destination, detail, link, retry)
        html = self._render(request, "problem.html", style=self._style, asset=None, home=self.portal + "/", **fields)
        response = _respond(html, status, f"style-src 'sha256-{self._style_hash}'; form-action 'none'")
        response.headers["Plantgate-Problem"] = problem.value
        return response

    def portal_problem(self, request: web.Request, problem: Problem, destination: Destination | None) -> web.Response:
        """The same on the portal."""
        link = _way_out(problem, destination, request.query.get("path", "/"))
        fields = self._problem_fields(problem, destination, "", link, retry="")
        return self.page(request, "problem.html", STATUS[problem], **fields)

    @staticmethod
    def _problem_fields(
        problem: Problem, destination: Destination | None, detail: str, link: str, retry: str
    ) -> dict[str, Any]:
        action = _LINKS.get(problem, "action.home")
        return {
            "problem": problem.value,
            "destination": destination,
            "detail": detail[:300],
            "action": action,
            "link": link,
            "retry": "" if problem in _LINKS else retry,
        }

    def _render(self, request: web.Request, template: str, **fields: Any) -> str:
        chosen, language = look.chosen(request), look.language_of(request)
        words = {"t": catalogue.translator(language), "language": language.value, "theme": chosen.theme.value}
        return self._templates.get_template(template).render(**words, **fields)


def _told(text: str, language: str) -> str | None:
    """Template filter: an error's sentence in the page's language, if it is known in it."""
    return error_texts.in_language(text, catalogue.Language(language))


def _way_out(problem: Problem, destination: Destination | None, path: str) -> str:
    """The portal's page that helps; `path` is the device's, to come back to."""
    if problem is Problem.NO_TWO_FACTOR:
        return "/two-factor/set-up"
    if problem is Problem.NO_PURPOSE and destination is not None:
        return f"/plants/{destination.plant.id}/reason?{urlencode({'host': destination.target.host, 'path': path})}"
    return "/"


def _respond(html: str, status: int, policy: str) -> web.Response:
    base = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; img-src 'self'"
    headers = {
        "Content-Security-Policy": f"{base}; {policy}",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        # not no-referrer: browsers would then send `Origin: null` with our own forms
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
        "Vary": "Accept-Language, Cookie",
    }
    return web.Response(status=status, text=html, content_type="text/html", headers=headers)


def grouped(secret: str) -> str:
    """A secret in groups of four, as it is easier to copy by hand."""
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))


def qr_svg(text: str) -> str:
    """A QR code as inline SVG, dark on light whatever the colour scheme, so that every camera reads it."""
    import segno  # only who sets up two-factor needs it

    code = segno.make_qr(text, error="m")
    return code.svg_inline(omitsize=True, border=3, dark="#10201c", light="#ffffff", svgclass="qr", lineclass=None)
