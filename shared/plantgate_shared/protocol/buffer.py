"""A queue of bytes that copies as little as it can."""

from collections import deque

from .frames import Buffer

_SMALL = 1024
"""Pieces up to this size are gathered: an object each would cost more memory than its bytes, and a peer could send a
window full of single bytes."""
_GATHERED = 16 * 1024
"""Size at which a gathered piece is left alone, so that appending stays cheap."""


class ByteQueue:
    """Bytes in, bytes out, in order. Large pieces are kept as they came; only small ones are gathered."""

    __slots__ = ("_pieces", "size")

    def __init__(self) -> None:
        self._pieces: deque[Buffer] = deque()
        self.size = 0
        """Bytes in it."""

    def append(self, data: Buffer) -> None:
        """Put `data` at the end; it must not change afterwards."""
        size = len(data)
        self.size += size
        pieces = self._pieces
        if size > _SMALL:
            pieces.append(data)
        elif pieces and type(last := pieces[-1]) is bytearray and len(last) < _GATHERED:
            last += data
        elif size:
            pieces.append(bytearray(data))

    def take(self, limit: int) -> bytes:
        """Up to `limit` bytes from the front; empty only when the queue is (or the limit is 0)."""
        pieces = self._pieces
        if pieces and type(first := pieces[0]) is bytes:
            size = len(first)
            if size <= limit and (len(pieces) == 1 or size + len(pieces[1]) > limit):  # the usual case with bulk data
                self.size -= size
                pieces.popleft()
                return first
        parts, _ = self.take_parts(limit)
        if len(parts) == 1 and type(parts[0]) is bytes:
            return parts[0]
        return b"".join(parts)

    def take_parts(self, limit: int) -> tuple[list[Buffer], int]:
        """Like `take`, as a list of buffers and their total size. A piece is cut only when not even the first one fits,
        so that whole frames stay whole."""
        pieces = self._pieces
        parts: list[Buffer] = []
        taken = 0
        while pieces and taken + len(pieces[0]) <= limit:
            piece = pieces.popleft()
            taken += len(piece)
            parts.append(piece)
        if not parts and pieces and limit > 0:
            piece = pieces[0]
            view = memoryview(bytes(piece) if type(piece) is bytearray else piece)
            parts, taken, pieces[0] = [view[:limit]], limit, view[limit:]
        self.size -= taken
        return parts, taken

    def clear(self) -> None:
        self._pieces.clear()
        self.size = 0
