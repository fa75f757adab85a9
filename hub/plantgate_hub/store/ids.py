"""Identifiers: UUID version 7 (RFC 9562), so that newer rows sort after older ones."""

import os
import time
import uuid


def new_id() -> str:
    """A new UUIDv7 as text."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & (2**48 - 1)) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76  # version
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant
    return str(uuid.UUID(int=value))


def made_at(identifier: str) -> float | None:
    """When `new_id` made the identifier, in seconds since the epoch; None for one that it did not make."""
    try:
        value = uuid.UUID(identifier)
    except ValueError:
        return None
    return (value.int >> 80) / 1000 if value.version == 7 else None
