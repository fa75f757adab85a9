"""Gateways that owe a handshake after their attach get a new peer, and nobody else does."""

import asyncio
from ipaddress import IPv4Address

from plantgate_hub.domain.model import AgentId, PlantId
from plantgate_hub.tunnel.registry import AgentState
from plantgate_hub.vpn.revival import AGAIN, PATIENCE, Revival, Waiting
from tests.eventually import eventually

NORTH = AgentId("north")


def attached(since: float, agent: AgentId = NORTH) -> AgentState:
    return AgentState(agent, PlantId("plant"), IPv4Address("240.0.0.2"), 1, since)


def test_a_fresh_attach_has_time_for_its_handshake():
    assert Waiting().owing([attached(100.0)], 100.0 + PATIENCE - 1) == ()


def test_a_handshake_after_the_attach_settles_it():
    waiting, state = Waiting(), attached(100.4)
    assert waiting.due(waiting.owing([state], 120.0), {NORTH: 100}, 120.0) == ()
    assert waiting.owing([state], 500.0) == ()
    assert waiting.owing([attached(600.0)], 700.0), "the next attach owes one again"


def test_without_one_the_peer_is_renewed_now_and_then():
    waiting, state = Waiting(), attached(100.0)
    renewed = [now for now in range(112, 112 + 2 * int(AGAIN)) if waiting.due([state], {NORTH: 50}, float(now))]
    assert renewed == [112, 112 + int(AGAIN)]


async def test_the_shell_renews_by_the_agents_key():
    renewed: list[str] = []

    class Plane:
        async def agent_handshakes(self):
            return {"key of north": 0}

        async def renew_agent(self, public_key: str) -> None:
            renewed.append(public_key)

    revival = Revival(Plane(), lambda: [attached(100.0)], lambda agent: f"key of {agent}", lambda: 1000.0, period=0.01)
    running = asyncio.create_task(revival.run())
    await eventually(lambda: renewed == ["key of north"])
    running.cancel()
