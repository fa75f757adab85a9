"""Signing in: the shell that joins passwords, TOTP, throttling and sessions."""

import math
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from plantgate_shared.errors import InvalidInput
from plantgate_shared.secret import Secret

from ..domain.model import Person, PersonId
from ..ports import Clock, Credentials
from . import browsers, throttle, totp
from .archive import SessionArchive
from .browsers import Proved
from .passwords import Passwords
from .sessions import Session

PENDING_SECONDS = 15 * 60.0
MAX_PENDING = 10_000
MAX_SHOWN = 300
"""Characters of what a browser says of itself that are kept."""

UseRecoveryCode = Callable[[PersonId, str], Awaitable[bool]]
"""Uses a recovery code up; whether it was one."""


class WrongPassword(InvalidInput):
    """E-mail or password is wrong: never which of the two."""


class WrongCode(InvalidInput):
    """The TOTP code is wrong, too old, or was used before."""


class TooManyTries(InvalidInput):
    http_status = 429

    def __init__(self, wait: float) -> None:
        self.seconds = math.ceil(wait)
        super().__init__("too many tries", hint=f"try again in {self.seconds} seconds")


@dataclass(frozen=True, slots=True)
class SignedIn:
    session: Session
    token: str = field(repr=False)
    """New value for the session cookie; empty leaves it."""
    browser: str = field(default="", repr=False)
    """New value for the known-browser cookie; empty leaves it."""


def new_token() -> str:
    """256 random bits for a cookie."""
    return secrets.token_urlsafe(32)


class SignIn:
    """Password, second factor, set-up of the second factor."""

    def __init__(
        self, credentials: Credentials, passwords: Passwords, sessions: SessionArchive, cookie_key: Secret, now: Clock
    ) -> None:
        self._credentials = credentials
        self._passwords = passwords
        self.sessions = sessions
        self._cookie_key = cookie_key
        self._now = now
        self._throttle = throttle.Throttle()
        self._pending: OrderedDict[str, tuple[str, float]] = OrderedDict()  # by the session's id

    async def with_password(
        self, email: str, password: str, address: str, browser: str, old_token: str, user_agent: str = ""
    ) -> SignedIn:
        """A new session for the right password. Raises WrongPassword, TooManyTries or Busy.

        `browser` is the known-browser cookie, `old_token` the session that the browser held before: it ends.
        `address` and `user_agent` are kept to be shown to the account's owner.
        """
        account = email.strip().lower()
        keys = throttle.password_keys(account, address, self._known(account, browser, Proved.PASSWORD))
        self._take(keys)
        record = await self._credentials.password_of(account)
        stored = record.password_hash if record else ""
        if not await self._passwords.check(password, stored) or record is None:
            raise WrongPassword("e-mail or password is wrong")
        self._throttle.give_back(keys)
        previous = await self.sessions.find(old_token, "")
        if previous is not None:
            await self.sessions.end(previous.id)
        token = new_token()
        opened = self.sessions.book.open(record.person, token, self._now(), _shown(address), _shown(user_agent))
        session = await self.sessions.added(opened)
        if await self._credentials.password_of(account) != record:
            # Set anew while the old one was being checked, which ended only the sessions that were there then.
            await self.sessions.end(session.id)
            raise WrongPassword("e-mail or password is wrong")
        if self._passwords.outdated(stored):
            fresh = await self._passwords.hash(password)
            await self._credentials.replace_password_hash(record.person, fresh, instead_of=stored)
        return SignedIn(session, token, self._remember(account, browser, Proved.PASSWORD))

    async def with_totp(self, session: Session, email: str, code: str, browser: str) -> SignedIn:
        """The session under a new token, second factor passed. Raises WrongCode or TooManyTries."""
        account = email.strip().lower()
        await self._use_code(session.person, account, code, browser)
        return await self._passed(session, self._remember(account, browser, Proved.TWO_FACTOR))

    async def with_recovery_code(
        self, session: Session, email: str, code: str, browser: str, use: UseRecoveryCode
    ) -> SignedIn:
        """The same by a recovery code, of which there are as few tries as of codes."""
        account = email.strip().lower()
        keys = throttle.totp_keys(session.person, self._known(account, browser, Proved.TWO_FACTOR))
        self._take(keys)
        if not await use(session.person, code):
            raise WrongCode("this recovery code is wrong or was used before")
        self._throttle.give_back(keys)
        return await self._passed(session, self._remember(account, browser, Proved.TWO_FACTOR))

    async def _use_code(self, person: PersonId, account: str, code: str, browser: str) -> None:
        keys = throttle.totp_keys(person, self._known(account, browser, Proved.TWO_FACTOR))
        self._take(keys)
        record = await self._credentials.active_totp(person)
        step = totp.matching_step(record.secret, code, self._now(), record.last_step) if record else None
        if step is None or not await self._credentials.use_totp_step(person, step):
            raise WrongCode("this code is wrong or was used before")
        self._throttle.give_back(keys)

    async def prove(
        self, session: Session, person: Person, password: str, code: str, address: str, browser: str
    ) -> Session:
        """Who is signed in proves anew who they are: by the password, and by a code where there is a second factor,
        unless both were given a moment ago.

        Raises WrongPassword, WrongCode, TooManyTries or Busy.
        """
        keys = throttle.password_keys(person.email, address, self._known(person.email, browser, Proved.PASSWORD))
        self._take(keys)
        record = await self._credentials.password_of(person.email)
        stored = record.password_hash if record else ""
        if not await self._passwords.check(password, stored) or record is None or record.person != session.person:
            raise WrongPassword("the password is wrong")
        self._throttle.give_back(keys)
        if self.is_proved(session):
            return session
        if person.totp_active:
            await self._use_code(person.id, person.email, code, browser)
        proved = await self.sessions.proved(session, self._now())
        if proved is None:
            raise _ended()
        return proved

    def is_proved(self, session: Session) -> bool:
        """Whether a sensitive act may go on without asking who it is."""
        return self.sessions.is_proved(session)

    async def reopened(self, session: Session, person: Person, browser: str) -> SignedIn:
        """The session under a new token, after a new password ended all of the person's sessions."""
        token = new_token()
        proved = replace(session, proved_at=self._now())
        rotated = self.sessions.book.rotate(proved, token, self._now(), session.two_factor_at)
        await self.sessions.added(rotated)
        return SignedIn(rotated, token, self._remember(person.email, browser, Proved.PASSWORD))

    def known_browser(self, person: Person, browser: str) -> str:
        """A new known-browser cookie for one that set a new password by a link; empty when it needs none."""
        return self._remember(person.email, browser, Proved.PASSWORD)

    def take_reset(self, email: str, address: str) -> bool:
        """Count one request for a link; whether to write the letter. Raises TooManyTries for the address alone."""
        of_address, of_account = throttle.reset_keys(email.strip().lower(), address)
        self._take(of_address)
        return self._throttle.take(of_account, self._now()) == 0.0

    def pending_secret(self, session: Session) -> str:
        """The secret that a person is about to set up; stays the same for a while, so that the page can be reloaded.

        Each session has one of its own: who has no more than the password must not see what the owner is setting up.
        """
        now = self._now()
        secret, expires = self._pending.get(session.id, ("", 0.0))
        if expires <= now:
            secret = totp.encode_secret(secrets.token_bytes(totp.SECRET_BYTES))
            self._pending[session.id] = (secret, now + PENDING_SECONDS)
            if len(self._pending) > MAX_PENDING:
                self._pending.popitem(last=False)
        return secret

    async def confirm_totp(self, session: Session, code: str, *, replacing: bool = False) -> SignedIn:
        """Activate the pending secret by its first code; counts as a passed second factor. `replacing`: instead of an
        active one; the caller has made sure that the session's proof is fresh."""
        keys = throttle.totp_keys(session.person, "")
        self._take(keys)
        secret, expires = self._pending.get(session.id, ("", 0.0))
        now = self._now()
        step = totp.matching_step(secret, code, now, -1) if secret and expires > now else None
        if step is None or not await self._activate(session, secret, step, replacing):
            raise WrongCode("this code is wrong; the clock of the phone, or of the hub, may be off")
        self._throttle.give_back(keys)
        self._pending.pop(session.id, None)
        await self.sessions.end_others(session.person, keep=session.id)  # from before there was a second factor
        return await self._passed(session)

    async def _activate(self, session: Session, secret: str, step: int, replacing: bool) -> bool:
        if replacing:
            return await self._credentials.replace_totp(session.person, secret, step)
        return await self._credentials.activate_totp(session.person, secret, step)

    def _known(self, account: str, browser: str, proved: Proved) -> str:
        return browsers.recognize(self._cookie_key, account, browser, proved, self._now())

    def _remember(self, account: str, browser: str, proved: Proved) -> str:
        """A new known-browser cookie, unless the browser holds one already that proves as much."""
        if self._known(account, browser, proved):
            return ""
        return browsers.mint(self._cookie_key, account, proved, secrets.token_hex(16), self._now())

    async def _passed(self, session: Session, browser: str = "") -> SignedIn:
        """The second factor was passed: the first time under a new token, later the open device pages stay open."""
        current = self.sessions.book.get(session.id)
        if current is None:  # signed out while the code was being checked
            raise _ended()
        now = self._now()
        if current.two_factor_at is not None:
            refreshed = await self.sessions.refreshed(current, now)
            if refreshed is None:
                raise _ended()
            return SignedIn(refreshed, "", browser)
        token = new_token()
        raised = await self.sessions.added(self.sessions.book.rotate(current, token, now, two_factor_at=now))
        if not await self.sessions.is_recorded(session.id):  # the store ended it, and could not know the new one
            await self.sessions.end(raised.id)
            raise _ended()
        await self.sessions.end(session.id)
        return SignedIn(raised, token, browser)

    def _take(self, keys: tuple[throttle.Key, ...]) -> None:
        wait = self._throttle.take(keys, self._now())
        if wait > 0:
            raise TooManyTries(wait)


def _shown(text: str) -> str:
    """What somebody sent of themselves, fit to be kept: short, and characters that every database takes."""
    return text.encode("ascii", "replace").decode()[:MAX_SHOWN]


def _ended() -> WrongCode:
    return WrongCode("the session has ended", hint="sign in again")
