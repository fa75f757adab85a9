"""My VPN: profiles, whose private keys are made on the person's own device and never come here."""

from typing import Any

from aiohttp import web

from plantgate_shared.errors import NotFound, PlantgateError

from ..domain.clients import PRIVATE_KEY_LINE, render_client_config
from ..domain.model import Profile, ProfileId
from ..store.ids import made_at
from .desk import Desk, actor, status_of, typed
from .guards import Response, Visitor


class MyVpn:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._profiles = desk.services.profiles

    def routes(self) -> list[web.RouteDef]:
        return [
            self._desk.get("/vpn", self.show_all),
            self._desk.post("/vpn", self.create),
            self._desk.get("/vpn/{profile}/rotate", self.rotate_page),
            self._desk.post("/vpn/{profile}/rotate", self.rotate),
            self._desk.get("/vpn/{profile}/revoke", self.revoke_page),
            self._desk.post("/vpn/{profile}/revoke", self.revoke),
            self._desk.get("/vpn/{profile}/file", self.file),
        ]

    async def show_all(
        self,
        request: web.Request,
        visitor: Visitor,
        error: PlantgateError | None = None,
        form: dict[str, str] | None = None,
    ) -> Response:
        profiles = sorted(self._desk.snapshot.profiles_of(visitor.person.id), key=lambda p: (p.name.casefold(), p.id))
        return self._desk.page(
            request,
            visitor,
            "vpn.html",
            status_of(error),
            here="vpn",
            profiles=[(profile, made_at(profile.id)) for profile in profiles],
            error=error,
            form=form or {},
        )

    async def create(self, request: web.Request, visitor: Visitor) -> Response:
        form = await typed(request)
        try:
            made = await self._profiles.create(
                actor(visitor), visitor.person.id, form.get("name", ""), form.get("public_key", "")
            )
        except PlantgateError as error:
            return _refused(error) if _by_script(request) else await self.show_all(request, visitor, error, form)
        await self._desk.settle()
        return self._made(request, visitor, made)

    async def rotate_page(
        self, request: web.Request, visitor: Visitor, error: PlantgateError | None = None
    ) -> Response:
        return self._desk.page(
            request,
            visitor,
            "vpn-rotate.html",
            status_of(error),
            here="vpn",
            profile=self._own(request, visitor),
            error=error,
        )

    async def rotate(self, request: web.Request, visitor: Visitor) -> Response:
        form = await typed(request)
        try:
            profile = self._own(request, visitor)
            rotated = await self._profiles.rotate(actor(visitor), profile.id, form.get("public_key", ""))
        except PlantgateError as error:
            return _refused(error) if _by_script(request) else await self.rotate_page(request, visitor, error)
        await self._desk.settle()
        return self._made(request, visitor, rotated.profile)

    async def revoke_page(self, request: web.Request, visitor: Visitor) -> Response:
        return self._desk.page(request, visitor, "vpn-revoke.html", here="vpn", profile=self._own(request, visitor))

    async def revoke(self, request: web.Request, visitor: Visitor) -> Response:
        profile = self._own(request, visitor)
        error = await self._desk.attempt(self._profiles.revoke(actor(visitor), profile.id))
        return (
            self._desk.done("/vpn", "profile.revoked")
            if error is None
            else await self.show_all(request, visitor, error)
        )

    async def file(self, request: web.Request, visitor: Visitor) -> Response:
        """The client's file without its private key, which only the person's device has."""
        profile = self._own(request, visitor)
        return web.Response(
            text=render_client_config(profile, self._desk.hub.client_settings),
            content_type="text/plain",
            headers={
                "Content-Disposition": 'attachment; filename="plantgate.conf"',
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
            },
        )

    def _made(self, request: web.Request, visitor: Visitor, profile: Profile) -> Response:
        """What the device needs to complete the file: for our script as data, otherwise as a page."""
        config = render_client_config(profile, self._desk.hub.client_settings)
        if _by_script(request):
            made: dict[str, Any] = {"name": profile.name, "config": config, "placeholder": PRIVATE_KEY_LINE}
            return web.json_response(made, headers={"Cache-Control": "no-store"})
        return self._desk.page(request, visitor, "vpn-made.html", here="vpn", profile=profile, config=config)

    def _own(self, request: web.Request, visitor: Visitor) -> Profile:
        found = self._desk.snapshot.profiles.get(ProfileId(request.match_info["profile"]))
        if found is None or found.person != visitor.person.id:
            raise NotFound("there is no such profile")
        return found


def _by_script(request: web.Request) -> bool:
    return request.headers.get("Accept", "") == "application/json"


def _refused(error: PlantgateError) -> web.Response:
    return web.json_response({"error": str(error)}, status=error.http_status, headers={"Cache-Control": "no-store"})
