"""`admin plant`, `subnet`, `device`, `target`."""

from typing import Annotated, Any

import typer

from ...domain.model import CertificatePolicy, HostMode, Scheme
from ...domain.policy import Action
from ..session import Session, command

plants = typer.Typer(help="Plants.", no_args_is_help=True)
subnets = typer.Typer(help="A plant's networks.", no_args_is_help=True)
devices = typer.Typer(help="A plant's devices.", no_args_is_help=True)
targets = typer.Typer(help="Web targets: the device pages that the Browser Proxy may open.", no_args_is_help=True)

PlantName = Annotated[str, typer.Argument(metavar="PLANT", help="Its name, organization/name, or id.")]
DeviceName = Annotated[str, typer.Argument(metavar="DEVICE", help="Its name, plant/name, or id.")]
TargetName = Annotated[str, typer.Argument(metavar="TARGET", help="Its host name's label, or id.")]


def add_to(app: typer.Typer) -> None:
    for name, part in (("plant", plants), ("subnet", subnets), ("device", devices), ("target", targets)):
        app.add_typer(part, name=name)


@command(plants, "create")
async def create_plant(
    session: Session, organization: Annotated[str, typer.Argument(metavar="ORGANIZATION")], name: str
) -> Any:
    """Create a plant; it is in the organization's default VPN service."""
    return await session.services.plants.create(session.actor, session.find.organization(organization).id, name)


@command(plants, "list")
async def list_plants(session: Session) -> Any:
    """List plants."""
    return session.find.plants()


@command(plants, "rename")
async def rename_plant(session: Session, plant: PlantName, name: str) -> Any:
    """Rename a plant."""
    return await session.services.plants.rename(session.actor, session.find.plant(plant).id, name)


@command(plants, "remove")
async def remove_plant(session: Session, plant: PlantName) -> None:
    """Remove a plant with its subnets, devices, gateways and grants."""
    await session.services.plants.remove(session.actor, session.find.plant(plant).id)


@command(subnets, "add")
async def add_subnet(session: Session, plant: PlantName, network: str) -> Any:
    """Add one of a plant's networks, like 192.168.1.0/24."""
    return await session.services.plants.add_subnet(session.actor, session.find.plant(plant).id, network)


@command(subnets, "list")
async def list_subnets(session: Session, plant: PlantName) -> Any:
    """List a plant's networks."""
    place = session.find.plant(plant)
    session.services.context.plant(session.snapshot, session.actor, Action.SEE_NETWORK, place.id)
    return sorted(session.snapshot.subnets_of(place.id), key=lambda s: s.number)


@command(subnets, "remove")
async def remove_subnet(
    session: Session, subnet: Annotated[str, typer.Argument(metavar="SUBNET", help="Its id, or plant:network.")]
) -> None:
    """Remove one of a plant's networks."""
    await session.services.plants.remove_subnet(session.actor, session.find.subnet(subnet).id)


@command(devices, "add")
async def add_device(session: Session, plant: PlantName, name: str, address: str) -> Any:
    """Add a device; its address must be in one of the plant's subnets."""
    return await session.services.plants.add_device(session.actor, session.find.plant(plant).id, name, address)


@command(devices, "list")
async def list_devices(session: Session, plant: PlantName) -> Any:
    """List a plant's devices."""
    place = session.find.plant(plant)
    session.services.context.plant(session.snapshot, session.actor, Action.SEE_DEVICES, place.id)
    found = sorted(session.snapshot.devices_of(place.id), key=lambda d: d.name)
    if session.find.may(Action.SEE_NETWORK, place.id):
        return found
    return [{"id": device.id, "plant": device.plant, "name": device.name} for device in found]


@command(devices, "change")
async def change_device(
    session: Session,
    device: DeviceName,
    name: Annotated[str | None, typer.Option()] = None,
    address: Annotated[str | None, typer.Option()] = None,
) -> Any:
    """Change a device's name or address."""
    found = session.find.device(device)
    return await session.services.plants.change_device(session.actor, found.id, name=name, address=address)


@command(devices, "remove")
async def remove_device(session: Session, device: DeviceName) -> None:
    """Remove a device with its web targets."""
    await session.services.plants.remove_device(session.actor, session.find.device(device).id)


@command(targets, "add")
async def add_target(
    session: Session,
    device: DeviceName,
    host: Annotated[str, typer.Argument(metavar="LABEL", help="Leftmost label of the page's public host name.")],
    scheme: Annotated[Scheme, typer.Option()] = Scheme.HTTPS,
    port: Annotated[int | None, typer.Option(help="Default: the scheme's own.")] = None,
    base_path: Annotated[str, typer.Option(help="Where the page begins.")] = "/",
    host_mode: Annotated[HostMode, typer.Option(help="Which Host the device sees.")] = HostMode.MIX,
    certificate_policy: Annotated[CertificatePolicy, typer.Option(help="How its TLS certificate is checked.")] = (
        CertificatePolicy.PIN
    ),
) -> Any:
    """Approve one web page of a device for the Browser Proxy."""
    return await session.services.plants.add_target(
        session.actor,
        session.find.device(device).id,
        host,
        scheme=scheme,
        port=port,
        base_path=base_path,
        host_mode=host_mode,
        certificate_policy=certificate_policy,
    )


@command(targets, "list")
async def list_targets(session: Session, plant: PlantName) -> Any:
    """List the web targets of a plant's devices."""
    place = session.find.plant(plant)
    session.services.context.plant(session.snapshot, session.actor, Action.SEE_NETWORK, place.id)
    found = session.snapshot.devices_of(place.id)
    return sorted((t for device in found for t in session.snapshot.targets_of(device.id)), key=lambda t: t.host)


@command(targets, "pin")
async def pin_certificate(
    session: Session, target: TargetName, sha256: Annotated[str, typer.Argument(help="Empty: take the next one.")] = ""
) -> Any:
    """Accept the device's certificate by its SHA-256, or forget the one that was accepted."""
    return await session.services.plants.pin_certificate(session.actor, session.find.target(target).id, sha256)


@command(targets, "remove")
async def remove_target(session: Session, target: TargetName) -> None:
    """Remove a web target; its page closes at once."""
    await session.services.plants.remove_target(session.actor, session.find.target(target).id)
