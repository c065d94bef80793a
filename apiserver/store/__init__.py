"""The revision log behind the API server: the only place with state, and the only one with SQL.

`base` is the contract and all that others need besides `open_store`. Below it, from the disk up: `schema` (the table),
`dialects` (what differs between databases), `upgrade` (migrations), `log` (the statements), `ledger` (which writes are
allowed), `writer` (the thread with group commit), `cache` and `broadcast` (reads and watches from memory), `view` (both
together), `compaction`, and the two stores made of them, `sql` and `memory`.
"""

from .base import (
    About,
    Commit,
    Compacted,
    Draft,
    Entry,
    Event,
    EventType,
    KeyExists,
    KeyMissing,
    Listing,
    Put,
    Remove,
    ResourceKey,
    RevisionConflict,
    SchemaMismatch,
    SlowConsumer,
    Store,
    StoreError,
    StoreUnavailable,
    Subscription,
    Write,
    event_line,
)
from .limits import Limits
from .opening import open_store

__all__ = [
    "About",
    "Commit",
    "Compacted",
    "Draft",
    "Entry",
    "Event",
    "EventType",
    "KeyExists",
    "KeyMissing",
    "Limits",
    "Listing",
    "Put",
    "Remove",
    "ResourceKey",
    "RevisionConflict",
    "SchemaMismatch",
    "SlowConsumer",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "Subscription",
    "Write",
    "event_line",
    "open_store",
]
