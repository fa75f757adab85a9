"""An organization's settings, for its Administrators: what it asks of everybody who connects to its plants."""

import math
import re

from aiohttp import web

from plantgate_shared.errors import InvalidInput, PlantgateError

from ..domain.model import Organization
from ..domain.policy import Action
from .desk import Desk, actor, typed
from .guards import Response, Visitor
from .organizations import organization_page

_HOURS = re.compile(r"\d{1,3}([.,]\d{1,2})?", re.ASCII)


class OrganizationSettings:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[web.RouteDef]:
        path = "/organizations/{organization}/settings"
        return [self._desk.get(path, self.show), self._desk.post(path, self.save)]

    async def show(self, request: web.Request, visitor: Visitor, error: PlantgateError | None = None) -> Response:
        organization = self._desk.organization(request, visitor, Action.MANAGE_ORGANIZATION)
        return organization_page(
            self._desk,
            request,
            visitor,
            organization,
            "settings.html",
            error,
            tab="settings",
            policy=self._desk.snapshot.connection_policy_of(organization.id),
            form=await typed(request) if error else {},
        )

    async def save(self, request: web.Request, visitor: Visitor) -> Response:
        organization = self._desk.organization(request, visitor, Action.MANAGE_ORGANIZATION)
        error = await self._desk.attempt(self._save(request, visitor, organization))
        if error is not None:
            return await self.show(request, visitor, error)
        return self._desk.done(f"/organizations/{organization.id}/settings", "policy.saved")

    async def _save(self, request: web.Request, visitor: Visitor, organization: Organization) -> None:
        form = await typed(request)
        required = {"yes": True, "no": False}.get(form.get("required", ""))
        if required is None:
            raise InvalidInput("choose whether a reason is required")
        seconds = _seconds(form.get("hours", ""))
        await self._desk.services.purposes.set_policy(
            actor(visitor), organization.id, required=required, longest=seconds
        )


def _seconds(hours: str) -> float:
    """Hours as people type them, with a point or a comma. Raises InvalidInput."""
    if not _HOURS.fullmatch(hours.strip()):
        raise InvalidInput("the longest time is no number of hours", hint="write it like 8 or 0.5")
    return float(math.ceil(float(hours.strip().replace(",", ".")) * 3600))
