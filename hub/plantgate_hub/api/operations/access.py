"""Jobs on plants, and cooperations that share a plant with another organization."""

from pydantic import Field

from ...domain.model import CooperationId, OrganizationId, PersonId, PlantId
from ...domain.scopes import TokenScope
from ...domain.snapshot import key_of
from ..answers import CooperationAnswer, GrantAnswer, PersonGrantsAnswer
from ..call import Call
from ..operation import Tag, operation
from ..problems import Problem
from ..schema import Body, Identifier, JobName, Moment, Page, PageQuery, Query, Reason, page_of, seconds
from .plants import show_plant

_CONFLICT = frozenset({Problem.CONFLICT})


class NewGrant(Body):
    person: Identifier
    job: JobName
    starts: Moment | None = None
    ends: Moment | None = None
    reason: Reason = ""


class WhichGrant(Query):
    job: JobName | None = Field(None, description="Only this job.")


class NewCooperation(Body):
    partner: Identifier = Field(description="Id of the other organization; its people tell you.")
    cap: JobName = Field(description="The highest job that an invitation can give.")
    ends: Moment | None = None
    reason: Reason = ""


class CapChange(Body):
    cap: JobName


# Jobs


@operation("GET", "/plants/{plant}/grants", Tag.ACCESS, TokenScope.READ)
def list_grants(call: Call, plant: PlantId, query: PageQuery) -> Page[GrantAnswer]:
    """Who was granted which job, invitations included, for those who manage members; others see their own."""
    grants = call.view.grants(plant)
    return page_of(query, grants, key_of, lambda grant: GrantAnswer.of(call.view.snapshot, grant))


@operation("GET", "/plants/{plant}/grants/{person}", Tag.ACCESS, TokenScope.READ)
def show_grants(call: Call, plant: PlantId, person: PersonId) -> PersonGrantsAnswer:
    """What one person was granted on the plant."""
    return PersonGrantsAnswer.of(call.view.snapshot, call.view.grants_of(plant, person))


@operation("POST", "/plants/{plant}/grants", Tag.ACCESS, TokenScope.ACCESS, status=201, resource=show_plant)
async def give_job(call: Call, plant: PlantId, body: NewGrant) -> GrantAnswer:
    """Give a member of the owner a job on the plant.

    A lasting job replaces all that the person was granted there before. A time-boxed one comes beside a lasting one.
    """
    grant = await call.services.grants.give(
        call.actor,
        PersonId(body.person),
        plant,
        body.job.job,
        starts=seconds(body.starts),
        ends=seconds(body.ends),
        reason=body.reason,
    )
    return GrantAnswer.of(call.view.snapshot, grant)


@operation("DELETE", "/plants/{plant}/grants/{person}", Tag.ACCESS, TokenScope.ACCESS, resource=show_grants)
async def revoke_job(call: Call, plant: PlantId, person: PersonId, query: WhichGrant) -> None:
    """Take back what the person was granted on the plant. Their connections end within a second."""
    await call.services.grants.revoke(call.actor, person, plant, query.job.job if query.job else None)


# Cooperations


@operation("GET", "/cooperations", Tag.ACCESS, TokenScope.READ)
def list_cooperations(call: Call, query: PageQuery) -> Page[CooperationAnswer]:
    """The cooperations that you manage, as owner or as partner, ended ones included."""
    found = call.view.cooperations()
    return page_of(query, found, key_of, lambda one: CooperationAnswer.of(call.view.snapshot, one))


@operation("GET", "/cooperations/{cooperation}", Tag.ACCESS, TokenScope.READ)
def show_cooperation(call: Call, cooperation: CooperationId) -> CooperationAnswer:
    """One cooperation."""
    return CooperationAnswer.of(call.view.snapshot, call.view.cooperation(cooperation))


@operation(
    "POST",
    "/plants/{plant}/cooperations",
    Tag.ACCESS,
    TokenScope.ACCESS,
    location="/cooperations/{id}",
    resource=show_plant,
    problems=_CONFLICT,
)
async def offer_cooperation(call: Call, plant: PlantId, body: NewCooperation) -> CooperationAnswer:
    """Offer the plant to another organization. Nobody gets anything by it before people are invited."""
    offered = await call.services.cooperations.offer(
        call.actor,
        plant,
        OrganizationId(body.partner),
        body.cap.job,
        ends=seconds(body.ends),
        reason=body.reason,
    )
    return show_cooperation(call, offered.id)


@operation(
    "POST",
    "/cooperations/{cooperation}/accept",
    Tag.ACCESS,
    TokenScope.ACCESS,
    resource=show_cooperation,
    problems=_CONFLICT,
)
async def accept_cooperation(call: Call, cooperation: CooperationId) -> CooperationAnswer:
    """Accept an offer, by the partner. With If-Match it is the offer that you saw."""
    await call.services.cooperations.accept(call.actor, cooperation)
    return show_cooperation(call, cooperation)


@operation(
    "PATCH",
    "/cooperations/{cooperation}",
    Tag.ACCESS,
    TokenScope.ACCESS,
    resource=show_cooperation,
    problems=_CONFLICT,
)
async def change_cap(call: Call, cooperation: CooperationId, body: CapChange) -> CooperationAnswer:
    """Change the highest job, by the owner. Lowering it lowers everyone at once, for good."""
    await call.services.cooperations.set_cap(call.actor, cooperation, body.cap.job)
    return show_cooperation(call, cooperation)


@operation(
    "POST",
    "/cooperations/{cooperation}/end",
    Tag.ACCESS,
    TokenScope.ACCESS,
    resource=show_cooperation,
    problems=_CONFLICT,
)
async def end_cooperation(call: Call, cooperation: CooperationId) -> CooperationAnswer:
    """End it with all its invitations, by either side; an offer is declined or withdrawn the same way."""
    await call.services.cooperations.end(call.actor, cooperation)
    return show_cooperation(call, cooperation)


# Invitations


@operation("GET", "/cooperations/{cooperation}/invitations", Tag.ACCESS, TokenScope.READ)
def list_invitations(call: Call, cooperation: CooperationId, query: PageQuery) -> Page[GrantAnswer]:
    """Who is invited."""
    found = call.view.invitations(cooperation)
    return page_of(query, found, key_of, lambda grant: GrantAnswer.of(call.view.snapshot, grant))


@operation("GET", "/cooperations/{cooperation}/invitations/{person}", Tag.ACCESS, TokenScope.READ)
def show_invitation(call: Call, cooperation: CooperationId, person: PersonId) -> PersonGrantsAnswer:
    """What one person is invited to."""
    return PersonGrantsAnswer.of(call.view.snapshot, call.view.invitations_of(cooperation, person))


@operation(
    "POST",
    "/cooperations/{cooperation}/invitations",
    Tag.ACCESS,
    TokenScope.ACCESS,
    status=201,
    resource=show_cooperation,
    problems=_CONFLICT,
)
async def invite(call: Call, cooperation: CooperationId, body: NewGrant) -> GrantAnswer:
    """Give a member of the partner a job on the shared plant, at most the cap; by either side."""
    grant = await call.services.cooperations.invite(
        call.actor,
        cooperation,
        PersonId(body.person),
        body.job.job,
        starts=seconds(body.starts),
        ends=seconds(body.ends),
        reason=body.reason,
    )
    return GrantAnswer.of(call.view.snapshot, grant)


@operation(
    "DELETE",
    "/cooperations/{cooperation}/invitations/{person}",
    Tag.ACCESS,
    TokenScope.ACCESS,
    resource=show_invitation,
)
async def withdraw_invitation(call: Call, cooperation: CooperationId, person: PersonId) -> None:
    """End a person's invitation, by either side."""
    await call.services.cooperations.withdraw(call.actor, cooperation, person)
