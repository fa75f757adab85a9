"""The REST API of a real node: mounted beside the portal, over HTTPS."""

import asyncio
import ssl
from pathlib import Path

import aiohttp

from plantgate_hub.app import Node
from plantgate_hub.config import HubConfig
from plantgate_hub.opening import open_services
from plantgate_shared.config import parse
from tests.eventually import eventually
from tests.harness.test_node import free_port


async def test_a_node_serves_the_api(tmp_path: Path) -> None:
    port = free_port()
    document = {
        "web": {"listen": "127.0.0.1", "port": port},
        "vpn": {"enabled": False},
        "database": {"url": f"sqlite:///{tmp_path / 'hub.db'}"},
        "keys": {"directory": str(tmp_path / "keys")},
    }
    config = parse(document, HubConfig)
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    async with open_services(config) as opened, aiohttp.ClientSession() as client:
        stopping = asyncio.Event()
        node = asyncio.create_task(Node(config, opened).run(stopping))

        async def get(path: str) -> tuple[int, str]:
            headers = {"Host": "portal.localhost"}
            async with client.get(f"https://127.0.0.1:{port}{path}", headers=headers, ssl=trusting) as reply:
                return reply.status, reply.content_type

        try:
            assert await eventually(lambda: get("/api/v1/openapi.json")) == (200, "application/json")
            assert await get("/api/v1/me") == (401, "application/problem+json")
            settings = await opened.client_settings(config)
            assert settings.hub_public_key == opened.keys.wireguard_users.public
        finally:
            stopping.set()
            await node
