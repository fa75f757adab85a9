"""All page groups of the portal that need somebody to be signed in."""

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from .cooperations import CooperationPages
from .desk import Desk
from .fleet import Fleet
from .gate import Gate
from .gateways import Gateways
from .home import Home
from .organizations import Organizations
from .plant_setup import PlantSetup
from .plants import PlantPages
from .routes import MyRoutes
from .vpn import MyVpn


class PageGroup(Protocol):
    def routes(self) -> list[web.RouteDef]: ...


def page_groups(desk: Desk, gate: Gate) -> Sequence[PageGroup]:
    return (
        Home(desk, gate),
        MyVpn(desk),
        MyRoutes(desk),
        PlantPages(desk),
        PlantSetup(desk),
        Gateways(desk),
        Organizations(desk),
        CooperationPages(desk),
        Fleet(desk),
    )
