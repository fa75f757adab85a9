"""Whatever people do one after the other through the services, nobody gains what nobody gave them.

Random sequences of acts by random people, on a real store. After each act, what changed is held to four promises that
are written here without the policy's help: caps hold, nobody acts in an organization that is not theirs, nobody raises
themselves, and Moderators leave Administrators alone.
"""

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from plantgate_hub.domain.model import (
    ConnectionPolicy,
    Cooperation,
    CooperationId,
    Grant,
    Hold,
    HoldScope,
    Job,
    Membership,
    OrganizationId,
    OrgRole,
    PersonId,
    PlantId,
    Purpose,
    RoutePreference,
)
from plantgate_hub.domain.policy import is_live, job_of
from plantgate_hub.domain.pools import Pools
from plantgate_hub.domain.snapshot import Entity, Snapshot, difference
from plantgate_hub.services import Context, Services, acting
from plantgate_hub.store import AesSealer, open_store
from plantgate_shared.errors import PlantgateError
from plantgate_shared.secret import Secret
from tests import worlds

SEALER = AesSealer(Secret(b"k" * 32))
NORTH, SOUTH, EAST = ORGANIZATIONS = tuple(map(OrganizationId, ("north", "south", "east")))
PLANTS = {PlantId("wind"): NORTH, PlantId("solar"): NORTH, PlantId("hydro"): SOUTH}
OFFICES = {
    PersonId("ada"): (NORTH, OrgRole.ADMINISTRATOR),
    PersonId("mod"): (NORTH, OrgRole.MODERATOR),
    PersonId("tom"): (NORTH, OrgRole.MEMBER),
    PersonId("sam"): (SOUTH, OrgRole.ADMINISTRATOR),
    PersonId("sue"): (SOUTH, OrgRole.MEMBER),
    PersonId("eve"): (EAST, OrgRole.ADMINISTRATOR),
    PersonId("lee"): (EAST, OrgRole.GUEST),
}
RANK = {None: 0, OrgRole.GUEST: 1, OrgRole.MEMBER: 2, OrgRole.MODERATOR: 3, OrgRole.ADMINISTRATOR: 4}
RESPONSIBLE = (OrgRole.MODERATOR, OrgRole.ADMINISTRATOR)
WIND_SHARED, HYDRO_SHARED = CooperationId("c0"), CooperationId("c1")
START: list[Entity] = [
    *map(worlds.organization, ORGANIZATIONS),
    *map(worlds.person, OFFICES),
    *(worlds.member(who, where, role) for who, (where, role) in OFFICES.items()),
    *(worlds.plant(name, owner) for name, owner in PLANTS.items()),
    *(worlds.service(owner, *(p for p in PLANTS if PLANTS[p] == owner)) for owner in ORGANIZATIONS),
    Cooperation(WIND_SHARED, PlantId("wind"), OrganizationId("south"), Job.OPERATOR, accepted=True),
    Cooperation(HYDRO_SHARED, PlantId("hydro"), OrganizationId("east"), Job.VIEWER, accepted=True),
    worlds.grant("sue", "wind", Job.OPERATOR, cooperation=WIND_SHARED),
    worlds.grant("lee", "hydro", Job.VIEWER, cooperation=HYDRO_SHARED),
    worlds.grant("tom", "solar", Job.VIEWER),
    worlds.grant("tom", "wind", Job.OPERATOR),
]

people = st.sampled_from(list(OFFICES))
actors = st.sampled_from([*OFFICES, "ada", "mod", "sam", "tom", "sue"])
plants = st.sampled_from(list(PLANTS))
organizations = st.sampled_from(ORGANIZATIONS)
jobs = st.sampled_from(list(Job))
ends = st.sampled_from([None, None, 50.0, 300.0])
which = st.sampled_from([0, 0, 0, 1, 1, 2])
"""Which of the cooperations there are."""
acts = st.one_of(
    st.tuples(st.just("set_member"), organizations, people, st.sampled_from(list(OrgRole)), st.none() | jobs),
    st.tuples(st.just("remove_member"), organizations, people),
    st.tuples(st.just("give"), people, plants, jobs, ends),
    st.tuples(st.just("revoke"), people, plants),
    st.tuples(st.just("offer"), plants, organizations, jobs, ends),
    st.tuples(st.just("accept"), which),
    st.tuples(st.just("set_cap"), which, jobs),
    st.tuples(st.just("end"), which),
    st.tuples(st.just("invite"), which, people, jobs, ends),
    st.tuples(st.just("invite"), which, people, jobs, ends),
    st.tuples(st.just("withdraw"), which, people),
    st.tuples(st.just("end_access"), plants, st.sampled_from(list(HoldScope))),
    st.tuples(st.just("restore"), plants),
    st.tuples(st.just("set_policy"), organizations, st.booleans()),
    st.tuples(st.just("declare"), plants),
    st.tuples(st.just("wait"), st.sampled_from([10.0, 100.0])),
)
sequences = st.lists(st.tuples(actors, acts), min_size=10, max_size=30)


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def call(services: Services, snapshot: Snapshot, actor, act):
    """The service call that an act stands for."""
    name, *with_ = act
    shared = sorted(cooperation.id for cooperation in snapshot.cooperations)
    if name in ("accept", "set_cap", "end", "invite", "withdraw"):
        with_[0] = shared[with_[0] % len(shared)]
    match name:
        case "give":
            return services.grants.give(actor, *with_[:3], ends=_later(services, with_[3]))
        case "offer":
            return services.cooperations.offer(actor, *with_[:3], ends=_later(services, with_[3]))
        case "invite":
            return services.cooperations.invite(actor, *with_[:3], ends=_later(services, with_[3]))
        case "set_member" | "remove_member":
            return getattr(services.organizations, name)(actor, *with_)
        case "revoke":
            return services.grants.revoke(actor, *with_)
        case "end_access" | "restore":
            return getattr(services.holds, name)(actor, *with_)
        case "set_policy":
            return services.purposes.set_policy(actor, with_[0], required=with_[1])
        case "declare":
            return services.purposes.declare(actor, with_[0], "because")
    return getattr(services.cooperations, name)(actor, *with_)


def _later(services: Services, seconds: float | None) -> float | None:
    return None if seconds is None else services.context.now() + seconds


def role(snapshot: Snapshot, who: PersonId, where: OrganizationId) -> OrgRole | None:
    membership = snapshot.memberships.get(who, where)
    return membership.role if membership else None


def caps_hold(snapshot: Snapshot, now: float) -> None:
    for who in OFFICES:
        for plant, owner in PLANTS.items():
            job = job_of(snapshot, who, plant, now).job
            if job is None or role(snapshot, who, owner) is not None:
                continue
            caps = [
                cooperation.cap
                for cooperation in snapshot.cooperations
                if cooperation.plant == plant
                and cooperation.accepted
                and is_live(None, cooperation.ends, now)
                and role(snapshot, who, cooperation.partner) is not None
                and any(g.person == who and g.cooperation == cooperation.id for g in snapshot.grants)
            ]
            assert caps, f"{who} has {job} on {plant} without an invitation"
            assert job <= max(caps)


def organizations_of(row, snapshot: Snapshot) -> set[OrganizationId]:
    """Whose responsible people may change a row of theirs."""
    match row:
        case Membership() | ConnectionPolicy():
            return {row.organization}
        case Hold():
            return {PLANTS[row.plant]}
        case Cooperation():
            return {PLANTS[row.plant], row.partner}
        case Grant():
            cooperation = snapshot.cooperations.get(row.cooperation or "")
            return {PLANTS[row.plant], *([cooperation.partner] if cooperation else [])}
    return set()


def acted_at_home(before: Snapshot, after: Snapshot, who: PersonId, now: float) -> None:
    for change in difference(before, after):
        for snapshot in (before, after):
            row = snapshot.table(change.kind).get(*change.key)
            match row:
                case None | RoutePreference():
                    continue
                case Purpose():
                    assert row.person == who
                case Membership() | Grant() if row.person == who and change.value is None:
                    continue  # people may leave by themselves
                case Hold() if job_of(before, who, row.plant, now).job is Job.OPERATOR:
                    assert role(before, who, PLANTS[row.plant]) is not None
                case _:
                    offices = {
                        where for where in organizations_of(row, before) if role(before, who, where) in RESPONSIBLE
                    }
                    assert offices, f"{who} changed {row}"


def raised_nobody_themselves(before: Snapshot, after: Snapshot, who: PersonId, now: float) -> None:
    for where in ORGANIZATIONS:
        assert RANK[role(after, who, where)] <= RANK[role(before, who, where)]
    for plant, owner in PLANTS.items():
        had, has = (job_of(snapshot, who, plant, now).job or 0 for snapshot in (before, after))
        if has > had:  # a partner's responsible people may invite themselves, to what the owner offered
            partners = [
                c for c in after.cooperations if c.plant == plant and role(before, who, c.partner) in RESPONSIBLE
            ]
            assert role(before, who, owner) is None or partners
            assert has <= max(cooperation.cap for cooperation in partners)


def left_administrators_alone(before: Snapshot, after: Snapshot, who: PersonId) -> None:
    for where in ORGANIZATIONS:
        if role(before, who, where) is not OrgRole.ADMINISTRATOR:
            heads = [
                {m.person for m in snapshot.members_of(where) if m.role is OrgRole.ADMINISTRATOR} - {who}
                for snapshot in (before, after)
            ]
            assert heads[0] == heads[1]
        assert any(m.role is OrgRole.ADMINISTRATOR for m in after.members_of(where))


async def play(url: str, sequence) -> int:
    """Act after act; how many were let through."""
    clock, through = Clock(), 0
    store = await open_store(url, SEALER, migrate=False, now=clock)
    try:
        services = Services(Context(store, Pools(), clock))
        async with store.change("test") as change:
            for row in START:
                change.put(row)
        before = await store.load_snapshot()
        for who, act in sequence:
            if act[0] == "wait":
                clock.now += act[1]
                continue
            try:
                await call(services, before, acting(worlds.person(who).id), act)
            except PlantgateError:
                after = await store.load_snapshot()
                assert after == before
                continue
            through += 1
            after = await store.load_snapshot()
            caps_hold(after, clock.now)
            acted_at_home(before, after, who, clock.now)
            raised_nobody_themselves(before, after, who, clock.now)
            left_administrators_alone(before, after, who)
            before = after
    finally:
        await store.close()
    return through


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """A database with its tables, to copy."""
    path: Path = tmp_path_factory.mktemp("sequences") / "hub.db"

    async def make() -> None:
        await (await open_store(f"sqlite:///{path}", SEALER)).close()

    asyncio.run(make())
    return path


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[phase for phase in Phase if phase is not Phase.shrink],  # each try writes a database: minutes of them
)
@given(sequences)
def test_no_sequence_of_acts_gives_anybody_more_than_they_were_given(template, sequence):
    path = template.with_name("play.db")
    shutil.copy(template, path)
    try:
        asyncio.run(play(f"sqlite:///{path}", sequence))
    finally:
        for part in path.parent.glob("play.db*"):
            part.unlink()


def test_the_sequences_get_through_often_enough_to_mean_something(template):
    """The acts that matter most, by those who may: otherwise the property above would hold of nothing."""
    path = template.with_name("means.db")
    shutil.copy(template, path)
    sequence = [
        ("ada", ("set_cap", 0, Job.TECHNICAL_MANAGER)),
        ("sam", ("invite", 0, "sam", Job.TECHNICAL_MANAGER, None)),
        ("mod", ("give", "tom", "solar", Job.OPERATOR, 50.0)),
        ("tom", ("end_access", "solar", HoldScope.EVERYONE)),
        ("mod", ("restore", "solar")),
        ("sue", ("remove_member", "south", "sue")),
        ("ada", ("set_policy", "north", True)),
        ("mod", ("set_member", "north", "tom", OrgRole.MODERATOR, None)),
        ("mod", ("set_member", "north", "tom", OrgRole.ADMINISTRATOR, None)),  # refused
    ]
    assert asyncio.run(play(f"sqlite:///{path}", sequence)) == len(sequence) - 1
