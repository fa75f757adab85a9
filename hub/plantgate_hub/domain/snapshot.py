"""Everything decisions are made from, as one immutable value: rows by key, with the look-ups that decisions need.

A `Snapshot` never changes; `apply` makes the next one, which shares nearly everything with it (see `persistent`): at
10,000 people a change of one row takes a fraction of a millisecond.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Generic, TypeVar, cast

from .model import (
    Agent,
    Alias,
    ConnectionPolicy,
    Cooperation,
    CooperationId,
    Device,
    DeviceId,
    Grant,
    Hold,
    Membership,
    Organization,
    OrganizationId,
    OrgRole,
    Person,
    PersonId,
    Plant,
    PlantId,
    Profile,
    Purpose,
    RoutePreference,
    Subnet,
    VpnService,
    WebTarget,
)
from .persistent import PersistentMap

Entity = (
    Organization
    | Person
    | Membership
    | Plant
    | Subnet
    | Device
    | WebTarget
    | Cooperation
    | Grant
    | VpnService
    | Profile
    | RoutePreference
    | Alias
    | Agent
    | Hold
    | ConnectionPolicy
    | Purpose
)
V = TypeVar("V")

Key = tuple[str, ...]
"""What names an entity: its id alone, or the parts that make it unique (see `key_of`)."""


class Kind(StrEnum):
    """What a change is about. The order is that of dependence: a later kind refers to earlier ones only."""

    ORGANIZATION = "organization"
    PERSON = "person"
    MEMBERSHIP = "membership"
    PLANT = "plant"
    SUBNET = "subnet"
    DEVICE = "device"
    TARGET = "target"
    COOPERATION = "cooperation"
    GRANT = "grant"
    SERVICE = "service"
    PROFILE = "profile"
    PREFERENCE = "preference"
    ALIAS = "alias"
    AGENT = "agent"
    HOLD = "hold"
    CONNECTION_POLICY = "connection policy"
    PURPOSE = "purpose"
    SESSION = "session"
    """A session that ended, or ("person", id): all of a person's. No part of the snapshot: nodes hear of it to forget
    what they remember of it."""


@dataclass(frozen=True, slots=True)
class Change:
    """One entity's new value, or None when it is gone."""

    kind: Kind
    key: Key
    value: Entity | None = None


@dataclass(frozen=True, slots=True)
class _Spec:
    """How rows of a kind are keyed and found. An index gives, per row, the values under which it is found."""

    field: str
    key: Callable[[Any], Key]
    indexes: Mapping[str, Callable[[Any], Iterable[Hashable]]]


_RESPONSIBLE = (OrgRole.ADMINISTRATOR, OrgRole.MODERATOR)


def _timed(row: Grant | Cooperation | Purpose) -> tuple[bool, ...]:
    return (True,) if row.ends is not None or getattr(row, "starts", None) is not None else ()


def _responsible(row: Membership) -> tuple[Hashable, ...]:
    return (row.organization,) if row.role in _RESPONSIBLE or row.job is not None else ()


_SPECS: dict[Kind, _Spec] = {
    Kind.ORGANIZATION: _Spec("organizations", lambda o: (o.id,), {"name": lambda o: (o.name.casefold(),)}),
    Kind.PERSON: _Spec(
        "people",
        lambda p: (p.id,),
        {"email": lambda p: (p.email,), "cloud_operator": lambda p: (True,) if p.cloud_operator else ()},
    ),
    Kind.MEMBERSHIP: _Spec(
        "memberships",
        lambda m: (m.person, m.organization),
        {
            "person": lambda m: (m.person,),
            "organization": lambda m: (m.organization,),
            "responsible": _responsible,
        },
    ),
    Kind.PLANT: _Spec("plants", lambda p: (p.id,), {"organization": lambda p: (p.organization,)}),
    Kind.SUBNET: _Spec("subnets", lambda s: (s.id,), {"plant": lambda s: (s.plant,), "number": lambda s: (s.number,)}),
    Kind.DEVICE: _Spec("devices", lambda d: (d.id,), {"plant": lambda d: (d.plant,)}),
    Kind.TARGET: _Spec("targets", lambda t: (t.id,), {"device": lambda t: (t.device,), "host": lambda t: (t.host,)}),
    Kind.COOPERATION: _Spec(
        "cooperations",
        lambda c: (c.id,),
        {"plant": lambda c: (c.plant,), "partner": lambda c: (c.partner,), "timed": _timed},
    ),
    Kind.GRANT: _Spec(
        "grants",
        lambda g: (g.person, g.plant, g.cooperation or "", str(int(g.job))),
        {
            "person": lambda g: (g.person,),
            "plant": lambda g: (g.plant,),
            "person on plant": lambda g: ((g.person, g.plant),),
            "cooperation": lambda g: (g.cooperation,) if g.cooperation else (),
            "timed": _timed,
        },
    ),
    Kind.SERVICE: _Spec(
        "services", lambda s: (s.id,), {"organization": lambda s: (s.organization,), "plant": lambda s: s.plants}
    ),
    Kind.PROFILE: _Spec(
        "profiles",
        lambda p: (p.id,),
        {
            "person": lambda p: (p.person,),
            "public key": lambda p: (p.public_key,),
            "address": lambda p: (p.address,),
        },
    ),
    Kind.PREFERENCE: _Spec(
        "preferences",
        lambda p: (p.person, p.subnet),
        {"person": lambda p: (p.person,), "subnet": lambda p: (p.subnet,)},
    ),
    Kind.ALIAS: _Spec(
        "aliases",
        lambda a: (a.person, a.subnet, str(a.address)),
        {"person": lambda a: (a.person,), "subnet": lambda a: (a.subnet,)},
    ),
    Kind.AGENT: _Spec(
        "agents", lambda a: (a.id,), {"plant": lambda a: (a.plant,), "wireguard key": lambda a: (a.wireguard_key,)}
    ),
    Kind.HOLD: _Spec("holds", lambda h: (h.plant, str(h.scope)), {"plant": lambda h: (h.plant,)}),
    Kind.CONNECTION_POLICY: _Spec("connection_policies", lambda p: (p.organization,), {}),
    Kind.PURPOSE: _Spec(
        "purposes",
        lambda p: (p.person, p.plant),
        {"person": lambda p: (p.person,), "plant": lambda p: (p.plant,), "timed": _timed},
    ),
}

_KINDS: dict[type, Kind] = {
    Organization: Kind.ORGANIZATION,
    Person: Kind.PERSON,
    Membership: Kind.MEMBERSHIP,
    Plant: Kind.PLANT,
    Subnet: Kind.SUBNET,
    Device: Kind.DEVICE,
    WebTarget: Kind.TARGET,
    Cooperation: Kind.COOPERATION,
    Grant: Kind.GRANT,
    VpnService: Kind.SERVICE,
    Profile: Kind.PROFILE,
    RoutePreference: Kind.PREFERENCE,
    Alias: Kind.ALIAS,
    Agent: Kind.AGENT,
    Hold: Kind.HOLD,
    ConnectionPolicy: Kind.CONNECTION_POLICY,
    Purpose: Kind.PURPOSE,
}

ENTITY_KINDS: tuple[Kind, ...] = tuple(_SPECS)
"""The kinds a snapshot holds, in the order of dependence."""


def kind_of(entity: Entity) -> Kind:
    return _KINDS[type(entity)]


def key_of(entity: Entity) -> Key:
    return _SPECS[kind_of(entity)].key(entity)


def put(entity: Entity) -> Change:
    """The change that makes `entity` the current value of its key."""
    return Change(kind_of(entity), key_of(entity), entity)


def remove(entity: Entity) -> Change:
    return Change(kind_of(entity), key_of(entity))


_Index = PersistentMap[Hashable, dict[Key, V]]


class Table(Generic[V]):
    """Immutable rows of one kind, by key and by index."""

    __slots__ = ("_indexes", "_rows", "_spec")

    def __init__(self, spec: _Spec, rows: PersistentMap[Key, V], indexes: dict[str, _Index[V]]) -> None:
        self._spec = spec
        self._rows = rows
        self._indexes = indexes

    @classmethod
    def empty(cls, kind: Kind) -> "Table[V]":
        spec = _SPECS[kind]
        return cls(spec, PersistentMap(), {name: PersistentMap() for name in spec.indexes})

    @classmethod
    def of(cls, kind: Kind, rows: Iterable[V]) -> "Table[V]":
        """The table of these rows; much faster than to change an empty one. The last row of a key counts."""
        spec = _SPECS[kind]
        by_key = {spec.key(row): row for row in rows}
        indexes: dict[str, _Index[V]] = {}
        for name, values in spec.indexes.items():
            index: dict[Hashable, dict[Key, V]] = {}
            for key, row in by_key.items():
                for value in values(row):
                    index.setdefault(value, {})[key] = row
            indexes[name] = PersistentMap.of(index)
        return cls(spec, PersistentMap.of(by_key), indexes)

    def get(self, *key: str) -> V | None:
        return self._rows.get(key)

    def by(self, index: str, value: Hashable) -> Collection[V]:
        """The rows found under `value` in the index of that name, in no particular order."""
        found = self._indexes[index].get(value)
        return found.values() if found else ()

    def one_by(self, index: str, value: Hashable) -> V | None:
        """The row found under `value` in an index whose values are unique."""
        return next(iter(self.by(index, value)), None)

    def changed(self, changes: Iterable[tuple[Key, V | None]]) -> "Table[V]":
        """The table after the changes, applied in their order."""
        rows = self._rows.edit()
        indexes = {name: index.edit() for name, index in self._indexes.items()}
        own: set[tuple[str, Hashable]] = set()  # entries this call has copied already

        def entry(name: str, value: Hashable) -> dict[Key, V]:
            found = indexes[name].get(value)
            if found is None or (name, value) not in own:
                own.add((name, value))
                found = dict(found or ())
                indexes[name].set(value, found)
            return found

        for key, new in changes:
            old = rows.pop(key)
            for name, values in self._spec.indexes.items():
                for value in () if old is None else values(old):
                    entry(name, value).pop(key, None)
                for value in () if new is None else values(new):
                    entry(name, value)[key] = new  # type: ignore[assignment]
            if new is not None:
                rows.set(key, new)
        for name, value in own:
            if not indexes[name].get(value):
                indexes[name].pop(value)
        return Table(self._spec, rows.done(), {name: index.done() for name, index in indexes.items()})

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[V]:
        return self._rows.values()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and self._rows == other._rows and self._indexes == other._indexes

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{self._spec.field}: {len(self._rows)}>"


def difference(before: "Snapshot", after: "Snapshot") -> tuple[Change, ...]:
    """The changes that lead from one snapshot to the other."""
    changes: list[Change] = []
    for kind in ENTITY_KINDS:
        old, new = ({key_of(row): row for row in snapshot.table(kind)} for snapshot in (before, after))
        changes += [Change(kind, key) for key in old if key not in new]
        changes += [Change(kind, key, row) for key, row in new.items() if old.get(key) != row]
    return tuple(changes)


def _table(kind: Kind) -> Any:
    return field(default_factory=lambda: Table.empty(kind))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of all permissions and plants as of one revision of the store."""

    revision: int = 0
    organizations: Table[Organization] = _table(Kind.ORGANIZATION)
    people: Table[Person] = _table(Kind.PERSON)
    memberships: Table[Membership] = _table(Kind.MEMBERSHIP)
    plants: Table[Plant] = _table(Kind.PLANT)
    subnets: Table[Subnet] = _table(Kind.SUBNET)
    devices: Table[Device] = _table(Kind.DEVICE)
    targets: Table[WebTarget] = _table(Kind.TARGET)
    cooperations: Table[Cooperation] = _table(Kind.COOPERATION)
    grants: Table[Grant] = _table(Kind.GRANT)
    services: Table[VpnService] = _table(Kind.SERVICE)
    profiles: Table[Profile] = _table(Kind.PROFILE)
    preferences: Table[RoutePreference] = _table(Kind.PREFERENCE)
    aliases: Table[Alias] = _table(Kind.ALIAS)
    agents: Table[Agent] = _table(Kind.AGENT)
    holds: Table[Hold] = _table(Kind.HOLD)
    connection_policies: Table[ConnectionPolicy] = _table(Kind.CONNECTION_POLICY)
    purposes: Table[Purpose] = _table(Kind.PURPOSE)

    @classmethod
    def of(cls, entities: Iterable[Entity], revision: int = 0) -> "Snapshot":
        by_kind: dict[Kind, list[Entity]] = {}
        for entity in entities:
            by_kind.setdefault(kind_of(entity), []).append(entity)
        tables: dict[str, Any] = {_SPECS[kind].field: Table.of(kind, rows) for kind, rows in by_kind.items()}
        return cls(revision, **tables)

    def apply(self, changes: Iterable[Change], revision: int | None = None) -> "Snapshot":
        """The snapshot after the changes, applied in their order; of `revision`, or the same one."""
        by_kind: dict[Kind, list[tuple[Key, Any]]] = {}
        for change in changes:
            if change.kind in _SPECS:
                by_kind.setdefault(change.kind, []).append((change.key, change.value))
        tables = {_SPECS[kind].field: self.table(kind).changed(rows) for kind, rows in by_kind.items()}
        return replace(self, revision=self.revision if revision is None else revision, **tables)

    def table(self, kind: Kind) -> Table[Any]:
        return cast(Table[Any], getattr(self, _SPECS[kind].field))

    def entities(self) -> Iterator[Entity]:
        """All rows, each after the rows it refers to."""
        for kind in ENTITY_KINDS:
            yield from self.table(kind)

    # People

    def person_by_email(self, email: str) -> Person | None:
        return self.people.one_by("email", email)

    def memberships_of(self, person: PersonId) -> Collection[Membership]:
        return self.memberships.by("person", person)

    def members_of(self, organization: OrganizationId) -> Collection[Membership]:
        return self.memberships.by("organization", organization)

    def responsible_in(self, organization: OrganizationId) -> Collection[Membership]:
        """Memberships that give a job on the organization's own plants: by role, or organization-wide."""
        return self.memberships.by("responsible", organization)

    # Plants

    def plants_of(self, organization: OrganizationId) -> Collection[Plant]:
        return self.plants.by("organization", organization)

    def subnets_of(self, plant: PlantId) -> Collection[Subnet]:
        return self.subnets.by("plant", plant)

    def devices_of(self, plant: PlantId) -> Collection[Device]:
        return self.devices.by("plant", plant)

    def targets_of(self, device: DeviceId) -> Collection[WebTarget]:
        return self.targets.by("device", device)

    def target_by_host(self, host: str) -> WebTarget | None:
        return self.targets.one_by("host", host)

    def plant_of_target(self, target: WebTarget) -> Plant | None:
        device = self.devices.get(target.device)
        return self.plants.get(device.plant) if device else None

    def agents_of(self, plant: PlantId) -> Collection[Agent]:
        return self.agents.by("plant", plant)

    def active_agent_of(self, plant: PlantId) -> Agent | None:
        """The plant's active agent; should two claim to be, the higher epoch is."""
        active = [agent for agent in self.agents_of(plant) if agent.active]
        return max(active, key=lambda agent: (agent.epoch, agent.id), default=None)

    # Permissions

    def grants_of(self, person: PersonId) -> Collection[Grant]:
        return self.grants.by("person", person)

    def grants_on(self, plant: PlantId) -> Collection[Grant]:
        return self.grants.by("plant", plant)

    def grants_between(self, person: PersonId, plant: PlantId) -> Collection[Grant]:
        return self.grants.by("person on plant", (person, plant))

    def grants_in(self, cooperation: CooperationId) -> Collection[Grant]:
        return self.grants.by("cooperation", cooperation)

    def cooperations_on(self, plant: PlantId) -> Collection[Cooperation]:
        return self.cooperations.by("plant", plant)

    def cooperations_with(self, partner: OrganizationId) -> Collection[Cooperation]:
        return self.cooperations.by("partner", partner)

    def holds_on(self, plant: PlantId) -> Collection[Hold]:
        return self.holds.by("plant", plant)

    def connection_policy_of(self, organization: OrganizationId) -> ConnectionPolicy:
        return self.connection_policies.get(organization) or ConnectionPolicy(organization)

    def purposes_of(self, person: PersonId) -> Collection[Purpose]:
        return self.purposes.by("person", person)

    def purposes_on(self, plant: PlantId) -> Collection[Purpose]:
        return self.purposes.by("plant", plant)

    # VPN

    def services_of(self, organization: OrganizationId) -> Collection[VpnService]:
        return self.services.by("organization", organization)

    def services_with(self, plant: PlantId) -> Collection[VpnService]:
        return self.services.by("plant", plant)

    def profiles_of(self, person: PersonId) -> Collection[Profile]:
        return self.profiles.by("person", person)

    def profile_by_key(self, public_key: str) -> Profile | None:
        return self.profiles.one_by("public key", public_key)

    def aliases_of(self, person: PersonId) -> Collection[Alias]:
        return self.aliases.by("person", person)

    def preferences_of(self, person: PersonId) -> Collection[RoutePreference]:
        return self.preferences.by("person", person)
