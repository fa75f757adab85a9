"""What people reach by one-time links: an invitation, and a new password. Opening a link uses nothing up: mail programs
and virus scanners open them too."""

from urllib.parse import quote

from aiohttp import web

from plantgate_shared.errors import Conflict, InvalidInput

from ..domain.model import Person
from ..identity.sign_in import SignIn, TooManyTries
from ..services import Services, acting
from ..services.invitations import ForeignLink, Offer
from ..services.secrets import LinkVoid
from .account import checked_new_password
from .guards import Guards, Visitor, known_browser, see_other, with_known_browser
from .pages import Pages


class Links:
    """`/invitation` and `/reset`."""

    def __init__(self, pages: Pages, guards: Guards, sign_in: SignIn, services: Services) -> None:
        self._pages = pages
        self._guards = guards
        self._sign_in = sign_in
        self._services = services

    def routes(self) -> list[web.RouteDef]:
        form, signed_in = self._guards.form, self._guards.signed_in
        return [
            web.get("/invitation", self.invitation),
            web.post("/invitation", form(self.join)),
            web.post("/invitation/accept", form(signed_in(self.accept))),
            web.get("/reset", self.reset_page),
            web.post("/reset", form(self.request_reset)),
            web.get("/reset/password", self.reset_password_page),
            web.post("/reset/password", form(self.reset_password)),
        ]

    def _message(
        self,
        request: web.Request,
        message: str,
        status: int = 200,
        link: str = "/sign-in",
        action: str = "action.sign-in",
    ) -> web.Response:
        return self._pages.page(request, "account/message.html", status, message=message, link=link, action=action)

    # Invitations

    async def invitation(self, request: web.Request) -> web.Response:
        """The same page whether the address has an account or not: its owner knows."""
        return await self._invitation_page(request, request.query.get("code", ""))

    async def _invitation_page(
        self, request: web.Request, code: str, *, name: str = "", error: str = "", status: int = 200
    ) -> web.Response:
        try:
            offer = await self._services.invitations.offer(code)
        except LinkVoid:
            return self._message(request, "link-void", 404)
        visitor = await self._guards.visitor(request)
        person = visitor.person if visitor and not visitor.second_factor_due else None
        return self._invitation_form(request, code, offer, person, name, error, status)

    def _invitation_form(
        self, request: web.Request, code: str, offer: Offer, person: Person | None, name: str, error: str, status: int
    ) -> web.Response:
        return self._pages.page(
            request,
            "account/invitation.html",
            status,
            offer=offer,
            person=person,
            code=code,
            here=f"/invitation?code={quote(code, safe='')}",
            name=name[:100],
            error=error,
            seconds=0,
        )

    async def join(self, request: web.Request) -> web.Response:
        """Make an account and become a member."""
        form = await request.post()
        code, name = str(form.get("code", "")), str(form.get("name", ""))
        password, wrong = checked_new_password(form)
        if wrong:
            return await self._invitation_page(request, code, name=name, error=wrong, status=422)
        try:
            person = await self._services.invitations.join(code, name, password)
        except LinkVoid:
            return self._message(request, "link-void", 404)
        except Conflict:
            return await self._invitation_page(request, code, name=name, error="invitation.exists", status=409)
        except InvalidInput:
            return await self._invitation_page(request, code, name=name, error="name.bad", status=422)
        response = self._message(request, "joined")
        return with_known_browser(response, self._sign_in.known_browser(person, known_browser(request)))

    async def accept(self, request: web.Request, visitor: Visitor) -> web.Response:
        code = str((await request.post()).get("code", ""))
        try:
            await self._services.invitations.accept(acting(visitor.person.id), code)
        except LinkVoid:
            return self._message(request, "link-void", 404, "/", "action.home")
        except ForeignLink:
            return await self._invitation_page(request, code, status=403)
        except Conflict:  # a member already
            return see_other("/")
        return see_other("/")

    # New password

    async def reset_page(self, request: web.Request) -> web.Response:
        if not self._services.context.outbox.sends:
            return self._message(request, "reset-without-mail")
        return self._pages.page(request, "account/reset.html", error="", seconds=0)

    async def request_reset(self, request: web.Request) -> web.Response:
        """The same answer, as soon, whether the address has an account or not."""
        if not self._services.context.outbox.sends:
            return self._message(request, "reset-without-mail")
        email = str((await request.post()).get("email", ""))
        try:
            if self._sign_in.take_reset(email, request.remote or ""):
                self._services.recovery.request_reset(email)
        except TooManyTries as error:
            seconds = error.seconds
            return self._pages.page(request, "account/reset.html", 429, error="throttled", seconds=seconds)
        return self._message(request, "reset-sent")

    async def reset_password_page(self, request: web.Request) -> web.Response:
        return await self._reset_form(request, request.query.get("code", ""))

    async def _reset_form(self, request: web.Request, code: str, error: str = "", status: int = 200) -> web.Response:
        try:
            await self._services.recovery.check_link(code)
        except LinkVoid:
            return self._message(request, "link-void", 404, "/reset", "action.reset")
        return self._pages.page(request, "account/reset-password.html", status, code=code, error=error, seconds=0)

    async def reset_password(self, request: web.Request) -> web.Response:
        form = await request.post()
        code = str(form.get("code", ""))
        password, wrong = checked_new_password(form)
        if wrong:
            return await self._reset_form(request, code, wrong, 422)
        try:
            person = await self._services.recovery.reset_password(code, password)
        except LinkVoid:
            return self._message(request, "link-void", 404, "/reset", "action.reset")
        response = self._message(request, "password-set")
        return with_known_browser(response, self._sign_in.known_browser(person, known_browser(request)))
