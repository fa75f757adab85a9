"""What our rules add to a forwarded packet, over plain links: WireGuard's own cost would hide it.

Two hubs stand side by side between the same two hosts; one forwards and nothing else, the other has our table with
50,000 elements. The sender's system call carries each packet through the hub up to the far host's first hook, so
the time of the call over its packets is the time of a packet's whole way. Rounds through the two hubs alternate.
"""

import json
import statistics
import sys
from collections.abc import Iterator

from plantgate_hub.vpn.plan import table_state
from plantgate_hub.vpn.state import VpnSettings
from plantgate_hub.vpn.tables import replacement
from tests.lab.hosts import ROOT, Host
from tests.lab.lab import Lab
from tests.lab.topology import Node, Topology, nics

from .registry import Figure, benchmark
from .vpn_hub import ELEMENTS, FIRST, reach, state

TOPOLOGY = Topology(
    "rules",
    (
        Node("people", nics("plain left-plain", "bare left-bare", "ours left-ours")),
        *(
            Node(f"hub-{kind}", nics(f"pg-users left-{kind}", f"pg-agents right-{kind}"), forwards=True)
            for kind in ("plain", "bare", "ours")
        ),
        Node("plants", nics("plain right-plain", "bare right-bare", "ours right-ours")),
    ),
)
KINDS = ("plain", "bare", "ours")
TRACKING = """
table ip tracking {
    chain translate {
        type nat hook prerouting priority dstnat;
        iifname "pg-users" dnat ip prefix to ip daddr map { 192.168.0.0/24 : %s }
    }
    chain forward {
        type filter hook forward priority filter;
        ct state established,related accept
        iifname "pg-users" accept
    }
}
"""
SINK = "table ip sink { chain first { type filter hook prerouting priority raw; udp dport 9000 counter drop; }; }"


@benchmark("vpn-rules-cost", "nanoseconds our rules add to a packet, against plain forwarding over the same links")
def vpn_rules_cost() -> Iterator[Figure]:
    with Lab.up(TOPOLOGY, with_devices=False, name="bench-rules") as lab:
        people, plants = lab["people"], lab["plants"]
        plants.nft(SINK)
        people.run(["ip", "address", "add", f"{FIRST}/32", "dev", "lo"])
        transit = next(iter(reach(0).plants.values()))
        for kind in KINDS:
            _connect(people, lab[f"hub-{kind}"], plants, kind)
        lab["hub-bare"].nft(TRACKING % transit)
        lab["hub-ours"].nft(replacement(VpnSettings(), table_state(state())))
        command = [sys.executable, "-m", "tests.bench.vpn_rules_sender", str(FIRST), str(transit[10]), "192.168.0.10"]
        times = json.loads(people.run(command, cwd=ROOT, timeout=300).stdout)
        sent = times.pop("sent")
        arrived = int(plants.run(["nft", "list", "table", "ip", "sink"]).stdout.split("packets ")[1].split()[0])
    if arrived < sent * 0.98:
        raise AssertionError(f"only {arrived} of {sent} packets arrived: the figures would mean nothing")
    yield from _figures(times)


def _figures(times: dict[str, list[float]]) -> Iterator[Figure]:
    plain, bare, ours = (statistics.median(times[kind]) for kind in ("plain", "bare", "ours"))
    yield Figure.plain("vpn-rules-cost plain forwarding", plain, "ns/packet")
    for name, kind, against, value, baseline in (
        ("our rules", "ours", "plain", ours, plain),
        ("tracking and translation alone", "bare", "plain", bare, plain),
    ):
        pairs = [one - other for one, other in zip(times[kind], times[against], strict=True)]
        yield Figure.compared(
            f"vpn-rules-cost {name}",
            value,
            "ns/packet",
            baseline=baseline,
            added_ns=statistics.median(pairs),
            spread_ns=statistics.quantiles(pairs, n=4),
            rounds=len(pairs),
            elements=ELEMENTS if kind == "ours" else 1,
        )
    pairs = [one - other for one, other in zip(times["ours"], times["bare"], strict=True)]
    yield Figure.plain(
        "vpn-rules-cost authorization of a packet",
        statistics.median(pairs),
        "ns/packet",
        at_most=1000,
        spread_ns=statistics.quantiles(pairs, n=4),
    )


def _connect(people: Host, hub: Host, plants: Host, kind: str) -> None:
    """Cables without neighbour discovery, and routes through this hub from an address of its own."""
    for host, link in ((people, "pg-users"), (plants, "pg-agents")):
        there = json.loads(hub.run(["ip", "-j", "link", "show", link]).stdout)[0]["address"]
        here = json.loads(host.run(["ip", "-j", "link", "show", kind]).stdout)[0]["address"]
        host.run(["ip", "link", "set", kind, "arp", "off", "address", there])
        hub.run(["ip", "link", "set", link, "arp", "off", "address", here])
        hub.run(["ip", "link", "set", link, "address", there])
        # One packet at a time goes through the hub, not a train of them as one.
        host.run(["ip", "link", "set", kind, "gso_max_segs", "1"])
    people.run(["ip", "route", "add", "default", "dev", kind, "metric", str(KINDS.index(kind) + 1)])
    hub.run(["ip", "route", "add", "240.0.0.0/4", "dev", "pg-agents"])
    hub.run(["ip", "route", "add", "100.64.0.0/10", "dev", "pg-users"])
