"""Why can't I reach it: the first hop that fails is the one that is named, with who can fix it."""

from ipaddress import IPv4Address

import pytest

from plantgate_hub.domain.diagnosis import (
    Cause,
    Facts,
    Fixer,
    Hop,
    Question,
    Result,
    Step,
    Way,
    failed,
    known_steps,
    network_step,
    whole,
)
from plantgate_hub.domain.model import (
    AgentId,
    Device,
    DeviceId,
    Job,
    PersonId,
    PlantId,
    RoutePreference,
    SubnetId,
)
from plantgate_hub.domain.snapshot import Entity, Snapshot, remove
from plantgate_shared.protocol.control import DeviceLookedFor, Presence
from tests import worlds

NOW = 1000.0
ADA = PersonId("ada")
DEVICE = Device(DeviceId("inverter"), PlantId("wind"), "inverter", IPv4Address("192.168.1.10"))
GRANT = worlds.grant("ada", "wind", Job.OPERATOR)
PROFILE = worlds.profile("ada", 1)
AGENT = worlds.agent("wind", "192.168.1.0/24")
SERVICE = worlds.service("north", "wind", "solar")
WIND = worlds.subnet("wind", "192.168.1.0/24", 1)
BASE: list[Entity] = [
    worlds.organization("north"),
    worlds.person("ada", totp_active=True),
    worlds.member("ada", "north"),
    worlds.plant("wind", "north"),
    worlds.plant("solar", "north"),
    worlds.agent("solar", "192.168.1.0/24"),
    DEVICE,
    *(GRANT, PROFILE, AGENT, SERVICE, WIND),
]
SOLAR: list[Entity] = [worlds.grant("ada", "solar", Job.OPERATOR), worlds.subnet("solar", "192.168.1.0/24", 2)]


def steps(
    way: Way,
    *more: Entity,
    without: Entity | None = None,
    handshake: float | None = NOW - 10,
    online: tuple[str, ...] = ("agent-wind", "agent-solar"),
) -> tuple[Step, ...]:
    snapshot = Snapshot.of([*BASE, *more])
    if without is not None:
        snapshot = snapshot.apply([remove(without)])
    return known_steps(snapshot, Question(ADA, DEVICE, way), Facts(NOW, frozenset(map(AgentId, online)), handshake))


def prefer(number: int, priority: int, disabled: bool = False) -> RoutePreference:
    return RoutePreference(ADA, SubnetId(f"subnet{number}"), priority, disabled)


@pytest.mark.parametrize("way", list(Way))
def test_nothing_fails_where_all_is_well(way: Way) -> None:
    found = steps(way, *SOLAR, prefer(1, 1))
    assert [step.result for step in found] == [Result.OK] * len(found)
    assert found[-1].hop is Hop.BOUNDARY


@pytest.mark.parametrize(
    ("more", "change", "hop", "cause", "fixer"),
    [
        ((), {"without": GRANT}, Hop.PERMISSION, Cause.NO_JOB, Fixer.MODERATOR),
        (
            (worlds.member("ada", "north", job=Job.TECHNICAL_MANAGER),),
            {"without": GRANT},
            Hop.PERMISSION,
            Cause.JOB_TOO_LOW,
            Fixer.MODERATOR,
        ),
        ((), {"without": PROFILE}, Hop.TUNNEL, Cause.NO_PROFILE, Fixer.YOU),
        ((), {"handshake": 0.0}, Hop.TUNNEL, Cause.NEVER_CONNECTED, Fixer.YOU),
        ((), {"handshake": NOW - 181}, Hop.TUNNEL, Cause.NOT_CONNECTED, Fixer.YOU),
        ((), {"without": WIND}, Hop.ROUTE, Cause.NO_SUBNET, Fixer.MANAGER),
        ((), {"without": SERVICE}, Hop.ROUTE, Cause.NOT_IN_A_SERVICE, Fixer.MODERATOR),
        ((*SOLAR, prefer(2, 1)), {}, Hop.ROUTE, Cause.OVERLAP_LOST, Fixer.YOU),
        (
            (SOLAR[0], worlds.subnet("solar", "192.168.1.0/28", 2)),
            {},
            Hop.ROUTE,
            Cause.OVERLAP_LOST,
            Fixer.YOU,
        ),
        ((prefer(1, 0, disabled=True),), {}, Hop.ROUTE, Cause.DISABLED, Fixer.YOU),
        ((), {"without": AGENT}, Hop.AGENT, Cause.NO_GATEWAY, Fixer.MANAGER),
        ((), {"online": ("agent-solar",)}, Hop.AGENT, Cause.AGENT_OFFLINE, Fixer.ON_SITE),
        ((worlds.agent("wind", "192.168.1.128/25"),), {}, Hop.BOUNDARY, Cause.OUTSIDE_BOUNDARY, Fixer.ON_SITE),
        # of two failures the first on the way is named
        ((), {"handshake": 0.0, "online": ()}, Hop.TUNNEL, Cause.NEVER_CONNECTED, Fixer.YOU),
    ],
)
def test_the_first_failing_hop_over_vpn(more, change, hop, cause, fixer) -> None:
    found = steps(Way.VPN, *more, **change)
    assert all(step.result is Result.OK for step in found[:-1])
    assert (found[-1].hop, found[-1].result, found[-1].cause, found[-1].fixer) == (hop, Result.FAILED, cause, fixer)


def test_the_part_of_a_range_that_another_plant_does_not_have_is_reached() -> None:
    found = steps(Way.VPN, SOLAR[0], worlds.subnet("solar", "192.168.1.128/25", 2))
    assert failed(found) is None


def test_the_browser_needs_two_factor_and_neither_tunnel_nor_route() -> None:
    found = steps(Way.BROWSER, worlds.person("ada"))
    assert (found[-1].hop, found[-1].cause, found[-1].fixer) == (Hop.PERMISSION, Cause.NO_TWO_FACTOR, Fixer.YOU)
    assert failed(steps(Way.BROWSER, without=PROFILE, handshake=None)) is None
    assert failed(steps(Way.BROWSER, without=SERVICE)) is None


def test_a_hub_that_carries_no_vpn_says_so_and_looks_further() -> None:
    found = steps(Way.VPN, handshake=None, online=())
    assert (found[1].result, found[1].cause) == (Result.UNKNOWN, Cause.NOT_LOOKED_AT)
    assert failed(found) == found[-1]
    assert found[-1].cause is Cause.AGENT_OFFLINE


@pytest.mark.parametrize(
    ("presence", "hop", "result"),
    [
        (Presence.ANSWERS, Hop.NETWORK, Result.OK),
        (Presence.SILENT, Hop.NETWORK, Result.FAILED),
        (Presence.OUTSIDE, Hop.BOUNDARY, Result.FAILED),
        (Presence.UNKNOWN, Hop.NETWORK, Result.UNKNOWN),
    ],
)
def test_what_the_plants_network_says(presence: Presence, hop: Hop, result: Result) -> None:
    step = network_step(DeviceLookedFor(1, presence, "detail"))
    assert (step.hop, step.result) == (hop, result)
    if result is Result.FAILED:
        assert step.fixer is Fixer.ON_SITE


def test_the_whole_way_shows_what_was_not_tried() -> None:
    found = whole(Way.BROWSER, steps(Way.BROWSER, online=()))
    assert [step.result for step in found] == [Result.OK, Result.FAILED, *[Result.NOT_TRIED] * 4]


def test_every_failure_has_somebody_who_can_fix_it() -> None:
    unknowable = {Cause.NONE, Cause.NOT_LOOKED_AT, Cause.PRESENCE_UNKNOWN}
    for cause in set(Cause) - unknowable:
        assert Step(Hop.PAGE, Result.FAILED, cause).fixer is not Fixer.NOBODY, cause
