"""The hub's VPN data plane with real packets: who reaches what, and what nobody does."""

import asyncio
import contextlib
import errno
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from plantgate_shared.kernel.wireguard import public_key
from tests.eventually import eventually
from tests.lab.clients import Client
from tests.lab.hosts import Host
from tests.lab.technician import Technician, values

from .driver import AGENTS_KEY
from .world import AGENT_ADDRESS, DEVICE, HUB, PEOPLE, World, gap_after

pytestmark = [pytest.mark.kernel, pytest.mark.lab, pytest.mark.asyncio(loop_scope="module")]

SERVICE = "100.64.0.1"
ALIAS_SOUTH = "198.18.2.10"
TRANSIT_NORTH, TRANSIT_SOUTH = "240.16.1.10", "240.16.2.10"


async def test_each_person_reaches_the_plant_they_chose_and_the_other_by_its_alias(world: World) -> None:
    one, two = world.people["tech1"], world.people["tech2"]
    await world.let("tech1", "north", aliases=("south",))
    await world.let("tech2", "south")
    assert await eventually(lambda: one.device_name(DEVICE, timeout=2)) == "north/device"
    assert await eventually(lambda: one.device_name(ALIAS_SOUTH, timeout=2)) == "south/device"
    assert await eventually(lambda: two.device_name(DEVICE, timeout=2)) == "south/device"
    assert await one.ping(DEVICE) > 0


async def test_only_what_is_inside_the_tunnels_is_tracked(world: World) -> None:
    """WireGuard's own datagrams take no entry of the table; the flows inside, which need their translation, do."""
    person, hub = world.people["tech1"], world.lab["hub"]
    await world.let("tech1", "north")
    hub.run(["conntrack", "-D", "-p", "udp", "--dport", "51820"], check=False)
    await eventually(lambda: person.device_name(DEVICE, timeout=2))
    tracked = hub.run(["conntrack", "-L"]).stdout
    assert f"dst={DEVICE}" in tracked
    assert "=51820" not in tracked
    assert "=51821" not in tracked


async def test_who_uses_which_plant_is_seen_in_the_flows(world: World) -> None:
    one, two = world.people["tech1"], world.people["tech2"]
    await world.let("tech1", "north")
    await world.let("tech2", "south")
    world.lab["hub"].run(["conntrack", "-F"], check=False)
    await eventually(lambda: one.device_name(DEVICE, timeout=2))
    assert (await world.hub.tell("uses", world.state)).result == [[PEOPLE["tech1"], "north"]]
    await eventually(lambda: two.device_name(DEVICE, timeout=2))
    both = [[PEOPLE["tech1"], "north"], [PEOPLE["tech2"], "south"]]
    assert (await world.hub.tell("uses", world.state)).result == both


async def test_the_next_connection_after_a_switch_goes_to_the_other_plant(world: World) -> None:
    person = world.people["tech1"]
    await world.let("tech1", "north", aliases=("south",))
    assert await eventually(lambda: person.device_name(DEVICE, timeout=2)) == "north/device"
    answer = await world.let("tech1", "south", aliases=("north",))
    assert await person.device_name(DEVICE) == "south/device"
    print(f"switch applied in {(answer.ended - answer.began) * 1e3:.1f} ms")


async def test_a_switch_moves_a_running_stream(world: World) -> None:
    """Both plants stay allowed, so it is the tracked flow that has to end."""
    person = world.people["tech1"]
    await world.let("tech1", "north", aliases=("south",))
    async with person.udp_stream(DEVICE) as stream:
        await eventually(lambda: stream.count > 5)
        assert stream.sender == "north/device"
        await world.let("tech1", "south", aliases=("north",))
        assert await gap_after(stream.arrivals, time.monotonic()) <= 1.0


async def test_revocation_ends_a_download_and_a_stream_within_a_second(world: World) -> None:
    person = world.people["tech1"]
    await world.let("tech1", "north")
    await eventually(lambda: person.device_name(DEVICE, timeout=2))
    async with (
        person.udp_stream(DEVICE, rate=100) as stream,
        person.download(f"http://{DEVICE}/download?size=500000000") as load,
    ):
        await eventually(lambda: stream.count > 20 and load.received > 1_000_000)
        answer = await world.let("tech1")
        stream_gap = await gap_after(stream.arrivals, answer.began)
        assert stream_gap <= 1.0
        assert load.last - answer.began <= 1.0
        assert not load.complete
    print(
        f"revoked in {(answer.ended - answer.began) * 1e3:.1f} ms, last datagram after {stream_gap * 1e3:.0f} ms, "
        f"last bytes after {max(0.0, load.last - answer.began) * 1e3:.0f} ms"
    )


async def test_the_check_is_per_packet_even_for_a_tracked_flow(world: World) -> None:
    """Without the element nothing passes, although the tracked flow is still there and the device sends on."""
    person, hub = world.people["tech1"], world.lab["hub"]
    await world.let("tech1", "north")
    await eventually(lambda: person.device_name(DEVICE, timeout=2))
    async with person.udp_stream(DEVICE, rate=100) as stream:
        await eventually(lambda: stream.count > 20)
        hub.nft(f"delete element ip plantgate allowed {{ {PEOPLE['tech1']} . 1 }}")
        assert await gap_after(stream.arrivals, time.monotonic()) <= 0.1
        assert "dport=5005" in hub.run(["conntrack", "-L", "-s", PEOPLE["tech1"]]).stdout
        hub.nft(f"add element ip plantgate allowed {{ {PEOPLE['tech1']} . 1 }}")
        count = stream.count
        await eventually(lambda: stream.count > count)


async def test_a_grant_appears_while_connected(world: World) -> None:
    person = world.people["tech1"]
    await world.let("tech1")
    assert await _refused(person.host, DEVICE)
    began = time.monotonic()
    await world.let("tech1", "north")
    assert await person.device_name(DEVICE) == "north/device"
    assert time.monotonic() - began <= 1.0


@pytest.mark.parametrize(
    ("address", "reached"),
    [
        (DEVICE, ""),  # nothing is allowed
        ("10.1.2.3", "north"),  # a range that nobody has
        (ALIAS_SOUTH, "north"),  # another plant
        (TRANSIT_NORTH, "north"),  # the transit address of the very plant
        (TRANSIT_SOUTH, "north"),
        ("240.99.0.1", "north"),
        (PEOPLE["tech2"], "north"),  # another person
    ],
)
async def test_what_is_not_authorized_is_refused_the_same_way(world: World, address: str, reached: str) -> None:
    await world.let("tech1", reached)
    assert await _refused(world.people["tech1"].host, address)


async def test_the_hubs_public_address_is_refused_inside_the_tunnel(world: World) -> None:
    hub, person = world.lab["hub"], world.people["tech1"]
    with hub.network():
        server = socket.create_server(("0.0.0.0", 8000))
    with _own_address_through_tunnel(person):
        assert await _refused(person.host, HUB, 8000)
    assert await person.host.reaches(HUB, 8000)
    server.close()


async def test_nobody_reaches_a_plant_under_a_forged_address(world: World) -> None:
    await world.let("tech1")
    await world.let("tech2", "north")
    host = world.people["tech1"].host
    host.run(["ip", "address", "add", f"{PEOPLE['tech2']}/32", "dev", "wg0"])
    try:
        arrived = _datagrams_at(world.lab["north-device"], 7001)
        with host.network():
            forger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            forger.bind((PEOPLE["tech2"], 0))
            for _ in range(20):
                with contextlib.suppress(OSError):
                    forger.sendto(b"forged", (DEVICE, 7001))
        # An honest datagram on the same way, sent later, shows that the forged ones had their time.
        with world.people["tech2"].host.network():
            honest = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        await eventually(lambda: honest.sendto(b"honest", (DEVICE, 7001)) and b"honest" in arrived())
        assert b"forged" not in arrived()
    finally:
        host.run(["ip", "address", "delete", f"{PEOPLE['tech2']}/32", "dev", "wg0"])


async def test_nobody_reaches_a_person_unasked(world: World) -> None:
    await world.let("tech1", "north")
    await world.let("tech2", "north")
    one, two = world.people["tech1"].host, world.people["tech2"].host
    arrived = _datagrams_at(two, 7002)
    # A neighbour of the hub, with an address that the person's client would take from the tunnel.
    beside = world.lab["beside"]
    beside.run(["ip", "address", "replace", "10.7.7.7/32", "dev", "lo"])
    for sender in (one, world.lab["north-device"], world.lab["north-gateway"], beside):
        with sender.network():
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.bind(("10.7.7.7" if sender is beside else "0.0.0.0", 0))
            for _ in range(20):
                with contextlib.suppress(OSError):
                    made.sendto(b"unasked", (PEOPLE["tech2"], 7002))
    # An answer to something asked does arrive: the way is open, what was not asked for is not.
    async with world.people["tech2"].udp_stream(DEVICE) as stream:
        await eventually(lambda: stream.count > 3)
    assert arrived() == []


async def test_the_hub_answers_echo_on_its_service_address_and_nothing_else(world: World) -> None:
    hub = world.lab["hub"]
    with hub.network():
        server = socket.create_server(("0.0.0.0", 8000))
    try:
        assert await eventually(lambda: world.people["tech1"].ping(SERVICE)) > 0
        assert await _refused(world.people["tech1"].host, SERVICE, 8000)
        assert await world.lab["outside"].reaches(HUB, 8000)
        gateway = world.lab["north-gateway"]
        assert not await gateway.reaches(SERVICE, 8000, timeout=1)
        with pytest.raises(ConnectionError):
            await Client(gateway).ping(SERVICE, timeout=1)
    finally:
        server.close()


async def test_the_hub_reaches_agents_by_echo_only(world: World) -> None:
    hub, gateway = world.lab["hub"], world.lab["north-gateway"]
    arrived = _datagrams_at(gateway, 7003)
    with hub.network():
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _ in range(20):
        with contextlib.suppress(OSError):
            made.sendto(b"anything", (AGENT_ADDRESS["north"], 7003))
    assert await eventually(lambda: Client(hub).ping(AGENT_ADDRESS["north"])) > 0
    assert arrived() == []


async def test_a_gateway_reaches_nothing_beyond_the_hub(world: World) -> None:
    """Neither the hub's uplink nor other networks of its: an agent may be anybody's by now."""
    gateway, beside = world.lab["north-gateway"], world.lab["beside"]
    hub_key, arrived = await public_key(AGENTS_KEY), _datagrams_at(beside, 7004)
    routes = ["wg", "set", "pg-hub", "peer", hub_key, "allowed-ips"]
    gateway.run([*routes, "100.64.0.0/10,203.0.113.2/32"])
    gateway.run(["ip", "route", "add", "203.0.113.2/32", "dev", "pg-hub", "src", AGENT_ADDRESS["north"]])
    try:
        with gateway.network():
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for _ in range(20):
            made.sendto(b"anything", ("203.0.113.2", 7004))
        assert await eventually(lambda: Client(world.lab["hub"]).ping(AGENT_ADDRESS["north"])) > 0
        assert arrived() == []
    finally:
        gateway.run(["ip", "route", "delete", "203.0.113.2/32", "dev", "pg-hub"])
        gateway.run([*routes, "100.64.0.0/10"])


async def test_nobody_on_the_hub_reaches_a_device_by_echo(world: World) -> None:
    hub = Client(world.lab["hub"])
    assert await eventually(lambda: hub.ping(AGENT_ADDRESS["north"])) > 0
    with pytest.raises(OSError):
        await hub.ping(TRANSIT_NORTH)


async def test_errors_from_the_plant_reach_the_person(world: World) -> None:
    person = world.people["tech1"]
    await world.let("tech1", "north")
    made = person.host.socket(socket.SOCK_DGRAM)
    made.connect((DEVICE, 9))

    def refused() -> bool:
        try:
            made.send(b"x")
            made.recv(1)
        except ConnectionRefusedError:
            return True
        except BlockingIOError:
            return False
        return False

    await eventually(refused)


@pytest.mark.parametrize("port", [51820, 51821])
async def test_a_device_may_use_the_ports_that_wireguard_has_on_the_hub(world: World, port: int) -> None:
    """What is inside the tunnel is translated whatever its port; only the hub's own datagrams go untracked."""
    person = world.people["tech1"]
    await world.let("tech1", "north")
    arrived = _datagrams_at(world.lab["north-device"], port, answer=True)
    made = person.host.socket(socket.SOCK_DGRAM)
    made.connect((DEVICE, port))

    def answered() -> bool:
        made.send(b"anybody there?")
        arrived()
        try:
            return made.recv(100) == b"anybody there?"
        except BlockingIOError:
            return False

    await eventually(answered, poll=0.1)


async def test_segments_fit_the_tunnel(world: World) -> None:
    """The person's client believes in 1420 bytes; the hub's interfaces carry 1380."""
    await world.let("tech1", "north")
    _, writer = await world.people["tech1"].host.connect(DEVICE, 80)
    connection = writer.get_extra_info("socket")
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) <= 1380 - 40
    writer.close()


async def test_other_forwarding_of_the_host_is_untouched(world: World) -> None:
    outside, beside = world.lab["outside"], world.lab["beside"]
    with outside.network():
        server = socket.create_server(("0.0.0.0", 8002))
    try:
        assert await beside.reaches("198.51.100.30", 8002)
        assert await beside.reaches(DEVICE, 80, timeout=1) is False
    finally:
        server.close()


async def test_a_udp_path_probe_reaches_the_responder_and_wireguard_does_not(world: World) -> None:
    hub, gateway = world.lab["hub"], world.lab["north-gateway"]
    arrived = _datagrams_at(hub, 51822, answer=True)
    with gateway.network():
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        direct = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    probe.setblocking(False)
    probe.connect((HUB, 51821))

    def answered() -> bool:
        direct.sendto(b"PGP1 direct", (HUB, 51822))
        other.sendto(b"\x01\0\0\0 not a probe", (HUB, 51821))
        probe.send(b"PGP1 hello")
        return probe.recv(100) == b"PGP1 hello"  # from the very port it was sent to

    await eventually(answered)
    assert set(arrived()) == {b"PGP1 hello"}


async def test_accounting_is_on(world: World) -> None:
    assert world.lab["hub"].sysctl("net.netfilter.nf_conntrack_acct") == "1"
    assert world.lab["hub"].sysctl("net.netfilter.nf_conntrack_timestamp") == "1"


async def _refused(host: Host, address: str, port: int = 80) -> bool:
    """Whether the answer is 'administratively prohibited'. Some refusals are left out at a high rate: try again."""

    async def attempt() -> bool:
        try:
            _, writer = await host.connect(address, port, timeout=2)
        except OSError as error:
            if error.errno == errno.EHOSTUNREACH:
                return True
            raise
        writer.close()
        pytest.fail(f"{address}:{port} is reachable")

    return bool(await eventually(attempt))


@contextlib.contextmanager
def _own_address_through_tunnel(person: Technician) -> Iterator[None]:
    """TCP to the hub's public address goes into the tunnel; WireGuard's own packets keep their way."""
    (key,) = values(person.config, "PublicKey")
    routes = ",".join(values(person.config, "AllowedIPs"))
    set_routes = ["wg", "set", person.interface, "peer", key, "allowed-ips"]
    person.host.run([*set_routes, f"{routes},{HUB}/32"])
    person.host.run(["ip", "route", "add", HUB, "dev", person.interface, "table", "77"])
    person.host.run(["ip", "rule", "add", "ipproto", "tcp", "table", "77"])
    try:
        yield
    finally:
        person.host.run(["ip", "rule", "delete", "ipproto", "tcp", "table", "77"])
        person.host.run([*set_routes, routes])


def _datagrams_at(host: Host, port: int, *, answer: bool = False) -> Callable[[], list[bytes]]:
    """What arrives at a UDP port of the host, optionally sent back."""
    received: list[bytes] = []
    with host.network():
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("0.0.0.0", port))
    made.setblocking(False)

    def look() -> list[bytes]:
        with contextlib.suppress(BlockingIOError):
            while True:
                data = made.recv(2048)
                received.append(data)
        return received

    def echo() -> None:
        with contextlib.suppress(BlockingIOError):
            data, sender = made.recvfrom(2048)
            received.append(data)
            made.sendto(data, sender)

    if answer:
        asyncio.get_running_loop().add_reader(made.fileno(), echo)
    return look
