"""The revision log in SQL: append, load, read back, forget. Synchronous; every function takes a connection.

The same statements serve every dialect. A row is current where no row of its key follows it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, delete, exists, func, insert, or_, select

from .base import Entry, Event, EventType, ResourceKey
from .ledger import Change, Grave
from .schema import ENTRIES

_ROW = ENTRIES.c
_NEXT = ENTRIES.alias("following")
_BEFORE = ENTRIES.alias("before")
_FOLLOWS = and_(
    _NEXT.c.resource == _ROW.resource,
    _NEXT.c.namespace == _ROW.namespace,
    _NEXT.c.name == _ROW.name,
    _NEXT.c.previous == _ROW.revision,
)
_ENTRY = (_ROW.resource, _ROW.namespace, _ROW.name, _ROW.revision, _ROW.created_revision, _ROW.value)
_APPEND = insert(ENTRIES)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a store starts with: the current entries, the deletions still in the log and the newest revision."""

    entries: tuple[Entry, ...]
    graves: tuple[Grave, ...]
    revision: int


def append(connection: Connection, changes: Sequence[Change]) -> None:
    """Add a row for each change, in one statement."""
    connection.execute(_APPEND, [_row(change) for change in changes])


def load(connection: Connection) -> Loaded:
    """Read the present."""
    current = ~exists().where(_FOLLOWS)
    entries = connection.execute(select(*_ENTRY).where(current, ~_ROW.deleted))
    graves = connection.execute(
        select(_ROW.revision, _ROW.resource, _ROW.namespace, _ROW.name)
        .where(current, _ROW.deleted)
        .order_by(_ROW.revision)
    )
    return Loaded(
        tuple(_entry(row) for row in entries),
        tuple(Grave(revision, ResourceKey(*key)) for revision, *key in graves),
        connection.scalar(select(func.max(_ROW.revision))) or 0,
    )


def recent(connection: Connection, after: int) -> Iterator[Event]:
    """The events after a revision that is not compacted, in order."""
    rows = connection.execute(
        select(*_ENTRY, _ROW.created, _ROW.deleted, _BEFORE.c.revision, _BEFORE.c.created_revision, _BEFORE.c.value)
        .outerjoin(_BEFORE, and_(_BEFORE.c.revision == _ROW.previous, ~_ROW.created))
        .where(_ROW.revision > after)
        .order_by(_ROW.revision)
    )
    for *entry, created, deleted, revision, created_revision, value in rows:
        one = _entry(entry)
        previous = None if created else Entry(one.key, revision, created_revision, value)
        happened = EventType.DELETED if deleted else EventType.ADDED if created else EventType.MODIFIED
        yield Event(happened, one, previous)


def list_at(connection: Connection, resource: str, namespace: str, revision: int) -> tuple[Entry, ...]:
    """The entries at a revision that is not compacted, in key order."""
    query = select(*_ENTRY).where(
        _ROW.resource == resource,
        _ROW.revision <= revision,
        ~_ROW.deleted,
        ~exists().where(_FOLLOWS, _NEXT.c.revision <= revision),
    )
    if namespace:
        query = query.where(_ROW.namespace == namespace)
    return tuple(sorted((_entry(row) for row in connection.execute(query)), key=_key))


def forget(connection: Connection, floor: int, after: int, rows: int) -> int:
    """Delete what `floor` has superseded among the next `rows` rows after revision `after`.

    Returns the last revision looked at, `floor` at the end. Going up by revision, no row outlives one that replaced it:
    a kill between two steps can't bring back an older state.
    """
    within = select(_ROW.revision).where(_ROW.revision > after).order_by(_ROW.revision).limit(rows).subquery()
    last = min(connection.scalar(select(func.max(within.c.revision))) or floor, floor)
    superseded = or_(_ROW.deleted, exists().where(_FOLLOWS, _NEXT.c.revision <= floor))
    connection.execute(delete(ENTRIES).where(_ROW.revision > after, _ROW.revision <= last, superseded))
    return last


def _row(change: Change) -> dict[str, Any]:
    entry, happened = change.event.entry, change.event.type
    return {
        "revision": entry.revision,
        "resource": entry.key.resource,
        "namespace": entry.key.namespace,
        "name": entry.key.name,
        "previous": change.previous,
        "created_revision": entry.created_revision,
        "created": happened is EventType.ADDED,
        "deleted": happened is EventType.DELETED,
        "value": entry.value,
    }


def _entry(row: Any) -> Entry:
    resource, namespace, name, revision, created_revision, value = row[:6]
    return Entry(ResourceKey(resource, namespace, name), revision, created_revision, value)


def _key(entry: Entry) -> ResourceKey:
    return entry.key
