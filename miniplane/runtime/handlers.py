"""Handlers of what happens to an object: create, update, field, resume, delete, on top of the level-driven queue.

A handler is called until it succeeds for each state that it has to see. What has been handled is kept in an annotation
of the object, `<name>.miniplane.io/last-handled`, written once all handlers have succeeded; so after a restart nothing
that happened meanwhile is missed and nothing that was done is done again. Between the first handler's success and the
annotation a crash makes handlers run twice: let them be idempotent. States that follow each other faster than handlers
run may be seen as one change. Delete handlers hold the object by a finalizer until they have succeeded.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.client import PatchType
from miniplane.errors import NotFound
from miniplane.runtime.attempt import attempt
from miniplane.runtime.context import Context
from miniplane.runtime.essence import MARKS, Difference, Path, at, differences, essence
from miniplane.runtime.filters import Filter
from miniplane.runtime.reconcile import DONE, Result, TemporaryError


class Reason(StrEnum):
    """Why a handler is called."""

    CREATE = "create"
    UPDATE = "update"
    FIELD = "field"
    RESUME = "resume"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Cause:
    """What a handler is told. For a field handler `old` and `new` are the field's values, else essences."""

    reason: Reason
    obj: Object
    """The object as it is now; shared, so copy before changing."""
    old: Any = None
    new: Any = None
    diff: Sequence[Difference] = ()
    retry: int = 0
    """How often this handler has failed for this change."""


Handle = Callable[[Cause, Context], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Handler:
    """A function and when it is called. After `retries` failures it is given up; None never gives up."""

    reason: Reason
    call: Handle
    only: Filter
    path: Path = ()
    retries: int | None = None

    @property
    def id(self) -> str:
        """Its name in logs and events."""
        return getattr(self.call, "__name__", str(self.call))


@dataclass(slots=True)
class Try:
    """A handler's failures for one change."""

    failures: int = 0
    due_s: float = 0.0


@dataclass(slots=True)
class Memory:
    """What this process knows of one object. Handlers are told apart by their place in the list."""

    uid: str
    seen: dict[int, Object] = field(default_factory=dict)
    """The essence that each handler has succeeded for."""
    resumed: set[int] = field(default_factory=set)
    deleted: set[int] = field(default_factory=set)
    tries: dict[int, Try] = field(default_factory=dict)
    written: int = 0
    """The revision of our last write: older copies are not looked at."""


class Lifecycle:
    """The reconciler of all handlers that one registrar has for one kind."""

    def __init__(self, name: str, kind: Kind) -> None:
        self._kind = kind
        self._handlers: list[Handler] = []
        self._mark, self._finalizer = f"{name}{MARKS}last-handled", f"{name}{MARKS}finalizer"
        self._memories: dict[Key, Memory] = {}

    def add(self, handler: Handler) -> None:
        """One more."""
        self._handlers.append(handler)

    async def reconcile(self, key: Key, ctx: Context) -> Result:
        """Call what has to be called for one object."""
        obj = ctx.cache(self._kind).get(key)
        if obj is None:
            self._memories.pop(key, None)
            return DONE
        memory = self._memory(key, obj)
        if meta.revision(obj) < memory.written:
            return DONE  # the copy is behind what we wrote: its event is on the way
        if meta.is_deleted(obj):
            return await self._deleted(obj, memory, ctx)
        if self._holds(obj) is not (self._finalizer in meta.finalizers(obj)):
            await self._hold(obj, memory, ctx, held=self._holds(obj))
            return DONE
        return await self._changed(obj, memory, ctx)

    def _memory(self, key: Key, obj: Object) -> Memory:
        memory = self._memories.get(key)
        if memory is None or memory.uid != meta.uid(obj):
            memory = self._memories[key] = Memory(meta.uid(obj))
        return memory

    def _holds(self, obj: Object) -> bool:
        return any(item.reason is Reason.DELETE and item.only.takes(obj) for item in self._handlers)

    async def _hold(self, obj: Object, memory: Memory, ctx: Context, *, held: bool) -> None:
        """Set or take away our finalizer."""
        finalizers = [name for name in meta.finalizers(obj) if name != self._finalizer]
        metadata = {
            "finalizers": finalizers + [self._finalizer] * held,
            "resourceVersion": meta.metadata(obj)["resourceVersion"],
        }
        await self._write(obj, {"metadata": metadata}, memory, ctx)

    async def _write(self, obj: Object, body: Object, memory: Memory, ctx: Context) -> None:
        try:
            stored = await ctx.client.patch(self._kind, meta.key_of(obj), body, type=PatchType.MERGE)
        except NotFound:
            return
        if "metadata" in stored:
            memory.written = meta.revision(stored)

    async def _deleted(self, obj: Object, memory: Memory, ctx: Context) -> Result:
        if self._finalizer not in meta.finalizers(obj):
            return DONE
        for index, handler in enumerate(self._handlers):
            if handler.reason is Reason.DELETE and index not in memory.deleted and handler.only.takes(obj):
                cause = Cause(Reason.DELETE, obj, old=essence(obj))
                if await self._call(index, cause, memory, ctx):
                    memory.deleted.add(index)
        self._wait(memory, ctx)
        await self._hold(obj, memory, ctx, held=False)
        return DONE

    async def _changed(self, obj: Object, memory: Memory, ctx: Context) -> Result:
        now, last = essence(obj), self._last(obj)
        for index, handler in enumerate(self._handlers):
            if handler.reason is Reason.DELETE:
                continue
            cause = self._cause(index, obj, memory.seen.get(index, last), memory, last)
            if cause is not None and not await self._call(index, cause, memory, ctx):
                continue
            memory.tries.pop(index, None)
            memory.seen[index] = now
            memory.resumed.add(index)
        self._wait(memory, ctx)
        if last != now:
            text = orjson.dumps(now, option=orjson.OPT_SORT_KEYS).decode()
            await self._write(obj, {"metadata": {"annotations": {self._mark: text}}}, memory, ctx)
        return DONE

    def _last(self, obj: Object) -> Object | None:
        """The essence that was handled last, by this process or one before."""
        text = meta.annotations(obj).get(self._mark)
        if text is None:
            return None
        try:
            read: Object = orjson.loads(text)
        except orjson.JSONDecodeError:
            return None  # somebody wrote into our annotation: begin anew
        return read

    def _cause(self, index: int, obj: Object, base: Object | None, memory: Memory, last: Object | None) -> Cause | None:
        """Why a handler has to be called now; None if it has not."""
        handler, now = self._handlers[index], essence(obj)
        if not handler.only.takes(obj):
            return None
        retry = memory.tries[index].failures if index in memory.tries else 0
        if handler.reason is Reason.RESUME:
            fresh = last is not None and index not in memory.resumed
            return Cause(Reason.RESUME, obj, base, now, retry=retry) if fresh else None
        if handler.reason is Reason.FIELD:
            old, new = at(base or {}, handler.path), at(now, handler.path)
            diff = differences(old, new, handler.path)
            return Cause(Reason.FIELD, obj, old, new, diff, retry) if diff else None
        if base is None:
            return Cause(Reason.CREATE, obj, None, now, retry=retry) if handler.reason is Reason.CREATE else None
        if base == now or handler.reason is not Reason.UPDATE:
            return None
        return Cause(Reason.UPDATE, obj, base, now, differences(base, now), retry)

    async def _call(self, index: int, cause: Cause, memory: Memory, ctx: Context) -> bool:
        """Call one handler; whether it is over, by success or for good."""
        handler, tried = self._handlers[index], memory.tries.setdefault(index, Try())
        if ctx.clock.monotonic() < tried.due_s:
            return False
        failure = await attempt(handler.call(cause, ctx), ctx, handler.id, failures=tried.failures)
        if failure is None:
            memory.tries.pop(index, None)
            return True
        tried.failures += 1
        if failure.after_s is None or (handler.retries is not None and tried.failures > handler.retries):
            message = f"Handler {handler.id} failed for good: {failure.error}"
            ctx.event(cause.obj, "Warning", "HandlerFailed", message)
            return True
        tried.due_s = ctx.clock.monotonic() + failure.after_s
        return False

    @staticmethod
    def _wait(memory: Memory, ctx: Context) -> None:
        """Come back for the handlers that have failed."""
        due = [tried.due_s for tried in memory.tries.values()]
        if due:
            left_s = max(min(due) - ctx.clock.monotonic(), 0.001)
            raise TemporaryError(f"{len(due)} handlers have to be called again", delay=left_s)
