"""The one writer: a thread that turns waiting commits into one transaction.

Taking what has come in while the last transaction was being made durable is all the batching there is: no timer, so a
lonely write is as fast as the disk and a crowd shares its cost.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from miniplane.observe import logs

from . import dialects, log
from .base import Commit, Event, StoreError, StoreUnavailable, Write
from .ledger import Ledger, Staged

_log = logs.get("apiserver.store")


class Publish(Protocol):
    """Shows durable events to readers; called on the event loop."""

    def __call__(self, events: Sequence[Event], revision: int) -> None:
        """The events up to `revision`, in order."""


@dataclass(frozen=True, slots=True)
class _Request:
    """A commit that waits."""

    answer: asyncio.Future[Commit]
    writes: Sequence[Write]


@dataclass(frozen=True, slots=True)
class _Job:
    """Work for a transaction of its own."""

    answer: asyncio.Future[Any]
    work: Callable[[Connection, Ledger], Any]


@dataclass(frozen=True, slots=True)
class _Stop:
    """The end."""

    answer: asyncio.Future[None]


_Item = _Request | _Job | _Stop


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a waiting future is to be told; a cancelled one is told nothing."""

    future: asyncio.Future[Any]
    result: Any

    def give(self) -> None:
        if self.future.done():
            return
        if isinstance(self.result, Exception):
            self.future.set_exception(self.result)
        else:
            self.future.set_result(self.result)


class Writer:
    """Owns the ledger and the writing connection; both are used only in its thread once it has started."""

    def __init__(self, engine: Engine, ledger: Ledger, publish: Publish, *, group: int) -> None:
        self._engine = engine
        self._ledger = ledger
        self._publish = publish
        self._group = group
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._closed = False
        self._gate = threading.Lock()
        """Held to put and to close, so that nothing is put that nobody takes."""
        self._taken: list[_Item] = []
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._dead = asyncio.Event()

    def start(self) -> None:
        """Begin to take writes."""
        self._thread.start()

    async def commit(self, writes: Sequence[Write]) -> Commit:
        """See `Store.commit`."""
        answer: asyncio.Future[Commit] = self._loop.create_future()
        self._put(_Request(answer, writes))
        return await answer

    async def call(self, work: Callable[[Connection, Ledger], Any]) -> Any:
        """Run `work` in the writer's thread, in a transaction of its own, after what was asked before."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._put(_Job(answer, work))
        return await answer

    async def failed(self) -> None:
        """Return if the thread dies of an error."""
        await self._dead.wait()

    async def close(self) -> None:
        """Finish what was asked before and end the thread."""
        answer: asyncio.Future[None] = self._loop.create_future()
        with contextlib.suppress(StoreUnavailable):  # the thread has died before
            self._put(_Stop(answer))
            await answer
        self._thread.join()

    def _put(self, item: _Item) -> None:
        with self._gate:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            self._closed = isinstance(item, _Stop)
            self._queue.put(item)

    def _run(self) -> None:
        failed = True
        try:
            self._serve()
            failed = False
        finally:
            self._abandon()
            if failed:
                self._loop.call_soon_threadsafe(self._dead.set)

    def _abandon(self) -> None:
        """Refuse what is left: nothing after a stop, but if the thread dies of an error nobody may wait for ever."""
        with self._gate:
            self._closed = True
        while not self._queue.empty():
            self._taken.append(self._queue.get())
        self._tell([_Answer(item.answer, StoreUnavailable("the writer has failed")) for item in self._taken], ())

    def _serve(self) -> None:
        with self._engine.connect() as connection:
            while True:
                self._taken = self._take()
                for kind, items in groupby(self._taken, type):
                    if kind is _Request:
                        self._transact(connection, [item for item in items if isinstance(item, _Request)])
                        continue
                    for item in items:
                        if isinstance(item, _Job):
                            self._work(connection, item)
                        elif isinstance(item, _Stop):
                            self._finish(connection, item)
                            return

    def _take(self) -> list[_Item]:
        """All that waits, at least one and at most a group."""
        items = [self._queue.get()]
        while len(items) < self._group:
            try:
                items.append(self._queue.get_nowait())
            except Empty:
                break
        return items

    def _transact(self, connection: Connection, requests: Sequence[_Request]) -> None:
        answers: list[_Answer] = []
        staged: list[Staged] = []
        for request in requests:
            try:
                one = self._ledger.stage(request.writes)
            except StoreError as error:
                answers.append(_Answer(request.answer, error))
            else:
                staged.append(one)
                answers.append(_Answer(request.answer, one.commit))
        changes = [change for one in staged for change in one.changes]
        if changes:
            try:
                log.append(connection, changes)
                connection.commit()
            except (SQLAlchemyError, UnicodeError) as error:  # the driver refuses half of a surrogate pair
                connection.rollback()
                self._ledger.undo(staged)
                _log.error("the database refused a transaction", writes=len(changes), error=_reason(error))
                refusal = f"the database refused the write: {_reason(error)}"
                # Also those that were refused before: what they collided with may be among the writes undone.
                answers = [_Answer(request.answer, StoreUnavailable(refusal)) for request in requests]
                changes = []
        self._tell(answers, [change.event for change in changes])

    def _work(self, connection: Connection, job: _Job) -> None:
        try:
            result = job.work(connection, self._ledger)
            connection.commit()
        except SQLAlchemyError as error:
            connection.rollback()
            result = StoreUnavailable(f"the database refused: {_reason(error)}")
        self._tell([_Answer(job.answer, result)], ())

    def _finish(self, connection: Connection, stop: _Stop) -> None:
        try:
            dialects.finish(connection)
        except SQLAlchemyError as error:
            _log.warning("the database was not tidied", error=_reason(error))
        self._tell([_Answer(stop.answer, None)], ())

    def _tell(self, answers: Sequence[_Answer], events: Sequence[Event]) -> None:
        revision = self._ledger.revision
        self._loop.call_soon_threadsafe(self._show, answers, events, revision)

    def _show(self, answers: Sequence[_Answer], events: Sequence[Event], revision: int) -> None:
        if events:
            self._publish(events, revision)
        for answer in answers:
            answer.give()


def _reason(error: Exception) -> str:
    """The driver's own words, without the statement and its values."""
    return str(error.__cause__ or error)
