"""The gateway's data plane with real packets: what passes, what never does, whatever the hub asks for."""

import asyncio
import contextlib
import os
import re
import socket
import sys
import time

import pytest

from tests.eventually import wait_until

from .site import (
    ANNEX,
    ANNEX_TRANSIT,
    DEVICE,
    DEVICE_TRANSIT,
    LAN,
    LAN_TRANSIT,
    OUTSIDE,
    OUTSIDE_TRANSIT,
    PERSON,
    TWO_CARDS,
    measure_until,
    site_up,
)

pytestmark = [pytest.mark.kernel, pytest.mark.lab]


@pytest.fixture(scope="module")
def site():
    with site_up(TWO_CARDS) as up:
        up.want()
        enrolled = up.enrol()
        assert "both sides proved their identity" in enrolled.stdout
        assert "UDP gets through" in enrolled.stdout
        up.start_agent()
        up.reachable()
        yield up


@contextlib.contextmanager
def echo_server(host, port, address="0.0.0.0"):
    """A TCP server on a host that says who is connected."""
    script = (
        "import socket,sys\n"
        "s=socket.create_server((sys.argv[1],int(sys.argv[2])))\n"
        "print('up',flush=True)\n"
        "while True:\n c,a=s.accept(); c.sendall(a[0].encode()+b'\\n'); c.close()\n"
    )
    process = host.spawn(["python3", "-uc", script, address, str(port)], name=f"echo-{port}")
    process.wait_for("up")
    try:
        yield
    finally:
        process.kill()


def ask(host, address, port, source=PERSON):
    """What a server says to a connection from `source`; an empty string when there is none."""

    async def main():
        made = host.socket()
        made.bind((source, 0))
        try:
            async with asyncio.timeout(1.5):
                await asyncio.get_running_loop().sock_connect(made, (address, port))
                return (await asyncio.get_running_loop().sock_recv(made, 100)).decode().strip()
        except OSError:
            return ""
        finally:
            made.close()

    return asyncio.run(main())


def test_people_reach_devices_and_devices_see_the_gateway(site):
    with echo_server(site.device, 5020):
        assert ask(site.hub, DEVICE_TRANSIT, 5020) == "192.168.1.2"


def test_the_boundary_holds_although_the_hub_asks_for_more(site):
    site.want({LAN: LAN_TRANSIT, ANNEX: ANNEX_TRANSIT})
    assert site.gateway.run(["ping", "-c1", "-W1", OUTSIDE]).status == 0, "the gateway itself reaches it"
    assert site.told()["refused"] == [ANNEX]
    assert site.ping(DEVICE_TRANSIT)
    assert not site.ping(OUTSIDE_TRANSIT)
    refused = site.status()["refused"]
    assert refused == [{"network": ANNEX, "reason": "it lies outside the gateway's boundary"}]
    site.want()


def test_nobody_gets_round_the_translation(site):
    """Real addresses sent straight into the tunnel: the hub could send them, the gateway must not forward them."""
    site.hub.run(["ip", "route", "replace", "192.168.0.0/16", "dev", "pg-agents", "src", PERSON])
    try:
        assert not site.ping(DEVICE)
        assert not site.ping(OUTSIDE)
    finally:
        site.hub.run(["ip", "route", "del", "192.168.0.0/16"])


def test_the_gateway_answers_echo_on_its_transit_address_and_nothing_else(site):
    with echo_server(site.gateway, 5021):
        assert site.ping("240.0.0.5")
        assert ask(site.hub, "240.0.0.5", 5021) == ""
        assert ask(site.hub, "240.16.0.2", 5021) == "", "its address on the LAN, through the tunnel"
        assert not site.ping("240.16.0.2")
        assert ask(site.device, "192.168.1.2", 5021, DEVICE) == DEVICE, "the LAN reaches it as before"


@contextlib.contextmanager
def arrivals(host, match):
    """Counts the packets that arrive at a host, before anything there can drop them: what came through, not what was
    answered."""
    host.nft(f"table ip arrivals {{\nchain x {{\ntype filter hook prerouting priority -350; {match} counter\n}}\n}}\n")

    def count() -> int:
        found = re.search(r"packets (\d+)", host.run(["nft", "list", "table", "ip", "arrivals"]).stdout)
        assert found
        return int(found[1])

    try:
        yield count
    finally:
        host.nft("delete table ip arrivals\n")


def test_neither_a_device_nor_the_gateway_can_start_anything_towards_the_hub(site):
    site.device.run(["ip", "route", "replace", "100.64.0.0/10", "via", "192.168.1.2"])
    with arrivals(site.hub, "ip daddr 100.64.0.1") as arrived, echo_server(site.hub, 5022, "100.64.0.1"):
        assert not site.ping("100.64.0.1", source="", host=site.device)
        assert ask(site.device, "100.64.0.1", 5022, DEVICE) == ""
        assert not site.ping("100.64.0.1", source="", host=site.gateway)
        assert ask(site.gateway, "100.64.0.1", 5022, "0.0.0.0") == ""
        assert arrived() == 0
    assert site.ping(DEVICE_TRANSIT), "while answers pass"


def test_the_lan_gets_no_routing_that_was_not_there_before(site):
    """The LAN card forwards now, for answers; a device that uses the gateway as a router must not get anywhere."""
    assert site.forwarding("lan0") == "1"
    assert site.forwarding("lan1") == "0"
    site.device.run(["ip", "route", "replace", "default", "via", "192.168.1.2"])
    try:
        from_device = f"ip saddr {DEVICE}"
        with arrivals(site.lab["outside"], from_device) as at_annex, arrivals(site.hub, from_device) as at_hub:
            assert not site.ping(OUTSIDE, source="", host=site.device)
            assert not site.ping("198.51.100.10", source="", host=site.device)
            assert (at_annex(), at_hub()) == (0, 0)
    finally:
        site.device.run(["ip", "route", "del", "default"])


def test_wireguards_port_is_closed_to_strangers(site):
    """Handshakes from elsewhere than the hub's conversation never reach WireGuard."""
    count = "udp dport 51822 ip saddr 192.168.1.10 counter"
    site.gateway.nft(
        "table ip count {\n"
        f"chain before {{ type filter hook input priority -10; {count}\n}}\n"
        f"chain after {{ type filter hook input priority 10; {count}\n}}\n}}\n"
    )
    try:
        sender = "import socket; socket.socket(2, 2).sendto(b'x' * 148, ('192.168.1.2', 51822))"
        site.device.run(["python3", "-c", sender])
        wait_until(lambda: "packets 1 " in site.gateway.run(["nft", "list", "chain", "ip", "count", "before"]).stdout)
        assert "packets 0 " in site.gateway.run(["nft", "list", "chain", "ip", "count", "after"]).stdout
    finally:
        site.gateway.nft("delete table ip count\n")


def test_the_worker_itself_is_held_to_targets_and_hub(site):
    """Even a worker that wants to cannot dial elsewhere; the gateway's other users can."""
    site.want(targets=((DEVICE, 5023),))
    dial = "import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1.5)"
    as_worker = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]

    def dials(prefix, address, port):
        return site.gateway.run([*prefix, sys.executable, "-c", dial, address, str(port)], check=False).status == 0

    with echo_server(site.device, 5023), echo_server(site.device, 5024), echo_server(site.lab["outside"], 5023):
        assert dials(as_worker, DEVICE, 5023)
        assert not dials(as_worker, DEVICE, 5024)
        assert not dials(as_worker, OUTSIDE, 5023)
        assert dials([], OUTSIDE, 5023)
        assert dials([], DEVICE, 5024)
    site.want()


def test_what_the_installer_takes_out_of_the_boundary_is_gone(site):
    boundary = "/etc/plantgate-agent/boundary.yaml"
    kept = site.gateway.read(boundary)
    site.gateway.write(boundary, "- 192.168.99.0/24\n")
    os.kill(site.agent.pid, 1)  # SIGHUP: the host hands it on, the worker reads the file now
    site.unreachable()
    wait_until(lambda: site.told()["refused"] == [LAN])
    site.gateway.write(boundary, "not a list\n")
    os.kill(site.agent.pid, 1)
    wait_until(lambda: "must be a list of networks" in site.told()["error"])
    assert not site.ping(DEVICE_TRANSIT), "a file that cannot be read lets nothing through"
    site.gateway.write(boundary, kept)
    os.kill(site.agent.pid, 1)
    site.reachable()
    wait_until(lambda: not site.told()["error"])


def test_a_hub_cannot_turn_the_gateways_own_traffic_into_the_tunnel(site):
    site.want(peer_networks=["0.0.0.0/0"])
    assert "outside the pool" in site.told()["error"]
    assert "default dev pg-hub" not in site.gateway.run(["ip", "route"]).stdout
    assert site.ping(DEVICE_TRANSIT), "what was in force stays so"
    site.want()
    wait_until(lambda: not site.told()["error"])


def test_ipv6_does_not_touch_the_tunnel(site):
    rules = site.table()
    assert re.search(r'table ip6 plantgate_agent.*iifname "pg-hub" drop', rules, re.DOTALL)


def test_a_frozen_agent_stops_forwarding(site):
    """The dead-man: host and worker stand still, the kernel goes on, and stops by itself, in each direction."""
    pids = (site.agent.pid, site.worker())
    stream = site.device.spawn(["python3", "-uc", UDP_STREAM, DEVICE], name="stream")
    stream.wait_for("up")
    listener = site.hub.socket(socket.SOCK_DGRAM)
    listener.bind((PERSON, 7000))
    listener.sendto(b"go", (DEVICE_TRANSIT, 7001))
    from_people, from_device = "icmp type echo-request", "udp sport 7001"
    with arrivals(site.device, from_people) as at_device, arrivals(site.hub, from_device) as at_hub:
        wait_until(lambda: at_hub() > 5)
        site.freeze(*pids)
        try:
            took = measure_until(lambda: not site.ping(DEVICE_TRANSIT, wait=0.3), timeout=15)
            wait_until(lambda: _still(at_hub), timeout=10)
            before = at_device(), at_hub()
            assert not site.ping(DEVICE_TRANSIT)
            assert (at_device(), at_hub()) == before, "neither to the device nor from it"
            assert stream.output().count("sent") > at_hub(), "the device goes on"
        finally:
            site.thaw(*pids)
    assert took < 8, took
    back = measure_until(lambda: site.ping(DEVICE_TRANSIT, wait=0.3), timeout=15)
    stream.kill()
    listener.close()
    print(f"\ndead-man: forwarding ended {took:.1f} s after SIGSTOP, came back {back:.1f} s after SIGCONT")


UDP_STREAM = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 7001))
print("up")
_, peer = s.recvfrom(10)
for _ in range(600):
    s.sendto(b"x", peer)
    print("sent")
    time.sleep(0.05)
"""


def _still(count) -> bool:
    """Nothing arrived during ten of the stream's intervals."""
    before, deadline = count(), time.monotonic() + 0.5
    while time.monotonic() < deadline:
        if count() != before:
            return False
    return True


def test_drift_is_corrected(site):
    """Whatever of ours is taken away or changed comes back; what is not ours stays as it is."""
    site.gateway.nft("table ip stranger { chain x { type filter hook forward priority 5; policy accept;\n}\n}\n")
    site.gateway.nft("add element ip plantgate_agent boundary { 192.168.50.0/24 }\n")
    site.gateway.run(["ip", "route", "del", "100.64.0.0/10", "dev", "pg-hub"])
    site.gateway.run(["ip", "address", "del", "240.0.0.5/32", "dev", "pg-hub"])
    os.kill(site.agent.pid, 1)
    site.reachable()
    wait_until(lambda: "192.168.50.0/24" not in site.table())
    site.gateway.nft("delete table ip plantgate_agent\n")
    took = measure_until(lambda: site.ping(DEVICE_TRANSIT), timeout=15)
    assert "table ip stranger" in site.table()
    site.gateway.nft("delete table ip stranger\n")
    print(f"\ndrift: forwarding was back {took:.1f} s after the whole table was deleted")
    site.gateway.run(["ip", "link", "del", "pg-hub"])
    os.kill(site.agent.pid, 1)
    site.reachable()
