"""For Administrators and Moderators: who belongs to the organization, invitations, reset of a lost second factor."""

from typing import Any

from aiohttp import web

from plantgate_shared.errors import PlantgateError

from ..domain.accounts import stands_above
from ..domain.model import Job, Organization, OrganizationId, OrgRole, PersonId
from ..domain.policy import ORGANIZATION_WIDE_LIMIT, Action, Allowed, decide_in_organization, may_set_role
from ..domain.snapshot import Snapshot
from ..services import Services, acting
from .account import moment
from .guards import Guards, Visitor, see_other
from .pages import Pages

_ROLES = (OrgRole.MEMBER, OrgRole.GUEST, OrgRole.MODERATOR, OrgRole.ADMINISTRATOR)
"""In the order in which they are offered."""
NOTICES = frozenset({"second-factor-reset", "invited"})


class Members:
    """`/people` and below."""

    def __init__(self, pages: Pages, guards: Guards, services: Services) -> None:
        self._pages = pages
        self._guards = guards
        self._services = services

    def routes(self) -> list[web.RouteDef]:
        form, proved = self._guards.form, self._guards.proved
        return [
            web.get("/people", self._guards.signed_in(self.page)),
            web.post("/people/invite", form(proved(self.invite, "/people"))),
            web.post("/people/withdraw", form(proved(self.withdraw, "/people"))),
            web.post("/people/second-factor", form(proved(self.reset_second_factor, "/people"))),
        ]

    async def page(self, request: web.Request, visitor: Visitor) -> web.Response:
        return await self._page(request, visitor)

    async def _page(
        self, request: web.Request, visitor: Visitor, *, link: str = "", error: str = "", status: int = 200
    ) -> web.Response:
        snapshot, me = await self._services.context.newest(), visitor.person.id
        managed = [
            place
            for membership in snapshot.memberships_of(me)
            if (place := snapshot.organizations.get(membership.organization)) is not None
            and isinstance(decide_in_organization(snapshot, me, Action.MANAGE_MEMBERS, place.id), Allowed)
        ]
        notice = request.query.get("notice", "")
        return self._pages.page(
            request,
            "account/people.html",
            status,
            person=visitor.person,
            places=[await self._place(snapshot, me, one) for one in sorted(managed, key=lambda one: one.name)],
            jobs=[job for job in Job if job <= ORGANIZATION_WIDE_LIMIT],
            link=link,
            notice=f"notice.{notice}" if notice in NOTICES else "",
            error=error,
            seconds=0,
        )

    async def _place(self, snapshot: Snapshot, me: PersonId, place: Organization) -> dict[str, Any]:
        members = [
            {
                "id": account.id,
                "name": account.name,
                "email": account.email,
                "role": membership.role,
                "job": membership.job,
                "two_factor": account.totp_active,
                "below": stands_above(snapshot, me, account.id),
            }
            for membership in snapshot.members_of(place.id)
            if (account := snapshot.people.get(membership.person)) is not None
        ]
        invitations = await self._services.invitations.open(acting(me), place.id)
        nobody = PersonId("")
        return {
            "organization": place,
            "members": sorted(members, key=lambda member: str(member["email"])),
            "invitations": [
                {"id": one.id, "email": one.email, "role": one.role, "job": one.job, "expires": moment(one.expires)}
                for one in invitations
            ],
            "roles": [
                role for role in _ROLES if isinstance(may_set_role(snapshot, me, place.id, nobody, role), Allowed)
            ],
        }

    async def invite(self, request: web.Request, visitor: Visitor) -> web.Response:
        form = await request.post()
        role, job = str(form.get("role", "")), str(form.get("job", ""))
        known = role in tuple(OrgRole) and job in ("", *(str(int(one)) for one in Job))
        if not known:
            return await self._page(request, visitor, error="people.refused", status=422)
        try:
            made = await self._services.invitations.create(
                acting(visitor.person.id),
                OrganizationId(str(form.get("organization", ""))),
                str(form.get("email", "")),
                OrgRole(role),
                Job(int(job)) if job else None,
            )
        except PlantgateError as error:
            return await self._page(request, visitor, error="people.refused", status=error.http_status)
        return await self._page(request, visitor, link=made.link) if made.link else see_other("/people?notice=invited")

    async def withdraw(self, request: web.Request, visitor: Visitor) -> web.Response:
        form = await request.post()
        place, invitation = OrganizationId(str(form.get("organization", ""))), str(form.get("invitation", ""))
        try:
            await self._services.invitations.withdraw(acting(visitor.person.id), place, invitation)
        except PlantgateError as error:
            return await self._page(request, visitor, error="people.refused", status=error.http_status)
        return see_other("/people")

    async def reset_second_factor(self, request: web.Request, visitor: Visitor) -> web.Response:
        person = PersonId(str((await request.post()).get("person", "")))
        try:
            await self._services.people.remove_totp(acting(visitor.person.id), person)
        except PlantgateError as error:
            return await self._page(request, visitor, error="people.refused", status=error.http_status)
        return see_other("/people?notice=second-factor-reset")
