"""The product on a lab's hosts: hub and edge agents as real processes with their own configuration files.

The shape of every command line is in `HUB`, `AGENT` and the methods that use them; what makes either ready is in
`hub_answers` and `agent_connected`. Output goes to the lab's logs, `hub.plantgate-hub.log` and so on.
"""

import asyncio
import contextlib
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from tests.eventually import eventually

from .clients import Client
from .hosts import CommandFailed, Host, Process
from .lab import Lab
from .state import LabError
from .topology import HUB_ADDRESS, Plant

COMMANDS = Path(sys.executable).parent
HUB = (str(COMMANDS / "plantgate-hub"),)
AGENT = (str(COMMANDS / "plantgate-agent"),)
HUB_CONFIG = "/etc/plantgate/hub.yaml"
AGENT_CONFIG = "/etc/plantgate-agent/agent.yaml"
HUB_URL = f"https://{HUB_ADDRESS}"
CA_FILE = "/var/lib/plantgate-hub-keys/tls/ca.pem"
"""The development CA's certificate, which the hub makes at its first start."""
PORTAL = "portal.localhost"
NAMES = {PORTAL: HUB_ADDRESS, ".devices.localhost": HUB_ADDRESS}
"""For clients inside the lab: the public names and where they lead."""
START = 60.0
"""Seconds in which a process has to be ready; the machine may be busy with other things."""


def hub_config(**changes: Any) -> dict[str, Any]:
    """The hub's configuration; sections are merged: `hub_config(vpn={"mtu": 1280})`."""
    config: dict[str, Any] = {
        "name": "lab-hub",
        "web": {"port": 443, "public_port": 443},
        "vpn": {"public_host": HUB_ADDRESS},
        "database": {"url": "sqlite:////var/lib/plantgate-hub/hub.db"},
        "log": {"level": "debug"},
    }
    return _merged(config, changes)


def agent_config(**changes: Any) -> dict[str, Any]:
    """An agent's configuration."""
    return _merged({"log_level": "debug"}, changes)


def _merged(config: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(config)
    for key, value in changes.items():
        merged[key] = _merged(merged[key], value) if isinstance(merged.get(key), dict) else value
    return merged


class Product:
    """Hub and agents of one lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.hub_host = lab[lab.topology.hub]
        self.hub: Process | None = None
        self.agents: dict[str, Process] = {}
        """By plant."""

    # --- hub ---

    def configure_hub(self, **changes: Any) -> None:
        """Write the hub's configuration file; it is read when the hub starts."""
        self.hub_host.run(["mkdir", "-p", "/var/lib/plantgate-hub"])
        self.hub_host.write(HUB_CONFIG, yaml.safe_dump(hub_config(**changes), sort_keys=False))

    async def start_hub(self, timeout: float = START) -> float:
        """Start the hub (configured before) and wait until its portal answers; the seconds that took."""
        began = time.monotonic()
        self.hub = self.hub_host.spawn([*HUB, "serve", "--config", HUB_CONFIG], name="plantgate-hub")
        await self._ready(self.hub, self.hub_answers, timeout)
        return time.monotonic() - began

    async def hub_answers(self) -> bool:
        answer = await Client(self.hub_host).http(f"https://{PORTAL}/", names={PORTAL: "127.0.0.1"}, timeout=5)
        return answer.status < 500

    def kill_hub(self) -> None:
        """SIGKILL, as if it had crashed. The kernel's state stays, wireguard-go's as well."""
        kill_process(self.hub)
        self.hub = None

    def stop_hub(self) -> None:
        """SIGTERM, as systemd stops it."""
        if self.hub:
            self.hub.stop()
            self.hub = None

    async def restart_hub(self) -> float:
        """Kill the hub and start it again; the seconds until it answers."""
        self.kill_hub()
        return await self.start_hub()

    async def admin(self, *arguments: str, input: str | None = None) -> Any:
        """What `plantgate-hub admin ARGUMENT...` answers, from JSON. Raises CommandFailed."""
        command = [*HUB, "admin", *arguments, "--json", "--config", HUB_CONFIG]
        done = await self.hub_host.exec(command, input=input, timeout=START)
        if not done.stdout.strip():
            return None
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise CommandFailed(f"{' '.join(command)} did not answer with JSON: {done.stdout[:500]}") from None

    async def console(self) -> "Console":
        """A running `admin batch`, to which one command after the other can be given."""
        command = [*HUB, "admin", "batch", "--config", HUB_CONFIG]
        process = await asyncio.create_subprocess_exec(
            *self.hub_host.command(command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return Console(process)

    def copy_ca(self) -> Path:
        """The hub's development CA as a file of this machine (in the lab's folder), for `ca_file` and browsers."""
        copy = self.lab.state.files / "ca.pem"
        copy.write_text(self.hub_host.read(CA_FILE))
        return copy

    # --- agents ---

    def plant(self, name: str) -> Plant:
        plants = {plant.name: plant for plant in self.lab.topology.plants}
        if name not in plants:
            raise LabError(f"the lab has no plant {name!r}", hint=f"its plants: {', '.join(sorted(plants))}")
        return plants[name]

    def gateway(self, plant: str) -> Host:
        return self.lab[self.plant(plant).gateway]

    def configure_agent(self, plant: str, boundary: tuple[str, ...] | None = None, **changes: Any) -> None:
        """Write an agent's configuration and its boundary file: the plant's own subnets, or `boundary`."""
        gateway = self.gateway(plant)
        networks = list(self.plant(plant).subnets if boundary is None else boundary)
        gateway.run(["useradd", "--system", "--no-create-home", "plantgate-agent"], check=False)
        gateway.write("/etc/plantgate-agent/boundary.yaml", yaml.safe_dump(networks))
        gateway.write(AGENT_CONFIG, yaml.safe_dump(agent_config(**changes), sort_keys=False))

    async def enroll(self, plant: str, code: str) -> str:
        """Enrol a plant's gateway with a one-time code; what the command printed. Raises CommandFailed."""
        command = [*AGENT, "enroll", "--hub", HUB_URL, "--code", code, "--config", AGENT_CONFIG, "--yes"]
        return (await self.gateway(plant).exec(command, timeout=START)).stdout

    async def start_agent(self, plant: str, timeout: float = START) -> float:
        """Start an enrolled agent and wait until it is connected; the seconds that took."""
        began = time.monotonic()
        command = [*AGENT, "run", "--config", AGENT_CONFIG]
        process = self.gateway(plant).spawn(command, name="plantgate-agent")
        self.agents[plant] = process

        async def connected() -> bool:
            return agent_connected(await self.agent_status(plant))

        await self._ready(process, connected, timeout)
        return time.monotonic() - began

    async def agent_status(self, plant: str) -> dict[str, Any]:
        """What `plantgate-agent status --json` says; empty while it says nothing."""
        command = [*AGENT, "status", "--json", "--config", AGENT_CONFIG]
        done = await self.gateway(plant).exec(command, check=False)
        try:
            status: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            return {}
        return status

    def kill_agent(self, plant: str) -> None:
        """SIGKILL for supervisor and worker at once. The kernel's state stays, wireguard-go's as well."""
        kill_process(self.agents.pop(plant, None))

    def kill_worker(self, plant: str) -> None:
        """SIGKILL for the worker only: its supervisor has to start another."""
        for pid in _family(self.agents[plant])[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop_agent(self, plant: str) -> None:
        """SIGTERM, as systemd stops it."""
        if process := self.agents.pop(plant, None):
            process.stop()

    async def restart_agent(self, plant: str) -> float:
        """Kill an agent and start it again; the seconds until it is connected."""
        self.kill_agent(plant)
        return await self.start_agent(plant)

    async def _ready(self, process: Process, condition: Any, timeout: float) -> None:
        async def ready() -> bool:
            if not process.running:
                raise LabError(
                    f"{process.name} ended with status {process.popen.returncode}: {process.output()[-2000:]}",
                    hint=f"its log is {process.log}",
                )
            return bool(await condition())

        await eventually(ready, timeout=timeout, poll=0.1)


class Console:
    """An open command line of the hub: an answer is there milliseconds after what it tells of was committed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._input = cast(asyncio.StreamWriter, process.stdin)
        self._output = cast(asyncio.StreamReader, process.stdout)
        self._errors = cast(asyncio.StreamReader, process.stderr)

    async def ask(self, *words: str) -> Any:
        """The JSON answer of `plantgate-hub admin WORD...`. Raises CommandFailed; the console is over then."""
        self._input.write((shlex.join(words) + "\n").encode())
        async with asyncio.timeout(START):
            if line := await self._output.readline():
                return json.loads(line)
            raise CommandFailed((await self._errors.read()).decode().strip())

    async def close(self) -> None:
        self._input.close()
        await self._process.wait()


def agent_connected(status: Mapping[str, Any]) -> bool:
    """Whether an agent's status says that its tunnel is up."""
    return bool(status.get("connected"))


def kill_process(process: Process | None) -> None:
    """SIGKILL a command and its children, but not wireguard-go, which stands for the kernel's WireGuard here."""
    if process is None or not process.running:
        return
    for pid in _family(process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _family(process: Process) -> list[int]:
    """The command's pid, then those of its descendants but wireguard-go."""
    pids = []
    for pid in (process.pid, *process.descendants()):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().strip() != "wireguard-go":
                pids.append(pid)
    return pids
