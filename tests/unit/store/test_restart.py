"""What survives a restart, and what a refusing database leaves behind."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from apiserver.store import Compacted, Draft, Limits, Put, Remove, ResourceKey, StoreUnavailable, open_store

A = ResourceKey("/pods", "default", "a")
B = ResourceKey("/pods", "default", "b")


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database that does not exist yet."""
    return f"sqlite:///{tmp_path}/log.sqlite3"


def put(key: ResourceKey, expected: int | None = None) -> Put:
    """A write of nothing in particular."""
    return Put(key, Draft({"metadata": {"name": key.name}}), expected)


async def test_everything_comes_back(url: str) -> None:
    """Entries, revision and the log of the past are there after a restart."""
    async with open_store(url) as store:
        await store.commit([put(A), put(B), put(A), Remove(B, None)])
        before = store.get(A)
    async with open_store(url) as store:
        after = store.get(A)
        assert before is not None
        assert after is not None
        assert (after.value, after.obj, after.created_revision) == (before.value, before.obj, 1)
        assert store.revision == 4
        assert [entry.revision for entry in (await store.list_at("/pods", "", 2)).entries] == [1, 2]
        assert (await store.commit([put(A, 3)])).revision == 5


async def test_revision_never_goes_back(url: str) -> None:
    """Not even when the newest row was a deletion and everything was compacted."""
    for life in range(3):
        async with open_store(url) as store:
            assert store.revision == life * 3
            removed = await store.commit([put(A, 0), Remove(A, None)])
            await store.compact(removed.revision)
            assert store.list("/pods").entries == []


async def test_watches_resume_over_a_restart(url: str) -> None:
    """The recent events are read back, with the states before them."""
    limits = Limits(window_events=4)
    async with open_store(url, limits=limits) as store:
        await store.commit([put(A), put(B), put(A), Remove(B, None), put(B), put(A)])
    async with open_store(url, limits=limits) as store:
        events = await anext(store.watch("/pods", since=2))
        told = [(str(event.type), event.entry.revision, event.previous and event.previous.revision) for event in events]
        assert told == [("MODIFIED", 3, 1), ("DELETED", 4, 2), ("ADDED", 5, None), ("MODIFIED", 6, 3)]
        with pytest.raises(Compacted):
            store.watch("/pods", since=1)


async def test_compaction_survives_a_restart(url: str) -> None:
    """How far the log is compacted is not forgotten."""
    async with open_store(url) as store:
        await store.commit([put(A), put(A), put(A), put(A)])
        await store.compact(3)
    async with open_store(url) as store:
        assert store.compacted == 3
        with pytest.raises(Compacted):
            await store.list_at("/pods", "", 2)
        assert [entry.revision for entry in (await store.list_at("/pods", "", 3)).entries] == [3]


async def test_a_refused_transaction_leaves_no_trace(url: str) -> None:
    """If the database refuses, every commit of the group fails, reads stay, and the next commit takes that revision."""
    async with open_store(url) as store:
        await store.commit([put(A)])
        rival = create_engine(url)
        with rival.begin() as connection:
            connection.execute(text("INSERT INTO entries VALUES (2, '/pods', 'x', 'x', 0, 2, 1, 0, x'7b7d')"))
        watch = store.watch("/pods", since=1)
        results = await asyncio.gather(
            *(store.commit([put(key)]) for key in (A, B)), store.commit([put(B, 7)]), return_exceptions=True
        )
        assert [type(result) for result in results] == [StoreUnavailable] * 3
        assert (store.revision, store.get(B)) == (1, None)
        with rival.begin() as connection:
            connection.execute(text("DELETE FROM entries WHERE revision = 2"))
        rival.dispose()
        assert (await store.commit([put(B, 0)])).revision == 2
        assert [event.entry.revision for event in await anext(watch)] == [2]


async def test_closing_finishes_what_was_asked(url: str) -> None:
    """Commits that were under way when the store closed are answered and durable."""
    async with open_store(url) as store:
        pending = [asyncio.create_task(store.commit([put(ResourceKey("/pods", "", str(name)))])) for name in range(100)]
        await asyncio.wait(pending, timeout=0)
    assert sorted(task.result().revision for task in pending) == [*range(1, 101)]
    async with open_store(url) as store:
        assert store.count("/pods") == 100


async def test_a_cancelled_commit_harms_nobody(url: str) -> None:
    """Whoever gave up waiting is not told, the others of the group are."""
    async with open_store(url) as store:
        given_up = asyncio.create_task(store.commit([put(A)]))
        other = asyncio.create_task(store.commit([put(B)]))
        await asyncio.wait({given_up, other}, timeout=0)
        given_up.cancel()
        assert (await other).revision == 2


async def test_the_files_are_their_owners_only(url: str, tmp_path: Path) -> None:
    """Secrets are in the database: neither it nor the files that SQLite puts beside it can be read by others."""
    async with open_store(url) as store:
        await store.commit([put(A)])
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}  # noqa: ASYNC240  a test may look
    assert modes == dict.fromkeys(("log.sqlite3", "log.sqlite3-wal", "log.sqlite3-shm"), 0o600)
