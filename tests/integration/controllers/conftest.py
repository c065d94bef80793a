"""A cluster in this process: the real API server, real controllers, and a stand-in for kubelets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

import apiserver
from miniplane import aio
from miniplane.aio import Clock, SystemClock
from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.client import Apply, Client, Delete, InitApply, InitDone
from miniplane.errors import Conflict, NotFound
from miniplane.kinds import POD
from miniplane.runtime import Manager, On

Holds = Callable[[dict[Key, Object]], bool]


class World:
    """What a test does with the cluster."""

    def __init__(self, client: Client, kubeconfig: Path) -> None:
        self.client, self.kubeconfig = client, kubeconfig

    async def until(self, kind: Kind, holds: Holds) -> dict[Key, Object]:
        """Return the objects of a kind as soon as `holds` is true of them; follows a watch, so nothing is missed."""
        seen: dict[Key, Object] = {}
        complete = False
        async with aclosing(self.client.watch(kind)) as events:
            async for event in events:
                match event:
                    case InitApply(obj) | Apply(obj):
                        seen[meta.key_of(obj)] = obj
                    case Delete(obj):
                        seen.pop(meta.key_of(obj), None)
                    case InitDone():
                        complete = True
                    case _:
                        pass
                if complete and holds(seen):
                    return seen
        raise AssertionError("a watch never ends")

    async def until_one(self, kind: Kind, key: Key, holds: Callable[[Object], bool]) -> Object:
        """As `until`, about one object that is there."""
        seen = await self.until(kind, lambda objects: key in objects and holds(objects[key]))
        return seen[key]

    @asynccontextmanager
    async def running(self, *registrars: On, clock: Clock | None = None) -> AsyncIterator[Manager]:
        """Run controllers, with the rights that they have in a real cluster, on real time or on another."""
        ready = asyncio.Event()
        async with Client.from_kubeconfig(self.kubeconfig.with_name("controllers.kubeconfig")) as client:
            manager = Manager(client, registrars, clock or SystemClock())
            async with aio.background(manager.run(ready.set)):
                await ready.wait()
                yield manager

    @asynccontextmanager
    async def kubelets(self, runs: Callable[[Object], bool] = lambda _pod: True) -> AsyncIterator[None]:
        """Make every pod that `runs` says so Running and Ready."""
        async with aio.background(self._run_pods(runs)):
            yield

    async def _run_pods(self, runs: Callable[[Object], bool]) -> None:
        async with aclosing(self.client.watch(POD)) as events:
            async for event in events:
                if isinstance(event, (InitApply, Apply)) and not meta.is_deleted(event.obj) and runs(event.obj):
                    await self.make_ready(event.obj)

    async def make_ready(self, pod: Object) -> None:
        """Make one pod Running and Ready, if it is not."""
        if meta.is_condition_true(pod, "Ready"):
            return
        now = meta.timestamp(self.client.clock.now())
        conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": now}]
        body = {"status": {"phase": "Running", "conditions": conditions}}
        with contextlib.suppress(NotFound, Conflict):
            await self.client.patch(POD, meta.key_of(pod), body, subresource="status")

    async def sweep(self, manager: Manager) -> bool:
        """Reconcile every object once more; says whether that wrote anything (or something else was written)."""
        before = (await self.client.list(POD)).revision
        for controller in manager.controllers:
            for key in controller.ctx.cache(controller.what.kind).keys:
                controller.queue.add(key)
        while not manager.is_idle:  # noqa: ASYNC110  turns of the loop, no time: workers need only those
            await asyncio.sleep(0)
        return (await self.client.list(POD)).revision != before

    async def settled(self, manager: Manager) -> None:
        """Return when two sweeps in a row have changed nothing."""
        calm = 0
        while calm < 2:
            calm = 0 if await self.sweep(manager) else calm + 1


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A fresh API server and its administrator's client."""
    ready = asyncio.Event()
    settings = apiserver.Settings(data_dir=tmp_path, port=0)
    server: Awaitable[None] = apiserver.run(settings, ready=ready.set)
    async with aio.background(server):
        await ready.wait()
        kubeconfig = tmp_path / "kubeconfig"
        async with Client.from_kubeconfig(kubeconfig) as client:
            yield World(client, kubeconfig)


@pytest.fixture
def deployment() -> Callable[..., Object]:
    """Makes Deployments."""

    def make(name: str = "web", *, replicas: int = 3, image: str = "nginx:1", **spec: object) -> Object:
        labels = {"app": name}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "c", "image": image}]},
                },
                **spec,
            },
        }

    return make
