"""What is written down about a lab that is up: enough to find and end every part of it, also after a crash."""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plantgate_shared.errors import Conflict, NotFound, PlantgateError

BASE = Path("/run/plantgate-lab")
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
"""What a lab may be called."""
MARK = "PLANTGATE_LAB"
"""Environment variable of every process of a lab: the lab's name."""
UNFINISHED_GRACE = 10.0
"""Seconds in which a killed host has to be gone; the kernel takes a second or two to take its network apart."""


class LabError(PlantgateError):
    """The lab could not do what it was asked for."""


@dataclass(frozen=True, slots=True)
class ProcessRef:
    """A process of this machine: its pid and when it started (ticks since boot): no recycled pid."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> "ProcessRef":
        return cls(pid, _start_time(pid))

    @property
    def alive(self) -> bool:
        try:
            return _start_time(self.pid) == self.started
        except ProcessLookupError:
            return False

    def kill(self, patience: float = UNFINISHED_GRACE) -> None:
        """SIGKILL it unless it is gone, and wait until it is. Raises LabError after `patience` seconds."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if not self.alive:  # looked at after the handle was taken: the handle's process is the one we mean
                return
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            if not select.select([handle], [], [], patience)[0]:
                raise LabError(f"process {self.pid} did not end within {patience:.0f} s of SIGKILL")
        finally:
            os.close(handle)


def _start_time(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessLookupError(pid) from None
    state, *fields = stat.rpartition(")")[2].split()
    if state in "ZX":
        raise ProcessLookupError(pid)
    return int(fields[18])


class LabState:
    """The folder of one lab under `BASE`.

    `holders/HOST` is written by the host's own first process, `creator` and `document.json` by the creator.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = BASE / name
        self.logs = self.folder / "logs"
        self.holders = self.folder / "holders"
        self.files = self.folder / "files"

    def claim(self, keep: bool) -> None:
        """Take the name. Raises Conflict when a living lab has it; what a dead one left is cleared away.

        A lab that is kept outlives the process that makes it, once it is complete.
        """
        BASE.mkdir(mode=0o755, exist_ok=True)
        for _ in range(2):
            try:
                self.folder.mkdir(mode=0o755)
                break
            except FileExistsError:
                if self.is_up:
                    raise Conflict(
                        f"the lab {self.name!r} is already up", hint=f"labs up: {', '.join(names())}"
                    ) from None
                self.remove()
        else:
            raise Conflict(f"the lab {self.name!r} is being made by another process right now")
        for folder in (self.logs, self.holders, self.files):
            folder.mkdir()
        creator = ProcessRef.of(os.getpid())
        self._write("creator", {"pid": creator.pid, "started": creator.started, "keep": keep})

    @property
    def is_up(self) -> bool:
        """Whether it is complete and lives, or its creator is still at work on it."""
        creator = self._read("creator")
        if creator is None:  # claimed a moment ago, or never finished being claimed
            return time.time() - self.folder.stat().st_mtime < UNFINISHED_GRACE if self.folder.exists() else False
        if ProcessRef(creator["pid"], creator["started"]).alive:
            return True
        kept = creator["keep"] and self.document is not None
        return kept and any(holder.alive for holder in self.registered().values())

    def registered(self) -> dict[str, ProcessRef]:
        found = {}
        for path in sorted(self.holders.glob("*")):
            if path.suffix != ".new" and (entry := self._read(f"holders/{path.name}")):
                found[path.name] = ProcessRef(**entry)
        return found

    @property
    def document(self) -> dict[str, Any] | None:
        return self._read("document.json")

    @document.setter
    def document(self, value: dict[str, Any]) -> None:
        self._write("document.json", value)

    def remove(self) -> None:
        """End every host and forget the lab. Safe after any crash, and twice.

        The folder goes away first in its name, so that a host that is only just starting cannot register any more.
        """
        grave = BASE / f".{self.name}.{os.getpid()}"
        try:
            self.folder.rename(grave)
        except FileNotFoundError:
            return
        _end_commands(self.name)
        buried = LabState(grave.name)
        with ThreadPoolExecutor(32) as pool:  # the kernel takes a second for each network it takes apart
            list(pool.map(ProcessRef.kill, buried.registered().values()))
        shutil.rmtree(grave, ignore_errors=True)

    def _read(self, path: str) -> dict[str, Any] | None:
        try:
            content: dict[str, Any] = json.loads((self.folder / path).read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None
        return content

    def _write(self, path: str, content: dict[str, Any]) -> None:
        """Replace a file at once: a reader never sees half of it."""
        new = self.folder / f"{path}.new"
        new.write_text(json.dumps(content, indent=2) + "\n")
        new.replace(self.folder / path)


def names() -> list[str]:
    """The labs that are up, after clearing away what dead ones left."""
    if not BASE.exists():
        return []
    up = []
    for folder in sorted(BASE.iterdir()):
        state = LabState(folder.name)
        if not folder.name.startswith(".") and state.is_up:
            up.append(folder.name)
            continue
        with contextlib.suppress(LabError):  # what cannot be cleared away now is nobody's problem who asks for a lab
            _bury(state) if folder.name.startswith(".") else state.remove()
    return up


def _end_commands(name: str) -> None:
    """SIGKILL what entered the lab's hosts from outside. A stopped one (SIGSTOP) would never take note of its command's
    end, and the host's last process could not be reaped."""
    mark = f"{MARK}={name}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if words[0] == b"nsenter" and mark in words:
                os.kill(int(folder.name), signal.SIGKILL)


def _bury(state: LabState) -> None:
    """Finish a removal that was cut short, or that another process is at just now: what lies here is condemned."""
    for holder in state.registered().values():
        holder.kill(patience=1.0)
    shutil.rmtree(state.folder, ignore_errors=True)


def find(name: str | None) -> LabState:
    """The lab called `name`, or the only one that is up. Raises NotFound."""
    up = names()
    listed = f"labs up: {', '.join(up)}" if up else "no lab is up"
    if name is not None:
        if name not in up:
            raise NotFound(f"the lab {name!r} is not up", hint=listed)
        return LabState(name)
    if not up:
        raise NotFound("no lab is up", hint="bring one up: lab up NAME")
    if len(up) > 1:
        raise NotFound("more than one lab is up", hint=f"say which; {listed}")
    return LabState(up[0])


def take_down(name: str | None) -> None:
    """End a lab, by name or the only one, or what a crash left of it. Raises NotFound."""
    if name is not None and NAME.fullmatch(name) and LabState(name).folder.exists():
        LabState(name).remove()
    else:
        find(name).remove()
