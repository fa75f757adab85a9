"""A UDP socket on asyncio's loop that moves datagrams in batches: UDP GSO and GRO where the kernel offers them.

A batch is (segment size, bytes): datagrams end to end, all of the segment size but the last, which may be shorter. That
is what the kernel takes with UDP_SEGMENT and gives with UDP_GRO, and what a DATAGRAMS frame carries, so one system call
and one websocket message move up to 64 datagrams. Where the sender gave them one by one (the kernel's WireGuard does),
those that wait together are put together here.

Nothing queues in this process: what the kernel's socket buffer or the receiver of a batch cannot take is dropped, as in
any network.
"""

import asyncio
import errno
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

Address = tuple[str, int]
OnDatagrams = Callable[[int, bytes], None]
"""Takes (segment size, bytes) at once and keeps or drops it."""

UDP_SEGMENT = 103  # linux/udp.h; Python's socket module does not name them
UDP_GRO = 104
MAX_SEGMENTS = 64
"""UDP_MAX_SEGMENTS of kernels before 6.9; newer ones take 128."""
MAX_PAYLOAD = 65507
"""Bytes of the largest IPv4 UDP payload, and so of the largest batch in one system call."""
MAX_BATCH = 65536
"""Bytes of the largest batch handed on; a DATAGRAMS frame carries no more."""
READS_A_TURN = 64
"""System calls before other tasks of the loop get their turn."""
SOCKET_BUFFER = 1 << 20
"""Bytes asked for each direction: 25 ms at 300 Mbit/s. The default (208 KiB) loses datagrams in every burst."""

_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_ANCILLARY = socket.CMSG_SPACE(struct.calcsize("i"))
_NO_OFFLOAD = frozenset({errno.EIO, errno.EINVAL, errno.EOPNOTSUPP, errno.EMSGSIZE})


@dataclass(slots=True)
class Counters:
    """What went through a socket since it was opened."""

    received: int = 0
    sent: int = 0
    dropped: int = 0
    receive_calls: int = 0
    send_calls: int = 0


class Batcher:
    """Joins consecutive datagrams of one size into batches. Pure; `flush` ends the batch in the making."""

    __slots__ = ("_emit", "_parts", "_segment", "_size")

    def __init__(self, emit: OnDatagrams) -> None:
        self._emit = emit
        self._parts: list[bytes] = []
        self._segment = 0
        self._size = 0

    def add(self, segment: int, data: bytes) -> None:
        """A datagram (`segment` is its size then) or a batch."""
        size = len(data)
        if not size:
            return
        if self._parts and (segment > self._segment or self._size + size > MAX_BATCH):
            self.flush()
        if self._parts and segment < self._segment and size > segment:
            self.flush()  # several shorter ones cannot all be the last
        if not self._parts:
            self._segment = segment
        self._parts.append(data)
        self._size += size
        if size % self._segment:  # a shorter one can only be the last
            self.flush()

    def flush(self) -> None:
        if not self._parts:
            return
        parts, self._parts, self._size = self._parts, [], 0
        self._emit(self._segment, parts[0] if len(parts) == 1 else b"".join(parts))


class BatchSocket:
    """A UDP socket that talks to one address. Made by `open_socket`; `offload` says whether GSO and GRO are in use."""

    def __init__(self, sock: socket.socket, on_datagrams: OnDatagrams, *, offload: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = sock
        self._batcher = Batcher(on_datagrams)
        self.counters = Counters()
        self.offload = offload and _enable_offload(sock)
        self._loop.add_reader(sock, self._readable)

    @property
    def address(self) -> Address:
        """Where the socket is bound."""
        host, port = self._socket.getsockname()
        return host, port

    def connect(self, remote: Address) -> None:
        """Talk to `remote` from now on; the kernel drops what comes from elsewhere."""
        self._socket.connect(remote)

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    # --- sending ---

    def send(self, segment: int, data: bytes | memoryview) -> None:
        """Send a batch, as far as the kernel takes it now. Malformed sizes are dropped."""
        size = len(data)
        if not 0 < segment <= MAX_PAYLOAD or not size:
            self.counters.dropped += 1
            return
        if size <= segment:
            self._send_one(data)
        elif self.offload:
            self._send_offloaded(segment, memoryview(data))
        else:
            self._send_singly(segment, memoryview(data))

    def _send_offloaded(self, segment: int, data: memoryview) -> None:
        step = min(MAX_SEGMENTS, MAX_PAYLOAD // segment) * segment
        ancillary = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", segment))]
        for start in range(0, len(data), step):
            chunk = data[start : start + step]
            if len(chunk) <= segment:
                self._send_one(chunk)
                continue
            try:
                self.counters.send_calls += 1
                self._socket.sendmsg([chunk], ancillary)
                self.counters.sent += -(-len(chunk) // segment)
            except OSError as error:
                if error.errno in _NO_OFFLOAD:  # this path cannot: a device without checksum offload, a smaller MTU
                    self.offload = False
                    self._send_singly(segment, data[start:])
                    return
                if error.errno == errno.ECONNREFUSED:  # reports an earlier datagram and sends nothing of this one
                    self._send_singly(segment, chunk)
                else:
                    self.counters.dropped += -(-len(chunk) // segment)

    def _send_singly(self, segment: int, data: memoryview) -> None:
        for start in range(0, len(data), segment):
            self._send_one(data[start : start + segment])

    def _send_one(self, datagram: bytes | memoryview) -> None:
        for _ in range(2):  # the first try may only report that an earlier datagram was refused
            try:
                self.counters.send_calls += 1
                self._socket.send(datagram)
            except ConnectionRefusedError:
                continue
            except OSError:
                break
            self.counters.sent += 1
            return
        self.counters.dropped += 1

    # --- receiving ---

    def _readable(self) -> None:
        for _ in range(READS_A_TURN):
            try:
                segment, data = self._receive()
            except (BlockingIOError, InterruptedError):
                break
            except OSError:  # an ICMP error about something sent before; the socket itself is fine
                continue
            self._batcher.add(segment, data)
            if self._socket.fileno() < 0:  # closed by whoever took the batch
                return
        self._batcher.flush()

    def _receive(self) -> tuple[int, bytes]:
        counters = self.counters
        if not self.offload:
            data = self._socket.recv(MAX_BATCH)
            counters.receive_calls += 1
            counters.received += 1
            return len(data), data
        data, ancillary, _, _ = self._socket.recvmsg(MAX_BATCH, _ANCILLARY)
        segment = len(data)
        for level, kind, value in ancillary:
            if level == socket.IPPROTO_UDP and kind == UDP_GRO:
                segment = int(struct.unpack_from("=i", value)[0])
        counters.receive_calls += 1
        counters.received += -(-len(data) // segment) if segment else 1
        return segment, data


def _enable_offload(sock: socket.socket) -> bool:
    try:
        sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 0)  # 0: no default size, only asks whether it exists
        sock.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
    except OSError:
        return False
    return True


def size_buffers(sock: socket.socket, size: int = SOCKET_BUFFER) -> None:
    """Give `sock` buffers of `size` bytes: beyond the system's limit with CAP_NET_ADMIN, else up to it."""
    for forced, ordinary in ((_SO_RCVBUFFORCE, socket.SO_RCVBUF), (_SO_SNDBUFFORCE, socket.SO_SNDBUF)):
        try:
            sock.setsockopt(socket.SOL_SOCKET, forced, size)
        except OSError:
            sock.setsockopt(socket.SOL_SOCKET, ordinary, size)


def open_socket(
    on_datagrams: OnDatagrams,
    *,
    local: Address = ("127.0.0.1", 0),
    remote: Address | None = None,
    offload: bool = True,
) -> BatchSocket:
    """A socket bound to `local`, connected to `remote` if given. Call it with the loop running. Raises OSError."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        size_buffers(sock)
        sock.bind(local)
        if remote is not None:
            sock.connect(remote)
        return BatchSocket(sock, on_datagrams, offload=offload)
    except BaseException:
        sock.close()
        raise
