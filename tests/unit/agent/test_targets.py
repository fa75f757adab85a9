"""The dialler's decisions: what a target is, what is never dialled, and what the hub hears."""

import asyncio
import errno
from ipaddress import IPv4Address, IPv4Network

import pytest

from plantgate_agent import targets
from plantgate_agent.boundary import Boundary
from plantgate_agent.targets import Dialler, approved, is_own, parse_target, reset_reason
from plantgate_shared.protocol import ResetReason
from plantgate_shared.tunnel import StreamReset
from tests.eventually import eventually

DEVICE = (IPv4Address("192.0.2.10"), 80)


class FakeStream:
    """A stream that remembers how it ended."""

    def __init__(self) -> None:
        self.accepted = False
        self.ended: ResetReason | None = None
        self.over = asyncio.Event()

    def accept(self) -> None:
        self.accepted = True

    async def read(self, limit: int) -> bytes:  # noqa: ARG002
        await self.over.wait()
        raise StreamReset(self.ended or ResetReason.CANCELLED)

    async def write(self, data: bytes) -> None:
        """Takes everything."""

    async def write_eof(self) -> None:
        """Takes that, too."""

    def reset(self, reason: ResetReason) -> None:
        self.ended = self.ended or reason
        self.over.set()


@pytest.mark.parametrize(
    "target",
    [
        {},
        {"host": "192.168.1.10"},
        {"port": 80},
        {"host": "device", "port": 80},
        {"host": "fd00::1", "port": 80},
        {"host": "192.168.1.10", "port": "80"},
        {"host": "192.168.1.10", "port": True},
        {"host": "192.168.1.10", "port": 0},
        {"host": "192.168.1.10", "port": 65536},
        {"host": 3232235786, "port": 80},
        {"host": "192.168.1.010", "port": 80},
    ],
)
def test_what_is_no_address_and_port_is_no_target(target):
    assert parse_target(target) is None


def test_a_target_may_have_more_keys():
    assert parse_target({"host": "192.168.1.10", "port": 80, "new": 1}) == (IPv4Address("192.168.1.10"), 80)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.9.9.9", "169.254.1.1", "224.0.0.1", "0.0.0.0", "255.255.255.255"]
)
def test_some_addresses_are_no_device_wherever_the_boundary_lies(address):
    everything = Boundary((IPv4Network("0.0.0.0/0"),))
    assert approved([(IPv4Address(address), 80)], everything) == frozenset()
    assert is_own(IPv4Address(address))


def test_a_device_elsewhere_is_not_the_gateway():
    assert not is_own(DEVICE[0])


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimeoutError(), ResetReason.TIMEOUT),
        (ConnectionRefusedError(), ResetReason.REFUSED),
        (OSError(errno.EHOSTUNREACH, ""), ResetReason.UNREACHABLE),
        (OSError(errno.ENETUNREACH, ""), ResetReason.UNREACHABLE),
        (PermissionError(errno.EACCES, ""), ResetReason.UNREACHABLE),
        (OSError(errno.EMFILE, ""), ResetReason.FAILED),
    ],
)
def test_the_hub_hears_what_went_wrong(error, reason):
    assert reset_reason(error) is reason


async def test_nothing_is_allowed_before_the_hub_said_so():
    stream = FakeStream()
    await Dialler().serve(stream, {"host": str(DEVICE[0]), "port": 80})
    assert (stream.accepted, stream.ended) == (False, ResetReason.NOT_ALLOWED)


@pytest.mark.parametrize("own", ["127.0.0.1", "127.8.8.8"])
async def test_the_gateway_itself_is_not_dialled_even_if_it_is_among_the_targets(own: str):
    dialler, stream = Dialler(), FakeStream()
    dialler.update({(IPv4Address(own), 80)})
    await dialler.serve(stream, {"host": own, "port": 80})
    assert (stream.accepted, stream.ended) == (False, ResetReason.NOT_ALLOWED)


async def test_a_device_that_never_answers(monkeypatch):
    monkeypatch.setattr(targets, "CONNECT_TIMEOUT", 0.05)
    monkeypatch.setattr(asyncio, "open_connection", lambda *_, **__: asyncio.sleep(30))
    dialler, stream = Dialler(), FakeStream()
    dialler.update({DEVICE})
    await dialler.serve(stream, {"host": str(DEVICE[0]), "port": 80})
    assert (stream.accepted, stream.ended) == (False, ResetReason.TIMEOUT)
    assert dialler.running == 0


async def test_there_is_a_limit_to_connections(monkeypatch):
    monkeypatch.setattr(targets, "MAX_STREAMS", 2)
    monkeypatch.setattr(asyncio, "open_connection", lambda *_, **__: asyncio.sleep(30))
    dialler = Dialler()
    dialler.update({DEVICE})
    target = {"host": str(DEVICE[0]), "port": 80}
    running = [asyncio.create_task(dialler.serve(FakeStream(), target)) for _ in range(2)]
    await eventually(lambda: dialler.running == 2)
    third = FakeStream()
    await dialler.serve(third, target)
    assert third.ended is ResetReason.TOO_MANY
    dialler.update(())
    await asyncio.gather(*running)
    assert dialler.running == 0
