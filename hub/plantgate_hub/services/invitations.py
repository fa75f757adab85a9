"""How people come into an organization: somebody who may invites their e-mail address, and they accept by themselves.

The link is bound to the address. Who has no account makes one with it; who has one signs in to it first. The inviter
is told the same in either case. Where the hub sends mail, only the address's owner sees the link.
"""

import math
from dataclasses import dataclass, field

from plantgate_shared.errors import Conflict, Denied, InvalidInput, NotFound

from ..domain import policy
from ..domain.accounts import INVITATION_SECONDS, MAX_INVITATION_SECONDS, AccountEvent, Invitation
from ..domain.model import Job, Membership, OrganizationId, OrgRole, Person, PersonId
from ..domain.policy import Action
from ..domain.snapshot import Snapshot
from ..identity.throttle import Key, Limit
from ..store.ids import new_id
from ..store.protocol import ChangeTransaction
from . import letters
from .context import CONSOLE, Actor, Context, acting, clean_email, denied
from .history import record
from .organizations import check_job, may_name_first_administrator
from .passwords import check_password
from .people import add_account
from .secrets import LinkVoid, hash_of, new_link_secret

BY_LINK = Actor(None, "invitation link")
"""Who has no account yet, in the history of changes."""
MAX_OPEN = 200
"""Invitations of one organization that wait for an answer."""


PER_ADDRESS = Limit(burst=5, interval=3600.0)
"""Invitations of one organization to one address: nobody's mailbox is flooded by inviting and withdrawing."""
PER_INVITER = Limit(burst=100, interval=60.0)


class TooManyInvitations(InvalidInput):
    http_status = 429

    def __init__(self, wait: float) -> None:
        super().__init__("too many invitations", hint=f"try again in {math.ceil(wait / 60)} minutes")


class ForeignLink(Denied):
    """The link is for another e-mail address than the account's."""

    def __init__(self) -> None:
        super().__init__("this invitation is for another e-mail address", hint="sign in to the account it is for")


@dataclass(frozen=True, slots=True)
class NewInvitation:
    invitation: Invitation
    link: str = field(repr=False)
    """To pass on; empty where the hub mailed it and the inviter does not need to know it."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the holder of a link is shown."""

    invitation: Invitation
    organization: str
    """Its name."""


class Invitations:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def create(
        self,
        actor: Actor,
        organization: OrganizationId,
        email: str,
        role: OrgRole = OrgRole.MEMBER,
        job: Job | None = None,
        *,
        valid_for: float = INVITATION_SECONDS,
    ) -> NewInvitation:
        """Invite an address, in place of any invitation it had here. Administrators and Moderators may, the console,
        and cloud operators for the first Administrator. Nothing in the answer tells whether there is an account."""
        address, now = clean_email(email), self._context.now()
        if not 60 <= valid_for <= MAX_INVITATION_SECONDS:
            raise InvalidInput("an invitation holds between a minute and 30 days")
        async with self._context.change(actor) as change:
            snapshot = change.snapshot
            self._check(snapshot, actor, organization, role)
            check_job(job, role)
            known = snapshot.person_by_email(address)
            if known is not None and snapshot.memberships.get(known.id, organization) is not None:
                raise Conflict("a member has this address already", hint="change the member's role instead")
            waiting = await change.accounts.invitations(organization)
            for earlier in waiting:
                if earlier.email == address or earlier.expires <= now:
                    await change.accounts.remove_invitation(earlier.id)
            self._count(actor, organization, address)
            if sum(other.email != address and other.expires > now for other in waiting) >= MAX_OPEN:
                raise Conflict(f"{MAX_OPEN} invitations are open already", hint="withdraw some first")
            secret, inviter = new_link_secret(), actor.person or ""
            made = Invitation(new_id(), organization, address, role, job, inviter, now, now + valid_for)
            await change.accounts.add_invitation(made, hash_of(secret))
            await self._record(change, actor, AccountEvent.INVITED, made)
            title = snapshot.organizations.get(organization)
        link = f"{self._context.portal}/invitation?code={secret}"
        self._context.outbox.post(letters.invitation(address, title.name if title else "", link, made.expires))
        return NewInvitation(made, link if actor.person is None or not self._context.outbox.sends else "")

    async def open(self, actor: Actor, organization: OrganizationId) -> tuple[Invitation, ...]:
        """Those that can still be accepted, oldest first."""
        self._may_see(await self._context.newest(), actor, organization)
        found, now = await self._context.store.accounts.invitations(organization), self._context.now()
        return tuple(invitation for invitation in found if invitation.expires > now)

    async def withdraw(self, actor: Actor, organization: OrganizationId, invitation: str) -> None:
        """Its link opens nothing from then on."""
        async with self._context.change(actor) as change:
            self._may_see(change.snapshot, actor, organization)
            found = [one for one in await change.accounts.invitations(organization) if one.id == invitation]
            if not found:
                raise NotFound("there is no such invitation")
            self._check(change.snapshot, actor, organization, found[0].role)
            await change.accounts.remove_invitation(invitation)
            await self._record(change, actor, AccountEvent.INVITATION_WITHDRAWN, found[0])

    async def offer(self, secret: str) -> Offer:
        """What a link offers. Raises LinkVoid."""
        invitation = await self._context.store.accounts.invitation(hash_of(secret))
        if invitation is None:
            raise LinkVoid
        return self._offer(await self._context.newest(), invitation)

    async def join(self, secret: str, name: str, password: str) -> Person:
        """A new account with this membership. Raises LinkVoid, or Conflict where the address has an account."""
        await self.offer(secret)  # before the work of hashing
        hashed = await self._context.hash_password(check_password(password))
        async with self._context.change(BY_LINK) as change:
            offer = await self._taken(change, secret)
            person = await add_account(change, offer.invitation.email, name, hashed)
            await self._admit(change, acting(person.id), offer.invitation, person.id)
            return person

    async def accept(self, actor: Actor, secret: str) -> Membership:
        """The membership, for the account with the invited address and no other. Raises LinkVoid, ForeignLink."""
        async with self._context.change(actor) as change:
            offer = await self._taken(change, secret)
            account = change.snapshot.people.get(actor.person or "")
            if account is None or account.email != offer.invitation.email:
                raise ForeignLink
            if change.snapshot.memberships.get(account.id, offer.invitation.organization) is not None:
                raise Conflict("you are a member already")
            return await self._admit(change, actor, offer.invitation, account.id)

    def _count(self, actor: Actor, organization: OrganizationId, address: str) -> None:
        if actor.person is None:
            return
        keys = (Key(PER_ADDRESS, f"invited:{organization}:{address}"), Key(PER_INVITER, f"inviter:{actor.person}"))
        wait = self._context.throttle.take(keys, self._context.now())
        if wait > 0:
            raise TooManyInvitations(wait)

    async def _taken(self, change: ChangeTransaction, secret: str) -> Offer:
        invitation = await change.accounts.invitation(hash_of(secret))
        if invitation is None or not await change.accounts.remove_invitation(invitation.id):
            raise LinkVoid
        return self._offer(change.snapshot, invitation)

    async def _admit(
        self, change: ChangeTransaction, actor: Actor, invitation: Invitation, person: PersonId
    ) -> Membership:
        membership = Membership(person, invitation.organization, invitation.role, invitation.job)
        change.put(membership)
        await self._record(change, actor, AccountEvent.INVITATION_ACCEPTED, invitation, person)
        return membership

    def _offer(self, snapshot: Snapshot, invitation: Invitation) -> Offer:
        """An invitation is worth what its maker may do now, not what they could do then."""
        organization = snapshot.organizations.get(invitation.organization)
        if organization is None or invitation.expires <= self._context.now():
            raise LinkVoid
        inviter = acting(PersonId(invitation.inviter)) if invitation.inviter else CONSOLE
        try:
            self._check(snapshot, inviter, invitation.organization, invitation.role)
        except (Denied, NotFound):
            raise LinkVoid from None
        return Offer(invitation, organization.name)

    def _check(self, snapshot: Snapshot, actor: Actor, organization: OrganizationId, role: OrgRole) -> None:
        if may_name_first_administrator(snapshot, actor, organization, role):
            return
        self._context.organization(snapshot, actor, Action.MANAGE_MEMBERS, organization)
        if actor.person is not None:
            decision = policy.may_set_role(snapshot, actor.person, organization, PersonId(""), role)
            if isinstance(decision, policy.Denied):
                raise denied(Action.MANAGE_MEMBERS, decision.reason)

    def _may_see(self, snapshot: Snapshot, actor: Actor, organization: OrganizationId) -> None:
        if not may_name_first_administrator(snapshot, actor, organization, OrgRole.ADMINISTRATOR):
            self._context.organization(snapshot, actor, Action.MANAGE_MEMBERS, organization)

    async def _record(
        self, change: ChangeTransaction, actor: Actor, event: AccountEvent, invitation: Invitation, person: str = ""
    ) -> None:
        job = f", {invitation.job.name.lower()}" if invitation.job is not None else ""
        detail = f"{invitation.email} as {invitation.role}{job}"
        await record(self._context, change, actor, event, person, invitation.organization, detail)
