"""WireGuard's datagrams between the local WireGuard and the websocket, in batches.

One UDP socket on loopback, connected to the local WireGuard's port, so the kernel lets nobody else in. Datagrams that
wait together leave as one message: runs of equal size (a shorter one ends a run), as UDP GSO has them. Where the kernel
offers UDP_GRO and UDP_SEGMENT, one system call moves a whole batch; without, the same goes one by one.

Nothing waits here: what the tunnel's queue or WireGuard's socket does not take is dropped, as a network would.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Iterable, Iterator

_UDP_SEGMENT = 103
_UDP_GRO = 104
_SO_RCVBUFFORCE = 33

MAX_BATCH = 64 * 1024 - 512
"""Bytes of one batch: below what one frame of the tunnel and one UDP GSO call take."""
MAX_SEGMENTS = 64
"""Datagrams of one UDP GSO call (the kernel's UDP_MAX_SEGMENTS in every release)."""
READS_PER_TURN = 64
"""Receive calls before the event loop gets its turn: streams must not starve behind a full VPN."""
RECEIVE_BUFFER = 4 * 1024 * 1024
"""Bytes of the socket's buffer: a burst of a TCP window must survive a turn of the event loop."""
_GRO_SIZE = struct.Struct("=i")
_GSO_SIZE = struct.Struct("=H")

Send = Callable[[int, bytes], None]


class Relay:
    """`send(segment_size, data)` is called with batches from WireGuard; `deliver` takes the hub's batches."""

    def __init__(self, wireguard_port: int, send: Send) -> None:
        self._send = send
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.connect(("127.0.0.1", wireguard_port))
        _enlarge(self._socket)
        self._gro = _offers(self._socket, _UDP_GRO, 1)
        self._gso = _offers(self._socket, _UDP_SEGMENT, 0)
        self._buffer = bytearray(64 * 1024)
        self.dropped = 0
        """Datagrams that WireGuard's socket did not take."""

    @property
    def endpoint(self) -> str:
        """What WireGuard's peer has to be pointed at."""
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def start(self) -> None:
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._readable)

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()

    def deliver(self, segment_size: int, data: bytes) -> None:
        """A batch from the hub to the local WireGuard."""
        if segment_size <= 0:
            return
        if not self._gso:
            for segment in split(segment_size, data):
                self._send_one(segment)
            return
        step = segment_size * max(1, min(MAX_SEGMENTS, MAX_BATCH // segment_size))
        for start in range(0, len(data), step):
            self._send_batch(segment_size, data[start : start + step])

    def _send_batch(self, segment_size: int, data: bytes) -> None:
        if len(data) <= segment_size:
            self._send_one(data)
            return
        ancillary = [(socket.IPPROTO_UDP, _UDP_SEGMENT, _GSO_SIZE.pack(segment_size))]
        try:
            self._socket.sendmsg([data], ancillary)
        except (BlockingIOError, ConnectionRefusedError):
            self.dropped += -(-len(data) // segment_size)
        except OSError:  # a route or a kernel without segmentation for this size: one by one from here on
            self._gso = False
            for segment in split(segment_size, data):
                self._send_one(segment)

    def _send_one(self, datagram: bytes) -> None:
        try:
            self._socket.send(datagram)
        except OSError:  # full, or WireGuard is being made anew
            self.dropped += 1

    def _readable(self) -> None:
        batches = Batches()
        for _ in range(READS_PER_TURN):
            try:
                size, segment = self._receive()
            except BlockingIOError:
                break
            except OSError:  # an ICMP error about an earlier datagram
                continue
            received = self._buffer[:size]
            for ready in batches.add(bytes(received), segment or size):
                self._send(*ready)
        for ready in batches.flush():
            self._send(*ready)

    def _receive(self) -> tuple[int, int]:
        """Bytes received into the buffer, and the size of the datagrams they are (0: one)."""
        if not self._gro:
            return self._socket.recv_into(self._buffer), 0
        size, ancillary, _, _ = self._socket.recvmsg_into([self._buffer], 32)
        for level, kind, data in ancillary:
            if level == socket.IPPROTO_UDP and kind == _UDP_GRO and len(data) >= _GRO_SIZE.size:
                return size, _GRO_SIZE.unpack_from(data)[0]
        return size, 0


class Batches:
    """Joins datagrams into runs of equal size; the last of a run may be shorter. Pure."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._segment = 0

    def add(self, data: bytes, segment: int) -> Iterator[tuple[int, bytes]]:
        """`data` holds datagrams of `segment` bytes, the last may be shorter. Yields what is complete."""
        if not data:
            return
        if self._parts and (segment != self._segment and len(data) > self._segment or self._size + len(data) > MAX_BATCH):
            yield from self.flush()
        if self._parts and segment != self._segment and len(data) != segment:
            yield from self.flush()
        if not self._parts:
            self._segment = segment
        self._parts.append(data)
        self._size += len(data)
        if len(data) % self._segment:
            yield from self.flush()

    def flush(self) -> Iterator[tuple[int, bytes]]:
        if self._parts:
            joined = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts, self._size = [], 0
            yield self._segment, joined


def split(segment_size: int, data: bytes) -> Iterable[bytes]:
    """The datagrams of a batch."""
    return (data[start : start + segment_size] for start in range(0, len(data), segment_size))


def _enlarge(sock: socket.socket) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except OSError:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)


def _offers(sock: socket.socket, option: int, value: int) -> bool:
    try:
        sock.setsockopt(socket.IPPROTO_UDP, option, value)
    except OSError:
        return False
    return True
