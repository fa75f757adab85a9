"""The application services over a store of their own, with two organizations, their people and a clock of its own."""

import asyncio
import dataclasses
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from plantgate_hub.domain.model import Job, Organization, OrgRole, Person, PersonId, Plant, PlantId
from plantgate_hub.domain.policy import job_of
from plantgate_hub.domain.pools import Pools
from plantgate_hub.domain.snapshot import Snapshot
from plantgate_hub.services import CONSOLE, Actor, Context, Services, acting
from plantgate_hub.store import AesSealer, SqlStore, open_store
from plantgate_shared.secret import Secret


async def quick_hash(password: str) -> str:
    return f"hashed {password}"


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class World:
    """North owns the plants wind and solar; South is a stranger to it.

    `ada` and `mod` are North's Administrator and Moderator, `tom` a plain member, `sam` South's Administrator, `sue`
    a member of South, `root` the cloud operator.
    """

    store: SqlStore
    services: Services
    clock: Clock
    north: Organization
    south: Organization
    people: dict[str, Person]
    wind: Plant
    solar: Plant

    def id(self, name: str) -> PersonId:
        return self.people[name].id

    def actor(self, name: str) -> Actor:
        return acting(self.id(name))

    async def snapshot(self) -> Snapshot:
        return await self.store.load_snapshot()

    async def job(self, name: str, plant: PlantId | None = None) -> Job | None:
        return job_of(await self.snapshot(), self.id(name), plant or self.wind.id, self.clock.now).job


SEALER = AesSealer(Secret(b"k" * 32))


async def _migrate(url: str) -> None:
    await (await open_store(url, SEALER)).close()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory) -> Path:
    """A database with its tables, to copy."""
    path: Path = tmp_path_factory.mktemp("services") / "hub.db"
    asyncio.run(_migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture
def database(empty_database, tmp_path) -> str:
    shutil.copy(empty_database, tmp_path / "hub.db")
    return f"sqlite:///{tmp_path / 'hub.db'}"


@pytest.fixture
async def world(database) -> AsyncIterator[World]:
    clock = Clock()
    store = await open_store(database, SEALER, migrate=False, now=clock)
    services = Services(Context(store, Pools(), clock, quick_hash, frozenset({"hub's own"})))
    root = await services.people.bootstrap(CONSOLE, "root@example.com", "Root", "a good password")
    people: dict[str, Person] = {"root": root}
    north = await services.organizations.create(acting(root.id), "North")
    south = await services.organizations.create(acting(root.id), "South")
    for name, organization, role in (
        ("ada", north, OrgRole.ADMINISTRATOR),
        ("mod", north, OrgRole.MODERATOR),
        ("tom", north, OrgRole.MEMBER),
        ("sam", south, OrgRole.ADMINISTRATOR),
        ("sue", south, OrgRole.MEMBER),
    ):
        people[name] = await services.people.create(
            CONSOLE, f"{name}@example.com", name.title(), organization=organization.id, role=role
        )
    wind = await services.plants.create(acting(people["ada"].id), north.id, "Wind")
    solar = await services.plants.create(acting(people["ada"].id), north.id, "Solar")
    yield World(store, services, clock, north, south, people, wind, solar)
    await store.close()


@dataclass(frozen=True)
class Gateway:
    """What enrolment learns of a gateway."""

    identity_key: bytes
    wireguard_key: str
    name: str = "its own name"


def changed(value: Any, **more: Any) -> Any:
    return dataclasses.replace(value, **more)
