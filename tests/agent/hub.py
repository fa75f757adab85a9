"""A small hub for the agent's tests: real TLS, handshake, tunnel, WireGuard and relay; told what to want by a file.

`python -m tests.agent.hub FOLDER` runs in the hub's namespace. FOLDER/desired.json is what it wants of the agent, sent
again whenever it changes; FOLDER/status.json is what the agent last said, told.jsonl all of it; FOLDER/attached counts
tunnels. TCP port 9000 opens a stream: it takes `HOST PORT` as a line and answers `ok` or the reason of the reset, then
carries bytes; `look ADDRESS` answers whether a device is there.
"""

import asyncio
import contextlib
import datetime
import json
import os
import ssl
import sys
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from plantgate_hub.tunnel.channel import AiohttpChannel, prepare_websocket
from plantgate_hub.tunnel.questions import Questions
from plantgate_shared import gso
from plantgate_shared.errors import PlantgateError
from plantgate_shared.identity import enrolment
from plantgate_shared.identity.handshake import HubHandshake, PinnedHub
from plantgate_shared.identity.keys import (
    IdentityKey,
    certificate_sha256,
    load_or_create_identity,
    load_or_create_wireguard,
)
from plantgate_shared.kernel.nftables import Nftables
from plantgate_shared.kernel.wireguard import WireGuardInterface
from plantgate_shared.netplan import SetPeer
from plantgate_shared.protocol import Role, probe
from plantgate_shared.protocol.control import (
    DesiredState,
    DeviceLookedFor,
    LookForDevice,
    PlantSubnet,
    WebTarget,
    parse,
    to_map,
)
from plantgate_shared.secret import Secret
from plantgate_shared.tunnel import StreamReset, TunnelConnection, TunnelStream

NAME = "test hub"
AGENT_ID = "agent-1"
PORT = 443
STREAM_PORT = 9000
WIREGUARD_PORT = 51821
INTERFACE = "pg-agents"
PROBE_KEY = Secret(bytes(range(32)))
TRANSIT_ADDRESS = IPv4Address("240.0.0.5")


class Agent:
    """What the hub knows of the one agent it enrols."""

    def __init__(self, identity_key: bytes, wireguard_key: str) -> None:
        self.identity_key, self.wireguard_key = identity_key, wireguard_key
        self.active, self.epoch = True, 1


class Hub:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.identity: IdentityKey = load_or_create_identity(folder / "hub-identity.key")
        self.wireguard_key = load_or_create_wireguard(folder / "wireguard.key")
        self.wireguard = WireGuardInterface(INTERFACE)
        self.agent = self._known_agent()
        self.connection: TunnelConnection | None = None
        self.questions = Questions(self.ask)
        self.attached = 0
        certificate, self.context = make_tls(folder)
        self.certificates = (certificate_sha256(certificate),)
        self.relay: gso.BatchSocket

    async def run(self) -> None:
        await self.wireguard.ensure(self.wireguard_key.private, WIREGUARD_PORT, 1420)
        if self.agent:
            await self.add_peer(self.agent)
        self.relay = gso.open_socket(self.to_agent, remote=("127.0.0.1", WIREGUARD_PORT))
        app = web.Application()
        app.add_routes([web.get("/tunnel/v1", self.tunnel), web.post("/enroll/v1", self.enroll)])
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "0.0.0.0", PORT, ssl_context=self.context).start()
        await asyncio.start_server(self.stream, "127.0.0.1", STREAM_PORT)
        await self.open_responder()
        print("ready", flush=True)
        await self.watch()

    async def add_peer(self, agent: Agent) -> None:
        allowed = frozenset({IPv4Network("240.0.0.0/4"), IPv4Network("192.168.0.0/16")})
        await self.wireguard.apply([SetPeer(agent.wireguard_key, allowed)])

    async def open_responder(self) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Responder, local_addr=("0.0.0.0", 0))
        port = transport.get_extra_info("sockname")[1]
        magic = "0x" + probe.MAGIC.hex()
        Nftables().run(f"""
            table ip test_probe {{
                chain prerouting {{
                    type nat hook prerouting priority dstnat;
                    udp dport {WIREGUARD_PORT} @th,64,32 {magic} redirect to :{port}
                }}
            }}""")

    # --- what is wanted ---

    def desired(self) -> DesiredState | None:
        try:
            wanted = json.loads((self.folder / "desired.json").read_text())
        except FileNotFoundError:
            return None
        subnets = [
            PlantSubnet(number, IPv4Network(network), IPv4Network(transit))
            for number, (network, transit) in enumerate(wanted["subnets"].items(), 1)
        ]
        return DesiredState(
            revision=wanted["revision"],
            hub_wireguard_key=self.wireguard_key.public,
            udp_endpoint=wanted["udp_endpoint"],
            transit_address=TRANSIT_ADDRESS,
            peer_networks=tuple(IPv4Network(n) for n in wanted.get("peer_networks", ["100.64.0.0/10"])),
            subnets=tuple(subnets),
            targets=tuple(WebTarget(IPv4Address(host), port) for host, port in wanted["targets"]),
            probe_key=PROBE_KEY.reveal(),
            mtu=1380,
        )

    async def watch(self) -> None:
        seen = None
        while True:
            with contextlib.suppress(FileNotFoundError):
                changed = (self.folder / "desired.json").stat().st_mtime_ns
                if changed != seen:
                    seen = changed
                    self.send()
            await asyncio.sleep(0.05)

    def send(self) -> None:
        wanted = self.desired()
        if self.connection and wanted:
            self.connection.send_control(to_map(wanted))

    # --- enrolment and tunnel ---

    def _known_agent(self) -> Agent | None:
        try:
            known = json.loads((self.folder / "agent.json").read_text())
        except FileNotFoundError:
            return None
        return Agent(bytes.fromhex(known["identity"]), known["wireguard"])

    async def enroll(self, request: web.Request) -> web.Response:
        status = 200
        try:
            asked = enrolment.read_request(await request.read())
            keys = enrolment.derive((self.folder / "code").read_text())
            if asked.lookup != keys.lookup or (self.folder / "used").exists():
                raise enrolment.EnrolmentError(enrolment.Reason.CODE)
            enrolment.check_request(asked, keys.mac_key, self.certificates)
            hub = PinnedHub(NAME, self.identity.public)
            body = enrolment.make_reply(asked, keys.mac_key, AGENT_ID, 1, hub, "Plant North")
            # Known only after a moment, like in a hub whose nodes poll their store.
            agent = Agent(asked.identity_key, asked.wireguard_key)
            asyncio.get_running_loop().call_later(0.5, setattr, self, "agent", agent)
            known = {"identity": asked.identity_key.hex(), "wireguard": asked.wireguard_key}
            (self.folder / "agent.json").write_text(json.dumps(known))
            (self.folder / "used").touch()
            await self.add_peer(agent)
        except enrolment.EnrolmentError as error:
            body, status = enrolment.encode(enrolment.Failure(str(error.reason))), 403
        return web.Response(body=body, status=status, content_type=enrolment.CONTENT_TYPE)

    async def tunnel(self, request: web.Request) -> web.WebSocketResponse:
        websocket = prepare_websocket()
        await websocket.prepare(request)
        channel = AiohttpChannel(websocket)
        handshake = HubHandshake(self.identity, NAME, self.certificates, lambda _: self.agent, os.urandom(32))
        try:
            while not handshake.established:
                handshake.receive_message(await channel.receive())
                for message in handshake.messages_to_send():
                    await channel.send(message)
        except PlantgateError as error:
            print("refused", error, flush=True)
            with contextlib.suppress(PlantgateError):
                for message in handshake.messages_to_send():
                    await channel.send(message)
            await channel.close()
            return websocket
        await self.serve(channel)
        return websocket

    async def serve(self, channel: AiohttpChannel) -> None:
        connection = TunnelConnection(
            channel,
            Role.SERVER,
            ping_interval=25,
            ping_timeout=8,
            on_control=self.heard,
            on_datagrams=lambda segment, data: self.relay.send(segment, data),
        )
        self.connection = connection
        self.attached += 1
        (self.folder / "attached").write_text(str(self.attached))
        self.send()
        try:
            await connection.run()
        finally:
            if self.connection is connection:
                self.connection = None

    def heard(self, message: Any) -> None:
        parsed = parse(message)
        if isinstance(parsed, DeviceLookedFor):
            self.questions.answered(parsed)
            return
        fresh = self.folder / "status.new"
        fresh.write_text(json.dumps(dict(message)))
        fresh.replace(self.folder / "status.json")
        with (self.folder / "told.jsonl").open("a") as log:
            log.write(json.dumps(dict(message)) + "\n")

    def ask(self, question: LookForDevice) -> None:
        if self.connection:
            self.connection.send_control(to_map(question))

    def to_agent(self, segment: int, data: bytes) -> None:
        if self.connection:
            self.connection.send_datagrams(segment, data)

    # --- streams ---

    async def stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            host, port = (await reader.readline()).split()
            if not self.connection:
                raise StreamReset("no tunnel")  # type: ignore[arg-type]
            if host == b"look":
                found = await self.questions.ask(IPv4Address(port.decode()), 15)
                writer.write(f"{found.presence} {found.detail}\n".encode())
                writer.close()
                return
            stream = await self.connection.open_stream({"host": host.decode(), "port": int(port)}, 15)
        except StreamReset as error:
            writer.write(f"{error.reason}\n".encode())
            writer.close()
            return
        writer.write(b"ok\n")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._up(reader, stream))
                group.create_task(self._down(stream, writer))
        except* (PlantgateError, OSError) as group_error:
            print("stream", group_error.exceptions, flush=True)
            writer.transport.abort()
        finally:
            stream.close()
            writer.close()

    @staticmethod
    async def _up(reader: asyncio.StreamReader, stream: TunnelStream) -> None:
        while data := await reader.read(65536):
            await stream.write(data)
        await stream.write_eof()

    @staticmethod
    async def _down(stream: TunnelStream, writer: asyncio.StreamWriter) -> None:
        while data := await stream.read():
            writer.write(data)
            await writer.drain()
        writer.write_eof()


class Responder(asyncio.DatagramProtocol):
    """Answers the path probe."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        answer = probe.answer(data, probe.ProbeKey(TRANSIT_ADDRESS, PROBE_KEY))
        if answer:
            self.transport.sendto(answer, addr)


def make_tls(folder: Path) -> tuple[bytes, ssl.SSLContext]:
    """A self-signed certificate that expired in the year 2000: to an agent as good as a clock off by decades."""
    path = folder / "tls.pem"
    if not path.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test hub")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(datetime.datetime(1999, 1, 1, tzinfo=datetime.UTC))
            .not_valid_after(datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC))
            .sign(key, hashes.SHA256())
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return ssl.PEM_cert_to_DER_cert(path.read_text()[path.read_text().index("-----BEGIN CERT") :]), context


if __name__ == "__main__":
    asyncio.run(Hub(Path(sys.argv[1])).run())
