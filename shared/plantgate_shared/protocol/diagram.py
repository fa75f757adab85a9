"""Keeps docs/protocol.md in step with the code: `python -m plantgate_shared.protocol.diagram docs/protocol.md`.

The page's hand-written text stays as it is; what stands between two marks is generated.
"""

import sys
from pathlib import Path

from ..generated import renew
from .frames import GoAwayReason, ResetReason
from .states import STREAM_TRANSITIONS, StreamState


def stream_diagram() -> str:
    """The stream's state machine as a Mermaid diagram."""
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f'    state "{state}" as {state.name}' for state in StreamState]
    lines.append(f"    [*] --> {StreamState.IDLE.name}")
    for state, row in STREAM_TRANSITIONS.items():
        for target in dict.fromkeys(row.values()):
            events = ", ".join(event for event, to in row.items() if to is target)
            lines.append(f"    {state.name} --> {target.name}: {events}")
    return "\n".join([*lines, "```"])


def reasons() -> str:
    """Every reason that a RESET or a GOAWAY can name."""
    resets = ", ".join(f"`{reason}`" for reason in ResetReason)
    goaways = ", ".join(f"`{reason}`" for reason in GoAwayReason)
    return f"RESET: {resets}.\n\nGOAWAY: {goaways}."


SECTIONS = {"STREAM_TRANSITIONS": stream_diagram, "ResetReason, GoAwayReason": reasons}


def render(page: str) -> str:
    """The page with its generated parts renewed. Raises ValueError when a mark is missing."""
    return renew(page, SECTIONS)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(render(path.read_text(encoding="utf-8")), encoding="utf-8")
