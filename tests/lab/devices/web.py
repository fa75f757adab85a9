"""The device's web interface, HTTP on port 80 and HTTPS (own certificate) on 443.

/              its page; without a session it redirects to /login        (302, relative)
/login         form login: sets two cookies and redirects back           (303, absolute Location)
/logout        ends the session
/settings      behind the login: GET shows, POST stores a note
/name          `north/inverter`, no login
/whoami        what the device sees of the request: peer, method, path, host, headers (JSON)
/download      ?size=BYTES&rate=BYTES_PER_SECOND: a body of any size, at full speed or slowly
/upload        answers with the size and SHA-256 of the request's body (JSON)
/slow          ?seconds=S: nothing for that long, then its page
/elsewhere     redirects to another address of the plant, which a proxy must not follow
/echo          websocket that returns every message
"""

import asyncio
import datetime
import hashlib
import html
import ipaddress
import secrets
import ssl
import tempfile
from pathlib import Path

from aiohttp import WSMsgType, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .identity import WEB_PASSWORD, WEB_USER, Identity

CHUNK = 64 * 1024
LONGEST = 300.0
"""Seconds after which a slow answer ends in any case, so that no forgotten request runs for ever."""
SESSION_COOKIE = "DEVSESSION"

routes = web.RouteTableDef()
IDENTITY = web.AppKey("identity", Identity)
SESSIONS = web.AppKey("sessions", set[str])
NOTE = web.AppKey("note", dict[str, str])


def pattern(size: int) -> bytes:
    """The first `size` bytes of every download: a line counter, so that a gap or a swap shows."""
    lines = (size + 15) // 16
    return b"".join(b"%015d\n" % i for i in range(lines))[:size]


_BLOCK = pattern(1024 * 1024)


def _page(request: web.Request, body: str) -> web.Response:
    label = html.escape(request.app[IDENTITY].label)
    text = f"<!doctype html><html><head><title>{label}</title></head><body><h1>{label}</h1>{body}</body></html>"
    return web.Response(text=text, content_type="text/html")


def _signed_in(request: web.Request) -> bool:
    return request.cookies.get(SESSION_COOKIE, "") in request.app[SESSIONS]


@routes.get("/")
async def home(request: web.Request) -> web.Response:
    if not _signed_in(request):
        raise web.HTTPFound("/login")
    return _page(request, '<p id="power">4711 W</p><a href="settings">settings</a> <a href="/logout">log out</a>')


@routes.get("/login")
async def login_form(request: web.Request) -> web.Response:
    form = (
        '<form method="post" action="/login"><input name="user"><input name="password" type="password"><button>Log in'
        "</button></form>"
    )
    return _page(request, form)


@routes.post("/login")
async def login(request: web.Request) -> web.Response:
    form = await request.post()
    if form.get("user") != WEB_USER or form.get("password") != WEB_PASSWORD:
        response = _page(request, "<p>wrong user or password</p>")
        response.set_status(401)
        return response
    session = secrets.token_hex(8)
    request.app[SESSIONS].add(session)
    # Devices write absolute locations with whatever name they were asked for, and broad cookie paths.
    answer = web.Response(status=303, headers={"Location": f"{request.scheme}://{request.host}/"})
    answer.set_cookie(SESSION_COOKIE, session, path="/", httponly=True)
    answer.set_cookie("lang", "de", path="/", max_age=3600)
    return answer


@routes.get("/logout")
async def logout(request: web.Request) -> web.Response:
    request.app[SESSIONS].discard(request.cookies.get(SESSION_COOKIE, ""))
    answer = web.Response(status=302, headers={"Location": "/login"})
    answer.del_cookie(SESSION_COOKIE, path="/")
    return answer


@routes.route("*", "/settings")
async def settings(request: web.Request) -> web.Response:
    if not _signed_in(request):
        raise web.HTTPFound("/login")
    if request.method == "POST":
        request.app[NOTE]["text"] = str((await request.post()).get("note", ""))
        raise web.HTTPSeeOther("/settings")
    note = html.escape(request.app[NOTE].get("text", ""))
    return _page(request, f'<form method="post"><input name="note" value="{note}"><button>Save</button></form>')


@routes.get("/name")
async def name(request: web.Request) -> web.Response:
    return web.Response(text=request.app[IDENTITY].label)


@routes.route("*", "/whoami")
async def whoami(request: web.Request) -> web.Response:
    seen = {
        "device": request.app[IDENTITY].label,
        "peer": request.remote,
        "method": request.method,
        "path": request.raw_path,
        "host": request.host,
        "headers": [[key, value] for key, value in request.headers.items()],
    }
    return web.json_response(seen)


@routes.get("/download")
async def download(request: web.Request) -> web.StreamResponse:
    size, rate = int(request.query.get("size", "1000000")), float(request.query.get("rate", "0"))
    response = web.StreamResponse(headers={"Content-Length": str(size), "Content-Type": "application/octet-stream"})
    await response.prepare(request)
    step = max(1, min(CHUNK, int(rate / 20))) if rate else CHUNK
    started, sent = asyncio.get_running_loop().time(), 0
    while sent < size:
        if rate:
            now = asyncio.get_running_loop().time()
            if now - started > LONGEST:
                break
            await asyncio.sleep(max(0.0, started + sent / rate - now))
        at = sent % len(_BLOCK)  # the pattern repeats every MiB
        part = _BLOCK[at : at + min(step, size - sent)]
        await response.write(part)
        sent += len(part)
    return response


@routes.route("*", "/upload")
async def upload(request: web.Request) -> web.Response:
    digest, size = hashlib.sha256(), 0
    async for part in request.content.iter_chunked(CHUNK):
        digest.update(part)
        size += len(part)
    return web.json_response({"size": size, "sha256": digest.hexdigest()})


@routes.get("/slow")
async def slow(request: web.Request) -> web.Response:
    await asyncio.sleep(min(LONGEST, float(request.query.get("seconds", "5"))))
    return _page(request, "<p>at last</p>")


@routes.get("/elsewhere")
async def elsewhere(request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "http://192.168.50.10/name"})


@routes.get("/echo")
async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


def _tls(identity: Identity) -> ssl.SSLContext:
    """A certificate that the device signed itself, as devices do."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, identity.label)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("192.168.1.10"))]), False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "device.pem")
        path.write_bytes(pem)
        context.load_cert_chain(path)
    return context


async def serve(identity: Identity) -> web.AppRunner:
    app = web.Application(client_max_size=2**40)
    app[IDENTITY], app[SESSIONS], app[NOTE] = identity, set(), {}
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", 80).start()
    await web.TCPSite(runner, "0.0.0.0", 443, ssl_context=_tls(identity)).start()
    return runner
