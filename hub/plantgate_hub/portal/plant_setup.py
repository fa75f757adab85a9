"""Setting a plant up: its name, networks, devices and web pages, and taking them away again."""

from collections.abc import Awaitable
from typing import Any

from aiohttp import web

from plantgate_shared.errors import InvalidInput, NotFound, PlantgateError

from ..domain.model import (
    CertificatePolicy,
    Device,
    DeviceId,
    HostMode,
    Job,
    OrganizationId,
    Plant,
    Scheme,
    SubnetId,
    TargetId,
)
from ..domain.policy import Action
from .desk import Desk, actor, chosen, status_of, typed
from .guards import Response, Visitor, see_other
from .overview import device_pages, organization_name


class PlantSetup:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._plants = desk.services.plants

    def routes(self) -> list[web.RouteDef]:
        get, post = self._desk.get, self._desk.post
        plant = "/plants/{plant}"
        return [
            get("/organizations/{organization}/new-plant", self.new_page),
            post("/organizations/{organization}/new-plant", self.create),
            get(f"{plant}/set-up", self.show),
            post(f"{plant}/set-up/name", self.rename),
            post(f"{plant}/set-up/subnets", self.add_subnet),
            post(f"{plant}/set-up/devices", self.add_device),
            post(f"{plant}/set-up/targets", self.add_target),
            get(f"{plant}/remove", self.remove_page),
            post(f"{plant}/remove", self.remove),
            get(plant + "/set-up/{kind:subnets|devices|targets}/{thing}/remove", self.remove_part_page),
            post(plant + "/set-up/{kind:subnets|devices|targets}/{thing}/remove", self.remove_part),
        ]

    # The plant itself

    async def new_page(self, request: web.Request, visitor: Visitor, error: PlantgateError | None = None) -> Response:
        organization = self._desk.organization(request, visitor, Action.MANAGE_PLANTS)
        return self._desk.page(
            request,
            visitor,
            "plant-new.html",
            status_of(error),
            here="plants",
            organization=organization,
            error=error,
            form=await typed(request),
        )

    async def create(self, request: web.Request, visitor: Visitor) -> Response:
        form = await typed(request)
        organization = OrganizationId(request.match_info["organization"])
        try:
            plant = await self._plants.create(actor(visitor), organization, form.get("name", ""))
        except PlantgateError as error:
            return await self.new_page(request, visitor, error)
        await self._desk.settle()
        return see_other(f"/plants/{plant.id}/set-up?done=plant.created")

    async def rename(self, request: web.Request, visitor: Visitor) -> Response:
        form = await typed(request)
        plant = self._desk.plant(request, visitor, Action.MANAGE_PLANTS)
        change = self._plants.rename(actor(visitor), plant.id, form.get("name", ""))
        return await self._after(request, visitor, change, "plant.renamed", "name")

    async def remove_page(
        self, request: web.Request, visitor: Visitor, error: PlantgateError | None = None
    ) -> Response:
        plant = self._desk.plant(request, visitor, Action.MANAGE_PLANTS)
        snapshot = self._desk.snapshot
        return self._confirm(
            request,
            visitor,
            plant,
            "confirm.plant",
            back=f"/plants/{plant.id}/set-up",
            error=error,
            name=plant.name,
            devices=len(snapshot.devices_of(plant.id)),
            people=len({grant.person for grant in snapshot.grants_on(plant.id)}),
        )

    async def remove(self, request: web.Request, visitor: Visitor) -> Response:
        plant = self._desk.plant(request, visitor, Action.MANAGE_PLANTS)
        error = await self._desk.attempt(self._plants.remove(actor(visitor), plant.id))
        return (
            self._desk.done("/plants", "plant.removed")
            if error is None
            else await self.remove_page(request, visitor, error)
        )

    # What is in it

    async def show(
        self, request: web.Request, visitor: Visitor, error: PlantgateError | None = None, at: str = ""
    ) -> Response:
        """`at` names the form that `error` belongs to; what was typed there is kept."""
        plant = self._desk.plant(request, visitor, Action.CONFIGURE_PLANT)
        snapshot = self._desk.snapshot
        devices = sorted(snapshot.devices_of(plant.id), key=lambda device: (device.name.casefold(), device.id))
        return self._desk.page(
            request,
            visitor,
            "plant-setup.html",
            status_of(error),
            here="plants",
            plant=plant,
            organization=organization_name(snapshot, plant),
            devices=device_pages(snapshot, plant.id, Job.OPERATOR),
            subnets=sorted(snapshot.subnets_of(plant.id), key=lambda subnet: subnet.network),
            may_manage=self._desk.may(visitor, Action.MANAGE_PLANTS, plant.id),
            device_choices=[(device.id, device.name) for device in devices],
            device_origin=self._desk.device_origin,
            error=error,
            at=at,
            form=await typed(request) if error else {},
        )

    async def add_subnet(self, request: web.Request, visitor: Visitor) -> Response:
        form = await typed(request)
        plant = self._desk.plant(request, visitor, Action.CONFIGURE_PLANT)
        change = self._plants.add_subnet(actor(visitor), plant.id, form.get("network", "").strip())
        return await self._after(request, visitor, change, "subnet.added", "subnet")

    async def add_device(self, request: web.Request, visitor: Visitor) -> Response:
        form = await typed(request)
        plant = self._desk.plant(request, visitor, Action.CONFIGURE_PLANT)
        change = self._plants.add_device(actor(visitor), plant.id, form.get("name", ""), form.get("address", ""))
        return await self._after(request, visitor, change, "device.added", "device")

    async def add_target(self, request: web.Request, visitor: Visitor) -> Response:
        return await self._after(request, visitor, self._add_target(request, visitor), "target.added", "target")

    async def _add_target(self, request: web.Request, visitor: Visitor) -> None:
        form = await typed(request)
        plant = self._desk.plant(request, visitor, Action.CONFIGURE_PLANT)
        device = self._device(plant, form.get("device", ""))
        port = form.get("port", "").strip()
        if port and not (port.isascii() and port.isdigit() and len(port) <= 5):
            raise InvalidInput(f"{port[:20]!r} is not a TCP port")
        await self._plants.add_target(
            actor(visitor),
            device.id,
            form.get("host", ""),
            scheme=chosen(Scheme, form.get("scheme", ""), "http or https"),
            port=int(port) if port else None,
            base_path=form.get("path", "").strip() or "/",
            host_mode=chosen(HostMode, form.get("mode", ""), "how the device is addressed"),
            certificate_policy=chosen(CertificatePolicy, form.get("policy", ""), "how the certificate is checked"),
        )

    async def remove_part_page(
        self, request: web.Request, visitor: Visitor, error: PlantgateError | None = None
    ) -> Response:
        plant = self._desk.plant(request, visitor, Action.CONFIGURE_PLANT)
        kind, name = request.match_info["kind"], self._name_of_part(request, plant)
        back = f"/plants/{plant.id}/set-up#{kind}"
        return self._confirm(request, visitor, plant, f"confirm.{kind}", back=back, error=error, name=name)

    async def remove_part(self, request: web.Request, visitor: Visitor) -> Response:
        plant = self._desk.plant(request, visitor, Action.CONFIGURE_PLANT)
        self._name_of_part(request, plant)
        kind, thing, who = request.match_info["kind"], request.match_info["thing"], actor(visitor)
        if kind == "subnets":
            change = self._plants.remove_subnet(who, SubnetId(thing))
        elif kind == "devices":
            change = self._plants.remove_device(who, DeviceId(thing))
        else:
            change = self._plants.remove_target(who, TargetId(thing))
        error = await self._desk.attempt(change)
        if error is not None:
            return await self.remove_part_page(request, visitor, error)
        return self._desk.done(f"/plants/{plant.id}/set-up", f"{kind}.removed")

    def _name_of_part(self, request: web.Request, plant: Plant) -> str:
        """How the thing of the path is called. Raises NotFound unless it is a part of the plant."""
        snapshot, thing = self._desk.snapshot, request.match_info["thing"]
        match request.match_info["kind"]:
            case "subnets":
                subnet = snapshot.subnets.get(thing)
                if subnet is not None and subnet.plant == plant.id:
                    return str(subnet.network)
            case "devices":
                return self._device(plant, thing).name
            case _:
                target = snapshot.targets.get(thing)
                if target is not None:
                    return f"{target.host} ({self._device(plant, target.device).name})"
        raise NotFound("the plant has no such part")

    def _device(self, plant: Plant, identifier: str) -> Device:
        device = self._desk.snapshot.devices.get(identifier)
        if device is None or device.plant != plant.id:
            raise NotFound("the plant has no such device")
        return device

    async def _after(
        self, request: web.Request, visitor: Visitor, change: Awaitable[Any], done: str, at: str
    ) -> Response:
        error = await self._desk.attempt(change)
        if error is not None:
            return await self.show(request, visitor, error, at)
        return self._desk.done(f"/plants/{request.match_info['plant']}/set-up", done)

    def _confirm(
        self, request: web.Request, visitor: Visitor, plant: Plant, what: str, *, back: str, error: Any, **words: Any
    ) -> Response:
        return self._desk.page(
            request,
            visitor,
            "confirm.html",
            status_of(error),
            here="plants",
            what=what,
            words={"plant": plant.name, **words},
            back=back,
            error=error,
        )
