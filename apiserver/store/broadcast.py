"""Recent events and the watches that read them.

Prior art: a log with consumers that each hold a position, instead of a queue per watcher. Publishing appends to the
window of a resource and wakes the watches that wait; a busy watch costs nothing until it comes back, and then gets all
it has missed as one batch. A fan-out that woke a crowd is followed by a rest, so that a stream of events becomes a few
batches and not a thousand wake-ups for each. Memory does not grow with the number of watches, and a watch is slow
exactly when the window has moved past its position.

Everything here belongs to the event loop's thread.
"""

import asyncio
import time
import weakref
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Self

from .base import About, Compacted, Entry, Event, EventType, Object, ResourceKey, SlowConsumer
from .limits import Limits

_SHORT_S = 0.002
"""Rests that are not worth a timer."""

Topic = str | tuple[str, str]
"""What a watch waits for: events of a namespace ("" for all), or of objects with a value in a field."""


class Window:
    """The recent events of one resource. Positions count events from the beginning and are never reused."""

    def __init__(self, floor: int, limits: Limits) -> None:
        self.floor = floor
        """Every event after this revision is here."""
        self.start = 0
        """The position of the oldest event here."""
        self.events: list[Event] = []
        self.waiting: dict[Topic, set[Watch]] = {}
        """The watches that wait for an event, by topic."""
        self.due: dict[Topic, int] = {}
        """Topics with events that watches have not been woken for, and the position of the first of these."""
        self.readers: dict[str, Callable[[Object], str]] = {}
        """How to read the fields that watches have ever been about: few, for kinds offer few."""
        self._limits = limits
        self._bytes = 0
        self._rest: asyncio.Handle | None = None

    @property
    def end(self) -> int:
        """The position of the next event."""
        return self.start + len(self.events)

    def append(self, events: Sequence[Event]) -> None:
        """Add events and wake who waits for them."""
        position = self.end
        self.events.extend(events)
        cold = len(self.events) - self._limits.warm_events
        for event in self.events[max(cold - len(events), 0) : max(cold, 0)]:
            event.cool()
        self._bytes += sum(len(event.entry.value) for event in events)
        self._trim()
        if self.waiting:
            for topic in self._topics(events):
                if topic in self.waiting:
                    self.due.setdefault(topic, position)
            if self.due and self._rest is None:
                self._wake()

    def _topics(self, events: Sequence[Event]) -> set[Topic]:
        topics: set[Topic] = {"", *(event.entry.key.namespace for event in events)}
        for field, read in self.readers.items():
            for event in events:
                topics.add((field, read(event.entry.obj)))
                if event.previous is not None:
                    topics.add((field, read(event.previous.obj)))
        return topics

    def position(self, revision: int) -> int:
        """The position of the first event after `revision`. Raises Compacted."""
        if revision < self.floor:
            raise Compacted(revision, self.floor)
        return self.start + bisect_right(self.events, revision, key=_revision)

    def close(self) -> None:
        """Plan nothing more."""
        if self._rest is not None:
            self._rest.cancel()

    def _wake(self) -> None:
        """Wake who waits for what is due, then rest for as long as it took them."""
        due, self.due = self.due, {}
        woken, start = 0, time.perf_counter()
        for topic, position in due.items():
            watches = self.waiting.pop(topic, set())
            woken += len(watches)
            for watch in watches:
                watch.wake(position)
        # After whoever was woken by it, and after what they wrote has been handed to the system.
        self._rest = asyncio.get_running_loop().call_soon(self._woken, start, woken)

    def _woken(self, start: float, woken: int) -> None:
        rest = min(max(time.perf_counter() - start, woken * self._limits.wake_s), self._limits.rest_s)
        if rest > _SHORT_S:
            self._rest = asyncio.get_running_loop().call_later(rest, self._rested)
        else:
            self._rested()

    def _rested(self) -> None:
        self._rest = None
        if self.due:
            self._wake()

    def _trim(self) -> None:
        # A quarter above the limit is let stand, so that the list is moved once in that many events.
        drop = 0
        if len(self.events) > self._limits.window_events * 5 // 4:
            drop = len(self.events) - self._limits.window_events
        size = self._bytes - sum(len(event.entry.value) for event in islice(self.events, drop))
        while size > self._limits.window_bytes and drop < len(self.events) - 1:
            size -= len(self.events[drop].entry.value)
            drop += 1
        if drop:
            self.floor = self.events[drop - 1].entry.revision
            self.start += drop
            self._bytes = size
            del self.events[:drop]


class Watch:
    """A `Subscription`: a position in a window."""

    def __init__(
        self, hub: "Broadcast", window: Window, namespace: str, position: int, about: About | None = None
    ) -> None:
        self._hub = hub
        self._window = window
        self._namespace = namespace
        self._about = about
        self._topic: Topic = namespace if about is None else (about.field, about.value)
        self._position = position
        self._callback: Callable[[], None] | None = None
        self._closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Event]:
        """See `Subscription`."""
        while not self._closed:
            if batch := self.take():
                return batch
            await self._wait()
        raise StopAsyncIteration

    @property
    def closed(self) -> bool:
        """See `Subscription`."""
        return self._closed

    @property
    def revision(self) -> int:
        """See `Subscription`."""
        window, position = self._window, self._position
        if self._callback is not None:
            position = max(position, window.due.get(self._topic, window.end))
        if position >= window.end:
            return self._hub.revision
        return window.events[max(position - window.start, 0)].entry.revision - 1

    def take(self) -> Sequence[Event]:
        """See `Subscription`."""
        window, size = self._window, self._hub.limits.watch_batch
        while self._position < window.end and not self._closed:
            low = self._position - window.start
            if low < 0:
                self._closed = True
                raise SlowConsumer(f"the window begins {-low} events after what was read last")
            batch = window.events[low : low + size]
            self._position += len(batch)
            if self._namespace:
                batch = [event for event in batch if event.entry.key.namespace == self._namespace]
            if self._about is not None:
                batch = [event for event in batch if self._about.concerns(event)]
            if batch:
                return batch
        return ()

    def on_ready(self, callback: Callable[[], None]) -> None:
        """See `Subscription`."""
        self._callback = callback
        if self._closed:
            self._release()
        else:
            self._window.waiting.setdefault(self._topic, set()).add(self)

    def close(self) -> None:
        """See `Subscription`."""
        self._closed = True
        self._leave()
        self._release()

    def wake(self, position: int) -> None:
        """Called by the window: an event for this watch stands at `position` or after, unless it has read on since."""
        self._position = max(self._position, position)
        self._release()

    def _release(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()

    def _leave(self) -> None:
        """Wait no more. Still listed: not woken, so what is here and not due was not for this watch."""
        waiting = self._window.waiting.get(self._topic, set())
        if self in waiting:
            waiting.discard(self)
            self._position = max(self._position, self._window.due.get(self._topic, self._window.end))
            if not waiting:
                del self._window.waiting[self._topic]

    async def _wait(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self.on_ready(lambda: None if future.done() else future.set_result(None))
        try:
            await future
        finally:
            self._callback = None
            self._leave()


class Broadcast:
    """The windows of all resources and the running watches."""

    def __init__(self, revision: int, floor: int, limits: Limits) -> None:
        self.revision = revision
        """All events up to here have been published."""
        self.limits = limits
        self._floor = floor
        self._windows: dict[str, Window] = {}
        # Only to end them all at once: a watch that nobody holds any more may go.
        self._watches: weakref.WeakSet[Watch] = weakref.WeakSet()

    def publish(self, events: Iterable[Event], revision: int) -> None:
        """Take the events up to `revision`, in order."""
        self.revision = revision
        groups: dict[str, list[Event]] = {}
        for event in events:
            groups.setdefault(event.entry.key.resource, []).append(event)
        for resource, group in groups.items():
            self._window(resource).append(group)

    def watch(self, resource: str, namespace: str, since: int, about: About | None = None) -> Watch:
        """The events after `since`. Raises Compacted."""
        window = self._window(resource)
        watch = Watch(self, window, namespace, window.position(since), about)
        if about is not None:
            window.readers.setdefault(about.field, about.read)
        self._watches.add(watch)
        return watch

    def rewind(self, resource: str, current: Sequence[Entry], namespace: str, revision: int) -> list[Entry] | None:
        """What `current` was at `revision`, by undoing events; None if the window does not reach back so far."""
        window = self._window(resource)
        if revision < window.floor:
            return None
        events = window.events[window.position(revision) - window.start :]
        undone: dict[ResourceKey, Entry | None] = {}
        for event in reversed(events):
            if not namespace or event.entry.key.namespace == namespace:
                undone[event.entry.key] = None if event.type is EventType.ADDED else event.previous
        if not undone:
            return list(current)
        kept = [entry for entry in current if entry.key not in undone]
        kept.extend(entry for entry in undone.values() if entry is not None)
        kept.sort(key=_key)
        return kept

    def close(self) -> None:
        """End all watches."""
        for watch in list(self._watches):
            watch.close()
        for window in self._windows.values():
            window.close()

    def _window(self, resource: str) -> Window:
        window = self._windows.get(resource)
        if window is None:
            window = self._windows[resource] = Window(self._floor, self.limits)
        return window


def _revision(event: Event) -> int:
    return event.entry.revision


def _key(entry: Entry) -> ResourceKey:
    return entry.key
