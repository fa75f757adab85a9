"""What the agent costs a gateway at rest: host and worker together, in an environment with the agent's packages only.

PSS divides pages that processes share among all of them, so on a busy build machine it flatters. `alone` counts every
page once, as on a gateway that runs nothing else in Python: that is the figure to go by.
"""

import importlib.metadata
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.agent import site as sites
from tests.agent.site import TWO_CARDS, site_up
from tests.eventually import wait_until

from .registry import Figure, benchmark

BOUND = 55.0
ROOT = Path(__file__).parents[2]
IMPORTS = (
    "asyncio",
    "msgpack",
    "structlog",
    "websockets.asyncio.client",
    "plantgate_shared.tunnel",
    "plantgate_shared.identity.handshake",
    "plantgate_agent.worker",
)
"""What the worker imports, in this order; each costs what the ones before did not bring along."""

_MAPPING = re.compile(r"^[0-9a-f]+-[0-9a-f]+ \S+ (\S+) \S+ \S+\s*(.*)$")
_STEPS = """
import importlib, sys
def resident():
    for line in open("/proc/self/smaps_rollup"):
        if line.startswith("Rss:"):
            return int(line.split()[1])
before = resident()
print("python", before)
for name in sys.argv[1:]:
    importlib.import_module(name)
    after = resident()
    print(name, after - before)
    before = after
"""


@dataclass(frozen=True)
class Memory:
    """One process, KiB."""

    pss: int
    anonymous: int
    files: Counter[tuple[str, str]]
    """Resident pages of each mapping of a file."""


def read(pid: int) -> Memory:
    mapping, pss, anonymous, files = ("", ""), 0, 0, Counter[tuple[str, str]]()
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if found := _MAPPING.match(line):
            mapping = (found[2], found[1])
            continue
        name, _, value = line.partition(":")
        if name == "Pss":
            pss += int(value.split()[0])
        elif name == "Rss":
            files[mapping] += int(value.split()[0])
        elif name == "Anonymous":
            anonymous += int(value.split()[0])
            files[mapping] -= int(value.split()[0])
    return Memory(pss, anonymous, files)


def environment(folder: Path) -> dict[str, str]:
    """A folder with what packaging/requirements/edge-agent.txt names, and nothing else, as PYTHONPATH."""
    locked = (ROOT / "packaging/requirements/edge-agent.txt").read_text().splitlines()
    for name in (line.partition("==")[0] for line in locked if line[:1].isalpha()):
        distribution = importlib.metadata.distribution(name)
        tops = {file.parts[0] for file in distribution.files or ()}
        for top in tops - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(Path(str(distribution.locate_file(top))))
    for package in ("edge-agent/plantgate_agent", "shared/plantgate_shared"):
        (folder / Path(package).name).symlink_to(ROOT / package)
    folder.chmod(0o755)
    return {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


def shares(variables: dict[str, str], python: str) -> dict[str, float]:
    """MiB that each import adds to a bare interpreter."""
    done = subprocess.run(
        [python, "-S", "-P", "-X", "no_debug_ranges", "-c", _STEPS, *IMPORTS],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return {name: int(size) / 1024 for name, size in (line.split() for line in done.stdout.splitlines())}


@benchmark("agent-memory", "host and worker of the edge agent at rest, and what they are made of")
def agent_memory() -> Iterator[Figure]:
    python = os.path.realpath(sys.executable)  # without the development environment's packages
    with tempfile.TemporaryDirectory(prefix="plantgate-agent-") as folder:
        variables = environment(Path(folder))
        ours, sites.AGENT = (
            sites.AGENT,
            (
                "env",
                *(f"{name}={value}" for name, value in variables.items()),
                python,
                "-S",
                "-P",
                "-m",
                "plantgate_agent",
            ),
        )
        try:
            with site_up(TWO_CARDS) as site:
                site.want()
                site.enrol()
                site.start_agent()
                site.reachable()
                wait_until(lambda: site.status().get("handshake_age") is not None)
                assert site.agent
                host, worker = read(site.agent.pid), read(site.worker())
        finally:
            sites.AGENT = ours
        parts = shares(variables, python)
    files = host.files | worker.files  # the larger of the two where both have a page's mapping
    alone = (host.anonymous + worker.anonymous + files.total()) / 1024
    pss = (host.pss + worker.pss) / 1024
    yield Figure.plain("agent-memory pss", pss, "MiB", at_most=BOUND, host=host.pss / 1024, worker=worker.pss / 1024)
    yield Figure.plain(
        "agent-memory alone",
        alone,
        "MiB",
        at_most=BOUND,
        host_private=host.anonymous / 1024,
        worker_private=worker.anonymous / 1024,
        files=files.total() / 1024,
    )
    for name, size in parts.items():
        yield Figure.plain(f"agent-memory of {name}", size, "MiB")
    at_work = (worker.anonymous + worker.files.total()) / 1024 - sum(parts.values())
    yield Figure.plain("agent-memory of being at work", at_work, "MiB")
