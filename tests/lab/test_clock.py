"""A gateway whose clock was years ahead and is right again, as after an empty battery: it comes back by itself."""

import socket
import time

import pytest

from tests.eventually import eventually

from .initiation import initiation
from .lab import Lab
from .product import Product
from .topology import HUB_ADDRESS
from .world import World

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

AGENTS_PORT = 51821
YEARS = 10 * 365 * 86400


async def test_a_gateway_whose_clock_went_back_comes_back(bare_lab: Lab) -> None:
    product = Product(bare_lab)
    product.configure_hub()
    await product.start_hub()
    world = World(product)
    await world.build()
    await world.person("tina", "Tina", member=True)
    await world.grant("tina", "plant")
    technician = await world.technician("tina", "tech")
    technician.up()
    await world.gateway("plant")
    await eventually(lambda: technician.device_name("192.168.1.10", timeout=1))
    product.stop_agent("plant")

    gateway, hub = bare_lab["gateway"], bare_lab["hub"]
    private = gateway.read("/var/lib/plantgate-agent/wireguard.key").strip()
    public = hub.run(["wg", "show", "pg-agents", "public-key"]).stdout.strip()
    ahead = int(time.time()) + YEARS
    with gateway.socket(socket.SOCK_DGRAM) as wire:
        wire.sendto(initiation(private, public, ahead), (HUB_ADDRESS, AGENTS_PORT))
        answer = await eventually(lambda: wire.recv(200))
        assert answer[0] == 2, "WireGuard answers: it has taken note of the time"

    await product.start_agent("plant")
    assert await eventually(lambda: technician.device_name("192.168.1.10", timeout=1), timeout=60) == "plant/device"
    assert "peer.renewed" in (product.hub.output() if product.hub else "")
    await world.close()
