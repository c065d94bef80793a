"""The work queue against a model of it."""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from miniplane.runtime.workqueue import FIRST_PAUSE_S, WorkQueue
from miniplane.testing.clock import SimulatedClock, settle

KEYS = st.sampled_from("abcd")


class Model(RuleBasedStateMachine):
    """Does everything to a queue and to a page of obvious code, and compares."""

    order: Callable[[str], Any] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.run(self._start())
        self.now = 0.0
        self.waiting: deque[str] = deque()
        self.working: set[str] = set()
        self.again: set[str] = set()
        self.due: dict[str, tuple[float, int]] = {}
        self.resting: dict[str, float] = {}
        self.number = 0
        self.failures: dict[str, int] = {}

    def run(self, coroutine: Any) -> Any:
        """Run something on the loop of this test."""
        return self.runner.run(coroutine)

    async def _start(self) -> None:
        self.clock = SimulatedClock()
        self.queue: WorkQueue[str] = WorkQueue(self.clock, order=self.order)

    async def _do(self, name: str, *arguments: Any, **options: Any) -> None:
        getattr(self.queue, name)(*arguments, **options)
        await settle()

    def model_add(self, key: str) -> None:
        """What adding means."""
        if key in self.working:
            self.again.add(key)
        elif key in self.waiting:
            return
        elif (until := self.resting.get(key, 0.0)) > self.now:
            self.model_delay(key, until - self.now)
        else:
            self.waiting.append(key)

    def model_delay(self, key: str, seconds: float) -> None:
        """What delaying means: the earlier time counts, of equal ones the first."""
        self.number += 1
        self.due[key] = min(self.due.get(key, (math.inf, 0)), (self.now + seconds, self.number))

    @rule(key=KEYS)
    def add(self, key: str) -> None:
        """Add at once."""
        self.run(self._do("add", key))
        self.model_add(key)

    @rule(key=KEYS, seconds=st.integers(1, 9))
    def add_after(self, key: str, seconds: int) -> None:
        """Add later; the earliest time counts."""
        self.run(self._do("add_after", key, seconds))
        self.model_delay(key, seconds)

    @rule(key=KEYS)
    def fail(self, key: str) -> None:
        """Add with the key's back-off."""
        self.run(self._do("add_rate_limited", key))
        self.model_delay(key, FIRST_PAUSE_S * 2 ** self.failures.get(key, 0))
        self.failures[key] = self.failures.get(key, 0) + 1

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        """Reset the back-off."""
        self.run(self._do("forget", key))
        self.failures.pop(key, None)

    @rule(seconds=st.integers(1, 4))
    def advance(self, seconds: int) -> None:
        """Let time pass: what is due waits, in the order of its time."""
        self.run(self.clock.advance(seconds))
        self.now += seconds
        for key in sorted(self.due, key=lambda key: self.due[key]):
            if self.due[key][0] <= self.clock.monotonic():
                del self.due[key]
                self.model_add(key)

    @precondition(lambda self: self.waiting)
    @rule()
    def get(self) -> None:
        """Take the one that has waited longest, of those with the least order."""
        key = self.run(self.queue.get())
        assert key == (min(self.waiting, key=self.order) if self.order else self.waiting[0])
        self.waiting.remove(key)
        self.working.add(key)

    @precondition(lambda self: self.working)
    @rule(data=st.data(), rest_s=st.sampled_from((0, 0, 1, 3)))
    def done(self, data: st.DataObject, rest_s: int) -> None:
        """Finish one; if it was added meanwhile, it waits again, after its rest."""
        key = data.draw(st.sampled_from(sorted(self.working)))
        self.run(self._do("done", key, rest_s=rest_s))
        self.working.remove(key)
        self.resting[key] = self.now + rest_s
        if key in self.again:
            self.again.remove(key)
            self.model_add(key)

    @invariant()
    def agrees(self) -> None:
        """The queue and the model are in the same state."""
        assert len(self.queue) == len(self.waiting)
        assert self.queue.is_idle == (not self.waiting and not self.working)

    def teardown(self) -> None:
        """Close the queue; nothing is left behind."""
        self.run(self.queue.close())
        self.runner.close()


class OrderedModel(Model):
    """The same for a queue that serves by importance: vowels before consonants."""

    @staticmethod
    def order(key: str) -> bool:
        """Least first."""
        return key not in "ae"


TestWorkQueue = Model.TestCase
TestOrderedWorkQueue = OrderedModel.TestCase
TestWorkQueue.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestOrderedWorkQueue.settings = TestWorkQueue.settings
