"""The manager: runs the controllers that registrars declare, in the order that keeps them right.

Informers first, until all are in sync; then, where asked for, the lease; then workers and timers. When it is
cancelled everything stops, the lease is let go, and nothing is left behind.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

from miniplane import aio
from miniplane.aio import Clock
from miniplane.api.meta import Key
from miniplane.client import Client
from miniplane.observe import logs
from miniplane.observe.metrics import CollectorRegistry
from miniplane.runtime.context import Context
from miniplane.runtime.controller import Controller, run_timer
from miniplane.runtime.events import EventRecorder
from miniplane.runtime.informer import Informers
from miniplane.runtime.lease import Leader
from miniplane.runtime.metrics import ControllerMetrics, QueueMetrics, RuntimeMetrics
from miniplane.runtime.on import On, Order
from miniplane.runtime.reconcile import Timer
from miniplane.runtime.workqueue import WorkQueue

log = logs.get("miniplane.runtime.manager")
RELEASE_S = 2.0
"""How long a stopping process tries to let its lease go."""


def _nothing() -> None: ...


async def _serve(service: Timer, ctx: Context) -> None:
    await service(ctx)


def _ordered(order: Order, ctx: Context, key: Key) -> Any:
    return order(key, ctx)


class Manager:
    """Runs registrars. `informers`, if given, are running ones shared with others in the process.

    `leader`, if given, must hold its lease before any controller works. `host` is the node that events are from.
    """

    def __init__(
        self,
        client: Client,
        registrars: Sequence[On],
        clock: Clock,
        *,
        registry: CollectorRegistry | None = None,
        informers: Informers | None = None,
        leader: Leader | None = None,
        host: str = "",
    ) -> None:
        self._client, self._registrars, self._clock = client, tuple(registrars), clock
        self.registry = registry or CollectorRegistry()
        self._metrics = RuntimeMetrics(self.registry)
        self.is_synced = False
        """Whether all caches have been filled, leader or not."""
        self._informers, self._leader, self._host = informers, leader, host
        self.controllers: list[Controller] = []
        self.recorders: list[EventRecorder] = []

    @property
    def is_idle(self) -> bool:
        """Whether no key waits or is in work and no event waits to be written; delayed keys do not count."""
        queues = all(controller.queue.is_idle for controller in self.controllers)
        return queues and all(recorder.is_idle for recorder in self.recorders)

    async def run(self, ready: Callable[[], None] = _nothing) -> None:
        """Run until cancelled; `ready` is called when all caches are in sync, leader or not.

        Raises what stops an informer or costs the lease, in an ExceptionGroup.
        """
        async with self._running_informers() as informers:
            contexts = [self._prepare(on, informers) for on in self._registrars]
            async with aio.background(*(recorder.run() for recorder in self.recorders)):
                await informers.synced()
                self.is_synced = True
                ready()
                async with self._leading():
                    await self._work(contexts)

    @contextlib.asynccontextmanager
    async def _running_informers(self) -> AsyncIterator[Informers]:
        if self._informers is not None:
            yield self._informers
            return
        async with Informers(self._client, self._clock) as informers:
            yield informers

    def _prepare(self, on: On, informers: Informers) -> Context:
        """Ask for the informers and make the controllers of a registrar."""
        recorder = EventRecorder(self._client, self._clock, on.component, host=self._host)
        self.recorders.append(recorder)
        ctx = Context(self._client, self._clock, logs.get(f"controllers.{on.name}"), informers, recorder)
        for kind in on.reads:
            informers.get(kind)
        for index in on.indexes:
            informers.get(index.kind).add_index(index.name, index.by)
        for what in on.reconciliations:
            informers.get(what.kind, what.selection)
            for also in what.also:
                informers.get(also.kind, also.selection)
            order = partial(_ordered, what.order, ctx) if what.order else None
            queue_metrics = QueueMetrics(what.name, self._metrics)
            queue: WorkQueue[Key] = WorkQueue(self._clock, metrics=queue_metrics, order=order)
            metrics = ControllerMetrics(what.name, self._metrics)
            self.controllers.append(Controller(what, ctx, queue, workers=on.workers, metrics=metrics))
        return ctx

    @contextlib.asynccontextmanager
    async def _leading(self) -> AsyncIterator[None]:
        if self._leader is None:
            yield
            return
        await self._leader.acquire()
        self._client.guard = self._leader.check
        try:
            async with aio.background(self._leader.hold()):
                yield
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RELEASE_S):
                    await self._leader.release()
            self._client.guard = None

    async def _work(self, contexts: Sequence[Context]) -> None:
        async with asyncio.TaskGroup() as group:
            for controller in self.controllers:
                group.create_task(controller.run(), name=f"controller {controller.what.name}")
            for on, ctx in zip(self._registrars, contexts, strict=True):
                for interval in on.timers:
                    group.create_task(run_timer(interval, ctx, on.name), name=f"timer of {on.name}")
                for service in on.services:
                    group.create_task(_serve(service, ctx), name=f"service of {on.name}")
            await asyncio.Event().wait()  # also without any controller, run until cancelled
