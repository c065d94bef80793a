"""The reading half that every store shares: cache, watches and who waits for a revision.

`publish` is one step of the event loop, so whoever reads and then watches from the revision of what was read misses
nothing and sees nothing twice.
"""

import asyncio
import heapq
from collections.abc import Iterable, Sequence
from itertools import count

from .base import About, Compacted, Entry, Event, Listing, ResourceKey, StoreUnavailable
from .broadcast import Broadcast, Watch
from .cache import Cache
from .limits import Limits

FLOOR = ResourceKey("", "", "compaction")
"""The entry that remembers how far the log is compacted; no API resource has an empty name."""


class View:
    """What readers see: the state as of `revision`."""

    def __init__(
        self, limits: Limits, *, entries: Iterable[Entry] = (), recent: Sequence[Event] = (), revision: int = 0
    ) -> None:
        self._cache = Cache(entries)
        floor = recent[0].entry.revision - 1 if recent else revision
        self._broadcast = Broadcast(revision, floor, limits)
        self._broadcast.publish(recent, revision)
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()
        self._closed = False

    @property
    def revision(self) -> int:
        """The newest revision shown."""
        return self._broadcast.revision

    @property
    def compacted(self) -> int:
        """How far the log is compacted."""
        entry = self._cache.get(FLOOR)
        return int(entry.obj["revision"]) if entry else 0

    def publish(self, events: Sequence[Event], revision: int) -> None:
        """Show the events up to `revision`."""
        for event in events:
            self._cache.apply(event)
        self._broadcast.publish(events, revision)
        while self._waiting and self._waiting[0][0] <= revision:
            _, _, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(None)

    def get(self, key: ResourceKey) -> Entry | None:
        """See `Store.get`."""
        return self._cache.get(key)

    def list(self, resource: str, namespace: str = "") -> Listing:
        """See `Store.list`."""
        return Listing(self._cache.list(resource, namespace), self.revision)

    def count(self, resource: str, namespace: str = "") -> int:
        """See `Store.count`."""
        return self._cache.count(resource, namespace)

    def list_at(self, resource: str, namespace: str, revision: int) -> Listing | None:
        """As `Store.list_at`, from memory; None where only the log can tell. Raises Compacted."""
        self.check(revision)
        current = self._cache.list(resource, namespace)
        entries = self._broadcast.rewind(resource, current, namespace, revision)
        return None if entries is None else Listing(entries, revision)

    def check(self, revision: int) -> None:
        """Whether the log can tell the state at `revision`. Raises Compacted, ValueError for one in the future."""
        if revision < self.compacted:
            raise Compacted(revision, self.compacted)
        self._refuse_future(revision)

    def watch(self, resource: str, namespace: str = "", *, since: int, about: About | None = None) -> Watch:
        """See `Store.watch`."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        self._refuse_future(since)
        return self._broadcast.watch(resource, namespace, since, about)

    async def wait_for(self, revision: int) -> None:
        """See `Store.wait_for`."""
        if revision > self.revision:
            future = asyncio.get_running_loop().create_future()
            place = (revision, next(self._order), future)
            heapq.heappush(self._waiting, place)
            try:
                await future
            finally:
                if future.cancelled() and place in self._waiting:  # what may never come must not be kept for
                    self._waiting.remove(place)
                    heapq.heapify(self._waiting)

    def close(self) -> None:
        """End all watches and waits."""
        self._closed = True
        self._broadcast.close()
        for _, _, future in self._waiting:
            if not future.done():
                future.set_exception(StoreUnavailable("the store is closed"))
        self._waiting.clear()

    def _refuse_future(self, revision: int) -> None:
        if revision > self.revision:
            raise ValueError(f"revision {revision} is in the future: {self.revision} is the newest")
