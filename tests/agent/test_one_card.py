"""A gateway with one card for everything and containers of its own: what it forwarded before goes on."""

import asyncio
import os

import pytest

from tests.eventually import wait_until
from tests.lab import rulesets

from .site import DEVICE, DEVICE_TRANSIT, ONE_CARD, Site, site_up

pytestmark = [pytest.mark.kernel, pytest.mark.lab]


@pytest.fixture(scope="module")
def site():
    with site_up(ONE_CARD) as up:
        up.lab["router"].nft(rulesets.UDP_BLOCK)
        up.want()
        enrolled = up.enrol()
        assert "UDP does not get through" in enrolled.stdout
        yield up


def published_port_answers(site: Site) -> bool:
    return asyncio.run(_published(site))


async def _published(site: Site) -> bool:
    """A device uses the port that the gateway publishes for its container."""
    listener = site.lab["container"].socket()
    listener.bind(("172.20.0.2", 80))
    listener.listen()
    try:
        return await site.device.reaches("192.168.1.2", 8080)
    finally:
        listener.close()


def others(site: Site) -> str:
    """All rules but ours, without what changes by itself."""
    return site.gateway.run(["nft", "-s", "list", "table", "ip", "containers"]).stdout


def test_the_vpn_and_the_containers_work_beside_each_other(site):
    before = others(site)
    assert published_port_answers(site)
    site.start_agent()
    site.reachable()
    assert site.told()["path"] == "websocket"
    assert others(site) == before
    assert published_port_answers(site)
    assert site.ping(DEVICE, source="", host=site.lab["container"]), "the container's way out"
    assert site.forwarding("eth0") == "1"
    site.stop_agent()
    assert others(site) == before
    assert site.forwarding("eth0") == "1", "it was on before"
    assert published_port_answers(site)


def test_an_engine_that_drops_by_default_is_named_in_the_status(site):
    site.start_agent()
    site.reachable()
    rulesets.container_policy(site.gateway, "drop")
    try:
        os.kill(site.agent.pid, 1)
        wait_until(lambda: site.status()["warnings"])
        [warning] = site.status()["warnings"]
        assert "the chain forward of the table ip containers drops forwarded packets" in warning
        assert not site.ping(DEVICE_TRANSIT), "we insert nothing into the rules of others"
        human = site.run_agent("status", check=False).stdout
        assert "warning    the chain forward" in human
    finally:
        rulesets.container_policy(site.gateway, "accept")
    os.kill(site.agent.pid, 1)
    wait_until(lambda: not site.status()["warnings"])
    site.reachable()
    site.stop_agent()
