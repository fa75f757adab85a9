"""What the hub asks of its store about accounts: invitations, one-time links, recovery codes, API tokens, history.

Links and tokens are known by the SHA-256 of their 256 random bits; recovery codes are shorter and come in plain: the
store keeps them by a keyed hash, whose key is kept apart from the database.
"""

from collections.abc import Collection
from typing import Protocol

from ..domain.accounts import AccountRecord, ApiToken, Invitation
from ..domain.model import OrganizationId, PersonId


class AccountChanges(Protocol):
    """The part of a change transaction that is about accounts; all or nothing with the rest of it."""

    async def add_invitation(self, invitation: Invitation, hash: str) -> None: ...

    async def invitation(self, hash: str) -> Invitation | None:
        """By the hash of its link's secret; it may have expired."""

    async def invitations(self, organization: OrganizationId) -> tuple[Invitation, ...]:
        """All that were neither accepted nor withdrawn, oldest first; some may have expired."""

    async def remove_invitation(self, id: str) -> bool:
        """It opens nothing from then on; false when there was none. One of two who ask gets true."""

    async def add_reset(self, hash: str, person: PersonId, expires: float) -> None: ...

    async def take_reset(self, hash: str, now: float) -> PersonId | None:
        """Use the link up; None when there is none or it has expired. One of two who ask gets it."""

    async def set_recovery_codes(self, person: PersonId, codes: Collection[str]) -> None:
        """In place of any there were."""

    async def use_recovery_code(self, person: PersonId, code: str) -> int | None:
        """Use the code up: how many are left; None when there is none like it."""

    async def add_token(self, token: ApiToken, hash: str) -> None: ...

    async def remove_token(self, person: PersonId, id: str) -> ApiToken | None:
        """The token that is no more; None when the person has none of that id."""

    async def tokens_of(self, person: PersonId) -> tuple[ApiToken, ...]:
        """Oldest first; some may have expired."""

    async def record(self, record: AccountRecord) -> None: ...


class Accounts(Protocol):
    """What is read, and the writes that are no change."""

    async def invitation(self, hash: str) -> Invitation | None: ...

    async def invitations(self, organization: OrganizationId) -> tuple[Invitation, ...]: ...

    async def reset(self, hash: str, now: float) -> PersonId | None:
        """Whose password the link may set, without using it up."""

    async def recovery_codes_left(self, person: PersonId) -> int: ...

    async def token(self, hash: str) -> ApiToken | None: ...

    async def tokens_of(self, person: PersonId) -> tuple[ApiToken, ...]: ...

    async def token_used(self, id: str, at: float) -> None: ...

    async def history(self, limit: int, person: PersonId | None = None) -> tuple[AccountRecord, ...]:
        """The newest records, of one person or of all, newest last."""

    async def unseen(self, person: PersonId) -> tuple[AccountRecord, ...]:
        """What the person has to be told, oldest first."""

    async def mark_seen(self, person: PersonId) -> None: ...

    async def sweep(self, now: float) -> None:
        """Delete what has expired, and history that is older than it is kept."""
