"""The one switch: what becomes of a reconcile's outcome."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from miniplane import aio, errors
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.client import Access, Apply, Client, Init, InitDone
from miniplane.kinds import NODE, POD, REPLICA_SET
from miniplane.observe import logs
from miniplane.observe.metrics import CollectorRegistry
from miniplane.runtime import (
    DONE,
    Context,
    EventRecorder,
    Informers,
    On,
    Result,
    TemporaryError,
    Terminal,
    WorkQueue,
    again,
)
from miniplane.runtime.controller import BACK_OFF, Controller, judge
from miniplane.runtime.metrics import ControllerMetrics, RuntimeMetrics
from miniplane.testing.clock import SimulatedClock, settle

X = Key("a", "x")


def pod(name: str, revision: int, **metadata: object) -> Object:
    """A pod at a revision."""
    return {"metadata": {"name": name, "namespace": "a", "uid": name, "resourceVersion": str(revision), **metadata}}


class Bench:
    """A controller that works without a server: the test feeds its informers."""

    def __init__(self, on: On) -> None:
        self.clock = SimulatedClock()
        client = Client(Access("http://nowhere"), self.clock)
        self.informers = Informers(client, self.clock)
        recorder = EventRecorder(client, self.clock, "test")
        self.ctx = Context(client, self.clock, logs.get("test"), self.informers, recorder)
        self.registry = CollectorRegistry()
        queue: WorkQueue[Key] = WorkQueue(self.clock)
        metrics = ControllerMetrics(on.name, RuntimeMetrics(self.registry))
        self.controller = Controller(on.reconciliations[0], self.ctx, queue, workers=2, metrics=metrics)

    def count(self, result: str) -> float | None:
        """How many reconciles had that result."""
        labels = {"controller": self.controller.what.name, "result": result}
        return self.registry.get_sample_value("controller_runtime_reconcile_total", labels)

    def sync(self, *kinds: object) -> None:
        """Complete the first list of these kinds, empty."""
        for kind in kinds:
            informer = self.informers.get(kind)  # type: ignore[arg-type]  # kinds, told by their own name
            informer.take(Init())
            informer.take(InitDone("1"))


@asynccontextmanager
async def running(on: On) -> AsyncIterator[Bench]:
    """A bench whose controller runs."""
    bench = Bench(on)
    async with aio.background(bench.controller.run()):
        await settle()
        yield bench


def scripted(*outcomes: Result | Exception) -> tuple[Callable[[Key, Context], object], list[float]]:
    """A reconciler that gives these outcomes in turn, then DONE, and the times at which it was called."""
    times: list[float] = []
    left = list(outcomes)

    async def reconcile(_key: Key, ctx: Context) -> Result:
        times.append(ctx.clock.monotonic())
        outcome = left.pop(0) if left else DONE
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return reconcile, times


@pytest.mark.parametrize(
    ("outcome", "expected", "word"),
    [
        (DONE, [0.0], "success"),
        (again(30), [0.0, 30.0], "requeue_after"),
        (TemporaryError("not yet", delay=7), [0.0, 7.0], "error"),
        (TemporaryError("not yet"), [0.0, 0.005], "error"),
        (errors.conflict(POD.resource, "x"), [0.0, 0.005], "error"),
        (KeyError("a bug"), [0.0, 0.005], "error"),
        (Terminal("never"), [0.0], "terminal_error"),
    ],
)
async def test_an_outcome_decides_when_the_key_comes_back(
    outcome: Result | Exception, expected: list[float], word: str
) -> None:
    """Done never, again after its time, errors after their delay or the back-off, terminal errors never."""
    on, (reconcile, times) = On("test"), scripted(outcome)
    on.reconcile(POD)(reconcile)  # type: ignore[type-var]  # a test's reconciler, typed loosely
    async with running(on) as bench:
        bench.informers.get(POD).take(Apply(pod("x", 1)))
        await bench.clock.advance(100)
        assert times == pytest.approx(expected)
        assert bench.count(word) == 1


async def test_back_off_doubles_until_success() -> None:
    """Failures in a row wait twice as long each; after a success the first pause counts again."""
    failure = errors.Unavailable("down")
    on, (reconcile, times) = On("test"), scripted(failure, failure, failure, DONE, failure)
    on.reconcile(POD)(reconcile)  # type: ignore[type-var]  # as above
    async with running(on) as bench:
        bench.controller.queue.add(X)
        await bench.clock.advance(1)
        bench.controller.queue.add(X)
        await bench.clock.advance(1)
    assert times == pytest.approx([0, 0.005, 0.015, 0.035, 1, 1.005])


async def test_a_cache_that_nobody_declared_is_waited_for() -> None:
    """A reconcile that reads an incomplete cache is done again when that is complete, and never sees half of it."""
    on, seen = On("test"), []

    @on.reconcile(POD)
    async def reconcile(_key: Key, ctx: Context) -> Result:
        seen.append(len(ctx.cache(NODE)))
        return DONE

    async with running(on) as bench:
        bench.controller.queue.add(X)
        await settle()
        assert seen == []
        bench.sync(NODE)
        await bench.clock.advance(1)
        assert seen == [0]


async def test_owned_mapped_and_named_objects_wake_their_keys() -> None:
    """A change of another kind wakes its controller's key, the keys that a function gives, or the same key."""
    on, woken = On("test"), []

    @on.reconcile(
        REPLICA_SET,
        also=[on.owned(POD), on.mapped(POD, lambda obj, _ctx: [Key("m", obj["metadata"]["name"])]), on.named(NODE)],
    )
    async def reconcile(key: Key, _ctx: Context) -> Result:
        woken.append(str(key))
        return DONE

    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u", "controller": True}
    stranger = owner | {"apiVersion": "batch/v1", "kind": "Job", "name": "j"}
    async with running(on) as bench:
        bench.informers.get(POD).take(Apply(pod("x", 1, ownerReferences=[owner])))
        bench.informers.get(POD).take(Apply(pod("y", 1, ownerReferences=[stranger])))
        bench.informers.get(NODE).take(Apply({"metadata": {"name": "n", "resourceVersion": "3"}}))
        await settle()
    assert sorted(woken) == ["a/r", "m/x", "m/y", "n"]


async def test_a_key_rests_in_proportion_to_its_work() -> None:
    """With a rest the first change is served at once, those that follow together when the rest is over."""
    on, served = On("test"), []

    @on.reconcile(POD, rest=5)
    async def reconcile(key: Key, ctx: Context) -> Result:
        served.append(ctx.clock.monotonic())
        await ctx.clock.sleep(0.1)
        return DONE

    async with running(on) as bench:
        for revision in range(1, 5):
            bench.informers.get(POD).take(Apply(pod("x", revision)))
            await bench.clock.advance(0.1)
        await bench.clock.advance(10)
    assert served == pytest.approx([0.0, 0.6])


async def test_a_failing_mapper_does_not_stop_the_cache() -> None:
    """An object that a mapper can't handle is logged; the next one is mapped."""
    on, woken = On("test"), []

    def mapper(obj: Object, _ctx: Context) -> list[Key]:
        return [Key("m", obj["spec"]["nodeName"])]

    @on.reconcile(REPLICA_SET, also=[on.mapped(POD, mapper)])
    async def reconcile(key: Key, _ctx: Context) -> Result:
        woken.append(str(key))
        return DONE

    async with running(on) as bench:
        bench.informers.get(POD).take(Apply(pod("bad", 1)))
        bench.informers.get(POD).take(Apply({**pod("good", 2), "spec": {"nodeName": "n"}}))
        await settle()
    assert woken == ["m/n"]


def test_severity_follows_the_error() -> None:
    """Conflicts are everyday life, refusals of the API deserve a line, bugs a traceback."""
    assert judge(errors.conflict(POD.resource, "x")).level == "debug"
    assert judge(errors.bad_request("no")).level == "warning"
    assert judge(ValueError("bug")).level == "exception"
    assert judge(ValueError("bug")).after_s == BACK_OFF
