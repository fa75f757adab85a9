"""Connection tracking over netlink: list the flows of people and end them.

Speaks the few ctnetlink messages it needs by itself: decoding is then some microseconds a flow, and nothing heavy is
imported. Message layouts: linux/netlink.h, linux/netfilter/nfnetlink_conntrack.h.
"""

import asyncio
import errno
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address
from typing import NamedTuple, TypeVar

from ..errors import KernelError
from .commands import NO_RIGHTS

T = TypeVar("T")

_NETLINK_NETFILTER = 12
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST, _ACK, _DUMP, _INTERRUPTED = 0x1, 0x4, 0x300, 0x10
_GET, _DELETE = 1 << 8 | 1, 1 << 8 | 2  # subsystem ctnetlink, IPCTNL_MSG_CT_GET and _DELETE
_NESTED, _TYPE_MASK = 0x8000, 0x3FFF

_CTA_TUPLE_ORIG, _CTA_TUPLE_REPLY, _CTA_ID, _CTA_FILTER = 1, 2, 12, 25
_CTA_TUPLE_IP, _CTA_TUPLE_PROTO = 1, 2
_CTA_IP_V4_SRC, _CTA_IP_V4_DST = 1, 2
_CTA_PROTO_NUM, _CTA_PROTO_SRC_PORT, _CTA_PROTO_DST_PORT = 1, 2, 3
_CTA_FILTER_ORIG_FLAGS, _CTA_FILTER_REPLY_FLAGS, _FILTER_IP_SRC = 1, 2, 1

_RECEIVE = 256 * 1024
_DELETES_AT_ONCE = 64
"""Deletions sent before their answers are read: their answers fit the default socket buffer."""
_DUMPS_BEFORE_GIVING_UP = 5
"""A dump that ran into a resize of the table is incomplete and taken again."""

# A TCP or UDP flow over IPv4 as every kernel lays it out: address family, then both tuples of 52 bytes.
_two_tuples = struct.Struct(">B3x 2s2s 8xI4xI8xB7xH6xH2x 2s2s 8xI4xI20x4x")
_TUPLE_LENGTH = struct.pack("=H", 52)
_TUPLE_KINDS = struct.pack("=H", _CTA_TUPLE_ORIG | _NESTED), struct.pack("=H", _CTA_TUPLE_REPLY | _NESTED)

_header = struct.Struct("=IHHII")
_attribute = struct.Struct("=HH")


class Flow(NamedTuple):
    """A tracked IPv4 flow, seen from both ends; `entry` is the kernel's own record of it."""

    source: IPv4Address
    destination: IPv4Address
    """What the originator asked for."""
    reply_source: IPv4Address
    """Who answers: differs from `destination` where it was translated."""
    reply_destination: IPv4Address
    protocol: int
    source_port: int
    destination_port: int
    entry: bytes


class Conntrack:
    """The connection tracking table of the network namespace in which this object was made."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="conntrack")
        try:
            self._socket = self._thread.submit(_open).result()
        except BaseException:
            self._thread.shutdown()
            raise
        self._sequence = 0
        self._pending: deque[tuple[int, int, memoryview]] = deque()

    async def flows(self, source: IPv4Address | None = None) -> list[Flow]:
        """All IPv4 flows, or those that `source` began. Raises KernelError."""
        return await self._call(lambda: self._dump(source))

    async def delete(self, flows: Iterable[Flow]) -> int:
        """End the flows; how many were still there. Raises KernelError."""
        handles = [_handle(flow.entry) for flow in flows]
        return await self._call(lambda: self._delete(handles)) if handles else 0

    def close(self) -> None:
        self._thread.submit(self._socket.close).result()
        self._thread.shutdown()

    async def _call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _dump(self, source: IPv4Address | None) -> list[Flow]:
        self._pending.clear()
        for _ in range(_DUMPS_BEFORE_GIVING_UP):
            flows: list[Flow] = []
            complete = True
            self._send(_GET, _DUMP, _source_filter(source) if source else b"")
            for kind, flags, payload in self._replies():
                complete = complete and not flags & _INTERRUPTED
                if kind == _GET - 1:  # each entry arrives as IPCTNL_MSG_CT_NEW
                    flow = decode(payload)
                    if flow is not None and source in (None, flow.source):
                        flows.append(flow)
            if complete:
                return flows
        raise KernelError("cannot list the flows: the table keeps changing its size", hint="try again")

    def _delete(self, handles: list[bytes]) -> int:
        deleted = 0
        for start in range(0, len(handles), _DELETES_AT_ONCE):
            part = handles[start : start + _DELETES_AT_ONCE]
            self._socket.send(b"".join(self._message(_DELETE, _ACK, handle) for handle in part))
            for _ in part:
                deleted += self._acknowledged()
        return deleted

    def _acknowledged(self) -> bool:
        try:
            for _ in self._replies():
                pass
        except KernelError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.ENOENT:
                return False  # it ended by itself
            raise
        return True

    def _send(self, kind: int, flags: int, attributes: bytes) -> None:
        self._socket.send(self._message(kind, flags, attributes))

    def _message(self, kind: int, flags: int, attributes: bytes) -> bytes:
        self._sequence += 1
        body = struct.pack("=BBH", socket.AF_INET, 0, 0) + attributes
        return _header.pack(_header.size + len(body), kind, flags | _REQUEST, self._sequence, 0) + body

    def _replies(self) -> Iterator[tuple[int, int, memoryview]]:
        """Messages up to the end of a dump, or up to one acknowledgement."""
        while True:
            if not self._pending:
                self._pending.extend(_messages(self._socket.recv(_RECEIVE)))
            kind, flags, payload = self._pending.popleft()
            if kind == _NLMSG_DONE:
                return
            if kind == _NLMSG_ERROR:
                _raise_for(struct.unpack_from("=i", payload)[0])
                return
            yield kind, flags, payload


def decode(payload: bytes | memoryview) -> Flow | None:
    """A flow from one ctnetlink message (from its nfgenmsg on); None if it is not IPv4."""
    return _decode_usual(payload) or _decode_any(payload)


def _decode_usual(payload: bytes | memoryview) -> Flow | None:
    if len(payload) < _two_tuples.size:
        return None
    family, length, kind, source, destination, protocol, source_port, destination_port, length_2, kind_2, by, to = (
        _two_tuples.unpack_from(payload)
    )
    usual = family == socket.AF_INET and length == length_2 == _TUPLE_LENGTH and (kind, kind_2) == _TUPLE_KINDS
    if not usual or protocol not in (socket.IPPROTO_TCP, socket.IPPROTO_UDP):
        return None
    ends = (IPv4Address(source), IPv4Address(destination), IPv4Address(by), IPv4Address(to))
    return Flow(*ends, protocol, source_port, destination_port, bytes(payload))


def _decode_any(payload: bytes | memoryview) -> Flow | None:
    tuples = dict(_attributes(payload[4:]))
    if payload[0] != socket.AF_INET or not {_CTA_TUPLE_ORIG, _CTA_TUPLE_REPLY} <= tuples.keys():
        return None
    source, destination, protocol, source_port, destination_port = _tuple(tuples[_CTA_TUPLE_ORIG])
    reply_source, reply_destination, *_ = _tuple(tuples[_CTA_TUPLE_REPLY])
    ends = (source, destination, reply_source, reply_destination)
    return Flow(*ends, protocol, source_port, destination_port, bytes(payload))


def _handle(entry: bytes) -> bytes:
    """What names exactly this flow to the kernel: its original tuple and its id."""
    return b"".join(
        _encode(kind | (_NESTED if kind == _CTA_TUPLE_ORIG else 0), bytes(value))
        for kind, value in _attributes(memoryview(entry)[4:])
        if kind in (_CTA_TUPLE_ORIG, _CTA_ID)
    )


def _tuple(data: memoryview | bytes) -> tuple[IPv4Address, IPv4Address, int, int, int]:
    source = destination = IPv4Address(0)
    protocol = source_port = destination_port = 0
    for kind, value in _attributes(data):
        if kind == _CTA_TUPLE_IP:
            for end, address in _attributes(value):
                if end == _CTA_IP_V4_SRC:
                    source = IPv4Address(bytes(address))
                elif end == _CTA_IP_V4_DST:
                    destination = IPv4Address(bytes(address))
        elif kind == _CTA_TUPLE_PROTO:
            for part, number in _attributes(value):
                if part == _CTA_PROTO_NUM:
                    protocol = number[0]
                elif part == _CTA_PROTO_SRC_PORT:
                    source_port = int.from_bytes(number, "big")
                elif part == _CTA_PROTO_DST_PORT:
                    destination_port = int.from_bytes(number, "big")
    return source, destination, protocol, source_port, destination_port


def _attributes(data: memoryview | bytes) -> Iterator[tuple[int, memoryview | bytes]]:
    offset = 0
    while offset + _attribute.size <= len(data):
        length, kind = _attribute.unpack_from(data, offset)
        if length < _attribute.size:
            return
        yield kind & _TYPE_MASK, data[offset + _attribute.size : offset + length]
        offset += (length + 3) & ~3


def _encode(kind: int, value: bytes) -> bytes:
    padding = -len(value) % 4
    return _attribute.pack(_attribute.size + len(value), kind) + value + bytes(padding)


def _source_filter(source: IPv4Address) -> bytes:
    """Only flows whose original source is this address (Linux 5.8; older kernels ignore it and we filter again)."""
    address = _encode(_CTA_IP_V4_SRC, source.packed) + _encode(_CTA_IP_V4_DST, bytes(4))
    original = _encode(_CTA_TUPLE_ORIG | _NESTED, _encode(_CTA_TUPLE_IP | _NESTED, address))
    flags = _encode(_CTA_FILTER_ORIG_FLAGS, struct.pack("=I", _FILTER_IP_SRC))
    flags += _encode(_CTA_FILTER_REPLY_FLAGS, struct.pack("=I", 0))
    return original + _encode(_CTA_FILTER | _NESTED, flags)


def _messages(data: bytes) -> Iterator[tuple[int, int, memoryview]]:
    view, offset = memoryview(data), 0
    while offset + _header.size <= len(view):
        length, kind, flags, _sequence, _port = _header.unpack_from(view, offset)
        yield kind, flags, view[offset + _header.size : offset + length]
        offset += (length + 3) & ~3


def _open() -> socket.socket:
    try:
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        opened.bind((0, 0))
        opened.settimeout(15.0)
    except OSError as error:
        raise KernelError(
            f"cannot open the connection tracking: {error.strerror}",
            hint="load the module with: modprobe nf_conntrack_netlink",
        ) from None
    return opened


def _raise_for(code: int) -> None:
    if code == 0:
        return
    cause = OSError(-code, os.strerror(-code))
    hint = NO_RIGHTS if -code == errno.EPERM else ""
    raise KernelError(f"cannot read or end tracked flows: {cause.strerror}", hint=hint) from cause
