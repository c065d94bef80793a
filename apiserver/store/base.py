"""The store's contract: one log of revisions, current objects by key, watches without gaps.

Every commit takes the next revisions of one global counter; a revision is the `metadata.resourceVersion` of the object
written with it and is never used twice. Reads answer from memory and, with `watch`, belong to the thread of the event
loop that opened the store; a finished `commit` is on disk and visible to every read.

Upstream counterpart: k8s.io/apiserver `storage.Interface` together with its watch cache.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, Self

import orjson

Object = dict[str, Any]


class ResourceKey(NamedTuple):
    """The full name of an object. `resource` is `group/plural` (`/pods`, `apps/deployments`).

    `namespace` is empty for cluster-scoped resources. Keys sort as (namespace, name) within a resource.
    """

    resource: str
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.resource} {place}"


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One revision of one object. Shared by all readers: never change `obj`.

    `value` is the final JSON, resourceVersion inside: the bytes to serve. `created_revision` is the revision at which
    the object of that name came into being. Entries are compared by identity; `revision` is what tells two apart.
    """

    key: ResourceKey
    revision: int
    created_revision: int
    value: bytes
    _obj: Object | None = field(default=None, repr=False)

    @property
    def obj(self) -> Object:
        """`value`, parsed when first asked for; not at all for what this process wrote a short while ago."""
        obj = self._obj
        if obj is None:
            obj = orjson.loads(self.value)
            object.__setattr__(self, "_obj", obj)
        return obj

    def cool(self) -> None:
        """Forget the parsed object, several times the size of its JSON, of an entry that hardly anybody reads now."""
        object.__setattr__(self, "_obj", None)


class Draft:
    """An object serialised before its revision is known. Raises TypeError for what JSON can't hold.

    A `metadata.resourceVersion` in `obj` is ignored. `obj` is not changed, but its inner values are shared with the
    entry that is made of it, so it must not change after.
    """

    __slots__ = ("_metadata", "_obj", "_prefix", "_suffix")

    def __init__(self, obj: Object) -> None:
        metadata = {key: value for key, value in (obj.get("metadata") or {}).items() if key != "resourceVersion"}
        before: Object = {}
        after: Object = {}
        part = before
        for key, value in obj.items():
            if key == "metadata":
                part = after
            else:
                part[key] = value
        self._obj = {**before, "metadata": metadata, **after}
        self._metadata = metadata
        # The revision's place is known by construction. Searching for a marker would find it in users' strings too.
        self._prefix = _open(before) + b'"metadata":' + _open(metadata) + b'"resourceVersion":"'
        self._suffix = b'"},' + orjson.dumps(after)[1:] if after else b'"}}'

    def __len__(self) -> int:
        """The size of the JSON in bytes, without the digits of the revision."""
        return len(self._prefix) + len(self._suffix)

    def entry(self, key: ResourceKey, revision: int, created_revision: int) -> Entry:
        """The draft as revision `revision`; may be called again with another one."""
        text = str(revision)
        obj = {**self._obj, "metadata": {**self._metadata, "resourceVersion": text}}
        return Entry(key, revision, created_revision, self._prefix + text.encode() + self._suffix, obj)


def _open(members: Object) -> bytes:
    """The JSON of `members`, ready for one more member."""
    return orjson.dumps(members)[:-1] + b"," if members else b"{"


@dataclass(frozen=True, slots=True)
class Put:
    """Create or replace. `expected` is the stored revision: 0 = must not exist, None = whatever is there."""

    key: ResourceKey
    draft: Draft
    expected: int | None


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete. `expected` None = whatever is there, but something.

    The deletion is a revision of its own and carries the object's last state: `draft`, or what is stored if None.
    """

    key: ResourceKey
    expected: int | None
    draft: Draft | None = None


Write = Put | Remove


@dataclass(frozen=True, slots=True)
class Commit:
    """What a commit did: an entry for each write, in their order; `revision` is the last of them.

    A Remove's entry holds the last state with the deletion's revision.
    """

    revision: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """Entries in key order as of `revision`."""

    entries: Sequence[Entry]
    revision: int

    def json_items(self) -> bytes:
        """The entries' JSON with commas between: the inside of a list's `items`, copied and not serialised again."""
        return b",".join([entry.value for entry in self.entries])


class EventType(StrEnum):
    """What happened to a key, in a watch's words."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One change. A deletion's `entry` is the last state with the deletion's revision; `previous` of ADDED is None."""

    type: EventType
    entry: Entry
    previous: Entry | None
    _line: bytes | None = field(default=None, repr=False)

    @property
    def line(self) -> bytes:
        """The event as a watch sends it, `{"type":…,"object":…}` and a newline; made once for all watchers."""
        line = self._line
        if line is None:
            line = event_line(self.type, self.entry.value)
            object.__setattr__(self, "_line", line)
        return line

    def cool(self) -> None:
        """Forget what can be made again, of an event that most watches have seen."""
        object.__setattr__(self, "_line", None)
        if self.previous is not None:
            self.previous.cool()
        if self.type is EventType.DELETED:
            self.entry.cool()


class About(NamedTuple):
    """What a watch is about, if not a whole collection: objects with `value` in a field, whose text `read` gives."""

    field: str
    value: str
    read: Callable[[Object], str]

    def concerns(self, event: Event) -> bool:
        """Whether the object has, or had before, the value."""
        read, previous = self.read, event.previous
        return read(event.entry.obj) == self.value or (previous is not None and read(previous.obj) == self.value)


def event_line(event_type: str, value: bytes) -> bytes:
    """The line of a watch for JSON that stands on its own: selectors that turn one type into another, bookmarks."""
    return b'{"type":"%b","object":%b}\n' % (event_type.encode(), value)


class Subscription(Protocol):
    """A running watch: an async iterator of batches, each a non-empty sequence of events in revision order.

    No event is missing and none comes twice. There is no queue per watcher: it reads the window of recent events that
    all share, and is closed with `SlowConsumer` when it falls behind that. One task at a time may iterate.
    """

    def __aiter__(self) -> Self:
        """Itself."""

    async def __anext__(self) -> Sequence[Event]:
        """What has happened since the last batch, waiting if nothing has. Safe to cancel: no event is lost.

        Raises SlowConsumer, or StopAsyncIteration after `close` and when the store closes.
        """

    def take(self) -> Sequence[Event]:
        """The next batch without waiting, empty if there is none: for who serves a crowd without a task for each.

        Raises SlowConsumer.
        """

    def on_ready(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, as soon as there is something that `take` did not give, or the watch is closed.

        Not together with iterating. The callback must not raise.
        """

    @property
    def closed(self) -> bool:
        """Whether the watch has ended."""

    @property
    def revision(self) -> int:
        """All events up to this revision have been handed out: what a bookmark may promise."""

    def close(self) -> None:
        """End the watch; a waiting `__anext__` stops. Idempotent."""


class Store(Protocol):
    """The one place where state lives. Opened by `open_store`."""

    @property
    def revision(self) -> int:
        """The newest revision that reads show; 0 in an empty store. Never goes back, also over restarts."""

    @property
    def compacted(self) -> int:
        """`list_at` answers from this revision on."""

    async def failed(self) -> None:
        """Return if the store can write no more, though nobody has closed it: only a new process helps then."""

    async def commit(self, writes: Sequence[Write]) -> Commit:
        """Make the writes durable, all or none, with consecutive revisions; later writes see the earlier ones.

        Commits are ordered as they were called. A cancelled call may have been committed all the same.
        Raises KeyExists, KeyMissing, RevisionConflict, StoreUnavailable (the disk refused, or the store is closed).
        """

    def get(self, key: ResourceKey) -> Entry | None:
        """The current entry."""

    def list(self, resource: str, namespace: str = "") -> Listing:
        """The current entries of a resource, of all namespaces if `namespace` is empty."""

    def count(self, resource: str, namespace: str = "") -> int:
        """How many entries `list` would give."""

    async def list_at(self, resource: str, namespace: str, revision: int) -> Listing:
        """The entries as they were at `revision`, which must not be newer than `self.revision` (ValueError).

        Raises Compacted.
        """

    def watch(self, resource: str, namespace: str = "", *, since: int, about: About | None = None) -> Subscription:
        """The events after revision `since`, past ones first. Raises Compacted if they are not at hand any more.

        With `about` only those that concern it: a watch is not even woken for others.
        """

    async def wait_for(self, revision: int) -> None:
        """Return once reads show `revision`. Waits for ever if nobody writes: set a time-out."""

    async def compact(self, revision: int) -> None:
        """Forget what was superseded at `revision` or before; it also runs by itself. Takes a revision of its own."""


class StoreError(Exception):
    """What a store can answer instead of a result."""


class KeyExists(StoreError):
    """The key was to be created and is there; `current` is what stands there."""

    def __init__(self, current: Entry) -> None:
        super().__init__(f"{current.key} exists at revision {current.revision}")
        self.key = current.key
        self.current = current


class KeyMissing(StoreError):
    """The key was to be replaced or removed and is not there."""

    def __init__(self, key: ResourceKey) -> None:
        super().__init__(f"{key} does not exist")
        self.key = key


class RevisionConflict(StoreError):
    """The key stands at another revision than expected; `current` is what stands there."""

    def __init__(self, current: Entry, expected: int) -> None:
        super().__init__(f"{current.key} is at revision {current.revision}, not {expected}")
        self.key = current.key
        self.current = current
        self.expected = expected


class Compacted(StoreError):
    """The revision is older than what is kept; `oldest` is the oldest that can be asked for."""

    def __init__(self, revision: int, oldest: int) -> None:
        super().__init__(f"revision {revision} is gone: the oldest kept is {oldest}")
        self.revision = revision
        self.oldest = oldest


class SlowConsumer(StoreError):
    """A watch fell behind the window of recent events and was closed: list again."""


class StoreUnavailable(StoreError):
    """The write was not made: the database refused it or the store is closed."""


class SchemaMismatch(StoreError):
    """The database does not have the tables of this version."""
