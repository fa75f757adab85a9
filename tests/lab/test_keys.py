"""Rotating the WireGuard key towards gateways: agents follow by themselves, people's files stay as they are."""

import pytest

from tests.eventually import eventually

from .lab import Lab
from .product import HUB, HUB_CONFIG, Product
from .world import World

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

DEVICE = "192.168.1.10"


async def test_a_new_key_towards_gateways_needs_no_visit(bare_lab: Lab) -> None:
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
    await world.close()
    await eventually(lambda: technician.device_name(DEVICE, timeout=1))

    def peer_of_agent() -> str:
        return bare_lab["gateway"].run(["wg", "show", "pg-hub", "peers"]).stdout.strip()

    before = peer_of_agent()
    bare_lab["hub"].run([*HUB, "keys", "rotate-agents", "--config", HUB_CONFIG])
    await product.restart_hub()
    await eventually(lambda: peer_of_agent() not in ("", before), timeout=30)
    assert peer_of_agent() == bare_lab["hub"].run(["wg", "show", "pg-agents", "public-key"]).stdout.strip()
    assert await eventually(lambda: technician.device_name(DEVICE, timeout=1), timeout=30) == "plant/device"
