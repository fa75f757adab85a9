"""How answers are shown: one JSON document, or readable lines."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum, IntEnum
from typing import Any

from ..domain.model import Job


def job_name(job: Job) -> str:
    """As people type it: technical-manager."""
    return job.name.lower().replace("_", "-")


def plain(value: Any) -> Any:
    """The value with nothing in it but what JSON knows."""
    if isinstance(value, Job):
        return job_name(value)
    if isinstance(value, IntEnum):
        return int(value)
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(plain(item) for item in value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


_collecting: list[list[Any]] = []


@contextmanager
def collected() -> Iterator[list[Any]]:
    """Answers go into the list instead of being printed while the block runs."""
    _collecting.append([])
    try:
        yield _collecting[-1]
    finally:
        _collecting.pop()


def show(value: Any, as_json: bool) -> None:
    """Print an answer. Nothing is printed for None, except as JSON: there `{}`."""
    document = plain(value)
    if _collecting:
        _collecting[-1].append({} if document is None else document)
    elif as_json:
        print(json.dumps({} if document is None else document, indent=2, ensure_ascii=False))
    elif isinstance(document, list):
        _table(document)
    elif isinstance(document, dict):
        for key, item in document.items():
            text = _cell(key, item)
            print(f"{key}:\n{text}" if "\n" in text else f"{key}: {text}")


def moment(seconds: float) -> str:
    """Seconds since the epoch as people read them."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


_MOMENTS = frozenset({"created", "expires", "starts", "ends", "last_seen", "last_used", "at", "changes_at"})
"""Keys whose numbers are seconds since the epoch."""
_NAMED = {"plant_name": "plant", "email": "person"}
"""In a table a name stands for the id; keys of cryptography say nothing there. JSON has them all."""
_KEYS = frozenset({"identity_key", "wireguard_key"})


def _cell(key: str, item: Any) -> str:
    if item is None:
        return "-"
    if key in _MOMENTS and isinstance(item, float):
        return moment(item)
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, list | dict):
        return ", ".join(map(str, item)) or "-"
    return str(item)


def _table(rows: list[dict[str, Any]]) -> None:
    if not rows:
        print("none")
        return
    hidden = _KEYS | {_NAMED[name] for name in _NAMED if name in rows[0]}
    columns = [column for column in rows[0] if column not in hidden]
    cells = [columns, *([_cell(column, row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[position]) for line in cells) for position in range(len(columns))]
    for line in cells:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
