"""What may be written: checks expected revisions and hands out new ones. Pure, and the same for every store.

The ledger is ahead of what readers see: it counts staged writes from `stage` on. Where the database then refuses them,
`undo` takes them back.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .base import (
    Commit,
    Draft,
    Entry,
    Event,
    EventType,
    KeyExists,
    KeyMissing,
    Put,
    Remove,
    ResourceKey,
    RevisionConflict,
    Write,
)


class Head(NamedTuple):
    """The newest revision of a key; `entry` is None where that is a deletion."""

    revision: int
    entry: Entry | None


class Grave(NamedTuple):
    """A deletion that the log still holds."""

    revision: int
    key: ResourceKey


@dataclass(frozen=True, slots=True)
class Change:
    """A staged write: the event that it becomes; the revision its key had (0 for none, a deletion's counts); undo."""

    event: Event
    previous: int
    head: Head | None


@dataclass(frozen=True, slots=True)
class Staged:
    """The writes of one commit, accepted."""

    commit: Commit
    changes: tuple[Change, ...]


class Ledger:
    """The newest revision of every key, deletions included until they are compacted."""

    def __init__(self, revision: int = 0) -> None:
        self.revision = revision
        self._heads: dict[ResourceKey, Head] = {}
        self._graves: deque[Grave] = deque()

    def load(self, entry: Entry) -> None:
        """Take a current entry from the log."""
        self._heads[entry.key] = Head(entry.revision, entry)

    def load_grave(self, grave: Grave) -> None:
        """Take a deletion from the log; in ascending order."""
        self._heads[grave.key] = Head(grave.revision, None)
        self._graves.append(grave)

    def stage(self, writes: Sequence[Write]) -> Staged:
        """Accept all writes, each after the one before it, or none.

        Raises KeyExists, KeyMissing, RevisionConflict.
        """
        changes: list[Change] = []
        try:
            for write in writes:
                changes.append(self._change(write))  # noqa: PERF401  # undone below as far as it got
        except (KeyExists, KeyMissing, RevisionConflict):
            self._undo(changes)
            raise
        return Staged(Commit(self.revision, tuple(change.event.entry for change in changes)), tuple(changes))

    def undo(self, staged: Sequence[Staged]) -> None:
        """Take back what was staged last, given in the order of staging."""
        for one in reversed(staged):
            self._undo(one.changes)

    def bury(self, revision: int) -> None:
        """Forget the deletions up to `revision`: the log does not hold them any more."""
        while self._graves and self._graves[0].revision <= revision:
            grave = self._graves.popleft()
            if self._heads[grave.key].revision == grave.revision:
                del self._heads[grave.key]

    def _change(self, write: Write) -> Change:
        head = self._heads.get(write.key)
        current = head.entry if head else None
        _check(write, current)
        event = self._event(write, current, self.revision + 1)
        self.revision += 1
        if isinstance(write, Remove):
            self._heads[write.key] = Head(self.revision, None)
            self._graves.append(Grave(self.revision, write.key))
        else:
            self._heads[write.key] = Head(self.revision, event.entry)
        return Change(event, head.revision if head else 0, head)

    @staticmethod
    def _event(write: Write, current: Entry | None, revision: int) -> Event:
        created = current.created_revision if current else revision
        if isinstance(write, Put):
            entry = write.draft.entry(write.key, revision, created)
            return Event(EventType.MODIFIED if current else EventType.ADDED, entry, current)
        assert current is not None, "checked before"
        draft = write.draft or Draft(current.obj)
        return Event(EventType.DELETED, draft.entry(write.key, revision, created), current)

    def _undo(self, changes: Sequence[Change]) -> None:
        for change in reversed(changes):
            key = change.event.entry.key
            if change.event.type is EventType.DELETED:
                self._graves.pop()
            if change.head is None:
                del self._heads[key]
            else:
                self._heads[key] = change.head
            self.revision -= 1


def _check(write: Write, current: Entry | None) -> None:
    if write.expected == 0 and current is not None:
        raise KeyExists(current)
    if current is None and (write.expected or isinstance(write, Remove)):
        raise KeyMissing(write.key)
    if write.expected is not None and current is not None and write.expected != current.revision:
        raise RevisionConflict(current, write.expected)
