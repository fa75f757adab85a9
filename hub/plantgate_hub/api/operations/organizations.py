"""Organizations, the people in them, and accounts."""

from pydantic import Field

from ...domain.model import OrganizationId, OrgRole, PersonId
from ...domain.scopes import TokenScope
from ...domain.snapshot import key_of
from ..answers import MemberAnswer, OrganizationAnswer, PersonAnswer
from ..call import Call
from ..operation import Tag, operation
from ..problems import ApiProblem, Problem
from ..schema import Body, Email, JobName, Name, Page, PageQuery, page_of
from .account import Rename

_CONFLICT = frozenset({Problem.CONFLICT})
_SENSITIVE = _CONFLICT | {Problem.PROOF}


class NewOrganization(Body):
    name: Name


class MemberChange(Body):
    role: OrgRole
    job: JobName | None = Field(None, description="On every plant of the organization; at most technical-manager.")


class NewAccount(Body):
    email: Email
    name: Name
    cloud_operator: bool = False


class AccountChange(Body):
    cloud_operator: bool


# Organizations


@operation("GET", "/organizations", Tag.ORGANIZATIONS, TokenScope.READ)
def list_organizations(call: Call, query: PageQuery) -> Page[OrganizationAnswer]:
    """The organizations that you belong to; cloud operators see all."""
    return page_of(query, call.view.organizations(), key_of, OrganizationAnswer.of)


@operation("GET", "/organizations/{organization}", Tag.ORGANIZATIONS, TokenScope.READ)
def show_organization(call: Call, organization: OrganizationId) -> OrganizationAnswer:
    """One organization."""
    return OrganizationAnswer.of(call.view.organization(organization))


@operation(
    "POST",
    "/organizations",
    Tag.ORGANIZATIONS,
    TokenScope.PLATFORM,
    location="/organizations/{id}",
    problems=_CONFLICT,
)
async def create_organization(call: Call, body: NewOrganization) -> OrganizationAnswer:
    """Make an organization, with its default VPN service (cloud operators).

    Invite its first Administrator then.
    """
    return OrganizationAnswer.of(await call.services.organizations.create(call.actor, body.name))


@operation(
    "PATCH",
    "/organizations/{organization}",
    Tag.ORGANIZATIONS,
    TokenScope.ACCESS,
    resource=show_organization,
    problems=_CONFLICT,
)
async def rename_organization(call: Call, organization: OrganizationId, body: Rename) -> OrganizationAnswer:
    """Rename an organization."""
    return OrganizationAnswer.of(await call.services.organizations.rename(call.actor, organization, body.name))


@operation(
    "DELETE",
    "/organizations/{organization}",
    Tag.ORGANIZATIONS,
    TokenScope.PLATFORM,
    resource=show_organization,
    problems=_CONFLICT,
)
async def remove_organization(call: Call, organization: OrganizationId) -> None:
    """Remove an organization that has no plants (cloud operators)."""
    await call.services.organizations.remove(call.actor, organization)


# Members


@operation("GET", "/organizations/{organization}/members", Tag.ORGANIZATIONS, TokenScope.READ)
def list_members(call: Call, organization: OrganizationId, query: PageQuery) -> Page[MemberAnswer]:
    """The members, for those who manage them; others see themselves."""
    members = call.view.members(organization)
    return page_of(query, members, key_of, lambda member: MemberAnswer.named(call.view.snapshot, member))


@operation("GET", "/organizations/{organization}/members/{person}", Tag.ORGANIZATIONS, TokenScope.READ)
def show_member(call: Call, organization: OrganizationId, person: PersonId) -> MemberAnswer:
    """One member."""
    return MemberAnswer.named(call.view.snapshot, call.view.member(organization, person))


@operation(
    "PUT",
    "/organizations/{organization}/members/{person}",
    Tag.ORGANIZATIONS,
    TokenScope.ACCESS,
    resource=show_member,
    problems=_SENSITIVE,
)
async def set_member(call: Call, organization: OrganizationId, person: PersonId, body: MemberChange) -> MemberAnswer:
    """Change a member's role and organization-wide job.

    Moderators cannot make or change Administrators. Nobody becomes a member unasked: invite them.
    """
    call.ask_for_proof()
    job = body.job.job if body.job is not None else None
    member = await call.services.organizations.set_member(call.actor, organization, person, body.role, job)
    return MemberAnswer.named(call.view.snapshot, member)


@operation(
    "DELETE",
    "/organizations/{organization}/members/{person}",
    Tag.ORGANIZATIONS,
    TokenScope.ACCESS,
    resource=show_member,
    problems=_CONFLICT,
)
async def remove_member(call: Call, organization: OrganizationId, person: PersonId) -> None:
    """End a membership and all that the person has through it. You may leave by yourself."""
    await call.services.organizations.remove_member(call.actor, organization, person)


# Accounts


@operation("GET", "/people", Tag.ORGANIZATIONS, TokenScope.READ)
def list_people(call: Call, query: PageQuery) -> Page[PersonAnswer]:
    """Yourself and the members you manage; cloud operators see all accounts."""
    return page_of(query, call.view.people(), key_of, PersonAnswer.of)


@operation("GET", "/people/{person}", Tag.ORGANIZATIONS, TokenScope.READ)
def show_person(call: Call, person: PersonId) -> PersonAnswer:
    """One account."""
    return PersonAnswer.of(call.view.person(person))


@operation("POST", "/people", Tag.ORGANIZATIONS, TokenScope.PLATFORM, location="/people/{id}", problems=_SENSITIVE)
async def create_account(call: Call, body: NewAccount) -> PersonAnswer:
    """Make an account that belongs to no organization yet (cloud operators)."""
    call.ask_for_proof()
    people = call.services.people
    person = await people.create(call.actor, body.email, body.name, cloud_operator=body.cloud_operator)
    return PersonAnswer.of(person)


@operation(
    "PATCH",
    "/people/{person}",
    Tag.ORGANIZATIONS,
    TokenScope.PLATFORM,
    resource=show_person,
    problems=_SENSITIVE,
)
async def change_account(call: Call, person: PersonId, body: AccountChange) -> PersonAnswer:
    """Make a person cloud operator, or no longer (cloud operators)."""
    call.ask_for_proof()
    return PersonAnswer.of(await call.services.people.set_cloud_operator(call.actor, person, body.cloud_operator))


@operation(
    "DELETE", "/people/{person}", Tag.ORGANIZATIONS, TokenScope.ACCESS, resource=show_person, problems=_SENSITIVE
)
async def remove_account(call: Call, person: PersonId) -> None:
    """Delete an account with all its access, profiles and sessions.

    By the person, a cloud operator, or an Administrator of the only organization that the person is in. No token
    deletes its owner's account.
    """
    call.ask_for_proof()
    if person == call.caller.person and call.caller.browser is None:
        raise ApiProblem(Problem.SCOPE, "no token deletes its owner's account", hint="do it signed in")
    await call.services.people.delete(call.actor, person)
