"""Home: what I can reach and its live state; and the choice of theme and language."""

from aiohttp import web

from ..domain.model import Job, RouteState
from ..domain.policy import RULES, Action
from ..domain.routes import routes_of
from . import look
from .desk import Desk, matches, paged, searched, typed
from .guards import Guards, Response, Visitor, safe_next, see_other
from .overview import GatewayState, PlantLine, by_plant, plant_card, plant_lines, shows

PLANTS_PER_PAGE = 12
"""Each with its devices and routes."""


class Home:
    def __init__(self, desk: Desk, guards: Guards) -> None:
        self._desk = desk
        self._guards = guards

    def routes(self) -> list[web.RouteDef]:
        # The look can be chosen before signing in.
        return [self._desk.get("/", self.home), web.post("/look", self._guards.form(self.choose_look))]

    async def home(self, request: web.Request, visitor: Visitor) -> Response:
        snapshot, now = self._desk.snapshot, self._desk.now()
        online = self._desk.hub.agents.online
        person = visitor.person
        lines = plant_lines(snapshot, person.id, online, now)
        routes = routes_of(snapshot, person.id, online, now)
        of_plant = by_plant(routes)
        query = searched(request)

        def found(line: PlantLine) -> bool:
            # Of what the page shows only: a search must not tell of anything else.
            devices = snapshot.devices_of(line.plant.id) if shows(line.job, Action.SEE_DEVICES) else ()
            words = [line.plant.name, line.organization, *(device.name for device in devices)]
            if "." in query and shows(line.job, Action.SEE_NETWORK):  # writing addresses out takes longest
                words += (str(device.address) for device in devices)
                words += (str(route.network) for route in of_plant.get(line.plant.id, ()))
            return matches(query, *words)

        page = paged([line for line in lines if found(line)] if query else lines, request, PLANTS_PER_PAGE)
        return self._desk.page(
            request,
            visitor,
            "home.html",
            here="home",
            page=page,
            plants=[plant_card(snapshot, line, of_plant.get(line.plant.id, ())) for line in page.rows],
            count=len(lines),
            online=sum(line.gateway is GatewayState.ONLINE for line in lines),
            reachable=sum(route.state is RouteState.REACHABLE for route in routes),
            conflicts=sum(route.state is RouteState.CONFLICT for route in routes),
            networks=len(routes),
            opens=Job.TECHNICAL_MANAGER,
            operator=Job.OPERATOR,
            sees_devices=RULES[Action.SEE_DEVICES].job,
            device_origin=self._desk.device_origin,
        )

    async def choose_look(self, request: web.Request) -> Response:
        form = await typed(request)
        choice = look.read(form.get("theme", ""), form.get("language", ""), look.chosen(request))
        response = see_other(safe_next(form.get("next", "/")))
        response.headers.add("Set-Cookie", choice.cookie())
        return response
