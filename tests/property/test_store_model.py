"""Any history of commits, reads, watches, compactions and restarts reads like a list of revisions."""

import asyncio
import contextlib
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from apiserver.store import (
    Compacted,
    Draft,
    KeyExists,
    KeyMissing,
    Limits,
    Put,
    Remove,
    ResourceKey,
    RevisionConflict,
    Store,
    StoreError,
    Subscription,
    Write,
    open_store,
)

T = TypeVar("T")
KEYS = [
    ResourceKey(resource, namespace, name) for resource in ("/pods", "/nodes") for namespace in "ab" for name in "xy"
]
SCOPES = [(resource, namespace) for resource in ("/pods", "/nodes") for namespace in ("", "a", "b")]


@dataclass(frozen=True)
class Row:
    """A revision in the model; `number` is None for a deletion."""

    revision: int
    key: ResourceKey
    number: int | None


@dataclass
class Model:
    """The whole truth: every revision there ever was."""

    rows: list[Row] = field(default_factory=list)
    revision: int = 0

    def at(self, revision: int) -> dict[ResourceKey, Row]:
        """The live rows at a revision."""
        last = {row.key: row for row in self.rows if row.revision <= revision}
        return {key: row for key, row in last.items() if row.number is not None}

    def apply(self, write: Write, number: int) -> type[StoreError] | None:
        """Take a write, or tell why not."""
        live = self.at(self.revision).get(write.key)
        if live is None and (isinstance(write, Remove) or write.expected):
            return KeyMissing
        if live is not None and write.expected == 0:
            return KeyExists
        if live is not None and write.expected not in (None, live.revision):
            return RevisionConflict
        self.revision += 1
        self.rows.append(Row(self.revision, write.key, number if isinstance(write, Put) else None))
        return None


@st.composite
def intents(draw: st.DrawFn) -> tuple[ResourceKey, str, str]:
    """A key, what to do, and how to choose the expected revision."""
    return (
        draw(st.sampled_from(KEYS)),
        draw(st.sampled_from(["put", "put", "remove"])),
        draw(st.sampled_from(["right", "right", "any", "new", "stale"])),
    )


class Histories(RuleBasedStateMachine):
    """The store in memory; a subclass puts it on a disk."""

    url = "memory://"
    limits = Limits(window_events=6, compact_step=3, watch_batch=3)

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.model = Model()
        self.number = 0
        self.watches: list[tuple[Subscription, str, str, int]] = []
        self.open()

    def open(self) -> None:
        """Open the store."""
        self.stack = contextlib.AsyncExitStack()
        self.store: Store = self.run(self.stack.enter_async_context(open_store(self.url, limits=self.limits)))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run on the machine's loop."""
        return self.runner.run(work)

    def teardown(self) -> None:
        """Close the store and the loop."""
        self.run(self.stack.aclose())
        self.runner.close()

    def _write(self, intent: tuple[ResourceKey, str, str]) -> Write:
        key, action, choice = intent
        live = self.model.at(self.model.revision).get(key)
        revision = live.revision if live else 0
        expected = {"right": revision, "any": None, "new": 0, "stale": max(revision - 1, 1)}[choice]
        self.number += 1
        if action == "remove":
            return Remove(key, expected)
        return Put(key, Draft({"metadata": {"name": key.name}, "number": self.number}), expected)

    @rule(some=st.lists(intents(), min_size=1, max_size=4))
    def commit(self, some: list[tuple[ResourceKey, str, str]]) -> None:
        """A commit is made whole or refused for the model's reason."""
        writes = [self._write(intent) for intent in some]
        before, rows = self.model.revision, len(self.model.rows)
        first = self.number - len(writes) + 1
        problems = (self.model.apply(write, first + place) for place, write in enumerate(writes))
        problem = next((found for found in problems if found), None)
        if problem is None:
            assert self.run(self.store.commit(writes)).revision == self.model.revision
            return
        self.model.revision = before
        del self.model.rows[rows:]
        with pytest.raises(problem):
            self.run(self.store.commit(writes))

    @rule(scope=st.sampled_from(SCOPES), back=st.integers(0, 30))
    def list_at(self, scope: tuple[str, str], back: int) -> None:
        """The past reads as it was, or is said to be gone."""
        resource, namespace = scope
        revision = max(self.model.revision - back, 0)
        if revision < self.store.compacted:
            with pytest.raises(Compacted):
                self.run(self.store.list_at(resource, namespace, revision))
            return
        listing = self.run(self.store.list_at(resource, namespace, revision))
        expected = sorted(
            (row.key, row.revision, row.number)
            for row in self.model.at(revision).values()
            if row.key.resource == resource and namespace in ("", row.key.namespace)
        )
        assert [(entry.key, entry.revision, entry.obj["number"]) for entry in listing.entries] == expected

    @rule(scope=st.sampled_from(SCOPES), back=st.integers(0, 8))
    def watch(self, scope: tuple[str, str], back: int) -> None:
        """A watch begins, unless the window has moved on."""
        since = max(self.model.revision - back, 0)
        with contextlib.suppress(Compacted):
            self.watches.append((self.store.watch(*scope, since=since), *scope, since))

    @precondition(lambda self: self.watches)
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        """A watch tells the next rows of its scope, none left out, none twice, or that it was too slow."""
        place = data.draw(st.integers(0, len(self.watches) - 1))
        watch, resource, namespace, since = self.watches[place]
        due = [
            row
            for row in self.model.rows
            if row.revision > since and row.key.resource == resource and namespace in ("", row.key.namespace)
        ]
        if not due:
            return
        try:
            batch = self.run(_next(watch))
        except StoreError:
            assert len([row for row in self.model.rows if row.key.resource == resource and row.revision > since]) > 6
            self.watches.pop(place)
            return
        assert [event.entry.revision for event in batch] == [row.revision for row in due[: len(batch)]]
        for event, row in zip(batch, due, strict=False):
            before = self.model.at(row.revision - 1).get(row.key)
            assert event.previous == before or (
                event.previous and before and event.previous.revision == before.revision
            )
            assert event.type == ("DELETED" if row.number is None else "MODIFIED" if before else "ADDED")
        self.watches[place] = (watch, resource, namespace, batch[-1].entry.revision)

    @precondition(lambda self: self.model.revision > 0)
    @rule(back=st.integers(0, 12))
    def compact(self, back: int) -> None:
        """A compaction may take a revision and changes nothing that is newer."""
        self.run(self.store.compact(max(self.model.revision - back, 1)))
        assert self.store.revision >= self.model.revision
        self.model.revision = self.store.revision

    @invariant()
    def present(self) -> None:
        """Reads of the present agree with the model."""
        assert self.store.revision == self.model.revision
        live = self.model.at(self.model.revision)
        for key in KEYS:
            entry = self.store.get(key)
            assert (entry and (entry.revision, entry.obj["number"])) == (
                (live[key].revision, live[key].number) if key in live else None
            )
        for resource, namespace in SCOPES:
            expected = sorted(key for key in live if key.resource == resource and namespace in ("", key.namespace))
            assert [entry.key for entry in self.store.list(resource, namespace).entries] == expected


class DurableHistories(Histories):
    """The store on a disk, which can also be closed and opened again."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.url = f"sqlite:///{self.folder.name}/log.sqlite3"
        super().__init__()

    @rule()
    def restart(self) -> None:
        """After a restart the revision goes on and everything reads as before."""
        self.run(self.stack.aclose())
        self.watches.clear()
        self.open()

    def teardown(self) -> None:
        """Also remove the file."""
        super().teardown()
        self.folder.cleanup()


async def _next(watch: Subscription) -> Any:
    return await anext(watch)


TestMemory = Histories.TestCase
TestMemory.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestSqlite = DurableHistories.TestCase
TestSqlite.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
