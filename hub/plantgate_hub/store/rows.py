"""Value types to rows and back, derived from the types of their fields."""

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum, StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Any

from sqlalchemy import Table

from ..domain.model import (
    Agent,
    Alias,
    ConnectionPolicy,
    Cooperation,
    Device,
    Grant,
    Hold,
    HoldScope,
    Membership,
    Organization,
    OrganizationId,
    Person,
    PersonId,
    Plant,
    PlantId,
    Profile,
    Purpose,
    RoutePreference,
    Subnet,
    SubnetId,
    VpnService,
    WebTarget,
)
from ..domain.snapshot import Entity, Key, Kind
from . import tables

_TYPES: dict[Kind, type] = {
    Kind.ORGANIZATION: Organization,
    Kind.PERSON: Person,
    Kind.MEMBERSHIP: Membership,
    Kind.PLANT: Plant,
    Kind.SUBNET: Subnet,
    Kind.DEVICE: Device,
    Kind.TARGET: WebTarget,
    Kind.COOPERATION: Cooperation,
    Kind.GRANT: Grant,
    Kind.SERVICE: VpnService,
    Kind.PROFILE: Profile,
    Kind.PREFERENCE: RoutePreference,
    Kind.ALIAS: Alias,
    Kind.AGENT: Agent,
    Kind.HOLD: Hold,
    Kind.CONNECTION_POLICY: ConnectionPolicy,
    Kind.PURPOSE: Purpose,
}
_Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Codec:
    """How one kind of entity is written and read."""

    kind: Kind
    table: Table
    names: tuple[str, ...]
    writers: tuple[_Convert, ...]
    readers: tuple[tuple[int, _Convert], ...]
    """Only the columns that need converting, by position."""
    types: tuple[tuple[type, ...], ...]
    """What a column may hold. SQLite takes any value in any column."""

    def encode(self, entity: Entity) -> dict[str, Any]:
        return {name: write(getattr(entity, name)) for name, write in zip(self.names, self.writers, strict=True)}

    def decode(self, row: Sequence[Any], plants: frozenset[Any] | None = None) -> Entity:
        """The entity of a row of `columns()`; `plants` are those of a VPN service. Raises ValueError for a row that a
        hand, or another release, wrote so that it cannot be read."""
        values = list(row)
        for name, value, types_ in zip(self.names, values, self.types, strict=True):
            if not isinstance(value, types_):
                raise ValueError(f"{name} is {type(value).__name__}")
        for position, read in self.readers:
            values[position] = read(values[position])
        named = dict(zip(self.names, values, strict=True))
        if plants is not None:
            named["plants"] = plants
        entity = typing.cast(Entity, _TYPES[self.kind](**named))
        if isinstance(entity, Subnet) and entity.network.prefixlen != entity.transit.prefixlen:
            raise ValueError("the transit prefix is not as long as the network")
        return entity

    def key_of_row(self, row: Sequence[Any]) -> Key:
        """The key of a row, also of one that cannot be read."""
        named = dict(zip(self.names, row, strict=True))
        return tuple(str(named[column.name]) for column in self.table.primary_key.columns)

    def columns(self) -> list[Any]:
        return [self.table.c[name] for name in self.names]

    def key_values(self, key: Key) -> tuple[Any, ...]:
        """The primary key's values as the columns hold them."""
        columns = self.table.primary_key.columns
        return tuple(column.type.python_type(part) for column, part in zip(columns, key, strict=True))


def _same(value: Any) -> Any:
    return value


def _converters(kind: Kind, name: str, hint: Any) -> tuple[_Convert, _Convert]:
    """(write, read) of a field by its type."""
    members = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    plain = next(member for member in members if member is not type(None))
    plain = getattr(plain, "__supertype__", plain)  # NewType
    optional = len(members) > 1
    if (kind, name) == (Kind.GRANT, "cooperation"):
        return (lambda v: v or ""), (lambda v: v or None)
    if typing.get_origin(plain) is tuple:
        return (lambda v: " ".join(map(str, v))), (lambda v: tuple(IPv4Network(part) for part in v.split()))
    if plain in (IPv4Address, IPv4Network, IPv6Address):
        return str, plain
    if isinstance(plain, type) and issubclass(plain, IntEnum | StrEnum):
        base = int if issubclass(plain, IntEnum) else str
        if optional:
            return (lambda v: None if v is None else base(v)), (lambda v: None if v is None else plain(v))
        return base, plain
    return _same, bytes if plain is bytes else _same


STRICTEST: dict[Kind, Callable[[Key], Entity]] = {
    Kind.HOLD: lambda key: Hold(PlantId(key[0]), HoldScope.EVERYONE, 0.0, "hub", "a hold that cannot be read"),
    Kind.CONNECTION_POLICY: lambda key: ConnectionPolicy(OrganizationId(key[0]), purpose_required=True),
    Kind.PREFERENCE: lambda key: RoutePreference(PersonId(key[0]), SubnetId(key[1]), disabled=True),
}
"""What stands for an unreadable row whose absence would open something. All other rows only ever give: without them
nobody has more."""


def _held_types(kind: Kind, name: str, hint: Any) -> tuple[type, ...]:
    """What the column of a field may hold, as the engines return it."""
    members = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    plain = next(member for member in members if member is not type(None))
    plain = getattr(plain, "__supertype__", plain)  # NewType
    optional = (type(None),) if len(members) > 1 and (kind, name) != (Kind.GRANT, "cooperation") else ()
    if not isinstance(plain, type) or plain in (IPv4Address, IPv4Network, IPv6Address) or issubclass(plain, StrEnum):
        return (str, *optional)
    if plain is float:
        return (float, int, *optional)
    if plain is bytes:
        return (bytes, memoryview, *optional)
    return (int if issubclass(plain, IntEnum) else plain, *optional)


def _codec(kind: Kind) -> Codec:
    value_type = _TYPES[kind]
    hints: Mapping[str, Any] = typing.get_type_hints(value_type)
    names = tuple(field.name for field in fields(value_type) if (kind, field.name) != (Kind.SERVICE, "plants"))
    pairs = [_converters(kind, name, hints[name]) for name in names]
    return Codec(
        kind,
        tables.BY_KIND[kind],
        names,
        tuple(write for write, _ in pairs),
        tuple((position, read) for position, (_, read) in enumerate(pairs) if read is not _same),
        tuple(_held_types(kind, name, hints[name]) for name in names),
    )


CODECS: dict[Kind, Codec] = {kind: _codec(kind) for kind in _TYPES}
