"""`admin enrolment-code`, `agent`."""

from typing import Annotated, Any

import typer

from ...domain.model import AgentId
from ...domain.policy import Action
from .. import output
from ..moments import parse_span
from ..session import Session, command
from .plants import PlantName

codes = typer.Typer(help="One-time codes with which installers enrol gateways.", no_args_is_help=True)
agents = typer.Typer(help="Enrolled gateways.", no_args_is_help=True)

AgentName = Annotated[str, typer.Argument(metavar="AGENT", help="Its id.")]


def add_to(app: typer.Typer) -> None:
    app.add_typer(codes, name="enrolment-code")
    app.add_typer(agents, name="agent")


@command(codes, "create")
async def create_code(
    session: Session,
    plant: PlantName,
    name: Annotated[str, typer.Option(help="What the gateway will be called.")] = "gateway",
    valid_for: Annotated[str, typer.Option(metavar="SPAN", help="30m, 24h, 7d.")] = "24h",
) -> Any:
    """Make a one-time code; shown once."""
    place = session.find.plant(plant)
    made = await session.services.agents.create_code(session.actor, place.id, name, valid_for=parse_span(valid_for))
    return {"code": made.code, "plant": place.name, "name": made.record.name, "expires": made.record.expires}


@command(codes, "list")
async def list_codes(session: Session, plant: PlantName) -> Any:
    """List a plant's codes that can still be used; the codes themselves are not kept."""
    place = session.find.plant(plant)
    found = await session.services.agents.open_codes(session.actor, place.id)
    return [{"id": c.lookup_id, "name": c.name, "created": c.created, "expires": c.expires} for c in found]


@command(codes, "withdraw")
async def withdraw_code(
    session: Session, plant: PlantName, code: Annotated[str, typer.Argument(metavar="ID", help="From the list.")]
) -> None:
    """Make a code useless before it is used."""
    await session.services.agents.withdraw_code(session.actor, session.find.plant(plant).id, code)


@command(agents, "list")
async def list_agents(session: Session) -> Any:
    """List gateways and when each was last heard of."""
    seen = {presence.agent: presence.last_seen for presence in await session.store.presences()}
    return [
        {"plant_name": plant.name, **output.plain(agent), "last_seen": seen.get(agent.id)}
        for plant in session.find.plants()
        if session.find.may(Action.SEE_NETWORK, plant.id)
        for agent in sorted(session.snapshot.agents_of(plant.id), key=lambda a: a.name)
    ]


@command(agents, "activate")
async def activate(session: Session, agent: AgentName) -> Any:
    """Make a gateway its plant's active one; the others stop."""
    return await session.services.agents.activate(session.actor, AgentId(agent))


@command(agents, "remove")
async def remove(session: Session, agent: AgentName) -> None:
    """Forget a gateway; it must be enrolled anew to come back."""
    await session.services.agents.remove(session.actor, AgentId(agent))
