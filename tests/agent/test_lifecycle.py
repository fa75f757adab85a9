"""Crash, hang, restart, stop: the agent comes back, adopts what is in the kernel, and leaves nothing when it goes."""

import json
import os
import re
import signal
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from tests.eventually import wait_until

from .site import AGENT, DEVICE_TRANSIT, LAN, TWO_CARDS, Site, measure_until, site_up

pytestmark = [pytest.mark.kernel, pytest.mark.lab]


@pytest.fixture(scope="module")
def site():
    with site_up(TWO_CARDS) as up:
        up.want()
        up.enrol()
        yield up


@pytest.fixture
def running(site: Site):
    if site.agent is None or not site.agent.running:
        site.start_agent()
    site.reachable()
    return site


def pings_during(site: Site, action, seconds: float = 6.0) -> float:
    """The longest time without an answer, in seconds, while `action` happens."""
    process = site.hub.popen(
        ["ping", "-n", "-D", "-i", "0.05", "-I", "100.64.0.7", "-w", str(int(seconds)), DEVICE_TRANSIT],
        stdout=-1,
        text=True,
    )
    timer = threading.Timer(1.0, action)
    timer.start()
    output = process.communicate(timeout=seconds + 10)[0]
    timer.join()
    times = [float(found) for found in re.findall(r"\[(\d+\.\d+)\].*icmp_seq", output)]
    assert times, output
    return max(later - earlier for earlier, later in pairwise(times))


def table_handles(site: Site) -> str:
    """Changes when the table was loaded anew."""
    return site.gateway.run(["nft", "-a", "list", "chain", "ip", "plantgate_agent", "from_hub"]).stdout


def wireguard_go(site: Site) -> list[str]:
    return site.gateway.run(["pgrep", "-x", "wireguard-go"], check=False).stdout.split()


def test_a_crashed_worker_is_replaced_and_adopts_what_is_there(running):
    site = running
    handles, process, worker = table_handles(site), wireguard_go(site), site.worker()
    gap = pings_during(site, lambda: os.kill(worker, signal.SIGKILL))
    wait_until(lambda: site.worker() != worker and site.told().get("revision_applied") == site.revision)
    assert table_handles(site) == handles, "the table was adopted, not loaded anew"
    assert wireguard_go(site) == process, "and so was the interface"
    assert gap < 3.0, gap
    print(f"\nworker killed: longest gap of a ping at 20/s {gap:.2f} s")


def test_a_worker_says_nothing_of_its_boundary_before_it_has_read_it(running):
    """A hub that is told of an empty boundary closes the routes into the plant, and ends what people have open."""
    site = running
    before, worker = len(site.told_so_far()), site.worker()
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: site.worker() != worker)
    wait_until(lambda: any(m["revision_applied"] == site.revision for m in site.told_so_far()[before:]))
    assert {tuple(message["boundary"]) for message in site.told_so_far()[before:]} == {(LAN,)}


def test_a_crash_with_the_hub_away_goes_on_with_what_was_wanted(running):
    site = running
    assert site.hub_process
    site.hub_process.kill()
    worker = site.worker()
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: site.worker() != worker)
    wait_until(lambda: "nothing listens there" in site.status().get("problem", ""))
    wait_until(lambda: site.status().get("revision") == site.revision)
    assert site.ping(DEVICE_TRANSIT), "the kernel of the hub still forwards, and so does the gateway"
    assert not site.status()["connected"]
    attached = site.attached()
    site.start_hub()
    took = measure_until(lambda: site.attached() != attached, timeout=15)
    print(f"\nhub restarted: attached {took:.1f} s after it was ready")
    site.reachable()


def test_a_hanging_worker_is_killed(running):
    site = running
    worker = site.worker()
    os.kill(worker, signal.SIGSTOP)
    took = measure_until(lambda: not os.path.exists(f"/proc/{worker}") and site.worker() != worker, timeout=20)
    site.reachable()
    assert took < 7, took
    print(f"\nworker frozen: replaced after {took:.1f} s")


def test_the_worker_runs_without_roots_rights(running):
    status = Path(f"/proc/{running.worker()}/status").read_text()
    assert re.search(r"^Uid:\s+65534\s+65534", status, re.MULTILINE)
    for kind in ("CapEff", "CapPrm", "CapBnd", "CapAmb"):
        assert re.search(rf"^{kind}:\s+0000000000001000$", status, re.MULTILINE), "CAP_NET_ADMIN and nothing else"
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)
    state = running.gateway.run(
        ["stat", "-c", "%a %U %n", "/var/lib/plantgate-agent", "/var/lib/plantgate-agent/identity.key"]
    )
    assert "700 nobody" in state.stdout
    assert "600 nobody" in state.stdout


def test_stopping_leaves_no_trace(running):
    site = running
    before = site.table()
    assert "plantgate_agent" in before
    assert site.forwarding("lan0") == "1"
    assert site.stop_agent() == 0
    assert site.table().strip() == ""
    assert site.forwarding("lan0") == "0"
    assert "pg-hub" not in site.gateway.run(["ip", "link"]).stdout
    assert site.gateway.run(["ip", "route", "show", "table", "all", "proto", "202"], check=False).stdout == ""
    wait_until(lambda: wireguard_go(site) == [])
    assert not site.ping(DEVICE_TRANSIT)
    assert site.run_agent("status", check=False).status == 69


def test_a_killed_host_takes_the_worker_along_and_clean_up_does_the_rest(running):
    site = running
    worker = site.worker()
    site.agent.kill()
    wait_until(lambda: not os.path.exists(f"/proc/{worker}"), timeout=10)
    site.agent = None
    assert "plantgate_agent" in site.table(), "as in a crash"
    site.unreachable(timeout=10)
    assert site.forwarding("lan0") == "1"
    site.run_agent("cleanup")
    assert site.table().strip() == ""
    assert site.forwarding("lan0") == "0"
    assert "pg-hub" not in site.gateway.run(["ip", "link"]).stdout
    site.run_agent("cleanup")


def test_what_was_switched_on_before_us_stays_on(running):
    """The table itself remembers which card forwards only because of the agent, also over a crash of everything."""
    site = running
    site.stop_agent()
    site.gateway.sysctl("net.ipv4.conf.lan0.forwarding", 1)
    site.start_agent()
    site.reachable()
    site.stop_agent()
    assert site.forwarding("lan0") == "1"
    site.gateway.sysctl("net.ipv4.conf.lan0.forwarding", 0)


def test_enrolling_twice_is_refused_with_a_remedy(site):
    again = site.enrol(check=False)
    assert again.status == 65
    assert "already enrolled at https://198.51.100.10 for the plant 'Plant North' (add --replace" in again.stderr
    assert again.stderr.count("\n") == 1


def test_bad_enrolments_say_what_to_do(site):
    def enrol(hub, code, *more):
        arguments = ("enroll", "--config", "/etc/plantgate-agent/other.yaml", "--hub", hub, "--code", code)
        return site.run_agent(*arguments, *(more or ("--boundary", "/etc/plantgate-agent/given.yaml")), check=False)

    site.gateway.write(
        "/etc/plantgate-agent/other.yaml",
        "worker_user: nobody\nstate_dir: /run/other\nboundary_file: /run/other-boundary.yaml\n",
    )
    used = enrol("https://198.51.100.10", site.code)
    assert "the hub does not accept this enrolment code" in used.stderr
    assert "make a new one" in used.stderr
    nothing = enrol("https://198.51.100.10", "")
    assert "there is no enrolment code (give --code, or the code on standard input)" in nothing.stderr
    away = enrol("https://198.51.100.10:444", site.code)
    assert away.status == 69
    assert "cannot reach the hub https://198.51.100.10:444: nothing listens there" in away.stderr
    nowhere = enrol("https://nowhere.invalid", site.code)
    assert "does not resolve" in nowhere.stderr
    plain = enrol("http://198.51.100.10", site.code)
    assert "must begin with https://" in plain.stderr
    site.gateway.write("/run/wide.yaml", "- 0.0.0.0/0\n")
    refused = enrol("https://198.51.100.10", site.code, "--boundary", "/run/wide.yaml")
    assert "it is the default route" in refused.stderr
    unconfirmed = enrol("https://198.51.100.10", site.code, "--replace")
    assert "not confirmed" in unconfirmed.stderr
    assert f"* {LAN} (on lan0)" in unconfirmed.stdout
    assert "  198.51.100.0/24 (on wan0, also the way to the Internet)" in unconfirmed.stdout
    for done in (used, away, nowhere, plain, refused, unconfirmed):
        assert done.stderr.count("\n") == 1, done.stderr
        assert site.code not in done.stderr + done.stdout


def test_a_hub_with_another_identity_is_not_trusted(site):
    if site.agent:
        site.stop_agent()
    path = "/var/lib/plantgate-agent/enrolment.json"
    kept = site.gateway.read(path)
    changed = json.loads(kept) | {"hub_key": "A" * 43 + "="}
    site.gateway.run(["tee", path], input=json.dumps(changed))
    try:
        before = site.attached()
        site.agent = site.gateway.spawn([*AGENT, "run"], name="agent", cwd="/")
        wait_until(lambda: "pinned" in site.status().get("problem", ""))
        assert site.attached() == before
        assert not site.ping(DEVICE_TRANSIT)
    finally:
        site.stop_agent()
        site.gateway.run(["tee", path], input=kept)
