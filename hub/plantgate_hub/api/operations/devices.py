"""Devices and the web pages of theirs that the Browser Proxy may open."""

from pydantic import Field

from ...domain.model import CertificatePolicy, DeviceId, HostMode, PlantId, Scheme, TargetId
from ...domain.policy import Action
from ...domain.scopes import TokenScope
from ...domain.snapshot import key_of
from ...services.plants import MAX_PATH
from ..answers import DeviceAnswer, TargetAnswer
from ..call import Call
from ..operation import Tag, operation
from ..problems import Problem
from ..schema import Body, Name, Page, PageQuery, page_of
from .plants import show_plant

_CONFLICT = frozenset({Problem.CONFLICT})
_ADDRESS = "IPv4 address in one of the plant's subnets."


class NewDevice(Body):
    name: Name
    address: str = Field(max_length=15, description=_ADDRESS)


class DeviceChange(Body):
    """What is left out stays as it is."""

    name: Name | None = None
    address: str | None = Field(None, max_length=15, description=_ADDRESS)


class NewTarget(Body):
    host: str = Field(min_length=1, max_length=63, description="Leftmost label of the page's public host name.")
    scheme: Scheme = Scheme.HTTPS
    port: int | None = Field(None, ge=1, le=65535, description="Left out: 443 for https, 80 for http.")
    base_path: str = Field("/", min_length=1, max_length=MAX_PATH)
    host_mode: HostMode = Field(HostMode.MIX, description="Which Host, Origin and Referer the device sees.")
    certificate_policy: CertificatePolicy = Field(
        CertificatePolicy.PIN, description="How the device's certificate is checked."
    )


class TargetChange(Body):
    pinned_sha256: str = Field(
        max_length=128, description="Hex SHA-256 of the certificate to accept; empty takes the next one seen."
    )


@operation("GET", "/plants/{plant}/devices", Tag.DEVICES, TokenScope.READ)
def list_devices(call: Call, plant: PlantId, query: PageQuery) -> Page[DeviceAnswer]:
    """The plant's devices."""
    network = call.view.may(Action.SEE_NETWORK, plant)
    return page_of(query, call.view.devices(plant), key_of, lambda device: DeviceAnswer.of(device, network))


@operation("GET", "/devices/{device}", Tag.DEVICES, TokenScope.READ)
def show_device(call: Call, device: DeviceId) -> DeviceAnswer:
    """One device."""
    found = call.view.device(device)
    return DeviceAnswer.of(found, call.view.may(Action.SEE_NETWORK, found.plant))


@operation(
    "POST",
    "/plants/{plant}/devices",
    Tag.DEVICES,
    TokenScope.PLANTS,
    location="/devices/{id}",
    resource=show_plant,
    problems=_CONFLICT,
)
async def add_device(call: Call, plant: PlantId, body: NewDevice) -> DeviceAnswer:
    """Add a device to the plant."""
    return DeviceAnswer.of(await call.services.plants.add_device(call.actor, plant, body.name, body.address))


@operation("PATCH", "/devices/{device}", Tag.DEVICES, TokenScope.PLANTS, resource=show_device, problems=_CONFLICT)
async def change_device(call: Call, device: DeviceId, body: DeviceChange) -> DeviceAnswer:
    """Change a device's name or address."""
    plants = call.services.plants
    return DeviceAnswer.of(await plants.change_device(call.actor, device, name=body.name, address=body.address))


@operation("DELETE", "/devices/{device}", Tag.DEVICES, TokenScope.PLANTS, resource=show_device)
async def remove_device(call: Call, device: DeviceId) -> None:
    """Remove a device with its web targets."""
    await call.services.plants.remove_device(call.actor, device)


@operation("GET", "/devices/{device}/targets", Tag.DEVICES, TokenScope.READ)
def list_targets(call: Call, device: DeviceId, query: PageQuery) -> Page[TargetAnswer]:
    """The device's approved web pages."""
    return page_of(query, call.view.targets(device), key_of, TargetAnswer.of)


@operation("GET", "/targets/{target}", Tag.DEVICES, TokenScope.READ)
def show_target(call: Call, target: TargetId) -> TargetAnswer:
    """One approved web page."""
    return TargetAnswer.of(call.view.target(target))


@operation(
    "POST",
    "/devices/{device}/targets",
    Tag.DEVICES,
    TokenScope.PLANTS,
    location="/targets/{id}",
    resource=show_device,
    problems=_CONFLICT,
)
async def add_target(call: Call, device: DeviceId, body: NewTarget) -> TargetAnswer:
    """Approve a web page of the device."""
    target = await call.services.plants.add_target(
        call.actor,
        device,
        body.host,
        scheme=body.scheme,
        port=body.port,
        base_path=body.base_path,
        host_mode=body.host_mode,
        certificate_policy=body.certificate_policy,
    )
    return TargetAnswer.of(target)


@operation("PATCH", "/targets/{target}", Tag.DEVICES, TokenScope.PLANTS, resource=show_target)
async def pin_certificate(call: Call, target: TargetId, body: TargetChange) -> TargetAnswer:
    """Accept a device's certificate, or forget the one that was accepted."""
    return TargetAnswer.of(await call.services.plants.pin_certificate(call.actor, target, body.pinned_sha256))


@operation("DELETE", "/targets/{target}", Tag.DEVICES, TokenScope.PLANTS, resource=show_target)
async def remove_target(call: Call, target: TargetId) -> None:
    """Withdraw the approval of a web page."""
    await call.services.plants.remove_target(call.actor, target)
