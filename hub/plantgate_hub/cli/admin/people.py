"""`admin bootstrap`, `org`, `person`, `member`, `history`."""

from typing import Annotated, Any

import typer

from ...domain.model import OrgRole, Person
from ...domain.policy import Action
from .. import output
from ..references import parse_job
from ..session import Session, command, read_password

organizations = typer.Typer(help="Organizations.", no_args_is_help=True)
people = typer.Typer(help="Accounts.", no_args_is_help=True)
members = typer.Typer(help="Who belongs to an organization, in which role.", no_args_is_help=True)
top = typer.Typer()

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The person's e-mail address.")]
Org = Annotated[str, typer.Argument(metavar="ORGANIZATION", help="Its name or id.")]
PasswordFile = Annotated[
    str, typer.Option(help="Read the password from this file, '-' for standard input. Default: make one, show it once.")
]


def add_to(app: typer.Typer) -> None:
    app.registered_commands += top.registered_commands
    app.add_typer(organizations, name="org")
    app.add_typer(people, name="person")
    app.add_typer(members, name="member")


def _account(person: Person, password: str, made: bool) -> dict[str, Any]:
    """An account's answer; only a password that was made here is shown."""
    shown: dict[str, Any] = output.plain(person)
    return {**shown, "password": password} if made else shown


@command(top, "bootstrap")
async def bootstrap(
    session: Session,
    email: Email,
    name: Annotated[str, typer.Option()] = "Administrator",
    password_file: PasswordFile = "",
) -> Any:
    """Make the first cloud operator, who creates organizations."""
    password, made = read_password(password_file)
    return _account(await session.services.people.bootstrap(session.actor, email, name, password), password, made)


@command(top, "history")
async def history(session: Session, limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50) -> Any:
    """Show the latest changes, and who made them. For the console and cloud operators."""
    session.services.context.platform(session.snapshot, session.actor)
    return await session.store.history(limit)


@command(organizations, "create")
async def create_organization(
    session: Session,
    name: str,
    administrator: Annotated[
        str, typer.Option(metavar="EMAIL", help="Its first Administrator, who has an account.")
    ] = "",
) -> Any:
    """Create an organization."""
    first = session.find.person(administrator).id if administrator else None
    return await session.services.organizations.create(session.actor, name, first)


@command(organizations, "list")
async def list_organizations(session: Session) -> Any:
    """List organizations."""
    return session.find.organizations()


@command(organizations, "rename")
async def rename_organization(session: Session, organization: Org, name: str) -> Any:
    """Rename an organization."""
    place = session.find.organization(organization)
    return await session.services.organizations.rename(session.actor, place.id, name)


@command(organizations, "remove")
async def remove_organization(session: Session, organization: Org) -> None:
    """Remove an organization that has no plants."""
    await session.services.organizations.remove(session.actor, session.find.organization(organization).id)


@command(people, "create")
async def create_person(
    session: Session,
    email: Email,
    name: str,
    organization: Annotated[str, typer.Option("--org", help="Make them a member of this organization.")] = "",
    role: Annotated[OrgRole, typer.Option(help="Their role there.")] = OrgRole.MEMBER,
    cloud_operator: Annotated[bool, typer.Option("--cloud-operator", help="Make them a cloud operator.")] = False,
    password_file: PasswordFile = "",
) -> Any:
    """Create an account."""
    password, made = read_password(password_file)
    person = await session.services.people.create(
        session.actor,
        email,
        name,
        password=password,
        organization=session.find.organization(organization).id if organization else None,
        role=role,
        cloud_operator=cloud_operator,
    )
    return _account(person, password, made)


@command(people, "list")
async def list_people(session: Session) -> Any:
    """List accounts."""
    return session.find.people()


@command(people, "password")
async def set_password(session: Session, email: Email, password_file: PasswordFile = "") -> Any:
    """Set a person's password; ends their sessions."""
    person = session.find.person(email)
    password, made = read_password(password_file)
    await session.services.people.set_password(session.actor, person.id, password)
    return _account(person, password, made)


@command(people, "totp")
async def enrol_totp(session: Session, email: Email) -> Any:
    """Make a new second factor (TOTP) for a person, active at once; shown once."""
    person = session.find.person(email)
    enrolment = await session.services.people.enrol_totp(session.actor, person.id)
    return {"email": person.email, "secret": enrolment.secret, "url": enrolment.url}


@command(people, "totp-remove")
async def remove_totp(session: Session, email: Email) -> None:
    """Reset the second factor of a person who lost it; device pages are refused until there is a new one."""
    await session.services.people.remove_totp(session.actor, session.find.person(email).id)


@command(people, "cloud-operator")
async def cloud_operator(session: Session, email: Email, on: Annotated[bool, typer.Option("--on/--off")] = True) -> Any:
    """Make a person a cloud operator, or no longer one."""
    person = session.find.person(email)
    return await session.services.people.set_cloud_operator(session.actor, person.id, on)


@command(people, "delete")
async def delete_person(session: Session, email: Email) -> None:
    """Delete an account: its access ends at once."""
    await session.services.people.delete(session.actor, session.find.person(email).id)


@command(members, "add")
async def add_member(
    session: Session,
    organization: Org,
    email: Email,
    role: Annotated[OrgRole, typer.Option(help="Administrators and Moderators are Operator on all its plants.")] = (
        OrgRole.MEMBER
    ),
    job: Annotated[str, typer.Option(help="Job on all its plants; at most technical-manager.")] = "",
) -> Any:
    """Change a member's role and organization-wide job. The console may also make anybody a member, without asking
    them: see `invite` for the other way."""
    return await session.services.organizations.set_member(
        session.actor,
        session.find.organization(organization).id,
        session.find.person(email).id,
        role,
        parse_job(job) if job else None,
    )


@command(members, "remove")
async def remove_member(session: Session, organization: Org, email: Email) -> None:
    """End a membership, and all that the person had through it."""
    await session.services.organizations.remove_member(
        session.actor, session.find.organization(organization).id, session.find.person(email).id
    )


@command(members, "list")
async def list_members(session: Session, organization: Org) -> Any:
    """List an organization's members."""
    place = session.find.organization(organization)
    session.services.context.organization(session.snapshot, session.actor, Action.MANAGE_MEMBERS, place.id)
    rows = []
    for member in session.snapshot.members_of(place.id):
        account = session.snapshot.people.get(member.person)
        rows.append({"email": account.email if account else "", **output.plain(member)})
    return sorted(rows, key=lambda row: row["email"])
