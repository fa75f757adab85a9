"""A person's own account in the portal: password, second factor, recovery codes, sessions, API tokens, news of it."""

from typing import Any

from aiohttp import web

from plantgate_shared.errors import Conflict, InvalidInput, NotFound

from ..domain.accounts import DAY
from ..domain.scopes import TokenScope
from ..identity.passwords import Busy
from ..identity.sign_in import SignIn, TooManyTries, WrongCode, WrongPassword
from ..identity.totp import provisioning_uri
from ..ports import SessionRecord, StoreUnavailable
from ..services import NewToken, acting
from ..services.passwords import check_password
from ..services.people import ISSUER
from .desk import Desk
from .guards import Guards, Response, Visitor, known_browser, safe_next, see_other, with_session
from .pages import Pages, grouped, qr_svg

TOKEN_DAYS = (7, 30, 90, 365)
_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
NOTICES = frozenset({"password-changed", "second-factor-replaced", "session-ended"})
"""What the account's page may be asked to say; nothing else of an address is shown."""


def browser_name(user_agent: str) -> str:
    """What people call the browser and its system, as far as it says; empty when it says neither."""
    names = (next((name for mark, name in table if mark in user_agent), "") for table in (_BROWSERS, _SYSTEMS))
    return ", ".join(filter(None, names))


def checked_new_password(form: Any) -> tuple[str, str]:
    """(new password, key of what is wrong with it) of a form with its repetition."""
    password = str(form.get("password", ""))
    if password != str(form.get("repeat", "")):
        return "", "password.differ"
    try:
        return check_password(password), ""
    except InvalidInput:
        return "", "password.rule-broken"


class Account:
    """`/account` and below, and signing in by a recovery code."""

    def __init__(self, desk: Desk, pages: Pages, guards: Guards, sign_in: SignIn) -> None:
        self._desk = desk
        self._pages = pages
        self._guards = guards
        self._sign_in = sign_in
        self._services = desk.services

    def routes(self) -> list[web.RouteDef]:
        guards = self._guards
        plain, proved, form = guards.signed_in, guards.proved, guards.form
        return [
            web.get("/account", plain(self.overview)),
            web.get("/account/news", plain(self.news_page)),
            web.post("/account/news", form(plain(self.news_seen))),
            web.get("/account/confirm", plain(self.confirm_page)),
            web.post("/account/confirm", form(plain(self.confirm))),
            web.get("/account/password", plain(self.password_page)),
            web.post("/account/password", form(plain(self.change_password))),
            web.get("/account/two-factor", proved(self.two_factor_page)),
            web.post("/account/two-factor", form(proved(self.replace_two_factor, "/account/two-factor"))),
            web.get("/account/recovery-codes", proved(self.recovery_page)),
            web.post("/account/recovery-codes", form(proved(self.make_recovery_codes, "/account/recovery-codes"))),
            web.post("/account/sessions/end", form(plain(self.end_sessions))),
            web.get("/account/tokens", plain(self.tokens_page)),
            web.post("/account/tokens", form(proved(self.make_token, "/account/tokens"))),
            web.post("/account/tokens/revoke", form(plain(self.revoke_token))),
            web.get("/two-factor/recovery", plain(self.recover_page, second_factor=False)),
            web.post("/two-factor/recovery", form(plain(self.recover, second_factor=False))),
        ]

    async def overview(self, request: web.Request, visitor: Visitor) -> Response:
        notice = request.query.get("notice", "")
        records = await self._sign_in.sessions.of_person(visitor.person.id)
        return self._desk.page(
            request,
            visitor,
            "account/overview.html",
            notice=f"notice.{notice}" if notice in NOTICES else "",
            codes_left=await self._services.context.store.accounts.recovery_codes_left(visitor.person.id),
            sessions=[self._shown(record, visitor) for record in reversed(records)],
        )

    @staticmethod
    def _shown(record: SessionRecord, visitor: Visitor) -> dict[str, Any]:
        return {
            "id": record.id,
            "browser": browser_name(record.browser),
            "since": record.created,
            "seen": record.last_seen,
            "address": record.address,
            "here": record.id == visitor.session.id,
        }

    # News, as `Guards.land` leads to them after signing in

    async def news_page(self, request: web.Request, visitor: Visitor) -> Response:
        records = await self._services.context.store.accounts.unseen(visitor.person.id)
        following = safe_next(request.query.get("next", "/"))
        if not records:
            return see_other(following)
        return self._desk.page(request, visitor, "account/news.html", news=records, following=following)

    async def news_seen(self, request: web.Request, visitor: Visitor) -> Response:
        await self._services.context.store.accounts.mark_seen(visitor.person.id)
        return see_other(safe_next(str((await request.post()).get("next", "/"))))

    # Proving anew who one is

    async def confirm_page(self, request: web.Request, visitor: Visitor) -> Response:
        return self._confirm_form(request, visitor, safe_next(request.query.get("next", "/account")))

    async def confirm(self, request: web.Request, visitor: Visitor) -> Response:
        form = await request.post()
        following = safe_next(str(form.get("next", "/account")))
        error, seconds, status = await self._prove(request, visitor, str(form.get("password", "")))
        if error:
            return self._confirm_form(request, visitor, following, error, seconds, status)
        return see_other(following)

    async def _prove(self, request: web.Request, visitor: Visitor, password: str) -> tuple[str, int, int]:
        """(what is wrong, seconds to wait, status); nothing is wrong when the first is empty."""
        code = str((await request.post()).get("code", ""))
        try:
            await self._sign_in.prove(
                visitor.session, visitor.person, password, code, request.remote or "", known_browser(request)
            )
        except WrongPassword:
            return "confirm.wrong", 0, 403
        except WrongCode:
            return "two-factor.wrong", 0, 403
        except TooManyTries as error:
            return "throttled", error.seconds, 429
        except (Busy, StoreUnavailable):
            return "sign-in.busy", 0, 503
        return "", 0, 200

    def _confirm_form(
        self,
        request: web.Request,
        visitor: Visitor,
        following: str,
        error: str = "",
        seconds: int = 0,
        status: int = 200,
    ) -> Response:
        return self._desk.page(
            request,
            visitor,
            "account/confirm.html",
            status,
            asks_code=self._asks_code(visitor),
            following=following,
            error=error,
            seconds=seconds,
        )

    def _asks_code(self, visitor: Visitor) -> bool:
        return visitor.person.totp_active and not self._sign_in.is_proved(visitor.session)

    # Password

    async def password_page(self, request: web.Request, visitor: Visitor) -> Response:
        return self._password_form(request, visitor)

    async def change_password(self, request: web.Request, visitor: Visitor) -> Response:
        """All sessions end, this one goes on under a new token."""
        form = await request.post()
        password, wrong = checked_new_password(form)
        if wrong:
            return self._password_form(request, visitor, wrong, status=422)
        error, seconds, status = await self._prove(request, visitor, str(form.get("current", "")))
        if error:
            return self._password_form(request, visitor, error, seconds, status)
        person = visitor.person
        await self._services.people.set_password(acting(person.id), person.id, password)
        signed_in = await self._sign_in.reopened(visitor.session, person, known_browser(request))
        return with_session(see_other("/account?notice=password-changed"), signed_in)

    def _password_form(
        self, request: web.Request, visitor: Visitor, error: str = "", seconds: int = 0, status: int = 200
    ) -> Response:
        return self._desk.page(
            request,
            visitor,
            "account/password.html",
            status,
            asks_code=self._asks_code(visitor),
            error=error,
            seconds=seconds,
        )

    # Second factor and recovery codes

    async def two_factor_page(self, request: web.Request, visitor: Visitor) -> Response:
        if not visitor.person.totp_active:
            return see_other("/two-factor/set-up", "/account")
        return self._two_factor_form(request, visitor)

    async def replace_two_factor(self, request: web.Request, visitor: Visitor) -> Response:
        if not visitor.person.totp_active:
            return see_other("/two-factor/set-up", "/account")
        code = str((await request.post()).get("code", ""))
        try:
            signed_in = await self._sign_in.confirm_totp(visitor.session, code, replacing=True)
        except WrongCode:
            return self._two_factor_form(request, visitor, "set-up.wrong", status=403)
        except TooManyTries as error:
            return self._two_factor_form(request, visitor, "throttled", error.seconds, status=429)
        return with_session(see_other("/account?notice=second-factor-replaced"), signed_in)

    def _two_factor_form(
        self, request: web.Request, visitor: Visitor, error: str = "", seconds: int = 0, status: int = 200
    ) -> Response:
        secret = self._sign_in.pending_secret(visitor.session)
        return self._desk.page(
            request,
            visitor,
            "account/two-factor.html",
            status,
            error=error,
            seconds=seconds,
            secret=grouped(secret),
            qr=qr_svg(provisioning_uri(secret, visitor.person.email, ISSUER)),
        )

    async def recovery_page(self, request: web.Request, visitor: Visitor) -> Response:
        if not visitor.person.totp_active:
            return see_other("/two-factor/set-up", "/account")
        return await self._codes_page(request, visitor, ())

    async def make_recovery_codes(self, request: web.Request, visitor: Visitor) -> Response:
        try:
            codes = await self._services.recovery.make_codes(acting(visitor.person.id), visitor.person.id)
        except InvalidInput:  # the second factor was reset meanwhile
            return see_other("/account")
        return await self._codes_page(request, visitor, codes)

    async def _codes_page(self, request: web.Request, visitor: Visitor, codes: tuple[str, ...]) -> Response:
        left = await self._services.context.store.accounts.recovery_codes_left(visitor.person.id)
        return self._desk.page(request, visitor, "account/recovery-codes.html", codes=codes, codes_left=left)

    async def recover_page(self, request: web.Request, visitor: Visitor) -> Response:
        following = safe_next(request.query.get("next", "/"))
        return self._recover_form(request, following) if visitor.second_factor_due else see_other(following)

    async def recover(self, request: web.Request, visitor: Visitor) -> Response:
        """Sign in by a recovery code in place of the second factor."""
        form = await request.post()
        following = safe_next(str(form.get("next", "/")))
        if not visitor.second_factor_due:
            return see_other(following)
        try:
            signed_in = await self._sign_in.with_recovery_code(
                visitor.session,
                visitor.person.email,
                str(form.get("code", "")),
                known_browser(request),
                self._services.recovery.use_code,
            )
        except WrongCode:
            return self._recover_form(request, following, "recover.wrong", status=403)
        except TooManyTries as error:
            return self._recover_form(request, following, "throttled", error.seconds, status=429)
        except StoreUnavailable:
            return self._recover_form(request, following, "sign-in.busy", status=503)
        return with_session(await self._guards.land(visitor.person, following), signed_in)

    def _recover_form(
        self, request: web.Request, following: str, error: str = "", seconds: int = 0, status: int = 200
    ) -> Response:
        return self._pages.page(
            request, "account/recover.html", status, following=following, error=error, seconds=seconds
        )

    # Sessions

    async def end_sessions(self, request: web.Request, visitor: Visitor) -> Response:
        """One of one's own, or all but this one."""
        wanted = str((await request.post()).get("session", ""))
        sessions = self._sign_in.sessions
        if wanted == "others":
            await sessions.end_others(visitor.person.id, keep=visitor.session.id)
        elif wanted in {record.id for record in await sessions.of_person(visitor.person.id)}:
            await sessions.end(wanted)
        return see_other("/account?notice=session-ended")

    # API tokens

    async def tokens_page(self, request: web.Request, visitor: Visitor) -> Response:
        return await self._tokens_form(request, visitor)

    async def make_token(self, request: web.Request, visitor: Visitor) -> Response:
        form = await request.post()
        name, days = str(form.get("name", "")), str(form.get("days", ""))
        scopes = [scope for scope in TokenScope if scope.value in form.getall("scope", [])]
        if not scopes or days not in map(str, TOKEN_DAYS):
            return await self._tokens_form(request, visitor, name=name, error="tokens.no-scope", status=422)
        person = visitor.person.id
        try:
            made = await self._services.tokens.create(acting(person), person, name, scopes, int(days) * DAY)
        except Conflict:
            return await self._tokens_form(request, visitor, name=name, error="tokens.conflict", status=409)
        except InvalidInput:
            return await self._tokens_form(request, visitor, name=name, error="name.bad", status=422)
        return await self._tokens_form(request, visitor, made=made)

    async def revoke_token(self, request: web.Request, visitor: Visitor) -> Response:
        token, person = str((await request.post()).get("token", "")), visitor.person.id
        try:
            await self._services.tokens.revoke(acting(person), person, token)
        except NotFound:  # revoked already, or never one's own: the list says what there is
            return see_other("/account/tokens")
        return see_other("/account/tokens")

    async def _tokens_form(
        self,
        request: web.Request,
        visitor: Visitor,
        *,
        made: NewToken | None = None,
        name: str = "",
        error: str = "",
        status: int = 200,
    ) -> Response:
        person = visitor.person
        tokens = [
            {
                "id": token.id,
                "name": token.name,
                "scopes": ", ".join(sorted(token.scopes)),
                "expires": token.expires,
                "last_used": token.last_used,
            }
            for token in await self._services.tokens.of_person(acting(person.id), person.id)
        ]
        return self._desk.page(
            request,
            visitor,
            "account/tokens.html",
            status,
            tokens=tokens,
            made=made,
            name=name[:100],
            scopes=list(TokenScope),
            days=[(days, days) for days in TOKEN_DAYS],
            error=error,
            seconds=0,
        )
