"""My routes: the state of each plant network, which plant has a range that several use, and switching between them."""

from aiohttp import web

from plantgate_shared.errors import PlantgateError

from ..domain.model import PlantId, Route, RouteState, SubnetId
from ..domain.routes import routes_of
from .desk import Desk, actor, matches, paged, searched, status_of
from .guards import Response, Visitor
from .overview import Overlap, split_overlaps
from .why import example_device

PER_PAGE = 25
"""Rows; the routes of an overlap count as one, for they are never torn apart."""


class MyRoutes:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[web.RouteDef]:
        return [
            self._desk.get("/routes", self.show_all),
            self._desk.post("/routes/{subnet}/prefer", self.prefer),
            self._desk.post("/routes/{subnet}/disable", self.disable),
            self._desk.post("/routes/{subnet}/enable", self.enable),
        ]

    async def show_all(self, request: web.Request, visitor: Visitor, error: PlantgateError | None = None) -> Response:
        snapshot = self._desk.snapshot
        routes = routes_of(snapshot, visitor.person.id, self._desk.hub.agents.online, self._desk.now())
        names = {route.plant: self._name(route.plant) for route in routes}
        overlaps, single = split_overlaps(sorted(routes, key=lambda r: (names[r.plant].casefold(), r.network)))
        query = searched(request)

        def found(route: Route) -> bool:
            return matches(query, names[route.plant], str(route.network))

        shown = [overlap for overlap in overlaps if any(map(found, overlap.routes))]
        page = paged([*shown, *filter(found, single)], request, PER_PAGE)
        return self._desk.page(
            request,
            visitor,
            "routes.html",
            status_of(error),
            here="routes",
            error=error,
            names=names,
            examples={route.subnet: example_device(snapshot, route) for route in routes},
            page=page,
            overlaps=[row for row in page.rows if isinstance(row, Overlap)],
            single=[row for row in page.rows if isinstance(row, Route)],
            count=len(routes),
            reachable=sum(route.state is RouteState.REACHABLE for route in routes),
            has_profile=bool(snapshot.profiles_of(visitor.person.id)),
        )

    async def prefer(self, request: web.Request, visitor: Visitor) -> Response:
        change = self._desk.services.routes.prefer(actor(visitor), visitor.person.id, _subnet(request))
        error = await self._desk.attempt(change)
        return (
            self._desk.done("/routes", "route.preferred")
            if error is None
            else await self.show_all(request, visitor, error)
        )

    async def disable(self, request: web.Request, visitor: Visitor) -> Response:
        return await self._switch(request, visitor, disabled=True)

    async def enable(self, request: web.Request, visitor: Visitor) -> Response:
        return await self._switch(request, visitor, disabled=False)

    async def _switch(self, request: web.Request, visitor: Visitor, *, disabled: bool) -> Response:
        change = self._desk.services.routes.set_disabled(actor(visitor), visitor.person.id, _subnet(request), disabled)
        error = await self._desk.attempt(change)
        if error is not None:
            return await self.show_all(request, visitor, error)
        return self._desk.done("/routes", "route.disabled" if disabled else "route.enabled")

    def _name(self, plant: PlantId) -> str:
        found = self._desk.snapshot.plants.get(plant)
        return found.name if found else ""


def _subnet(request: web.Request) -> SubnetId:
    return SubnetId(request.match_info["subnet"])
