"""Two people, the hub's VPN data plane and two plants on the same addresses, with real packets."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from plantgate_shared.kernel.wireguard import public_key
from tests.lab.hosts import ROOT, Host
from tests.lab.lab import Lab
from tests.lab.technician import Technician, keypair, make_interface
from tests.lab.topology import Device, Node, Topology, nics

from .driver import AGENTS_KEY, SETTINGS, USERS_KEY

HUB = "198.51.100.10"
PEOPLE = {"tech1": "100.64.0.5", "tech2": "100.64.0.6"}
PLANTS = {"north": 1, "south": 2}
REAL, DEVICE = "192.168.1.0/24", "192.168.1.10"
TRANSIT = {"north": "240.16.1.0/24", "south": "240.16.2.0/24"}
ALIAS = {"north": "198.18.1.0/24", "south": "198.18.2.0/24"}
AGENT_ADDRESS = {"north": "240.0.0.1", "south": "240.0.0.2"}
CLIENT_ROUTES = "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 198.18.0.0/15, 100.64.0.0/24, 240.0.0.0/4, fd00::/16"
"""What a client asks for that edits its configuration: more than it was given."""

TOPOLOGY = Topology(
    "vpn",
    (
        # The hub forwards for others too: `beside` reaches `outside` through it.
        Node("hub", nics(f"eth0 net {HUB}/24", "eth1 beside 203.0.113.1/24"), forwards=True),
        Node("beside", nics("eth0 beside 203.0.113.2/24"), gateway="203.0.113.1"),
        Node("outside", nics("eth0 net 198.51.100.30/24"), routes=(f"203.0.113.0/24 via {HUB}",)),
        Node("tech1", nics("eth0 net 198.51.100.21/24")),
        Node("tech2", nics("eth0 net 198.51.100.22/24")),
        Node("north-gateway", nics("eth0 net 198.51.100.41/24", "lan0 north-lan 192.168.1.2/24"), forwards=True),
        Node("south-gateway", nics("eth0 net 198.51.100.42/24", "lan0 south-lan 192.168.1.2/24"), forwards=True),
        Node("north-device", nics(f"eth0 north-lan {DEVICE}/24"), gateway="192.168.1.2"),
        Node("south-device", nics(f"eth0 south-lan {DEVICE}/24"), gateway="192.168.1.2"),
    ),
    devices=tuple(Device("device", plant, f"{plant}-device", DEVICE, ("web", "stream")) for plant in PLANTS),
)

AGENT_RULES = """
table ip plantgate_agent {{
    chain translate {{
        type nat hook prerouting priority dstnat;
        iifname "pg-hub" dnat ip prefix to ip daddr map {{ {transit} : 192.168.1.0/24 }}
    }}
    chain leave {{
        type nat hook postrouting priority srcnat;
        iifname "pg-hub" oifname "lan0" masquerade
    }}
}}
"""


@dataclass
class Answer:
    result: Any
    began: float
    ended: float


class Refused(Exception):
    """The data plane raised an error."""


class HubProcess:
    """The data plane's process on the hub."""

    def __init__(self, host: Host, watch_every: float = 3600.0) -> None:
        command = [sys.executable, "-u", "-m", "tests.vpn.driver", str(watch_every)]
        self._log = (host.state.logs / "hub.driver.log").open("ab")
        self._process = host.popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )

    async def tell(self, command: str, argument: Any = None) -> Answer:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([command, argument]) + "\n")
        self._process.stdin.flush()
        line = await asyncio.to_thread(self._process.stdout.readline)
        if not line:
            raise AssertionError("the hub's process ended")
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"])
        return Answer(answer["result"], answer["began"], answer["ended"])

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)
        self._log.close()


@dataclass
class World:
    lab: Lab
    hub: HubProcess
    people: Mapping[str, Technician]
    state: dict[str, Any] = field(default_factory=dict)

    @classmethod
    async def make(cls, lab: Lab) -> "World":
        # A host that forwards nothing on its own: new links start without.
        lab["hub"].sysctl("net.ipv4.conf.default.forwarding", 0)
        users, agents = await public_key(USERS_KEY), await public_key(AGENTS_KEY)
        state: dict[str, Any] = {"profiles": {}, "agents": [], "elements": {}, "subnets": []}
        people = {}
        for name, address in PEOPLE.items():
            private, public = keypair(lab[name])
            state["profiles"][address] = public
            people[name] = Technician(lab[name], _client(private, address, users))
            people[name].up()
        for plant, number in PLANTS.items():
            key = _gateway(lab[f"{plant}-gateway"], plant, agents)
            state["agents"].append({"plant": plant, "key": key, "address": AGENT_ADDRESS[plant]})
            state["subnets"].append({"plant": plant, "network": REAL, "transit": TRANSIT[plant], "number": number})
        return cls(lab, HubProcess(lab["hub"]), people, state)

    async def start(self) -> None:
        await self.hub.tell("start", self.state)

    async def let(self, person: str, real: str = "", aliases: tuple[str, ...] = ()) -> Answer:
        """From now on the person reaches this plant by its real range, and these by alias."""
        plants = {REAL: TRANSIT[real]} if real else {}
        plants |= {ALIAS[plant]: TRANSIT[plant] for plant in aliases}
        allowed = sorted({PLANTS[plant] for plant in (*filter(None, [real]), *aliases)})
        wanted = {"plants": plants, "allowed": allowed}
        self.state["elements"][PEOPLE[person]] = wanted
        return await self.hub.tell("update", {PEOPLE[person]: wanted})

    async def verify(self) -> list[str]:
        return list((await self.hub.tell("verify", self.state)).result)

    async def restart(self, watch_every: float = 3600.0) -> None:
        """Kill the hub's process and start another, which looks that often whether its tables are there."""
        self.hub.kill()
        self.hub = HubProcess(self.lab["hub"], watch_every)
        await self.start()

    async def reconnect(self) -> None:
        """Have both sides' WireGuard begin anew, which a stock one does only after 15 s without an answer."""
        agents = await public_key(AGENTS_KEY)
        for plant in PLANTS:
            host = self.lab[f"{plant}-gateway"]
            peer = ["wg", "set", "pg-hub", "peer", agents]
            host.run([*peer, "remove"])
            routes = ["allowed-ips", "100.64.0.0/10", "persistent-keepalive", "5"]
            host.run([*peer, "endpoint", f"{HUB}:{SETTINGS.agents_port}", *routes])
        for person in self.people.values():
            person.down()
            person.up()

    def table(self) -> str:
        return self.lab["hub"].run(["nft", "-s", "list", "table", "ip", "plantgate"]).stdout


def _client(private: str, address: str, hub_key: str) -> str:
    return f"""\
[Interface]
PrivateKey = {private}
Address = {address}/32
MTU = 1420

[Peer]
PublicKey = {hub_key}
Endpoint = {HUB}:{SETTINGS.users_port}
AllowedIPs = {CLIENT_ROUTES}
PersistentKeepalive = 5
"""


def _gateway(host: Host, plant: str, hub_key: str) -> str:
    """Stands for an edge agent: WireGuard, translation of the transit prefix, masquerade."""
    private, public = keypair(host)
    make_interface(host, "pg-hub")
    config = f"[Interface]\nPrivateKey = {private}\n[Peer]\nPublicKey = {hub_key}\nAllowedIPs = 100.64.0.0/10\n"
    config += f"Endpoint = {HUB}:{SETTINGS.agents_port}\nPersistentKeepalive = 5\n"
    host.run(["wg", "setconf", "pg-hub", "/dev/stdin"], input=config)
    host.nft(AGENT_RULES.format(transit=TRANSIT[plant]))
    lines = [
        f"address add {AGENT_ADDRESS[plant]}/32 dev pg-hub",
        f"link set pg-hub mtu {SETTINGS.mtu} up",
        "route add 100.64.0.0/10 dev pg-hub",
    ]
    host.run(["ip", "-batch", "-"], input="\n".join(lines))
    return public


async def gap_after(arrivals: list[tuple[float, str]], moment: float, quiet: float = 1.5) -> float:
    """Seconds from `moment` to the last arrival, once nothing has come for `quiet` seconds."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        last = arrivals[-1][0] if arrivals else moment
        if time.monotonic() - max(last, moment) >= quiet:
            return max(0.0, last - moment)
        await asyncio.sleep(0.05)
    raise AssertionError("it never ends")
