"""The tables, as SQLAlchemy Core. Column names of entity tables are the field names of their value types.

Addresses and networks are text, times are seconds since the epoch; so every engine holds the same, readable values.
Migrations make the tables; a contract test holds both to each other.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)

from ..domain.snapshot import Kind

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _text(name: str, *more: ForeignKey, primary_key: bool = False, unique: bool | None = None) -> Column[str]:
    return Column(name, Text, *more, primary_key=primary_key, nullable=False, unique=unique)


def _id() -> Column[str]:
    return _text("id", primary_key=True)


def _of(name: str, target: str, *, primary_key: bool = False, index: bool = True) -> Column[str]:
    """A reference that the other row cannot disappear from under."""
    return Column(name, Text, ForeignKey(target), primary_key=primary_key, nullable=False, index=index or None)


def _owned(name: str, target: str, *, primary_key: bool = False) -> Column[str]:
    """A reference to the row that this one goes away with."""
    return Column(
        name,
        Text,
        ForeignKey(target, ondelete="CASCADE"),
        primary_key=primary_key,
        nullable=False,
        index=None if primary_key else True,
    )


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


def _moment(name: str, *, nullable: bool = False) -> Column[float]:
    return Column(name, Double, nullable=nullable)


organizations = Table("organizations", metadata, _id(), _text("name"))
people = Table(
    "people",
    metadata,
    _id(),
    _text("email", unique=True),
    _text("name"),
    _flag("totp_active"),
    _flag("cloud_operator"),
)
memberships = Table(
    "memberships",
    metadata,
    _of("person", "people.id", primary_key=True, index=False),
    _of("organization", "organizations.id", primary_key=True),
    _text("role"),
    Column("job", SmallInteger),
)
plants = Table("plants", metadata, _id(), _of("organization", "organizations.id"), _text("name"))
subnets = Table(
    "subnets",
    metadata,
    _id(),
    _of("plant", "plants.id"),
    _text("network"),
    _text("transit", unique=True),
    Column("number", Integer, nullable=False, unique=True),
)
devices = Table("devices", metadata, _id(), _of("plant", "plants.id"), _text("name"), _text("address"))
targets = Table(
    "targets",
    metadata,
    _id(),
    _of("device", "devices.id"),
    _text("host", unique=True),
    _text("scheme"),
    Column("port", Integer, nullable=False),
    _text("base_path"),
    _text("host_mode"),
    _text("certificate_policy"),
    _text("pinned_sha256"),
)
cooperations = Table(
    "cooperations",
    metadata,
    _id(),
    _of("plant", "plants.id"),
    _of("partner", "organizations.id"),
    Column("cap", SmallInteger, nullable=False),
    _flag("accepted"),
    _moment("ends", nullable=True),
    _text("reason"),
)
grants = Table(
    "grants",
    metadata,
    _of("person", "people.id", primary_key=True, index=False),
    _of("plant", "plants.id", primary_key=True),
    _text("cooperation", primary_key=True),  # empty: none
    Column("job", SmallInteger, primary_key=True, autoincrement=False),
    _moment("starts", nullable=True),
    _moment("ends", nullable=True),
    _text("reason"),
)
services = Table("services", metadata, _id(), _of("organization", "organizations.id"), _text("name"), _flag("default"))
service_plants = Table(
    "service_plants",
    metadata,
    _owned("service", "services.id", primary_key=True),
    Column("plant", Text, ForeignKey("plants.id", ondelete="CASCADE"), primary_key=True, index=True),
)
profiles = Table(
    "profiles",
    metadata,
    _id(),
    _of("person", "people.id"),
    _text("name"),
    _text("public_key", unique=True),
    _text("address", unique=True),
    _text("address6", unique=True),
)
preferences = Table(
    "preferences",
    metadata,
    _of("person", "people.id", primary_key=True, index=False),
    _of("subnet", "subnets.id", primary_key=True),
    Column("priority", Integer, nullable=False),
    _flag("disabled"),
)
aliases = Table(
    "aliases",
    metadata,
    _of("person", "people.id", primary_key=True, index=False),
    _of("subnet", "subnets.id", primary_key=True),
    _text("address", primary_key=True),
    _text("prefix"),
)
agents = Table(
    "agents",
    metadata,
    _id(),
    _of("plant", "plants.id"),
    _text("name"),
    Column("identity_key", LargeBinary, nullable=False, unique=True),
    _text("wireguard_key", unique=True),
    _text("transit_address", unique=True),
    _flag("active"),
    Column("epoch", BigInteger, nullable=False),
    _text("boundary"),  # networks, separated by spaces
)

holds = Table(
    "holds",
    metadata,
    _of("plant", "plants.id", primary_key=True, index=False),
    _text("scope", primary_key=True),
    _moment("at"),
    _text("by"),
    _text("reason"),
)
connection_policies = Table(
    "connection_policies",
    metadata,
    _of("organization", "organizations.id", primary_key=True, index=False),
    _flag("purpose_required"),
    Column("longest_purpose", Double, nullable=False),  # seconds
)
purposes = Table(
    "purposes",
    metadata,
    _of("person", "people.id", primary_key=True, index=False),
    _of("plant", "plants.id", primary_key=True),
    _text("text"),
    _moment("starts"),
    _moment("ends"),
)

BY_KIND: dict[Kind, Table] = {
    Kind.ORGANIZATION: organizations,
    Kind.PERSON: people,
    Kind.MEMBERSHIP: memberships,
    Kind.PLANT: plants,
    Kind.SUBNET: subnets,
    Kind.DEVICE: devices,
    Kind.TARGET: targets,
    Kind.COOPERATION: cooperations,
    Kind.GRANT: grants,
    Kind.SERVICE: services,
    Kind.PROFILE: profiles,
    Kind.PREFERENCE: preferences,
    Kind.ALIAS: aliases,
    Kind.AGENT: agents,
    Kind.HOLD: holds,
    Kind.CONNECTION_POLICY: connection_policies,
    Kind.PURPOSE: purposes,
}

# The feed of changes

revision = Table(
    "revision",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),  # always 1
    Column("value", BigInteger, nullable=False),
)
changes = Table(
    "changes",
    metadata,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    _text("kind"),
    _text("key"),  # parts joined by '/'
    _flag("gone"),
    _text("actor"),
    _moment("at"),
)

# Beside the snapshot

settings = Table("settings", metadata, _text("name", primary_key=True), _text("value"))
counters = Table("counters", metadata, _text("name", primary_key=True), Column("value", BigInteger, nullable=False))
credentials = Table(
    "credentials",
    metadata,
    _owned("person", "people.id", primary_key=True),
    Column("password_hash", Text, nullable=False, server_default=text("''")),
    Column("totp_secret", LargeBinary),  # sealed
    Column("totp_last_step", BigInteger, nullable=False, server_default=text("-1")),
)
sessions = Table(
    "sessions",
    metadata,
    _id(),
    _owned("person", "people.id"),
    _moment("created"),
    _moment("last_seen"),
    Column("expires", Double, nullable=False, index=True),
    _moment("two_factor_at", nullable=True),
    _text("host"),
    Column("parent", Text, nullable=False, index=True),
    _moment("proved_at", nullable=True),
    Column("address", Text, nullable=False, server_default=text("''")),
    Column("browser", Text, nullable=False, server_default=text("''")),
)
one_time_codes = Table(
    "one_time_codes",
    metadata,
    _text("hash", primary_key=True),
    _text("purpose"),
    _owned("person", "people.id"),
    Column("expires", Double, nullable=False, index=True),
    _text("host"),
    _text("session"),
    _text("state"),
)
enrolment_codes = Table(
    "enrolment_codes",
    metadata,
    _text("lookup_id", primary_key=True),
    Column("mac_key", LargeBinary, nullable=False),  # sealed
    _owned("plant", "plants.id"),
    _text("name"),
    _moment("created"),
    _moment("expires"),
    _moment("used_at", nullable=True),
    _text("agent"),  # made with it; empty: none
)
kept_answers = Table(
    "kept_answers",
    metadata,
    _owned("person", "people.id", primary_key=True),
    _text("key", primary_key=True),
    _text("fingerprint"),
    Column("body", Text),  # null while the request is under way
    Column("expires", Double, nullable=False, index=True),
)
presences = Table(
    "presences",
    metadata,
    _owned("agent", "agents.id", primary_key=True),
    _moment("last_seen"),
    _text("node"),
    _text("path"),
    _text("version"),
)
plant_events = Table(
    "plant_events",
    metadata,
    _id(),
    Column("plant", Text, nullable=False, index=True),  # no reference: the record outlives the plant
    Column("at", Double, nullable=False, index=True),
    _text("what"),
    _text("person"),  # empty: none
    _text("name"),
    _text("detail"),
)

# Accounts

invitations = Table(
    "invitations",
    metadata,
    _id(),
    _text("hash", unique=True),
    _owned("organization", "organizations.id"),
    _text("email"),
    _text("role"),
    Column("job", SmallInteger),
    _text("inviter"),
    _moment("created"),
    Column("expires", Double, nullable=False, index=True),
)
recovery_codes = Table(
    "recovery_codes",
    metadata,
    _owned("person", "people.id", primary_key=True),
    _text("hash", primary_key=True),
)
api_tokens = Table(
    "api_tokens",
    metadata,
    _id(),
    _text("hash", unique=True),
    _owned("person", "people.id"),
    _text("name"),
    _text("scopes"),  # separated by spaces
    _moment("created"),
    Column("expires", Double, nullable=False, index=True),
    _moment("last_used", nullable=True),
)
account_history = Table(
    "account_history",
    metadata,
    _id(),
    Column("at", Double, nullable=False, index=True),
    _text("actor"),
    _text("event"),
    Column("person", Text, nullable=False, index=True),  # no reference: it outlives the account
    _text("organization"),
    _text("detail"),
    _flag("seen"),
)
