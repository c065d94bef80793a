"""A controller at run time: sources fill a queue, workers take keys from it, one switch turns outcomes into actions.

The worker is a supervisor: whatever a reconciler raises becomes a log line, a metric and a retry, never the end of
the process. Upstream's counterpart: controller-runtime's internal/controller.
"""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

from miniplane.api import meta
from miniplane.api.meta import Key
from miniplane.errors import ApiError, Conflict
from miniplane.observe import logs
from miniplane.runtime.context import Context, NotSynced
from miniplane.runtime.informer import Change, Informer
from miniplane.runtime.metrics import ControllerMetrics
from miniplane.runtime.on import ChangeMapper, Interval, Reconciliation
from miniplane.runtime.reconcile import DONE, Result, TemporaryError, Terminal
from miniplane.runtime.workqueue import ShutDown, WorkQueue


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a reconcile came to. `after_s` is when the key comes back: None never, negative after its back-off."""

    word: str
    after_s: float | None = None
    level: Literal["debug", "warning", "exception"] = "debug"


BACK_OFF = -1.0
LONGEST_REST_S = 1.0
"""The longest that a key rests after a reconcile that asks for it."""


def judge(error: Exception) -> Outcome:
    """The outcome of an error. A conflict is everyday life, other API errors deserve a line, the rest a traceback."""
    match error:
        case Terminal():
            return Outcome("terminal_error", None, "warning")
        case TemporaryError():
            return Outcome("error", BACK_OFF if error.delay is None else error.delay)
        case Conflict():
            return Outcome("error", BACK_OFF)
        case ApiError():
            return Outcome("error", BACK_OFF, "warning")
        case _:
            return Outcome("error", BACK_OFF, "exception")


class Controller:
    """One reconciliation with its queue and workers. `run` it once its informers are in sync."""

    def __init__(
        self, what: Reconciliation, ctx: Context, queue: WorkQueue[Key], *, workers: int, metrics: ControllerMetrics
    ) -> None:
        self.what, self.ctx, self.queue = what, ctx, queue
        self._workers, self._metrics = workers, metrics
        self._ids = itertools.count(1)
        self._catching_up: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled; the queue is closed then."""
        with ExitStack() as subscriptions:
            try:
                self._subscribe(subscriptions)
                async with asyncio.TaskGroup() as group:
                    for number in range(self._workers):
                        group.create_task(self._worker(), name=f"{self.what.name} worker {number}")
            finally:
                for task in self._catching_up:
                    task.cancel()
                await self.queue.close()

    def _subscribe(self, subscriptions: ExitStack) -> None:
        primary = self.ctx.informers.get(self.what.kind, self.what.selection)
        subscriptions.callback(primary.subscribe(self._take))
        for also in self.what.also:
            informer = self.ctx.informers.get(also.kind, also.selection)
            subscriptions.callback(informer.subscribe(self._mapping(also.mapper(self.what.kind))))

    def _take(self, change: Change) -> None:
        for state in change.states:
            self.queue.add(meta.key_of(state))

    def _mapping(self, mapper: ChangeMapper) -> Callable[[Change], None]:
        def take(change: Change) -> None:
            try:
                for key in mapper(change, self.ctx):
                    self.queue.add(key)
            except NotSynced as error:
                task = asyncio.get_running_loop().create_task(self._when_synced(error.informer, take, change))
                self._catching_up.add(task)
                task.add_done_callback(self._catching_up.discard)
            except Exception:  # a part of the worker's supervision: one bad object must not stop a cache
                self.ctx.log.exception("mapping failed", controller=self.what.name)

        return take

    @staticmethod
    async def _when_synced(informer: Informer, take: Callable[[Change], None], change: Change) -> None:
        await informer.synced()
        take(change)

    async def _worker(self) -> None:
        while True:
            try:
                key = await self.queue.get()
            except ShutDown:
                return
            began = self.ctx.clock.monotonic()
            try:
                await self._work(key)
            finally:
                self.queue.done(key, rest_s=min((self.ctx.clock.monotonic() - began) * self.what.rest, LONGEST_REST_S))

    async def _work(self, key: Key) -> None:
        with logs.bind(controller=self.what.name, key=str(key), reconcile=next(self._ids)):
            began = self.ctx.clock.monotonic()
            outcome = await self._outcome(key)
            self._metrics.took_s.observe(self.ctx.clock.monotonic() - began)
            self._act(key, outcome)

    async def _outcome(self, key: Key) -> Outcome:
        try:
            result: Result = await self.what.reconcile(key, self.ctx) or DONE
        except NotSynced as error:
            await error.informer.synced()
            return Outcome("requeue_after", 0.0)
        except Exception as error:  # noqa: BLE001  the supervisor of all reconcilers
            outcome = judge(error)
            self._log(key, outcome, error)
            return outcome
        return Outcome("success" if result.after_s is None else "requeue_after", result.after_s)

    def _act(self, key: Key, outcome: Outcome) -> None:
        """The one switch: queue, log and metrics from an outcome."""
        self._metrics.results[outcome.word].inc()
        if outcome.word.endswith("error"):
            self._metrics.errors.inc()
        if outcome.after_s == BACK_OFF:
            self.queue.add_rate_limited(key)
            return
        self.queue.forget(key)
        if outcome.after_s is not None:
            self.queue.add_after(key, outcome.after_s)

    def _log(self, key: Key, outcome: Outcome, error: Exception) -> None:
        fields = {"failures": self.queue.failures(key)}
        message = "reconcile given up" if outcome.word == "terminal_error" else "reconcile failed"
        match outcome.level:
            case "exception":
                self.ctx.log.exception(message, **fields)  # noqa: LOG004  the caller is a handler
            case "warning":
                self.ctx.log.warning(message, error=str(error), **fields)
            case _:
                self.ctx.log.debug(message, error=str(error), **fields)


async def run_timer(interval: Interval, ctx: Context, name: str) -> None:
    """Do something at intervals until cancelled; what it raises is logged and the next turn comes."""
    while True:
        with logs.bind(controller=name):
            try:
                await interval.run(ctx)
            except NotSynced as error:
                await error.informer.synced()
                continue
            except Exception:  # the supervisor of timers
                ctx.log.exception("timer failed")
        await ctx.clock.sleep(interval.seconds)
