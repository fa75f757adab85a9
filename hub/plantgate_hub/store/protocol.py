"""What the hub asks of its store, whichever engine is behind it. `tests/contract` holds every engine to it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv6Network
from typing import Protocol

from plantgate_shared.errors import PlantgateError

from ..domain.model import AgentId, PersonId, PlantId, TargetId
from ..domain.snapshot import Change, Entity, Key, Kind, Snapshot
from .accounts import AccountChanges, Accounts


class StoreUnavailable(PlantgateError):
    """The store does not answer now; what is known stays known, nothing new can be written."""

    exit_code = 75  # EX_TEMPFAIL
    http_status = 503


@dataclass(frozen=True, slots=True)
class ChangeBatch:
    """All changes up to `revision` since an earlier one: each key once, with its value as of `revision`."""

    revision: int
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """One line of the store's own history: who changed what. Kept for a while, newest last."""

    revision: int
    kind: Kind
    key: str
    gone: bool
    actor: str
    at: float


class PlantEventKind(StrEnum):
    """What owners of a plant can look up later."""

    HOLD_PUT = "access ended"
    HOLD_LIFTED = "access given free"
    PURPOSE_DECLARED = "reason declared"
    PURPOSE_ENDED = "reason ended"
    EXTERNAL_CONNECTED = "external connection"


@dataclass(frozen=True, slots=True)
class PlantEvent:
    """One line of a plant's record. It keeps the name that a person had, and outlives account and plant."""

    plant: PlantId
    at: float
    what: PlantEventKind
    person: str = ""
    """Id; empty for the console."""
    name: str = ""
    detail: str = ""
    """A hold's scope and reason, a purpose's text, how somebody connected."""


class Counter(StrEnum):
    """Numbers that only the store can hand out in turn."""

    SUBNET = "subnet number"
    PROFILE_ADDRESS = "last profile address"
    AGENT_ADDRESS = "last agent address"
    TRANSIT_PREFIX = "end of the last transit prefix"


@dataclass(frozen=True, slots=True)
class EnrolmentCode:
    """A one-time code as the hub knows it: not the code, only what is derived from it."""

    lookup_id: str
    mac_key: bytes = field(repr=False)
    plant: PlantId
    name: str
    """What the gateway will be called."""
    created: float
    expires: float
    used_at: float | None = None
    agent: str = ""
    """The agent that was made with it."""


@dataclass(frozen=True, slots=True)
class PasswordRecord:
    person: PersonId
    password_hash: str = field(repr=False)
    """Encoded Argon2id hash; empty for a person who has no password."""


@dataclass(frozen=True, slots=True)
class TotpRecord:
    secret: str = field(repr=False)
    """Base32, as authenticator apps take it."""
    last_step: int
    """The newest RFC 6238 time step that was used; -1 for none."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A signed-in browser. `id` is the SHA-256 of its token in hex: worthless to whoever reads the database."""

    id: str
    person: PersonId
    created: float
    last_seen: float
    expires: float
    two_factor_at: float | None = None
    host: str = ""
    """The device host it is bound to; empty for the portal."""
    parent: str = ""
    """The portal session it came from, with which it ends."""
    proved_at: float | None = None
    """When the person last gave the password (and code) here."""
    address: str = ""
    """Where the sign-in came from."""
    browser: str = ""
    """What the browser calls itself."""


@dataclass(frozen=True, slots=True)
class OneTimeCode:
    """A secret that works once, by its SHA-256 in hex, and what it is bound to."""

    hash: str
    purpose: str
    person: PersonId
    expires: float
    host: str = ""
    session: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What is known of a request under a key that was used before."""

    fingerprint: str
    """Of the request: another one's answer is none to this."""
    body: str | None
    """None while the request is under way, or when the hub ended within it."""


@dataclass(frozen=True, slots=True)
class Presence:
    """When an agent was last heard of, and where."""

    agent: AgentId
    last_seen: float
    node: str = ""
    path: str = ""
    version: str = ""


class ChangeTransaction(Protocol):
    """One change in the making. Changes are strictly one after the other: `snapshot` is current until it is done."""

    @property
    def snapshot(self) -> Snapshot:
        """The newest state, this transaction's own changes included."""

    @property
    def accounts(self) -> AccountChanges: ...

    def put(self, entity: Entity) -> None: ...

    def remove(self, entity: Entity) -> None: ...

    def changes(self) -> tuple[Change, ...]:
        """What changed so far, each key once."""

    async def counter(self, name: Counter) -> int:
        """The last value set; 0 at first."""

    async def set_counter(self, name: Counter, value: int) -> None: ...

    async def set_password_hash(self, person: PersonId, password_hash: str) -> None: ...

    async def set_totp(self, person: PersonId, secret: str, last_step: int = -1) -> None:
        """An empty secret removes it."""

    async def end_session(self, id: str) -> None:
        """End a session and its children; nodes hear of it like of any change."""

    async def end_sessions(self, person: PersonId) -> None:
        """End all sessions and one-time codes of the person. Nodes hear of it as a session change with the key
        ("person", id), whether or not there were sessions in the store."""

    async def record(self, event: PlantEvent) -> None:
        """Put it on the plant's record, together with the change."""

    async def add_enrolment_code(self, code: EnrolmentCode) -> None: ...

    async def enrolment_code(self, lookup_id: str) -> EnrolmentCode | None: ...

    async def open_enrolment_codes(self, plant: PlantId, now: float) -> tuple[EnrolmentCode, ...]:
        """The plant's codes that can still be used, oldest first."""

    async def remove_enrolment_code(self, lookup_id: str) -> None:
        """It opens nothing from then on; no error if there is none."""

    async def use_enrolment_code(self, lookup_id: str, agent: AgentId, now: float) -> EnrolmentCode | None:
        """Mark the code as used for `agent`; None when it does not exist, was used, or has expired. One of two users
        wins."""


class Credentials(Protocol):
    async def password_of(self, email: str) -> PasswordRecord | None: ...

    async def replace_password_hash(self, person: PersonId, password_hash: str, *, instead_of: str) -> None:
        """The same password under newer parameters; nothing when the password was set anew meanwhile."""

    async def active_totp(self, person: PersonId) -> TotpRecord | None: ...

    async def activate_totp(self, person: PersonId, secret: str, step: int) -> bool:
        """Store a confirmed secret whose code of `step` was just used; false when one is active already."""

    async def replace_totp(self, person: PersonId, secret: str, step: int) -> bool:
        """The same in place of an active one, which is worth nothing from then on; false when none is active."""

    async def use_totp_step(self, person: PersonId, step: int) -> bool:
        """Remember `step` as used, atomically; false when it or a later one was used before."""


class Sessions(Protocol):
    async def add(self, session: SessionRecord) -> None: ...

    async def find(self, id: str, now: float) -> SessionRecord | None:
        """The session unless it has expired."""

    async def touch(self, id: str, last_seen: float) -> bool:
        """Move `last_seen` forward; false when there is no such session."""

    async def pass_two_factor(self, id: str, at: float) -> bool: ...

    async def prove(self, id: str, at: float) -> bool:
        """The person proved anew to be who signed in; false when there is no such session."""

    async def end(self, id: str) -> None:
        """End it and its children; nodes hear of it like of any change."""

    async def of_person(self, person: PersonId, now: float) -> tuple[SessionRecord, ...]: ...

    async def sweep(self, now: float) -> int:
        """Delete what has expired; how many."""


class OneTimeCodes(Protocol):
    async def add(self, code: OneTimeCode) -> None: ...

    async def consume(self, hash: str, now: float) -> OneTimeCode | None:
        """Take the code out; None when there is none or it has expired. Of two that ask at once one gets it.
        Whoever asks for the wrong host or purpose has used it up as well."""

    async def sweep(self, now: float) -> int: ...


class PlantEvents(Protocol):
    async def add(self, event: PlantEvent) -> None: ...

    async def of_plant(self, plant: PlantId, limit: int = 100) -> tuple[PlantEvent, ...]:
        """The newest `limit`, newest last."""

    async def sweep(self, before: float) -> int:
        """Delete what happened before; how many."""


class Answers(Protocol):
    """Answers that are given once more to whoever sends the same request under the same key."""

    async def begin(
        self, person: PersonId, key: str, fingerprint: str, now: float, expires: float
    ) -> KeptAnswer | None:
        """Take the key for a request that is about to be carried out: None; what is kept when it is taken already."""

    async def finish(self, person: PersonId, key: str, body: str) -> None: ...

    async def forget(self, person: PersonId, key: str) -> None:
        """The request came to nothing: the key is free again."""


class Store(Protocol):
    @property
    def credentials(self) -> Credentials: ...

    @property
    def sessions(self) -> Sessions: ...

    @property
    def codes(self) -> OneTimeCodes: ...

    @property
    def answers(self) -> Answers: ...

    @property
    def plant_events(self) -> PlantEvents: ...

    @property
    def accounts(self) -> Accounts: ...

    @property
    def unreadable(self) -> Mapping[tuple[Kind, Key], str]:
        """Rows that cannot be read, as far as they were met, with the cause. They give nobody anything; where a row's
        absence would open something, its strictest reading is in force."""

    async def revision(self) -> int: ...

    async def load_snapshot(self) -> Snapshot: ...

    async def changes_since(self, revision: int) -> ChangeBatch | None:
        """What happened since; None when that is too long ago, or never was: load the snapshot anew."""

    def change(self, actor: str) -> AbstractAsyncContextManager[ChangeTransaction]:
        """A transaction that bumps the revision if it changed anything; an exception leaves nothing behind.
        `actor` names who does it in the history. Raises Conflict when it breaks what must be unique."""

    async def compare_and_swap(self, actor: str, old: Entity | None, new: Entity) -> bool:
        """Put `new` if the current value of its key is `old`; false (and no change) otherwise."""

    async def history(self, limit: int = 100) -> tuple[ChangeRecord, ...]: ...

    def on_announcement(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` soon after a change, on the event loop; returns what ends it. Announcements can be lost:
        whoever must not miss one asks for the revision as well."""

    async def enrolment_code(self, lookup_id: str) -> EnrolmentCode | None: ...

    async def pin_first(self, target: TargetId, sha256: str) -> str:
        """Pin the certificate unless one is pinned already; returns the pin in force."""

    async def seen(self, presence: Presence) -> None:
        """Remember that an agent was heard of. No change of the snapshot."""

    async def presences(self) -> tuple[Presence, ...]: ...

    async def ipv6_prefix(self) -> IPv6Network:
        """The fleet's own ULA /48, random, made once."""

    async def close(self) -> None: ...
