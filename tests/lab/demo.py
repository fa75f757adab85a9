"""The demo: two plants on one address range, a technician with a stock WireGuard client, every promise checked.

`./packaging/dev demo` runs it; the exit status is 0 only when all checks hold. The lab's tests run it as well.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise
from typing import Any

from plantgate_shared.errors import PlantgateError
from tests.eventually import eventually

from . import rulesets
from .browser import Browser
from .checks import own_forwarding
from .clients import Client, UdpStream, answers
from .devices.identity import WEB_PASSWORD, WEB_USER
from .hosts import CommandFailed
from .lab import Lab
from .product import PORTAL, Product
from .report import Report, seconds
from .technician import Technician
from .world import World

INVERTER = "192.168.1.10"
OUTSIDE = "192.168.50.10"
"""A device that the south gateway could reach, outside the agent's boundary."""
SOON = 1.0
"""Seconds in which a change of permissions takes effect."""
QUIET = 1.5
"""Seconds of silence after which something counts as ended; streams send every 20 ms."""
RECOVERY = 30.0
"""Seconds in which a killed part is back; the machine may be busy."""


class Demo:
    """One run. Each step leaves things as the next one finds them; `STEPS` is their order."""

    def __init__(self, lab: Lab, report: Report) -> None:
        self.lab = lab
        self.report = report
        self.product = Product(lab)
        self.world = World(self.product)
        self.technician: Technician
        self.config_before = ""

    async def run(self) -> None:
        for step in STEPS:
            await step(self)
        await self.world.close()

    # --- steps ------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        report, world = self.report, self.world
        report.section("Hub, people and plants")
        self.product.configure_hub()
        await report.measure("the hub starts and answers", self.product.start_hub)
        await report.measure("organization, people, plants and devices are set up", self._people)
        await report.measure(
            "north: gateway enrolled with a one-time code, agent connected", lambda: world.gateway("north")
        )
        await report.measure("south: the same behind a firewall without UDP", lambda: world.gateway("south"))
        for plant, path in (("north", "udp"), ("south", "websocket")):
            await report.measure(f"{plant}: WireGuard goes by {path}", lambda p=plant, w=path: self._path(p, w))  # type: ignore[misc]
        self.technician = await world.technician("tina", "tech")
        self.config_before = self.technician.config
        self.technician.up()
        await report.measure(
            "a stock WireGuard client connects from behind NAT", lambda: eventually(self._ping_hub, RECOVERY)
        )

    async def _people(self) -> None:
        await self.world.build()
        await self.world.person("tina", "Tina Technician", totp=True, member=True)
        await self.world.person("otto", "Otto Operator", member=True)  # no two-factor
        await self.world.person("vera", "Vera Viewer", totp=True, member=True)

    async def _path(self, plant: str, wanted: str) -> None:
        async def taken() -> bool:
            return (await self.product.agent_status(plant)).get("path") == wanted

        await eventually(taken, RECOVERY)

    async def _ping_hub(self) -> float:
        return await self.technician.ping("100.64.0.1")

    async def access_appears(self) -> None:
        self.report.section("Access granted while connected")
        nothing = not await answers(lambda: self.technician.device_name(INVERTER, timeout=2))
        self.report.add("without a grant, the plant is not there", nothing)
        await self.world.grant("tina", "north")
        await self.report.measure(
            "granted: the plant appears without any action by the client", lambda: self._reaches("north"), SOON
        )
        await self._protocols("north")

    async def _reaches(self, plant: str, address: str = INVERTER, timeout: float = RECOVERY) -> None:
        async def there() -> bool:
            return await self.technician.device_name(address, timeout=0.5) == f"{plant}/inverter"

        await eventually(there, timeout, poll=0.01)

    async def _protocols(self, plant: str) -> None:
        """Every protocol reaches this plant's inverter."""
        label = f"{plant}/inverter"
        attempts: dict[str, Callable[[], Awaitable[object]]] = {
            "HTTP": lambda: self.technician.device_name(INVERTER),
            "Modbus TCP": lambda: self.technician.modbus_name(INVERTER),
            "SSH": lambda: self.technician.ssh(INVERTER),
            "SNMP (UDP)": lambda: self.technician.snmp_get(INVERTER),
        }
        for protocol, attempt in attempts.items():
            began = time.monotonic()
            try:
                said = await attempt()
            except OSError as error:
                said = error
            self.report.add(f"{protocol} reaches {label}", said == label, seconds(time.monotonic() - began))
        try:
            self.report.add(f"ICMP reaches {plant}", True, f"{await self.technician.ping(INVERTER):.1f} ms round trip")
        except OSError as error:
            self.report.add(f"ICMP reaches {plant}", False, str(error))

    async def overlap(self) -> None:
        self.report.section("Two plants on the same range")
        await self.world.grant("tina", "south")
        await asyncio.sleep(SOON)
        states = {route["plant_name"]: route["state"] for route in (await self.world.routes("tina")).values()}
        self.report.add(
            "the overlap is shown, one of the two wins",
            sorted(states.values()) == ["conflict", "reachable"],
            str(states),
        )
        loser = next(plant for plant, state in states.items() if state == "conflict")
        winner = next(plant for plant, state in states.items() if state != "conflict")
        await self._reaches(winner)
        await self.world.prefer("tina", loser)
        await self.report.measure(f"one switch of priority: {loser} answers", lambda: self._reaches(loser), SOON)
        await self._protocols(loser)
        await self._both_at_once()
        await self.world.prefer("tina", winner)
        await self.report.measure(f"and back: {winner} answers", lambda: self._reaches(winner), SOON)
        if winner != "north":
            await self.world.prefer("tina", "north")
            await self._reaches("north")

    async def _both_at_once(self) -> None:
        """By their aliases, whichever has the real range."""
        routes = await self.world.routes("tina")
        aliases = {route["plant_name"]: IPv4Network(next(iter(route["aliases"]))) for route in routes.values()}
        devices = {plant: str(alias[int(IPv4Address(INVERTER)) & 255]) for plant, alias in aliases.items()}
        named = await asyncio.gather(*(self.technician.device_name(address) for address in devices.values()))
        read = await asyncio.gather(*(self.technician.modbus_name(address) for address in devices.values()))
        wanted = [f"{plant}/inverter" for plant in devices]
        self.report.add(
            "both at once under their alias addresses",
            named == read == wanted,
            ", ".join(f"{plant} {address}" for plant, address in devices.items()),
        )

    async def revocation(self) -> None:
        self.report.section("Access revoked while in use")
        await self._streams_end(lambda: self.world.revoke("tina", "north"))
        # south has no rival left: the range turns to it, by the person's own permissions
        await self.report.measure(
            "the other plant, still granted, takes the range", lambda: self._reaches("south"), SOON
        )
        await self.world.grant("tina", "north")
        await self.world.prefer("tina", "north")
        await self.report.measure("granted again: north is back", lambda: self._reaches("north"), SOON)

    async def _streams_end(self, stop: Callable[[], Awaitable[object]]) -> None:
        """A running download and a UDP stream end within a second of what `stop` does."""
        url = f"http://{INVERTER}/download?size=4000000000"
        async with (
            self.technician.download(url) as download,
            self.technician.udp_stream(INVERTER) as stream,
        ):
            await eventually(lambda: download.received > 1_000_000 and stream.count > 10)
            await stop()
            stopped = time.monotonic()
            await eventually(lambda: time.monotonic() > max(download.last, stream.last, stopped) + QUIET, RECOVERY)
            got, sent = download.last - stopped, stream.last - stopped
            self.report.add("a running download ends", got <= SOON, f"last byte after {seconds(max(got, 0), SOON)}")
            self.report.add(
                "a UDP stream from the device to the person ends",
                sent <= SOON,
                f"last datagram after {seconds(max(sent, 0), SOON)}",
            )

    async def hold(self) -> None:
        """The plant's owner ends all access with one call; people keep their jobs, and the plant its range."""
        self.report.section("The owner ends all access")
        await self._streams_end(lambda: self.world.admin("access", "end", "north", "--reason", "smoke"))
        route = (await self._routes())["north"]
        self.report.add("the route says why", "hold" in route["reason"], route["reason"])
        self.report.add("the range does not turn to the other plant", await self._nothing_answers())
        await self.world.admin("access", "restore", "north")
        await self.report.measure("given free again: north is back", lambda: self._reaches("north"), SOON)

    async def time_box(self) -> None:
        """A grant begins and ends on time; nobody does anything at either moment."""
        self.report.section("Access for a limited time")
        await self.world.revoke("tina", "north")
        await self._reaches("south")
        await self.world.admin("service", "unassign", "Default", "south", "--confirm")
        await eventually(self._nothing_answers, RECOVERY)
        begins = time.time() + 3.0
        ends = begins + 6.0
        period = [text for option, at in (("--starts", begins), ("--ends", ends)) for text in (option, _utc(at))]
        email = self.world.people["tina"].email
        await self.world.admin("grant", "give", email, "north", "operator", *period)
        nothing = await self._nothing_answers()
        self.report.add("before it begins, the plant is not there", nothing and time.time() < begins)
        await self._reaches("north")
        late = time.time() - begins
        self.report.add("it begins on time", 0 <= late <= SOON, seconds(max(late, 0), SOON))

        await self._streams_end(lambda: asyncio.sleep(max(ends - time.time(), 0)))
        await self.world.admin("service", "assign", "Default", "south")
        await self.world.grant("tina", "north")
        await self.world.prefer("tina", "north")
        await self._reaches("north")

    async def _nothing_answers(self) -> bool:
        return not await answers(lambda: self.technician.device_name(INVERTER, timeout=0.5))

    async def _routes(self) -> dict[str, Mapping[str, Any]]:
        return {route["plant_name"]: route for route in (await self.world.routes("tina")).values()}

    async def boundary(self) -> None:
        self.report.section("Boundaries")
        at_gateway = await Client(self.lab["south-gateway"]).device_name(OUTSIDE)
        subnet = await self.world.admin("subnet", "add", "south", "192.168.50.0/24")
        await asyncio.sleep(SOON)
        route = next(r for r in (await self.world.routes("tina")).values() if r["network"] == "192.168.50.0/24")
        self.report.add(
            "a subnet outside the agent's boundary is shown as such", "boundary" in route["reason"], route["reason"]
        )
        self._force_route(subnet)
        before = self._received_by_gateway()
        reached = await answers(lambda: self.technician.device_name(OUTSIDE, timeout=2))
        self.report.add(
            "the agent refuses it although the hub routes it there",
            at_gateway == "south/outside" and not reached and self._received_by_gateway() > before + 100,
            f"the gateway itself reaches {at_gateway}",
        )
        await self.world.admin("subnet", "remove", subnet["id"])
        await self._strangers()
        try:
            await own_forwarding(self.lab)
            self.report.add("the single-card gateway's own containers and forwarding go on working", True)
        except (AssertionError, OSError) as error:
            self.report.add("the single-card gateway's own containers and forwarding go on working", False, str(error))

    def _force_route(self, subnet: dict[str, str]) -> None:
        """What a hub gone wrong would do: send the technician's packets for the subnet to the agent, by hand."""
        profile = self.technician.config.split("Address = ")[1].split("/")[0]
        self.lab["hub"].nft(
            f"add element ip plantgate plants {{ {profile} . {subnet['network']} : {subnet['transit']} }}\n"
            f"add element ip plantgate plant_id {{ {subnet['transit']} : {subnet['number']} }}\n"
            f"add element ip plantgate allowed {{ {profile} . {subnet['number']} }}\n"
        )

    def _received_by_gateway(self) -> int:
        """Bytes that the south agent's WireGuard received: they show that a refusal is the agent's, not the hub's."""
        return int(self.lab["south-gateway"].run(["wg", "show", "pg-hub", "transfer"]).stdout.split()[1])

    async def _strangers(self) -> None:
        """Nobody reaches what is not theirs: person to person, plant to plant, the hub and the gateway themselves."""
        await self.world.grant("otto", "south")
        other = await self.world.technician("otto", "tech2")
        other.up()
        await eventually(lambda: other.ping("100.64.0.1"), RECOVERY)
        theirs = other.config.split("Address = ")[1].split("/")[0]
        mine = self.technician.config.split("Address = ")[1].split("/")[0]
        person = await answers(lambda: self.technician.ping(theirs, timeout=1))
        self.report.add("person to person is refused", not person)
        transit = (await self.world.admin("subnet", "list", "south"))[0]["transit"].split("/")[0].rsplit(".", 1)[0]
        north = Client(self.lab["north-gateway"])
        plant = await answers(lambda: north.ping(f"{transit}.10", timeout=1))
        device = await answers(lambda: Client(self.lab["north-inverter"]).ping(mine, timeout=1))
        self.report.add("plant to plant and device to person, unasked, are refused", not plant and not device)
        hub = await self._open_ports(self.technician, "100.64.0.1", (22, 80, 443))
        gateway = await self._open_ports(self.technician, "192.168.1.2", (22, 80, 443, 8080))
        self.report.add(
            "the hub's and the gateway's own ports are closed from within the tunnel", not hub and not gateway
        )
        self.technician.host.run(["ip", "address", "add", f"{theirs}/32", "dev", "lo"])
        try:
            command = ["ping", "-c1", "-W1", "-I", theirs, INVERTER]
            spoofed = self.technician.host.run(command, check=False).status == 0
        finally:
            self.technician.host.run(["ip", "address", "del", f"{theirs}/32", "dev", "lo"])
        self.report.add("a forged source address gets nothing", not spoofed)
        other.down()

    async def _open_ports(self, client: Client, address: str, ports: tuple[int, ...]) -> list[int]:
        return [port for port in ports if await client.host.reaches(address, port, timeout=1)]

    async def proxy(self) -> None:
        self.report.section("Browser Proxy")
        page = "https://inverter-north.devices.localhost/"
        host = self.lab["tech2"]
        async with Browser.open(host) as browser:
            before = await browser.get(page)
            at = "/sign-in" in str(before.headers) or "sign" in before.text.lower()
            self.report.add(
                "a device page without sign-in leads to the sign-in page", at and "north/inverter" not in before.text
            )
        tina, otto, vera = (self.world.people[name] for name in ("tina", "otto", "vera"))
        async with Browser.open(host) as browser:
            await browser.sign_in(otto)
            refused = await browser.get("https://inverter-south.devices.localhost/")
            self.report.add(
                "an Operator without two-factor is refused",
                refused.status != 200 or "south/inverter" not in refused.text,
            )
        async with Browser.open(host) as browser:
            await browser.sign_in(vera)
            refused = await browser.get(page)
            self.report.add(
                "a person without a job on the plant is refused",
                refused.status in (403, 404),
                f"status {refused.status}",
            )
        async with Browser.open(host) as browser:
            await browser.sign_in(tina)
            began = time.monotonic()
            served = await browser.get(page)
            self.report.add(
                "signed in with password and TOTP, the same link serves the device's page",
                served.status == 200 and "north/inverter" in served.text,
                seconds(time.monotonic() - began),
            )
            await self._device_session(browser, page)

    async def _device_session(self, browser: Browser, page: str) -> None:
        """The device's own login, a form, an upload, and what happens to an open download at revocation."""
        login = await browser.submit(
            f"{page}login", await browser.get(f"{page}login"), user=WEB_USER, password=WEB_PASSWORD
        )
        self.report.add("the device's own login works through the proxy", login.status == 200, f"status {login.status}")
        async with browser.session.get(f"{page}download?size=20000000") as answer:
            began, size = time.monotonic(), len(await answer.read())
        rate = size / (time.monotonic() - began) / 1e6
        self.report.add("a download of 20 MB streams through", size == 20_000_000, f"{rate:.0f} MB/s")
        async with browser.session.get(f"{page}download?size=4000000000&rate=2000000") as answer:
            await answer.content.read(100_000)
            await self.world.revoke("tina", "north")
            revoked = time.monotonic()
            last = await self._until_the_end(answer)
            self.report.add(
                "an open download ends at revocation", last - revoked <= SOON, seconds(max(last - revoked, 0), SOON)
            )
        refused = await browser.get(page)
        self.report.add("and the page is refused from then on", refused.status != 200, f"status {refused.status}")
        await self.world.grant("tina", "north")
        await self.world.prefer("tina", "north")
        await self._reaches("north")

    async def _until_the_end(self, answer: object) -> float:
        """When the last bytes of a response came."""
        last = time.monotonic()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(RECOVERY):
                while await answer.content.readany():  # type: ignore[attr-defined]
                    last = time.monotonic()
        return last

    async def failures(self) -> None:
        self.report.section("Crashes")
        await self._reaches("north")
        self.product.kill_worker("north")
        await self.report.measure(
            "the agent's worker is killed: traffic is back", lambda: self._back("north"), RECOVERY
        )
        async with self.technician.udp_stream(INVERTER) as stream:
            await eventually(lambda: stream.count > 10)
            took = await self.product.restart_agent("north")
            self.report.add("the agent is killed and started again: connected", took < RECOVERY, seconds(took))
            await self.report.measure("and traffic flows", lambda: self._back("north"), RECOVERY)
            await self.report.measure("by UDP, as before", lambda: self._path("north", "udp"), RECOVERY)
            await self._ran_on(stream)
            took = await self.product.restart_hub()
            self.report.add("the hub is killed and started again: it answers", took < RECOVERY, seconds(took))
            await self._ran_on(stream)
        await self.report.measure("north answers", lambda: self._back("north"), RECOVERY)
        await self.world.prefer("tina", "south")
        await self.report.measure("south, by websocket, answers", lambda: self._back("south"), RECOVERY)
        rulesets.allow_udp(self.lab["south-router"])
        await self.report.measure(
            "south's firewall lets UDP out: the agent goes over to it", lambda: self._path("south", "udp")
        )
        rulesets.block_udp(self.lab["south-router"])
        await self.report.measure(
            "UDP is blocked again: back to the websocket", lambda: self._path("south", "websocket")
        )
        await self.report.measure("and south answers", lambda: self._back("south"), RECOVERY)
        await self.world.prefer("tina", "north")
        await self._reaches("north")
        same = self.technician.config == self.config_before
        self.report.add("the technician's WireGuard file is the one of the beginning", same)

    async def _ran_on(self, stream: UdpStream) -> None:
        """Nothing asks the device again: a flow that was ended meanwhile would not come back."""
        await asyncio.sleep(SOON + QUIET)  # what a change brings has come by then
        count = stream.count
        await eventually(lambda: stream.count > count + 10)
        gap = max(later - earlier for (earlier, _), (later, _) in pairwise(stream.arrivals))
        self.report.add("a VPN stream ran on meanwhile", gap <= SOON, f"longest gap {seconds(gap, SOON)}")

    async def _back(self, plant: str) -> None:
        await self._reaches(plant)


def _utc(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


STEPS: tuple[Callable[[Demo], Awaitable[None]], ...] = (
    Demo.start,
    Demo.access_appears,
    Demo.overlap,
    Demo.revocation,
    Demo.hold,
    Demo.time_box,
    Demo.boundary,
    Demo.proxy,
    Demo.failures,
)


@contextlib.asynccontextmanager
async def demo_lab(name: str, keep: bool) -> AsyncIterator[Lab]:
    lab = Lab.up("main", name=name, keep=keep)
    try:
        yield lab
    finally:
        lab.down()


async def main(arguments: argparse.Namespace) -> int:
    report = Report()
    began = time.monotonic()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with demo_lab(arguments.name, arguments.keep) as lab:
        report.note(f"{len(lab.hosts)} hosts are up, each with its own network; logs: {lab.state.logs}")
        demo = Demo(lab, report)
        try:
            await demo.run()
        except (PlantgateError, CommandFailed, AssertionError, OSError) as error:
            report.add("the demo ran to its end", False, f"{type(error).__name__}: {error}"[:400])
        report.section(f"{report.summary()}, {time.monotonic() - began:.0f} s")
        if arguments.keep:
            lab.forward(arguments.port)
            demo.product.configure_hub(web={"public_port": arguments.port})  # links lead to the forwarded port
            await demo.product.restart_hub()
            lab.update(**demo.world.describe(arguments.port))
            _explain(demo, arguments)
            await stop.wait()
    return 1 if report.failed else 0


def _explain(demo: Demo, arguments: argparse.Namespace) -> None:
    tina, port = demo.world.people["tina"], arguments.port
    print(f"""
It stays up until Ctrl-C.

  portal   https://{PORTAL}:{port}/   (from another machine: ssh -L {port}:127.0.0.1:{port} …)
  sign in  {tina.email}, password {tina.password!r}, TOTP secret {tina.totp_secret}
  CA file  {demo.product.copy_ca()}
  devices  https://inverter-north.devices.localhost:{port}/ and so on, from the portal's home page

  ./packaging/dev lab exec tech -- curl -s http://192.168.1.10/name      # as the technician, through the VPN
  ./packaging/dev lab exec tech -- ping -c 3 192.168.1.10
  ./packaging/dev lab exec hub -- plantgate-hub admin grant revoke {tina.email} north
  ./packaging/dev lab exec hub -- plantgate-hub admin --help
""")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="dev demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="stay up afterwards and print how to try it by hand")
    parser.add_argument("--port", type=int, default=8443, help="port on 127.0.0.1 that leads to the hub, with --keep")
    parser.add_argument("--name", default="demo", help="name of the lab")
    sys.exit(asyncio.run(main(parser.parse_args())))
