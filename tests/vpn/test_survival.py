"""What the hub's VPN data plane does after a crash, after a hand in its works, and at its end."""

import sys
import time
from collections.abc import Callable

import pytest

from tests.eventually import eventually
from tests.lab.hosts import ROOT

from .world import DEVICE, PEOPLE, REAL, World, gap_after

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.asyncio(loop_scope="module")]

ONE, TWO = PEOPLE["tech1"], PEOPLE["tech2"]


async def test_flows_live_on_through_a_crash_and_a_restart(world: World) -> None:
    person = world.people["tech1"]
    await world.let("tech1", "north")
    await eventually(lambda: person.device_name(DEVICE, timeout=2))
    async with person.udp_stream(DEVICE, rate=100) as stream:
        await eventually(lambda: stream.count > 20)
        world.hub.kill()
        count = stream.count
        await eventually(lambda: stream.count > count + 20)  # the kernel forwards on its own
        await world.restart()
        count = stream.count
        await eventually(lambda: stream.count > count + 20)
        numbers = [int(text.split()[1]) for _, text in stream.arrivals]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "datagrams were lost"
    assert await world.verify() == []


async def test_what_was_revoked_while_the_hub_was_dead_ends_at_its_start(world: World) -> None:
    person = world.people["tech1"]
    await world.let("tech1", "north")
    await eventually(lambda: person.device_name(DEVICE, timeout=2))
    async with person.udp_stream(DEVICE, rate=100) as stream:
        await eventually(lambda: stream.count > 20)
        world.hub.kill()
        del world.state["elements"][ONE]
        await world.restart()
        assert await gap_after(stream.arrivals, time.monotonic()) == 0.0
    await eventually(lambda: ONE not in world.table())  # the map's entry follows


Hand = Callable[[World], None]


def _nft(commands: str) -> Hand:
    return _run("nft", commands)


def _run(*argv: str) -> Hand:
    def hand(world: World) -> None:
        world.lab["hub"].run(argv)

    return hand


NO_INTERFACE = _run("ip", "link", "delete", "pg-agents")


@pytest.mark.parametrize(
    "hand",
    [
        pytest.param(_nft(f"add element ip plantgate allowed {{ {TWO} . 1 }}"), id="allowed by hand"),
        pytest.param(_nft(f"delete element ip plantgate allowed {{ {ONE} . 1 }}"), id="taken away by hand"),
        pytest.param(_nft(f"add element ip plantgate plants {{ {TWO} . 10.0.0.0/8 : 240.0.0.0/8 }}"), id="way by hand"),
        pytest.param(_nft(f"delete element ip plantgate plants {{ {ONE} . {REAL} }}"), id="way taken away"),
        pytest.param(_nft("add element ip plantgate plant_id { 240.99.0.0/24 : 9 }"), id="id by hand"),
        pytest.param(_nft("delete element ip plantgate plant_id { 240.16.1.0/24 }"), id="id taken away"),
        pytest.param(_nft("insert rule ip plantgate forward accept"), id="rule by hand"),
        pytest.param(_nft("flush chain ip plantgate to_people"), id="rules taken away"),
        pytest.param(_nft("delete table ip plantgate"), id="no table"),
        pytest.param(_nft("delete table ip6 plantgate6"), id="no IPv6 table"),
        pytest.param(_nft("add table ip plantgate { flags dormant; }"), id="table asleep"),
        pytest.param(_run("ip", "route", "delete", "240.0.0.0/4"), id="no route"),
        pytest.param(_run("ip", "address", "add", "100.64.0.9/32", "dev", "pg-users"), id="address by hand"),
        pytest.param(_run("ip", "link", "set", "pg-users", "down"), id="link down"),
        pytest.param(NO_INTERFACE, id="no interface"),
        pytest.param(_run("sysctl", "-qw", "net.ipv4.conf.pg-users.forwarding=0"), id="no forwarding"),
        pytest.param(
            _run(
                "wg",
                "set",
                "pg-users",
                "peer",
                "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=",
                "allowed-ips",
                "0.0.0.0/0",
            ),
            id="peer by hand",
        ),
    ],
)
async def test_what_a_hand_changed_is_found_and_corrected(world: World, hand: Hand) -> None:
    person, other = world.people["tech1"], world.people["tech2"]
    await world.let("tech1", "north")
    await world.let("tech2")
    await world.verify()
    hand(world)
    assert await world.verify(), "nothing was found"
    assert await world.verify() == [], "something was left"
    if hand is NO_INTERFACE:
        await world.reconnect()
    assert await eventually(lambda: person.device_name(DEVICE, timeout=2)) == "north/device"
    with pytest.raises(OSError):
        await other.device_name(DEVICE, timeout=1)


async def test_a_change_succeeds_although_a_hand_was_there_before(world: World) -> None:
    """The kernel refuses to delete what is gone; the rest of the revocation must not suffer."""
    person, other = world.people["tech1"], world.people["tech2"]
    await world.let("tech1", "north")
    await world.let("tech2", "south")
    _nft(f"delete element ip plantgate allowed {{ {ONE} . 1 }}")(world)
    nothing: dict[str, object] = {"plants": {}, "allowed": []}
    world.state["elements"] |= {ONE: nothing, TWO: nothing}
    await world.hub.tell("update", {ONE: nothing, TWO: nothing})
    for technician in (person, other):
        with pytest.raises(OSError):
            await technician.device_name(DEVICE, timeout=1)
    assert await world.verify() == []


async def test_a_flushed_ruleset_is_back_without_a_verification(world: World) -> None:
    """A firewall's reload on the hub takes all rules away; without them the kernel would forward what it is sent."""
    hub, person = world.lab["hub"], world.people["tech1"]
    await world.let("tech1", "north")
    await world.restart(watch_every=0.2)
    hub.run(["nft", "flush", "ruleset"])
    await eventually(lambda: "plantgate6" in hub.run(["nft", "list", "tables"]).stdout)
    assert await eventually(lambda: person.device_name(DEVICE, timeout=2)) == "north/device"
    assert await world.verify() == []
    await world.restart()


async def test_a_new_person_and_a_new_gateway_come_and_go(world: World) -> None:
    without = {**world.state, "profiles": {ONE: world.state["profiles"][ONE]}, "agents": world.state["agents"][:1]}
    show = world.lab["hub"].run
    await world.hub.tell("change", without)
    assert world.state["profiles"][TWO] not in show(["wg", "show", "pg-users", "peers"]).stdout
    assert world.state["agents"][1]["key"] not in show(["wg", "show", "pg-agents", "peers"]).stdout
    await world.hub.tell("change", world.state)
    assert world.state["profiles"][TWO] in show(["wg", "show", "pg-users", "peers"]).stdout
    assert world.state["agents"][1]["key"] in show(["wg", "show", "pg-agents", "peers"]).stdout


async def test_changes_while_verifications_run_are_neither_lost_nor_undone(world: World) -> None:
    person = world.people["tech1"]
    for _ in range(5):
        await world.let("tech1", "north", aliases=("south",))
        await world.verify()
        await world.let("tech1")
        await world.verify()
        with pytest.raises(OSError):
            await person.device_name(DEVICE, timeout=0.3)


async def test_the_vpn_can_run_here(world: World) -> None:
    assert (await world.hub.tell("available")).result == "the VPN can run here"


async def test_the_end_leaves_nothing_behind(world: World) -> None:
    hub = world.lab["hub"]
    forwarding = hub.sysctl("net.ipv4.ip_forward")
    await world.hub.tell("stop")
    assert "plantgate" not in hub.run(["nft", "list", "ruleset"]).stdout
    assert "pg-" not in hub.run(["ip", "link"]).stdout
    assert "proto 202" not in hub.run(["ip", "route", "show", "table", "all"]).stdout
    assert hub.sysctl("net.ipv4.ip_forward") == forwarding
    await eventually(lambda: "wireguard-go" not in hub.run(["ps", "ax"]).stdout)
    await world.restart()
    await world.reconnect()
    await world.let("tech1", "north")
    await eventually(lambda: world.people["tech1"].device_name(DEVICE, timeout=2))


async def test_without_rights_it_says_what_is_missing(world: World) -> None:
    program = "import asyncio; from plantgate_hub.vpn.availability import available; print(asyncio.run(available()))"
    command = ["setpriv", "--bounding-set", "-net_admin", sys.executable, "-c", program]
    said = world.lab["hub"].run(command, cwd=ROOT).stdout
    assert said.startswith("the VPN cannot run here: ")
    assert "CAP_NET_ADMIN" in said
