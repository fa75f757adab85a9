"""Two organizations, their people and four plants on a real store, and the portal that shows them."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from plantgate_hub.access import SnapshotAccess
from plantgate_hub.connected import Connected
from plantgate_hub.domain.model import Agent, Job, Organization, OrgRole, Person, Plant, Scheme
from plantgate_hub.domain.pools import Pools
from plantgate_hub.domain.snapshot import Snapshot
from plantgate_hub.identity.passwords import Passwords
from plantgate_hub.identity.totp import STEP_SECONDS, code_at
from plantgate_hub.services import CONSOLE, Context, Services
from plantgate_hub.store import SnapshotFeed, SqlStore, open_store
from plantgate_hub.tunnel.registry import AgentRegistry, AgentState
from plantgate_hub.web import SERVER_OPTIONS, SESSIONS, WebParts, build_web
from plantgate_shared.identity.keys import IdentityKey, WireGuardKey
from plantgate_shared.protocol.control import AgentStatus, DeviceLookedFor, Presence, TunnelPath
from plantgate_shared.secret import Secret
from tests.harness.web_site import CONFIG, PASSWORD_HASH, TOTP_SECRET, Browser, LoopbackStreams, hub_of
from tests.services.conftest import SEALER, Clock, empty_database

__all__ = ["empty_database"]

PEOPLE = {
    "ada": ("North", OrgRole.ADMINISTRATOR),
    "mo": ("North", OrgRole.MODERATOR),
    "tina": ("North", OrgRole.MEMBER),
    "max": ("North", OrgRole.MEMBER),
    "vera": ("North", OrgRole.MEMBER),
    "gus": ("North", OrgRole.GUEST),
    "sam": ("Service Ltd", OrgRole.ADMINISTRATOR),
    "sue": ("Service Ltd", OrgRole.MEMBER),
}
"""`tina` is Operator on solar and wind, `max` Technical Manager on solar, `vera` Viewer on solar."""
WITH_TOTP = ("ada", "tina")
NETWORKS = {"solar": "192.168.1.0/24", "wind": "192.168.1.0/24", "storage": "10.9.0.0/24", "hydro": "172.20.4.0/24"}


class Network:
    """What every agent sees on its plant's network, as soon as `answers` is set."""

    def __init__(self) -> None:
        self.presence = Presence.ANSWERS
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def look_for_device(self, _address: IPv4Address, _timeout: float) -> DeviceLookedFor:
        self.asked += 1
        await self.answers.wait()
        return DeviceLookedFor(1, self.presence)


@dataclass
class World:
    store: SqlStore
    feed: SnapshotFeed
    services: Services
    registry: AgentRegistry
    clock: Clock
    organizations: dict[str, Organization] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    plants: dict[str, Plant] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    streams: LoopbackStreams = field(default_factory=LoopbackStreams)
    network: Network = field(default_factory=Network)
    port: int = 0
    app: web.Application | None = None
    _step: int = 0

    @property
    def snapshot(self) -> Snapshot:
        return self.feed.snapshot

    def code(self) -> str:
        """A code that was not used yet: time moves on by one step where needed."""
        self._step = max(self._step + 1, int(self.clock.now // STEP_SECONDS))
        self.clock.now = max(self.clock.now, self._step * STEP_SECONDS)
        return code_at(TOTP_SECRET, self._step)

    def subnet(self, plant: str) -> Any:
        (subnet,) = self.snapshot.subnets_of(self.plants[plant].id)
        return subnet

    def device(self, plant: str) -> Any:
        (device,) = self.snapshot.devices_of(self.plants[plant].id)
        return device

    async def caught_up(self) -> None:
        await self.feed.reaches(await self.store.revision())

    @property
    def sessions(self) -> Any:
        assert self.app is not None
        return self.app[SESSIONS]

    def attach(self, plant: str, path: TunnelPath = TunnelPath.UDP) -> Any:
        agent = self.agents[plant]
        status = AgentStatus(1, path, agent.boundary, (), version="0.1.0", handshake_age=3.0)
        state = AgentState(agent.id, agent.plant, agent.transit_address, agent.epoch, self.clock.now, status)
        attached = SimpleNamespace(state=state, end=lambda *_: None, look_for_device=self.network.look_for_device)
        self.registry.attach(cast(Any, attached))
        return attached

    @asynccontextmanager
    async def visit(self, name: str) -> AsyncIterator[Browser]:
        """A browser in which the person is signed in."""
        async with self.browser() as browser:
            page = await browser.sign_in(f"{name}@example.com")
            assert page.status == 200, page.text
            yield browser

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[Browser]:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False) as session:
            yield Browser(cast(Any, self), session)


async def populate(world: World) -> None:
    services = world.services
    world.people["root"] = await services.people.bootstrap(CONSOLE, "root@example.com", "Root", "a good password")
    for name in ("North", "Service Ltd"):
        world.organizations[name] = await services.organizations.create(CONSOLE, name)
    for name, (organization, role) in PEOPLE.items():
        world.people[name] = await services.people.create(
            CONSOLE,
            f"{name}@example.com",
            name.title(),
            organization=world.organizations[organization].id,
            role=role,
        )
    for person in world.people.values():
        async with world.store.change("test") as change:
            await change.set_password_hash(person.id, PASSWORD_HASH)
    for name in WITH_TOTP:
        await world.store.credentials.activate_totp(world.people[name].id, TOTP_SECRET, -1)
    for name, network in NETWORKS.items():
        plant = await services.plants.create(CONSOLE, world.organizations["North"].id, name.title())
        world.plants[name] = plant
        await services.plants.add_subnet(CONSOLE, plant.id, network)
        address = str(IPv4Network(network)[10])
        device = await services.plants.add_device(CONSOLE, plant.id, f"{name} inverter", address)
        await services.plants.add_target(CONSOLE, device.id, f"inverter-{name}", scheme=Scheme.HTTP)
    for name in ("solar", "wind"):
        await enrol(world, name)
    for name, plant_name, job in (
        ("tina", "solar", Job.OPERATOR),
        ("tina", "wind", Job.OPERATOR),
        ("max", "solar", Job.TECHNICAL_MANAGER),
        ("vera", "solar", Job.VIEWER),
    ):
        await services.grants.give(CONSOLE, world.people[name].id, world.plants[plant_name].id, job)


async def enrol(world: World, plant: str, name: str = "gateway") -> None:
    made = await world.services.agents.create_code(CONSOLE, world.plants[plant].id, name)
    keys = SimpleNamespace(identity_key=IdentityKey.generate().public, wireguard_key=WireGuardKey.generate().public)
    enrolled = await world.services.agents.enrol(made.record.lookup_id, cast(Any, keys), world.clock.now)
    assert enrolled is not None
    boundary = [IPv4Network(NETWORKS[plant])]
    world.agents[plant] = await world.services.agents.report_boundary(enrolled[0].id, boundary)


@pytest.fixture
async def world(empty_database, tmp_path) -> AsyncIterator[World]:
    shutil.copy(empty_database, tmp_path / "hub.db")
    store = await open_store(f"sqlite:///{tmp_path / 'hub.db'}", SEALER, migrate=False)
    passwords, registry = Passwords(), AgentRegistry()
    clock = Clock(float(int(time.time())))
    services = Services(Context(store, Pools(), clock))
    feed = SnapshotFeed(store, now=clock)
    world = World(store, feed, services, registry, clock)
    await populate(world)
    async with feed.running():
        parts = WebParts(
            CONFIG,
            SnapshotAccess(feed),
            store.credentials,
            store.sessions,
            world.streams,
            store,
            passwords,
            Secret(b"b" * 32),
            Connected(lambda: feed.snapshot, clock),
            now=clock,
            hub=hub_of(feed, registry, services, clock, world.streams),
        )
        world.app = build_web(parts)
        runner = web.AppRunner(world.app, shutdown_timeout=1.0, **SERVER_OPTIONS)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        world.port = runner.addresses[0][1]
        world.attach("solar")
        yield world
        await runner.cleanup()
    passwords.close()
    await store.close()
