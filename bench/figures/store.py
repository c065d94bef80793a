"""Durable creates through the store, without HTTP."""

import asyncio
import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path

import orjson

from apiserver.store import Draft, Put, ResourceKey, open_store
from bench.figures.base import Figure, Group, Stopwatch, pod, timed

WRITERS = 64
CREATES = 20_000


async def through_the_store(folder: str) -> float:
    """Creates a second, each durable before its writer goes on."""
    names = iter(range(CREATES))

    async def writer() -> None:
        for number in names:
            name = f"pod-{number}"
            await store.commit([Put(ResourceKey("/pods", "default", name), Draft(pod(name)), 0)])

    async with open_store(f"sqlite:///{folder}/store.sqlite3") as store:
        with timed() as watch:
            await asyncio.gather(*(writer() for _ in range(WRITERS)))
    return watch.rate(CREATES)


async def echo() -> float:
    """The same writers only parse and serialise: what JSON alone costs."""
    names = iter(range(CREATES))
    body = orjson.dumps(pod("pod-0"))

    async def writer() -> None:
        for _ in names:
            orjson.dumps(orjson.loads(body))
            await asyncio.sleep(0)

    with timed() as watch:
        await asyncio.gather(*(writer() for _ in range(WRITERS)))
    return watch.rate(CREATES)


def raw(folder: str, rows: int, transactions: int) -> float:
    """Rows a second straight into SQLite with the same durability, `rows` to a transaction."""
    connection = sqlite3.connect(Path(folder) / f"raw-{rows}.sqlite3", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE entries (revision INTEGER PRIMARY KEY, name TEXT UNIQUE, value BLOB)")
    value = orjson.dumps(pod("pod-0"))
    watch: Stopwatch
    with timed() as watch:
        for transaction in range(transactions):
            first = transaction * rows
            connection.execute("BEGIN")
            connection.executemany(
                "INSERT INTO entries VALUES (?, ?, ?)",
                [(first + row, f"pod-{first + row}", value) for row in range(rows)],
            )
            connection.execute("COMMIT")
    connection.close()
    return watch.rate(rows * transactions)


def measure() -> Sequence[Figure]:
    """Beside one commit a create (no group commit), commits of a full group (nothing but the disk), and JSON alone."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        creates = asyncio.run(through_the_store(folder))
        single, grouped = raw(folder, 1, 3000), raw(folder, WRITERS, 300)
    name = f"durable creates, {WRITERS} writers"
    return (
        Figure(name=name, measured=creates, limit=5000, unit="/s", against="thousands a second"),
        Figure(name=name, measured=creates, limit=single, unit="/s", against="SQLite, a commit each"),
        Figure(name=name, measured=creates, limit=grouped, unit="/s", against=f"SQLite, {WRITERS} a commit", need=0.1),
        Figure(name=name, measured=creates, limit=asyncio.run(echo()), unit="/s", against="JSON alone", need=0.1),
    )


GROUP = Group("store", "durable creates through the store", measure)
