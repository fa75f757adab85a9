"""All page groups of the portal that need somebody to be signed in."""

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from .cooperations import CooperationPages
from .desk import Desk
from .fleet import Fleet
from .gateways import Gateways
from .guards import Guards
from .home import Home
from .organization_settings import OrganizationSettings
from .organizations import Organizations
from .plant_access import PlantAccess
from .plant_setup import PlantSetup
from .plants import PlantPages
from .routes import MyRoutes
from .vpn import MyVpn
from .why import Why


class PageGroup(Protocol):
    def routes(self) -> list[web.RouteDef]: ...


def page_groups(desk: Desk, guards: Guards) -> Sequence[PageGroup]:
    return (
        Home(desk, guards),
        MyVpn(desk),
        MyRoutes(desk),
        PlantPages(desk),
        PlantSetup(desk),
        PlantAccess(desk),
        Why(desk),
        Gateways(desk),
        Organizations(desk),
        OrganizationSettings(desk),
        CooperationPages(desk),
        Fleet(desk),
    )
