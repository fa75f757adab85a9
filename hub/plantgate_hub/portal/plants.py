"""Plants: the list, and one plant with its devices, networks and gateways."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from ..domain import policy
from ..domain.model import Agent, Job, Plant, Subnet
from ..domain.policy import Action, Denial, job_of
from ..domain.routes import routes_of
from ..tunnel.registry import AgentState
from .desk import Desk, matches, paged, searched
from .guards import Response, Visitor
from .overview import device_pages, gateway_state, organization_name, plant_lines
from .plant_access import holds_on, live_purpose
from .why import example_device


@dataclass(frozen=True, slots=True)
class GatewayView:
    """A gateway as those see it who look after it; `live` while it is attached to this node."""

    agent: Agent
    live: AgentState | None
    outside: tuple[Subnet, ...] = ()
    """Subnets of the plant that its boundary does not hold whole."""


def gateways(desk: Desk, plant: Plant) -> list[GatewayView]:
    """The plant's gateways, the active one first."""
    snapshot = desk.snapshot
    agents = sorted(snapshot.agents_of(plant.id), key=lambda agent: (not agent.active, agent.name.casefold(), agent.id))
    subnets = sorted(snapshot.subnets_of(plant.id), key=lambda subnet: subnet.network)
    return [GatewayView(agent, desk.hub.agents.get(agent.id), _outside(agent, subnets)) for agent in agents]


def _outside(agent: Agent, subnets: Sequence[Subnet]) -> tuple[Subnet, ...]:
    return tuple(s for s in subnets if not any(s.network.subnet_of(allowed) for allowed in agent.boundary))


_CLOSED = {Denial.ON_HOLD: "on-hold", Denial.NO_PURPOSE: "no-purpose"}
"""What closes a plant to people whose job opens it: the texts that say so."""


class PlantPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[web.RouteDef]:
        return [self._desk.get("/plants", self.show_all), self._desk.get("/plants/{plant}", self.show)]

    async def show_all(self, request: web.Request, visitor: Visitor) -> Response:
        desk = self._desk
        lines = plant_lines(desk.snapshot, visitor.person.id, desk.hub.agents.online, desk.now())
        query = searched(request)
        found = [line for line in lines if matches(query, line.plant.name, line.organization)]
        creates = [o for o in desk.managed(visitor) if desk.may_in(visitor, Action.MANAGE_PLANTS, o.id)]
        return desk.page(
            request,
            visitor,
            "plants.html",
            here="plants",
            page=paged(found, request),
            count=len(lines),
            creates=creates,
        )

    async def show(self, request: web.Request, visitor: Visitor) -> Response:
        desk, snapshot, now = self._desk, self._desk.snapshot, self._desk.now()
        plant = desk.plant(request, visitor)
        online = desk.hub.agents.online
        may = {action: desk.may(visitor, action, plant.id) for action in Action}
        job = job_of(snapshot, visitor.person.id, plant.id, now).job or Job.VIEWER
        routes = [r for r in routes_of(snapshot, visitor.person.id, online, now) if r.plant == plant.id]
        opening = policy.decide(snapshot, visitor.person.id, Action.OPEN_DEVICE, plant.id, now)
        return desk.page(
            request,
            visitor,
            "plant.html",
            here="plants",
            plant=plant,
            organization=organization_name(snapshot, plant),
            job=job,
            gateway=gateway_state(snapshot, plant.id, online),
            devices=device_pages(snapshot, plant.id, job),
            sees_devices=may[Action.SEE_DEVICES],
            sees_network=may[Action.SEE_NETWORK],
            subnets=sorted(snapshot.subnets_of(plant.id), key=lambda subnet: subnet.network),
            routes={route.subnet: route for route in routes},
            examples={route.subnet: example_device(snapshot, route) for route in routes},
            gateways=gateways(desk, plant) if may[Action.ENROL_GATEWAY] else [],
            opens=Job.TECHNICAL_MANAGER,
            may_open=may[Action.OPEN_DEVICE],
            closed=_CLOSED.get(opening.reason, "") if isinstance(opening, policy.Denied) else "",
            may_vpn=may[Action.USE_VPN] or bool(routes),
            holds=holds_on(snapshot, plant.id),
            sees_who=may[Action.SEE_CONNECTIONS],
            may_end=may[Action.END_ACCESS],
            may_restore=may[Action.RESTORE_ACCESS],
            may_declare=may[Action.DECLARE_PURPOSE],
            purpose=live_purpose(snapshot, visitor.person.id, plant.id, now),
            may_configure=may[Action.CONFIGURE_PLANT],
            may_enrol=may[Action.ENROL_GATEWAY],
            may_manage=may[Action.MANAGE_PLANTS],
            device_origin=desk.device_origin,
            now=now,
        )
