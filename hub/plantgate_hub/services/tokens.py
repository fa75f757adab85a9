"""API tokens: keys for programs, each for one person, some scopes and a limited time."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from plantgate_shared.errors import Conflict, InvalidInput, NotFound

from ..domain.accounts import DAY, MAX_TOKEN_SECONDS, AccountEvent, ApiToken
from ..domain.model import PersonId
from ..domain.scopes import TokenScope
from ..store.ids import new_id
from .context import Actor, Context, clean_name
from .history import record
from .secrets import hash_of, new_token_secret

MAX_PER_PERSON = 50


@dataclass(frozen=True, slots=True)
class NewToken:
    token: ApiToken
    secret: str = field(repr=False)
    """Shown once."""


class Tokens:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def create(
        self, actor: Actor, person: PersonId, name: str, scopes: Iterable[TokenScope], valid_for: float = 90 * DAY
    ) -> NewToken:
        """A token of one's own. It never may more than its owner; the scopes narrow that."""
        title, wanted, now = clean_name(name), frozenset(scopes), self._context.now()
        if not wanted:
            raise InvalidInput("the token has no scope", hint=f"scopes: {', '.join(TokenScope)}")
        if not 60 <= valid_for <= MAX_TOKEN_SECONDS:
            raise InvalidInput("a token holds between a minute and a year")
        secret = new_token_secret()
        made = ApiToken(new_id(), person, title, wanted, now, now + valid_for)
        async with self._context.change(actor) as change:
            self._context.own_account(change.snapshot, actor, person)
            held = [token for token in await change.accounts.tokens_of(person) if token.expires > now]
            if any(token.name == title for token in held):
                raise Conflict(f"there is a token {title!r} already", hint="revoke it, or choose another name")
            if len(held) >= MAX_PER_PERSON:
                raise Conflict(f"there are {MAX_PER_PERSON} tokens already", hint="revoke some first")
            await change.accounts.add_token(made, hash_of(secret))
            detail = f"{title}: {' '.join(sorted(wanted))}"
            await record(self._context, change, actor, AccountEvent.TOKEN_MADE, person, detail=detail)
        return NewToken(made, secret)

    async def of_person(self, actor: Actor, person: PersonId) -> tuple[ApiToken, ...]:
        """The tokens that still hold, oldest first."""
        self._context.own_account(await self._context.newest(), actor, person)
        now = self._context.now()
        return tuple(token for token in await self._context.store.accounts.tokens_of(person) if token.expires > now)

    async def revoke(self, actor: Actor, person: PersonId, token: str) -> None:
        """It is refused within a second."""
        async with self._context.change(actor) as change:
            self._context.own_account(change.snapshot, actor, person)
            held = [one.id for one in await change.accounts.tokens_of(person)]  # no database sees what somebody typed
            gone = await change.accounts.remove_token(person, token) if token in held else None
            if gone is None:
                raise NotFound("there is no such token")
            await record(self._context, change, actor, AccountEvent.TOKEN_REVOKED, person, detail=gone.name)
