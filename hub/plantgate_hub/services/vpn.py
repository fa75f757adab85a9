"""VPN services: the owner's bundles of plants. They never add access; a plant in none of them has no VPN."""

from dataclasses import replace

from plantgate_shared.errors import Conflict, InvalidInput, NotFound

from ..domain.model import OrganizationId, PlantId, ServiceId, VpnService
from ..domain.policy import Action
from ..domain.snapshot import Snapshot
from ..store.ids import new_id
from .context import Actor, Context, clean_name


class VpnServices:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def create(self, actor: Actor, organization: OrganizationId, name: str) -> VpnService:
        async with self._context.change(actor) as change:
            self._context.organization(change.snapshot, actor, Action.MANAGE_SERVICES, organization)
            title = clean_name(name)
            if any(s.name.casefold() == title.casefold() for s in change.snapshot.services_of(organization)):
                raise Conflict(f"the organization has a VPN service {title!r} already")
            service = VpnService(ServiceId(new_id()), organization, title)
            change.put(service)
            return service

    async def remove(self, actor: Actor, service: ServiceId, *, confirmed: bool = False) -> None:
        async with self._context.change(actor) as change:
            found = self._service(change.snapshot, actor, service)
            if found.default:
                raise Conflict("the default VPN service stays: it takes new plants")
            last = [p for p in found.plants if len(change.snapshot.services_with(p)) == 1]
            self._warn(change.snapshot, last, confirmed)
            change.remove(found)

    async def assign(self, actor: Actor, service: ServiceId, plant: PlantId) -> VpnService:
        async with self._context.change(actor) as change:
            found = self._service(change.snapshot, actor, service)
            place = change.snapshot.plants.get(plant)
            if place is None or place.organization != found.organization:
                raise InvalidInput("the plant is not one of the organization's own")
            changed = replace(found, plants=found.plants | {plant})
            change.put(changed)
            return changed

    async def unassign(
        self, actor: Actor, service: ServiceId, plant: PlantId, *, confirmed: bool = False
    ) -> VpnService:
        """Take the plant out. Out of its last service, VPN to it ends for everyone: `confirmed` says that is meant."""
        async with self._context.change(actor) as change:
            found = self._service(change.snapshot, actor, service)
            if plant not in found.plants:
                raise NotFound("the plant is not in this VPN service")
            if len(change.snapshot.services_with(plant)) == 1:
                self._warn(change.snapshot, [plant], confirmed)
            changed = replace(found, plants=found.plants - {plant})
            change.put(changed)
            return changed

    def _warn(self, snapshot: Snapshot, plants: list[PlantId], confirmed: bool) -> None:
        if plants and not confirmed:
            names = ", ".join(sorted(place.name for p in plants if (place := snapshot.plants.get(p))))
            raise Conflict(
                f"this ends VPN for everyone to: {names}",
                hint="assign another service first, or confirm that it is meant",
            )

    def _service(self, snapshot: Snapshot, actor: Actor, service: ServiceId) -> VpnService:
        found = snapshot.services.get(service)
        if found is None:
            raise NotFound("there is no such VPN service")
        try:
            self._context.organization(snapshot, actor, Action.MANAGE_SERVICES, found.organization)
        except NotFound:
            raise NotFound("there is no such VPN service") from None
        return found
