"""A person's browser as far as the portal needs one: cookies, forms, redirects; every name resolved to the hub."""

import contextlib
import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import aiohttp

from .clients import Client, Response
from .hosts import Host
from .product import NAMES, PORTAL
from .world import LabPerson

FORM_FIELD = re.compile(r'<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"')


class Browser:
    """`async with Browser.open(host) as browser: await browser.sign_in(person)`"""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, host: Host) -> AsyncIterator["Browser"]:
        async with Client(host).http_session(NAMES, headers={"Accept-Language": "en"}) as session:
            yield cls(session)

    async def get(self, url: str, **options: Any) -> Response:
        """As a person who types the address or follows a link: redirects are followed, sign-in pages included."""
        headers = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}
        async with self.session.get(url, headers={**headers, **options.pop("headers", {})}, **options) as answer:
            return Response(answer.status, answer.headers, await answer.read())

    async def submit(self, url: str, page: Response, **fields: str) -> Response:
        """Send a page's form, its hidden fields included."""
        hidden = {name: unescape(value) for name, value in FORM_FIELD.findall(page.text)}
        origin = "/".join(url.split("/")[:3])
        headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
        async with self.session.post(url, data={**hidden, **fields}, headers=headers) as answer:
            return Response(answer.status, answer.headers, await answer.read())

    async def sign_in(self, person: LabPerson, code: str | None = None) -> Response:
        """Password, then the TOTP code of now; the page after it."""
        portal = f"https://{PORTAL}"
        page = await self.get(f"{portal}/sign-in")
        page = await self.submit(f"{portal}/sign-in", page, email=person.email, password=person.password)
        if not person.totp_secret:
            return page
        return await self.submit(f"{portal}/two-factor", page, code=code or person.code())
