"""Dials devices for the proxy: only approved targets inside the boundary, and streams both ways with backpressure."""

import asyncio
import errno
import socket
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address
from typing import Any, Protocol

from plantgate_shared.protocol import ResetReason
from plantgate_shared.tunnel import StreamReset, TunnelClosed

from .boundary import Boundary

CONNECT_TIMEOUT = 10.0
"""Seconds a device has to accept a connection; what is slower is off."""
CHUNK = 64 * 1024
"""Bytes read at once; also what a device's socket may have buffered in the agent."""
MAX_STREAMS = 256
"""Device connections at once: a gateway's file descriptors and memory are few."""

_UNREACHABLE = {
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.EHOSTDOWN,
    errno.EACCES,
    errno.EPERM,
    errno.EADDRNOTAVAIL,
}

Target = tuple[IPv4Address, int]


class Stream(Protocol):
    """What a stream of the tunnel offers (`plantgate_shared.tunnel.TunnelStream`)."""

    def accept(self) -> None: ...
    async def read(self, limit: int) -> bytes: ...
    async def write(self, data: bytes) -> None: ...
    async def write_eof(self) -> None: ...
    def reset(self, reason: ResetReason) -> None: ...


class Dialler:
    """Serves the streams that the hub opens. `update` narrows what is running, too."""

    def __init__(self) -> None:
        self._allowed: frozenset[Target] = frozenset()
        self._running: dict[asyncio.Task[None], Target] = {}

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def allowed(self) -> frozenset[Target]:
        return self._allowed

    def update(self, allowed: Iterable[Target]) -> None:
        """From now on only these; streams to anything else end at once."""
        self._allowed = frozenset(allowed)
        for task, target in self._running.items():
            if target not in self._allowed:
                task.cancel()

    async def serve(self, stream: Stream, target: Mapping[str, Any]) -> None:
        """One stream from the hub's request to its end; never raises but when cancelled."""
        wanted = parse_target(target)
        if wanted is None or wanted not in self._allowed or is_own(wanted[0]):
            stream.reset(ResetReason.NOT_ALLOWED)
            return
        if len(self._running) >= MAX_STREAMS:
            stream.reset(ResetReason.TOO_MANY)
            return
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  a coroutine runs in a task
        self._running[task] = wanted
        try:
            await _connect_and_pump(stream, wanted)
        except asyncio.CancelledError:
            still_allowed = wanted in self._allowed
            stream.reset(ResetReason.GONE if still_allowed else ResetReason.NOT_ALLOWED)
            if still_allowed:
                raise
            task.uncancel()  # it was `update` that ended it: the stream is over, its task goes on
        finally:
            del self._running[task]


def parse_target(target: Mapping[str, Any]) -> Target | None:
    """An address and a port; None for anything else, names included: the agent resolves nothing for the hub."""
    host, port = target.get("host"), target.get("port")
    if not isinstance(host, str) or type(port) is not int or not 1 <= port <= 65535:
        return None
    try:
        return IPv4Address(host), port
    except ValueError:
        return None


def approved(targets: Iterable[Target], boundary: Boundary) -> frozenset[Target]:
    """Of the hub's targets, those inside the boundary."""
    return frozenset(target for target in targets if boundary.contains(target[0]) and not is_never(target[0]))


def is_never(address: IPv4Address) -> bool:
    """Addresses that are no device wherever the boundary lies."""
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address == IPv4Address("255.255.255.255")
    )


def is_own(address: IPv4Address) -> bool:
    """Whether an address is the gateway's own: the kernel then takes it as its own source as well."""
    if is_never(address):
        return True
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), 9))
        except OSError:
            return False
        return str(probe.getsockname()[0]) == str(address)


def reset_reason(error: BaseException) -> ResetReason:
    """What the hub is told about a connection that did not come about."""
    if isinstance(error, TimeoutError):
        return ResetReason.TIMEOUT
    if isinstance(error, ConnectionError):
        return ResetReason.REFUSED
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return ResetReason.UNREACHABLE
    return ResetReason.FAILED


async def _connect_and_pump(stream: Stream, target: Target) -> None:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            reader, writer = await asyncio.open_connection(str(target[0]), target[1], limit=CHUNK)
    except OSError as error:  # TimeoutError is one
        stream.reset(reset_reason(error))
        return
    finished = False
    try:
        stream.accept()
        async with asyncio.TaskGroup() as group:
            group.create_task(_from_device(reader, stream))
            group.create_task(_to_device(stream, writer))
        finished = True
    except* OSError:  # the device went away in the middle
        stream.reset(ResetReason.GONE)
    except* (StreamReset, TunnelClosed):  # the hub did
        pass
    finally:
        await _close(writer, flush=finished)


async def _close(writer: asyncio.StreamWriter, *, flush: bool) -> None:
    """Let the device have what is buffered, but not for ever; or drop it with the connection."""
    if not flush:
        writer.transport.abort()
        return
    writer.close()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await writer.wait_closed()
    except OSError:
        writer.transport.abort()


async def _from_device(reader: asyncio.StreamReader, stream: Stream) -> None:
    while data := await reader.read(CHUNK):
        await stream.write(data)
    await stream.write_eof()


async def _to_device(stream: Stream, writer: asyncio.StreamWriter) -> None:
    while data := await stream.read(CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
