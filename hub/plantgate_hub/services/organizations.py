"""Organizations and who belongs to them in which role."""

from plantgate_shared.errors import Conflict, InvalidInput, NotFound

from ..domain import policy
from ..domain.model import (
    Job,
    Membership,
    Organization,
    OrganizationId,
    OrgRole,
    PersonId,
    ServiceId,
    VpnService,
)
from ..domain.policy import ORGANIZATION_WIDE_LIMIT, Action
from ..domain.snapshot import Snapshot
from ..store.ids import new_id
from .context import Actor, Context, clean_name, denied
from .removal import remove_membership

DEFAULT_SERVICE = "Default"


class Organizations:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def create(self, actor: Actor, name: str, administrator: PersonId | None = None) -> Organization:
        """A new organization with its default VPN service. The console may name its first Administrator, cloud
        operators themselves; they invite anybody else."""
        async with self._context.change(actor) as change:
            snapshot = change.snapshot
            self._context.platform(snapshot, actor)
            title = clean_name(name)
            if snapshot.organizations.by("name", title.casefold()):
                raise Conflict(f"there is an organization {title!r} already")
            organization = Organization(OrganizationId(new_id()), title)
            change.put(organization)
            change.put(VpnService(ServiceId(new_id()), organization.id, DEFAULT_SERVICE, default=True))
            if administrator is not None:
                if actor.person not in (None, administrator):
                    raise _invite_instead()
                if snapshot.people.get(administrator) is None:
                    raise NotFound("there is no such person")
                change.put(Membership(administrator, organization.id, OrgRole.ADMINISTRATOR))
            return organization

    async def rename(self, actor: Actor, organization: OrganizationId, name: str) -> Organization:
        async with self._context.change(actor) as change:
            self._context.organization(change.snapshot, actor, Action.MANAGE_ORGANIZATION, organization)
            title = clean_name(name)
            others = change.snapshot.organizations.by("name", title.casefold())
            if any(other.id != organization for other in others):
                raise Conflict(f"there is an organization {title!r} already")
            renamed = Organization(organization, title)
            change.put(renamed)
            return renamed

    async def remove(self, actor: Actor, organization: OrganizationId) -> None:
        """An organization that has no plants and shares in none."""
        async with self._context.change(actor) as change:
            snapshot = change.snapshot
            self._context.platform(snapshot, actor)
            place = snapshot.organizations.get(organization)
            if place is None:
                raise NotFound("there is no such organization")
            if snapshot.plants_of(organization):
                raise Conflict("the organization has plants", hint="remove its plants first")
            for cooperation in snapshot.cooperations_with(organization):
                for grant in snapshot.grants_in(cooperation.id):
                    change.remove(grant)
                change.remove(cooperation)
            for membership in snapshot.members_of(organization):
                remove_membership(change, membership)
            for service in snapshot.services_of(organization):
                change.remove(service)
            if (asked := snapshot.connection_policies.get(organization)) is not None:
                change.remove(asked)
            change.remove(place)

    async def set_member(
        self,
        actor: Actor,
        organization: OrganizationId,
        person: PersonId,
        role: OrgRole = OrgRole.MEMBER,
        job: Job | None = None,
    ) -> Membership:
        """Change a member's role and organization-wide job. Only the console makes anybody a member without asking
        them: all others invite (`Invitations`)."""
        async with self._context.change(actor) as change:
            snapshot = change.snapshot
            self._context.organization(snapshot, actor, Action.MANAGE_MEMBERS, organization)
            check_role_change(snapshot, actor, organization, person, role)
            current = snapshot.memberships.get(person, organization)
            if current is None and actor.person is not None:
                raise _invite_instead()  # the same for people whom the hub does not know
            if snapshot.people.get(person) is None:
                raise NotFound("there is no such person")
            check_job(job, role)
            if current is not None and role is not OrgRole.ADMINISTRATOR:
                _keep_an_administrator(snapshot, current)
            membership = Membership(person, organization, role, job)
            change.put(membership)
            return membership

    async def remove_member(self, actor: Actor, organization: OrganizationId, person: PersonId) -> None:
        """End the membership, and with it all that the person had through it. People may leave by themselves."""
        async with self._context.change(actor) as change:
            snapshot = change.snapshot
            if actor.person != person:
                self._context.organization(snapshot, actor, Action.MANAGE_MEMBERS, organization)
            membership = snapshot.memberships.get(person, organization)
            if membership is None:
                raise NotFound("the person is no member of the organization")
            check_role_change(snapshot, actor, organization, person, None)
            _keep_an_administrator(snapshot, membership)
            remove_membership(change, membership)


def check_role_change(
    snapshot: Snapshot, actor: Actor, organization: OrganizationId, member: PersonId, role: OrgRole | None
) -> None:
    """Raises Denied where a Moderator would touch or make an Administrator."""
    if actor.person is None:
        return
    decision = policy.may_set_role(snapshot, actor.person, organization, member, role)
    if isinstance(decision, policy.Denied):
        raise denied(Action.MANAGE_MEMBERS, decision.reason)


def check_job(job: Job | None, role: OrgRole) -> None:
    """Raises InvalidInput for a job that is not granted organization-wide, or not to people of that role."""
    if job is not None and role is OrgRole.GUEST:
        raise InvalidInput("a guest has no job on all plants", hint="grant it on a plant, or make them Member")
    if job is not None and job > ORGANIZATION_WIDE_LIMIT:
        raise InvalidInput(
            "Operator cannot be granted organization-wide", hint="grant it on each plant, or make them Moderator"
        )


def _invite_instead() -> NotFound:
    return NotFound("the person is no member of the organization", hint="invite them by their e-mail address")


def may_name_first_administrator(snapshot: Snapshot, actor: Actor, organization: OrganizationId, role: OrgRole) -> bool:
    """Cloud operators name the first Administrator of an organization, as long as it has nothing to gain access to: no
    plants, and none that others share with it."""
    account = snapshot.people.get(actor.person or "")
    if account is None or not account.cloud_operator or role is not OrgRole.ADMINISTRATOR:
        return False
    if snapshot.organizations.get(organization) is None or _administrators(snapshot, organization):
        return False
    return not snapshot.plants_of(organization) and not snapshot.cooperations_with(organization)


def _administrators(snapshot: Snapshot, organization: OrganizationId) -> list[Membership]:
    return [m for m in snapshot.responsible_in(organization) if m.role is OrgRole.ADMINISTRATOR]


def _keep_an_administrator(snapshot: Snapshot, leaving: Membership) -> None:
    if leaving.role is OrgRole.ADMINISTRATOR and len(_administrators(snapshot, leaving.organization)) == 1:
        raise Conflict("this is the organization's only Administrator", hint="make another one first")
