"""Keeps docs/api.md in step with the code: `python -m plantgate_hub.api.documentation docs/api.md`.

The page's parts between the marks are rewritten; everything else on it is left as it is.
"""

import sys
from pathlib import Path

from plantgate_shared.generated import renew

from . import operations
from .operation import API, Tag
from .problems import STATUS, TITLES, TYPE_PREFIX, Problem

__all__ = ["operations", "render"]


def operation_list() -> str:
    """Every operation by chapter, with what a token needs for it."""
    parts = []
    for tag in Tag:
        rows = [
            f"| `{operation.method}` | `{operation.path}` | {operation.scope or 'signed in'} | {operation.summary} |"
            for operation in API
            if operation.tag is tag
        ]
        parts.append("\n".join([f"### {tag}", "", "| | | scope | |", "| --- | --- | --- | --- |", *rows]))
    return "\n\n".join(parts)


def problem_list() -> str:
    rows = [f"| `{TYPE_PREFIX}{problem}` | {STATUS[problem]} | {TITLES[problem]} |" for problem in Problem]
    return "\n".join(["| type | status | |", "| --- | --- | --- |", *rows])


SECTIONS = {"operations": operation_list, "Problem": problem_list}


def render(page: str) -> str:
    """The page with its generated parts renewed. Raises ValueError when a mark is missing."""
    return renew(page, SECTIONS)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(render(path.read_text(encoding="utf-8")), encoding="utf-8")
