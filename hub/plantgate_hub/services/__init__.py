"""The application services: the only way to change anything. Each checks the acting person's permission and the input.

Whoever is asked about what they may not see is told that it does not exist. All changes are in the store's history
under the acting person's name.
"""

from dataclasses import replace

from .agents import Agents, NewCode
from .alerts import Alerts
from .answers import EXPLAINABLE, Answers
from .context import CONSOLE, HUB, Actor, Context, Witness, acting
from .cooperations import Cooperations
from .grants import Grants
from .holds import Holds
from .invitations import Invitations, NewInvitation
from .organizations import Organizations
from .passwords import generate_password
from .people import People, TotpEnrolment, find_person
from .plants import Plants
from .profiles import Profiles, RotatedProfile, Routes
from .purposes import Purposes
from .recovery import Recovery
from .tokens import NewToken, Tokens
from .views import View
from .vpn import VpnServices


class Services:
    """All services over one context."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.people = People(context)
        self.organizations = Organizations(context)
        self.invitations = Invitations(context)
        self.recovery = Recovery(context)
        self.tokens = Tokens(context)
        self.plants = Plants(context)
        self.grants = Grants(context)
        self.cooperations = Cooperations(context)
        self.vpn = VpnServices(context)
        self.agents = Agents(context)
        self.profiles = Profiles(context)
        self.routes = Routes(context)
        self.holds = Holds(context)
        self.purposes = Purposes(context)
        self.answers = Answers(context)
        self.alerts = Alerts(context)

    def witnessed_by(self, witness: Witness) -> "Services":
        """The same services, with somebody beside each change who may refuse it on the state it would be made on."""
        return Services(replace(self.context, witness=witness))


__all__ = [
    "CONSOLE",
    "EXPLAINABLE",
    "HUB",
    "Actor",
    "Agents",
    "Alerts",
    "Answers",
    "Context",
    "Cooperations",
    "Grants",
    "Holds",
    "Invitations",
    "NewCode",
    "NewInvitation",
    "NewToken",
    "Organizations",
    "People",
    "Plants",
    "Profiles",
    "Purposes",
    "Recovery",
    "RotatedProfile",
    "Routes",
    "Services",
    "Tokens",
    "TotpEnrolment",
    "View",
    "VpnServices",
    "Witness",
    "acting",
    "find_person",
    "generate_password",
]
