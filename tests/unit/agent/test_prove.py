"""What the end of an enrolment may send where."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from plantgate_agent.config import AgentConfig
from plantgate_agent.prove import udp_works
from plantgate_shared.config import parse
from plantgate_shared.protocol.control import DesiredState

LOCAL = IPv4Address("127.0.0.1")


class Listener(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard = 0

    def datagram_received(self, _data: bytes, _address: tuple[str, int]) -> None:
        self.heard += 1


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Listener, int]]:
    loop = asyncio.get_running_loop()
    transport, listener = await loop.create_datagram_endpoint(Listener, local_addr=(str(LOCAL), 0))
    try:
        yield listener, transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


@pytest.mark.parametrize("known", [False, True])
async def test_only_the_hub_itself_is_probed(tmp_path: Path, known: bool) -> None:
    """An address that the hub names is refused where the running agent would refuse it: here its own loopback."""
    (tmp_path / "boundary.yaml").write_text("- 192.168.1.0/24\n")
    config = parse({"boundary_file": str(tmp_path / "boundary.yaml")}, AgentConfig)
    async with listening() as (listener, port):
        state = DesiredState(
            revision=1,
            peer_networks=(),
            subnets=(),
            targets=(),
            transit_address=IPv4Address("240.0.0.9"),
            hub_wireguard_key="",
            udp_endpoint=f"{LOCAL}:{port}",
            probe_key=bytes(32),
            mtu=1380,
        )
        assert not await udp_works(config, state, frozenset({LOCAL}) if known else frozenset())
    assert (listener.heard > 0) is known
