"""What a change costs at 50,000 (profile, plant subnet) elements, seen by the hub and by packets on their way."""

import json
import sys
from collections.abc import Iterator
from subprocess import PIPE, Popen
from typing import Any

from tests.lab.hosts import ROOT, Host
from tests.lab.lab import Lab
from tests.lab.topology import Node, Topology, nics

from .registry import Figure, benchmark

TOPOLOGY = Topology(
    "elements",
    (
        # Plain links with the names of the tunnels: what is measured are the rules, not WireGuard.
        Node("people", nics("eth0 left"), routes=("default dev eth0",)),
        Node("hub", nics("pg-users left", "pg-agents right"), forwards=True),
        Node("plants", nics("eth0 right"), routes=("100.64.0.0/10 dev eth0",)),
    ),
)


@benchmark("vpn-elements", "one grant, one revocation, 2,000 revocations at 50,000 elements in the hub's table")
def vpn_elements() -> Iterator[Figure]:
    with Lab.up(TOPOLOGY, with_devices=False, name="bench-elements") as lab:
        connect(lab["people"], lab["hub"], lab["plants"])
        hub = [sys.executable, "-u", "-m", "tests.bench.vpn_hub"]
        done = lab["hub"].run([*hub, "single"], cwd=ROOT, timeout=300)
        yield from _single(json.loads(done.stdout.splitlines()[-1]))
        with lab["hub"].popen([*hub, "bulk"], cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True) as process:
            yield from _bulk(lab, process)


def _bulk(lab: Lab, process: "Popen[str]") -> Iterator[Figure]:
    assert process.stdin
    assert process.stdout
    process.stdout.readline()  # it holds the table now
    sink = lab["plants"].spawn_python("tests.bench.vpn_packets", "receive", name="sink")
    sink.wait_for("ready")
    source = lab["people"].spawn_python("tests.bench.vpn_packets", "send", name="source")
    sink.wait_for("everyone", timeout=60)
    process.stdin.write("go\n")
    process.stdin.flush()
    seen = json.loads(process.stdout.readline())
    source.stop()
    sink.terminate()
    sink.wait(30)
    last = json.loads(sink.output().splitlines()[-1])
    yield Figure.plain(
        "vpn-elements 2,000 revoked at once: last packet",
        max(0.0, max(last.values()) - seen["revoked_at"]) * 1e3,
        "ms",
        at_most=1000,
        people_with_traffic=len(last),
        applied_ms=seen["applied"],
    )
    yield Figure.plain("vpn-elements 38,000 revoked at once", seen["everything"], "ms")


def connect(people: Host, hub: Host, plants: Host) -> None:
    """Static neighbours, and hosts that have every address of their pool."""
    for one, device, other, other_device in (
        (people, "eth0", hub, "pg-users"),
        (plants, "eth0", hub, "pg-agents"),
    ):
        there = json.loads(other.run(["ip", "-j", "link", "show", other_device]).stdout)[0]["address"]
        here = json.loads(one.run(["ip", "-j", "link", "show", device]).stdout)[0]["address"]
        # The link is a cable: whatever is asked for is at its other end.
        one.run(["ip", "link", "set", device, "arp", "off"])
        other.run(["ip", "link", "set", other_device, "arp", "off", "address", here])
        one.run(["ip", "link", "set", device, "address", there])
        other.run(["ip", "link", "set", other_device, "address", there])
    people.run(["ip", "route", "add", "local", "100.64.0.0/10", "dev", "lo"])
    plants.run(["ip", "route", "add", "local", "240.0.0.0/4", "dev", "lo"])
    hub.run(["ip", "address", "add", "100.64.0.1/32", "dev", "pg-users"])
    hub.run(["ip", "route", "add", "100.64.0.0/10", "dev", "pg-users"])
    hub.run(["ip", "route", "add", "240.0.0.0/4", "dev", "pg-agents"])


def _single(seen: dict[str, Any]) -> Iterator[Figure]:
    for name, key, bound in (
        ("one grant", "grants", 50),
        ("one revocation", "revocations", 20),
        ("one revocation while a verification runs", "revocations_while_verifying", 20),
        ("one switch of plants", "switches", None),
    ):
        times = sorted(seen[key])
        yield Figure.plain(
            f"vpn-elements {name}",
            times[len(times) // 2],
            "ms",
            at_most=bound,
            worst=times[-1],
            rounds=len(times),
            elements=seen["elements"],
        )
    yield Figure.plain("vpn-elements full start", seen["start"], "ms", elements=seen["elements"])
    yield Figure.plain("vpn-elements verification", seen["verification"], "ms", elements=seen["elements"])
