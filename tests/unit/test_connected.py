"""Who is connected: what is seen counts for a while, memory is bounded, and external people are new once."""

from ipaddress import IPv4Address

import pytest

from plantgate_hub import connected
from plantgate_hub.connected import LINGERS, NEW_AFTER, Connected, Connection, Means
from plantgate_hub.domain.diagnosis import HANDSHAKE_FRESH
from plantgate_hub.domain.model import Cooperation, CooperationId, Job, OrganizationId, PersonId, PlantId
from plantgate_hub.domain.snapshot import Snapshot
from plantgate_hub.vpn.watch import uses
from plantgate_shared.kernel.conntrack import Flow
from tests import worlds

ADA, SUE, WIND, SOLAR = PersonId("ada"), PersonId("sue"), PlantId("wind"), PlantId("solar")
SHARED = CooperationId("c")
SNAPSHOT = Snapshot.of(
    [
        worlds.organization("north"),
        worlds.organization("south"),
        worlds.plant("wind", "north"),
        worlds.plant("solar", "north"),
        worlds.person("ada"),
        worlds.person("sue"),
        worlds.member("ada", "north"),
        worlds.member("sue", "south"),
        Cooperation(SHARED, WIND, OrganizationId("south"), Job.OPERATOR, accepted=True),
        worlds.grant("ada", "wind", Job.OPERATOR),
        worlds.grant("sue", "wind", Job.OPERATOR, cooperation=SHARED),
        worlds.subnet("wind", "192.168.1.0/24", 1),
        worlds.subnet("solar", "192.168.0.0/22", 2),
        worlds.profile("ada", 1),
        worlds.profile("sue", 2),
    ]
)


class Watched:
    def __init__(self) -> None:
        self.now = 1000.0
        self.alerts: list[Connection] = []
        self.connected = Connected(lambda: SNAPSHOT, lambda: self.now, self.alerts.append)

    def on(self, plant: PlantId) -> list[tuple[str, Means, float]]:
        return [(c.person, c.means, c.since) for c in self.connected.on_plant(plant)]


def test_what_is_seen_again_goes_on_and_what_is_not_ends():
    world = Watched()
    for _ in range(3):
        world.connected.see(ADA, WIND, Means.VPN, 2)
        world.now += LINGERS - 1
    assert world.on(WIND) == [(ADA, Means.VPN, 1000.0)]
    assert world.on(SOLAR) == []
    world.now += 1
    assert world.on(WIND) == []
    world.connected.see(ADA, WIND, Means.VPN, 1)
    assert world.on(WIND) == [(ADA, Means.VPN, world.now)]


def test_both_means_are_shown_and_told_as_one():
    world = Watched()
    world.connected.see(SUE, WIND, Means.VPN, 1)
    with world.connected.page(SUE, WIND):
        assert {means for _, means, _ in world.on(WIND)} == set(Means)
    assert [alert.means for alert in world.alerts] == [Means.VPN]


def test_only_external_people_are_told_and_again_after_a_pause():
    world = Watched()
    for pause in (0.0, NEW_AFTER - 1, NEW_AFTER):
        world.now += pause
        for person in (ADA, SUE):
            world.connected.see(person, WIND, Means.VPN, 1)
    assert [(alert.person, alert.since) for alert in world.alerts] == [(SUE, 1000.0), (SUE, world.now)]


def test_the_oldest_is_forgotten_first(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connected, "MAX_CONNECTIONS", 2)
    world = Watched()
    for person in (ADA, SUE, ADA, PersonId("bob")):
        world.connected.see(person, WIND, Means.VPN, 1)
    assert {person for person, _, _ in world.on(WIND)} == {ADA, "bob"}


def flow(number: int, transit: str) -> Flow:
    """A flow of the profile of that number to the plant that the address stands for."""
    source, device = IPv4Address("100.64.0.0") + number + 1, IPv4Address("192.168.1.10")
    return Flow(source, device, IPv4Address(transit), source, 6, 40000, 80, b"")


def test_flows_are_uses_of_plants_by_people_whose_tunnel_is_up():
    flows = [
        flow(1, "241.1.0.10"),
        flow(1, "241.1.0.11"),
        flow(1, "241.2.3.9"),
        flow(2, "241.1.0.10"),
        flow(9, "241.1.0.10"),
    ]
    now = 10_000.0
    found = uses(SNAPSHOT, [*flows, flow(1, "250.0.0.1")], {"key1": int(now - HANDSHAKE_FRESH + 1), "key2": 0}, now)
    assert dict(found) == {(ADA, WIND): 2, (ADA, SOLAR): 1}
