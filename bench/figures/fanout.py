"""One writer and a thousand watches of the store, without HTTP."""

import asyncio
import tempfile
import time
from collections.abc import Sequence

from apiserver.store import Draft, Put, ResourceKey, Store, Subscription, open_store
from bench.figures.base import Figure, Group, percentile, pod, timed

WATCHERS = 1000
BURST = 1000
PACED = 300
PACE_S = 0.01


def put(number: int) -> Put:
    """The next change of one of fifty pods, saying when it was made."""
    name = f"pod-{number % 50}"
    obj = pod(name)
    obj["metadata"]["annotations"] = {"made": str(time.perf_counter())}
    return Put(ResourceKey("/pods", "default", name), Draft(obj), None)


async def read(watch: Subscription, amount: int, delays: list[float]) -> None:
    """Read `amount` events as a server would, joining their lines, and note how old each batch's first was."""
    while amount > 0:
        batch = await anext(watch)
        assert b"".join([event.line for event in batch])
        amount -= len(batch)
        delays.append(time.perf_counter() - float(batch[0].entry.obj["metadata"]["annotations"]["made"]))


async def deliver(store: Store, writes: int, pace_s: float) -> tuple[float, list[float]]:
    """Seconds until every watcher has seen `writes` changes, and the delays."""
    delays: list[float] = []
    readers = [
        asyncio.create_task(read(store.watch("/pods", since=store.revision), writes, delays)) for _ in range(WATCHERS)
    ]
    with timed() as watch:
        start = time.perf_counter()
        for number in range(writes):
            await store.commit([put(number)])
            if pace_s:
                await asyncio.sleep(max(0.0, start + (number + 1) * pace_s - time.perf_counter()))
        await asyncio.gather(*readers)
    return watch.seconds, delays


async def wakes() -> float:
    """How many waiting tasks a second this loop can wake at all."""
    rounds = 50
    waiting: list[asyncio.Future[None]] = []
    loop = asyncio.get_running_loop()

    async def sleeper() -> None:
        for _ in range(rounds):
            waiting.append(future := loop.create_future())
            await future

    tasks = [asyncio.create_task(sleeper()) for _ in range(WATCHERS)]
    with timed() as watch:
        while not all(task.done() for task in tasks):
            due, waiting = waiting, []
            for future in due:
                future.set_result(None)
            await asyncio.sleep(0)
    return watch.rate(rounds * WATCHERS)


async def run() -> Sequence[Figure]:
    """A burst for the rate, a pace for the delay."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        async with open_store(f"sqlite:///{folder}/fanout.sqlite3") as store:
            seconds, _ = await deliver(store, BURST, 0)
            _, delays = await deliver(store, PACED, PACE_S)
    rate = BURST * WATCHERS / seconds
    name = f"events delivered, {WATCHERS} watches"
    late = percentile(delays, 0.99)
    return (
        Figure(name=name, measured=rate, limit=50_000, unit="/s", against="the design's promise"),
        Figure(name=name, measured=rate, limit=await wakes(), unit="/s", against="waking tasks alone", need=0.2),
        Figure(
            name="p99 delay at 100 writes/s",
            measured=late * 1000,
            limit=250,
            unit="ms",
            against="the design's promise",
            better="less",
        ),
    )


def measure() -> Sequence[Figure]:
    """See `run`."""
    return asyncio.run(run())


GROUP = Group("fanout", "watches of the store", measure)
