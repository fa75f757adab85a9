"""The cloud operator's page: nodes, organizations and how their gateways are. Nothing of what is in a plant."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from aiohttp import web

from plantgate_shared.errors import NotFound, PlantgateError

from ..domain import policy
from ..domain.model import Agent, AgentId, OrganizationId
from ..domain.policy import Action
from ..services.profiles import ONLINE_WITHIN
from ..store import Presence
from .desk import Desk, actor, matches, paged, searched, status_of, typed
from .guards import Response, Visitor


@dataclass(frozen=True, slots=True)
class Health:
    """How one organization's gateways are."""

    name: str
    gateways: int
    connected: int


@dataclass(frozen=True, slots=True)
class Node:
    name: str
    gateways: int
    last_seen: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """An active gateway that is not as it should be. `agent` is its id: names may tell what a plant is."""

    organization: str
    agent: str
    last_seen: float | None
    version: str


class Fleet:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[web.RouteDef]:
        return [self._desk.get("/fleet", self.show), self._desk.post("/fleet/organizations", self.add_organization)]

    async def show(self, request: web.Request, visitor: Visitor, error: PlantgateError | None = None) -> Response:
        self._require(visitor)
        snapshot, now, query = self._desk.snapshot, self._desk.now(), searched(request)
        presences = {p.agent: p for p in await self._desk.services.context.store.presences()}
        owners = {plant.id: plant.organization for plant in snapshot.plants}
        active = [(owners[agent.plant], agent) for agent in snapshot.agents if agent.active and agent.plant in owners]
        here = self._desk.hub.agents.online
        fresh = {p.agent for p in presences.values() if p.last_seen > now - ONLINE_WITHIN} | here
        total = Counter(owner for owner, _ in active)
        up = Counter(owner for owner, agent in active if agent.id in fresh)
        organizations = [
            Health(o.name, total[o.id], up[o.id]) for o in snapshot.organizations if matches(query, o.name)
        ]
        organizations.sort(key=lambda health: (health.connected == health.gateways, health.name.casefold()))
        return self._desk.page(
            request,
            visitor,
            "fleet.html",
            status_of(error),
            here="fleet",
            nodes=_nodes(presences.values(), now),
            page=paged(organizations, request),
            count=len(snapshot.organizations),
            gateways=len(active),
            connected=sum(agent.id in fresh for _, agent in active),
            trouble=[self._trouble(owner, agent, presences) for owner, agent in active if agent.id not in fresh][:100],
            people=len(snapshot.people),
            error=error,
            form=await typed(request) if error else {},
        )

    async def add_organization(self, request: web.Request, visitor: Visitor) -> Response:
        self._require(visitor)
        form = await typed(request)
        change = self._desk.services.organizations.create(actor(visitor), form.get("name", ""))
        error = await self._desk.attempt(change)
        return (
            self._desk.done("/fleet", "organization.added")
            if error is None
            else await self.show(request, visitor, error)
        )

    def _require(self, visitor: Visitor) -> None:
        decision = policy.decide_on_platform(self._desk.snapshot, visitor.person.id, Action.RUN_PLATFORM)
        if isinstance(decision, policy.Denied):
            raise NotFound("there is no such page")

    def _trouble(self, owner: OrganizationId, agent: Agent, presences: dict[AgentId, Presence]) -> Trouble:
        organization = self._desk.snapshot.organizations.get(owner)
        presence = presences.get(agent.id)
        return Trouble(
            organization.name if organization else "",
            agent.id,
            presence.last_seen if presence else None,
            presence.version if presence else "",
        )


def _nodes(presences: Iterable[Presence], now: float) -> list[Node]:
    nodes: dict[str, Node] = {}
    for presence in presences:
        before = nodes.get(presence.node, Node(presence.node, 0, 0.0))
        attached = presence.last_seen > now - ONLINE_WITHIN
        nodes[presence.node] = Node(
            presence.node, before.gateways + attached, max(before.last_seen, presence.last_seen)
        )
    return sorted(nodes.values(), key=lambda node: node.name)
