"""VPN services: which of its plants an organization offers over VPN."""

from pydantic import Field

from ...domain.model import OrganizationId, PlantId, ServiceId
from ...domain.scopes import TokenScope
from ...domain.snapshot import key_of
from ..answers import ServiceAnswer, ServiceRemovalAnswer
from ..call import Call
from ..operation import Tag, operation
from ..problems import Problem
from ..schema import Page, PageQuery, Query, page_of
from .account import Rename
from .organizations import show_organization

_CONFLICT = frozenset({Problem.CONFLICT})


class Confirmation(Query):
    confirm: bool = Field(False, description="VPN to some plants ends for everyone by it, and that is meant.")


@operation("GET", "/organizations/{organization}/vpn-services", Tag.VPN_SERVICES, TokenScope.READ)
def list_services(call: Call, organization: OrganizationId, query: PageQuery) -> Page[ServiceAnswer]:
    """The organization's VPN services, for those who manage them."""
    return page_of(query, call.view.services(organization), key_of, ServiceAnswer.of)


@operation("GET", "/vpn-services/{service}", Tag.VPN_SERVICES, TokenScope.READ)
def show_service(call: Call, service: ServiceId) -> ServiceAnswer:
    """One VPN service."""
    return ServiceAnswer.of(call.view.service(service))


@operation("GET", "/vpn-services/{service}/removal", Tag.VPN_SERVICES, TokenScope.READ)
def show_service_removal(call: Call, service: ServiceId) -> ServiceRemovalAnswer:
    """What would end with the VPN service."""
    return ServiceRemovalAnswer.of(call.view.service_removal(service))


@operation(
    "POST",
    "/organizations/{organization}/vpn-services",
    Tag.VPN_SERVICES,
    TokenScope.ACCESS,
    location="/vpn-services/{id}",
    resource=show_organization,
    problems=_CONFLICT,
)
async def create_service(call: Call, organization: OrganizationId, body: Rename) -> ServiceAnswer:
    """Make a VPN service."""
    return ServiceAnswer.of(await call.services.vpn.create(call.actor, organization, body.name))


@operation(
    "DELETE",
    "/vpn-services/{service}",
    Tag.VPN_SERVICES,
    TokenScope.ACCESS,
    resource=show_service,
    problems=_CONFLICT,
)
async def remove_service(call: Call, service: ServiceId, query: Confirmation) -> None:
    """Remove a VPN service; the default one stays."""
    await call.services.vpn.remove(call.actor, service, confirmed=query.confirm)


@operation("PUT", "/vpn-services/{service}/plants/{plant}", Tag.VPN_SERVICES, TokenScope.ACCESS, resource=show_service)
async def assign_plant(call: Call, service: ServiceId, plant: PlantId) -> ServiceAnswer:
    """Offer a plant in the VPN service. If-Match names the service's ETag."""
    return ServiceAnswer.of(await call.services.vpn.assign(call.actor, service, plant))


@operation(
    "DELETE",
    "/vpn-services/{service}/plants/{plant}",
    Tag.VPN_SERVICES,
    TokenScope.ACCESS,
    resource=show_service,
    problems=_CONFLICT,
)
async def unassign_plant(call: Call, service: ServiceId, plant: PlantId, query: Confirmation) -> ServiceAnswer:
    """Take a plant out of the VPN service. If-Match names the service's ETag.

    Out of its last service, VPN to it ends for everyone.
    """
    vpn = call.services.vpn
    return ServiceAnswer.of(await vpn.unassign(call.actor, service, plant, confirmed=query.confirm))
