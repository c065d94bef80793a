"""Opens a store by its URL."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from miniplane import aio

from . import compaction, dialects, sql, upgrade
from .base import SchemaMismatch, Store, StoreUnavailable
from .limits import Limits
from .memory import MemoryStore

_DEFAULT = Limits()
_CLOCK = aio.SystemClock()
MEMORY = "memory://"


@contextlib.asynccontextmanager
async def open_store(
    url: str, *, migrate: bool = True, limits: Limits = _DEFAULT, clock: aio.Clock = _CLOCK
) -> AsyncIterator[Store]:
    """The store behind `url`: `sqlite:////absolute/file`, `sqlite:///relative/file` or `memory://`.

    On the way in the database is migrated (or refused, without `migrate`) and loaded; on the way out pending commits
    are finished and watches ended. Compaction runs between.
    Raises ValueError (no URL, or of an unknown database), SchemaMismatch, StoreUnavailable.
    """
    if url == MEMORY:
        store: MemoryStore | sql.SqlStore = MemoryStore(limits)
    else:
        engine = dialects.engine(dialects.parse(url), limits)
        state = await asyncio.to_thread(_load, engine, limits, migrate=migrate)
        store = sql.SqlStore(engine, state, limits)
        store.start()

    def look() -> tuple[int, int]:
        return store.revision, store.compacted

    compacting = asyncio.create_task(compaction.run(clock, limits, look, store.compact), name="store-compaction")
    try:
        yield store
    finally:
        compacting.cancel()
        try:
            await asyncio.wait({compacting})
        finally:
            await store.close()


def _load(engine: Engine, limits: Limits, *, migrate: bool) -> sql.State:
    try:
        upgrade.prepare(engine, migrate=migrate)
        return sql.load(engine, limits)
    except SQLAlchemyError as error:
        engine.dispose()
        raise StoreUnavailable(f"the database {engine.url} can't be opened: {error.__cause__ or error}") from error
    except SchemaMismatch:
        engine.dispose()
        raise
