"""What people and networks get wrong, on the running product: one clear message, and the rest goes on."""

import asyncio
import errno
import json
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.eventually import eventually

from .browser import Browser
from .clients import Client
from .hosts import Finished
from .lab import Lab, lab_up
from .product import AGENT, AGENT_CONFIG, HUB, HUB_CONFIG, HUB_URL, PORTAL, Product, agent_connected
from .topology import HUB_ADDRESS
from .world import World

pytestmark = [pytest.mark.lab, pytest.mark.kernel, pytest.mark.asyncio(loop_scope="module")]

INVERTER, NOBODY = "192.168.1.10", "192.168.1.77"
INSPECTED = 8443
"""Port at which the hub is reached through a box that ends TLS."""
YEARS = 40 * 365 * 86400
CLOCK_WRONG = '"event": "clock.wrong"'


@pytest.fixture(scope="module")
def lab():
    with lab_up("main") as lab:
        yield lab


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(lab: Lab) -> AsyncIterator[World]:
    """The hub, the plant north with its gateway, and Tina, Operator there, connected."""
    product = Product(lab)
    world = World(product)
    product.configure_hub()
    await product.start_hub()
    await world.build(plants=False)
    await world.plant("north")
    await world.admin("target", "add", "north/meter", "closed", "--scheme", "http", "--port", "81")
    await world.admin("device", "add", "north", "absent", NOBODY)
    await world.admin("target", "add", "north/absent", "absent", "--scheme", "http")
    await world.gateway("north")
    await world.person("tina", "Tina Technician", totp=True, member=True)
    await world.grant("tina", "north")
    (await world.technician("tina", "tech")).up()
    await eventually(lambda: reaches(world), 30)
    yield world
    await world.close()
    product.stop_agent("north")
    product.stop_hub()
    await asyncio.to_thread(product.hub_host.run, [*HUB, "clean-up"])  # as the service does, without a configuration
    assert "pg-" not in product.hub_host.run(["ip", "-brief", "link"]).stdout
    assert "plantgate" not in product.hub_host.run(["nft", "list", "tables"]).stdout


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def goes_on(world: World) -> AsyncIterator[None]:
    """After every mistake: the hub runs, its agent is connected, the technician reaches the device."""
    yield
    assert world.product.hub
    assert world.product.hub.running
    assert await eventually(lambda: reaches(world), 20)


async def reaches(world: World) -> bool:
    return await world.technicians["tina"].device_name(INVERTER, timeout=2) == "north/inverter"


async def connected(world: World) -> bool:
    return agent_connected(await world.product.agent_status("north"))


def hub(world: World, *arguments: str, config: str = HUB_CONFIG) -> Finished:
    return world.product.hub_host.run([*HUB, *arguments, "--config", config], check=False, timeout=60)


def agent(world: World, plant: str, *arguments: str, config: str = AGENT_CONFIG) -> Finished:
    command = [*AGENT, *arguments, "--config", config]
    return world.product.gateway(plant).run(command, check=False, timeout=60)


def enrol(world: World, code: str, url: str = HUB_URL) -> Finished:
    """At a gateway that has yet to be enrolled."""
    return agent(world, "south", "enroll", "--hub", url, "--code", code, "--yes")


def one_line(done: Finished, status: int, *words: str) -> None:
    assert done.status == status, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


async def test_a_wrong_configuration_beside_the_running_one(world: World):
    """Everything that can be wrong in a file is in `tests/unit/test_wrong_files.py`."""
    world.product.hub_host.write("/etc/plantgate/wrong.yaml", "web:\n  prot: 8443\n")
    wrong = await asyncio.to_thread(hub, world, "serve", config="/etc/plantgate/wrong.yaml")
    one_line(wrong, 78, "/etc/plantgate/wrong.yaml: web: unknown key 'prot' (did you mean 'port'?)")


async def test_a_second_hub_and_a_second_agent_beside_the_running_ones(world: World):
    second = await asyncio.to_thread(hub, world, "serve")
    one_line(second, 71, "cannot listen on 0.0.0.0 port 443: Address already in use (another program, perhaps this hub")
    one_line(await asyncio.to_thread(agent, world, "north", "run"), 65, "this gateway's agent is running already")
    one_line(await asyncio.to_thread(agent, world, "north", "cleanup"), 65, "this gateway's agent is running already")


async def test_a_subnet_that_is_none(world: World):
    done = await asyncio.to_thread(hub, world, "admin", "subnet", "add", "north", "10.1.2.3/24")
    one_line(done, 65, "'10.1.2.3/24' is not a network address (did you mean 10.1.2.0/24?)")


async def test_codes_that_are_no_good_any_more(world: World):
    used = (await world.admin("enrolment-code", "create", "north", "--name", "spare"))["code"]
    refusal = "the hub does not accept this enrolment code (it may have been used already, have expired or be mistyped"
    world.product.configure_agent("south")
    await world.product.enroll("south", used)  # a spare gateway of north, for the sake of the code
    again = await asyncio.to_thread(
        agent, world, "south", "enroll", "--hub", HUB_URL, "--code", used, "--yes", "--replace"
    )
    one_line(again, 76, refusal, "make a new one on the plant's page in the portal")
    kept = await asyncio.to_thread(agent, world, "south", "enroll", "--hub", HUB_URL, "--code", used, "--yes")
    one_line(kept, 65, "already enrolled")  # a code that is no good cost nothing
    world.product.gateway("south").run(["rm", "-r", "/var/lib/plantgate-agent"])
    expired = (await world.admin("enrolment-code", "create", "north"))["code"]
    age = "import sqlite3; d = sqlite3.connect('/var/lib/plantgate-hub/hub.db'); d.execute('{}'); d.commit()"
    world.product.hub_host.run(["python3", "-c", age.format("update enrolment_codes set expires = 1")])
    one_line(await asyncio.to_thread(enrol, world, expired), 76, refusal)
    one_line(await asyncio.to_thread(enrol, world, "ABC"), 65, "an enrolment code has 20 characters, this one 3")


async def test_a_box_that_ends_tls(world: World):
    box = world.product.hub_host.spawn_python("tests.lab.inspection", str(INSPECTED), HUB_ADDRESS, "443", name="box")
    box.wait_for("ready")
    code = (await world.admin("enrolment-code", "create", "north"))["code"]
    inspected = "something in between ends TLS"
    done = await asyncio.to_thread(
        agent, world, "north", "enroll", "--hub", f"{HUB_URL}:{INSPECTED}", "--code", code, "--yes", "--replace"
    )
    one_line(done, 76, inspected, "exempt the hub's host name from TLS inspection")
    with enrolment_of_north(world, hub=f"{HUB_URL}:{INSPECTED}"):
        await problem(world, inspected)
    box.stop()


async def test_a_hub_with_another_identity(world: World):
    with enrolment_of_north(world, hub_key="A" * 43 + "="):
        await problem(world, "the hub's identity key is not the one pinned when this agent was enrolled")


class enrolment_of_north:  # noqa: N801  used as a statement
    """The agent of north runs with a changed enrolment meanwhile."""

    path = "/var/lib/plantgate-agent/enrolment.json"

    def __init__(self, world: World, **changes: str) -> None:
        self.product, self.changes = world.product, changes
        self.gateway = self.product.gateway("north")

    def __enter__(self) -> None:
        self.kept = self.gateway.read(self.path)
        self._restart(json.dumps(json.loads(self.kept) | self.changes))

    def __exit__(self, *_: object) -> None:
        self._restart(self.kept)

    def _restart(self, text: str) -> None:
        self.product.stop_agent("north")
        self.gateway.run(["tee", self.path], input=text)
        command = [*AGENT, "run", "--config", AGENT_CONFIG]
        self.product.agents["north"] = self.gateway.spawn(command, name="plantgate-agent")


async def problem(world: World, words: str) -> None:
    """What `status` says to the installer."""

    async def said() -> bool:
        status = await world.product.agent_status("north")
        return not status.get("connected", True) and words in status["problem"]

    await eventually(said, 20)


async def test_a_device_that_refuses_or_is_not_there_over_vpn(world: World):
    tina = world.technicians["tina"]
    async with asyncio.timeout(20):
        with pytest.raises(ConnectionRefusedError):
            await tina.host.connect(INVERTER, 81, timeout=10)
        began = time.monotonic()
        with pytest.raises(OSError) as caught:
            await tina.host.connect(NOBODY, 80, timeout=15)
        assert caught.value.errno == errno.EHOSTUNREACH  # the gateway's own answer, no endless wait
        assert time.monotonic() - began < 10


async def test_a_device_that_refuses_or_is_not_there_in_the_browser(world: World):
    async with Browser.open(world.product.lab["tech2"]) as browser:
        await browser.sign_in(world.people["tina"])
        refuses = await browser.get("https://closed.devices.localhost/")
        absent = await browser.get("https://absent.devices.localhost/")
        works = await browser.get("https://inverter-north.devices.localhost/")
    assert (refuses.status, absent.status, works.status) == (502, 504, 200)
    assert "The device refuses the connection" in refuses.text
    assert "The device does not answer" in absent.text


async def test_a_hub_without_rights_serves_the_rest_and_says_why(world: World):
    host = world.product.hub_host
    host.run(["install", "-d", "-o", "nobody", "-m", "0700", "/run/nobody", "/run/nobody/keys"])
    host.write("/etc/plantgate/nobody.yaml", NOBODYS)
    command = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", *HUB, "serve"]
    process = host.spawn([*command, "--config", "/etc/plantgate/nobody.yaml"], name="nobodys-hub")
    client = Client(host)

    async def portal() -> bool:
        answer = await client.http(f"https://{PORTAL}:8444/sign-in", names={PORTAL: "127.0.0.1"}, timeout=5)
        return answer.status == 200

    await eventually(portal, 30)
    assert "the VPN cannot run here: this process may not change networks (run it as root or" in process.output()
    process.stop()


NOBODYS = """
web: {port: 8444}
database: {url: "sqlite:////run/nobody/hub.db"}
keys: {directory: /run/nobody/keys}
"""


async def test_a_hub_whose_clock_is_off_by_years(world: World):
    """Tunnel and VPN do not depend on it; a clock that was set back is named in the log. Stands last."""
    product = world.product
    for years, named in ((YEARS, False), (-YEARS, True)):
        product.hub_host.write("/etc/plantgate/clock.py", CLOCK.format(years=years))
        warned = product.hub.output().count(CLOCK_WRONG) if product.hub else 0
        product.stop_hub()
        command = [HUB[0].replace("plantgate-hub", "python"), "/etc/plantgate/clock.py", "serve"]
        product.hub = product.hub_host.spawn([*command, "--config", HUB_CONFIG], name="plantgate-hub")
        await eventually(product.hub_answers, 60)
        await eventually(lambda: reaches(world), 30)
        await eventually(lambda: connected(world), 30)
        assert (product.hub.output().count(CLOCK_WRONG) > warned) is named


CLOCK = """
import sys, time
real = time.time
time.time = lambda: real() + {years}
from plantgate_hub.cli.main import main
main()
"""
