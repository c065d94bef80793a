"""The store without a disk: the same contract on dictionaries, for tests and for clusters that may vanish."""

import asyncio
from collections.abc import Sequence

from .base import About, Commit, Draft, Entry, Event, EventType, Listing, Put, ResourceKey, StoreUnavailable, Write
from .broadcast import Watch
from .ledger import Ledger
from .limits import Limits
from .view import FLOOR, View


class MemoryStore:
    """A `Store`. Its log is the list of all events since the last compaction."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._ledger = Ledger()
        self._view = View(limits)
        self._log: dict[ResourceKey, list[Event]] = {}
        self._closed = False

    @property
    def revision(self) -> int:
        """See `Store`."""
        return self._view.revision

    @property
    def compacted(self) -> int:
        """See `Store`."""
        return self._view.compacted

    async def close(self) -> None:
        """End watches and take no more writes."""
        self._closed = True
        self._view.close()

    async def failed(self) -> None:
        """See `Store`: it never does."""
        await asyncio.Event().wait()

    async def commit(self, writes: Sequence[Write]) -> Commit:
        """See `Store`."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if len(writes) > self._limits.commit_writes:
            raise ValueError(f"{len(writes)} writes in one commit: at most {self._limits.commit_writes}")
        staged = self._ledger.stage(writes)
        events = [change.event for change in staged.changes]
        for event in events:
            self._log.setdefault(event.entry.key, []).append(event)
        self._view.publish(events, self._ledger.revision)
        await asyncio.sleep(0)  # let watches run between two commits, as a disk would
        return staged.commit

    def get(self, key: ResourceKey) -> Entry | None:
        """See `Store`."""
        return self._view.get(key)

    def list(self, resource: str, namespace: str = "") -> Listing:
        """See `Store`."""
        return self._view.list(resource, namespace)

    def count(self, resource: str, namespace: str = "") -> int:
        """See `Store`."""
        return self._view.count(resource, namespace)

    async def list_at(self, resource: str, namespace: str, revision: int) -> Listing:
        """See `Store`."""
        self._view.check(revision)
        found = []
        for key, events in self._log.items():
            if key.resource == resource and namespace in ("", key.namespace):
                state = next((event for event in reversed(events) if event.entry.revision <= revision), None)
                if state is not None and state.type is not EventType.DELETED:
                    found.append(state.entry)
        return Listing(sorted(found, key=_key), revision)

    def watch(self, resource: str, namespace: str = "", *, since: int, about: About | None = None) -> Watch:
        """See `Store`."""
        return self._view.watch(resource, namespace, since=since, about=about)

    async def wait_for(self, revision: int) -> None:
        """See `Store`."""
        await self._view.wait_for(revision)

    async def compact(self, revision: int) -> None:
        """See `Store`."""
        if revision > self.revision:
            raise ValueError(f"revision {revision} is in the future: {self.revision} is the newest")
        if revision <= self.compacted:
            return
        await self.commit([Put(FLOOR, Draft({"revision": revision}), None)])
        for key, events in list(self._log.items()):
            kept = [event for event in events if event.entry.revision > revision]
            last = next((event for event in reversed(events) if event.entry.revision <= revision), None)
            if last is not None and last.type is not EventType.DELETED:
                kept.insert(0, last)
            if kept:
                self._log[key] = kept
            else:
                del self._log[key]
        self._ledger.bury(revision)


def _key(entry: Entry) -> ResourceKey:
    return entry.key
