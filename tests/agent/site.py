"""A plant in namespaces: the tests' hub, a gateway with the real agent, devices. And how to look at it."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from plantgate_shared.identity.enrolment import ENTROPY_BYTES, make_code
from tests.eventually import wait_until
from tests.lab import rulesets
from tests.lab.hosts import Finished, Host, Process
from tests.lab.lab import Lab
from tests.lab.topology import Node, Topology, nics

from . import hub as hub_process

HUB = "198.51.100.10"
LAN, LAN_TRANSIT = "192.168.1.0/24", "240.16.0.0/24"
ANNEX, ANNEX_TRANSIT = "192.168.50.0/24", "240.16.1.0/24"
DEVICE, DEVICE_TRANSIT = "192.168.1.10", "240.16.0.10"
OUTSIDE, OUTSIDE_TRANSIT = "192.168.50.10", "240.16.1.10"
PERSON = "100.64.0.7"
AGENT: tuple[str, ...] = (sys.executable, "-P", "-m", "plantgate_agent")
FOLDER = "/run/test-hub"

_HUB_NODE = Node("hub", nics(f"eth0 wan {HUB}/24"))
_DEVICES = (
    Node("device", nics(f"eth0 lan {DEVICE}/24")),
    Node("outside", nics(f"eth0 annex {OUTSIDE}/24")),
)

TWO_CARDS = Topology(
    "agent-two-cards",
    (
        _HUB_NODE,
        Node(
            "gateway",
            nics("wan0 wan 198.51.100.40/24", "lan0 lan 192.168.1.2/24", "lan1 annex 192.168.50.2/24"),
            gateway=HUB,
        ),
        *_DEVICES,
    ),
)
"""A gateway that forwards nothing by itself, with a card towards the Internet and two towards the plant."""

ONE_CARD = Topology(
    "agent-one-card",
    (
        _HUB_NODE,
        Node(
            "router",
            nics("wan0 wan 198.51.100.40/24", "lan1 annex 192.168.50.2/24"),
            bridges=nics("lan0 lan 192.168.1.1/24"),
            gateway=HUB,
            forwards=True,
            ruleset=rulesets.strict_router("wan0"),
        ),
        Node(
            "gateway",
            nics("eth0 lan 192.168.1.2/24"),
            bridges=nics("ctr0 containers 172.20.0.1/24"),
            gateway="192.168.1.1",
            forwards=True,
            ruleset=rulesets.container_host("ctr0", "172.20.0.0/24", published=8080, container="172.20.0.2", port=80),
        ),
        Node("container", nics("eth0 containers 172.20.0.2/24"), gateway="172.20.0.1"),
        *_DEVICES,
    ),
)
"""A gateway with one card for everything, and containers whose forwarding has to go on."""


class Site:
    """Hub and agent on a lab that is up."""

    def __init__(self, lab: Lab, user: str) -> None:
        self.lab = lab
        self.hub, self.gateway, self.device = lab["hub"], lab["gateway"], lab["device"]
        self.user = user
        self.revision = 0
        self.code = make_code(os.urandom(ENTROPY_BYTES))
        self.agent: Process | None = None
        self.hub_process: Process | None = None

    # --- the hub ---

    def start_hub(self) -> None:
        self.hub.write(f"{FOLDER}/code", self.code)
        self.hub_process = self.hub.spawn_python("tests.agent.hub", FOLDER, name="hub")
        wait_until(lambda: self.hub_process and self.hub_process.output().count("ready\n") >= 1)
        for command in (
            f"ip address replace 100.64.0.1/32 dev {hub_process.INTERFACE}",
            f"ip address replace {PERSON}/32 dev {hub_process.INTERFACE}",
            f"ip link set {hub_process.INTERFACE} up",
            f"ip route replace 240.0.0.0/4 dev {hub_process.INTERFACE} src {PERSON}",
        ):
            self.hub.run(command.split())

    def want(
        self, subnets: dict[str, str] | None = None, targets: tuple[tuple[str, int], ...] = (), **more: Any
    ) -> None:
        """Change what the hub wants, and wait until the agent says that it is so."""
        self.revision += 1
        wanted = {
            "revision": self.revision,
            "udp_endpoint": f"{HUB}:{hub_process.WIREGUARD_PORT}",
            "subnets": {LAN: LAN_TRANSIT} if subnets is None else subnets,
            "targets": targets,
            **more,
        }
        self.hub.write(f"{FOLDER}/desired.new", json.dumps(wanted))
        self.hub.run(["mv", f"{FOLDER}/desired.new", f"{FOLDER}/desired.json"])
        if self.agent:
            wait_until(lambda: self.told().get("revision_applied") == self.revision or self.told().get("error"))

    def told(self) -> dict[str, Any]:
        """What the agent last told the hub."""
        try:
            return dict(json.loads(self.hub.read(f"{FOLDER}/status.json")))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}

    def told_so_far(self) -> list[dict[str, Any]]:
        """Everything the agent has told the hub, oldest first."""
        return [json.loads(line) for line in self.hub.read(f"{FOLDER}/told.jsonl").splitlines()]

    def attached(self) -> int:
        try:
            return int(self.hub.read(f"{FOLDER}/attached") or 0)
        except FileNotFoundError:
            return 0

    # --- the agent ---

    def configure(self, boundary: tuple[str, ...] = (LAN,)) -> None:
        self.gateway.write("/etc/plantgate-agent/agent.yaml", f"worker_user: {self.user}\n")
        self.gateway.write("/etc/plantgate-agent/given.yaml", "".join(f"- {network}\n" for network in boundary))

    def run_agent(self, *arguments: str, check: bool = True, **options: Any) -> Finished:
        return self.gateway.run([*AGENT, *arguments], check=check, timeout=60, **options)

    def enrol(self, *more: str, check: bool = True) -> Finished:
        given = more or ("--boundary", "/etc/plantgate-agent/given.yaml")
        return self.run_agent("enroll", "--hub", f"https://{HUB}", *given, input=self.code + "\n", check=check)

    def start_agent(self) -> None:
        before = self.attached()
        self.agent = self.gateway.spawn([*AGENT, "run"], name="agent", cwd="/")
        wait_until(lambda: self.attached() > before and self.told().get("revision_applied") == self.revision)

    def stop_agent(self) -> int:
        assert self.agent
        status = self.agent.stop(timeout=20)
        self.agent = None
        return status

    def worker(self) -> int:
        """The worker's process id, as this machine sees it."""
        assert self.agent

        def child() -> int:
            host = self.agent.pid if self.agent else 0
            children = Path(f"/proc/{host}/task/{host}/children").read_text().split()
            return int(children[0]) if children else 0

        pid: int = wait_until(child)
        return pid

    def freeze(self, *pids: int) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)

    def thaw(self, *pids: int) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        if self.agent:  # nsenter stops together with what it started
            os.kill(self.agent.popen.pid, signal.SIGCONT)

    def status(self) -> dict[str, Any]:
        done = self.run_agent("status", "--json", check=False)
        return dict(json.loads(done.stdout)) if done.stdout else {}

    # --- packets ---

    def ping(self, address: str, source: str = PERSON, host: Host | None = None, wait: float = 1.0) -> bool:
        """Whether one echo comes back."""
        command = ["ping", "-n", "-c", "1", "-W", str(wait), *(["-I", source] if source else []), address]
        return (host or self.hub).run(command, check=False).status == 0

    def reachable(self, address: str = DEVICE_TRANSIT, timeout: float = 20.0) -> None:
        wait_until(lambda: self.ping(address), timeout)

    def unreachable(self, address: str = DEVICE_TRANSIT, timeout: float = 20.0) -> None:
        wait_until(lambda: not self.ping(address), timeout)

    def table(self) -> str:
        return self.gateway.run(["nft", "-s", "list", "ruleset"]).stdout

    def forwarding(self, interface: str) -> str:
        return self.gateway.sysctl(f"net.ipv4.conf.{interface}.forwarding")


@contextmanager
def site_up(topology: Topology, user: str = "nobody", boundary: tuple[str, ...] = (LAN,)) -> Iterator[Site]:
    """A site with an enrolled and running agent."""
    with Lab.up(topology, name=f"{topology.name}-{os.getpid()}", with_devices=False) as lab:
        site = Site(lab, user)
        site.start_hub()
        site.configure(boundary)
        yield site
        if site.agent:
            site.stop_agent()


def measure_until(condition: Any, timeout: float) -> float:
    """Seconds until it holds."""
    started = time.monotonic()
    wait_until(condition, timeout, poll=0.05)
    return time.monotonic() - started
