"""The agent-facing half of a hub on loopback, real TLS and all, over a snapshot that the test changes at will."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from aiohttp import web

from plantgate_hub import keys, tls
from plantgate_hub.config import HubConfig, Keys
from plantgate_hub.domain.model import (
    Agent,
    AgentId,
    Device,
    DeviceId,
    Organization,
    OrganizationId,
    Plant,
    PlantId,
    Scheme,
    Subnet,
    SubnetId,
    TargetId,
    WebTarget,
)
from plantgate_hub.domain.snapshot import Entity, Snapshot, put, remove
from plantgate_hub.tunnel.desired import hub_facts
from plantgate_hub.tunnel.endpoint import HubIdentity, TunnelEndpoint
from plantgate_hub.tunnel.enrol import EnrolmentEndpoint, Enrolments, NewAgent
from plantgate_hub.tunnel.registry import AgentRegistry
from plantgate_shared.gso import Address
from plantgate_shared.identity import enrolment
from plantgate_shared.identity.handshake import PinnedHub
from plantgate_shared.identity.keys import IdentityKey, WireGuardKey


@dataclass
class Plot:
    """A plant with one agent, one subnet and one device page, and the agent's private key."""

    number: int
    identity: IdentityKey
    agent: Agent

    @property
    def plant(self) -> PlantId:
        return self.agent.plant

    def entities(self) -> Iterable[Entity]:
        number = self.number
        device = DeviceId(f"device-{number}")
        yield Plant(self.plant, OrganizationId("org"), f"Plant {number}")
        transit = IPv4Network((int(IPv4Address("241.0.0.0")) + 256 * number, 24))
        yield Subnet(SubnetId(f"subnet-{number}"), self.plant, IPv4Network("192.168.1.0/24"), transit, number)
        yield Device(device, self.plant, "inverter", IPv4Address("192.168.1.10"))
        yield WebTarget(TargetId(f"target-{number}"), device, f"inverter-{number}", Scheme.HTTP, 80)
        yield self.agent


def make_plot(number: int) -> Plot:
    identity = IdentityKey.generate()
    agent = Agent(
        AgentId(f"agent-{number}"),
        PlantId(f"plant-{number}"),
        f"gateway {number}",
        identity.public,
        WireGuardKey.generate().public,
        IPv4Address("240.0.0.1") + number,
    )
    return Plot(number, identity, agent)


@dataclass(frozen=True)
class HeldCode:
    mac_key: bytes
    plant: PlantId


class MemoryEnrolments:
    """The store's part of enrolment, in memory."""

    def __init__(self, node: "HubNode") -> None:
        self._node = node
        self.codes: dict[str, HeldCode] = {}
        self.expires: dict[str, float] = {}
        self._used: dict[str, Agent] = {}

    def issue(self, code: str, plot: Plot, expires: float) -> None:
        derived = enrolment.derive(code)
        self.codes[derived.lookup] = HeldCode(derived.mac_key.reveal(), plot.plant)
        self.expires[derived.lookup] = expires

    async def find(self, lookup: str) -> HeldCode | None:
        return self.codes.get(lookup)

    async def enrol(self, lookup: str, agent: NewAgent, now: float) -> tuple[Agent, str] | None:
        code = self.codes[lookup]
        used = self._used.get(lookup)
        if now >= self.expires[lookup] or (used and used.identity_key != agent.identity_key):
            return None
        number = 1000 + len(self._used)
        made = used or Agent(
            AgentId(f"agent-{number}"),
            code.plant,
            agent.name,
            agent.identity_key,
            agent.wireguard_key,
            IPv4Address("240.0.0.1") + number,
        )
        self._used[lookup] = made
        self._node.change(made)
        return made, "Solar park"


class HubNode:
    """Made by `hub_node`."""

    def __init__(
        self,
        directory: Path,
        wireguard: Address,
        max_unproved: int,
        handshake_seconds: float,
        handshake_grace: float,
        enrolments: Enrolments | None = None,
    ) -> None:
        self.config = replace(HubConfig(), keys=Keys(directory / "keys"))
        self.keys = keys.load_or_create(self.config.keys.directory)
        self.tls = tls.load_or_create(self.config, time.time())
        self.snapshot = Snapshot.of([Organization(OrganizationId("org"), "Org")], revision=1)
        self.registry = AgentRegistry()
        self.pinned = PinnedHub(self.config.name, self.keys.identity.public)
        self.certificates = set(self.tls.certificates)
        self.endpoint = TunnelEndpoint(
            HubIdentity(self.keys.identity, self.config.name, lambda: self.certificates),
            hub_facts(self.config, self.keys.wireguard_agents.public),
            lambda: self.snapshot,
            self.registry,
            wireguard,
            time.time,
            max_unproved=max_unproved,
            handshake_seconds=handshake_seconds,
            handshake_grace=handshake_grace,
        )
        self.enrolments = MemoryEnrolments(self)
        self.now = 1_000_000.0
        self.enrolment = EnrolmentEndpoint(
            enrolments or self.enrolments, self.pinned, lambda: self.certificates, lambda: self.now
        )
        self.port = 0

    def change(self, *entities: Entity) -> None:
        """One change of the store."""
        self._apply(put(entity) for entity in entities)

    def remove(self, *entities: Entity) -> None:
        self._apply(remove(entity) for entity in entities)

    def _apply(self, changes) -> None:
        self.snapshot = self.snapshot.apply(changes, self.snapshot.revision + 1)
        self.endpoint.snapshot_changed()

    def add_plots(self, count: int) -> list[Plot]:
        plots = [make_plot(number) for number in range(1, count + 1)]
        self.change(*(entity for plot in plots for entity in plot.entities()))
        return plots


@asynccontextmanager
async def hub_node(
    directory: Path,
    *,
    wireguard: Address = ("127.0.0.1", 9),
    max_unproved: int = 256,
    handshake_seconds: float = 20.0,
    handshake_grace: float = 5.0,
    enrolments: Enrolments | None = None,
) -> AsyncIterator[HubNode]:
    node = HubNode(directory, wireguard, max_unproved, handshake_seconds, handshake_grace, enrolments)
    app = web.Application()
    app.add_routes([*node.endpoint.routes(), *node.enrolment.routes()])
    runner = web.AppRunner(app, shutdown_timeout=5, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=node.tls.context, backlog=1024)
    await site.start()
    node.port = runner.addresses[0][1]
    pushing = asyncio.create_task(node.endpoint.run())
    try:
        yield node
    finally:
        node.endpoint.close()
        await runner.cleanup()
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)
