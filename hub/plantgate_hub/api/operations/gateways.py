"""Gateways and the one-time codes they enrol with."""

from pydantic import Field

from plantgate_shared.errors import NotFound

from ...domain.model import AgentId, PlantId
from ...domain.scopes import TokenScope
from ...domain.snapshot import key_of
from ...services.agents import DEFAULT_VALIDITY, LONGEST_VALIDITY
from ..answers import EnrolmentCodeAnswer, GatewayAnswer, RevealedCodeAnswer
from ..call import Call
from ..operation import Tag, operation
from ..schema import Body, Name, Page, PageQuery, page_of
from .plants import show_plant


class NewCode(Body):
    name: Name = Field("gateway", description="What the gateway will be called.")
    valid_for: int = Field(int(DEFAULT_VALIDITY), ge=60, le=int(LONGEST_VALIDITY), description="Seconds.")


@operation("GET", "/plants/{plant}/gateways", Tag.GATEWAYS, TokenScope.READ)
def list_gateways(call: Call, plant: PlantId, query: PageQuery) -> Page[GatewayAnswer]:
    """The plant's gateways."""
    return page_of(query, call.view.gateways(plant), key_of, GatewayAnswer.of)


@operation("GET", "/gateways/{gateway}", Tag.GATEWAYS, TokenScope.READ)
def show_gateway(call: Call, gateway: AgentId) -> GatewayAnswer:
    """One gateway."""
    return GatewayAnswer.of(call.view.gateway(gateway))


@operation("POST", "/gateways/{gateway}/activate", Tag.GATEWAYS, TokenScope.PLANTS, resource=show_gateway)
async def activate_gateway(call: Call, gateway: AgentId) -> GatewayAnswer:
    """Let this gateway serve the plant; the others stand by."""
    return GatewayAnswer.of(await call.services.agents.activate(call.actor, gateway))


@operation("DELETE", "/gateways/{gateway}", Tag.GATEWAYS, TokenScope.PLANTS, resource=show_gateway)
async def remove_gateway(call: Call, gateway: AgentId) -> None:
    """Forget a gateway: its keys open nothing from then on."""
    await call.services.agents.remove(call.actor, gateway)


@operation("GET", "/plants/{plant}/enrolment-codes", Tag.GATEWAYS, TokenScope.READ, resource=show_plant)
async def list_codes(call: Call, plant: PlantId, query: PageQuery) -> Page[EnrolmentCodeAnswer]:
    """The plant's codes that can still be used; never the codes themselves."""
    codes = await call.services.agents.open_codes(call.actor, plant)
    return page_of(query, codes, lambda code: (code.lookup_id,), EnrolmentCodeAnswer.of)


@operation("GET", "/plants/{plant}/enrolment-codes/{code}", Tag.GATEWAYS, TokenScope.READ, resource=show_plant)
async def show_code(call: Call, plant: PlantId, code: str) -> EnrolmentCodeAnswer:
    """One code that can still be used."""
    for open_code in await call.services.agents.open_codes(call.actor, plant):
        if open_code.lookup_id == code:
            return EnrolmentCodeAnswer.of(open_code)
    raise NotFound("the plant has no open code of that id")


@operation(
    "POST",
    "/plants/{plant}/enrolment-codes",
    Tag.GATEWAYS,
    TokenScope.PLANTS,
    location="/plants/{plant}/enrolment-codes/{id}",
    resource=show_plant,
)
async def create_code(call: Call, plant: PlantId, body: NewCode) -> RevealedCodeAnswer:
    """Make a one-time code with which a gateway enrols for the plant."""
    made = await call.services.agents.create_code(call.actor, plant, body.name, valid_for=body.valid_for)
    return RevealedCodeAnswer.revealing(made.record, made.code)


@operation(
    "POST", "/plants/{plant}/enrolment-codes/{code}/withdraw", Tag.GATEWAYS, TokenScope.PLANTS, resource=show_plant
)
async def withdraw_code(call: Call, plant: PlantId, code: str) -> None:
    """Make a code useless. A code never changes otherwise, so that no ETag is asked for."""
    await call.services.agents.withdraw_code(call.actor, plant, code)
