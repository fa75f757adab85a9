"""Frames that wait for the channel and are not part of a stream's bytes: replies, credit, control, datagrams."""

from collections import deque
from collections.abc import Mapping
from typing import Any

from . import frames
from .errors import Flooded, LocalProtocolError
from .frames import Buffer, Frame
from .limits import MAX_CONTROL_BACKLOG, MAX_PENDING_PONGS, MAX_REPLIES


class Outbox:
    """Bounded queues, each by its own rule. `TunnelMux` is its only user."""

    def __init__(self, datagram_buffer: int) -> None:
        self.waiting = 0
        """Frames in it, credit counted once a stream."""
        self.datagrams_size = 0
        self._datagram_buffer = datagram_buffer
        self._small: deque[bytes] = deque()
        self._pongs: deque[bytes] = deque()
        self._grants: dict[int, int] = {}
        self._control: deque[bytes] = deque()
        self._control_size = 0
        self._datagrams: deque[bytes] = deque()

    @property
    def has_datagrams(self) -> bool:
        return bool(self._datagrams)

    @property
    def is_full(self) -> bool:
        """So many small frames wait that the peer cannot be reading."""
        return len(self._small) >= MAX_REPLIES

    def put(self, frame: Frame) -> None:
        """A small frame of our own, whose number is bounded by the number of streams."""
        self._small.append(frames.encode(frame))
        self.waiting += 1

    def reply(self, frame: Frame) -> None:
        """A small frame that the peer caused. Raises Flooded."""
        if self.is_full:
            raise Flooded(f"{MAX_REPLIES} replies wait for a peer that does not read them")
        self.put(frame)

    def pong(self, payload: bytes) -> None:
        if len(self._pongs) >= MAX_PENDING_PONGS:
            self._pongs.popleft()
            self.waiting -= 1
        self._pongs.append(frames.encode(frames.Pong(payload)))
        self.waiting += 1

    def grant(self, stream: int, size: int) -> None:
        """Give credit; what waits for the same stream goes out as one frame."""
        if stream in self._grants:
            self._grants[stream] += size
        else:
            self._grants[stream] = size
            self.waiting += 1

    def withdraw_grant(self, stream: int) -> None:
        """The stream is over: its credit is of no use any more."""
        if self._grants.pop(stream, None) is not None:
            self.waiting -= 1

    def control(self, message: Mapping[str, Any]) -> None:
        encoded = frames.encode(frames.Control(message))
        if self._control_size + len(encoded) > MAX_CONTROL_BACKLOG:
            raise LocalProtocolError("the peer does not read its control messages", hint="close the connection")
        self._control.append(encoded)
        self._control_size += len(encoded)
        self.waiting += 1

    def datagrams(self, segment_size: int, data: Buffer) -> bool:
        """Whether there was room for the batch."""
        if self.datagrams_size + len(data) > self._datagram_buffer:
            return False
        message = frames.encode_datagrams(segment_size, data)
        self._datagrams.append(message)
        self.datagrams_size += len(message)
        self.waiting += 1
        return True

    def next_small(self) -> bytes | None:
        """The next frame of those that make others progress."""
        if self._small:
            message = self._small.popleft()
        elif self._pongs:
            message = self._pongs.popleft()
        elif self._grants:
            stream = next(iter(self._grants))
            message = frames.encode_credit(stream, self._grants.pop(stream))
        elif self._control:
            message = self._control.popleft()
            self._control_size -= len(message)
        else:
            return None
        self.waiting -= 1
        return message

    def next_datagrams(self) -> bytes:
        message = self._datagrams.popleft()
        self.datagrams_size -= len(message)
        self.waiting -= 1
        return message

    def clear(self) -> None:
        for queue in (self._small, self._pongs, self._control, self._datagrams):
            queue.clear()
        self._grants.clear()
        self._control_size = self.datagrams_size = self.waiting = 0
