"""What the agent does when the hub refuses it: it says why at once, and asks again when that makes sense."""

import random
import ssl
from typing import Any

import pytest

from plantgate_agent import backoff
from plantgate_agent.state import Enrolment, HubUrl
from plantgate_agent.tunnel import Handlers, HubTunnel
from plantgate_shared.identity.handshake import HandshakeError, PinnedHub, Reason
from plantgate_shared.identity.keys import IdentityKey


class Told:
    """Records what the worker is told."""

    def __init__(self) -> None:
        self.epochs: list[int] = []
        self.problems = 0

    def problem(self) -> None:
        self.problems += 1


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def tunnel(told: Told) -> HubTunnel:
    def unused(*_: Any) -> Any:
        raise AssertionError

    handlers = Handlers(unused, unused, unused, unused, unused, on_epoch=told.epochs.append, on_problem=told.problem)
    enrolment = Enrolment(HubUrl("hub.example"), "agent", 1, "north", PinnedHub("hub", bytes(32)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return HubTunnel(enrolment, IdentityKey.generate(), context, handlers, unused, random.Random(1))


def test_a_problem_is_told_when_it_is_another(tunnel: HubTunnel, told: Told):
    for _ in range(3):
        assert tunnel._refused(HandshakeError(Reason.INACTIVE, proved=True)) == backoff.LONGEST_REFUSED
    assert "not the active one" in tunnel.problem
    assert told.problems == 1
    tunnel._problem("the hub does not answer")
    assert (tunnel.problem, told.problems) == ("the hub does not answer", 2)


def test_with_the_epoch_it_was_told_it_asks_again_at_once(tunnel: HubTunnel, told: Told):
    assert tunnel._refused(HandshakeError(Reason.EPOCH, proved=True, epoch=3)) == backoff.FIRST
    assert told.epochs == [3]
    tunnel._refused(HandshakeError(Reason.EPOCH, proved=False, epoch=9))
    assert told.epochs == [3], "only the hub itself may raise it"
