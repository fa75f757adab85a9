"""Agents attach to the hub over real TLS: who gets in, who does not, and what those inside are told."""

import asyncio
import os
import ssl
from contextlib import AsyncExitStack
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import websockets

from plantgate_hub.domain.model import Scheme, Subnet, SubnetId, TargetId, WebTarget
from plantgate_hub.ports import StreamProblem, StreamUnavailable
from plantgate_hub.tunnel.registry import AgentState, Happening
from plantgate_shared.identity.handshake import AgentHandshake, HandshakeError, PinnedHub, Reason
from plantgate_shared.identity.keys import IdentityKey
from plantgate_shared.protocol import GoAwayReason
from plantgate_shared.protocol.control import TunnelPath, to_map
from plantgate_shared.protocol.control import WebTarget as AllowedTarget
from plantgate_shared.tunnel import ConnectionClosed, EndCause, StreamReset
from tests.eventually import eventually
from tests.harness.fake_agent import STATUS, attach, dial, insecure, prove
from tests.harness.hub_node import hub_node


async def test_an_agent_attaches_and_is_told_what_to_be(tmp_path: Path):
    async with hub_node(tmp_path) as node:
        first, second = node.add_plots(2)
        agent = await attach(node, first)
        await eventually(lambda: agent.desired)
        (desired,) = agent.desired
        assert desired.revision == node.snapshot.revision
        assert desired.hub_wireguard_key == node.keys.wireguard_agents.public
        assert desired.udp_endpoint == "portal.localhost:51821"
        assert desired.transit_address == first.agent.transit_address
        assert desired.peer_networks == (IPv4Network("100.64.0.0/10"),)
        assert [(subnet.number, str(subnet.network)) for subnet in desired.subnets] == [(1, "192.168.1.0/24")]
        assert desired.targets == (AllowedTarget(IPv4Address("192.168.1.10"), 80),)
        assert node.registry.online == {first.agent.id}
        assert node.registry.connected(first.plant)
        assert not node.registry.connected(second.plant)
        await agent.leave()
        await eventually(lambda: not node.registry.online)
        assert not node.registry.connected(first.plant)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"identity": IdentityKey.generate()}, Reason.SIGNATURE),
        ({"epoch": 0}, Reason.EPOCH),
        ({"hub": PinnedHub("hub", IdentityKey.generate().public)}, Reason.HUB_KEY),
    ],
)
async def test_who_is_not_who_they_say_does_not_get_in(change: dict[str, Any], reason: Reason, tmp_path: Path):
    async with hub_node(tmp_path) as node:
        (plot,) = node.add_plots(1)
        with pytest.raises(HandshakeError) as caught:
            await attach(node, plot, **change)
        assert caught.value.reason is reason
        assert not node.registry.online
        agent = await attach(node, plot)  # and the honest one still does
        await agent.leave()


async def test_unknown_and_inactive_agents_are_refused_with_the_hubs_signature(tmp_path: Path):
    async with hub_node(tmp_path) as node:
        first, second = node.add_plots(2)
        node.remove(first.agent)
        node.change(replace(second.agent, active=False, epoch=7))
        for plot, reason, epoch in ((first, Reason.UNKNOWN_AGENT, 0), (second, Reason.INACTIVE, 7)):
            with pytest.raises(HandshakeError) as caught:
                await attach(node, plot)
            assert (caught.value.reason, caught.value.proved, caught.value.epoch) == (reason, True, epoch)


async def test_a_box_that_ends_tls_is_refused_by_both_sides(tmp_path: Path):
    """A relay with a certificate of its own, as an inspecting firewall is; its operator may even rewrite messages."""
    async with hub_node(tmp_path / "hub") as node, hub_node(tmp_path / "box") as other:
        (plot,) = node.add_plots(1)

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", node.port, ssl=insecure())

            async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
                try:
                    while data := await source.read(65536):
                        sink.write(data)
                        await sink.drain()
                except OSError:
                    pass
                finally:
                    sink.close()

            await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer))

        box = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=other.tls.context)
        port = box.sockets[0].getsockname()[1]
        with pytest.raises(HandshakeError, match="TLS inspection") as caught:
            await attach(node, plot, port=port)
        assert (caught.value.reason, caught.value.proved) == (Reason.CERTIFICATE, True)
        # its own load balancer is listed by its certificate
        node.certificates |= other.tls.certificates
        agent = await attach(node, plot, port=port)
        await agent.leave()
        box.close()


async def test_a_recorded_handshake_is_worth_nothing(tmp_path: Path):
    async with hub_node(tmp_path) as node:
        (plot,) = node.add_plots(1)
        channel, certificate = await dial(node.port)
        handshake = AgentHandshake(plot.identity, plot.agent.id, 1, node.pinned, certificate, os.urandom(32))
        recorded = list(handshake.messages_to_send())
        await channel.send(recorded[0])
        handshake.receive_message(await channel.receive())
        recorded += handshake.messages_to_send()
        await channel.send(recorded[1])
        handshake.receive_message(await channel.receive())
        assert handshake.established
        await channel.close()

        replay, _ = await dial(node.port)
        await replay.send(recorded[0])
        await replay.receive()
        await replay.send(recorded[1])
        assert b"bad signature" in await replay.receive()
        with pytest.raises(ConnectionClosed):
            await replay.receive()


async def test_the_clock_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A gateway that boots in 1970 sees a certificate that is not valid yet, and attaches all the same."""
    monkeypatch.setattr("tests.harness.hub_node.time.time", lambda: 4_000_000_000.0)
    async with hub_node(tmp_path) as node:  # its certificate begins in 2096
        (plot,) = node.add_plots(1)
        agent = await attach(node, plot)
        await eventually(lambda: agent.desired)
        await agent.leave()


async def test_a_newer_connection_takes_the_place_of_the_older_one(tmp_path: Path):
    async with hub_node(tmp_path) as node:
        (plot,) = node.add_plots(1)
        happenings: list[tuple[Happening, int]] = []
        node.registry.watch(lambda happening, state: happenings.append((happening, state.epoch)))
        older = await attach(node, plot, epoch=1)
        newer = await attach(node, plot, epoch=2)
        end = await older.ended()
        assert (end.cause, end.reason) == (EndCause.PEER, GoAwayReason.REPLACED)
        with pytest.raises(HandshakeError) as caught:
            await attach(node, plot, epoch=1)
        assert (caught.value.reason, caught.value.epoch) == (Reason.EPOCH, 2)
        stream = await node.registry.open_stream(plot.plant, {"host": "192.168.1.10", "port": 80}, 10)
        stream.reset("cancelled")
        assert node.registry.online == {plot.agent.id}
        assert happenings == [(Happening.ATTACHED, 1), (Happening.ATTACHED, 2)]
        await newer.leave()
        await eventually(lambda: happenings[-1] == (Happening.DETACHED, 2))


async def test_changes_reach_the_agents_they_concern_and_no_other(tmp_path: Path):
    async with hub_node(tmp_path) as node:
        first, second = node.add_plots(2)
        one, two = await attach(node, first), await attach(node, second)
        await eventually(lambda: one.desired and two.desired)
        node.change(WebTarget(TargetId("t9"), "device-1", "page", Scheme.HTTP, 8080))  # type: ignore[arg-type]
        await eventually(lambda: len(one.desired) == 2)
        assert [target.port for target in one.desired[-1].targets] == [80, 8080]
        assert one.desired[-1].revision == node.snapshot.revision
        added = Subnet(SubnetId("s9"), second.plant, IPv4Network("10.0.0.0/24"), IPv4Network("250.0.0.0/24"), 9)
        node.change(added)
        await eventually(lambda: len(two.desired) == 2)
        node.remove(added)
        await eventually(lambda: len(two.desired) == 3)
        assert [subnet.number for subnet in two.desired[-1].subnets] == [2]
        assert len(one.desired) == 2
        await one.leave()
        await two.leave()


async def test_an_agent_that_is_removed_or_superseded_is_cut_off_at_once(tmp_path: Path):
    async with hub_node(tmp_path) as node:
        plots = node.add_plots(4)
        agents = [await attach(node, plot) for plot in plots]
        node.remove(plots[0].agent)
        node.change(
            replace(plots[1].agent, active=False),
            replace(plots[2].agent, epoch=2),
            replace(plots[3].agent, identity_key=IdentityKey.generate().public),
        )
        assert not node.registry.online, "before anything else happens"
        for agent in agents:
            end = await agent.ended()
            assert (end.cause, end.reason) == (EndCause.PEER, GoAwayReason.REVOKED)


async def test_reports_are_kept_and_told(tmp_path: Path):
    async with hub_node(tmp_path) as node:
        (plot,) = node.add_plots(1)
        seen: list[AgentState] = []
        node.registry.watch(lambda happening, state: seen.append(state) if happening is Happening.STATUS else None)
        agent = await attach(node, plot)
        agent.report(replace(STATUS, path=TunnelPath.WEBSOCKET, boundary=(IPv4Network("192.168.1.0/24"),)))
        await eventually(lambda: seen)
        state = node.registry.of_plant(plot.plant)
        assert state is not None
        assert state.path is TunnelPath.WEBSOCKET
        assert state.status is not None
        assert state.status.boundary == (IPv4Network("192.168.1.0/24"),)
        agent.connection.send_control({"type": "from the future"})
        agent.report(STATUS)
        await eventually(lambda: len(seen) == 2)
        assert node.registry.states()[0].path is TunnelPath.UDP
        await agent.leave()


async def test_a_flood_of_reports_is_told_in_few_and_the_last_one_counts(tmp_path: Path):
    async with hub_node(tmp_path) as node:
        (plot,) = node.add_plots(1)
        seen: list[int] = []

        def note(happening: Happening, state: AgentState) -> None:
            if happening is Happening.STATUS and state.status:
                seen.append(state.status.revision_applied)

        node.registry.watch(note)
        agent = await attach(node, plot)
        for revision in range(1, 501):
            agent.report(replace(STATUS, revision_applied=revision))
        await eventually(lambda: seen and seen[-1] == 500)
        assert len(seen) <= 4
        await agent.leave()


@pytest.mark.parametrize(
    "report",
    [
        {"type": "agent_status", "path": "pigeon"},
        to_map(replace(STATUS, boundary=tuple(IPv4Network("10.0.0.0/8").subnets(new_prefix=17))[:257])),
        {**to_map(STATUS), "type": "desired_state"},
    ],
)
async def test_an_agent_that_reports_nonsense_is_cut_off_and_no_other(report: dict[str, Any], tmp_path: Path):
    async with hub_node(tmp_path) as node:
        first, second = node.add_plots(2)
        bad, good = await attach(node, first), await attach(node, second)
        bad.connection.send_control(report)
        end = await bad.ended()
        assert (end.cause, end.reason) == (EndCause.PEER, GoAwayReason.PROTOCOL_ERROR)
        await eventually(lambda: node.registry.online == {second.agent.id})
        await good.leave()


async def test_streams_reach_the_plants_own_device_only_through_its_agent(tmp_path: Path):
    async with hub_node(tmp_path) as node:
        first, second = node.add_plots(2)
        agent = await attach(node, first)
        stream = await node.registry.open_stream(first.plant, {"host": "192.168.1.10", "port": 80}, 10)
        payload = os.urandom(300_000)
        received = bytearray()

        async def read() -> None:
            while data := await stream.read(65536):
                received.extend(data)

        async with asyncio.TaskGroup() as group:
            group.create_task(read())
            await stream.write(payload)
            await stream.write_eof()
        assert received == payload

        for plant, port, problem in (
            (second.plant, 80, StreamProblem.OFFLINE),
            (first.plant, 81, StreamProblem.REFUSED),
            (first.plant, 82, StreamProblem.UNREACHABLE),
            (first.plant, 83, StreamProblem.OUTSIDE),
        ):
            with pytest.raises(StreamUnavailable) as caught:
                await node.registry.open_stream(plant, {"host": "192.168.1.10", "port": port}, 0.2)
            assert caught.value.problem is problem
        await agent.leave()
        await eventually(lambda: not node.registry.online)
        with pytest.raises(StreamUnavailable):
            await node.registry.open_stream(first.plant, {"host": "192.168.1.10", "port": 80}, 10)


async def test_fifty_agents_at_once(tmp_path: Path):
    async with hub_node(tmp_path) as node:
        plots = node.add_plots(50)
        started = asyncio.get_running_loop().time()
        agents = await asyncio.gather(*(attach(node, plot) for plot in plots))
        await eventually(lambda: all(agent.desired for agent in agents))
        print(f"\n50 agents attached and told in {asyncio.get_running_loop().time() - started:.2f} s")
        assert len(node.registry.online) == 50
        assert len({agent.desired[0].probe_key for agent in agents}) == 50
        for plot, agent in zip(plots, agents, strict=True):
            assert agent.desired[0].transit_address == plot.agent.transit_address
        node.endpoint.close()
        ends = await asyncio.gather(*(agent.ended() for agent in agents))
        assert {end.reason for end in ends} == {GoAwayReason.SHUTDOWN}


async def test_silent_connections_are_bounded_in_number_and_time(tmp_path: Path):
    limits = {"max_unproved": 8, "handshake_seconds": 2.0, "handshake_grace": 0.0}
    async with hub_node(tmp_path, **limits) as node, AsyncExitStack() as stack:  # type: ignore[arg-type]
        (plot,) = node.add_plots(1)
        flood = []
        for _ in range(30):
            channel, _ = await dial(node.port)
            stack.push_async_callback(channel.close)
            flood.append(channel)
            assert len(node.endpoint.unproved) <= 8
        assert node.endpoint.unproved.pushed_out >= 22
        agent = await attach(node, plot)  # gets through all the same
        await eventually(lambda: len(node.endpoint.unproved) == 0)
        for channel in flood:
            with pytest.raises(ConnectionClosed):
                await channel.receive()
        assert node.registry.online == {plot.agent.id}
        await agent.leave()


@pytest.mark.parametrize("message", [b"", b"hello", b"\x92\xa5agent\xc4\x40" + bytes(64), bytes(2000), "text"])
async def test_garbage_gets_one_refusal_and_the_end(message, tmp_path: Path):
    async with hub_node(tmp_path) as node:
        channel, _ = await dial(node.port)
        await channel._websocket.send(message)
        assert b"refused" in await channel.receive()
        with pytest.raises(ConnectionClosed):
            await channel.receive()
        assert len(node.endpoint.unproved) == 0


async def test_a_message_beyond_all_limits_ends_only_its_own_connection(tmp_path: Path):
    async with hub_node(tmp_path) as node:
        (plot,) = node.add_plots(1)
        agent = await attach(node, plot)
        channel, _ = await dial(node.port)
        await channel.send(bytes(2_000_000))
        with pytest.raises(ConnectionClosed):
            await channel.receive()
        assert node.registry.online == {plot.agent.id}
        await agent.leave()


async def test_what_is_no_websocket_is_told_so(tmp_path: Path):
    async with hub_node(tmp_path) as node, aiohttp.ClientSession() as session:
        context: ssl.SSLContext = insecure()
        url = f"https://127.0.0.1:{node.port}/tunnel/v1"
        async with session.get(url, ssl=context) as answer:
            assert answer.status == 426
            assert "subprotocol plantgate.tunnel.v1" in await answer.text()
        with pytest.raises(websockets.exceptions.InvalidStatus):
            await dial(node.port, subprotocols=["another"])


async def test_when_too_many_come_at_once_the_rest_is_asked_to_come_again(tmp_path: Path):
    async with hub_node(tmp_path, max_unproved=2) as node:
        waiting = [await dial(node.port) for _ in range(2)]
        with pytest.raises(websockets.exceptions.InvalidStatus, match="503"):
            await dial(node.port)
        for channel, _ in waiting:
            await channel.close()
        await eventually(lambda: len(node.endpoint.unproved) == 0)
        channel, _ = await dial(node.port)
        await channel.close()


async def test_an_agent_may_not_open_streams_at_the_hub(tmp_path: Path):
    async with hub_node(tmp_path) as node:
        (plot,) = node.add_plots(1)
        agent = await attach(node, plot)
        with pytest.raises(StreamReset):
            await agent.connection.open_stream({"host": "127.0.0.1", "port": 22}, 10)
        await agent.leave()


async def test_no_agent_gets_in_while_the_hub_stops(tmp_path: Path):
    async with hub_node(tmp_path) as node:
        node.add_plots(1)
        node.endpoint.close()
        with pytest.raises(websockets.exceptions.InvalidStatus, match="503"):
            await dial(node.port)


async def test_who_takes_too_long_is_cut_off(tmp_path: Path):
    async with hub_node(tmp_path, handshake_seconds=0.3) as node:
        (plot,) = node.add_plots(1)
        channel, certificate = await dial(node.port)
        handshake = AgentHandshake(plot.identity, plot.agent.id, 1, node.pinned, certificate, os.urandom(32))
        handshake.messages_to_send()
        with pytest.raises(ConnectionClosed):
            await prove(channel, handshake)
