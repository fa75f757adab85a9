"""The lab itself: what its topologies promise, and that nothing of it stays behind."""

import asyncio
import contextlib
import hashlib
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

from plantgate_hub.config import HubConfig
from plantgate_shared import config
from plantgate_shared.errors import Conflict, InvalidInput, NotFound
from tests.eventually import eventually, wait_until

from . import checks, rulesets, state
from .clients import Client
from .devices.identity import WEB_PASSWORD, WEB_USER
from .devices.web import pattern
from .hosts import MARK, ROOT, CommandFailed, Host
from .lab import Lab, lab_up
from .product import hub_config
from .technician import Technician, keypair, make_interface
from .topology import ALL_SERVICES, HUB_ADDRESS, TOPOLOGIES, Device, Node, Plant, Topology, nics

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

INVERTER = "192.168.1.10"
PEOPLE_SERVICE = "100.64.0.1"
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


def test_the_main_topology_comes_up_in_seconds():
    began = time.monotonic()
    with lab_up_as("timing", with_devices=False):
        assert time.monotonic() - began < 10


@contextlib.contextmanager
def lab_up_as(name: str, topology: str | Topology = "main", *, with_devices: bool = True) -> Iterator[Lab]:
    with Lab.up(topology, name=f"{name}-{os.getpid()}", with_devices=with_devices) as lab:
        yield lab


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


# --- ending ---


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
    made = cli("up", "bare", "--name", name, "--port", str(unused_tcp_port))
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
        refused = cli("up", "bare", "--name", name)
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
    command = [*CLI, "up", "bare", "--name", name, "--foreground"]
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
