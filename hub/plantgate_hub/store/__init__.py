"""Where people, plants and permissions are kept: one protocol, two engines behind it, and a feed of changes."""

from .feed import SnapshotFeed, Subscription, Update
from .protocol import (
    ChangeBatch,
    ChangeRecord,
    ChangeTransaction,
    Counter,
    EnrolmentCode,
    KeptAnswer,
    OneTimeCode,
    PasswordRecord,
    PlantEvent,
    PlantEventKind,
    Presence,
    SessionRecord,
    Store,
    StoreUnavailable,
    TotpRecord,
)
from .sealing import AesSealer, Sealer
from .sql import SqlStore, open_store

__all__ = [
    "AesSealer",
    "ChangeBatch",
    "ChangeRecord",
    "ChangeTransaction",
    "Counter",
    "EnrolmentCode",
    "KeptAnswer",
    "OneTimeCode",
    "PasswordRecord",
    "PlantEvent",
    "PlantEventKind",
    "Presence",
    "Sealer",
    "SessionRecord",
    "SnapshotFeed",
    "SqlStore",
    "Store",
    "StoreUnavailable",
    "Subscription",
    "TotpRecord",
    "Update",
    "open_store",
]
