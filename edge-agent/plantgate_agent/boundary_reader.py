"""Reads the boundary file for the worker: in a process of its own, when the file changed, for YAML costs 4 MiB."""

import asyncio
import os
from ipaddress import IPv4Network

from plantgate_shared.errors import ConfigError

from .boundary import Boundary
from .config import AgentConfig, to_environment
from .host import python

TIMEOUT = 20.0

Version = tuple[int, int, int] | None
"""What tells one content of a file from another; None: there is no file."""


class BoundaryReader:
    """The boundary as it is in the file now; what could not be read lets nothing through, and says why."""

    def __init__(self, config: AgentConfig) -> None:
        self._config = config
        self._version: Version | str = "never read"
        self._boundary = Boundary()
        self._problem = ""

    async def read(self) -> tuple[Boundary, str]:
        """The boundary, and the problem with the file for a person (empty: none)."""
        version = self._look()
        if version != self._version or self._problem:
            self._version = version
            try:
                self._boundary, self._problem = await read_apart(self._config), ""
            except ConfigError as error:
                self._boundary, self._problem = Boundary(), str(error)
        return self._boundary, self._problem

    def _look(self) -> Version:
        try:
            found = os.stat(self._config.boundary_file)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


async def read_apart(config: AgentConfig) -> Boundary:
    """The boundary as `plantgate-agent boundary` prints it. Raises ConfigError."""
    process = await asyncio.create_subprocess_exec(
        *python("boundary"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **to_environment(config)},
    )
    try:
        output, complaint = await asyncio.wait_for(process.communicate(), TIMEOUT)
    except TimeoutError:
        raise ConfigError(f"reading {config.boundary_file} took more than {TIMEOUT:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise ConfigError(complaint.decode(errors="replace").strip().removeprefix("plantgate-agent: "))
    return Boundary.of(IPv4Network(line) for line in output.decode().split())
