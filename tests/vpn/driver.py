"""The hub's VPN data plane as a process of its own on a lab host: one JSON command a line in, one answer a line out.

A process, so that it lives in the host's namespaces with everything it starts, and so that it can be killed.
"""

import asyncio
import json
import sys
import time
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Any

from plantgate_hub.domain.model import Agent, AgentId, PersonId, PlantId, Profile, ProfileId, Subnet, SubnetId
from plantgate_hub.domain.snapshot import Snapshot
from plantgate_hub.vpn.reconciler import VpnDataPlane
from plantgate_hub.vpn.state import ProfileElements, VpnSettings, VpnState
from plantgate_hub.vpn.watch import uses
from plantgate_shared.errors import PlantgateError
from plantgate_shared.logging import configure
from plantgate_shared.secret import Secret

SETTINGS = VpnSettings()
USERS_KEY = Secret(bytes(range(32)))
AGENTS_KEY = Secret(bytes(range(1, 33)))


def elements(document: dict[str, Any]) -> ProfileElements:
    plants = {IPv4Network(prefix): IPv4Network(transit) for prefix, transit in document["plants"].items()}
    return ProfileElements(plants, frozenset(document["allowed"]))


def state(document: dict[str, Any]) -> VpnState:
    profiles = tuple(
        Profile(
            ProfileId(address),
            PersonId(address),
            "laptop",
            key,
            IPv4Address(address),
            IPv6Address("fd00::") + int(IPv4Address(address)),
        )
        for address, key in document["profiles"].items()
    )
    subnets = tuple(
        Subnet(
            SubnetId(str(s["number"])),
            PlantId(s["plant"]),
            IPv4Network(s["network"]),
            IPv4Network(s["transit"]),
            s["number"],
        )
        for s in document["subnets"]
    )
    agents = tuple(
        Agent(AgentId(a["plant"]), PlantId(a["plant"]), a["plant"], b"", a["key"], IPv4Address(a["address"]))
        for a in document["agents"]
    )
    reached = {IPv4Address(address): elements(value) for address, value in document["elements"].items()}
    return VpnState(profiles, reached, agents, subnets)


async def obey(plane: VpnDataPlane, command: str, argument: Any) -> Any:
    match command:
        case "start":
            return await plane.start(state(argument))
        case "update":
            return await plane.update({IPv4Address(a): elements(value) for a, value in argument.items()})
        case "change":
            return await plane.change(state(argument))
        case "verify":
            return await plane.verify(state(argument))
        case "settle":
            return await plane.settle()
        case "uses":
            wanted = state(argument)
            snapshot = Snapshot.of([*wanted.profiles, *wanted.subnets])
            found = uses(snapshot, await plane.people_flows(), await plane.people_handshakes(), time.time())
            return sorted([person, plant] for person, plant in found)
        case "available":
            return str(await plane.available())
        case "stop":
            return await plane.stop()
    raise ValueError(command)


async def main() -> None:
    configure("debug", json=True)
    plane = VpnDataPlane(SETTINGS, USERS_KEY, AGENTS_KEY, sweep_after=0.5, watch_every=float(sys.argv[1]))
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command, argument = json.loads(line)
        began = time.monotonic()
        try:
            answer = {"result": await obey(plane, command, argument)}
        except PlantgateError as error:
            answer = {"error": str(error)}
        print(json.dumps({**answer, "began": began, "ended": time.monotonic()}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
