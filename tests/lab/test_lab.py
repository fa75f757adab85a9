"""The lab itself: what its topologies promise, and that nothing of it stays behind."""

import asyncio
import contextlib
import hashlib
import json
import os
import socket
import time
from pathlib import Path

import pytest

from plantgate_hub.config import HubConfig
from plantgate_shared import config
from tests.eventually import eventually, wait_until

from . import checks, rulesets, state
from .clients import Client
from .devices.identity import WEB_PASSWORD, WEB_USER
from .devices.web import pattern
from .hosts import CommandFailed, Host
from .lab import Lab, lab_up
from .product import hub_config
from .technician import Technician, keypair, make_interface
from .topology import ALL_SERVICES, HUB_ADDRESS, TOPOLOGIES, Device, Node, Plant, Topology, nics

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

INVERTER = "192.168.1.10"
PEOPLE_SERVICE = "100.64.0.1"


@contextlib.asynccontextmanager
async def listening(host: Host, port: int):
    """A TCP server on a host."""
    sock = host.socket()
    sock.bind(("0.0.0.0", port))

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(writer.get_extra_info("peername")[0].encode())
        writer.close()

    async with await asyncio.start_server(accept, sock=sock):
        yield


# --- the main topology ---


async def test_technicians_reach_the_hub_and_no_plant(main_lab: Lab):
    for name in main_lab.topology.technicians:
        person = Client(main_lab[name])
        assert await person.ping(HUB_ADDRESS) < 1000
        with pytest.raises(ConnectionError):
            await person.ping(INVERTER, timeout=0.5)


async def test_a_technician_behind_nat_shows_the_routers_address(main_lab: Lab):
    async with listening(main_lab["hub"], 4430):
        for name, address in (("tech", "203.0.113.20"), ("tech2", "203.0.113.30")):
            reader, writer = await main_lab[name].connect(HUB_ADDRESS, 4430)
            assert await reader.read() == address.encode()
            writer.close()


async def test_nothing_opens_a_connection_into_a_plant(main_lab: Lab):
    for router in ("203.0.113.40", "203.0.113.50", "203.0.113.20"):
        for port in (22, 80, 443, 8080):
            assert not await main_lab["hub"].reaches(router, port, timeout=0.2)


async def test_gateways_reach_their_own_plants_devices(main_lab: Lab):
    await checks.gateways_reach_devices(main_lab)


async def test_the_south_gateway_reaches_beyond_its_plants_subnets(main_lab: Lab):
    """Without this the boundary of its agent would prove nothing."""
    assert await Client(main_lab["south-gateway"]).device_name("192.168.50.10") == "south/outside"


async def udp_arrives(lab: Lab, sender: str, port: int = 51821) -> bool:
    """Whether a datagram from a host reaches the hub."""
    receiving = lab["hub"].socket(socket.SOCK_DGRAM)
    sending = lab[sender].socket(socket.SOCK_DGRAM)
    with contextlib.closing(receiving), contextlib.closing(sending):
        receiving.bind(("0.0.0.0", port))
        sending.connect((HUB_ADDRESS, port))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                sending.send(b"hello")
                return await asyncio.get_running_loop().sock_recv(receiving, 100) == b"hello"
    return False


async def test_udp_leaves_north_and_not_south(main_lab: Lab):
    assert await udp_arrives(main_lab, "north-gateway")
    assert not await udp_arrives(main_lab, "south-gateway")


async def test_only_tcp_443_leaves_south(main_lab: Lab):
    async with listening(main_lab["hub"], 443), listening(main_lab["hub"], 8443):
        assert await main_lab["south-gateway"].reaches(HUB_ADDRESS, 443)
        assert not await main_lab["south-gateway"].reaches(HUB_ADDRESS, 8443, timeout=0.5)
        assert await main_lab["north-gateway"].reaches(HUB_ADDRESS, 8443)


async def test_udp_can_be_blocked_and_allowed_again(main_lab: Lab):
    for router, gateway in (("south-router", "south-gateway"), ("north-router", "north-gateway")):
        rulesets.allow_udp(main_lab[router])
        assert await udp_arrives(main_lab, gateway)
        rulesets.block_udp(main_lab[router])
        assert not await udp_arrives(main_lab, gateway)
    rulesets.allow_udp(main_lab["north-router"])


async def test_the_south_gateways_own_forwarding_works(main_lab: Lab):
    await checks.own_forwarding(main_lab)


async def test_the_check_of_the_own_forwarding_notices_a_loss(main_lab: Lab):
    gateway = main_lab["south-gateway"]
    before = gateway.run(["nft", "list", "table", "ip", "containers"]).stdout
    gateway.nft("flush chain ip containers prerouting\n")
    try:
        with pytest.raises((AssertionError, OSError)):
            await checks.own_forwarding(main_lab)
    finally:
        gateway.nft(f"delete table ip containers\n{before}")
    await checks.own_forwarding(main_lab)


# --- devices ---


@pytest.mark.parametrize("plant", ["north", "south"])
async def test_a_device_answers_every_protocol_with_its_plants_name(main_lab: Lab, plant: str):
    client = Client(main_lab[f"{plant}-gateway"])
    label = f"{plant}/inverter"
    assert await client.device_name(INVERTER) == label
    assert (await client.http(f"https://{INVERTER}/name")).text == label
    assert await client.modbus_name(INVERTER) == label
    assert await client.modbus_read(INVERTER, 100, 4) == [2300, 2301, 2302, 5000]
    assert await client.ssh(INVERTER) == label
    assert await client.snmp_get(INVERTER) == label
    assert await client.ping(INVERTER) < 1000
    async with client.udp_stream(INVERTER, rate=200) as stream:
        await eventually(lambda: stream.count >= 3)
        assert stream.sender == label


async def test_the_udp_stream_runs_until_it_is_stopped(main_lab: Lab):
    client = Client(main_lab["north-gateway"])
    sock = main_lab["north-gateway"].socket(socket.SOCK_DGRAM)
    async with client.udp_stream(INVERTER, rate=200) as stream:
        await eventually(lambda: stream.count >= 50)
    with contextlib.closing(sock):
        await eventually(lambda: quiet_since(stream, 0.2))
    numbers = [int(text.split()[1]) for _, text in stream.arrivals]
    assert numbers == sorted(numbers)


def quiet_since(stream, seconds: float) -> bool:
    return time.monotonic() - stream.last > seconds


async def test_the_web_interface_has_a_form_login_with_cookies(main_lab: Lab):
    client = Client(main_lab["north-gateway"])
    assert (await client.http(f"http://{INVERTER}/")).headers["Location"] == "/login"
    async with client.http_session() as browser:
        async with browser.post(f"http://{INVERTER}/login", data={"user": WEB_USER, "password": "wrong"}) as refused:
            assert refused.status == 401
        login = {"user": WEB_USER, "password": WEB_PASSWORD}
        async with browser.post(f"http://{INVERTER}/login", data=login, allow_redirects=False) as accepted:
            assert accepted.status == 303
            assert accepted.headers["Location"] == f"http://{INVERTER}/"
        async with browser.get(f"http://{INVERTER}/") as page:
            assert "north/inverter" in await page.text()
            assert page.status == 200
        async with browser.post(f"http://{INVERTER}/settings", data={"note": "<b>42</b>"}) as saved:
            assert "&lt;b&gt;42&lt;/b&gt;" in await saved.text()
        async with browser.get(f"http://{INVERTER}/logout") as left:
            assert left.url.path == "/login"


async def test_downloads_and_uploads_of_any_size(main_lab: Lab):
    client = Client(main_lab["north-gateway"])
    size = 3 * 1024 * 1024 + 5
    body = (await client.http(f"http://{INVERTER}/download?size={size}")).body
    block = pattern(1024 * 1024)
    assert body == (block * 4)[:size]
    answer = json.loads((await client.http(f"http://{INVERTER}/upload", "POST", data=body)).body)
    assert answer == {"size": size, "sha256": hashlib.sha256(body).hexdigest()}


async def test_a_download_shows_its_progress_and_its_end(main_lab: Lab):
    client = Client(main_lab["north-gateway"])
    async with client.download(f"http://{INVERTER}/download?size=200000&rate=400000") as download:
        await eventually(lambda: download.received)
        assert not download.complete
        assert download.ended is None
        await eventually(lambda: download.complete)
        assert download.ended is not None


async def test_a_slow_page_is_slow(main_lab: Lab):
    client = Client(main_lab["north-gateway"])
    with pytest.raises(TimeoutError):
        await client.http(f"http://{INVERTER}/slow?seconds=30", timeout=0.3)


async def test_a_debian_client_reads_the_devices_snmp(main_lab: Lab):
    gateway = main_lab["north-gateway"]
    if gateway.run(["which", "snmpget"], check=False).status:
        pytest.skip("Debian's snmp package is not installed")
    done = gateway.run(["snmpget", "-v2c", "-cpublic", "-Oqv", INVERTER, "1.3.6.1.2.1.1.5.0", "1.3.6.1.2.1.1.1.0"])
    assert done.stdout.split("\n")[:2] == ['"north/inverter"', '"lab device north/inverter"']


# --- WireGuard ---


async def test_a_stock_wireguard_client_reaches_a_stock_peer(bare_lab: Lab):
    hub, tech = bare_lab["hub"], bare_lab["tech"]
    hub_key, hub_public = keypair(hub)
    key, public = keypair(tech)
    make_interface(hub, "wg-peer")
    # an echo that comes without the tunnel is no proof
    hub.nft('table ip plain { chain i { type filter hook input priority 0; iifname "eth0" meta l4proto icmp drop; }; }')
    peer = f"[Interface]\nPrivateKey = {hub_key}\nListenPort = 51820\n[Peer]\nPublicKey = {public}\n"
    hub.run(["wg", "setconf", "wg-peer", "/dev/stdin"], input=f"{peer}AllowedIPs = 100.64.0.9/32\n")
    hub.run(["ip", "address", "add", f"{PEOPLE_SERVICE}/10", "dev", "wg-peer"])
    hub.run(["ip", "link", "set", "wg-peer", "mtu", "1380", "up"])
    technician = Technician(
        tech,
        f"[Interface]\nPrivateKey = {key}\nAddress = 100.64.0.9/32\nMTU = 1380\nDNS = 192.0.2.1\n"
        f"[Peer]\nPublicKey = {hub_public}\nEndpoint = {HUB_ADDRESS}:51820\n"
        "AllowedIPs = 100.64.0.1/32, 192.168.0.0/16\nPersistentKeepalive = 25\n",
    )
    technician.up()
    assert await technician.ping(PEOPLE_SERVICE) < 1000
    assert technician.handshake() > 0
    assert "192.168.0.0/16 dev wg0" in tech.run(["ip", "route"]).stdout
    technician.down()
    with pytest.raises(ConnectionError):
        await technician.ping(PEOPLE_SERVICE, timeout=0.5)


async def test_a_client_config_for_all_traffic_is_refused(bare_lab: Lab):
    key, public = keypair(bare_lab["tech"])
    text = f"[Interface]\nPrivateKey = {key}\n[Peer]\nPublicKey = {public}\nAllowedIPs = 0.0.0.0/0\n"
    with pytest.raises(state.LabError, match=r"0\.0\.0\.0/0"):
        Technician(bare_lab["tech"], text).up()


# --- hosts ---


async def test_a_host_has_its_own_name_folders_and_processes(main_lab: Lab):
    hub, tech = main_lab["hub"], main_lab["tech"]
    hub.write("/etc/plantgate/hub.yaml", "name: here\n")
    hub.write("/var/lib/plantgate-hub/x", "1")
    assert hub.run(["cat", "/etc/plantgate/hub.yaml"]).stdout == "name: here\n"
    assert hub.run(["hostname"]).stdout.strip() == "hub"
    assert tech.run(["ls", "/etc/plantgate"], check=False).status != 0
    assert not Path("/etc/plantgate/hub.yaml").exists()
    assert not Path("/var/lib/plantgate-hub/x").exists()
    assert hub.run(["ls", "/run/wireguard"]).stdout == ""
    assert "tests.lab.devices" not in hub.run(["ps", "ax"]).stdout


def test_a_host_never_writes_the_machines_own_files(main_lab: Lab, tmp_path: Path):
    """Nor does one whose private folders are missing: its /etc would be the machine's."""
    before = Path("/etc/hosts").read_bytes()
    hub = main_lab["hub"]
    with pytest.raises(state.LabError, match="not private"):
        hub.write(f"{tmp_path}/file", "x")
    assert list(tmp_path.iterdir()) == []
    bare = Host("bare", hub.state, state.ProcessRef.of(os.getpid()))  # this process: nothing of it is private
    with pytest.raises(state.LabError, match="not private"):
        bare.write("/etc/plantgate-lab-test/file", "x")
    assert not Path("/etc/plantgate-lab-test").exists()
    assert Path("/etc/hosts").read_bytes() == before


async def test_commands_tell_how_they_ended(main_lab: Lab):
    hub = main_lab["hub"]
    assert (await hub.exec(["cat"], input="text")).stdout == "text"
    assert hub.run(["sh", "-c", "exit 7"], check=False).status == 7
    with pytest.raises(CommandFailed, match="status 7: no"):
        await hub.exec(["sh", "-c", "echo no >&2; exit 7"])
    with pytest.raises(CommandFailed, match=r"did not end within 0\.2 s"):
        await hub.exec(["sleep", "987"], timeout=0.2)
    wait_until(lambda: "sleep 987" not in hub.run(["ps", "ax"]).stdout)


async def test_a_daemon_is_killed_by_its_own_pid(main_lab: Lab):
    hub = main_lab["hub"]
    process = hub.spawn(["sh", "-c", "echo started; exec sleep 987"], name="sleeper")
    process.wait_for("started\n")
    assert Path(f"/proc/{process.pid}/cmdline").read_text().startswith("sleep")
    process.kill()
    process.wait()
    assert "sleep 987" not in hub.run(["ps", "ax"]).stdout


async def test_functions_run_inside_a_hosts_network(main_lab: Lab):
    def interfaces() -> set[str]:
        return {line.split(":")[0].strip() for line in Path("/proc/thread-self/net/dev").read_text().splitlines()[2:]}

    assert await main_lab["north-gateway"].call(interfaces) == {"lo", "lan0", "wan0"}
    assert interfaces() != {"lo", "lan0", "wan0"}
    with pytest.raises(ZeroDivisionError):
        await main_lab["hub"].call(lambda: 1 // 0)


# --- declarations ---


def test_topologies_are_well_formed():
    for topology in TOPOLOGIES.values():
        complete = topology.complete()
        names = [node.name for node in complete.nodes]
        assert len(names) == len(set(names))
        assert {topology.hub, *topology.technicians} <= set(names)
        assert {device.node for device in topology.devices} <= set(names)
        for node in complete.nodes:
            assert all(len(nic.name) <= 12 for nic in (*node.nics, *node.bridges)), "no room for a port number"


def test_a_device_gets_a_node_on_the_segment_of_its_address():
    gateway = Node("g", nics("lan0 lan 10.0.0.1/24"))
    device = Device("d", "p", "p-d", "10.0.0.5", ALL_SERVICES)
    topology = Topology("t", (gateway,), (Plant("p", "g", "lan0", ("10.0.0.0/24",)),), (device,))
    assert Node("p-d", nics("eth0 lan 10.0.0.5/24")) in topology.complete().nodes


def test_the_products_configuration_is_one_that_it_accepts():
    parsed = config.parse(hub_config(vpn={"mtu": 1300}), HubConfig)
    assert parsed.vpn.mtu == 1300
    assert parsed.vpn.public_host == HUB_ADDRESS


async def test_lab_up_names_labs_after_the_process():
    with lab_up("bare") as lab:
        assert lab.name == f"bare-{os.getpid()}"
