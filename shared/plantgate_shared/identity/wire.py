"""Identity messages on the wire: short msgpack arrays, accepted in their one canonical form only.

What decodes must encode to the same bytes again, so that two different messages never mean the same: a signature
or MAC over the decoded fields then covers every bit that was received.
"""

import dataclasses
import typing
from typing import Any, TypeVar

import msgpack

from plantgate_shared.errors import ProtocolError

MAX_MESSAGE = 1024
"""Bytes of the longest identity message; the longest real one has about 400."""
MAX_TEXT = 128
"""Bytes of a name or id in UTF-8."""

M = TypeVar("M")


class MalformedMessage(ProtocolError):
    """A message that is no identity message, or not the one expected here."""


def pack(*fields: object) -> bytes:
    """Canonical bytes of a transcript or message: lists, integers, text and bytes have one encoding each."""
    return typing.cast(bytes, msgpack.packb(list(fields), use_bin_type=True))


def encode(tag: str, message: Any) -> bytes:
    """A frozen dataclass of ints, text and bytes as one message."""
    return pack(tag, *(getattr(message, field.name) for field in dataclasses.fields(message)))


def split(data: bytes) -> tuple[str, list[Any]]:
    """Tag and fields of a message. Raises MalformedMessage."""
    if len(data) > MAX_MESSAGE:
        raise MalformedMessage(
            f"an identity message of {len(data)} bytes is longer than {MAX_MESSAGE}",
            hint="the other side does not speak Plantgate's tunnel protocol",
        )
    try:
        fields = msgpack.unpackb(data, raw=False, strict_map_key=True)
    except Exception:  # msgpack raises many kinds, all of which mean the same here
        raise malformed("it is not msgpack") from None
    if not isinstance(fields, list) or not fields or not isinstance(fields[0], str):
        raise malformed("it is not an array that starts with its kind")
    if any(type(field) not in (int, str, bytes) for field in fields):
        raise malformed("a field is neither number nor text nor bytes")
    if pack(*fields) != data:
        raise malformed("it is not in canonical form")
    return fields[0], fields[1:]


def build(message: type[M], fields: list[Any]) -> M:
    """The message of a kind from its fields. Raises MalformedMessage when number or types of fields differ."""
    hints = typing.get_type_hints(message)
    names = [field.name for field in dataclasses.fields(typing.cast(Any, message))]
    if len(names) != len(fields):
        raise malformed(f"it has {len(fields)} fields instead of {len(names)}")
    for name, field in zip(names, fields, strict=True):
        if type(field) is not hints[name]:
            raise malformed(f"{name} is not {hints[name].__name__}")
        if isinstance(field, str) and len(field.encode()) > MAX_TEXT:
            raise malformed(f"{name} is longer than {MAX_TEXT} bytes")
    try:
        return message(*fields)
    except ValueError as error:  # the message's own __post_init__ checks
        raise malformed(str(error)) from None


def need_length(name: str, value: bytes, length: int) -> None:
    """For a message's __post_init__: raises ValueError unless `value` has exactly `length` bytes."""
    if len(value) != length:
        raise ValueError(f"{name} has {len(value)} bytes instead of {length}")


def malformed(what: str) -> MalformedMessage:
    return MalformedMessage(
        f"the other side sent an identity message that cannot be read: {what}",
        hint="check that both ends run a supported release and that nothing in between changes the traffic",
    )
