"""A gateway enrols over real TLS with a one-time code, then attaches with what it got."""

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from plantgate_hub.domain.pools import Pools
from plantgate_hub.services import CONSOLE, Context, Services
from plantgate_hub.store import AesSealer, open_store
from plantgate_hub.tunnel import enrol
from plantgate_hub.tunnel.enrol import PATH, NewAgent
from plantgate_shared.errors import PlantgateError
from plantgate_shared.identity import enrolment
from plantgate_shared.identity.enrolment import EnrolmentError, GatewayEnrolment, Reason
from plantgate_shared.identity.keys import IdentityKey, WireGuardKey
from plantgate_shared.secret import Secret
from tests.eventually import eventually
from tests.harness.fake_agent import attach, insecure
from tests.harness.hub_node import HubNode, Plot, hub_node


@dataclass
class Gateway:
    identity: IdentityKey
    wireguard: WireGuardKey

    def start(self, node: HubNode, code: str, certificate: bytes = b"") -> GatewayEnrolment:
        certificate = certificate or next(iter(node.tls.certificates))
        return GatewayEnrolment(code, "gw-1", self.identity.public, self.wireguard.public, certificate, os.urandom(32))


def make_gateway() -> Gateway:
    return Gateway(IdentityKey.generate(), WireGuardKey.generate())


def make_code(node: HubNode, plot: Plot) -> str:
    code = enrolment.make_code(os.urandom(enrolment.ENTROPY_BYTES))
    node.enrolments.issue(code, plot, node.now + 3600)
    return code


async def post(node: HubNode, body: bytes) -> tuple[int, bytes]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"https://127.0.0.1:{node.port}{PATH}", data=body, ssl=insecure()) as answer,
    ):
        return answer.status, await answer.read()


async def refused(node: HubNode, end: GatewayEnrolment) -> tuple[int, Reason]:
    status, body = await post(node, end.request)
    with pytest.raises(EnrolmentError) as caught:
        end.finish(body)
    return status, caught.value.reason


async def test_a_gateway_enrols_and_attaches(tmp_path: Path):
    async with hub_node(tmp_path) as node:
        (plot,) = node.add_plots(1)
        gateway = make_gateway()
        end = gateway.start(node, make_code(node, plot))
        status, body = await post(node, end.request)
        assert status == 200
        enrolled = end.finish(body)
        assert enrolled.hub == node.pinned
        assert enrolled.plant_name == "Solar park"
        made = node.snapshot.agents.get(enrolled.agent_id)
        assert made is not None
        assert (made.plant, made.identity_key, made.wireguard_key) == (
            plot.plant,
            gateway.identity.public,
            gateway.wireguard.public,
        )
        agent = await attach(node, Plot(1, gateway.identity, made), hub=enrolled.hub, epoch=enrolled.epoch)
        await eventually(lambda: agent.desired)
        await agent.leave()


async def test_a_lost_reply_does_not_cost_the_code_but_it_works_for_one_gateway_only(tmp_path: Path):
    async with hub_node(tmp_path) as node:
        (plot,) = node.add_plots(1)
        code = make_code(node, plot)
        gateway = make_gateway()
        first, again = gateway.start(node, code), gateway.start(node, code)
        one = first.finish((await post(node, first.request))[1])
        two = again.finish((await post(node, again.request))[1])
        assert one == two
        assert await refused(node, make_gateway().start(node, code)) == (403, Reason.CODE)


async def test_used_expired_unknown_and_wrongly_proved_look_the_same(tmp_path: Path):
    async with hub_node(tmp_path) as node:
        (plot,) = node.add_plots(1)
        answers = set()
        used, expired = make_code(node, plot), make_code(node, plot)
        await post(node, make_gateway().start(node, used).request)
        node.enrolments.expires[enrolment.derive(expired).lookup] = node.now
        unknown = enrolment.make_code(os.urandom(13))
        for code in (used, expired, unknown):
            answers.add(await post(node, make_gateway().start(node, code).request))
        guessed = bytearray(make_gateway().start(node, make_code(node, plot)).request)
        guessed[-1] ^= 1
        answers.add(await post(node, bytes(guessed)))
        assert answers == {(403, enrolment.encode(enrolment.Failure("code refused")))}


async def test_of_many_gateways_with_one_code_one_gets_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(enrol, "EACH", enrol.ALL.limit)
    async with hub_node(tmp_path) as node:
        (plot,) = node.add_plots(1)
        code = make_code(node, plot)
        answers = await asyncio.gather(*(post(node, make_gateway().start(node, code).request) for _ in range(12)))
        assert sorted(status for status, _ in answers) == [200, *[403] * 11]


async def test_a_box_that_ends_tls_is_named_and_the_code_stays_good(tmp_path: Path):
    async with hub_node(tmp_path) as node:
        (plot,) = node.add_plots(1)
        code, gateway = make_code(node, plot), make_gateway()
        assert await refused(node, gateway.start(node, code, b"x" * 32)) == (403, Reason.CERTIFICATE)
        end = gateway.start(node, code)
        end.finish((await post(node, end.request))[1])


@pytest.mark.parametrize("body", [b"", b"{}", bytes(1025), bytes(100_000), enrolment.encode(enrolment.Failure("x"))])
async def test_malformed_requests_get_a_clear_refusal(body: bytes, tmp_path: Path):
    async with hub_node(tmp_path) as node:
        status, answer = await post(node, body)
        assert (status, answer) == (400, enrolment.encode(enrolment.Failure("malformed")))


async def test_attempts_are_throttled_per_address(tmp_path: Path):
    async with hub_node(tmp_path) as node:
        statuses = [(await post(node, b""))[0] for _ in range(enrol.EACH.burst + 2)]
        assert statuses[: enrol.EACH.burst] == [400] * enrol.EACH.burst
        assert statuses[-1] == 429


async def test_a_store_that_is_away_is_said_so(tmp_path: Path):
    async with hub_node(tmp_path) as node:
        (plot,) = node.add_plots(1)
        code = make_code(node, plot)
        end = make_gateway().start(node, code)
        enrol_as_before = node.enrolments.enrol

        async def away(lookup: str, agent: NewAgent, now: float):
            raise PlantgateError("the database does not answer")

        node.enrolments.enrol = away  # type: ignore[method-assign]
        assert await refused(node, end) == (503, Reason.UNAVAILABLE)
        node.enrolments.enrol = enrol_as_before  # type: ignore[method-assign]
        end.finish((await post(node, end.request))[1])


async def test_with_the_real_store(tmp_path: Path):
    """The application services behind the endpoint: from the code made at the console to the attached agent."""
    store = await open_store(f"sqlite:///{tmp_path / 'hub.db'}", AesSealer(Secret(b"k" * 32)))
    services = Services(Context(store, Pools()))
    organization = await services.organizations.create(CONSOLE, "Org")
    plant = await services.plants.create(CONSOLE, organization.id, "Solar park")
    await services.plants.add_subnet(CONSOLE, plant.id, "192.168.1.0/24")
    try:
        async with hub_node(tmp_path, enrolments=services.agents) as node:
            node.now = time.time()
            gateway = make_gateway()
            code = (await services.agents.create_code(CONSOLE, plant.id)).code
            ends = [gateway.start(node, code) for _ in range(3)]
            enrolled = {end.finish((await post(node, end.request))[1]) for end in ends}
            assert len(enrolled) == 1, "a lost reply does not cost the code"
            node.snapshot = await store.load_snapshot()
            made = node.snapshot.agents.get(next(iter(enrolled)).agent_id)
            assert made is not None
            agent = await attach(node, Plot(1, gateway.identity, made))
            await eventually(lambda: agent.desired)
            assert [str(subnet.network) for subnet in agent.desired[0].subnets] == ["192.168.1.0/24"]
            await agent.leave()

            assert await refused(node, make_gateway().start(node, code)) == (403, Reason.CODE)
            second = (await services.agents.create_code(CONSOLE, plant.id)).code
            assert await refused(node, gateway.start(node, second)) == (409, Reason.GATEWAY)
            end = make_gateway().start(node, second)
            assert end.finish((await post(node, end.request))[1]).agent_id != made.id
    finally:
        await store.close()
