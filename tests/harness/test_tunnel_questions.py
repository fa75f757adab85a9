"""Questions to an agent: each gets its own answer, and every way of not answering is an answer too."""

import asyncio
from ipaddress import IPv4Address
from pathlib import Path

from plantgate_hub.tunnel.questions import MAX_OPEN
from plantgate_shared.protocol.control import DeviceLookedFor, Presence
from tests.eventually import eventually
from tests.harness.fake_agent import attach
from tests.harness.hub_node import hub_node

ADDRESSES = [IPv4Address("192.168.1.10"), IPv4Address("192.168.1.77")]
LONG = 60.0


async def test_each_question_gets_its_own_answer(tmp_path: Path) -> None:
    async with hub_node(tmp_path) as node:
        (plot,) = node.add_plots(1)
        agent = await attach(node, plot)
        asked = [asyncio.create_task(node.registry.look_for_device(plot.plant, a, LONG)) for a in ADDRESSES]
        await eventually(lambda: len(agent.questions) == 2)
        for question in reversed(agent.questions):
            agent.answer(DeviceLookedFor(question.number, Presence.ANSWERS, str(question.address)))
            agent.answer(DeviceLookedFor(question.number, Presence.SILENT, "twice"))
        agent.answer(DeviceLookedFor(4_000_000_000, Presence.SILENT, "unasked"))
        assert [(await answer).detail for answer in asked] == [str(address) for address in ADDRESSES]
        assert node.registry.online, "neither a second nor an unasked answer ends the tunnel"
        await agent.leave()


async def test_an_agent_that_is_away_silent_or_leaves(tmp_path: Path) -> None:
    async with hub_node(tmp_path) as node:
        (plot,) = node.add_plots(1)
        address = ADDRESSES[0]
        offline = await node.registry.look_for_device(plot.plant, address, LONG)
        assert (offline.presence, offline.detail) == (Presence.UNKNOWN, "the plant's agent is not connected")
        agent = await attach(node, plot)
        silent = await node.registry.look_for_device(plot.plant, address, 0.05)
        assert (silent.presence, silent.detail.partition(";")[0]) == (Presence.UNKNOWN, "the agent did not answer")
        asked = asyncio.create_task(node.registry.look_for_device(plot.plant, address, LONG))
        await eventually(lambda: len(agent.questions) == 2)
        await agent.leave()
        assert (await asked).detail == "the agent is no longer connected"


async def test_questions_are_bounded(tmp_path: Path) -> None:
    async with hub_node(tmp_path) as node:
        (plot,) = node.add_plots(1)
        agent = await attach(node, plot)

        async def ask() -> DeviceLookedFor:
            return await node.registry.look_for_device(plot.plant, ADDRESSES[0], LONG)

        asked = [asyncio.create_task(ask()) for _ in range(MAX_OPEN)]
        await eventually(lambda: len(agent.questions) == MAX_OPEN)
        assert "too many questions" in (await ask()).detail
        await agent.leave()
        await asyncio.gather(*asked)
