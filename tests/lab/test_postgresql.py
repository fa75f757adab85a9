"""The whole product on PostgreSQL: the main job, and what happens while the database is away."""

import time

import pytest

from tests.eventually import eventually
from tests.postgresql import ACCOUNT, programs

from .clients import answers
from .hosts import Host, Process
from .lab import Lab
from .product import Product
from .world import World

pytestmark = [pytest.mark.kernel, pytest.mark.lab]

DATA = "/var/lib/plantgate-postgresql"
DEVICE = "192.168.1.10"


def start_postgresql(host: Host) -> Process:
    """PostgreSQL on a lab host, on its own loopback. The first time its cluster is made."""
    account = ["setpriv", "--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups"]
    if host.run(["test", "-d", f"{DATA}/data"], check=False).status:
        host.run(["install", "-d", "-o", ACCOUNT, DATA])
        host.run(
            [*account, str(programs() / "initdb"), "-D", f"{DATA}/data", "--auth=trust", "--no-sync", "-U", ACCOUNT]
        )
    command = [str(programs() / "postgres"), "-D", f"{DATA}/data", "-k", DATA, "-h", "127.0.0.1", "-F"]
    process = host.spawn([*account, *command], name="postgresql", cwd="/")
    process.wait_for("ready to accept connections")
    return process


async def test_the_main_job_on_postgresql_and_through_its_absence(bare_lab: Lab) -> None:
    hub = bare_lab["hub"]
    database = start_postgresql(hub)
    product = Product(bare_lab)
    product.configure_hub(database={"url": f"postgresql://{ACCOUNT}@127.0.0.1/{ACCOUNT}"})
    await product.start_hub()
    world = World(product)
    await world.build()
    await world.person("tina", "Tina", member=True)
    technician = await world.technician("tina", "tech")
    technician.up()
    await world.gateway("plant")

    async def reaches() -> bool:
        return await technician.device_name(DEVICE, timeout=0.5) == "plant/device"

    await world.grant("tina", "plant")
    await eventually(reaches)
    await world.revoke("tina", "plant")
    revoked = time.monotonic()
    await eventually(lambda: _gone(reaches))
    assert time.monotonic() - revoked < 3, "an announcement brings the change, and a poll every quarter of a second"

    await world.grant("tina", "plant")
    await eventually(reaches)
    await world.close()
    database.kill()
    await eventually(lambda: "store.unreachable" in product.hub.output() if product.hub else False)
    assert await reaches(), "what was authorized goes on while the database is away"
    start_postgresql(hub)
    await eventually(lambda: "store.reachable" in product.hub.output() if product.hub else False)
    again = World(product)
    again.people = world.people
    await again.revoke("tina", "plant")
    await eventually(lambda: _gone(reaches))
    await again.close()


async def _gone(reaches: object) -> bool:
    return not await answers(reaches)  # type: ignore[arg-type]
