"""Who may open which device page, what strangers learn, and that nothing but configured targets is ever dialled."""

import asyncio
from ipaddress import IPv4Address
from urllib.parse import parse_qs, urlsplit

import pytest

from plantgate_hub.domain.model import (
    Device,
    DeviceId,
    Job,
    Organization,
    OrganizationId,
    Plant,
    PlantId,
    Scheme,
    TargetId,
    WebTarget,
)
from plantgate_hub.domain.snapshot import put
from plantgate_hub.ports import StreamProblem
from tests.eventually import eventually
from tests.harness.web_site import PORTAL, Browser, Page, Site, device_url

XHR = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Accept": "*/*"}


@pytest.mark.parametrize(
    ("who", "status"),
    [("olga", 200), ("tom", 200), ("vera", 403), ("gus", 404), ("nina", 403), ("adam", 403)],
    ids=["operator", "technical manager", "viewer", "guest", "operator without TOTP", "administrator without TOTP"],
)
async def test_who_opens_a_device_page(site: Site, browser: Browser, who: str, status: int):
    page = await browser.sign_in(f"{who}@example.org", start=device_url("inverter"))
    assert page.status == status
    assert bool(site.devices["inverter"].requests) == (status == 200)


async def test_a_device_session_dies_with_the_second_factor(site: Site, opened: Browser):
    """The session is there, the job is there: without TOTP on the account nothing passes."""
    site.set_totp_active("olga", False)
    seen = len(site.devices["inverter"].requests)
    page = await opened.request("GET", device_url("inverter"), XHR)
    assert page.status == 403
    assert page.headers["Plantgate-Problem"] == "no-two-factor"
    assert len(site.devices["inverter"].requests) == seen


@pytest.mark.parametrize("who", ["nina", "adam"])
async def test_a_session_that_passed_no_second_factor_reaches_no_device(site: Site, browser: Browser, who: str):
    """Even when the account gets TOTP afterwards: this session has not passed it."""
    await browser.sign_in(f"{who}@example.org")
    site.set_totp_active(who, True)
    page = await browser.navigate(device_url("inverter"))
    assert urlsplit(page.url).path == "/two-factor"
    assert not site.streams.dialled


async def test_a_lowered_job_ends_access_at_the_next_request(site: Site, opened: Browser):
    site.revoke(site.person("olga"), Job.OPERATOR)
    assert (await opened.request("GET", device_url("inverter"), XHR)).status == 404


def shape(page: Page, host: str) -> tuple[object, ...]:
    """All that a stranger sees of an answer, with what differs at each try taken out."""
    location = urlsplit(page.headers.get("Location", ""))
    query = {name: len(value[0]) for name, value in parse_qs(location.query).items() if name != "host"}
    names = sorted((name, len(value)) for name, value in page.headers.items() if name not in ("Date", "Location"))
    return page.status, names, location.path, query, page.text.replace(host, "HOST")


@pytest.mark.parametrize("headers", [{"Accept": "text/html"}, XHR])
async def test_unknown_names_and_names_of_others_look_alike(site: Site, browser: Browser, headers: dict[str, str]):
    other = Organization(OrganizationId("other"), "Other")
    plant = Plant(PlantId("plant-2"), other.id, "Secret plant")
    device = Device(DeviceId("d2"), plant.id, "Secret device", IPv4Address("192.168.1.10"))
    target = WebTarget(TargetId("t2"), device.id, "theirs", Scheme.HTTP, 80)
    site.feed.change(put(other), put(plant), put(device), put(target))

    async def look(host: str) -> tuple[object, ...]:
        return shape(await browser.request("GET", device_url(host), headers), host)

    assert await look("theirs") == await look("nobody")
    await browser.sign_in("olga@example.org")
    pages = [await browser.navigate(device_url(host)) for host in ("theirs", "nobody")]
    assert pages[0].status == pages[1].status == 404
    assert pages[0].text == pages[1].text
    assert not site.streams.dialled


@pytest.mark.parametrize(
    "request_line_and_host",
    [
        ("GET http://192.168.1.11/ HTTP/1.1", "inverter.devices.localhost"),
        ("GET http://192.168.1.11:22/ HTTP/1.1", "192.168.1.11"),
        ("GET / HTTP/1.1", "192.168.1.11"),
        ("GET / HTTP/1.1", "inverter.devices.localhost.evil.example"),
        ("GET / HTTP/1.1", "a.inverter.devices.localhost"),
        ("GET / HTTP/1.1", "devices.localhost"),
        ("GET / HTTP/1.1", "inverter.devices.localhost@192.168.1.11"),
        ("CONNECT 192.168.1.11:80 HTTP/1.1", "192.168.1.11:80"),
        ("OPTIONS * HTTP/1.1", "inverter.devices.localhost"),
    ],
)
async def test_no_way_past_the_configured_target(site: Site, opened: Browser, request_line_and_host: tuple[str, str]):
    line, host = request_line_and_host
    dialled = len(site.streams.dialled)
    cookie = opened.cookie_header(device_url("inverter"))
    reply = await site.raw(f"{line}\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n".encode())
    assert reply.split(b" ")[1] in (b"400", b"401", b"404", b"405", b"421"), reply
    assert len(site.streams.dialled) == dialled


@pytest.mark.parametrize("path", ["//192.168.1.11/", "/@192.168.1.11/", "/..%2f..%2f", "/http://192.168.1.11/", "/\\x"])
async def test_paths_never_choose_the_address(site: Site, opened: Browser, path: str):
    await opened.request("GET", device_url("inverter", path), XHR)
    assert set(site.streams.dialled) == {("plant-1", "192.168.1.10", 80)}
    assert not site.devices["logger"].requests


async def test_redirects_are_left_to_the_browser(site: Site, opened: Browser):
    site.devices[
        "inverter"
    ].answer = b"HTTP/1.1 307 x\r\nLocation: http://192.168.1.10/next\r\nContent-Length: 0\r\n\r\n"
    seen = len(site.streams.dialled)
    page = await opened.request("POST", device_url("inverter"), XHR, data=b"x")
    assert (page.status, page.headers["Location"]) == (307, device_url("inverter", "/next"))
    assert len(site.streams.dialled) == seen + 1


async def test_two_host_headers_are_refused(site: Site, opened: Browser):
    cookie = opened.cookie_header(device_url("inverter"))
    hosts = "Host: inverter.devices.localhost\r\nHost: logger.devices.localhost\r\n"
    reply = await site.raw(f"GET / HTTP/1.1\r\n{hosts}Cookie: {cookie}\r\n\r\n".encode())
    assert reply.split(b" ")[1] == b"400"


async def test_header_injection_by_a_device_stays_one_header(site: Site, opened: Browser):
    site.devices[
        "inverter"
    ].answer = b"HTTP/1.1 200 OK\r\nX-Name: a\rSet-Cookie: planted=1\r\nBad Name: x\r\nContent-Length: 0\r\n\r\n"
    page = await opened.request("GET", device_url("inverter"), XHR)
    assert page.status == 200
    assert not page.cookies_set()


@pytest.mark.parametrize(
    ("problem", "status", "words"),
    [
        (StreamProblem.OFFLINE, 503, "The plant is not connected"),
        (StreamProblem.REFUSED, 502, "The device refuses the connection"),
        (StreamProblem.UNREACHABLE, 504, "The device does not answer"),
        (StreamProblem.OUTSIDE, 502, "Outside the gateway"),
        (StreamProblem.BUSY, 503, "at its limit"),
    ],
)
async def test_errors_say_what_is_wrong(site: Site, opened: Browser, problem: StreamProblem, status: int, words: str):
    site.streams.problem = problem
    page = await opened.navigate(device_url("inverter"))
    assert page.status == status
    assert words in page.text
    assert "Solarpark Nord" in page.text
    line = await opened.request("GET", device_url("inverter"), XHR)
    assert line.status == status
    assert "<" not in line.text


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
    ],
    ids=["not HTTP", "two lengths", "bad chunk", "too many headers", "too long a header"],
)
async def test_answers_that_make_no_sense_are_named(site: Site, opened: Browser, reply: bytes):
    site.devices["inverter"].answer = reply
    page = await opened.navigate(device_url("inverter"))
    assert page.status == 502
    assert "makes no sense" in page.text


async def test_a_browser_that_goes_away_frees_the_device(site: Site, opened: Browser):
    async def never(received, reader, writer):
        await reader.read(1)

    device = site.devices["inverter"]
    device.answer = never
    asking = asyncio.create_task(opened.request("GET", device_url("inverter"), XHR))
    await eventually(lambda: device.open == 1)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await eventually(lambda: device.open == 0)


async def test_a_big_upload_streams_with_little_memory(site: Site, opened: Browser):
    """The device reads nothing until it is told to: the hub must stop taking the upload soon."""
    read_on = asyncio.Event()
    total = 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await read_on.wait()
        nonlocal total
        while total < size and (data := await reader.read(1 << 20)):
            total += len(data)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    size, sent = 64 << 20, 0
    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    site.streams.places["plant-1", "192.168.1.10", 80] = server.sockets[0].getsockname()[1]

    async def body():
        nonlocal sent
        while sent < size:
            sent += 1 << 16
            yield b"f" * (1 << 16)

    headers = {**XHR, "Content-Length": str(size)}
    asking = asyncio.create_task(opened.request("POST", device_url("inverter"), headers, data=body()))
    last = -1

    def stalled() -> bool:
        nonlocal last
        still, last = sent == last and sent > 0, sent
        return still

    await eventually(stalled, poll=0.3)
    assert sent < 24 << 20  # what sockets on loopback buffer by themselves
    read_on.set()
    assert (await asyncio.wait_for(asking, 60)).text == "ok"
    assert total == size
    server.close()


@pytest.mark.parametrize(
    ("host", "path", "status"),
    [
        ("portal.localhost", "/tunnel/v1", 200),
        ("hub.example", "/tunnel/v1", 200),
        ("127.0.0.1:443", "/tunnel/v1", 200),
        ("hub.example", "/", 421),
        ("hub.example", "/sign-in", 421),
        ("PORTAL.localhost.:8443", "/sign-in", 200),
        ("inverter.devices.localhost", "/tunnel/v1", 401),
    ],
)
async def test_hosts(site: Site, host: str, path: str, status: int):
    reply = await site.raw(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert reply.split(b" ")[1] == str(status).encode()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "MKCOL", "LOCK"])
async def test_every_method_reaches_the_device(site: Site, opened: Browser, method: str):
    assert (await opened.request(method, device_url("inverter", "/dav"), XHR)).text == "hello"
    assert site.devices["inverter"].requests[-1].method == method


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", "200 OK"), ("GET", "304 Not Modified"), ("GET", "204 No Content")]
)
async def test_answers_without_a_body_end_with_their_head(site: Site, opened: Browser, method: str, status: str):
    site.devices["inverter"].answer = f"HTTP/1.1 {status}\r\nContent-Length: 1234\r\nETag: x\r\n\r\n".encode()
    page = await opened.request(method, device_url("inverter"), XHR)
    assert (str(page.status), page.body, page.headers["ETag"]) == (status.split()[0], b"", "x")
    assert page.headers.get("Content-Length", "1234") == "1234"


async def test_an_upload_that_waits_for_a_go_ahead_gets_one(site: Site, opened: Browser):
    headers = {**XHR, "Expect": "100-continue"}
    page = await opened.request("POST", device_url("inverter"), headers, data=b"x" * 100_000, expect100=True)
    assert page.text == "hello"
    assert site.devices["inverter"].requests[-1].body == b"x" * 100_000


async def test_ranges_go_through(site: Site, opened: Browser):
    site.devices[
        "inverter"
    ].answer = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-4/9\r\nContent-Length: 3\r\n\r\nabc"
    page = await opened.request("GET", device_url("inverter"), {**XHR, "Range": "bytes=2-4"})
    assert (page.status, page.headers["Content-Range"], page.text) == (206, "bytes 2-4/9", "abc")
    assert site.devices["inverter"].requests[-1].values("Range") == ["bytes=2-4"]


async def test_a_service_worker_is_refused(site: Site, opened: Browser):
    page = await opened.request("GET", device_url("inverter", "/sw.js"), {**XHR, "Service-Worker": "script"})
    assert page.status == 403


async def test_the_portal_never_opens_a_page_by_itself(site: Site, browser: Browser):
    """A link to the portal's side of the hand-over, made by someone else, gives a code that nobody can use."""
    await browser.sign_in("olga@example.org")
    link = f"{PORTAL}/open?host=inverter&attempt=0123456789abcdef&challenge={'0' * 64}&path=%2F"
    page = await browser.navigate(link)
    assert page.status == 403
    assert not site.streams.dialled
