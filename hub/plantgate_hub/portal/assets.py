"""The portal's own style sheets, scripts and icon, served under a path that changes with their contents."""

import hashlib
from collections.abc import Mapping
from importlib import resources

from aiohttp import web

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOREVER = "public, immutable, max-age=31536000"


class Assets:
    """All files of `static`, read once. Modules import each other by relative path, so they share one digest."""

    def __init__(self) -> None:
        folder = resources.files("plantgate_hub.portal").joinpath("static")
        files = {entry.name: entry.read_text(encoding="utf-8") for entry in folder.iterdir() if entry.is_file()}
        self.files: Mapping[str, str] = dict(sorted(files.items()))
        whole = hashlib.sha256("\0".join(part for item in self.files.items() for part in item).encode())
        self.root = f"/static/{whole.hexdigest()[:16]}/"

    def path(self, name: str) -> str:
        """Where a page finds the file. KeyError for one that is not there."""
        self.files[name]
        return self.root + name

    def routes(self) -> list[web.RouteDef]:
        return [web.get(self.root + "{name}", self._file)]

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        text = self.files.get(name)
        if text is None:
            raise web.HTTPNotFound
        headers = {"Cache-Control": _FOREVER, "X-Content-Type-Options": "nosniff"}
        return web.Response(text=text, content_type=_TYPES[name[name.rindex(".") :]], headers=headers)
