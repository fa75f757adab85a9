"""A lab: a topology that is up."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from plantgate_shared.errors import InvalidInput, NotFound
from tests.eventually import wait_until

from . import links, state
from .devices.identity import SNMP_COMMUNITY, WEB_PASSWORD, WEB_USER
from .hosts import ROOT, Host, Process, start_hosts
from .state import MARK, LabError, LabState, ProcessRef
from .topology import TOPOLOGIES, Device, Topology, known


class Lab:
    """`with Lab.up("main") as lab: lab["hub"].run(["ip", "address"])`"""

    def __init__(self, name: str, topology: Topology, hosts: Mapping[str, Host], lifeline: int | None = None) -> None:
        self.name = name
        self.topology = topology
        self.hosts = hosts
        self.state = LabState(name)
        self.devices: dict[str, Process] = {}
        self._lifeline = lifeline
        self._forwards: list[Process] = []

    @classmethod
    def up(
        cls, topology: str | Topology, *, name: str | None = None, keep: bool = False, with_devices: bool = True
    ) -> "Lab":
        """Bring a topology up. Raises InvalidInput (no such topology), Conflict (already up), LabError.

        Unless it is kept, it goes when this process ends, even by SIGKILL. With `keep` it stays until `down`.
        """
        wanted = _topology(topology).complete()
        name = name or wanted.name
        if not state.NAME.fullmatch(name):
            raise InvalidInput(f"{name!r} is not a name for a lab", hint="lower-case letters, digits and hyphens")
        if os.geteuid():
            raise LabError("a lab needs root: it makes network namespaces and nftables rules", hint="run it with sudo")
        lab_state = LabState(name)
        lab_state.claim(keep)
        reading, writing = (None, None) if keep else os.pipe()
        try:
            hosts = start_hosts(lab_state, [node.name for node in wanted.nodes], reading)
            lab = cls(name, wanted, hosts, writing)
            lab._build(with_devices)
        except BaseException:
            lab_state.remove()
            if writing is not None:
                os.close(writing)
            raise
        finally:
            if reading is not None:
                os.close(reading)
        return lab

    @classmethod
    def attach(cls, name: str | None = None) -> "Lab":
        """A lab that is up, by name or the only one. Raises NotFound."""
        found = state.find(name)
        document = found.document
        if document is None:
            raise NotFound(f"the lab {found.name!r} is not complete yet", hint="try again in a moment")
        hosts = {
            entry["name"]: Host(
                entry["name"], found, ProcessRef(entry["pid"], entry["started"]), tuple(entry["addresses"])
            )
            for entry in document["hosts"]
        }
        return cls(found.name, _topology(document["topology"]).complete(), hosts)

    def _build(self, with_devices: bool) -> None:
        nodes = self.topology.nodes
        for node in nodes:
            self.hosts[node.name].addresses = node.addresses
        links.connect(self.hosts, nodes)
        self._write_names()
        if with_devices:
            started = [self.start_device(device) for device in self.topology.devices]
            for process in started:
                process.wait_for("ready\n", timeout=60)
        self.state.document = self._first_document()

    def _write_names(self) -> None:
        names = [f"{node.addresses[0]} {node.name}" for node in self.topology.nodes if node.addresses]
        names += [f"{address} {name}" for name, address in self.topology.names.items()]
        for host in self.hosts.values():
            host.write("/etc/hosts", "\n".join(["127.0.0.1 localhost", f"127.0.1.1 {host.name}", *names]) + "\n")
            host.write("/etc/resolv.conf", "# a lab host knows the names in /etc/hosts and no others\n")

    # --- devices ---

    def start_device(self, device: Device) -> Process:
        """Start a device's servers (again); they are ready when its output says `ready`."""
        arguments = ("--plant", device.plant, "--name", device.name, *device.services)
        process = self.hosts[device.node].spawn_python("tests.lab.devices", *arguments, name="device")
        self.devices[device.node] = process
        return process

    # --- the machine outside ---

    def forward(self, port: int, host: str | None = None, to: int = 443) -> Process:
        """127.0.0.1:`port` of this machine leads to a port of a host (the hub). It ends with that host."""
        target = self[host or self.topology.hub]
        log = self.state.logs / f"forward-{port}.log"
        namespace = os.open(f"/proc/{target.holder.pid}/ns/net", os.O_RDONLY)
        module = (sys.executable, "-u", "-m", "tests.lab.forward", str(port), str(namespace), str(to))
        try:
            with log.open("wb") as output:  # only the pid namespace is entered: it has to listen out here
                popen = subprocess.Popen(
                    ["nsenter", "-t", str(target.holder.pid), "-p", "--", *module],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=ROOT,
                    env={**os.environ, MARK: self.name},
                    pass_fds=[namespace],
                    start_new_session=True,
                )
        finally:
            os.close(namespace)
        process = Process(popen, f"port forward {port}", log)
        self._forwards.append(process)
        process.wait_for("ready\n")
        return process

    # --- looking ---

    def __getitem__(self, name: str) -> Host:
        try:
            return self.hosts[name]
        except KeyError:
            hint = f"its hosts: {', '.join(sorted(self.hosts))}"
            raise NotFound(f"the lab {self.name!r} has no host {name!r}", hint=hint) from None

    @property
    def document(self) -> dict[str, Any]:
        """The lab as one JSON document; see docs/lab.md."""
        document = self.state.document
        if document is None:
            raise LabError(f"the lab {self.name!r} is not up")
        return document

    def update(self, **values: Any) -> dict[str, Any]:
        """Add to the document what became known later: people, portal_url, ca_file."""
        document = {**self.document, **values}
        self.state.document = document
        return document

    def _first_document(self) -> dict[str, Any]:
        topology = self.topology
        return {
            "name": self.name,
            "topology": topology.name,
            "portal_url": None,
            "ca_file": None,
            "hosts": [host.describe() for host in self.hosts.values()],
            "people": [],
            "plants": [
                {
                    "name": plant.name,
                    "gateway": plant.gateway,
                    "router": plant.router or None,
                    "lan": plant.lan,
                    "subnets": list(plant.subnets),
                    "udp": plant.udp,
                }
                for plant in topology.plants
            ],
            "devices": [_describe(device) for device in topology.devices],
            "logs": str(self.state.logs),
        }

    # --- ending ---

    def down(self) -> None:
        """Take everything down; twice does no harm."""
        self.state.remove()
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        started = [host.unshare for host in self.hosts.values() if host.unshare]
        started += [process.popen for process in (*self.devices.values(), *self._forwards)]
        for popen in started:
            popen.wait(10)
        wait_until(lambda: not any(host.holder.alive for host in self.hosts.values()))

    def __enter__(self) -> "Lab":
        return self

    def __exit__(self, *_: object) -> None:
        self.down()


def _topology(wanted: str | Topology) -> Topology:
    if isinstance(wanted, Topology):
        return wanted
    if wanted not in TOPOLOGIES:
        raise InvalidInput(f"there is no topology {wanted!r}", hint=f"topologies: {', '.join(known())}")
    return TOPOLOGIES[wanted]


def _describe(device: Device) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": device.name,
        "plant": device.plant,
        "host": device.node,
        "address": device.address,
        "inside_boundary": device.inside,
        "services": list(device.services),
    }
    if {"web", "ssh"} & set(device.services):
        entry |= {"user": WEB_USER, "password": WEB_PASSWORD}
    if "snmp" in device.services:
        entry["snmp_community"] = SNMP_COMMUNITY
    return entry


@contextlib.contextmanager
def lab_up(topology: str) -> Iterator[Lab]:
    """A lab of this process's own, whose name clashes with nobody's."""
    with Lab.up(topology, name=f"{topology}-{os.getpid()}") as lab:
        yield lab
