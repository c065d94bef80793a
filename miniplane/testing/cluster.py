"""A whole cluster in this process, for tests: in the running loop, or in a thread of its own for synchronous ones."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from miniplane.api import meta
from miniplane.client import Client
from miniplane.kinds import NODE
from miniplane.local import Launch, LocalCluster, pick_port
from miniplane.runtime import Informers

START_S = 30.0
"""How long a cluster may take to start; it needs well under a second a node."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster: its URL, the administrator's kubeconfig file, the folder with its state."""

    url: str
    kubeconfig: Path
    data_dir: Path


@contextlib.asynccontextmanager
async def running_cluster(data_dir: Path, *, nodes: int = 1, controllers: bool = True) -> AsyncIterator[Cluster]:
    """Run a cluster on the current loop; when the body begins, its nodes are Ready.

    Without `controllers` it is an API server alone.
    """
    plan = LocalCluster(data_dir=data_dir, port=pick_port(0), nodes=nodes, log_level="warning")
    plan.prepare()
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(_running([plan.apiserver()]))
        if controllers:
            await stack.enter_async_context(_running(plan.others()))
            async with Client.from_kubeconfig(plan.kubeconfig) as client:
                await _nodes_ready(client, nodes)
        yield Cluster(plan.url, plan.kubeconfig, data_dir)


@contextlib.asynccontextmanager
async def _running(launches: list[Launch]) -> AsyncIterator[None]:
    """Run programs side by side; the body begins when all are ready, and its end stops them."""
    async with asyncio.TaskGroup() as group:
        ready = [asyncio.Event() for _ in launches]
        tasks = [
            group.create_task(launch.run(ready=event.set), name=launch.name)
            for launch, event in zip(launches, ready, strict=True)
        ]
        try:
            async with asyncio.timeout(START_S):
                await asyncio.gather(*(event.wait() for event in ready))
            yield
        finally:
            for task in tasks:
                task.cancel()


async def _nodes_ready(client: Client, count: int) -> None:
    async with asyncio.timeout(START_S), Informers(client, client.clock) as informers:
        nodes, changed = informers.get(NODE), asyncio.Event()
        nodes.subscribe(lambda _: changed.set())
        await nodes.synced()
        while sum(meta.is_condition_true(node, "Ready") for node in nodes.cache) < count:
            changed.clear()
            await changed.wait()


@contextlib.contextmanager
def cluster_in_thread(data_dir: Path, *, nodes: int = 1) -> Iterator[Cluster]:
    """As `running_cluster`, on a loop in a thread, for tests that are not asynchronous."""
    started: list[Cluster | BaseException] = []
    ready, stop = threading.Event(), threading.Event()
    stopping: list[Callable[[], object]] = []

    async def serve() -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        stopping.append(partial(loop.call_soon_threadsafe, ended.set))
        async with running_cluster(data_dir, nodes=nodes) as cluster:
            started.append(cluster)
            ready.set()
            await ended.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001  # handed to the thread that waits
            started.append(error)
        finally:
            ready.set()
            stop.set()

    thread = threading.Thread(target=run, name="miniplane cluster", daemon=True)
    thread.start()
    ready.wait()
    first = started[0]
    if isinstance(first, BaseException):
        raise first
    try:
        yield first
    finally:
        stopping[0]()
        stop.wait()
        thread.join()
