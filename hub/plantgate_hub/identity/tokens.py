"""Who an API token stands for. Tokens are for the API alone: portal and device pages know cookies only."""

import re
from collections import OrderedDict

from ..domain.accounts import TOKEN_PREFIX, ApiToken
from ..domain.model import PersonId
from ..domain.scopes import TokenScope
from ..ports import Clock
from ..services.secrets import hash_of
from ..store.accounts import Accounts

REMEMBERED_SECONDS = 0.5
"""How long an answer of the store is believed: revoked, expired or deleted, a token is refused within a second."""
MAX_REMEMBERED = 1000
LAST_USE_SECONDS = 3600.0
"""The last use is noted to the hour, with at most one write an hour."""

_TOKEN = re.compile(re.escape(TOKEN_PREFIX) + r"[A-Za-z0-9_-]{43}")


class ApiTokens:
    """Answers from memory for half a second, from one indexed look-up otherwise."""

    def __init__(self, accounts: Accounts, now: Clock) -> None:
        self._accounts = accounts
        self._now = now
        self._remembered: OrderedDict[str, tuple[ApiToken, float]] = OrderedDict()

    async def authenticate(self, token: str) -> tuple[PersonId, frozenset[TokenScope]] | None:
        """The token's person and scopes; None for one that is unknown, revoked or expired. Raises StoreUnavailable.

        It says nothing of what the person may do: a token never may more than its owner, at each request anew.
        """
        if not _TOKEN.fullmatch(token):
            return None
        hash, now = hash_of(token), self._now()
        found = await self._find(hash, now)
        if found is None or found.expires <= now:
            return None
        hour = now // LAST_USE_SECONDS * LAST_USE_SECONDS
        if found.last_used is None or found.last_used < hour:
            await self._accounts.token_used(found.id, hour)
            self._remembered.pop(hash, None)
        return found.person, found.scopes

    async def _find(self, hash: str, now: float) -> ApiToken | None:
        held, at = self._remembered.get(hash, (None, 0.0))
        if held is not None and 0 <= now - at < REMEMBERED_SECONDS:
            return held
        found = await self._accounts.token(hash)
        if found is None:
            self._remembered.pop(hash, None)
            return None
        self._remembered[hash] = (found, now)  # as of before the store was asked
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return found
