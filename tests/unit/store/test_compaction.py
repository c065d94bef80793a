"""Compaction keeps a window of revisions and of time."""

import asyncio
from pathlib import Path

from sqlalchemy import create_engine, text

from apiserver.store import Draft, Limits, Put, Remove, ResourceKey, StoreUnavailable, compaction, open_store
from apiserver.store.compaction import Policy

LIMITS = Limits(keep_revisions=100, keep_s=300)


def test_nothing_is_compacted_before_its_time() -> None:
    """What was current within the last `keep_s` seconds stays."""
    policy = Policy(LIMITS)
    assert [policy.target(now, 1000 + now, 0) for now in (0, 60, 120, 180, 240)] == [None] * 5
    assert policy.target(300, 1300, 0) == 1000
    assert policy.target(330, 1300, 1000) is None
    assert policy.target(360, 1330, 1000) == 1060


def test_the_newest_revisions_stay() -> None:
    """A quiet hour later the newest `keep_revisions` are still there."""
    policy = Policy(LIMITS)
    assert policy.target(0, 1000, 0) is None
    assert policy.target(3600, 1000, 0) == 900


def test_small_gains_are_not_worth_a_revision() -> None:
    """A compaction writes a revision itself, so it waits until it forgets a tenth of the window."""
    policy = Policy(LIMITS)
    policy.target(0, 1000, 0)
    assert policy.target(3600, 1000, 891) is None
    assert policy.target(3600, 1000, 890) == 900


class Clock:
    """A clock that a test turns; `turned` is set while the sleeper waits."""

    def __init__(self) -> None:
        self.time = 0.0
        self.asleep = asyncio.Event()
        self.go = asyncio.Event()

    def monotonic(self) -> float:
        """The present."""
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Until turned."""
        self.asleep.set()
        await self.go.wait()
        self.go.clear()
        self.time += seconds

    async def turn(self) -> None:
        """Let one sleep pass and wait for the next."""
        await self.asleep.wait()
        self.asleep.clear()
        self.go.set()
        await self.asleep.wait()


async def test_the_loop_outlives_a_refusal() -> None:
    """A database that refuses once is asked again at the next look."""
    clock, asked = Clock(), []

    async def compact(revision: int) -> None:
        asked.append(revision)
        if len(asked) == 1:
            raise StoreUnavailable("disk full")

    task = asyncio.create_task(compaction.run(clock, LIMITS, lambda: (1000, 0), compact))  # type: ignore[arg-type]  # no wall clock needed
    for _ in range(6):
        await clock.turn()
    task.cancel()
    await asyncio.wait({task})
    assert asked == [900, 900]


async def test_the_log_shrinks_by_itself(tmp_path: Path) -> None:
    """An open store deletes superseded rows once they are old enough; the present stays."""
    clock = Clock()
    url = f"sqlite:///{tmp_path}/log.sqlite3"
    limits = Limits(keep_revisions=20, keep_s=100, compact_every_s=60, compact_step=7)
    async with open_store(url, limits=limits, clock=clock) as store:  # type: ignore[arg-type]  # no wall clock needed
        for step in range(100):
            await store.commit([Put(ResourceKey("/pods", "default", f"p{step % 5}"), Draft({"step": step}), None)])
        await store.commit([Remove(ResourceKey("/pods", "default", "p0"), None)])
        for _ in range(3):
            await clock.turn()
        assert store.compacted == 81
        assert [entry.obj["step"] for entry in store.list("/pods").entries] == [96, 97, 98, 99]
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = connection.scalars(text("SELECT revision FROM entries ORDER BY revision")).all()
    engine.dispose()
    # Of each of the five keys one row at or before revision 81, then the twenty after it and the compaction's own.
    assert rows == [*range(77, 103)]
