"""Accounts beside permissions, pure: invitations, API tokens, what happened to an account, and who stands above whom.

None of this is part of the snapshot: no packet and no device page is decided by it.
"""

from dataclasses import dataclass
from enum import StrEnum

from .model import Job, Organization, OrganizationId, OrgRole, PersonId
from .scopes import TokenScope
from .snapshot import Snapshot

DAY = 86400.0
INVITATION_SECONDS = 7 * DAY
"""How long an invitation holds, unless its maker says otherwise."""
MAX_INVITATION_SECONDS = 30 * DAY
RESET_SECONDS = 30 * 60.0
"""How long a link for a new password holds."""
TOKEN_PREFIX = "pgt_"  # noqa: S105
"""What API tokens begin with, so that scanners for leaked secrets find them."""
MAX_TOKEN_SECONDS = 366 * DAY
"""An API token ends after a year at the latest, leap years included."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """An offer to an e-mail address to become a member. The secret of its link is kept elsewhere, hashed."""

    id: str
    organization: OrganizationId
    email: str
    role: OrgRole
    job: Job | None
    inviter: str
    """The id of the person who made it; empty for the console."""
    created: float
    expires: float


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A key with which a program acts for a person, within its scopes. Its secret is kept hashed and shown once."""

    id: str
    person: PersonId
    name: str
    scopes: frozenset[TokenScope]
    created: float
    expires: float
    last_used: float | None = None
    """To the hour."""


class AccountEvent(StrEnum):
    """What can happen to an account or an invitation, as the history names it."""

    INVITED = "invited"
    INVITATION_WITHDRAWN = "invitation withdrawn"
    INVITATION_ACCEPTED = "invitation accepted"
    RESET_LINK_MADE = "reset link made"
    PASSWORD_RESET = "password reset by link"  # noqa: S105  a name, no secret
    PASSWORD_CHANGED = "password changed"  # noqa: S105
    SECOND_FACTOR_SET_UP = "second factor set up"
    SECOND_FACTOR_RESET = "second factor reset by another person"
    RECOVERY_CODES_MADE = "recovery codes made"
    RECOVERY_CODE_USED = "recovery code used"
    TOKEN_MADE = "API token made"  # noqa: S105
    TOKEN_REVOKED = "API token revoked"  # noqa: S105
    DELETED = "account deleted"


TOLD_AT_SIGN_IN = frozenset(
    {
        AccountEvent.PASSWORD_RESET,
        AccountEvent.SECOND_FACTOR_RESET,
        AccountEvent.RECOVERY_CODE_USED,
    }
)
"""What its person has to see at the next sign-in, since somebody else may have done it."""


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """One line of the accounts' history. It outlives the account it is about."""

    id: str
    at: float
    actor: str
    """Who did it, as the history of changes names them."""
    event: AccountEvent
    person: str = ""
    """Whose account; empty where there is none yet."""
    organization: str = ""
    detail: str = ""
    seen: bool = False
    """Whether the person was told and said so."""


_RANKS = {OrgRole.ADMINISTRATOR: 3, OrgRole.MODERATOR: 2, OrgRole.MEMBER: 1, OrgRole.GUEST: 1}


def stands_above(snapshot: Snapshot, actor: PersonId, person: PersonId) -> bool:
    """Whether `actor` is of strictly higher role than `person`, so that nobody uses an organization of their own to
    take over an account that is high in another:

    - in *every* organization of that person the actor has a higher role (Administrator > Moderator > Member, Guest);
    - a cloud operator stands above everyone but cloud operators, also above people without any organization;
    - nobody stands above a cloud operator, nor above themselves.
    """
    acting, account = snapshot.people.get(actor), snapshot.people.get(person)
    if acting is None or account is None or actor == person or account.cloud_operator:
        return False
    if acting.cloud_operator:
        return True
    memberships = snapshot.memberships_of(person)
    return bool(memberships) and all(
        (own := snapshot.memberships.get(actor, theirs.organization)) is not None
        and _RANKS[own.role] > _RANKS[theirs.role]
        for theirs in memberships
    )


def shared_organizations(snapshot: Snapshot, actor: PersonId, person: PersonId) -> tuple[Organization, ...]:
    """The organizations that both belong to: where the actor may know of the person at all."""
    found = (
        snapshot.organizations.get(theirs.organization)
        for theirs in snapshot.memberships_of(person)
        if snapshot.memberships.get(actor, theirs.organization) is not None
    )
    return tuple(organization for organization in found if organization is not None)
