"""Informers keep copies of collections: one per kind and selection, shared by everyone in a process.

An informer reads a watch's events into its cache and tells its handlers each change. During a list it gathers aside
and then replaces the copy at once, telling only what differs, so that nobody sees half a list. Handlers are plain
functions that must not fail or wait: they put keys into queues.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Self

from miniplane.aio import Clock
from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.client import Apply, Bookmark, Client, Delete, Init, InitApply, InitDone, Selection, WatchEvent, watch
from miniplane.observe import logs
from miniplane.runtime.cache import Cache, IndexBy, Writer

log = logs.get("miniplane.runtime.informer")


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to an object: no `old` means it is new, no `new` that it is gone."""

    old: Object | None
    new: Object | None

    @property
    def states(self) -> Iterable[Object]:
        """The states that there are, the old one first."""
        return [state for state in (self.old, self.new) if state is not None]


Handler = Callable[[Change], None]


class Informer:
    """A copy of one collection and its handlers. Feed it with `take`, or `run` it on a client's watch."""

    def __init__(self, kind: Kind, selection: Selection) -> None:
        self.kind, self.selection = kind, selection
        self._writer = Writer(kind)
        self._handlers: list[Handler] = []
        self._listed: dict[Key, Object] | None = None
        self._synced = asyncio.Event()

    @property
    def cache(self) -> Cache:
        """The copy, to be read."""
        return self._writer.cache

    @property
    def is_synced(self) -> bool:
        """Whether the copy is, or has once been, complete."""
        return self._synced.is_set()

    async def synced(self) -> None:
        """Return when the first list has been taken in."""
        await self._synced.wait()

    def add_index(self, name: str, by: IndexBy) -> None:
        """Let the cache find objects by `by`; the same index again is no error."""
        self._writer.add_index(name, by)

    def subscribe(self, handler: Handler) -> Callable[[], None]:
        """Tell `handler` each change from now on, beginning with what is there as new; gives the way to stop it."""
        self._handlers.append(handler)
        for obj in [*self.cache]:
            handler(Change(None, obj))
        return lambda: self._handlers.remove(handler)

    def take(self, event: WatchEvent) -> None:
        """Take one event of a watch in."""
        match event:
            case Apply(obj):
                self._put(obj)
                self._advance(meta.revision(obj))
            case Delete(obj):
                self._remove(meta.key_of(obj), obj)
                self._advance(meta.revision(obj))
            case Init():
                self._listed = {}
            case InitApply(obj):
                assert self._listed is not None
                self._listed[meta.key_of(obj)] = obj
            case InitDone(revision):
                self._replace(revision)
            case Bookmark(revision):
                self._advance(_number(revision))

    def _advance(self, revision: int) -> None:
        self._writer.reached(max(self.cache.revision, revision))

    def _replace(self, revision: str) -> None:
        listed, self._listed = self._listed or {}, None
        for key in [key for key in self.cache.keys if key not in listed]:
            self._remove(key, None)
        for obj in listed.values():
            self._put(obj)
        self._writer.reached(_number(revision))
        self._synced.set()

    def _put(self, obj: Object) -> None:
        old = self._writer.put(obj)
        if old is not None and meta.metadata(old).get("resourceVersion") == meta.metadata(obj).get("resourceVersion"):
            return
        if old is not None and meta.uid(old) != meta.uid(obj):  # deleted and made again while nobody watched
            self._tell(Change(old, None))
            old = None
        self._tell(Change(old, obj))

    def _remove(self, key: Key, last: Object | None) -> None:
        old = self._writer.remove(key)
        if old is not None:
            self._tell(Change(last or old, None))

    def _tell(self, change: Change) -> None:
        for handler in [*self._handlers]:
            handler(change)

    async def run(self, client: Client, clock: Clock) -> None:
        """Follow the server until cancelled. Raises ApiError where it refuses us."""
        async with aclosing(watch(client, self.kind, self.selection, clock=clock)) as events:
            async for event in events:
                self.take(event)


def _number(revision: str) -> int:
    return int(revision) if revision.isascii() and revision.isdigit() else 0


class Informers:
    """The informers of a process: asked for by kind and selection, made once, run until the context is left.

    What is asked for before entering starts at the entrance. A refusal by the server cancels the context's body.
    """

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._informers: dict[tuple[Kind, Selection], Informer] = {}
        self._group: asyncio.TaskGroup | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._group = await self._stack.enter_async_context(asyncio.TaskGroup())
        for informer in self._informers.values():
            self._start(informer)
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._group = None
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        await self._stack.__aexit__(*exception)  # type: ignore[arg-type]  # handed on as it came

    def get(self, kind: Kind, selection: Selection | None = None) -> Informer:
        """The informer of a kind and selection."""
        wanted = (kind, selection or Selection())
        if wanted not in self._informers:
            self._informers[wanted] = Informer(*wanted)
            if self._group is not None:
                self._start(self._informers[wanted])
        return self._informers[wanted]

    def _start(self, informer: Informer) -> None:
        assert self._group is not None
        name = f"informer {informer.kind.plural}"
        self._tasks.append(self._group.create_task(informer.run(self._client, self._clock), name=name))

    async def synced(self) -> None:
        """Return when every informer asked for so far is in sync."""
        for informer in [*self._informers.values()]:
            await informer.synced()
