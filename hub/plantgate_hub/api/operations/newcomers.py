"""Inviting people into an organization, and helping who lost their second factor."""

from pydantic import Field

from ...domain.accounts import INVITATION_SECONDS, MAX_INVITATION_SECONDS
from ...domain.model import OrganizationId, OrgRole, PersonId
from ...domain.scopes import TokenScope
from ..answers_accounts import InvitationAnswer, NewInvitationAnswer
from ..call import Call
from ..operation import Tag, operation
from ..problems import Problem
from ..schema import Body, Email, JobName, Page, PageQuery, page_of
from .organizations import show_organization, show_person

_PROOF = frozenset({Problem.PROOF})


class NewMember(Body):
    email: Email
    role: OrgRole = OrgRole.MEMBER
    job: JobName | None = Field(None, description="On every plant of the organization; at most technical-manager.")
    valid_for: int = Field(int(INVITATION_SECONDS), ge=60, le=int(MAX_INVITATION_SECONDS), description="Seconds.")


@operation("GET", "/organizations/{organization}/invitations", Tag.ORGANIZATIONS, TokenScope.READ)
async def list_member_invitations(call: Call, organization: OrganizationId, query: PageQuery) -> Page[InvitationAnswer]:
    """The invitations that can still be accepted, for those who manage members."""
    found = await call.services.invitations.open(call.actor, organization)
    return page_of(query, found, lambda invitation: (invitation.id,), InvitationAnswer.of)


@operation(
    "POST",
    "/organizations/{organization}/invitations",
    Tag.ORGANIZATIONS,
    TokenScope.ACCESS,
    status=201,
    resource=show_organization,
    problems=_PROOF | {Problem.CONFLICT, Problem.TOO_MANY},
)
async def invite_member(call: Call, organization: OrganizationId, body: NewMember) -> NewInvitationAnswer:
    """Invite an e-mail address, in place of any invitation that it had here.

    Nothing in the answer tells whether there is an account. Cloud operators invite an organization's first
    Administrator.
    """
    call.ask_for_proof()
    job = body.job.job if body.job is not None else None
    made = await call.services.invitations.create(
        call.actor, organization, body.email, body.role, job, valid_for=float(body.valid_for)
    )
    return NewInvitationAnswer.with_link(made)


@operation(
    "POST",
    "/organizations/{organization}/invitations/{invitation}/withdraw",
    Tag.ORGANIZATIONS,
    TokenScope.ACCESS,
    resource=show_organization,
    problems=_PROOF,
)
async def withdraw_member_invitation(call: Call, organization: OrganizationId, invitation: str) -> None:
    """Withdraw an invitation: its link opens nothing from then on."""
    call.ask_for_proof()
    await call.services.invitations.withdraw(call.actor, organization, invitation)


@operation(
    "POST",
    "/people/{person}/second-factor-reset",
    Tag.ORGANIZATIONS,
    None,
    resource=show_person,
    problems=_PROOF,
)
async def reset_second_factor(call: Call, person: PersonId) -> None:
    """Take away the second factor of somebody who lost it; they are told, and their sessions end.

    By who has a higher role in every organization that the person is in, and by cloud operators.
    """
    call.ask_for_proof()
    await call.services.people.remove_totp(call.actor, person)
