"""Checks of a lab's own promises that other tests make again while the product runs on it."""

from .clients import Client
from .lab import Lab

GATEWAY = "192.168.1.2"
PUBLISHED_PORT = 8080


async def own_forwarding(lab: Lab) -> None:
    """The south gateway's own forwarding works: containers get out masqueraded, the published port leads in, and
    nothing else does. Raises AssertionError or OSError with what does not."""
    container, device = Client(lab["south-container"]), Client(lab["south-inverter"])
    seen = await container.http("http://192.168.1.10/whoami")
    assert f'"peer": "{GATEWAY}"' in seen.text, f"the container is not masqueraded as {GATEWAY}: {seen.text}"
    published = await device.device_name(f"{GATEWAY}:{PUBLISHED_PORT}")
    assert published == "south/container", f"port {PUBLISHED_PORT} of the gateway leads to {published}"
    lab["south-router"].run(["ip", "route", "replace", "172.20.0.0/24", "via", GATEWAY])
    try:
        direct = await lab["south-router"].reaches("172.20.0.2", 80, timeout=0.5)
    finally:
        lab["south-router"].run(["ip", "route", "delete", "172.20.0.0/24"])
    assert not direct, "a container is reachable from the plant's network without a published port"


async def gateways_reach_devices(lab: Lab) -> None:
    """Every gateway reaches its plant's devices, and each device says that it is this plant's."""
    for device in lab.topology.devices:
        if device.inside and "web" in device.services:
            plant = next(plant for plant in lab.topology.plants if plant.name == device.plant)
            name = await Client(lab[plant.gateway]).device_name(device.address)
            assert name == f"{device.plant}/{device.name}", f"{device.address} from {plant.gateway} is {name}"
