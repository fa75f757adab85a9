"""What a person or a program does on a lab host: fetch a page, read a register, run a command, watch a stream.

Every client's sockets are in the host's network; each call has a deadline and raises OSError when there is no answer
in time (TimeoutError is an OSError), so that `eventually` can wait for one.
"""

import asyncio
import contextlib
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp
import asyncssh
from aiohttp.abc import AbstractResolver, ResolveResult
from pymodbus import ModbusException
from pymodbus.client import AsyncModbusTcpClient
from pysnmp.hlapi.v3arch.asyncio import (
    CommunityData,
    ContextData,
    ObjectIdentity,
    ObjectType,
    SnmpEngine,
    UdpTransportTarget,
    get_cmd,
)

from .devices import stream
from .devices.identity import REGISTERS, SNMP_COMMUNITY, WEB_PASSWORD, WEB_USER, decode_label
from .hosts import CommandFailed, Host

SYS_NAME = "1.3.6.1.2.1.1.5.0"
TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


@dataclass
class Download:
    """A download in progress. `received` counts bytes, `last` is when (time.monotonic) some came last."""

    size: int
    received: int = 0
    last: float = 0.0
    ended: float | None = None
    """When it was over, complete or not."""
    error: str = ""
    """Why it is not complete."""

    @property
    def complete(self) -> bool:
        return self.received == self.size


@dataclass
class UdpStream:
    """What came of a device's datagrams: each arrival's time (time.monotonic) and text."""

    arrivals: list[tuple[float, str]] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.arrivals)

    @property
    def last(self) -> float:
        return self.arrivals[-1][0] if self.arrivals else 0.0

    @property
    def sender(self) -> str:
        """The label of the device that sent last, `north/inverter`."""
        return self.arrivals[-1][1].split()[0] if self.arrivals else ""


class Unresolved(OSError):
    """A name that nothing in the lab has."""


class _Names(AbstractResolver):
    """Names as the caller gives them (a leading dot stands for every name below), and literal addresses."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002  the lab's names have IPv4 addresses only
    ) -> list[ResolveResult]:
        below = (address for name, address in self._names.items() if name.startswith(".") and host.endswith(name))
        address = self._names.get(host) or next(below, None)
        if address is None:
            raise Unresolved(f"no address is known for {host}")
        flags = socket.AI_NUMERICHOST
        return [ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=flags)]

    async def close(self) -> None:
        """Nothing to close."""


class Client:
    """The clients of one host."""

    def __init__(self, host: Host) -> None:
        self.host = host

    @contextlib.asynccontextmanager
    async def http_session(
        self, names: Mapping[str, str] | None = None, tls: ssl.SSLContext | bool = False, **options: Any
    ) -> AsyncIterator[aiohttp.ClientSession]:
        """An HTTP client with cookies, as one browser has them.

        `names` maps host names to addresses: `{"portal.localhost": hub, ".devices.localhost": hub}`.
        Certificates are verified only where `tls` is a context.
        """

        def make(address: tuple[Any, ...]) -> socket.socket:
            family, kind, *_ = address
            return self.host.socket(cast(socket.SocketKind, kind), cast(int, family))

        connector = aiohttp.TCPConnector(resolver=_Names(names or {}), socket_factory=make, ssl=tls)
        jar = aiohttp.CookieJar(unsafe=True)  # devices set cookies on bare addresses
        async with aiohttp.ClientSession(connector=connector, cookie_jar=jar, **options) as session:
            yield session

    async def http(
        self,
        url: str,
        method: str = "GET",
        *,
        names: Mapping[str, str] | None = None,
        follow: bool = False,
        timeout: float = TIMEOUT,
        **options: Any,
    ) -> Response:
        """One request; the whole answer."""
        try:
            async with (
                asyncio.timeout(timeout),
                self.http_session(names) as session,
                session.request(method, url, allow_redirects=follow, **options) as answer,
            ):
                return Response(answer.status, answer.headers, await answer.read())
        except aiohttp.ClientError as error:
            raise ConnectionError(f"{url}: {error}") from error

    async def device_name(self, address: str, timeout: float = TIMEOUT) -> str:
        """The label that a device's web server gives: which plant's device answers at this address."""
        return (await self.http(f"http://{address}/name", timeout=timeout)).text

    @contextlib.asynccontextmanager
    async def download(self, url: str, **options: Any) -> AsyncIterator[Download]:
        """A download that runs while the block does; look at `received`, `last` and `ended` meanwhile."""
        async with self.http_session(options.pop("names", None)) as session, session.get(url, **options) as answer:
            answer.raise_for_status()
            progress = Download(int(answer.headers["Content-Length"]))
            task = asyncio.create_task(_follow(answer, progress))
            try:
                yield progress
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def modbus_read(self, address: str, start: int, count: int, timeout: float = TIMEOUT) -> list[int]:
        """Holding registers over Modbus TCP."""

        async def read() -> list[int]:
            client = AsyncModbusTcpClient(address, timeout=timeout, retries=0, reconnect_delay=0)
            try:
                async with asyncio.timeout(timeout):
                    if not await client.connect():
                        raise ConnectionError(f"no Modbus connection to {address}")
                    answer = await client.read_holding_registers(start, count=count)
            except ModbusException as error:
                raise ConnectionError(f"Modbus {address}: {error}") from None
            finally:
                client.close()
            if answer.isError():
                raise ConnectionError(f"Modbus {address}: {answer}")
            return list(answer.registers)

        return await self.host.call(lambda: asyncio.run(read()))

    async def modbus_name(self, address: str, timeout: float = TIMEOUT) -> str:
        """The label that a device's registers spell."""
        return decode_label(await self.modbus_read(address, 0, REGISTERS, timeout))

    async def ssh(self, address: str, command: str = "name", timeout: float = TIMEOUT) -> str:
        """What a command on a device prints; `name` says which device it is."""
        made = self.host.socket()
        try:
            async with asyncio.timeout(timeout):
                await asyncio.get_running_loop().sock_connect(made, (address, 22))
                options: dict[str, Any] = {"username": WEB_USER, "password": WEB_PASSWORD, "config": None}
                async with asyncssh.connect(sock=made, known_hosts=None, client_keys=None, **options) as connection:
                    done = await connection.run(command, check=True)
        except asyncssh.Error as error:
            raise ConnectionError(f"SSH {address}: {error}") from None
        finally:
            made.close()
        return str(done.stdout).strip()

    async def snmp_get(self, address: str, oid: str = SYS_NAME, timeout: float = TIMEOUT) -> str:
        """One value over SNMP v2c; by default the device's sysName, which is its label."""

        async def get() -> str:
            engine = SnmpEngine()
            try:
                target = await UdpTransportTarget.create((address, 161), timeout=timeout, retries=0)
                asked = ObjectType(ObjectIdentity(oid))
                community = CommunityData(SNMP_COMMUNITY)
                failed, refused, _, values = await get_cmd(engine, community, target, ContextData(), asked)
            finally:
                engine.close_dispatcher()
            if failed or refused:
                raise TimeoutError(f"SNMP {address}: {failed or refused}")
            return str(values[0][1])

        return await self.host.call(lambda: asyncio.run(get()))

    async def ping(self, address: str, timeout: float = 2.0, size: int = 56, may_fragment: bool = True) -> float:
        """The round-trip time of one ICMP echo in milliseconds. Raises ConnectionError with what ping said instead."""
        options = ["-c", "1", "-W", str(timeout), "-s", str(size), "-M", "dont" if may_fragment else "do"]
        done = await self.host.exec(["ping", *options, address], check=False, timeout=timeout + TIMEOUT)
        if (found := re.search(r"time=([\d.]+) ms", done.stdout)) and done.status == 0:
            return float(found[1])
        raise ConnectionError(f"no echo from {address}: {done.stdout} {done.stderr}")

    @contextlib.asynccontextmanager
    async def udp_stream(self, address: str, rate: float = 50.0) -> AsyncIterator[UdpStream]:
        """Ask a device for its stream and record what arrives while the block runs.

        Nothing is sent after the one request until the block ends: whatever arrives, the device sends unasked.
        """
        loop = asyncio.get_running_loop()
        made = self.host.socket(socket.SOCK_DGRAM)
        made.connect((address, stream.PORT))
        recorded = UdpStream()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Recorder(recorded), sock=made)
        try:
            transport.sendto(f"start {rate}".encode())
            yield recorded
        finally:
            transport.sendto(b"stop")
            transport.close()


class _Recorder(asyncio.DatagramProtocol):
    def __init__(self, recorded: UdpStream) -> None:
        self.recorded = recorded

    def datagram_received(self, data: bytes, _sender: tuple[str, int]) -> None:
        self.recorded.arrivals.append((time.monotonic(), data.decode()))

    def error_received(self, exc: Exception) -> None:
        """An ICMP error says that a datagram got nowhere; that nothing arrives says the same."""


async def _follow(answer: aiohttp.ClientResponse, progress: Download) -> None:
    try:
        async for part in answer.content.iter_any():
            progress.received += len(part)
            progress.last = time.monotonic()
    except (aiohttp.ClientError, OSError) as error:
        progress.error = str(error) or type(error).__name__
    finally:
        progress.ended = time.monotonic()


async def answers(attempt: Callable[[], Any]) -> bool:
    """Whether a client's call gets an answer."""
    try:
        await attempt()
    except (OSError, CommandFailed):
        return False
    return True
