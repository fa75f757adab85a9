"""Ways back into an account: a one-time link for a new password, and recovery codes in place of the second factor."""

from dataclasses import dataclass, field

from plantgate_shared.errors import InvalidInput, NotFound

from ..domain.accounts import RESET_SECONDS, AccountEvent
from ..domain.model import Person, PersonId
from ..mail import Letter
from . import letters
from .context import Actor, Context, acting, clean_email
from .history import record
from .passwords import check_password
from .secrets import LinkVoid, hash_of, new_link_secret, new_recovery_codes, plain_recovery_code


@dataclass(frozen=True, slots=True)
class ResetLink:
    link: str = field(repr=False)
    expires: float


class Recovery:
    def __init__(self, context: Context) -> None:
        self._context = context

    def request_reset(self, email: str) -> None:
        """Mail a link to the account with this address, if there is one. It takes no longer if there is: the letter is
        written after the answer was given."""

        async def written() -> Letter | None:
            try:
                address = clean_email(email)
            except InvalidInput:
                return None
            account = (await self._context.newest()).person_by_email(address)
            if account is None:
                return None
            made = await self._make(acting(account.id), account)
            return letters.password_reset(address, made.link, made.expires)

        self._context.outbox.post_written(written)

    async def reset_link(self, actor: Actor, person: PersonId) -> ResetLink:
        """A link to hand over, from the console only: whoever holds it can sign in as that person, unless they have a
        second factor, which it does not touch."""
        account = (await self._context.newest()).people.get(person)
        if account is None or actor.person is not None:
            raise NotFound("there is no such person")
        return await self._make(actor, account)

    async def _make(self, actor: Actor, account: Person) -> ResetLink:
        secret, expires = new_link_secret(), self._context.now() + RESET_SECONDS
        async with self._context.change(actor) as change:
            await change.accounts.add_reset(hash_of(secret), account.id, expires)
            await record(self._context, change, actor, AccountEvent.RESET_LINK_MADE, account.id)
        return ResetLink(f"{self._context.portal}/reset/password?code={secret}", expires)

    async def check_link(self, secret: str) -> None:
        """Raises LinkVoid unless the link can set a password now."""
        if await self._context.store.accounts.reset(hash_of(secret), self._context.now()) is None:
            raise LinkVoid

    async def reset_password(self, secret: str, password: str) -> Person:
        """A new password by a link: ends all sessions, API tokens and other links, since somebody else may have made
        them. The second factor stays as it is."""
        await self.check_link(secret)  # before the work of hashing
        hashed = await self._context.hash_password(check_password(password))
        async with self._context.store.change("reset link") as change:
            person = await change.accounts.take_reset(hash_of(secret), self._context.now())
            account = change.snapshot.people.get(person or "")
            if account is None:
                raise LinkVoid
            await change.set_password_hash(account.id, hashed)
            await change.end_sessions(account.id)
            for token in await change.accounts.tokens_of(account.id):
                await change.accounts.remove_token(account.id, token.id)
            await record(self._context, change, acting(account.id), AccountEvent.PASSWORD_RESET, account.id)
        self._context.outbox.post(letters.password_changed(account.email, self._context.now()))
        return account

    # Recovery codes

    async def make_codes(self, actor: Actor, person: PersonId) -> tuple[str, ...]:
        """Ten new codes, to be shown once; the old ones are worth nothing from then on."""
        codes = new_recovery_codes()
        async with self._context.change(actor) as change:
            account = self._context.own_account(change.snapshot, actor, person)
            if not account.totp_active:
                raise InvalidInput("there is no second factor to recover", hint="set one up first")
            await change.accounts.set_recovery_codes(person, [plain_recovery_code(code) for code in codes])
            await record(self._context, change, actor, AccountEvent.RECOVERY_CODES_MADE, person)
        return codes

    async def use_code(self, person: PersonId, code: str) -> bool:
        """Whether it was one of the person's codes; it is used up."""
        plain, actor = plain_recovery_code(code), acting(person)
        if not plain:
            return False
        async with self._context.change(actor) as change:
            account = change.snapshot.people.get(person)
            left = await change.accounts.use_recovery_code(person, plain)
            if account is None or left is None:
                return False
            detail = f"{left} left"
            await record(self._context, change, actor, AccountEvent.RECOVERY_CODE_USED, person, detail=detail)
        self._context.outbox.post(letters.recovery_code_used(account.email, left, self._context.now()))
        return True
