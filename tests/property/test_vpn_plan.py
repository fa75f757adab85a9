"""The plan for the hub's table, applied to a strict model of the kernel, from any observed state."""

from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from plantgate_hub.vpn.plan import (
    Grant,
    ReplaceTable,
    Revoke,
    Step,
    Sweep,
    TableState,
    advance,
    number_of,
    plan,
)
from plantgate_hub.vpn.state import ProfileElements

ADDRESSES = [IPv4Address("100.64.0.2") + n for n in range(4)]
PREFIXES = [
    IPv4Network(text)
    for text in (
        "192.168.0.0/23",
        "192.168.0.0/24",
        "192.168.1.0/24",
        "192.168.1.0/25",
        "192.168.1.10/32",
        "10.0.0.0/24",
    )
]
TRANSITS = [IPv4Network((int(IPv4Address("240.16.0.0")) + (n << 9), 23)) for n in range(5)]


class Model:
    """The kernel's table: refuses what the kernel refuses."""

    def __init__(self, state: TableState) -> None:
        self.plants = {(a, p): t for a, elements in state.profiles.items() for p, t in elements.plants.items()}
        self.allowed = {(a, number) for a, elements in state.profiles.items() for number in elements.allowed}
        self.plant_id = dict(state.plant_id)

    def apply(self, step: Step, desired: TableState) -> None:
        match step:
            case Revoke(allowed, ids):
                for pair in allowed:
                    self.allowed.remove(pair)
                for prefix in ids:
                    del self.plant_id[prefix]
            case Grant(ids, instead_of, plants, allowed):
                for prefix, number in ids:
                    assert not any(prefix.overlaps(other) for other in self.plant_id), "File exists"
                    self.plant_id[prefix] = number
                for key in instead_of:
                    del self.plants[key]
                for (address, prefix), transit in plants:
                    assert not any(a == address and p.overlaps(prefix) for a, p in self.plants), "File exists"
                    self.plants[address, prefix] = transit
                self.allowed |= set(allowed)
            case Sweep(keys):
                for key in keys:
                    del self.plants[key]
            case ReplaceTable():
                self.__init__(desired)  # type: ignore[misc]

    def reach(self) -> set[tuple[IPv4Address, IPv4Network]]:
        """Who may send to which transit prefix, whatever the map of the prefixes says."""
        return {(a, transit) for transit, number in self.plant_id.items() for a, n in self.allowed if n == number}

    def ways(self) -> set[tuple[IPv4Address, IPv4Network, IPv4Network]]:
        """Which real or alias prefix leads whom where."""
        found = set()
        for (address, prefix), transit in self.plants.items():
            if (address, number_of(transit, self.plant_id)) in self.allowed:
                found.add((address, prefix, transit))
        return found

    def contents(self) -> tuple[object, object, object]:
        return self.plants, self.allowed, self.plant_id


def _disjoint(prefixes: list[IPv4Network]) -> list[IPv4Network]:
    kept: list[IPv4Network] = []
    for prefix in prefixes:
        if not any(prefix.overlaps(other) for other in kept):
            kept.append(prefix)
    return kept


@st.composite
def plant_ids(draw: st.DrawFn) -> dict[IPv4Network, int]:
    numbers = draw(st.permutations(range(1, 8)))
    chosen = draw(st.lists(st.sampled_from(TRANSITS), unique=True))
    return dict(zip(chosen, numbers, strict=False))


@st.composite
def elements(draw: st.DrawFn, ids: dict[IPv4Network, int], consistent: bool) -> ProfileElements:
    targets = sorted(ids, key=str) if consistent else TRANSITS
    plants = {}
    if targets:
        for prefix in _disjoint(draw(st.lists(st.sampled_from(PREFIXES), unique=True))):
            transit = draw(st.sampled_from(targets))
            plants[prefix] = next(transit.subnets(new_prefix=prefix.prefixlen))
    if consistent:
        return ProfileElements(plants, frozenset(number_of(transit, ids) or 0 for transit in plants.values()))
    return ProfileElements(plants, draw(st.frozensets(st.integers(1, 7))))


@st.composite
def states(draw: st.DrawFn, consistent: bool) -> TableState:
    """Desired states are consistent; anything may be observed after a crash or changes by hand."""
    ids = draw(plant_ids())
    profiles = {
        address: draw(elements(ids, consistent)) for address in draw(st.lists(st.sampled_from(ADDRESSES), unique=True))
    }
    return TableState(profiles, ids)


@given(states(consistent=False))
def test_nothing_to_do_for_the_same_state(state: TableState) -> None:
    assert plan(state, state) == ()


@given(states(consistent=True), states(consistent=False), st.sampled_from([None, 0, 100, 50_000, 10_000_000]))
def test_plan_reaches_the_desired_state_and_opens_nothing_else(
    desired: TableState, observed: TableState, size: int | None
) -> None:
    wanted, kernel = Model(desired), Model(observed)
    before = kernel.reach()
    for number, step in enumerate(plan(desired, observed, size)):
        kernel.apply(step, desired)
        assert kernel.reach() <= wanted.reach(), "a pair is allowed that is not desired"
        if number > 0:  # the first step only closes
            assert kernel.ways() <= wanted.ways() | Model(observed).ways()
        else:
            assert kernel.reach() <= before | wanted.reach()
    assert kernel.contents() == wanted.contents()


@given(states(consistent=True), states(consistent=False))
def test_revocations_come_first_and_only_close(desired: TableState, observed: TableState) -> None:
    steps = plan(desired, observed)
    assert all(not isinstance(step, Revoke) for step in steps[1:])
    assert [type(step) for step in steps] == sorted(
        (type(step) for step in steps), key=[Revoke, Grant, ReplaceTable, Sweep].index
    )


@given(states(consistent=True), states(consistent=False))
def test_a_way_that_is_not_desired_is_closed_before_the_sweep(desired: TableState, observed: TableState) -> None:
    kernel = Model(observed)
    for step in plan(desired, observed):
        if not isinstance(step, Sweep):
            kernel.apply(step, desired)
    assert kernel.ways() == Model(desired).ways()


@given(states(consistent=True), states(consistent=False))
def test_what_is_known_of_the_kernel_follows_each_step(desired: TableState, observed: TableState) -> None:
    kernel = Model(observed)
    profiles, ids = dict(observed.profiles), dict(observed.plant_id)
    for step in plan(desired, observed):
        if isinstance(step, ReplaceTable):
            return
        kernel.apply(step, desired)
        advance(step, profiles, ids)
        assert Model(TableState(profiles, ids)).contents() == kernel.contents()


@given(states(consistent=True), states(consistent=False))
def test_rules_that_are_not_ours_are_replaced_as_a_whole(desired: TableState, observed: TableState) -> None:
    assert plan(desired, TableState(observed.profiles, observed.plant_id, intact=False)) == (ReplaceTable(),)
