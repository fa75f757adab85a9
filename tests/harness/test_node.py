"""A node whose enforcement has died must not go on as if nothing were amiss."""

import asyncio
import socket
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from plantgate_hub.app import Node
from plantgate_hub.config import HubConfig
from plantgate_hub.first_request import FirstRequestGuard
from plantgate_hub.opening import open_services
from plantgate_hub.store import SnapshotFeed
from plantgate_shared.config import parse


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((str(IPv4Address("127.0.0.1")), 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("part", "method"), [(SnapshotFeed, "_watch_time"), (SnapshotFeed, "_follow"), (FirstRequestGuard, "run")]
)
async def test_the_node_ends_with_a_part_that_watches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: type, method: str
) -> None:
    async def dies(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(part, method, dies)
    document = {
        "web": {"listen": "127.0.0.1", "port": free_port()},
        "vpn": {"enabled": False},
        "database": {"url": f"sqlite:///{tmp_path / 'hub.db'}"},
        "keys": {"directory": str(tmp_path / "keys")},
    }
    config = parse(document, HubConfig)
    async with open_services(config) as opened:
        with pytest.raises(BaseExceptionGroup) as ended:
            async with asyncio.timeout(30):
                await Node(config, opened).run(asyncio.Event())
    assert ended.group_contains(RuntimeError, match="a bug")
