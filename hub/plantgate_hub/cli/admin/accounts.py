"""`admin invite`, `token`, `reset-link`, `account-history`."""

from typing import Annotated, Any

import typer

from ...domain.model import OrgRole
from ...domain.scopes import TokenScope
from .. import output
from ..moments import parse_span
from ..references import parse_job
from ..session import Session, command
from .people import Email, Org

invitations = typer.Typer(help="Offers of membership, by one-time link.", no_args_is_help=True)
tokens = typer.Typer(help="API tokens of a person.", no_args_is_help=True)
top = typer.Typer()


def add_to(app: typer.Typer) -> None:
    app.registered_commands += top.registered_commands
    app.add_typer(invitations, name="invite")
    app.add_typer(tokens, name="token")


@command(invitations, "create")
async def invite(
    session: Session,
    organization: Org,
    email: Email,
    role: Annotated[OrgRole, typer.Option(help="Administrators and Moderators are Operator on all its plants.")] = (
        OrgRole.MEMBER
    ),
    job: Annotated[str, typer.Option(help="Job on all its plants; at most technical-manager.")] = "",
    valid_for: Annotated[str, typer.Option(help="How long, like 4h or 7d; at most 30d.")] = "7d",
) -> Any:
    """Invite an e-mail address into an organization. Mailed where mail is configured; the console is shown the link."""
    made = await session.services.invitations.create(
        session.actor,
        session.find.organization(organization).id,
        email,
        role,
        parse_job(job) if job else None,
        valid_for=parse_span(valid_for),
    )
    shown: dict[str, Any] = output.plain(made.invitation)
    return {**shown, "link": made.link} if made.link else shown


@command(invitations, "list")
async def list_invitations(session: Session, organization: Org) -> Any:
    """List an organization's open invitations."""
    return await session.services.invitations.open(session.actor, session.find.organization(organization).id)


@command(invitations, "withdraw")
async def withdraw(
    session: Session, organization: Org, invitation: Annotated[str, typer.Argument(metavar="ID", help="From the list.")]
) -> None:
    """Withdraw an invitation: its link opens nothing from then on."""
    place = session.find.organization(organization)
    await session.services.invitations.withdraw(session.actor, place.id, invitation)


@command(top, "reset-link")
async def reset_link(session: Session, email: Email) -> Any:
    """Make a one-time link to hand over, with which a person sets a new password. The second factor stays."""
    return await session.services.recovery.reset_link(session.actor, session.find.person(email).id)


@command(top, "account-history")
async def account_history(
    session: Session,
    email: Annotated[str, typer.Option(metavar="EMAIL", help="Only of this account.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
) -> Any:
    """Show what happened to accounts and invitations. For the console and cloud operators."""
    session.services.context.platform(session.snapshot, session.actor)
    person = session.find.person(email).id if email else None
    return await session.store.accounts.history(limit, person)


@command(tokens, "create")
async def create_token(
    session: Session,
    email: Email,
    name: str,
    scope: Annotated[list[TokenScope], typer.Option(help="What it may be used for; may be given more than once.")],
    valid_for: Annotated[str, typer.Option(help="How long, like 30d; at most 366d.")] = "90d",
) -> Any:
    """Make an API token for a person; shown once."""
    person = session.find.person(email)
    made = await session.services.tokens.create(session.actor, person.id, name, scope, parse_span(valid_for))
    return {**output.plain(made.token), "token": made.secret}


@command(tokens, "list")
async def list_tokens(session: Session, email: Email) -> Any:
    """List a person's API tokens."""
    return await session.services.tokens.of_person(session.actor, session.find.person(email).id)


@command(tokens, "revoke")
async def revoke_token(
    session: Session, email: Email, token: Annotated[str, typer.Argument(metavar="ID", help="From the list.")]
) -> None:
    """Revoke an API token: it is refused within a second."""
    await session.services.tokens.revoke(session.actor, session.find.person(email).id, token)
