"""What runs for each object as long as it is there: timers and daemons; and a stream of everything that happens."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from miniplane import aio
from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.observe import logs
from miniplane.runtime.attempt import attempt
from miniplane.runtime.context import Context, NotSynced
from miniplane.runtime.filters import Filter
from miniplane.runtime.informer import Change
from miniplane.runtime.reconcile import DONE, Result, TemporaryError, Terminal, again

STOP_S = 10.0
"""How long a daemon that is cancelled may take to end before its object is let go."""


@dataclass(slots=True)
class Subject:
    """The object that a daemon runs for, always as it is now; shared, so copy before changing."""

    obj: Object

    @property
    def key(self) -> Key:
        """Its key."""
        return meta.key_of(self.obj)


Tick = Callable[[Object, Context], Awaitable[None]]
Daemon = Callable[[Subject, Context], Awaitable[None]]
Watcher = Callable[[str, Object, Context], Awaitable[None]]
"""Is told ADDED, MODIFIED or DELETED and the object."""


def wanted(obj: Object | None, only: Filter) -> bool:
    """Whether something may run for an object."""
    return obj is not None and not meta.is_deleted(obj) and only.takes(obj)


class ObjectTimer:
    """Calls a function for each object at intervals; an error delays it, `PermanentError` ends it for that object."""

    def __init__(self, kind: Kind, call: Tick, only: Filter, seconds: float, initial_s: float) -> None:
        self._kind, self._call, self._only = kind, call, only
        self._seconds, self._initial_s = seconds, initial_s
        self._due: dict[str, float | None] = {}
        self._uids: dict[Key, str] = {}

    async def reconcile(self, key: Key, ctx: Context) -> Result:
        """Tick if it is time."""
        obj = ctx.cache(self._kind).get(key)
        if obj is None or not wanted(obj, self._only):
            self._due.pop(self._uids.pop(key, ""), None)
            return DONE
        uid, now = meta.uid(obj), ctx.clock.monotonic()
        if self._uids.get(key) != uid:
            self._due.pop(self._uids.get(key, ""), None)
            self._uids[key], self._due[uid] = uid, now + self._initial_s
        due = self._due[uid]
        if due is None:
            return DONE
        if now < due:
            return again(due - now)
        pause_s = self._seconds
        try:
            await self._call(obj, ctx)
        except Terminal:
            self._due[uid] = None
            raise
        except TemporaryError as error:
            pause_s = self._seconds if error.delay is None else error.delay
        self._due[uid] = ctx.clock.monotonic() + pause_s
        return again(pause_s)


@dataclass(slots=True)
class _Running:
    subject: Subject
    task: asyncio.Task[None]


class Daemons:
    """Runs a coroutine for each object until the object goes, is being deleted or is wanted no more."""

    def __init__(self, kind: Kind, call: Daemon, only: Filter) -> None:
        self._kind, self._call, self._only = kind, call, only
        self._running: dict[Key, _Running] = {}

    async def reconcile(self, key: Key, ctx: Context) -> Result:
        """Start, or stop, what one object needs."""
        obj, running = ctx.cache(self._kind).get(key), self._running.get(key)
        is_wanted = wanted(obj, self._only)
        if running and (not is_wanted or obj is None or meta.uid(running.subject.obj) != meta.uid(obj)):
            await self._stop(key, running, ctx)
            running = None
        if obj is None or not is_wanted:
            return DONE
        if running:
            running.subject.obj = obj
            return DONE
        subject = Subject(obj)
        task = asyncio.create_task(self._supervise(subject, ctx), name=f"daemon of {key}")
        self._running[key] = _Running(subject, task)
        return DONE

    async def _stop(self, key: Key, running: _Running, ctx: Context) -> None:
        del self._running[key]
        running.task.cancel()
        if not await aio.done_within(ctx.clock, STOP_S, running.task):
            ctx.log.warning("daemon does not stop", daemon=_name(self._call), object=str(key))

    async def _supervise(self, subject: Subject, ctx: Context) -> None:
        """Run until it returns or gives up; what it raises starts it again after a pause."""
        failures = 0
        with logs.bind(daemon=_name(self._call), object=str(subject.key)):
            while True:
                try:
                    failure = await attempt(self._call(subject, ctx), ctx, _name(self._call), failures=failures)
                except NotSynced as error:
                    await error.informer.synced()
                    continue
                if failure is None or failure.after_s is None:
                    return
                failures += 1
                await ctx.clock.sleep(failure.after_s)

    async def serve(self, _ctx: Context) -> None:
        """Until cancelled; then all daemons end."""
        try:
            await asyncio.Event().wait()
        finally:
            tasks = [running.task for running in self._running.values()]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)


@dataclass(slots=True)
class EventStream:
    """Tells a function each event of a kind, one after the other; an error is logged and the next comes."""

    kind: Kind
    call: Watcher
    only: Filter
    waiting: asyncio.Queue[tuple[str, Object]] = field(default_factory=asyncio.Queue)

    def _take(self, change: Change) -> None:
        obj = change.new or change.old
        assert obj is not None
        if self.only.takes(obj):
            word = "DELETED" if change.new is None else "ADDED" if change.old is None else "MODIFIED"
            self.waiting.put_nowait((word, obj))

    async def serve(self, ctx: Context) -> None:
        """Until cancelled."""
        unsubscribe = ctx.informers.get(self.kind).subscribe(self._take)
        try:
            while True:
                word, obj = await self.waiting.get()
                with logs.bind(handler=_name(self.call), event=word, object=str(meta.key_of(obj))):
                    try:
                        await attempt(self.call(word, obj, ctx), ctx, _name(self.call))
                    except NotSynced as error:
                        await error.informer.synced()
                        await attempt(self.call(word, obj, ctx), ctx, _name(self.call))
        finally:
            unsubscribe()


def _name(call: object) -> str:
    return getattr(call, "__name__", str(call))
