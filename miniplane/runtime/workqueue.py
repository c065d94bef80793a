"""A queue of keys: each waits at most once and is in work at most once, with delays and back-off per key.

The laws (tests/property/test_workqueue.py checks them against a model):

- A key that is added while it waits is not added twice; one added while in work waits again once that is done.
- First in, first out: a key that keeps coming back stands behind everyone else each time. With an `order` the key with
  the least order comes first, among equals the one that came first; it is asked for when the key begins to wait.
- A delayed key is added when its time comes; of two delays for one key the earlier counts.
- A key that was done with a rest is not given out before that is over; what is added meanwhile waits for it.
- `add_rate_limited` doubles a key's delay each time until `forget`.

Prior art: client-go's workqueue. Not thread-safe; one event loop.
"""

import asyncio
import heapq
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from miniplane.aio import Clock
from miniplane.runtime.metrics import QueueMetrics

K = TypeVar("K", bound=Hashable)

FIRST_PAUSE_S = 0.005
"""The delay after the first failure of a key, as upstream's."""
LONGEST_PAUSE_S = 60.0
"""The longest delay. Upstream waits up to 1000 s; in a small cluster nobody wants to wait that long for a retry."""


class ShutDown(Exception):
    """The queue takes and gives nothing any more."""


class WorkQueue(Generic[K]):
    """The queue. `close` it at the end: a delayed key holds a task."""

    def __init__(
        self,
        clock: Clock,
        *,
        metrics: QueueMetrics | None = None,
        first_pause_s: float = FIRST_PAUSE_S,
        longest_pause_s: float = LONGEST_PAUSE_S,
        order: Callable[[K], Any] | None = None,
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._first_pause_s, self._longest_pause_s = first_pause_s, longest_pause_s
        self._waiting: dict[K, float] = {}  # in order; the time since when
        self._order = order
        self._ordered: list[tuple[Any, int, K]] = []
        self._working: dict[K, float] = {}
        self._again: dict[K, float] = {}  # added while in work
        self._resting: dict[K, float] = {}  # until when
        self._failures: dict[K, int] = {}
        self._delayed: dict[K, float] = {}  # when each is due
        self._heap: list[tuple[float, int, K]] = []  # may hold times that no longer count
        self._counter = 0
        self._timer: asyncio.Task[None] | None = None
        self._timer_due = 0.0
        self._getters: asyncio.Queue[None] = asyncio.Queue()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_idle(self) -> bool:
        """Whether no key waits or is in work; delayed ones do not count."""
        return not self._waiting and not self._working

    def add(self, key: K) -> None:
        """Let `key` wait for work; nothing if it does already."""
        if self._closed or key in self._waiting or key in self._again:
            return
        now = self._clock.monotonic()
        if self._metrics:
            self._metrics.adds.inc()
        if key in self._working:
            self._again[key] = now
        elif (left_s := self._resting.get(key, now) - now) > 0:
            self.add_after(key, left_s)
        else:
            self._push(key, now)

    def _push(self, key: K, since: float) -> None:
        self._waiting[key] = since
        if self._order is not None:
            self._counter += 1
            heapq.heappush(self._ordered, (self._order(key), self._counter, key))
        self._getters.put_nowait(None)
        self._measure_depth()

    def add_after(self, key: K, seconds: float) -> None:
        """As `add`, once `seconds` have passed; an earlier delay of the same key stays."""
        if self._closed:
            return
        if seconds <= 0:
            self.add(key)
            return
        due = self._clock.monotonic() + seconds
        if self._delayed.get(key, due + 1) <= due:
            return
        self._delayed[key] = due
        self._counter += 1
        heapq.heappush(self._heap, (due, self._counter, key))
        if self._timer is None or due < self._timer_due:
            self._set_timer()

    def add_rate_limited(self, key: K) -> float:
        """As `add_after`, with the delay that the key's failures ask for; gives it."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        pause_s = min(self._first_pause_s * (1 << min(failures, 32)), self._longest_pause_s)
        if self._metrics:
            self._metrics.retries.inc()
        self.add_after(key, pause_s)
        return pause_s

    def failures(self, key: K) -> int:
        """How often `key` was rate limited since it was forgotten last."""
        return self._failures.get(key, 0)

    def forget(self, key: K) -> None:
        """The key succeeded: its next failure counts as the first."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """The key that has waited longest; it is in work until `done`. Raises ShutDown once closed."""
        await self._getters.get()
        if self._closed:
            self._getters.put_nowait(None)  # the next getter must wake too
            raise ShutDown
        key = next(iter(self._waiting)) if self._order is None else heapq.heappop(self._ordered)[2]
        since = self._waiting.pop(key)
        now = self._clock.monotonic()
        self._working[key] = now
        if self._metrics:
            self._metrics.waiting_s.observe(now - since)
            self._measure_depth()
            self._measure_work(now)
        return key

    def done(self, key: K, *, rest_s: float = 0.0) -> None:
        """The work on `key` is over; if it was added meanwhile, it waits again, not before it has rested."""
        now = self._clock.monotonic()
        began = self._working.pop(key)
        if self._metrics:
            self._metrics.working_s.observe(now - began)
            self._measure_work(now)
        self._rest(key, now, rest_s)
        if (since := self._again.pop(key, None)) is not None and not self._closed:
            if rest_s > 0:
                self.add_after(key, rest_s)
            else:
                self._push(key, since)

    def _rest(self, key: K, now: float, seconds: float) -> None:
        self._resting.pop(key, None)
        while self._resting and self._resting[first := next(iter(self._resting))] <= now:
            del self._resting[first]  # in order of their beginnings, so one long rest keeps the others a while longer
        if seconds > 0:
            self._resting[key] = now + seconds

    def _measure_depth(self) -> None:
        if self._metrics:
            self._metrics.depth.set(len(self._waiting))

    def _measure_work(self, now: float) -> None:
        if self._metrics:
            ages = [now - began for began in self._working.values()]
            self._metrics.unfinished_s.set(sum(ages))
            self._metrics.longest_s.set(max(ages, default=0.0))

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = self._heap[0][0]
        self._timer = asyncio.get_running_loop().create_task(self._release(), name="workqueue timer")

    async def _release(self) -> None:
        """Add what is due, until nothing is delayed."""
        while self._heap:
            self._timer_due = self._heap[0][0]
            if (left := self._timer_due - self._clock.monotonic()) > 0:
                await self._clock.sleep(left)
                continue
            due, _, key = heapq.heappop(self._heap)
            if self._delayed.get(key) == due:
                del self._delayed[key]
                self.add(key)
        self._timer = None

    async def close(self) -> None:
        """Take and give nothing from now on; returns when the timer's task has ended."""
        self._closed = True
        self._getters.put_nowait(None)
        self._waiting.clear()
        self._ordered.clear()
        self._heap.clear()
        self._delayed.clear()
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            await asyncio.wait([timer])
