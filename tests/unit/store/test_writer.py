"""The writer groups commits, and its death is nobody's endless wait."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from apiserver.serve import run
from apiserver.settings import Settings
from apiserver.store import Draft, Limits, Put, ResourceKey, StoreUnavailable, dialects, log, open_store
from apiserver.store.ledger import Change
from miniplane.client import Client
from miniplane.errors import ApiError
from miniplane.kinds import CONFIG_MAP


def put(name: str) -> Put:
    """A write of nothing in particular."""
    return Put(ResourceKey("/pods", "default", name), Draft({"metadata": {"name": "a"}}), None)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database that does not exist yet."""
    return f"sqlite:///{tmp_path}/log.sqlite3"


async def test_waiting_commits_share_a_transaction(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes in while a transaction runs is one transaction after it, of at most a group."""
    groups: list[int] = []
    first, original = threading.Event(), log.append

    def append(connection: Connection, changes: Sequence[Change]) -> None:
        first.wait()
        groups.append(len(changes))
        original(connection, changes)

    monkeypatch.setattr(log, "append", append)
    async with open_store(url, limits=Limits(group=10)) as store:
        commits = [asyncio.create_task(store.commit([put(str(number))])) for number in range(26)]
        await asyncio.wait(commits, timeout=0)
        first.set()
        await asyncio.gather(*commits)
        assert store.revision == sum(groups) == 26
    assert max(groups) == 10
    assert len(groups) <= 4


async def test_nobody_waits_for_a_dead_writer(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw ends the writer: what waits and what comes is refused, the store still closes."""
    died: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", died.append)

    def append(connection: Connection, changes: Sequence[Change]) -> None:
        raise RuntimeError("no such luck")

    async with open_store(url) as store:
        await store.commit([put("a")])
        monkeypatch.setattr(log, "append", append)
        results = await asyncio.gather(*(store.commit([put("b")]) for _ in range(20)), return_exceptions=True)
        assert {type(result) for result in results} == {StoreUnavailable}
        async with asyncio.timeout(5):
            await store.failed()
        with pytest.raises(StoreUnavailable):
            await store.commit([put("c")])
        assert store.revision == 1
    assert [args.exc_type for args in died] == [RuntimeError]


async def test_text_that_the_database_can_not_hold(url: str) -> None:
    """Half of a surrogate pair in a name is refused and the writer goes on."""
    async with open_store(url) as store:
        with pytest.raises(StoreUnavailable, match="surrogates"):
            await store.commit([put("\ud800")])
        assert (await store.commit([put("a")])).revision == 1


def test_connections_are_durable(url: str) -> None:
    """Every connection has a write-ahead log that is synced at each commit and kept short."""
    engine = dialects.engine(dialects.parse(url), Limits(checkpoint_pages=100))
    with engine.connect() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "wal_autocheckpoint", "journal_size_limit")
        }
    engine.dispose()
    assert settings == {
        "journal_mode": "wal",
        "synchronous": 2,
        "wal_autocheckpoint": 100,
        "journal_size_limit": 100 * 4096 * 4,
    }


async def test_the_server_ends_with_its_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that could only read would look well to everybody: it ends, so that its supervisor starts it again."""
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    ready = asyncio.Event()
    server = asyncio.create_task(run(Settings(data_dir=tmp_path, port=0), ready=ready.set))
    await ready.wait()

    def append(connection: Connection, changes: Sequence[Change]) -> None:
        raise RuntimeError("no such luck")

    monkeypatch.setattr(log, "append", append)
    async with Client.from_kubeconfig(tmp_path / "kubeconfig") as client:
        with pytest.raises(ApiError):
            await client.create(CONFIG_MAP, {"metadata": {"name": "a", "namespace": "default"}})
    async with asyncio.timeout(10):
        with pytest.raises(ExceptionGroup) as ended:
            await server
    assert ended.group_contains(StoreUnavailable)
