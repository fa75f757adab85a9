"""Cooperations: plants shared with other organizations, from both sides, and who is invited."""

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from plantgate_shared.errors import InvalidInput, NotFound, PlantgateError

from ..domain.model import Cooperation, Grant, Job, Organization, OrganizationId, Person, Plant
from ..domain.policy import Action, is_live
from .desk import Desk, actor, chosen, typed
from .guards import Response, Visitor
from .moments import read_moment
from .organizations import JOBS, organization_page


@dataclass(frozen=True, slots=True)
class Shared:
    """A cooperation as one side sees it."""

    cooperation: Cooperation
    plant: Plant
    owner: Organization
    partner: Organization
    ended: bool
    invited: int


class CooperationPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._cooperations = desk.services.cooperations

    def routes(self) -> list[web.RouteDef]:
        get, post, base = self._desk.get, self._desk.post, "/organizations/{organization}/cooperations"
        one = base + "/{cooperation}"
        return [
            get(base, self.show_all),
            post(base, self.offer),
            get(one, self.show),
            post(one + "/accept", self.accept),
            post(one + "/cap", self.set_cap),
            post(one + "/invitations", self.invite),
            post(one + "/invitations/withdraw", self.withdraw),
            get(one + "/end", self.end_page),
            post(one + "/end", self.end),
        ]

    async def show_all(self, request: web.Request, visitor: Visitor, error: PlantgateError | None = None) -> Response:
        organization = self._organization(request, visitor)
        snapshot = self._desk.snapshot
        plants = sorted(snapshot.plants_of(organization.id), key=lambda p: (p.name.casefold(), p.id))
        given = [c for plant in plants for c in snapshot.cooperations_on(plant.id)]
        return self._page(
            request,
            visitor,
            organization,
            "cooperations.html",
            error,
            given=self._sorted(given),
            received=self._sorted(snapshot.cooperations_with(organization.id)),
            plants=plants,
            jobs=JOBS,
            form=await typed(request) if error else {},
        )

    async def offer(self, request: web.Request, visitor: Visitor) -> Response:
        organization = self._organization(request, visitor)
        error = await self._desk.attempt(self._offer(request, visitor, organization))
        if error is not None:
            return await self.show_all(request, visitor, error)
        return self._desk.done(f"/organizations/{organization.id}/cooperations", "cooperation.offered")

    async def _offer(self, request: web.Request, visitor: Visitor, organization: Organization) -> None:
        form = await typed(request)
        plant = self._desk.snapshot.plants.get(form.get("plant", ""))
        if plant is None or plant.organization != organization.id:
            raise InvalidInput("choose one of your plants")
        # By its exact name only: who else uses this hub is nobody's business.
        name = " ".join(form.get("partner", "").split()).casefold()
        partner = self._desk.snapshot.organizations.one_by("name", name)
        if partner is None:
            raise NotFound("there is no organization of this name", hint="ask the partner how it is written here")
        await self._cooperations.offer(
            actor(visitor),
            plant.id,
            partner.id,
            chosen(Job, form.get("cap", ""), "the highest job"),
            ends=read_moment(form.get("ends", ""), "end"),
            reason=form.get("reason", ""),
        )

    async def show(
        self, request: web.Request, visitor: Visitor, error: PlantgateError | None = None, at: str = ""
    ) -> Response:
        organization = self._organization(request, visitor)
        shared = self._shared(request, organization)
        snapshot, theirs = self._desk.snapshot, shared.partner.id == organization.id
        members = (snapshot.people.get(m.person) for m in snapshot.members_of(organization.id)) if theirs else ()
        return self._page(
            request,
            visitor,
            organization,
            "cooperation.html",
            error,
            shared=shared,
            theirs=theirs,
            invitations=self._invitations(shared),
            people=sorted((p for p in members if p is not None), key=lambda p: (p.name.casefold(), p.email)),
            jobs=[job for job in JOBS if job <= shared.cooperation.cap],
            caps=JOBS,
            at=at,
            now=self._desk.now(),
            form=await typed(request) if error else {},
        )

    async def accept(self, request: web.Request, visitor: Visitor) -> Response:
        shared = self._shared(request, self._organization(request, visitor))
        change = self._cooperations.accept(actor(visitor), shared.cooperation.id)
        return await self._changed(request, visitor, change, "cooperation.accepted", "state")

    async def set_cap(self, request: web.Request, visitor: Visitor) -> Response:
        return await self._changed(request, visitor, self._set_cap(request, visitor), "cooperation.capped", "cap")

    async def _set_cap(self, request: web.Request, visitor: Visitor) -> None:
        shared = self._shared(request, self._organization(request, visitor))
        cap = chosen(Job, (await typed(request)).get("cap", ""), "the highest job")
        await self._cooperations.set_cap(actor(visitor), shared.cooperation.id, cap)

    async def invite(self, request: web.Request, visitor: Visitor) -> Response:
        change = self._invite(request, visitor)
        return await self._changed(request, visitor, change, "cooperation.invited", "invite")

    async def _invite(self, request: web.Request, visitor: Visitor) -> None:
        form = await typed(request)
        shared = self._shared(request, self._organization(request, visitor))
        await self._cooperations.invite(
            actor(visitor),
            shared.cooperation.id,
            self._invitee(shared, form.get("email", "")).id,
            chosen(Job, form.get("job", ""), "a job"),
            starts=read_moment(form.get("starts", ""), "start"),
            ends=read_moment(form.get("ends", ""), "end"),
            reason=form.get("reason", ""),
        )

    def _invitee(self, shared: Shared, email: str) -> Person:
        """A member of the partner. Anyone else is as unknown as nobody: the owner does not see the partner's people."""
        person = self._desk.snapshot.person_by_email(email.strip().lower())
        if person is None or self._desk.snapshot.memberships.get(person.id, shared.partner.id) is None:
            raise NotFound("the partner has no member with this e-mail address")
        return person

    async def withdraw(self, request: web.Request, visitor: Visitor) -> Response:
        change = self._withdraw(request, visitor)
        return await self._changed(request, visitor, change, "cooperation.withdrawn", "invitations")

    async def _withdraw(self, request: web.Request, visitor: Visitor) -> None:
        form = await typed(request)
        shared = self._shared(request, self._organization(request, visitor))
        person = next((p for p, _ in self._invitations(shared) if p.id == form.get("person")), None)
        if person is None:
            raise NotFound("the person is not invited")
        await self._cooperations.withdraw(actor(visitor), shared.cooperation.id, person.id)

    async def end_page(self, request: web.Request, visitor: Visitor, error: PlantgateError | None = None) -> Response:
        organization = self._organization(request, visitor)
        shared = self._shared(request, organization)
        return self._page(
            request,
            visitor,
            organization,
            "confirm.html",
            error,
            what="confirm.cooperation",
            words={
                "plant": shared.plant.name,
                "owner": shared.owner.name,
                "partner": shared.partner.name,
                "people": shared.invited,
            },
            back=self._path(organization.id, shared.cooperation),
        )

    async def end(self, request: web.Request, visitor: Visitor) -> Response:
        organization = self._organization(request, visitor)
        shared = self._shared(request, organization)
        error = await self._desk.attempt(self._cooperations.end(actor(visitor), shared.cooperation.id))
        if error is not None:
            return await self.end_page(request, visitor, error)
        return self._desk.done(f"/organizations/{organization.id}/cooperations", "cooperation.ended")

    async def _changed(
        self, request: web.Request, visitor: Visitor, change: Coroutine[Any, Any, Any], done: str, at: str
    ) -> Response:
        error = await self._desk.attempt(change)
        if error is not None:
            return await self.show(request, visitor, error, at)
        place = request.match_info
        return self._desk.done(f"/organizations/{place['organization']}/cooperations/{place['cooperation']}", done)

    def _organization(self, request: web.Request, visitor: Visitor) -> Organization:
        return self._desk.organization(request, visitor, Action.MANAGE_COOPERATIONS)

    def _shared(self, request: web.Request, organization: Organization) -> Shared:
        """The cooperation of the path, if the organization is a side of it. Raises NotFound."""
        found = self._desk.snapshot.cooperations.get(request.match_info["cooperation"])
        shared = self._view(found) if found else None
        if shared is None or organization.id not in (shared.owner.id, shared.partner.id):
            raise NotFound("there is no such cooperation")
        return shared

    def _view(self, cooperation: Cooperation) -> Shared | None:
        snapshot = self._desk.snapshot
        plant = snapshot.plants.get(cooperation.plant)
        owner = snapshot.organizations.get(plant.organization) if plant else None
        partner = snapshot.organizations.get(cooperation.partner)
        if plant is None or owner is None or partner is None:
            return None
        ended = not is_live(None, cooperation.ends, self._desk.now())
        people = {grant.person for grant in snapshot.grants_in(cooperation.id)}
        return Shared(cooperation, plant, owner, partner, ended, len(people))

    def _sorted(self, cooperations: Any) -> list[Shared]:
        views = [view for cooperation in cooperations if (view := self._view(cooperation)) is not None]
        return sorted(views, key=lambda view: (view.ended, view.plant.name.casefold(), view.partner.name.casefold()))

    def _invitations(self, shared: Shared) -> list[tuple[Person, Grant]]:
        snapshot = self._desk.snapshot
        rows = [
            (person, grant)
            for grant in snapshot.grants_in(shared.cooperation.id)
            if (person := snapshot.people.get(grant.person)) is not None
        ]
        return sorted(rows, key=lambda row: (row[0].name.casefold(), row[0].email, -row[1].job))

    @staticmethod
    def _path(organization: OrganizationId, cooperation: Cooperation) -> str:
        return f"/organizations/{organization}/cooperations/{cooperation.id}"

    def _page(
        self,
        request: web.Request,
        visitor: Visitor,
        organization: Organization,
        template: str,
        error: PlantgateError | None,
        **fields: Any,
    ) -> Response:
        return organization_page(
            self._desk, request, visitor, organization, template, error, tab="cooperations", **fields
        )
