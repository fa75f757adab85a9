"""How labs begin and end: nothing of one stays behind, whatever killed whom, and the command line."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plantgate_shared.errors import Conflict, InvalidInput, NotFound
from tests.eventually import wait_until

from . import state
from .hosts import ROOT
from .lab import Lab
from .state import MARK
from .topology import HUB_ADDRESS, Node, Topology, nics

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

CLI = (sys.executable, "-m", "tests.lab.cli")


def cli(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*CLI, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60)


def processes_of(name: str) -> list[str]:
    """Command lines of the processes on a lab's hosts, by the mark in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{MARK}={name}\0" in (process / "environ").read_text(errors="replace"):
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


@contextlib.contextmanager
def lab_up_as(name: str, topology: str | Topology = "main", *, with_devices: bool = True) -> Iterator[Lab]:
    with Lab.up(topology, name=f"{name}-{os.getpid()}", with_devices=with_devices) as lab:
        yield lab


def test_the_main_topology_comes_up_in_seconds():
    began = time.monotonic()
    with lab_up_as("timing", with_devices=False):
        assert time.monotonic() - began < 10


# --- ending ---


def test_a_stopped_process_does_not_keep_a_lab_alive():
    with lab_up_as("stopped", "bare", with_devices=False) as lab:
        name = lab.name
        process = lab["hub"].spawn(["sleep", "600"], name="sleep")
        wait_until(lambda: "sleep" in Path(f"/proc/{process.pid}/comm").read_text())
        process.signal(signal.SIGSTOP)
        entering = process.popen.pid
        wait_until(lambda: Path(f"/proc/{entering}/stat").read_text().rpartition(")")[2].split()[0] in "tT")
    wait_until(lambda: not processes_of(name))


def test_nothing_of_a_lab_stays():
    with lab_up_as("leaving", "bare") as lab:
        name = lab.name
        lab["hub"].spawn(["sh", "-c", "sleep 987 & setsid sleep 987"], name="sleeper")
        wait_until(lambda: len([line for line in processes_of(name) if line.startswith("sleep 987")]) == 2)
        namespace = os.stat(f"/proc/{lab['hub'].holder.pid}/ns/net").st_ino
    assert processes_of(name) == []
    assert not (state.BASE / name).exists()
    assert namespace not in network_namespaces()
    lab.down()


def network_namespaces() -> set[int]:
    found = set()
    for process in Path("/proc").glob("[0-9]*/ns/net"):
        with contextlib.suppress(OSError):
            found.add(process.stat().st_ino)
    return found


def test_labs_run_side_by_side():
    with lab_up_as("one", "bare", with_devices=False) as one, lab_up_as("two", "bare", with_devices=False) as two:
        for lab in (one, two):
            assert lab["tech"].run(["ping", "-c1", "-W2", HUB_ADDRESS]).status == 0
        one.down()
        assert two["tech"].run(["ping", "-c1", "-W2", HUB_ADDRESS]).status == 0


def creator(script: str) -> "subprocess.Popen[str]":
    """A process that makes a lab and says when it is up."""
    return subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("keep", [False, True])
def test_a_killed_creator_leaves_nothing_that_cannot_be_taken_down(keep: bool):
    name = f"orphan-{os.getpid()}-{keep}".lower()
    process = creator(
        f"from tests.lab.lab import Lab; lab = Lab.up('bare', name={name!r}, keep={keep})\n"
        "print('up', flush=True); import signal; signal.pause()"
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        assert processes_of(name)
        process.send_signal(signal.SIGKILL)
    if keep:
        assert name in state.names()
        assert cli("exec", "--lab", name, "tech", "--", "ping", "-c1", HUB_ADDRESS).returncode == 0
        assert cli("down", name).returncode == 0
        assert processes_of(name) == []
    else:  # no one has to do anything
        wait_until(lambda: not processes_of(name))
        assert name not in state.names()
    assert not (state.BASE / name).exists()


def test_a_creator_killed_halfway_leaves_nothing_that_cannot_be_taken_down():
    name = f"halfway-{os.getpid()}"
    process = creator(
        "from tests.lab import lab, links\n"
        "def stop(*_):\n    print('halfway', flush=True); import signal; signal.pause()\n"
        f"links.connect = stop\nlab.Lab.up('bare', name={name!r}, keep=True)"
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "halfway\n"
        process.send_signal(signal.SIGKILL)
    assert processes_of(name)
    assert cli("down", name).returncode == 0
    assert processes_of(name) == []
    assert not (state.BASE / name).exists()


def test_down_never_kills_a_recycled_pid():
    bystander = subprocess.Popen(["sleep", "987"])
    try:
        there = state.ProcessRef.of(bystander.pid)
        state.ProcessRef(bystander.pid, there.started - 1).kill()
        assert bystander.poll() is None
        assert there.alive
    finally:
        bystander.kill()
        bystander.wait()
    assert not there.alive


def test_a_failure_halfway_takes_down_what_there_was():
    broken = Topology("broken", (Node("a", nics("eth0 x not-an-address")), Node("b", nics("eth0 x 10.0.0.2/24"))))
    name = f"broken-{os.getpid()}"
    with pytest.raises(state.LabError, match="not-an-address"):
        Lab.up(broken, name=name)
    assert processes_of(name) == []
    assert not (state.BASE / name).exists()


# --- the command line ---


def test_up_exec_list_forward_down(unused_tcp_port: int):
    name = f"cli-{os.getpid()}"
    made = cli("up", "bare", "--without-product", "--name", name, "--port", str(unused_tcp_port))
    try:
        document = json.loads(made.stdout)
        assert {"name", "portal_url", "ca_file", "hosts", "people", "plants", "devices"} <= set(document)
        tech = next(host for host in document["hosts"] if host["name"] == "tech")
        assert tech["addresses"] == ["198.51.100.20"]
        assert subprocess.run([*tech["exec"].split(), "hostname"], capture_output=True, text=True).stdout == "tech\n"
        assert f"{name}: up" in cli("list").stdout
        assert cli("exec", "--lab", name, "tech", "--", "sh", "-c", "exit 5").returncode == 5
        lab = Lab.attach(name)
        listen = lab["hub"].popen(
            [sys.executable, "-c", "import socket as s; l = s.create_server(('', 443)); l.accept()[0].send(b'hub')"]
        )
        wait_until(lambda: ask(unused_tcp_port) == b"hub")
        listen.wait(10)
        refused = cli("up", "bare", "--without-product", "--name", name)
        assert refused.returncode
        assert "already up" in refused.stderr
    finally:
        assert cli("down", name).returncode == 0
    assert processes_of(name) == []
    with pytest.raises(OSError):
        ask(unused_tcp_port)


def ask(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        return connection.recv(10)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_lab_in_the_foreground_goes_with_its_process(how: signal.Signals):
    name = f"front-{os.getpid()}-{how.name.lower()}"
    command = [*CLI, "up", "bare", "--without-product", "--name", name, "--foreground"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any(line == "}\n" for line in process.stdout)
        process.send_signal(how)
    wait_until(lambda: not processes_of(name))
    assert name not in state.names()
    assert not (state.BASE / name).exists()


def test_bad_input_gets_one_line_with_the_valid_names(main_lab: Lab):
    with pytest.raises(InvalidInput, match=r"no topology 'nope'.*bare, main"):
        Lab.up("nope")
    with pytest.raises(InvalidInput, match="not a name"):
        Lab.up("bare", name="../x")
    with pytest.raises(Conflict, match="already up"):
        Lab.up("bare", name=main_lab.name)
    with pytest.raises(NotFound, match=r"no host 'nope'.*south-gateway"):
        main_lab["nope"]
    for arguments in (
        ("up", "nope"),
        ("down", "nope"),
        ("down", "../x"),
        ("exec", "--lab", main_lab.name, "x", "--", "true"),
    ):
        done = cli(*arguments)
        assert done.returncode
        assert done.stderr.count("\n") == 1, done.stderr
        assert "Traceback" not in done.stderr
    assert main_lab.name in cli("down", "nope").stderr
