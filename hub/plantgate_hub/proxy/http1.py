"""HTTP/1 towards devices, pure: writing requests, and reading what real devices answer.

Strict where a mistake would be dangerous (two lengths that disagree, endless headers), lenient where devices are known
to be sloppy: bare newlines, missing reason phrases, lines without a colon, folded lines, spaces before colons, HTTP/1.0
and older spellings of the version, a body that just ends when the connection does.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

MAX_HEAD = 128 * 1024
"""Bytes of a response head: devices send long cookies and policies, none of them this long."""
MAX_HEADERS = 300
MAX_CHUNK_LINE = 4096

_STATUS = re.compile(rb"(?:HTTP/(\d)(?:\.(\d))?|HTTP|ICY)[ \t]+(\d{3})(?:[ \t]+(.*))?")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class BadReply(Exception):
    """The device's answer cannot be understood, and guessing would be dangerous; says why."""


@dataclass(frozen=True, slots=True)
class ReplyHead:
    status: int
    reason: str
    version: tuple[int, int]
    headers: tuple[tuple[str, str], ...]

    def values(self, name: str) -> list[str]:
        """The values of a header (lower case name)."""
        return [value for found, value in self.headers if found.lower() == name]


class Framing(Enum):
    """How the end of a body is found, where it is not a length."""

    NONE = "no body"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until the connection ends"


def is_token(name: str) -> bool:
    """Whether `name` can name a header or a cookie (RFC 9110, 5.6.2)."""
    return _TOKEN.fullmatch(name) is not None


def request_head(method: str, target: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """A request's head; `target` goes out byte for byte (it was read as ASCII)."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


class HeadReader:
    """Collects bytes until a response head is complete; keeps what comes after it."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # an end of the head cannot lie before: each byte is looked at once, however it drips in

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def head(self) -> ReplyHead | None:
        """The next head; None while it is not complete. Raises BadReply."""
        if not self._searched:
            del self._buffer[: len(self._buffer) - len(self._buffer.lstrip(b"\r\n"))]
        end = _END_OF_HEAD.search(self._buffer, max(0, self._searched - 3))
        self._searched = len(self._buffer)
        if (end.end() if end else self._searched) > MAX_HEAD:
            raise BadReply(f"its header is longer than {MAX_HEAD} bytes")
        if end is None:
            return None
        lines = bytes(self._buffer[: end.start()]).split(b"\n")
        del self._buffer[: end.end()]
        self._searched = 0
        return _read_head(lines)

    def rest(self) -> bytes:
        """Takes the bytes after the head that have come already."""
        data = bytes(self._buffer)
        self._buffer.clear()
        return data


def _read_head(lines: list[bytes]) -> ReplyHead:
    status = _STATUS.fullmatch(lines[0].strip())
    if status is None:
        raise BadReply("its first line is not HTTP")
    major, minor, code, reason = status.groups()
    version = (int(major), int(minor or 0)) if major else (1, 0)
    return ReplyHead(int(code), _text(reason or b""), version, _read_headers(lines[1:]))


def _read_headers(lines: list[bytes]) -> tuple[tuple[str, str], ...]:
    headers: list[tuple[str, str]] = []
    for line in lines:
        if line[:1] in (b" ", b"\t") and headers:  # RFC 9112, 5.2: a folded line continues the one before
            name, value = headers[-1]
            headers[-1] = (name, f"{value} {_text(line)}".strip())
            continue
        raw_name, colon, raw_value = line.partition(b":")
        name = _text(raw_name)
        if colon and is_token(name):
            headers.append((name, _text(raw_value)))
        if len(headers) > MAX_HEADERS:
            raise BadReply(f"it has more than {MAX_HEADERS} headers")
    return tuple(headers)


def _text(raw: bytes) -> str:
    raw = raw.strip(b" \t\r").replace(b"\r", b" ").replace(b"\0", b"")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def framing_of(method: str, head: ReplyHead) -> Framing | int:
    """How the body of the answer to `method` ends: a length in bytes, or one of Framing. Raises BadReply."""
    if method == "HEAD" or head.status in (204, 304) or head.status < 200:
        return Framing.NONE
    codings = [coding.strip().lower() for value in head.values("transfer-encoding") for coding in value.split(",")]
    if codings and codings[-1] == "chunked":
        if len(codings) > 1:
            raise BadReply(f"its transfer coding is {', '.join(codings)}")
        return Framing.CHUNKED
    lengths = {part.strip() for value in head.values("content-length") for part in value.split(",")}
    if len(lengths) > 1:
        raise BadReply("it names two different lengths")
    length = lengths.pop() if lengths else ""
    return int(length) if length.isascii() and length.isdigit() and len(length) < 19 else Framing.UNTIL_CLOSE


class ChunkReader:
    """Takes a chunked body apart. `finished` once the last chunk and the trailers were read."""

    def __init__(self) -> None:
        self.finished = False
        self._line = bytearray()
        self._left = 0  # of the current chunk's data
        self._after_data = False
        self._in_trailers = False

    def feed(self, data: bytes) -> bytes:
        """The body bytes in `data`; what comes after the body is dropped. Raises BadReply."""
        body: list[bytes] = []
        at = 0
        while at < len(data) and not self.finished:
            if self._left:
                piece = data[at : at + self._left]
                body.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._after_data = self._left == 0
                continue
            newline = data.find(b"\n", at)
            self._line += data[at : newline + 1] if newline >= 0 else data[at:]
            if len(self._line) > MAX_CHUNK_LINE:
                raise BadReply("a chunk's size line is too long")
            if newline < 0:
                break
            at = newline + 1
            self._end_of_line(bytes(self._line).strip())
            self._line.clear()
        return body[0] if len(body) == 1 else b"".join(body)

    def _end_of_line(self, line: bytes) -> None:
        if self._in_trailers:
            self.finished = not line
            return
        if self._after_data and not line:
            self._after_data = False
            return
        size = line.partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", size):
            raise BadReply("a chunk's size is not a number")
        self._after_data = False
        self._left = int(size, 16)
        self._in_trailers = self._left == 0


def chunk(data: bytes) -> bytes:
    """One chunk of a body we send; empty for the last one."""
    return b"%x\r\n%b\r\n" % (len(data), data)
