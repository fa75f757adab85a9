"""Ending all access to a plant and giving it free again; and the reasons that people declare for connecting."""

from aiohttp import web

from plantgate_shared.errors import PlantgateError

from ..domain.model import Hold, HoldScope, PersonId, Plant, PlantId, Purpose
from ..domain.policy import Action
from ..domain.snapshot import Snapshot
from .desk import Desk, actor, chosen, status_of, typed
from .guards import Response, Visitor, safe_next, see_other

HOUR = 3600.0
LASTING = (1 * HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 24 * HOUR, 72 * HOUR)
"""Seconds that are offered for a reason, up to what the organization allows."""


class PlantAccess:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._holds = desk.services.holds
        self._purposes = desk.services.purposes

    def routes(self) -> list[web.RouteDef]:
        get, post, plant = self._desk.get, self._desk.post, "/plants/{plant}"
        return [
            get(f"{plant}/end-access", self.end_access_page),
            post(f"{plant}/end-access", self.end_access),
            post(f"{plant}/restore-access", self.restore_access),
            get(f"{plant}/reason", self.reason_page),
            post(f"{plant}/reason", self.declare),
            post(f"{plant}/reason/end", self.end_reason),
            get("/reasons", self.reasons),
        ]

    # Holds

    async def end_access_page(
        self, request: web.Request, visitor: Visitor, error: PlantgateError | None = None
    ) -> Response:
        plant = self._desk.plant(request, visitor, Action.END_ACCESS)
        return self._desk.page(
            request,
            visitor,
            "end-access.html",
            status_of(error),
            here="plants",
            plant=plant,
            scopes=list(HoldScope),
            error=error,
            form=await typed(request),
        )

    async def end_access(self, request: web.Request, visitor: Visitor) -> Response:
        plant = self._desk.plant(request, visitor, Action.END_ACCESS)
        error = await self._desk.attempt(self._end_access(request, visitor, plant))
        if error is not None:
            return await self.end_access_page(request, visitor, error)
        return self._desk.done(f"/plants/{plant.id}", "access.ended")

    async def _end_access(self, request: web.Request, visitor: Visitor, plant: Plant) -> None:
        form = await typed(request)
        scope = chosen(HoldScope, form.get("scope", ""), "for whom access ends")
        await self._holds.end_access(actor(visitor), plant.id, scope, form.get("reason", ""))

    async def restore_access(self, request: web.Request, visitor: Visitor) -> Response:
        """Twice is as good as once: what matters is that the hold is gone."""
        plant = self._desk.plant(request, visitor, Action.RESTORE_ACCESS)
        scope = (await typed(request)).get("scope", "")
        if scope in HoldScope.__members__:
            await self._desk.attempt(self._holds.restore(actor(visitor), plant.id, HoldScope[scope]))
        return self._desk.done(f"/plants/{plant.id}", "access.restored")

    # Reasons for connecting

    async def reason_page(
        self, request: web.Request, visitor: Visitor, error: PlantgateError | None = None
    ) -> Response:
        plant = self._desk.plant(request, visitor, Action.DECLARE_PURPOSE)
        snapshot = self._desk.snapshot
        policy = snapshot.connection_policy_of(plant.organization)
        form = await typed(request)
        asked = form or request.query
        return self._desk.page(
            request,
            visitor,
            "reason.html",
            status_of(error),
            here="plants",
            plant=plant,
            required=policy.purpose_required,
            lasting=[*(seconds for seconds in LASTING if seconds < policy.longest_purpose), policy.longest_purpose],
            present=live_purpose(snapshot, visitor.person.id, plant.id, self._desk.now()),
            following={name: asked[name] for name in ("next", "host", "path") if asked.get(name)},
            error=error,
            form=form,
        )

    async def declare(self, request: web.Request, visitor: Visitor) -> Response:
        plant = self._desk.plant(request, visitor, Action.DECLARE_PURPOSE)
        form = await typed(request)
        lasts = form.get("seconds", "")
        seconds = float(lasts) if lasts.isascii() and lasts.isdigit() and len(lasts) < 10 else None
        change = self._purposes.declare(actor(visitor), plant.id, form.get("text", ""), seconds)
        error = await self._desk.attempt(change)
        if error is not None:
            return await self.reason_page(request, visitor, error)
        page = self._device_page(plant, form.get("host", ""), form.get("path", "/"))
        if page:
            return see_other(page)
        return self._desk.done(safe_next(form.get("next", f"/plants/{plant.id}")), "purpose.declared")

    def _device_page(self, plant: Plant, host: str, path: str) -> str:
        """Where somebody was going; empty unless it is a page of this plant's."""
        snapshot = self._desk.snapshot
        target = snapshot.target_by_host(host)
        device = snapshot.devices.get(target.device) if target else None
        if device is None or device.plant != plant.id:
            return ""
        return self._desk.device_origin(host) + safe_next(path)

    async def end_reason(self, request: web.Request, visitor: Visitor) -> Response:
        plant = self._desk.plant(request, visitor)
        await self._desk.attempt(self._purposes.end(actor(visitor), plant.id))
        back = safe_next((await typed(request)).get("next", "/reasons"))
        return self._desk.done(back, "purpose.ended")

    async def reasons(self, request: web.Request, visitor: Visitor) -> Response:
        """All that the visitor has declared and that holds."""
        snapshot, now = self._desk.snapshot, self._desk.now()
        found = [
            (plant, purpose)
            for purpose in snapshot.purposes_of(visitor.person.id)
            if purpose.ends > now
            and (plant := snapshot.plants.get(purpose.plant)) is not None
            and self._desk.may(visitor, Action.SEE_PLANT, plant.id)
        ]
        found.sort(key=lambda row: (row[1].ends, row[0].name.casefold()))
        return self._desk.page(request, visitor, "reasons.html", here="plants", reasons=found)


def live_purpose(snapshot: Snapshot, person: PersonId, plant: PlantId, now: float) -> Purpose | None:
    purpose = snapshot.purposes.get(person, plant)
    return purpose if purpose is not None and purpose.ends > now else None


def holds_on(snapshot: Snapshot, plant: PlantId) -> list[Hold]:
    """Those that are on, the widest last."""
    return sorted(snapshot.holds_on(plant), key=lambda hold: list(HoldScope).index(hold.scope))
