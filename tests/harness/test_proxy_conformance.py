"""The Browser Proxy against its conformance table: one entry a row, named by its number there."""

import asyncio
import contextlib
import gzip
import ssl
import time
import warnings
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from plantgate_hub import cookies
from plantgate_hub.domain.model import Job, Scheme
from tests.eventually import eventually
from tests.harness.device_certificates import device_context
from tests.harness.web_site import PORTAL, Browser, RawDevice, Received, Site, device_url

Case = Callable[[Site, Browser], Awaitable[None]]
CASES: dict[str, Case] = {}
XHR = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Accept": "*/*"}
WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, 1.3: for the key above


def row(number: str, what: str) -> Callable[[Case], Case]:
    def add(case: Case) -> Case:
        CASES[f"{number}: {what}"] = case
        return case

    return add


async def sign_in(browser: Browser, host: str = "inverter", path: str = "/") -> None:
    page = await browser.sign_in("olga@example.org", start=device_url(host, path))
    assert page.status == 200, page.text


def attempt_of(browser: Browser, host: str = "inverter") -> dict[str, str]:
    jar = browser.cookies.get(urlsplit(device_url(host)).netloc, {})
    return {name: value for name, value in jar.items() if name.startswith(cookies.ATTEMPT_PREFIX)}


async def callback_url(browser: Browser, host: str = "inverter") -> str:
    """The address with a fresh code to which the portal sends a signed-in browser."""
    start = await browser.request("GET", device_url(host), {"Accept": "text/html"})
    portal = await browser.request("GET", start.headers["Location"], {"Accept": "text/html"})
    assert portal.status == 303, portal.text
    return portal.headers["Location"]


def answer(head: str, body: bytes = b"") -> bytes:
    return head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body


@row("1", "a navigation without session goes to the portal, with a state cookie of its own")
async def _(site: Site, browser: Browser) -> None:
    for _ in range(2):
        page = await browser.request("GET", device_url("inverter", "/deep?x=1"), {"Accept": "text/html"})
        assert page.status == 302
        assert page.headers["Location"].startswith(PORTAL + "/open?host=inverter&")
        assert parse_qs(urlsplit(page.headers["Location"]).query)["path"] == ["/deep?x=1"]
        assert "HttpOnly" in page.cookies_set()[0]
        assert "SameSite=Lax" in page.cookies_set()[0]
    assert len(attempt_of(browser)) == 2
    assert not site.devices["inverter"].requests


@row("2", "XHR, websocket and SSE without session get 401 and no redirect")
async def _(site: Site, browser: Browser) -> None:
    origin = device_url("inverter", "")
    for headers in (
        XHR,
        {"X-Requested-With": "XMLHttpRequest", "Accept": "text/html"},
        {"Accept": "text/event-stream"},
        {**WEBSOCKET, "Origin": origin},
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ):
        page = await browser.request("GET", device_url("inverter"), headers)
        assert page.status == 401, headers
        assert not page.cookies_set()
    assert (await browser.request("POST", device_url("inverter"), {"Accept": "text/html"}, data=b"x")).status == 401


@row("3", "a callback with wrong or no state gives no session")
async def _(site: Site, browser: Browser) -> None:
    await browser.sign_in("olga@example.org")
    host = urlsplit(device_url("inverter")).netloc
    for forged in ("", "another verifier"):
        browser.cookies[host] = {}
        url = await callback_url(browser)
        held = dict(browser.cookies[host])
        browser.cookies[host] = {next(iter(held)): forged} if forged else {}
        page = await browser.request("GET", url, {"Accept": "text/html"})
        assert page.status == 403
        assert not any(cookies.DEVICE in line for line in page.cookies_set())
        browser.cookies[host] = held
        assert (await browser.request("GET", url)).status == 403  # the failed try has used it up


@row("4", "a code works once, on its own host, for a minute")
async def _(site: Site, browser: Browser) -> None:
    await browser.sign_in("olga@example.org")
    url = await callback_url(browser)
    host = urlsplit(url).netloc
    held = dict(browser.cookies[host])
    assert (await browser.request("GET", url)).status == 302
    browser.cookies[host] = held
    assert (await browser.request("GET", url)).status == 403
    other = (await callback_url(browser)).replace("inverter.", "logger.")
    browser.cookies[urlsplit(other).netloc] = attempt_of(browser)
    assert (await browser.request("GET", other)).status == 403
    browser.cookies[host] = {}
    late = await callback_url(browser)
    site.time += 61
    assert (await browser.request("GET", late)).status == 403


@row("5", "two tabs opened at once both succeed")
async def _(site: Site, browser: Browser) -> None:
    await browser.sign_in("olga@example.org")
    tabs = [await callback_url(browser) for _ in range(2)]
    answers = [await browser.request("GET", url) for url in tabs]
    assert [page.status for page in answers] == [302, 302]
    assert (await browser.navigate(device_url("inverter"))).text == "hello"
    again = await browser.request("GET", tabs[0])  # and a reload of the first
    assert again.status == 302
    assert again.headers["Location"] == device_url("inverter")


@row("6", "a session of one device is nothing at another")
async def _(site: Site, browser: Browser) -> None:
    await sign_in(browser)
    inverter, logger = (urlsplit(device_url(host)).netloc for host in ("inverter", "logger"))
    browser.cookies[logger] = {cookies.DEVICE: browser.cookies[inverter][cookies.DEVICE]}
    assert (await browser.request("GET", device_url("logger"), XHR)).status == 401
    browser.cookies[inverter] = {cookies.DEVICE: browser.cookies[urlsplit(PORTAL).netloc][cookies.PORTAL]}
    assert (await browser.request("GET", device_url("inverter"), XHR)).status == 401
    assert not site.devices["logger"].requests


@row("7", "a duplicate session cookie is refused, a copy without __Host- ignored")
async def _(site: Site, browser: Browser) -> None:
    await sign_in(browser)
    token = browser.cookies[urlsplit(device_url("inverter")).netloc][cookies.DEVICE]
    seen = len(site.devices["inverter"].requests)
    twice = f"{cookies.DEVICE}=x; {cookies.DEVICE}={token}"
    assert (await browser.request("GET", device_url("inverter"), {**XHR, "Cookie": twice})).status == 400
    for name in ("plantgate-device", "__Secure-plantgate-device", "__host-plantgate-device"):
        page = await browser.request("GET", device_url("inverter"), {**XHR, "Cookie": f"{name}={token}"})
        assert page.status == 401
    assert len(site.devices["inverter"].requests) == seen


async def trickle(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A download without end."""
    writer.write(answer("HTTP/1.1 200 OK\nContent-Type: application/octet-stream"))
    while not writer.is_closing():
        writer.write(b"x" * 1000)
        await writer.drain()
        await asyncio.sleep(0.01)


async def websocket_echo(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Agrees to the upgrade, then returns every byte."""
    protocols = received.values("Sec-WebSocket-Protocol")
    chosen = f"\nSec-WebSocket-Protocol: {protocols[0].split(',')[-1].strip()}" if protocols else ""
    head = f"HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: {ACCEPT}"
    writer.write(answer(head + chosen))
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


Revoke = Callable[[Site, Browser], Awaitable[object]]


async def _revoke_job(site: Site, browser: Browser) -> None:
    site.revoke(site.person("olga"), Job.OPERATOR)


async def _sign_out(site: Site, browser: Browser) -> None:
    assert (await browser.submit(PORTAL + "/sign-out", {})).status == 200


async def _time_passes(site: Site, browser: Browser) -> None:
    site.time += 13 * 3600


def _ended_by(revoke: Revoke) -> Case:
    async def case(site: Site, browser: Browser) -> None:
        await sign_in(browser)
        device = site.devices["inverter"]
        device.answer = trickle
        async with browser.open("GET", device_url("inverter"), XHR) as download:
            assert await download.content.readexactly(1000)
            started = time.monotonic()
            await revoke(site, browser)
            with pytest.raises(aiohttp.ClientPayloadError):
                await asyncio.wait_for(download.content.read(), 10)
            assert time.monotonic() - started < 1.0
        await eventually(lambda: device.open == 0)  # the device's end is closed too
        assert (await browser.request("GET", device_url("inverter"), XHR)).status in (401, 404)

    return case


row("8", "a download ends within a second of a revoked job")(_ended_by(_revoke_job))
row("8", "a download ends within a second of signing out")(_ended_by(_sign_out))
row("8", "a download ends within a second of the session's end")(_ended_by(_time_passes))


@row("8", "a websocket ends within a second of a revoked job")
async def _(site: Site, browser: Browser) -> None:
    await sign_in(browser)
    device = site.devices["inverter"]
    device.answer = websocket_echo
    reader, writer, head = await open_websocket(site, browser)
    assert b" 101 " in head
    writer.write(b"\x81\x02hi")
    assert await asyncio.wait_for(reader.readexactly(4), 10) == b"\x81\x02hi"
    started = time.monotonic()
    await _revoke_job(site, browser)
    with contextlib.suppress(ConnectionError):  # a reset, or an end
        assert not await asyncio.wait_for(reader.read(100), 10)
    assert time.monotonic() - started < 1.0
    writer.close()
    await eventually(lambda: device.open == 0)


async def open_websocket(
    site: Site, browser: Browser, **more: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
    """A websocket opened by hand, so that what the hub relays is seen byte for byte."""
    url = device_url("inverter", "/socket")
    headers = {"Host": urlsplit(url).netloc, "Cookie": browser.cookie_header(url), **WEBSOCKET}
    headers |= {"Origin": device_url("inverter", ""), **{name.replace("_", "-"): value for name, value in more.items()}}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write("\r\n".join(["GET /socket HTTP/1.1", *lines, "", ""]).encode())
    return reader, writer, await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)


@row("9", "requests from sibling and foreign sites are refused, the device not contacted")
async def _(site: Site, browser: Browser) -> None:
    await sign_in(browser)
    seen = len(site.devices["inverter"].requests)
    url = device_url("inverter")
    for method, headers in (
        ("POST", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}),
        ("POST", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}),
        ("GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}),
        ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}),
        ("POST", {"Origin": device_url("logger", "")}),
        ("POST", {"Origin": "null"}),
        ("GET", {"Origin": "https://evil.example"}),
    ):
        page = await browser.request(method, url, headers, data=b"x" if method == "POST" else None)
        assert page.status == 403, headers
    assert len(site.devices["inverter"].requests) == seen
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert (await browser.request("GET", url, link)).status == 200


@row("10", "a websocket with a sibling's Origin, or none, is refused")
async def _(site: Site, browser: Browser) -> None:
    await sign_in(browser)
    dialled = len(site.streams.dialled)
    for origin in (device_url("logger", ""), "null", ""):
        _, writer, head = await open_websocket(site, browser, Origin=origin)
        assert b" 403 " in head
        writer.close()
    assert len(site.streams.dialled) == dialled


@row("11", "forged forwarding headers are removed, ours are set")
async def _(site: Site, browser: Browser) -> None:
    await sign_in(browser)
    forged = ("X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "X-Original-URL", "X-Real-IP", "X_Forwarded_For")
    await browser.request("GET", device_url("inverter"), {**XHR, **dict.fromkeys(forged, "evil")})
    received = site.devices["inverter"].requests[-1]
    assert not any("evil" in value for _, value in received.headers)
    assert received.values("X-Forwarded-Host") == [urlsplit(device_url("inverter")).netloc]
    assert received.values("X-Forwarded-Proto") == ["https"]
    assert received.values("Host") == ["192.168.1.10"]


@row("11", "Origin and Referer are the device's own")
async def _(site: Site, browser: Browser) -> None:
    await sign_in(browser)
    headers = {**XHR, "Origin": device_url("inverter", ""), "Referer": device_url("inverter", "/page?a=%2F")}
    await browser.request("POST", device_url("inverter", "/set"), headers, data=b"x")
    received = site.devices["inverter"].requests[-1]
    assert received.values("Origin") == ["http://192.168.1.10"]
    assert received.values("Referer") == ["http://192.168.1.10/page?a=%2F"]


@row("12", "the device never sees our cookies")
async def _(site: Site, browser: Browser) -> None:
    await sign_in(browser)
    jar = browser.cookies[urlsplit(device_url("inverter")).netloc]
    jar |= {"SID": "device's own", "__HOST-Plantgate-device": "trick", "plantgate": "trick", "b": "=;".strip(";")}
    await browser.request("GET", device_url("inverter"), XHR)
    for received in site.devices["inverter"].requests:
        assert not any("plantgate" in value.lower() for name, value in received.headers if name.lower() == "cookie")
    assert site.devices["inverter"].requests[-1].values("Cookie") == ["SID=device's own; b=="]


async def location_of(site: Site, browser: Browser, headers: str, status: str = "302 Found") -> tuple[int, str, str]:
    site.devices["inverter"].answer = answer(f"HTTP/1.1 {status}\n{headers}\nContent-Length: 0")
    page = await browser.request("GET", device_url("inverter"), {"Accept": "text/html"})
    return page.status, page.headers.get("Location", ""), page.text


@row("13", "a redirect to the target's own address leads to its public host, path kept")
async def _(site: Site, browser: Browser) -> None:
    await sign_in(browser)
    await site.add_device("inverter-tls", "192.168.1.10", 443, Scheme.HTTPS)
    public = device_url("inverter", "")
    for told, shown in (
        ("http://192.168.1.10/login?next=%2Fa%2520b", public + "/login?next=%2Fa%2520b"),
        ("http://192.168.1.10:80/x", public + "/x"),
        ("//192.168.1.10/x", public + "/x"),
        ("/relative?u=http://1.2.3.4/", "/relative?u=http://1.2.3.4/"),
        ("../up", "../up"),
        (f"http://inverter.devices.localhost:{8443}/x", public + "/x"),
        ("https://192.168.1.10/x", device_url("inverter-tls", "/x")),  # another target of the same device
    ):
        assert (await location_of(site, browser, f"Location: {told}"))[:2] == (302, shown)


@row("14", "a redirect to an address that is not configured gets an explanation, nothing is fetched")
async def _(site: Site, browser: Browser) -> None:
    await sign_in(browser)
    for told in (
        "http://192.168.1.11/",  # a device of the same plant
        "http://192.168.1.10:8080/",
        "https://evil.example/",
        "//evil.example/",
        "/\t/evil.example/",
        "\\\\evil.example/",
        "http://192.168.1.10@evil.example/",
        "https:evil.example",
        "javascript:alert(1)",
    ):
        dialled = list(site.streams.dialled)
        status, location, text = await location_of(site, browser, f"Location: {told}")
        assert (status, location) == (502, ""), told
        assert "points elsewhere" in text
        assert site.streams.dialled[len(dialled) :] == [("plant-1", "192.168.1.10", 80)]
    status, _, _ = await location_of(site, browser, "Refresh: 0; url=http://evil.example/", "200 OK")
    assert status == 502


@row("15", "a device's cookie is host-only and Secure, one with our prefix is dropped")
async def _(site: Site, browser: Browser) -> None:
    await sign_in(browser)
    site.devices["inverter"].answer = answer(
        "HTTP/1.1 200 OK\nContent-Length: 0\nSet-Cookie: SID=a=b; Domain=192.168.1.10; Path=/ui; HttpOnly\n"
        "Set-Cookie: __Host-plantgate-device=planted; Path=/; Secure\nSet-Cookie: =__Host-plantgate-device=planted\n"
        "set-cookie: lang=de"
    )
    page = await browser.request("GET", device_url("inverter"), XHR)
    assert page.cookies_set() == ["SID=a=b; Path=/ui; HttpOnly; Secure", "lang=de; Secure"]


@row("16", "HSTS and Clear-Site-Data of the device are removed, its CSP is kept, nothing is added")
async def _(site: Site, browser: Browser) -> None:
    await sign_in(browser)
    site.devices["inverter"].answer = answer(
        "HTTP/1.1 200 Fine\nContent-Length: 0\nStrict-Transport-Security: max-age=1\nClear-Site-Data: *\n"
        "Content-Security-Policy: default-src 'self'\nX-Frame-Options: DENY\nConnection: X-Hop\nX-Hop: 1"
    )
    page = await browser.request("GET", device_url("inverter"), XHR)
    assert {name: value for name, value in page.headers.items() if name != "Connection"} == {
        "Content-Length": "0",
        "Content-Security-Policy": "default-src 'self'",
        "X-Frame-Options": "DENY",
    }


@row("17", "path and query reach the device byte for byte")
async def _(site: Site, browser: Browser) -> None:
    await sign_in(browser)
    for path in ("/a%2Fb%3B%7E?x=%2B%3A", "//double//", "/a/../b", "/;p=1?", "/%00?&&=%zz", "/x?u=http://evil/@"):
        url = device_url("inverter")
        head = f"GET {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nCookie: {browser.cookie_header(url)}\r\n\r\n"
        assert (await site.raw(head.encode())).startswith(b"HTTP/1.1 200 ")
        assert site.devices["inverter"].requests[-1].target == path


@row("18", "a POST with a length has that length at the device, one without comes in chunks")
async def _(site: Site, browser: Browser) -> None:
    await sign_in(browser)
    device = site.devices["inverter"]
    await browser.request("POST", device_url("inverter"), XHR, data=b"0123456789")
    assert device.requests[-1].body == b"0123456789"
    assert device.requests[-1].values("Content-Length") == ["10"]
    assert not device.requests[-1].values("Transfer-Encoding")

    async def pieces():
        yield b"01234"
        yield b"56789"

    await browser.request("POST", device_url("inverter"), XHR, data=pieces())
    assert device.requests[-1].body == b"0123456789"
    assert device.requests[-1].values("Transfer-Encoding") == ["chunked"]
    assert not device.requests[-1].values("Content-Length")
    compressed = gzip.compress(b"firmware")
    await browser.request("POST", device_url("inverter"), {**XHR, "Content-Encoding": "gzip"}, data=compressed)
    assert device.requests[-1].body == compressed


@row("19", "compressed bodies go through unchanged, with a length and in chunks")
async def _(site: Site, browser: Browser) -> None:
    await sign_in(browser)
    packed = gzip.compress(b"hello " * 1000, mtime=0)
    head = "HTTP/1.1 200 OK\nContent-Encoding: gzip\n"
    in_chunks = b"%x\r\n%b\r\n%X;ext=1\n%b\n0\r\nTrailer: x\r\n\r\n" % (10, packed[:10], len(packed) - 10, packed[10:])
    for reply in (
        answer(head + f"Content-Length: {len(packed)}", packed),
        answer(head + "Transfer-Encoding: chunked", in_chunks),
    ):
        site.devices["inverter"].answer = reply
        page = await browser.request("GET", device_url("inverter"), XHR)
        assert page.body == packed
        assert page.headers["Content-Encoding"] == "gzip"


@row("20", "HTTP/1.0 without length comes whole; an early reset is an error, not a short page")
async def _(site: Site, browser: Browser) -> None:
    await sign_in(browser)
    device = site.devices["inverter"]
    device.answer = (
        b"HTTP/1.0 200\nContent-type: text/html; charset=%s\nno colon here\nServer : odd\n\n" + b"y" * 300_000
    )
    page = await browser.request("GET", device_url("inverter"), XHR)
    assert page.status == 200
    assert page.body == b"y" * 300_000
    assert page.headers["Server"] == "odd"

    def break_off(after: bytes) -> Callable[[Received, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def reset(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(after)
            await writer.drain()
            writer.transport.abort()

        return reset

    for early in (b"", b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"):
        device.answer = break_off(early)
        page = await browser.request("GET", device_url("inverter"), {"Accept": "text/html"})
        assert page.status == 502
        assert "broke off" in page.text

    async def in_the_middle(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer("HTTP/1.1 200 OK\nContent-Length: 100", b"half"))
        await writer.drain()
        await eventually(lambda: device.half_seen)  # type: ignore[attr-defined]

    device.half_seen = False  # type: ignore[attr-defined]
    device.answer = in_the_middle
    async with browser.open("GET", device_url("inverter"), XHR) as response:
        assert await response.content.readexactly(4) == b"half"
        device.half_seen = True  # type: ignore[attr-defined]
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.content.read()


@row("21", "an SSE event arrives within a second while the answer goes on")
async def _(site: Site, browser: Browser) -> None:
    await sign_in(browser)
    done = asyncio.Event()

    async def events(received: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer("HTTP/1.1 200 OK\nContent-Type: text/event-stream"))
        await writer.drain()
        for number in range(3):
            writer.write(b"data: %d\n\n" % number)
            await asyncio.wait_for(done.wait(), 20)
            done.clear()

    site.devices["inverter"].answer = events
    async with browser.open("GET", device_url("inverter"), {**XHR, "Accept": "text/event-stream"}) as response:
        for number in range(3):
            started = time.monotonic()
            assert await response.content.readuntil(b"\n\n") == b"data: %d\n\n" % number
            assert time.monotonic() - started < 1.0
            done.set()


@row("22", "a 16 MB binary websocket message passes intact, with the subprotocol the device chose")
async def _(site: Site, browser: Browser) -> None:
    await sign_in(browser)
    site.devices["inverter"].answer = websocket_echo
    reader, writer, head = await open_websocket(site, browser, Sec_WebSocket_Protocol="binary, chosen")
    assert b"Sec-WebSocket-Protocol: chosen\r\n" in head
    received = site.devices["inverter"].requests[-1]
    assert received.values("Origin") == ["http://192.168.1.10"]
    message = b"\x82\x7f" + (16 << 20).to_bytes(8, "big") + bytes(range(256)) * (1 << 16)

    async def send() -> None:
        writer.write(message)
        await writer.drain()

    sending = asyncio.create_task(send())
    assert await asyncio.wait_for(reader.readexactly(len(message)), 60) == message
    await sending
    writer.close()
    await eventually(lambda: site.devices["inverter"].open == 0)


@row("23", "a request whose length is told in two ways is answered 400 and the connection closed")
async def _(site: Site, browser: Browser) -> None:
    await sign_in(browser)
    seen = len(site.devices["inverter"].requests)
    url = device_url("inverter")
    base = f"POST / HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nCookie: {browser.cookie_header(url)}\r\n"
    smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"
    for framing in (
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "Transfer-Encoding: chunked, identity\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n",
        "Transfer-Encoding : chunked\r\n\r\n",
        "Content-Length: +5\r\n\r\n",
    ):
        reply = await site.raw((base + framing + smuggled).encode())
        assert reply.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400")), framing
        assert reply.count(b"HTTP/1.") == 1, framing
    assert len(site.devices["inverter"].requests) == seen


@row("24", "no other Upgrade is forwarded, and a 101 nobody asked for is an error")
async def _(site: Site, browser: Browser) -> None:
    await sign_in(browser)
    device = site.devices["inverter"]
    for upgrade in ("TLS/1.2", "h2c"):
        headers = {**XHR, "Connection": "Upgrade, HTTP2-Settings", "Upgrade": upgrade, "HTTP2-Settings": "x"}
        assert (await browser.request("GET", device_url("inverter"), headers)).status == 200
        received = device.requests[-1]
        assert received.values("Connection") == ["close"]
        assert not received.values("Upgrade") + received.values("HTTP2-Settings")
    device.answer = answer("HTTP/1.1 101 Switching Protocols\nUpgrade: TLS/1.2\nConnection: Upgrade")
    assert (await browser.request("GET", device_url("inverter"), XHR)).status == 502
    device.answer = answer(
        "HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: wrong"
    )
    _, writer, head = await open_websocket(site, browser)
    assert b" 502 " in head
    writer.close()


@row("25", "a device's certificate is pinned at first use; a changed one is a hard stop with an explanation")
async def _(site: Site, browser: Browser) -> None:
    await site.add_device("switch", "192.168.1.12", 443, Scheme.HTTPS, tls=device_context())
    await sign_in(browser, "switch")
    assert len(site.pins.pinned) == 1
    assert (await browser.request("GET", device_url("switch"), XHR)).text == "hello"
    other = RawDevice()
    server = await asyncio.start_server(other.serve, "127.0.0.1", 0, ssl=device_context())
    site.streams.places["plant-1", "192.168.1.12", 443] = server.sockets[0].getsockname()[1]
    page = await browser.request("GET", device_url("switch"), {"Accept": "text/html"})
    assert page.status == 502
    assert "certificate has changed" in page.text
    assert not other.requests  # nothing of the request went to it
    server.close()


@row("25", "an old TLS version is refused with an explanation")
async def _(site: Site, browser: Browser) -> None:
    context = device_context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old on purpose
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    await site.add_device("old", "192.168.1.13", 443, Scheme.HTTPS, tls=context)
    page = await browser.sign_in("olga@example.org", start=device_url("old"))
    assert page.status == 502
    assert "No secure connection" in page.text


@pytest.mark.parametrize("name", list(CASES))
async def test_conformance(name: str, site: Site, browser: Browser) -> None:
    await CASES[name](site, browser)
