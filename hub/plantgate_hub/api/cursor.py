"""Cursors of paginated lists: the key of the last item shown, in a text that is not for reading."""

import base64
import binascii
import json
from collections.abc import Sequence

from .problems import ApiProblem, Problem


def encode(key: Sequence[str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(list(key)).encode()).decode().rstrip("=")


def decode(cursor: str) -> tuple[str, ...]:
    """The key; () for the empty cursor of the first page. Raises ApiProblem."""
    if not cursor:
        return ()
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        key = json.loads(raw)
    except (binascii.Error, ValueError, RecursionError):
        key = None
    if not isinstance(key, list) or not key or not all(isinstance(part, str) for part in key):
        raise ApiProblem(Problem.INVALID, "the cursor is not one that a page named", hint="begin at the first page")
    return tuple(key)
