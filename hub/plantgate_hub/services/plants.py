"""Plants, their subnets, devices, and the web targets that the Browser Proxy may reach."""

import re
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from plantgate_shared.errors import Conflict, InvalidInput, NotFound

from ..domain.model import (
    CertificatePolicy,
    Device,
    DeviceId,
    HostMode,
    OrganizationId,
    Plant,
    PlantId,
    Scheme,
    Subnet,
    SubnetId,
    TargetId,
    WebTarget,
)
from ..domain.policy import Action
from ..domain.pools import next_number, next_transit, parse_subnet
from ..domain.snapshot import Snapshot
from ..store.ids import new_id
from ..store.protocol import ChangeTransaction, Counter
from .context import Actor, Context, clean_name
from .removal import remove_device, remove_plant, remove_subnet

MAX_PATH = 512
_HOST_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PATH = re.compile(r"/[!-\"$->@-~]*")  # visible ASCII but for '?' and '#'
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Plants:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def create(self, actor: Actor, organization: OrganizationId, name: str) -> Plant:
        """A new plant, in the organization's default VPN service."""
        async with self._context.change(actor) as change:
            snapshot = change.snapshot
            self._context.organization(snapshot, actor, Action.MANAGE_PLANTS, organization)
            plant = Plant(PlantId(new_id()), organization, clean_name(name))
            _refuse_twin(snapshot, plant)
            change.put(plant)
            for service in snapshot.services_of(organization):
                if service.default:
                    change.put(replace(service, plants=service.plants | {plant.id}))
            return plant

    async def rename(self, actor: Actor, plant: PlantId, name: str) -> Plant:
        async with self._context.change(actor) as change:
            place = self._context.plant(change.snapshot, actor, Action.MANAGE_PLANTS, plant)
            renamed = replace(place, name=clean_name(name))
            _refuse_twin(change.snapshot, renamed)
            change.put(renamed)
            return renamed

    async def remove(self, actor: Actor, plant: PlantId) -> None:
        """The plant with its subnets, devices, agents, grants and cooperations."""
        async with self._context.change(actor) as change:
            remove_plant(change, self._context.plant(change.snapshot, actor, Action.MANAGE_PLANTS, plant))

    # Subnets

    async def add_subnet(self, actor: Actor, plant: PlantId, network: str) -> Subnet:
        """One of the plant's networks; it gets its number and the transit prefix that stands for it."""
        async with self._context.change(actor) as change:
            snapshot = change.snapshot
            self._context.plant(snapshot, actor, Action.CONFIGURE_PLANT, plant)
            parsed = parse_subnet(network, self._context.pools)
            for other in snapshot.subnets_of(plant):
                if other.network.overlaps(parsed):
                    raise Conflict(f"{parsed} overlaps the plant's subnet {other.network}")
            subnet = Subnet(SubnetId(new_id()), plant, parsed, *await self._stand_in(change, parsed))
            change.put(subnet)
            return subnet

    async def _stand_in(self, change: ChangeTransaction, network: IPv4Network) -> tuple[IPv4Network, int]:
        """A transit prefix and a number that were not in use lately and never, respectively."""
        number = next_number(await change.counter(Counter.SUBNET))
        last = await change.counter(Counter.TRANSIT_PREFIX)
        transit = next_transit(
            self._context.pools,
            (subnet.transit for subnet in change.snapshot.subnets),
            network.prefixlen,
            IPv4Network(last) if last else None,
        )
        await change.set_counter(Counter.SUBNET, number)
        await change.set_counter(Counter.TRANSIT_PREFIX, int(transit.broadcast_address))
        return transit, number

    async def remove_subnet(self, actor: Actor, subnet: SubnetId) -> None:
        async with self._context.change(actor) as change:
            snapshot = change.snapshot
            found = snapshot.subnets.get(subnet)
            if found is None:
                raise NotFound("there is no such subnet")
            self._context.plant(snapshot, actor, Action.CONFIGURE_PLANT, found.plant, "subnet")
            inside = [d.name for d in snapshot.devices_of(found.plant) if d.address in found.network]
            if inside:
                raise Conflict(f"{found.network} holds the device {min(inside)!r}", hint="remove its devices first")
            remove_subnet(change, found)

    # Devices

    async def add_device(self, actor: Actor, plant: PlantId, name: str, address: str) -> Device:
        async with self._context.change(actor) as change:
            self._context.plant(change.snapshot, actor, Action.CONFIGURE_PLANT, plant)
            device = Device(DeviceId(new_id()), plant, clean_name(name), _parse_address(address))
            _check_device(change.snapshot, device)
            change.put(device)
            return device

    async def change_device(
        self, actor: Actor, device: DeviceId, *, name: str | None = None, address: str | None = None
    ) -> Device:
        async with self._context.change(actor) as change:
            found = self._device(change.snapshot, actor, device)
            changed = replace(
                found,
                name=found.name if name is None else clean_name(name),
                address=found.address if address is None else _parse_address(address),
            )
            _check_device(change.snapshot, changed)
            change.put(changed)
            return changed

    async def remove_device(self, actor: Actor, device: DeviceId) -> None:
        async with self._context.change(actor) as change:
            remove_device(change, self._device(change.snapshot, actor, device))

    def _device(self, snapshot: Snapshot, actor: Actor, device: DeviceId) -> Device:
        found = snapshot.devices.get(device)
        if found is None:
            raise NotFound("there is no such device")
        self._context.plant(snapshot, actor, Action.CONFIGURE_PLANT, found.plant, "device")
        return found

    # Web targets

    async def add_target(
        self,
        actor: Actor,
        device: DeviceId,
        host: str,
        *,
        scheme: Scheme = Scheme.HTTPS,
        port: int | None = None,
        base_path: str = "/",
        host_mode: HostMode = HostMode.MIX,
        certificate_policy: CertificatePolicy = CertificatePolicy.PIN,
    ) -> WebTarget:
        """Approve one web page of the device; `host` becomes the leftmost label of its public name."""
        async with self._context.change(actor) as change:
            self._device(change.snapshot, actor, device)
            target = WebTarget(
                TargetId(new_id()),
                device,
                _host_label(change.snapshot, host),
                scheme,
                _port(port if port is not None else (443 if scheme is Scheme.HTTPS else 80)),
                _base_path(base_path),
                host_mode,
                certificate_policy,
            )
            change.put(target)
            return target

    async def pin_certificate(self, actor: Actor, target: TargetId, sha256: str) -> WebTarget:
        """Accept the device's certificate of this SHA-256 (hex); empty forgets the pin: the next one seen is taken."""
        async with self._context.change(actor) as change:
            found = self._target(change.snapshot, actor, target)
            digest = sha256.replace(":", "").strip().lower()
            if digest and not _SHA256.fullmatch(digest):
                raise InvalidInput("a certificate's SHA-256 has 64 hexadecimal digits")
            pinned = replace(found, pinned_sha256=digest)
            change.put(pinned)
            return pinned

    async def remove_target(self, actor: Actor, target: TargetId) -> None:
        async with self._context.change(actor) as change:
            change.remove(self._target(change.snapshot, actor, target))

    def _target(self, snapshot: Snapshot, actor: Actor, target: TargetId) -> WebTarget:
        found = snapshot.targets.get(target)
        plant = snapshot.plant_of_target(found) if found else None
        if found is None or plant is None:
            raise NotFound("there is no such web target")
        self._context.plant(snapshot, actor, Action.CONFIGURE_PLANT, plant.id, "web target")
        return found


def _refuse_twin(snapshot: Snapshot, plant: Plant) -> None:
    for other in snapshot.plants_of(plant.organization):
        if other.id != plant.id and other.name.casefold() == plant.name.casefold():
            raise Conflict(f"the organization has a plant {other.name!r} already")


def _check_device(snapshot: Snapshot, device: Device) -> None:
    subnet = next((s for s in snapshot.subnets_of(device.plant) if device.address in s.network), None)
    if subnet is None:
        raise InvalidInput(f"{device.address} is in none of the plant's subnets", hint="add its subnet first")
    if subnet.network.prefixlen < 31 and device.address in (
        subnet.network.network_address,
        subnet.network.broadcast_address,
    ):
        raise InvalidInput(f"{device.address} is no host of {subnet.network}")
    for other in snapshot.devices_of(device.plant):
        if other.id == device.id:
            continue
        if other.name.casefold() == device.name.casefold():
            raise Conflict(f"the plant has a device {other.name!r} already")
        if other.address == device.address:
            raise Conflict(f"{device.address} is the device {other.name!r} already")


def _parse_address(text: str) -> IPv4Address:
    try:
        return IPv4Address(text.strip())
    except ValueError:
        raise InvalidInput(f"{text!r} is not an IPv4 address") from None


def _host_label(snapshot: Snapshot, text: str) -> str:
    label = text.strip().lower()
    if not _HOST_LABEL.fullmatch(label) or label[2:4] == "--":
        raise InvalidInput(
            f"{text!r} cannot be a host name's label", hint="use letters, digits and single dashes, at most 63"
        )
    if snapshot.target_by_host(label) is not None:
        raise Conflict(f"the name {label!r} is in use already", hint="names are unique over all plants; choose another")
    return label


def _port(port: int) -> int:
    if not 0 < port < 65536:
        raise InvalidInput(f"{port} is not a TCP port")
    return port


def _base_path(path: str) -> str:
    if len(path) > MAX_PATH or not _PATH.fullmatch(path):
        raise InvalidInput(
            f"{path[:80]!r} cannot be a page's path", hint="it begins with '/' and has no spaces, '?' or '#'"
        )
    return path
