"""`admin grant`, `cooperation`, `service`."""

from typing import Annotated, Any

import typer

from ...domain.model import PersonId, PlantId
from ...domain.policy import Action
from .. import output
from ..moments import parse_moment
from ..references import JOBS, parse_job
from ..session import Session, command
from .people import Email, Org
from .plants import PlantName

grants = typer.Typer(help="Jobs of people on single plants.", no_args_is_help=True)
cooperations = typer.Typer(help="Plants shared with other organizations.", no_args_is_help=True)
services = typer.Typer(help="VPN services: which plants are offered over VPN.", no_args_is_help=True)

JobName = Annotated[str, typer.Argument(metavar="JOB", help=f"One of: {JOBS}.")]
Starts = Annotated[str, typer.Option(metavar="MOMENT", help="From when on: +4h, or 2026-05-01T08:00 (UTC).")]
Ends = Annotated[str, typer.Option(metavar="MOMENT", help="Until when: +4h, or 2026-05-01T08:00 (UTC).")]
Reason = Annotated[str, typer.Option(help="Why; kept with it.")]
CooperationName = Annotated[str, typer.Argument(metavar="COOPERATION", help="Its id.")]
ServiceName = Annotated[str, typer.Argument(metavar="SERVICE", help="Its name, organization/name, or id.")]
Confirm = Annotated[bool, typer.Option("--confirm", help="Yes, this is to end VPN to plants that are in no other one.")]


def add_to(app: typer.Typer) -> None:
    for name, part in (("grant", grants), ("cooperation", cooperations), ("service", services)):
        app.add_typer(part, name=name)


@command(grants, "give")
async def give(
    session: Session,
    email: Email,
    plant: PlantName,
    job: JobName,
    starts: Starts = "",
    ends: Ends = "",
    reason: Reason = "",
) -> Any:
    """Give a member a job on a plant. With --ends it comes beside a lasting one, and goes by itself."""
    now = session.services.context.now()
    return await session.services.grants.give(
        session.actor,
        session.find.person(email).id,
        session.find.plant(plant).id,
        parse_job(job),
        starts=parse_moment(starts, now),
        ends=parse_moment(ends, now),
        reason=reason,
    )


@command(grants, "revoke")
async def revoke(
    session: Session, email: Email, plant: PlantName, job: Annotated[str, typer.Option(help="Only this job.")] = ""
) -> Any:
    """Take back what a person was granted on a plant: VPN, pages and streams end at once."""
    return await session.services.grants.revoke(
        session.actor, session.find.person(email).id, session.find.plant(plant).id, parse_job(job) if job else None
    )


@command(grants, "list")
async def list_grants(session: Session, plant: PlantName) -> Any:
    """List who was granted what on a plant, invitations included."""
    place = session.find.plant(plant)
    session.services.context.plant(session.snapshot, session.actor, Action.MANAGE_MEMBERS, place.id)
    return [_with_email(session, grant.person, grant) for grant in session.snapshot.grants_on(place.id)]


def _with_email(session: Session, person: PersonId, row: Any) -> dict[str, Any]:
    account = session.snapshot.people.get(person)
    return {"email": account.email if account else "", **output.plain(row)}


@command(cooperations, "offer")
async def offer(
    session: Session,
    plant: PlantName,
    partner: Annotated[str, typer.Argument(metavar="ORGANIZATION", help="With whom.")],
    cap: JobName,
    ends: Ends = "",
    reason: Reason = "",
) -> Any:
    """Offer a plant to another organization, at most at a job."""
    return await session.services.cooperations.offer(
        session.actor,
        session.find.plant(plant).id,
        session.find.organization(partner).id,
        parse_job(cap),
        ends=parse_moment(ends, session.services.context.now()),
        reason=reason,
    )


@command(cooperations, "accept")
async def accept(session: Session, cooperation: CooperationName) -> Any:
    """Accept an offer, for the partner."""
    return await session.services.cooperations.accept(session.actor, session.find.cooperation(cooperation))


@command(cooperations, "cap")
async def set_cap(session: Session, cooperation: CooperationName, cap: JobName) -> Any:
    """Change the highest job; lowering it lowers everyone at once."""
    found = session.find.cooperation(cooperation)
    return await session.services.cooperations.set_cap(session.actor, found, parse_job(cap))


@command(cooperations, "end")
async def end(session: Session, cooperation: CooperationName) -> Any:
    """End a cooperation with all its invitations, or decline an offer."""
    return await session.services.cooperations.end(session.actor, session.find.cooperation(cooperation))


@command(cooperations, "invite")
async def invite(
    session: Session,
    cooperation: CooperationName,
    email: Email,
    job: JobName,
    starts: Starts = "",
    ends: Ends = "",
    reason: Reason = "",
) -> Any:
    """Invite a member of the partner to the shared plant."""
    now = session.services.context.now()
    return await session.services.cooperations.invite(
        session.actor,
        session.find.cooperation(cooperation),
        session.find.person(email).id,
        parse_job(job),
        starts=parse_moment(starts, now),
        ends=parse_moment(ends, now),
        reason=reason,
    )


@command(cooperations, "withdraw")
async def withdraw(session: Session, cooperation: CooperationName, email: Email) -> None:
    """End a person's invitation."""
    await session.services.cooperations.withdraw(
        session.actor, session.find.cooperation(cooperation), session.find.person(email).id
    )


@command(cooperations, "list")
async def list_cooperations(session: Session) -> Any:
    """List cooperations on own plants and with own organizations."""
    return session.find.cooperations()


@command(services, "create")
async def create_service(session: Session, organization: Org, name: str) -> Any:
    """Create a VPN service."""
    return await session.services.vpn.create(session.actor, session.find.organization(organization).id, name)


@command(services, "list")
async def list_services(session: Session, organization: Org) -> Any:
    """List an organization's VPN services."""
    place = session.find.organization(organization)
    session.services.context.organization(session.snapshot, session.actor, Action.MANAGE_SERVICES, place.id)

    def name(plant: PlantId) -> str:
        found = session.snapshot.plants.get(plant)
        return found.name if found else plant

    rows = [
        {**output.plain(service), "plant_names": sorted(map(name, service.plants))}
        for service in session.snapshot.services_of(place.id)
    ]
    return sorted(rows, key=lambda row: row["name"])


@command(services, "assign")
async def assign(session: Session, service: ServiceName, plant: PlantName) -> Any:
    """Put a plant into a VPN service."""
    return await session.services.vpn.assign(
        session.actor, session.find.service(service).id, session.find.plant(plant).id
    )


@command(services, "unassign")
async def unassign(session: Session, service: ServiceName, plant: PlantName, confirm: Confirm = False) -> Any:
    """Take a plant out of a VPN service."""
    return await session.services.vpn.unassign(
        session.actor, session.find.service(service).id, session.find.plant(plant).id, confirmed=confirm
    )


@command(services, "remove")
async def remove_service(session: Session, service: ServiceName, confirm: Confirm = False) -> None:
    """Remove a VPN service."""
    await session.services.vpn.remove(session.actor, session.find.service(service).id, confirmed=confirm)
