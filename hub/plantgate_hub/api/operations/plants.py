"""Plants and their subnets."""

from pydantic import Field

from ...domain.model import OrganizationId, PlantId, SubnetId
from ...domain.policy import Action
from ...domain.scopes import TokenScope
from ...domain.snapshot import key_of
from ..answers import (
    GatewayStatusAnswer,
    PlantAnswer,
    PlantRemovalAnswer,
    PlantStatusAnswer,
    SubnetAnswer,
)
from ..call import Call
from ..operation import Tag, operation
from ..problems import Problem
from ..schema import MAX_IDENTIFIER, Body, Page, PageQuery, page_of
from .account import Rename
from .organizations import show_organization

_CONFLICT = frozenset({Problem.CONFLICT})


class PlantsQuery(PageQuery):
    organization: str | None = Field(None, max_length=MAX_IDENTIFIER, description="Only plants of this owner.")


class NewSubnet(Body):
    network: str = Field(max_length=18, description="In CIDR notation: 192.168.1.0/24.")


@operation("GET", "/plants", Tag.PLANTS, TokenScope.READ)
def list_plants(call: Call, query: PlantsQuery) -> Page[PlantAnswer]:
    """The plants on which you have a job."""
    organization = None if query.organization is None else OrganizationId(query.organization)
    return page_of(query, call.view.plants(organization), lambda seen: (seen.plant.id,), PlantAnswer.of)


@operation("GET", "/plants/{plant}", Tag.PLANTS, TokenScope.READ)
def show_plant(call: Call, plant: PlantId) -> PlantAnswer:
    """One plant."""
    return PlantAnswer.of(call.view.plant(plant))


@operation("GET", "/plants/{plant}/status", Tag.PLANTS, TokenScope.READ)
def show_plant_status(call: Call, plant: PlantId) -> PlantStatusAnswer:
    """Whether the plant can be reached now; its gateways for whoever may see its network."""
    online = call.parts.online()
    call.view.plant(plant)
    network = call.view.may(Action.SEE_NETWORK, plant)
    gateways = sorted(call.view.gateways(plant), key=lambda gateway: gateway.id) if network else []
    active = call.view.snapshot.active_agent_of(plant)
    return PlantStatusAnswer(
        plant=plant,
        online=active is not None and active.id in online,
        gateways=tuple(
            GatewayStatusAnswer(gateway=one.id, name=one.name, active=one.active, online=one.id in online)
            for one in gateways
        ),
    )


@operation("GET", "/plants/{plant}/removal", Tag.PLANTS, TokenScope.READ)
def show_plant_removal(call: Call, plant: PlantId) -> PlantRemovalAnswer:
    """What would go with the plant."""
    return PlantRemovalAnswer.of(call.view.plant_removal(plant))


@operation(
    "POST",
    "/organizations/{organization}/plants",
    Tag.PLANTS,
    TokenScope.PLANTS,
    location="/plants/{id}",
    resource=show_organization,
    problems=_CONFLICT,
)
async def create_plant(call: Call, organization: OrganizationId, body: Rename) -> PlantAnswer:
    """Make a plant; it comes into the organization's default VPN service."""
    plant = await call.services.plants.create(call.actor, organization, body.name)
    return show_plant(call, plant.id)


@operation("PATCH", "/plants/{plant}", Tag.PLANTS, TokenScope.PLANTS, resource=show_plant, problems=_CONFLICT)
async def rename_plant(call: Call, plant: PlantId, body: Rename) -> PlantAnswer:
    """Rename a plant."""
    await call.services.plants.rename(call.actor, plant, body.name)
    return show_plant(call, plant)


@operation("DELETE", "/plants/{plant}", Tag.PLANTS, TokenScope.PLANTS, resource=show_plant)
async def remove_plant(call: Call, plant: PlantId) -> None:
    """Remove a plant with its subnets, devices, gateways, jobs and cooperations."""
    await call.services.plants.remove(call.actor, plant)


@operation("GET", "/plants/{plant}/subnets", Tag.PLANTS, TokenScope.READ)
def list_subnets(call: Call, plant: PlantId, query: PageQuery) -> Page[SubnetAnswer]:
    """The plant's networks."""
    return page_of(query, call.view.subnets(plant), key_of, SubnetAnswer.of)


@operation("GET", "/subnets/{subnet}", Tag.PLANTS, TokenScope.READ)
def show_subnet(call: Call, subnet: SubnetId) -> SubnetAnswer:
    """One network of a plant."""
    return SubnetAnswer.of(call.view.subnet(subnet))


@operation(
    "POST",
    "/plants/{plant}/subnets",
    Tag.PLANTS,
    TokenScope.PLANTS,
    location="/subnets/{id}",
    resource=show_plant,
    problems=_CONFLICT,
)
async def add_subnet(call: Call, plant: PlantId, body: NewSubnet) -> SubnetAnswer:
    """Add a network to the plant."""
    return SubnetAnswer.of(await call.services.plants.add_subnet(call.actor, plant, body.network))


@operation("DELETE", "/subnets/{subnet}", Tag.PLANTS, TokenScope.PLANTS, resource=show_subnet, problems=_CONFLICT)
async def remove_subnet(call: Call, subnet: SubnetId) -> None:
    """Remove a network that holds no device."""
    await call.services.plants.remove_subnet(call.actor, subnet)
