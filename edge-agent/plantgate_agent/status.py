"""The running agent's status: a file in the run folder, written whole by the worker, read by the command line."""

import contextlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plantgate_shared.errors import PlantgateError

FILE = "status.json"
FRESH_FOR = 15.0
"""Seconds after which a status is old: the worker writes it every 5."""


class NotRunning(PlantgateError):
    exit_code = 69  # EX_UNAVAILABLE


def write(run_dir: Path, document: Mapping[str, Any]) -> None:
    """Raises OSError."""
    fresh = run_dir / f".{FILE}.new"
    pid = os.getpid()
    stamped = {**document, "pid": pid, "born": _born(pid), "boottime": time.clock_gettime(time.CLOCK_BOOTTIME)}
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), "w", encoding="utf-8") as file:
        json.dump(stamped, file)
    fresh.replace(run_dir / FILE)


def clear(run_dir: Path) -> None:
    with contextlib.suppress(OSError):
        (run_dir / FILE).unlink(missing_ok=True)


def read(run_dir: Path) -> dict[str, Any]:
    """The document with `age` (seconds). Raises NotRunning."""
    hint = "start it with: systemctl start plantgate-agent"
    try:
        document: dict[str, Any] = json.loads((run_dir / FILE).read_text(encoding="utf-8"))
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - float(document["boottime"])
    except FileNotFoundError:
        raise NotRunning("the agent is not running", hint=hint) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotRunning(f"the agent's status cannot be read: {error}", hint=hint) from None
    document["age"] = round(max(age, 0.0), 1)
    if not -1.0 <= age <= FRESH_FOR:
        raise NotRunning(f"the agent gave its last status {age:.0f} s ago; it hangs or was killed", hint=hint)
    if _born(int(document.get("pid", 0))) != document.get("born", ""):
        raise NotRunning(
            "the agent's worker ended without a farewell; it is being started again or was killed", hint=hint
        )
    return document


def _born(pid: int) -> str:
    """When a process was started, in clock ticks after boot (proc(5), stat 22); empty for none. Pids are used again."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def render(document: Mapping[str, Any]) -> str:
    """For people: one fact a line."""
    lines = [f"plant      {document['plant']}", f"hub        {document['hub']}: {_tunnel(document)}"]
    path = document["path"]
    reason = f" ({document['path_reason']})" if document["path_reason"] else ""
    lines.append(f"path       {path}{reason}")
    age = document["handshake_age"]
    lines.append(f"wireguard  {'no handshake yet' if age is None else f'last handshake {age:.0f} s ago'}")
    lines.append(f"boundary   {', '.join(document['boundary']) or 'nothing'}")
    lines.append(f"reachable  {', '.join(document['accepted']) or 'nothing'}, revision {document['revision']}")
    lines += [f"refused    {entry['network']}: {entry['reason']}" for entry in document["refused"]]
    lines.append(f"streams    {document['streams']}")
    if document["error"]:
        lines.append(f"error      {document['error']}")
    lines += [f"warning    {warning}" for warning in document["warnings"]]
    return "\n".join(lines)


def _tunnel(document: Mapping[str, Any]) -> str:
    if document["connected"]:
        return "connected"
    return f"not connected: {document['problem']}" if document["problem"] else "connecting"
