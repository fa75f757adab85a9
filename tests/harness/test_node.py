"""One node as it is composed: what its parts are given, and that it ends with a part whose work must be done."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path

import aiohttp
import pytest

from plantgate_hub.app import Node
from plantgate_hub.config import HubConfig
from plantgate_hub.domain.scopes import TokenScope
from plantgate_hub.first_request import FirstRequestGuard
from plantgate_hub.opening import Opened, open_services
from plantgate_hub.services import CONSOLE, acting
from plantgate_hub.store import SnapshotFeed
from plantgate_shared.config import parse
from plantgate_shared.identity.keys import WireGuardKey
from tests.eventually import eventually


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((str(IPv4Address("127.0.0.1")), 0))
        return int(probe.getsockname()[1])


def configuration(folder: Path) -> HubConfig:
    document = {
        "web": {"listen": "127.0.0.1", "port": free_port()},
        "vpn": {"enabled": False},
        "database": {"url": f"sqlite:///{folder / 'hub.db'}"},
        "keys": {"directory": str(folder / "keys")},
    }
    return parse(document, HubConfig)


@pytest.mark.parametrize(
    ("part", "method"), [(SnapshotFeed, "_watch_time"), (SnapshotFeed, "_follow"), (FirstRequestGuard, "run")]
)
async def test_the_node_ends_with_a_part_that_watches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: type, method: str
) -> None:
    async def dies(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(part, method, dies)
    config = configuration(tmp_path)
    async with open_services(config) as opened:
        with pytest.raises(BaseExceptionGroup) as ended:
            async with asyncio.timeout(30):
                await Node(config, opened).run(asyncio.Event())
    assert ended.group_contains(RuntimeError, match="a bug")


@asynccontextmanager
async def running(config: HubConfig, opened: Opened) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    node = asyncio.create_task(Node(config, opened).run(stopping))
    yield
    stopping.set()
    await node


async def test_a_program_works_with_its_token_until_it_is_revoked(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    async with open_services(config) as opened:
        services = opened.services
        ada = await services.people.create(CONSOLE, "ada@example.com", "Ada")
        north = await services.organizations.create(CONSOLE, "North", ada.id)
        plant = await services.plants.create(acting(ada.id), north.id, "Wind")
        await services.plants.add_subnet(acting(ada.id), plant.id, "192.168.1.0/24")
        device = await services.plants.add_device(acting(ada.id), plant.id, "Inverter", "192.168.1.10")
        await services.profiles.create(acting(ada.id), ada.id, "laptop", WireGuardKey.generate().public)
        made = await services.tokens.create(acting(ada.id), ada.id, "program", [TokenScope.READ])
        headers = {"Host": config.web.portal_host, "Authorization": f"Bearer {made.secret}"}
        url = f"https://127.0.0.1:{config.web.port}/api/v1"
        connector = aiohttp.TCPConnector(ssl=False)
        async with running(config, opened), aiohttp.ClientSession(headers=headers, connector=connector) as program:

            async def status() -> int:
                async with program.get(f"{url}/me") as reply:
                    return reply.status

            await eventually(status)  # it listens
            async with program.get(f"{url}/devices/{device.id}/diagnosis") as reply:
                steps = {step["hop"]: (step["result"], step["cause"]) for step in (await reply.json())["steps"]}
            assert steps["your VPN tunnel"] == ("unknown", "the hub cannot tell whether your VPN is connected")
            assert steps["agent"] == ("failed", "no gateway is enrolled at the plant")
            assert await status() == 200
            await services.tokens.revoke(acting(ada.id), ada.id, made.token.id)

            async def refused() -> bool:
                return await status() == 401

            await eventually(refused)
