"""`admin profile`, `route`."""

from typing import Annotated, Any

import typer

from ...domain.clients import render_client_config
from ...domain.model import Profile
from .. import output
from ..session import Session, command
from .people import Email

profiles = typer.Typer(help="People's WireGuard profiles.", no_args_is_help=True)
routes = typer.Typer(help="People's VPN routes, and what they choose where plants share a range.", no_args_is_help=True)

PublicKey = Annotated[
    str,
    typer.Option(help="Public key of a pair made on the person's device (`wg pubkey`); the private one stays there."),
]
ProfileName = Annotated[str, typer.Argument(metavar="PROFILE", help="Its id or public key.")]
SubnetName = Annotated[str, typer.Argument(metavar="SUBNET", help="A subnet's id, plant:network, or just the plant.")]


def add_to(app: typer.Typer) -> None:
    app.add_typer(profiles, name="profile")
    app.add_typer(routes, name="route")


async def _with_config(session: Session, profile: Profile, *, private_ranges: bool = True) -> dict[str, Any]:
    settings = await session.client_settings()
    config = render_client_config(profile, settings, private_ranges=private_ranges)
    return {**output.plain(profile), "config": config}


@command(profiles, "create")
async def create_profile(
    session: Session,
    email: Email,
    name: str,
    public_key: PublicKey,
    aliases_only: Annotated[
        bool, typer.Option("--aliases-only", help="Only alias addresses go into the tunnel (an office on 10/8).")
    ] = False,
) -> Any:
    """Create a profile and show its configuration, to which the device adds its private key."""
    person = session.find.person(email)
    profile = await session.services.profiles.create(session.actor, person.id, name, public_key)
    return await _with_config(session, profile, private_ranges=not aliases_only)


@command(profiles, "rotate")
async def rotate_profile(session: Session, profile: ProfileName, public_key: PublicKey) -> Any:
    """Replace a profile's key pair; the old one stops at once."""
    found = session.find.profile(profile)
    rotated = await session.services.profiles.rotate(session.actor, found.id, public_key)
    return await _with_config(session, rotated.profile)


@command(profiles, "revoke")
async def revoke_profile(session: Session, profile: ProfileName) -> None:
    """Remove a profile; its tunnel stops at once."""
    await session.services.profiles.revoke(session.actor, session.find.profile(profile).id)


@command(profiles, "list")
async def list_profiles(session: Session, email: Email) -> Any:
    """List a person's profiles."""
    account = session.services.context.own_account(session.snapshot, session.actor, session.find.person(email).id)
    return sorted(session.snapshot.profiles_of(account.id), key=lambda p: p.name)


@command(routes, "list")
async def list_routes(session: Session, email: Email) -> Any:
    """List a person's VPN routes with their states."""
    found = await session.services.routes.list(session.actor, session.find.person(email).id)
    rows = []
    for route in found:
        plant = session.snapshot.plants.get(route.plant)
        aliases = {str(alias.prefix): str(alias.network) for alias in route.aliases}
        rows.append({"plant_name": plant.name if plant else "", **output.plain(route), "aliases": aliases})
    return rows


@command(routes, "priority")
async def set_priority(
    session: Session,
    email: Email,
    subnet: SubnetName,
    value: Annotated[
        int | None, typer.Option(help="Set this number. Default: let it win over all it overlaps.")
    ] = None,
) -> Any:
    """Choose which of several plants with the same range a person reaches."""
    person, chosen = session.find.person(email).id, session.find.subnet(subnet).id
    if value is None:
        return await session.services.routes.prefer(session.actor, person, chosen)
    return await session.services.routes.set_priority(session.actor, person, chosen, value)


@command(routes, "disable")
async def disable(session: Session, email: Email, subnet: SubnetName) -> Any:
    """Disable a route; its range is free for others."""
    person, chosen = session.find.person(email).id, session.find.subnet(subnet).id
    return await session.services.routes.set_disabled(session.actor, person, chosen, True)


@command(routes, "enable")
async def enable(session: Session, email: Email, subnet: SubnetName) -> Any:
    """Enable a route again."""
    person, chosen = session.find.person(email).id, session.find.subnet(subnet).id
    return await session.services.routes.set_disabled(session.actor, person, chosen, False)
