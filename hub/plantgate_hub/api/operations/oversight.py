"""Ending access to a plant, reasons for connecting, why somebody may or may not, and the plant's record."""

from pydantic import Field

from ...domain.model import HoldScope, OrganizationId, PersonId, PlantId
from ...domain.policy import Action
from ...domain.scopes import TokenScope
from ...domain.snapshot import key_of
from ...services import EXPLAINABLE
from ...services.answers import MAX_EVENTS
from ...services.context import MAX_REASON
from ...services.purposes import LONGEST_PURPOSE, SHORTEST_PURPOSE
from ..answers_oversight import (
    ActionName,
    ConnectionAnswer,
    ExplanationAnswer,
    HoldAnswer,
    PlantEventAnswer,
    PolicyAnswer,
    PurposeAnswer,
)
from ..call import Call
from ..operation import Tag, operation
from ..order import newest_first
from ..problems import Problem
from ..schema import MAX_IDENTIFIER, Body, Page, PageQuery, Query, Reason, page_of
from .plants import show_plant

_TOO_MANY = frozenset({Problem.TOO_MANY})


class NewHold(Body):
    scope: HoldScope = Field(HoldScope.EVERYONE, description="`external`: people by cooperation only.")
    reason: Reason = ""


class NewPurpose(Body):
    text: str = Field(min_length=1, max_length=MAX_REASON, description="Why you connect; others can read it.")
    valid_for: int | None = Field(
        None,
        ge=int(SHORTEST_PURPOSE),
        le=int(LONGEST_PURPOSE),
        description="Seconds; left out: as long as the plant's organization allows.",
    )


class NewPolicy(Body):
    purpose_required: bool
    longest_purpose: int = Field(ge=int(SHORTEST_PURPOSE), le=int(LONGEST_PURPOSE), description="Seconds.")


class WhoAndWhat(Query):
    person: str = Field("", max_length=MAX_IDENTIFIER, description="Left out: yourself.")
    action: ActionName | None = Field(None, description="Left out: all of them.")


# Who is connected


@operation("GET", "/plants/{plant}/connections", Tag.ACCESS, TokenScope.READ)
def list_connections(call: Call, plant: PlantId, query: PageQuery) -> Page[ConnectionAnswer]:
    """Who is connected to the plant now through this node, by Technical Managers and upwards."""
    call.view.look(Action.SEE_CONNECTIONS, plant)
    found = call.parts.connected.on_plant(plant) if call.parts.connected else ()
    return page_of(
        query,
        found,
        lambda connection: (connection.person, connection.means),
        lambda connection: ConnectionAnswer.of(call.snapshot, connection),
    )


# Ending access


@operation("GET", "/plants/{plant}/holds", Tag.ACCESS, TokenScope.READ)
def list_holds(call: Call, plant: PlantId, query: PageQuery) -> Page[HoldAnswer]:
    """What ends access to the plant for now."""
    return page_of(query, call.view.holds(plant), key_of, HoldAnswer.of)


@operation("GET", "/plants/{plant}/holds/{scope}", Tag.ACCESS, TokenScope.READ)
def show_hold(call: Call, plant: PlantId, scope: str) -> HoldAnswer:
    """One hold; a plant has at most one of each scope."""
    return HoldAnswer.of(call.view.hold(plant, scope))


@operation("POST", "/plants/{plant}/holds", Tag.ACCESS, TokenScope.ACCESS, resource=show_plant)
async def end_access(call: Call, plant: PlantId, body: NewHold) -> HoldAnswer:
    """End all access to the plant now, running connections within a second. It lasts until it is lifted.

    By Operators of the plant's own organization and upwards. Twice is the same as once.
    """
    return HoldAnswer.of(await call.services.holds.end_access(call.actor, plant, body.scope, body.reason))


@operation("DELETE", "/plants/{plant}/holds/{scope}", Tag.ACCESS, TokenScope.ACCESS, resource=show_hold)
async def lift_hold(call: Call, plant: PlantId, scope: str) -> None:
    """Give access free again, by the Moderators and Administrators of the plant's organization."""
    await call.services.holds.restore(call.actor, plant, call.view.hold(plant, scope).scope)


# Reasons for connecting


@operation("GET", "/organizations/{organization}/connection-policy", Tag.ACCESS, TokenScope.READ)
def show_connection_policy(call: Call, organization: OrganizationId) -> PolicyAnswer:
    """What the organization asks of everybody who connects to one of its plants."""
    return PolicyAnswer.of(call.view.connection_policy(organization))


@operation(
    "PUT",
    "/organizations/{organization}/connection-policy",
    Tag.ACCESS,
    TokenScope.ACCESS,
    resource=show_connection_policy,
)
async def set_connection_policy(call: Call, organization: OrganizationId, body: NewPolicy) -> PolicyAnswer:
    """Change what the organization asks (Administrators). Reasons that would last longer are cut short."""
    policy = await call.services.purposes.set_policy(
        call.actor, organization, required=body.purpose_required, longest=float(body.longest_purpose)
    )
    return PolicyAnswer.of(policy)


@operation("GET", "/me/purposes", Tag.ACCESS, TokenScope.READ)
def list_purposes(call: Call, query: PageQuery) -> Page[PurposeAnswer]:
    """The reasons that you declared and that still hold."""
    return page_of(query, call.view.purposes(), key_of, PurposeAnswer.of)


@operation("GET", "/me/purposes/{plant}", Tag.ACCESS, TokenScope.READ)
def show_purpose(call: Call, plant: PlantId) -> PurposeAnswer:
    """Why you connect to the plant."""
    return PurposeAnswer.of(call.view.purpose(plant))


@operation("POST", "/plants/{plant}/purpose", Tag.ACCESS, TokenScope.VPN, resource=show_plant, problems=_TOO_MANY)
async def declare_purpose(call: Call, plant: PlantId, body: NewPurpose) -> PurposeAnswer:
    """Say why you connect to the plant, in place of what you said before. It goes on the plant's record."""
    lasts = None if body.valid_for is None else float(body.valid_for)
    return PurposeAnswer.of(await call.services.purposes.declare(call.actor, plant, body.text, lasts))


@operation("DELETE", "/me/purposes/{plant}", Tag.ACCESS, TokenScope.VPN, resource=show_purpose)
async def end_purpose(call: Call, plant: PlantId) -> None:
    """The work is done. Where a reason is required, your connections to the plant end."""
    await call.services.purposes.end(call.actor, plant)


# Looking


@operation("GET", "/plants/{plant}/explanation", Tag.ACCESS, TokenScope.READ)
async def explain(call: Call, plant: PlantId, query: WhoAndWhat) -> ExplanationAnswer:
    """Why a person may or may not do something on the plant, and who could change it.

    For yourself, and for people of organizations whose members you manage.
    """
    person = PersonId(query.person or call.caller.person)
    actions = EXPLAINABLE if query.action is None else (query.action.action,)
    explained = await call.services.answers.explain(call.actor, person, plant, actions)
    return ExplanationAnswer.of(person, plant, explained)


@operation("GET", "/plants/{plant}/events", Tag.ACCESS, TokenScope.READ)
async def list_events(call: Call, plant: PlantId, query: PageQuery) -> Page[PlantEventAnswer]:
    """The plant's record, the newest first: holds, declared reasons, new external connections."""
    events = await call.services.answers.plant_record(call.actor, plant, MAX_EVENTS)
    return page_of(
        query,
        events,
        lambda event: (newest_first(event.at), event.what, event.person, event.name, event.detail),
        PlantEventAnswer.of,
    )
