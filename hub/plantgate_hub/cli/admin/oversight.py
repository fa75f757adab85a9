"""`admin explain`, `access`, `purpose`: why somebody may, who may not for now, and what people connect for."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from ...domain.explain import Explanation, Ground
from ...domain.model import HoldScope
from ...domain.policy import Action
from ...services import EXPLAINABLE
from .. import output
from ..moments import parse_span
from ..references import action_name, parse_action
from ..session import Session, command
from .people import Email, Org
from .plants import PlantName

access = typer.Typer(
    help="End all access to a plant, give it free again, and look at its record.", no_args_is_help=True
)
purposes = typer.Typer(help="Why people connect to plants, where their organization asks.", no_args_is_help=True)
top = typer.Typer()

Scope = Annotated[
    HoldScope | None, typer.Option(help="external: people by cooperation only. Default: everyone; to restore: all.")
]


def add_to(app: typer.Typer) -> None:
    app.registered_commands += top.registered_commands
    app.add_typer(access, name="access")
    app.add_typer(purposes, name="purpose")


@command(top, "explain")
async def explain(
    session: Session,
    email: Email,
    plant: PlantName,
    action: Annotated[
        str, typer.Argument(metavar="[ACTION]", help=f"One of: {', '.join(map(action_name, EXPLAINABLE))}.")
    ] = "",
) -> Any:
    """Say why a person may or may not do something on a plant, and who could change it. Without ACTION: all of them."""
    actions = (parse_action(action),) if action else EXPLAINABLE
    person, place = session.find.person(email), session.find.plant_of_person(plant, email)
    found = await session.services.answers.explain(session.actor, person.id, place.id, actions)
    if not action:
        return [
            {"action": action_name(each.action), "allowed": each.allowed, "because": next(_because(session, each))}
            for each in found
        ]
    (answer,) = found
    return {
        **output.plain(answer),
        "action": action_name(answer.action),
        "because": list(_because(session, answer)),
        "remedies": [_way(way.who, way.remedy, way.job) for way in answer.ways],
    }


def _because(session: Session, answer: Explanation) -> Iterator[str]:
    """The answer in words, the deciding one first, then everything that was looked at."""
    if answer.denial is not None:
        yield str(answer.denial)
    yield from (_ground(session, ground) for ground in answer.grounds)
    yield from (f"access ended for {hold.scope} by {hold.by}" for hold in answer.holds)
    if answer.denial is None and not answer.grounds:
        yield "the role in the plant's organization"


def _ground(session: Session, ground: Ground) -> str:
    place = session.snapshot.organizations.get(ground.organization)
    words = [output.job_name(ground.job), "by", str(ground.source)]
    if ground.role is not None:
        words += ["as", str(ground.role)]
    words += ["of", place.name if place else ground.organization]
    if ground.cap is not None and ground.gives is not None and ground.gives < ground.job:
        words.append(f"(capped at {output.job_name(ground.cap)})")
    if ground.ends is not None:
        words.append(f"until {output.moment(ground.ends)}")
    if ground.obstacle is not None:
        words.append(f"- does not count: {ground.obstacle}")
    return " ".join(words)


def _way(who: str, remedy: str, job: Any) -> str:
    wanted = f" ({output.job_name(job)})" if job is not None else ""
    return f"{who}: {remedy}{wanted}"


@command(access, "end")
async def end_access(
    session: Session,
    plant: PlantName,
    scope: Scope = None,
    reason: Annotated[str, typer.Option(help="Why; kept with it.")] = "",
) -> Any:
    """End all access to a plant now, until it is restored: VPN, device pages and running connections stop at once."""
    place = session.find.plant(plant)
    return await session.services.holds.end_access(session.actor, place.id, scope or HoldScope.EVERYONE, reason)


@command(access, "restore")
async def restore_access(session: Session, plant: PlantName, scope: Scope = None) -> Any:
    """Give access to a plant free again."""
    return await session.services.holds.restore(session.actor, session.find.plant(plant).id, scope)


@command(access, "holds")
async def list_holds(session: Session) -> Any:
    """List the plants to which access was ended."""
    return [
        {"plant_name": plant.name, **output.plain(hold)}
        for plant in session.find.plants()
        for hold in sorted(session.snapshot.holds_on(plant.id), key=lambda hold: hold.scope)
    ]


@command(access, "record")
async def record(session: Session, plant: PlantName, limit: Annotated[int, typer.Option(min=1, max=1000)] = 50) -> Any:
    """Show a plant's record: when access was ended, what people connected for, new external connections."""
    return await session.services.answers.plant_record(session.actor, session.find.plant(plant).id, limit)


@command(purposes, "require")
async def require(
    session: Session,
    organization: Org,
    required: Annotated[
        bool | None, typer.Option("--on/--off", help="Whether every connection needs a reason.")
    ] = None,
    longest: Annotated[str, typer.Option(metavar="SPAN", help="How long a declared reason holds at most: 8h.")] = "",
) -> Any:
    """Set whether everybody who connects to an organization's plants must say why."""
    return await session.services.purposes.set_policy(
        session.actor,
        session.find.organization(organization).id,
        required=required,
        longest=parse_span(longest) if longest else None,
    )


@command(purposes, "declare")
async def declare(
    session: Session,
    plant: PlantName,
    text: Annotated[str, typer.Argument(metavar="REASON", help="A ticket's number, or what the work is.")],
    lasting: Annotated[str, typer.Option("--for", metavar="SPAN", help="30m, 4h. Default: as long as allowed.")] = "",
) -> Any:
    """Say why you connect to a plant (with --as: who you are)."""
    place = session.find.plant(plant)
    span = parse_span(lasting) if lasting else None
    return await session.services.purposes.declare(session.actor, place.id, text, span)


@command(purposes, "end")
async def end_purpose(session: Session, plant: PlantName) -> None:
    """Say that the work on a plant is done."""
    await session.services.purposes.end(session.actor, session.find.plant(plant).id)


@command(purposes, "list")
async def list_purposes(session: Session, plant: PlantName) -> Any:
    """List why people connect to a plant now."""
    place = session.find.plant(plant)
    session.services.context.plant(session.snapshot, session.actor, Action.SEE_CONNECTIONS, place.id)
    now = session.services.context.now()
    rows = []
    for purpose in session.snapshot.purposes_on(place.id):
        account = session.snapshot.people.get(purpose.person)
        if now < purpose.ends:
            rows.append({"email": account.email if account else "", **output.plain(purpose)})
    return rows
