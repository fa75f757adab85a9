"""Accounts: the first cloud operator, people, their passwords and second factors."""

from dataclasses import dataclass, replace

import pyotp

from plantgate_shared.errors import Conflict, Denied, NotFound

from ..domain.accounts import AccountEvent, AccountRecord, shared_organizations, stands_above
from ..domain.model import Membership, OrganizationId, OrgRole, Person, PersonId
from ..domain.policy import Action
from ..domain.snapshot import Snapshot
from ..store.ids import new_id
from ..store.protocol import ChangeTransaction
from . import letters
from .context import Actor, Context, clean_email, clean_name
from .history import record
from .passwords import check_password
from .removal import remove_person

ISSUER = "Plantgate"
MAX_HISTORY = 1000
"""Records of one account that are shown."""


@dataclass(frozen=True, slots=True)
class TotpEnrolment:
    """What an authenticator app needs; shown once."""

    secret: str
    url: str
    """otpauth://, for a QR code."""

    def __repr__(self) -> str:
        return "TotpEnrolment(***)"


class People:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def bootstrap(self, actor: Actor, email: str, name: str, password: str) -> Person:
        """The first cloud operator; only the console can make one, and only while there is none."""
        hashed = await self._hashed(password)
        async with self._context.change(actor) as change:
            if actor.person is not None:
                raise NotFound("only the console can bootstrap")
            if change.snapshot.people.by("cloud_operator", True):
                raise Conflict("there is a cloud operator already", hint="sign in as that person")
            return await add_account(change, email, name, hashed, cloud_operator=True)

    async def create(
        self,
        actor: Actor,
        email: str,
        name: str,
        *,
        password: str | None = None,
        organization: OrganizationId | None = None,
        role: OrgRole = OrgRole.MEMBER,
        cloud_operator: bool = False,
    ) -> Person:
        """A new account, by a cloud operator or the console. Only the console makes it a member of an organization at
        once; Administrators and Moderators invite (`Invitations`)."""
        hashed = await self._hashed(password) if password is not None else None
        async with self._context.change(actor) as change:
            self._context.platform(change.snapshot, actor)
            person = await add_account(change, email, name, hashed, cloud_operator=cloud_operator)
            if organization is not None:
                if actor.person is not None:
                    raise Denied("you may not make anybody a member unasked", hint="invite their e-mail address")
                self._context.organization(change.snapshot, actor, Action.MANAGE_MEMBERS, organization)
                change.put(Membership(person.id, organization, role))
            return person

    async def rename(self, actor: Actor, person: PersonId, name: str) -> Person:
        async with self._context.change(actor) as change:
            account = self._context.own_account(change.snapshot, actor, person)
            renamed = replace(account, name=clean_name(name))
            change.put(renamed)
            return renamed

    async def set_password(self, actor: Actor, person: PersonId, password: str) -> None:
        """One's own, or any from the console: whoever sets another's password could sign in as them. Ends all of the
        person's sessions."""
        hashed = await self._hashed(password)
        async with self._context.change(actor) as change:
            account = self._context.own_account(change.snapshot, actor, person)
            await change.set_password_hash(person, hashed)
            await change.end_sessions(person)
            await record(self._context, change, actor, AccountEvent.PASSWORD_CHANGED, person)
        self._context.outbox.post(letters.password_changed(account.email, self._context.now()))

    async def enrol_totp(self, actor: Actor, person: PersonId) -> TotpEnrolment:
        """A new second factor in place of any old one, active at once. From the console only: in the portal people
        prove the new code before it counts."""
        async with self._context.change(actor) as change:
            account = self._context.own_account(change.snapshot, actor, person)
            if actor.person is not None:
                raise NotFound("there is no such person")
            secret = pyotp.random_base32()
            await change.set_totp(person, secret)
            await change.end_sessions(person)
            change.put(replace(account, totp_active=True))
            await record(self._context, change, actor, AccountEvent.SECOND_FACTOR_SET_UP, person)
            url = pyotp.TOTP(secret).provisioning_uri(name=account.email, issuer_name=ISSUER)
            return TotpEnrolment(secret, url)

    async def remove_totp(self, actor: Actor, person: PersonId) -> None:
        """Reset the second factor of somebody who lost it: device pages are refused until there is a new one, sessions
        and recovery codes end, and the person is told. By the console, or by who stands above them in every
        organization (`domain.accounts.stands_above`); never one's own: a stolen session must not remove it."""
        async with self._context.change(actor) as change:
            snapshot = change.snapshot
            account, acting = snapshot.people.get(person), snapshot.people.get(actor.person or "")
            if account is None or not _may_know(snapshot, actor, person):
                raise NotFound("there is no such person")
            if actor.person is not None and not stands_above(snapshot, actor.person, person):
                raise Denied(
                    "you may not reset this second factor: it takes a higher role in each of their organizations",
                    hint="ask a cloud operator",
                )
            await change.set_totp(person, "")
            await change.accounts.set_recovery_codes(person, ())
            await change.end_sessions(person)
            change.put(replace(account, totp_active=False))
            by = acting.name if acting else "Plantgate"
            await record(self._context, change, actor, AccountEvent.SECOND_FACTOR_RESET, person, detail=by)
        self._context.outbox.post(letters.second_factor_reset(account.email, by, self._context.now()))

    async def history(self, actor: Actor, person: PersonId) -> tuple[AccountRecord, ...]:
        """The newest that happened to the account, newest last; one's own."""
        self._context.own_account(await self._context.newest(), actor, person)
        return await self._context.store.accounts.history(MAX_HISTORY, person)

    async def delete(self, actor: Actor, person: PersonId) -> None:
        """The account with all its access, profiles and sessions. By the person, a cloud operator, the console, or
        the Administrators of the only organization that the person is in, unless it is a cloud operator's."""
        async with self._context.change(actor) as change:
            snapshot = change.snapshot
            account = snapshot.people.get(person)
            if account is None or not _may_delete(snapshot, actor, account):
                raise NotFound("there is no such person")
            operators = snapshot.people.by("cloud_operator", True)
            if account.cloud_operator and len(operators) == 1:
                raise Conflict("this is the only cloud operator", hint="make another person cloud operator first")
            await record(self._context, change, actor, AccountEvent.DELETED, person, detail=account.email)
            await remove_person(change, account)

    async def set_cloud_operator(self, actor: Actor, person: PersonId, on: bool) -> Person:
        async with self._context.change(actor) as change:
            snapshot = change.snapshot
            self._context.platform(snapshot, actor)
            account = snapshot.people.get(person)
            if account is None:
                raise NotFound("there is no such person")
            operators = snapshot.people.by("cloud_operator", True)
            if account.cloud_operator and not on and len(operators) == 1:
                raise Conflict("this is the only cloud operator", hint="make another person cloud operator first")
            changed = replace(account, cloud_operator=on)
            change.put(changed)
            return changed

    async def _hashed(self, password: str) -> str:
        return await self._context.hash_password(check_password(password))


async def add_account(
    change: ChangeTransaction, email: str, name: str, hashed: str | None, *, cloud_operator: bool = False
) -> Person:
    """A new person in the change. Raises Conflict when the address has an account."""
    address = clean_email(email)
    if change.snapshot.person_by_email(address) is not None:
        raise Conflict("there is an account with this e-mail address already", hint="sign in to it")
    person = Person(PersonId(new_id()), address, clean_name(name), cloud_operator=cloud_operator)
    change.put(person)
    if hashed is not None:
        await change.set_password_hash(person.id, hashed)
    return person


def _may_know(snapshot: Snapshot, actor: Actor, person: PersonId) -> bool:
    acting = snapshot.people.get(actor.person or "")
    if actor.person is None or (acting is not None and acting.cloud_operator):
        return True
    return actor.person == person or bool(shared_organizations(snapshot, actor.person, person))


def _may_delete(snapshot: Snapshot, actor: Actor, account: Person) -> bool:
    if actor.person in (None, account.id):
        return True
    acting = snapshot.people.get(actor.person or "")
    if acting is not None and acting.cloud_operator:
        return True
    if account.cloud_operator:
        return False
    memberships = snapshot.memberships_of(account.id)
    own = (snapshot.memberships.get(actor.person or "", m.organization) for m in memberships)
    return len(memberships) == 1 and all(m is not None and m.role is OrgRole.ADMINISTRATOR for m in own)


def find_person(snapshot: Snapshot, text: str) -> Person:
    """By e-mail address or id. Raises NotFound."""
    person = snapshot.person_by_email(text.strip().lower()) or snapshot.people.get(text)
    if person is None:
        raise NotFound(f"there is no person {text!r}")
    return person
