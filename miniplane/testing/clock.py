"""A clock that a test turns by hand."""

import asyncio
import heapq
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SETTLE_TURNS = 50
"""Turns of the loop after each step: enough for chains of tasks that wake each other without I/O."""


class SimulatedClock:
    """Implements `miniplane.aio.Clock`: time passes only in `advance`."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._elapsed_s = 0.0
        self._number = 0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._asleep = asyncio.Event()

    def now(self) -> datetime:
        """The simulated time."""
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        """Simulated seconds since the start."""
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        """Return once the test has advanced that far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        self._number += 1
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed_s + seconds, self._number, woken))
        self._asleep.set()
        await woken

    async def somebody_sleeps(self) -> None:
        """Return when somebody sleeps, after whatever I/O that takes; then `advance` wakes them."""
        while self.next_wake_s is None:
            self._asleep.clear()
            await self._asleep.wait()

    @property
    def next_wake_s(self) -> float | None:
        """Seconds until the next sleeper wakes, None if nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] - self._elapsed_s if self._sleepers else None

    async def advance(self, seconds: float) -> None:
        """Let time pass; each sleeper wakes at its own moment and what it starts runs before time goes on."""
        end = self._elapsed_s + seconds
        await settle()
        while (left := self.next_wake_s) is not None and self._elapsed_s + left <= end:
            due, _, woken = heapq.heappop(self._sleepers)
            self._elapsed_s = max(self._elapsed_s, due)
            woken.set_result(None)
            await settle()
        self._elapsed_s = end


async def settle() -> None:
    """Let tasks that are ready run, and those that they make ready."""
    for _ in range(SETTLE_TURNS):
        await asyncio.sleep(0)
