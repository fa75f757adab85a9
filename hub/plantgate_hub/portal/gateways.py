"""A plant's gateways: their state for those who look after them, and the installer's one-time code."""

from aiohttp import web

from plantgate_shared.errors import NotFound, PlantgateError

from ..domain.model import Agent, AgentId
from ..domain.policy import Action
from .desk import Desk, actor, status_of, typed
from .guards import Response, Visitor
from .overview import organization_name
from .pages import qr_svg
from .plants import gateways

HOURS = (1, 24, 72, 168, 720)
"""Validities offered for a code; the service's longest is 30 days."""


class Gateways:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._agents = desk.services.agents

    def routes(self) -> list[web.RouteDef]:
        get, post, base = self._desk.get, self._desk.post, "/plants/{plant}/gateways"
        return [
            get(base, self.show),
            post(f"{base}/codes", self.create_code),
            post(base + "/codes/{code}/withdraw", self.withdraw_code),
            get(base + "/{gateway}/{act:remove|activate}", self.confirm_page),
            post(base + "/{gateway}/{act:remove|activate}", self.act),
        ]

    async def show(self, request: web.Request, visitor: Visitor, error: PlantgateError | None = None) -> Response:
        plant = self._desk.plant(request, visitor, Action.ENROL_GATEWAY)
        return self._desk.page(
            request,
            visitor,
            "gateways.html",
            status_of(error),
            here="plants",
            plant=plant,
            organization=organization_name(self._desk.snapshot, plant),
            gateways=gateways(self._desk, plant),
            codes=await self._agents.open_codes(actor(visitor), plant.id),
            hours=HOURS,
            now=self._desk.now(),
            error=error,
            form=await typed(request) if error else {},
        )

    async def create_code(self, request: web.Request, visitor: Visitor) -> Response:
        """The code is shown by the answer itself: it is nowhere to be found again."""
        form = await typed(request)
        plant = self._desk.plant(request, visitor, Action.ENROL_GATEWAY)
        hours = form.get("hours", "")
        valid_for = 3600.0 * (int(hours) if hours in map(str, HOURS) else 24)
        try:
            made = await self._agents.create_code(actor(visitor), plant.id, form.get("name", ""), valid_for=valid_for)
        except PlantgateError as error:
            return await self.show(request, visitor, error)
        command = f"plantgate-agent enroll --hub {self._desk.portal} --code {made.code}"
        return self._desk.page(
            request,
            visitor,
            "code.html",
            here="plants",
            plant=plant,
            code=made.code,
            record=made.record,
            command=command,
            qr=qr_svg(command),
        )

    async def withdraw_code(self, request: web.Request, visitor: Visitor) -> Response:
        plant = self._desk.plant(request, visitor, Action.ENROL_GATEWAY)
        change = self._agents.withdraw_code(actor(visitor), plant.id, request.match_info["code"])
        error = await self._desk.attempt(change)
        if error is not None:
            return await self.show(request, visitor, error)
        return self._desk.done(f"/plants/{plant.id}/gateways", "code.withdrawn")

    async def confirm_page(
        self, request: web.Request, visitor: Visitor, error: PlantgateError | None = None
    ) -> Response:
        plant = self._desk.plant(request, visitor, Action.ENROL_GATEWAY)
        return self._desk.page(
            request,
            visitor,
            "confirm.html",
            status_of(error),
            here="plants",
            what=f"confirm.gateway.{request.match_info['act']}",
            words={"plant": plant.name, "name": self._gateway(request).name},
            back=f"/plants/{plant.id}/gateways",
            error=error,
        )

    async def act(self, request: web.Request, visitor: Visitor) -> Response:
        plant = self._desk.plant(request, visitor, Action.ENROL_GATEWAY)
        gateway, act = self._gateway(request), request.match_info["act"]
        change = self._agents.remove if act == "remove" else self._agents.activate
        error = await self._desk.attempt(change(actor(visitor), gateway.id))
        if error is not None:
            return await self.confirm_page(request, visitor, error)
        return self._desk.done(f"/plants/{plant.id}/gateways", f"gateway.{act}d")

    def _gateway(self, request: web.Request) -> Agent:
        found = self._desk.snapshot.agents.get(AgentId(request.match_info["gateway"]))
        if found is None or found.plant != request.match_info["plant"]:
            raise NotFound("the plant has no such gateway")
        return found
