"""The store on a database: a writer thread appends to the log, readers are answered from memory."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from . import log
from .base import About, Commit, Draft, Entry, Listing, Put, ResourceKey, StoreUnavailable, Write
from .broadcast import Watch
from .ledger import Ledger
from .limits import Limits
from .view import FLOOR, View
from .writer import Writer

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class State:
    """What was in the database."""

    ledger: Ledger
    view: View


def load(engine: Engine, limits: Limits) -> State:
    """Read the database; blocking."""
    with engine.connect() as connection:
        loaded = log.load(connection)
        floor = next((int(entry.obj["revision"]) for entry in loaded.entries if entry.key == FLOOR), 0)
        # The newest events again, so that clients go on where they were instead of listing everything.
        recent = list(log.recent(connection, max(floor, loaded.revision - limits.window_events)))
    ledger = Ledger(loaded.revision)
    for entry in loaded.entries:
        ledger.load(entry)
    for grave in loaded.graves:
        ledger.load_grave(grave)
    return State(ledger, View(limits, entries=loaded.entries, recent=recent, revision=loaded.revision))


class SqlStore:
    """A `Store`. Made by `open_store`, which starts and closes it."""

    def __init__(self, engine: Engine, state: State, limits: Limits) -> None:
        self._engine = engine
        self._limits = limits
        self._view = state.view
        self._writer = Writer(engine, state.ledger, state.view.publish, group=limits.group)
        self._readers = ThreadPoolExecutor(2, "store-reader")

    @property
    def revision(self) -> int:
        """See `Store`."""
        return self._view.revision

    @property
    def compacted(self) -> int:
        """See `Store`."""
        return self._view.compacted

    def start(self) -> None:
        """Begin to take writes."""
        self._writer.start()

    async def close(self) -> None:
        """Finish the writes that were asked for, end watches, threads and connections."""
        await self._writer.close()
        self._view.close()
        self._readers.shutdown()
        self._engine.dispose()

    async def failed(self) -> None:
        """See `Store`."""
        await self._writer.failed()

    async def commit(self, writes: Sequence[Write]) -> Commit:
        """See `Store`."""
        if len(writes) > self._limits.commit_writes:
            raise ValueError(f"{len(writes)} writes in one commit: at most {self._limits.commit_writes}")
        return await self._writer.commit(writes)

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
        if (listing := self._view.list_at(resource, namespace, revision)) is not None:
            return listing
        entries = await self._read(lambda connection: log.list_at(connection, resource, namespace, revision))
        self._view.check(revision)  # again: a compaction may have overtaken the query
        return Listing(entries, revision)

    def watch(self, resource: str, namespace: str = "", *, since: int, about: About | None = None) -> Watch:
        """See `Store`."""
        return self._view.watch(resource, namespace, since=since, about=about)

    async def wait_for(self, revision: int) -> None:
        """See `Store`."""
        await self._view.wait_for(revision)

    async def compact(self, revision: int) -> None:
        """See `Store`. The floor is durable before the first row goes, and rows go in steps between other writes."""
        if revision > self.revision:
            raise ValueError(f"revision {revision} is in the future: {self.revision} is the newest")
        if revision > self.compacted:
            await self.commit([floor(revision)])
        after, end = 0, self.compacted
        while after < end:
            after = await self._writer.call(_forget(end, after, self._limits.compact_step))

    async def _read(self, query: Callable[[Connection], T]) -> T:
        def run() -> T:
            with self._engine.connect() as connection:
                return query(connection)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, run)
        except SQLAlchemyError as error:
            raise StoreUnavailable(f"the log can't be read: {error}") from error


def floor(revision: int) -> Put:
    """The write that makes a compaction known."""
    return Put(FLOOR, Draft({"revision": revision}), None)


def _forget(end: int, after: int, rows: int) -> Callable[[Connection, Ledger], int]:
    def work(connection: Connection, ledger: Ledger) -> int:
        last = log.forget(connection, end, after, rows)
        connection.commit()  # before the ledger forgets: it must know every deletion that the log holds
        ledger.bury(last)
        return last

    return work
