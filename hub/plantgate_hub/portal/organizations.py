"""An organization's own pages: members with their roles and jobs, and VPN services with their plants."""

from collections.abc import Coroutine
from typing import Any

from aiohttp import web

from plantgate_shared.errors import NotFound, PlantgateError

from ..domain.accounts import stands_above
from ..domain.impact import people_on
from ..domain.model import Job, Organization, OrgRole, Person, PersonId, PlantId, VpnService
from ..domain.policy import ORGANIZATION_WIDE_LIMIT, Action, decide
from ..domain.policy import Allowed as PolicyAllowed
from .desk import MANAGING, Desk, actor, chosen, matches, paged, searched, status_of, typed
from .guards import Response, Visitor, see_other
from .moments import read_moment

WIDE_JOBS = tuple(job for job in reversed(Job) if job <= ORGANIZATION_WIDE_LIMIT)
JOBS = tuple(reversed(Job))


class Organizations:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._services = desk.services

    def routes(self) -> list[web.RouteDef]:
        get, post, proved, base = (
            self._desk.get,
            self._desk.post,
            self._desk.proved_post,
            "/organizations/{organization}",
        )
        return [
            get("/organizations", self.show_all),
            get(base, self.first),
            get(f"{base}/members", self.members),
            proved(f"{base}/members", self.invite, f"{base}/members"),
            proved(f"{base}/invitations/withdraw", self.withdraw, f"{base}/members"),
            get(base + "/members/{person}", self.member),
            proved(base + "/members/{person}", self.change_member, base + "/members/{person}"),
            post(base + "/members/{person}/grants", self.grant),
            post(base + "/members/{person}/grants/revoke", self.revoke),
            proved(base + "/members/{person}/second-factor", self.reset_second_factor, base + "/members/{person}"),
            get(base + "/members/{person}/remove", self.remove_member_page),
            post(base + "/members/{person}/remove", self.remove_member),
            get(f"{base}/services", self.services),
            post(f"{base}/services", self.add_service),
            post(base + "/services/{service}/plants", self.assign),
            get(base + "/services/{service}/remove", self.remove_service_page),
            post(base + "/services/{service}/remove", self.remove_service),
        ]

    async def show_all(self, request: web.Request, visitor: Visitor) -> Response:
        managed = self._desk.managed(visitor)
        if len(managed) == 1:
            return see_other(f"/organizations/{managed[0].id}")
        return self._desk.page(request, visitor, "organizations.html", here="organization", organizations=managed)

    async def first(self, request: web.Request, visitor: Visitor) -> Response:
        """The first of the organization's pages that the visitor may use."""
        organization = self._desk.organization(request, visitor, *MANAGING)
        members = self._desk.may_in(visitor, Action.MANAGE_MEMBERS, organization.id)
        return see_other(f"/organizations/{organization.id}/{'members' if members else 'services'}")

    # Members

    async def members(
        self,
        request: web.Request,
        visitor: Visitor,
        error: PlantgateError | None = None,
        *,
        at: str = "",
        link: str = "",
        invited: str = "",
    ) -> Response:
        organization = self._desk.organization(request, visitor, Action.MANAGE_MEMBERS)
        snapshot, query = self._desk.snapshot, searched(request)
        rows = [
            (person, membership)
            for membership in snapshot.members_of(organization.id)
            if (person := snapshot.people.get(membership.person)) is not None
            and matches(query, person.name, person.email)
        ]
        rows.sort(key=lambda row: (row[0].name.casefold(), row[0].email))
        return organization_page(
            self._desk,
            request,
            visitor,
            organization,
            "members.html",
            error,
            tab="members",
            page=paged(rows, request),
            count=len(snapshot.members_of(organization.id)),
            roles=self._roles(visitor, organization),
            wide_jobs=WIDE_JOBS,
            invitations=await self._services.invitations.open(actor(visitor), organization.id),
            at=at,
            form=await typed(request) if error else {},
            link=link,
            invited=invited,
        )

    async def invite(self, request: web.Request, visitor: Visitor) -> Response:
        """By e-mail address; the answer tells nothing of whether it has an account."""
        form = await typed(request)
        organization = self._desk.organization(request, visitor, Action.MANAGE_MEMBERS)
        try:
            role = chosen(OrgRole, form.get("role", ""), "a role")
            job = chosen(Job, form["job"], "a job") if form.get("job") else None
            made = await self._services.invitations.create(
                actor(visitor), organization.id, form.get("email", ""), role, job
            )
        except PlantgateError as error:
            return await self.members(request, visitor, error, at="invite")
        return await self.members(request, visitor, link=made.link, invited=made.invitation.email)

    async def withdraw(self, request: web.Request, visitor: Visitor) -> Response:
        organization = self._desk.organization(request, visitor, Action.MANAGE_MEMBERS)
        invitation = (await typed(request)).get("invitation", "")
        change = self._services.invitations.withdraw(actor(visitor), organization.id, invitation)
        error = await self._desk.attempt(change)
        if error is not None:
            return await self.members(request, visitor, error, at="invitations")
        return self._desk.done(f"/organizations/{organization.id}/members", "invitation.withdrawn")

    async def member(
        self, request: web.Request, visitor: Visitor, error: PlantgateError | None = None, at: str = ""
    ) -> Response:
        organization = self._desk.organization(request, visitor, Action.MANAGE_MEMBERS)
        snapshot, person = self._desk.snapshot, self._member(request, organization)
        grants = [
            (plant, grant)
            for grant in snapshot.grants_of(person.id)
            if grant.cooperation is None
            and (plant := snapshot.plants.get(grant.plant)) is not None
            and plant.organization == organization.id
        ]
        grants.sort(key=lambda row: (row[0].name.casefold(), -row[1].job))
        return organization_page(
            self._desk,
            request,
            visitor,
            organization,
            "member.html",
            error,
            tab="members",
            member=person,
            membership=snapshot.memberships.get(person.id, organization.id),
            grants=grants,
            plants=sorted(snapshot.plants_of(organization.id), key=lambda p: (p.name.casefold(), p.id)),
            roles=self._roles(visitor, organization),
            wide_jobs=WIDE_JOBS,
            jobs=JOBS,
            may_reset=person.totp_active and stands_above(snapshot, visitor.person.id, person.id),
            at=at,
            form=await typed(request) if error else {},
        )

    async def change_member(self, request: web.Request, visitor: Visitor) -> Response:
        return await self._member_changed(
            request, visitor, self._change_member(request, visitor), "member.changed", "role"
        )

    async def _change_member(self, request: web.Request, visitor: Visitor) -> None:
        form = await typed(request)
        organization = self._desk.organization(request, visitor, Action.MANAGE_MEMBERS)
        person = self._member(request, organization)
        job = chosen(Job, form["job"], "a job") if form.get("job") else None
        role = chosen(OrgRole, form.get("role", ""), "a role")
        await self._services.organizations.set_member(actor(visitor), organization.id, person.id, role, job)

    async def grant(self, request: web.Request, visitor: Visitor) -> Response:
        return await self._member_changed(request, visitor, self._grant(request, visitor), "grant.given", "grant")

    async def _grant(self, request: web.Request, visitor: Visitor) -> None:
        form = await typed(request)
        organization = self._desk.organization(request, visitor, Action.MANAGE_MEMBERS)
        person = self._member(request, organization)
        await self._services.grants.give(
            actor(visitor),
            person.id,
            PlantId(form.get("plant", "")),
            chosen(Job, form.get("job", ""), "a job"),
            starts=read_moment(form.get("starts", ""), "start"),
            ends=read_moment(form.get("ends", ""), "end"),
            reason=form.get("reason", ""),
        )

    async def revoke(self, request: web.Request, visitor: Visitor) -> Response:
        return await self._member_changed(request, visitor, self._revoke(request, visitor), "grant.revoked", "grants")

    async def _revoke(self, request: web.Request, visitor: Visitor) -> None:
        form = await typed(request)
        organization = self._desk.organization(request, visitor, Action.MANAGE_MEMBERS)
        person = self._member(request, organization)
        job = chosen(Job, form.get("job", ""), "a job")
        await self._services.grants.revoke(actor(visitor), person.id, PlantId(form.get("plant", "")), job)

    async def reset_second_factor(self, request: web.Request, visitor: Visitor) -> Response:
        """For who lost the phone and the recovery codes; by somebody who stands above them."""
        organization = self._desk.organization(request, visitor, Action.MANAGE_MEMBERS)
        change = self._services.people.remove_totp(actor(visitor), self._member(request, organization).id)
        return await self._member_changed(request, visitor, change, "second-factor.reset", "second-factor")

    async def remove_member_page(
        self, request: web.Request, visitor: Visitor, error: PlantgateError | None = None
    ) -> Response:
        organization = self._desk.organization(request, visitor, Action.MANAGE_MEMBERS)
        person = self._member(request, organization)
        return organization_page(
            self._desk,
            request,
            visitor,
            organization,
            "confirm.html",
            error,
            what="confirm.member",
            words={"name": person.name, "organization": organization.name},
            back=f"/organizations/{organization.id}/members/{person.id}",
        )

    async def remove_member(self, request: web.Request, visitor: Visitor) -> Response:
        organization = self._desk.organization(request, visitor, Action.MANAGE_MEMBERS)
        person = self._member(request, organization)
        change = self._services.organizations.remove_member(actor(visitor), organization.id, person.id)
        error = await self._desk.attempt(change)
        if error is not None:
            return await self.remove_member_page(request, visitor, error)
        return self._desk.done(f"/organizations/{organization.id}/members", "member.removed")

    async def _member_changed(
        self, request: web.Request, visitor: Visitor, change: Coroutine[Any, Any, Any], done: str, at: str
    ) -> Response:
        error = await self._desk.attempt(change)
        if error is not None:
            return await self.member(request, visitor, error, at)
        place = request.match_info
        return self._desk.done(f"/organizations/{place['organization']}/members/{place['person']}", done)

    def _member(self, request: web.Request, organization: Organization) -> Person:
        person = self._desk.snapshot.people.get(PersonId(request.match_info["person"]))
        if person is None or self._desk.snapshot.memberships.get(person.id, organization.id) is None:
            raise NotFound("there is no such member")
        return person

    def _roles(self, visitor: Visitor, organization: Organization) -> tuple[OrgRole, ...]:
        """Those that the visitor may give: nobody but an Administrator makes Administrators."""
        own = self._desk.snapshot.memberships.get(visitor.person.id, organization.id)
        everything = own is not None and own.role is OrgRole.ADMINISTRATOR
        return tuple(role for role in reversed(OrgRole) if everything or role is not OrgRole.ADMINISTRATOR)

    # VPN services

    async def services(
        self, request: web.Request, visitor: Visitor, error: PlantgateError | None = None, at: str = ""
    ) -> Response:
        organization = self._desk.organization(request, visitor, Action.MANAGE_SERVICES)
        snapshot = self._desk.snapshot
        plants = sorted(snapshot.plants_of(organization.id), key=lambda p: (p.name.casefold(), p.id))
        services = sorted(snapshot.services_of(organization.id), key=lambda s: (not s.default, s.name.casefold(), s.id))
        return organization_page(
            self._desk,
            request,
            visitor,
            organization,
            "services.html",
            error,
            tab="services",
            services=services,
            plants=plants,
            offered={plant for service in services for plant in service.plants},
            at=at,
            form=await typed(request) if error else {},
        )

    async def add_service(self, request: web.Request, visitor: Visitor) -> Response:
        form = await typed(request)
        organization = self._desk.organization(request, visitor, Action.MANAGE_SERVICES)
        change = self._services.vpn.create(actor(visitor), organization.id, form.get("name", ""))
        error = await self._desk.attempt(change)
        if error is not None:
            return await self.services(request, visitor, error, "new")
        return self._desk.done(f"/organizations/{organization.id}/services", "service.added")

    async def assign(self, request: web.Request, visitor: Visitor) -> Response:
        form = await typed(request)
        organization = self._desk.organization(request, visitor, Action.MANAGE_SERVICES)
        service = self._service(request, organization)
        change = self._services.vpn.assign(actor(visitor), service.id, PlantId(form.get("plant", "")))
        error = await self._desk.attempt(change)
        if error is not None:
            return await self.services(request, visitor, error, service.id)
        return self._desk.done(f"/organizations/{organization.id}/services", "service.assigned")

    async def remove_service_page(
        self, request: web.Request, visitor: Visitor, error: PlantgateError | None = None
    ) -> Response:
        """Removes the service, or with `plant` in the query that plant from it; says for whom VPN ends."""
        organization = self._desk.organization(request, visitor, Action.MANAGE_SERVICES)
        service = self._service(request, organization)
        plants = self._leaving(request, service)
        last = [p for p in plants if len(self._desk.snapshot.services_with(p)) == 1]
        one = "plant" in request.query
        return organization_page(
            self._desk,
            request,
            visitor,
            organization,
            "confirm-service.html",
            error,
            service=service,
            one=one,
            plants=[self._plant_name(plant) for plant in plants],
            ending=sorted((self._plant_name(plant), self._with_vpn(plant)) for plant in last),
        )

    async def remove_service(self, request: web.Request, visitor: Visitor) -> Response:
        organization = self._desk.organization(request, visitor, Action.MANAGE_SERVICES)
        service, who = self._service(request, organization), actor(visitor)
        if "plant" in request.query:
            (plant,) = self._leaving(request, service)
            error = await self._desk.attempt(self._services.vpn.unassign(who, service.id, plant, confirmed=True))
        else:
            error = await self._desk.attempt(self._services.vpn.remove(who, service.id, confirmed=True))
        if error is not None:
            return await self.remove_service_page(request, visitor, error)
        done = "service.unassigned" if "plant" in request.query else "service.removed"
        return self._desk.done(f"/organizations/{organization.id}/services", done)

    def _service(self, request: web.Request, organization: Organization) -> VpnService:
        service = self._desk.snapshot.services.get(request.match_info["service"])
        if service is None or service.organization != organization.id:
            raise NotFound("there is no such VPN service")
        return service

    def _leaving(self, request: web.Request, service: VpnService) -> tuple[PlantId, ...]:
        if "plant" not in request.query:
            return tuple(service.plants)
        plant = PlantId(request.query["plant"])
        if plant not in service.plants:
            raise NotFound("the plant is not in this VPN service")
        return (plant,)

    def _plant_name(self, plant: PlantId) -> str:
        found = self._desk.snapshot.plants.get(plant)
        return found.name if found else ""

    def _with_vpn(self, plant: PlantId) -> int:
        """How many people have a VPN profile and may use it on the plant now."""
        snapshot, now = self._desk.snapshot, self._desk.now()
        return sum(
            isinstance(decide(snapshot, person, Action.USE_VPN, plant, now), PolicyAllowed)
            for person in set(people_on(snapshot, plant))
            if snapshot.profiles_of(person)
        )


def organization_page(
    desk: Desk,
    request: web.Request,
    visitor: Visitor,
    organization: Organization,
    template: str,
    error: PlantgateError | None,
    **fields: Any,
) -> Response:
    """A page of an organization, in the frame that all of them have: its name, and which pages the visitor may use."""
    pages = {
        "members": Action.MANAGE_MEMBERS,
        "cooperations": Action.MANAGE_COOPERATIONS,
        "services": Action.MANAGE_SERVICES,
        "settings": Action.MANAGE_ORGANIZATION,
    }
    return desk.page(
        request,
        visitor,
        template,
        status_of(error),
        here="organization",
        error=error,
        organization=organization,
        tabs=[name for name, action in pages.items() if desk.may_in(visitor, action, organization.id)],
        **fields,
    )
