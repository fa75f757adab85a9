"""What the application services share: who acts, how they are checked, and what text they accept."""

import re
import time
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from plantgate_shared.errors import Denied, InvalidInput, NotFound

from ..domain import policy
from ..domain.aliases import assign_aliases
from ..domain.model import Grant, Organization, OrganizationId, Person, PersonId, Plant, PlantId
from ..domain.newcomers import rank_newcomers
from ..domain.policy import Action, Denial
from ..domain.pools import Pools
from ..domain.snapshot import Snapshot
from ..identity.throttle import Throttle
from ..mail import Outbox
from ..store.protocol import ChangeTransaction, Store
from .passwords import hash_password

MAX_NAME = 100
MAX_REASON = 500
MAX_EMAIL = 254  # RFC 5321
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: a person, or the machine's own console (`person` None), which may do everything."""

    person: PersonId | None
    name: str
    """As the history shows it."""


CONSOLE = Actor(None, "console")
"""Root at the command line of a hub: whoever can read the keys and the database anyway."""
HUB = Actor(None, "hub")
"""The hub itself, for what agents report."""


def acting(person: PersonId) -> Actor:
    return Actor(person, f"person {person}")


class Witness(Protocol):
    """Stands beside the changes of one caller (see `Services.witnessed_by`)."""

    def before(self, snapshot: Snapshot) -> None:
        """The newest state, inside the change and before anything of it: raising an error here ends it."""

    def after(self, snapshot: Snapshot) -> None:
        """The change is stored; this is the state that it led to."""


@dataclass(frozen=True, slots=True)
class Context:
    """What every service works with."""

    store: Store
    pools: Pools
    now: Callable[[], float] = time.time
    hash_password: Callable[[str], Awaitable[str]] = hash_password
    reserved_keys: frozenset[str] = field(default=frozenset())
    """WireGuard public keys that are the hub's own."""
    witness: Witness | None = None
    outbox: Outbox = field(default_factory=Outbox)
    """Mail to people; by itself it sends none."""
    throttle: Throttle = field(default_factory=Throttle)
    """What people may do only so often is counted here, whoever's change stands beside it."""
    portal: str = "https://portal.localhost"
    """The portal's origin, for links."""

    async def newest(self) -> Snapshot:
        """The newest state, as a change would find it; much cheaper than to load the snapshot."""
        async with self.store.change("") as change:
            return change.snapshot

    @asynccontextmanager
    async def change(self, actor: Actor) -> AsyncIterator[ChangeTransaction]:
        """A transaction in the actor's name. What it brings people takes no range from what they have."""
        async with self.store.change(actor.name) as change:
            before = change.snapshot
            if self.witness is not None:
                self.witness.before(before)
            yield change
            starts = [row.value.starts for row in change.changes() if isinstance(row.value, Grant)]
            now = self.now()
            moments = sorted({now, *(start for start in starts if start is not None and start > now)})
            for preference in rank_newcomers(before, change.snapshot, change.changes(), moments):
                change.put(preference)
            assignment = assign_aliases(before, change.snapshot, change.changes(), moments, self.pools.aliases)
            for alias in assignment.gone:
                change.remove(alias)
            for alias in assignment.new:
                change.put(alias)
            changed = bool(change.changes())
            after = replace(change.snapshot, revision=before.revision + 1) if changed else before
        if self.witness is not None:
            self.witness.after(after)

    def plant(
        self, snapshot: Snapshot, actor: Actor, action: Action, plant: PlantId, asked_for: str = "plant"
    ) -> Plant:
        """The plant, if the actor may do `action` on it. Raises NotFound where they may not even see it, or Denied.

        `asked_for` is what the actor named, a thing of the plant: what is not theirs to see is answered like what does
        not exist.
        """
        place = snapshot.plants.get(plant)
        if place is None:
            raise NotFound(f"there is no such {asked_for}")
        if actor.person is not None:
            now = self.now()
            decision = policy.decide(snapshot, actor.person, action, plant, now)
            if isinstance(decision, policy.Denied):
                sees = policy.decide(snapshot, actor.person, Action.SEE_PLANT, plant, now)
                if isinstance(sees, policy.Denied):
                    raise NotFound(f"there is no such {asked_for}")
                raise denied(action, decision.reason)
        return place

    def organization(
        self, snapshot: Snapshot, actor: Actor, action: Action, organization: OrganizationId
    ) -> Organization:
        """The organization, if the actor may do `action` in it. Raises NotFound for strangers, or Denied."""
        place = snapshot.organizations.get(organization)
        if place is None:
            raise NotFound("there is no such organization")
        if actor.person is not None:
            decision = policy.decide_in_organization(snapshot, actor.person, action, organization)
            if isinstance(decision, policy.Denied):
                if snapshot.memberships.get(actor.person, organization) is None:
                    raise NotFound("there is no such organization")
                raise denied(action, decision.reason)
        return place

    def platform(self, snapshot: Snapshot, actor: Actor) -> None:
        """Raises Denied unless the actor is a cloud operator or the console."""
        if actor.person is None:
            return
        decision = policy.decide_on_platform(snapshot, actor.person, Action.RUN_PLATFORM)
        if isinstance(decision, policy.Denied):
            raise denied(Action.RUN_PLATFORM, decision.reason)

    def own_account(self, snapshot: Snapshot, actor: Actor, person: PersonId) -> Person:
        """The person, if the actor is that person or the console. Raises NotFound."""
        account = snapshot.people.get(person)
        own = actor.person is None or isinstance(
            policy.decide_on_account(snapshot, actor.person, Action.MANAGE_ACCOUNT, person), policy.Allowed
        )
        if account is None or not own:
            raise NotFound("there is no such person")
        return account


def account_of(snapshot: Snapshot, actor: Actor) -> tuple[str, str]:
    """Id and name of who acts, for a plant's record; the console has no id."""
    account = snapshot.people.get(actor.person or "")
    return (account.id, account.name) if account else ("", actor.name)


def denied(action: Action, reason: Denial) -> Denied:
    return Denied(f"you may not {action}: {reason}")


def clean_name(text: str, what: str = "name") -> str:
    """The text without surrounding space; one line of at most 100 characters. Raises InvalidInput."""
    name = " ".join(text.split())
    if not name:
        raise InvalidInput(f"the {what} is empty")
    if len(name) > MAX_NAME:
        raise InvalidInput(f"the {what} is longer than {MAX_NAME} characters")
    _refuse_invisible(name, what)
    return name


def clean_reason(text: str) -> str:
    reason = " ".join(text.split())
    if len(reason) > MAX_REASON:
        raise InvalidInput(f"the reason is longer than {MAX_REASON} characters")
    _refuse_invisible(reason, "reason")
    return reason


def clean_email(text: str) -> str:
    """An e-mail address in the one spelling that people are known by. Raises InvalidInput."""
    email = text.strip().lower()
    if len(email) > MAX_EMAIL or not _EMAIL.fullmatch(email):
        raise InvalidInput(f"{text.strip()[:80]!r} is not an e-mail address")
    _refuse_invisible(email, "e-mail address")
    return email


def check_period(starts: float | None, ends: float | None, now: float) -> None:
    """Raises InvalidInput for a time box that never opens."""
    if ends is not None and ends <= now:
        raise InvalidInput("the end lies in the past")
    if starts is not None and ends is not None and ends <= starts:
        raise InvalidInput("the end does not come after the start")


def _refuse_invisible(text: str, what: str) -> None:
    # Control and direction characters can make one name look like another.
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn") for character in text):
        raise InvalidInput(f"the {what} contains invisible characters")
