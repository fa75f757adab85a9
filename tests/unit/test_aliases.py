"""Aliases: everyone has one for each subnet they may reach, and it stays what it was."""

from ipaddress import IPv4Address, IPv4Network

from plantgate_hub.domain.aliases import assign_aliases
from plantgate_hub.domain.model import Alias, Device, DeviceId, Hold, HoldScope, Job, PersonId, PlantId, SubnetId
from plantgate_hub.domain.routes import find_route, routes_of
from plantgate_hub.domain.snapshot import Entity, Snapshot, put, remove
from tests import worlds

ADA = PersonId("ada")
NAMES = ("wind", "solar", "chp")
POOL = IPv4Network("198.18.0.0/15")
SMALL = IPv4Network("198.18.0.0/20")
BASE: list[Entity] = [
    worlds.organization("north"),
    worlds.person("ada"),
    worlds.person("bob"),
    worlds.member("ada", "north"),
    worlds.member("bob", "north"),
    *(worlds.plant(name, "north") for name in NAMES),
    worlds.service("north", *NAMES),
    worlds.subnet("wind", "192.168.1.0/24", 1),
    worlds.subnet("solar", "192.168.1.0/24", 2),
    worlds.subnet("chp", "172.16.0.0/16", 3),
    worlds.profile("ada", 1),
]
WIND, SOLAR, CHP = (worlds.grant("ada", name, Job.OPERATOR) for name in NAMES)


def after(snapshot: Snapshot, *changes, pool: IPv4Network = POOL, moments=(0.0,)) -> Snapshot:
    """The snapshot after the changes and the aliases that follow."""
    changed = snapshot.apply(changes)
    assignment = assign_aliases(snapshot, changed, changes, moments, pool)
    return changed.apply([*map(remove, assignment.gone), *map(put, assignment.new)])


def aliases(snapshot: Snapshot, person: PersonId = ADA) -> dict[str, str]:
    return {f"{a.subnet} {a.network}": str(a.prefix) for a in snapshot.aliases_of(person)}


def start(*grants: Entity) -> Snapshot:
    return after(Snapshot.of(BASE), *map(put, grants))


def test_each_subnet_has_one_and_both_plants_are_reached_at_once() -> None:
    snapshot = start(WIND, SOLAR)
    assert aliases(snapshot) == {"subnet1 192.168.1.0/24": "198.18.0.0/24", "subnet2 192.168.1.0/24": "198.18.1.0/24"}
    routes = routes_of(snapshot, ADA, frozenset(), 0.0)
    reached = [find_route(routes, IPv4Address(address)) for address in ("198.18.0.10", "198.18.1.10")]
    assert [route.plant for route in reached if route] == ["wind", "solar"]
    assert find_route(routes, IPv4Address("198.18.2.10")) is None


def test_an_alias_stays_while_access_comes_and_goes() -> None:
    snapshot = start(WIND, SOLAR)
    before = aliases(snapshot)
    away = after(snapshot, remove(WIND))
    assert aliases(away) == before, "kept for their return"
    assert all(not route.aliases for route in routes_of(away, ADA, frozenset(), 0.0) if route.plant == "wind")
    assert aliases(after(away, put(WIND))) == before


def test_an_alias_of_a_subnet_that_is_gone_is_not_given_to_another_plant_soon() -> None:
    snapshot = start(WIND, SOLAR)
    old = next(a for a in snapshot.aliases_of(ADA) if a.subnet == "subnet2")
    gone = snapshot.apply([remove(old), remove(SOLAR), remove(worlds.subnet("solar", "192.168.1.0/24", 2))])
    changed = after(gone, put(worlds.subnet("wind", "10.0.0.0/24", 4)))
    assert aliases(changed) == {"subnet1 192.168.1.0/24": "198.18.0.0/24", "subnet4 10.0.0.0/24": "198.18.1.0/24"}
    # the highest in use counts: with one above it, the freed one is passed over
    changed = after(
        gone.apply([put(Alias(ADA, SubnetId("x"), IPv4Address("10.9.0.0"), IPv4Network("198.18.7.0/24")))]),
        put(worlds.subnet("wind", "10.0.0.0/24", 4)),
    )
    assert aliases(changed)["subnet4 10.0.0.0/24"] == "198.18.8.0/24"


def test_people_without_a_profile_have_none_and_get_them_with_it() -> None:
    snapshot = start(worlds.grant("bob", "wind", Job.OPERATOR))
    assert not aliases(snapshot, PersonId("bob"))
    assert len(aliases(after(snapshot, put(worlds.profile("bob", 2))), PersonId("bob"))) == 1


def test_every_person_has_the_whole_pool() -> None:
    snapshot = after(start(WIND), put(worlds.profile("bob", 2)), put(worlds.grant("bob", "solar", Job.OPERATOR)))
    assert [*aliases(snapshot).values(), *aliases(snapshot, PersonId("bob")).values()] == ["198.18.0.0/24"] * 2


def test_below_operator_there_is_none() -> None:
    assert not aliases(start(worlds.grant("ada", "wind", Job.TECHNICAL_MANAGER)))


def test_a_grant_that_begins_later_has_its_alias_from_its_making() -> None:
    snapshot = Snapshot.of(BASE)
    later = worlds.grant("ada", "wind", Job.OPERATOR, starts=100.0)
    assert len(aliases(after(snapshot, put(later), moments=(0.0, 100.0)))) == 1


def test_of_a_large_subnet_the_devices_have_one_each() -> None:
    def device(name: str, address: str) -> Device:
        return Device(DeviceId(name), PlantId("chp"), name, IPv4Address(address))

    snapshot = start(CHP)
    assert not aliases(snapshot)
    snapshot = after(snapshot, put(device("a", "172.16.3.4")), put(device("b", "10.1.1.1")))
    assert aliases(snapshot) == {"subnet3 172.16.3.4/32": "198.18.0.0/32"}
    (route,) = routes_of(snapshot, ADA, frozenset(), 0.0)
    assert [alias.network for alias in route.aliases] == [IPv4Network("172.16.3.4/32")]
    moved = after(snapshot, put(device("a", "172.16.3.5")))
    assert list(aliases(moved)) == ["subnet3 172.16.3.5/32"]


def test_where_the_pool_is_full_what_is_out_of_reach_gives_way_and_the_rest_goes_without() -> None:
    snapshot = after(Snapshot.of(BASE), *map(put, (WIND, SOLAR)), pool=IPv4Network("198.18.0.0/23"))
    assert len(aliases(snapshot)) == 2
    third = worlds.subnet("solar", "10.0.0.0/24", 4)
    full = after(snapshot, put(third), pool=IPv4Network("198.18.0.0/23"))
    assert "subnet4 10.0.0.0/24" not in aliases(full)
    room = after(full, remove(WIND), put(third), pool=IPv4Network("198.18.0.0/23"))
    assert aliases(room) == {"subnet2 192.168.1.0/24": "198.18.1.0/24", "subnet4 10.0.0.0/24": "198.18.0.0/24"}


def test_a_plant_on_hold_has_none_whether_or_not_it_has_its_range() -> None:
    snapshot = start(WIND, SOLAR)
    held = snapshot.apply([put(Hold(PlantId(name), HoldScope.EVERYONE, 0.0, "owner")) for name in ("wind", "solar")])
    routes = routes_of(held, ADA, frozenset(), 0.0)
    assert len(routes) == 2
    assert not any(route.aliases for route in routes)
