"""A server that is a dictionary, and an operator that works on it: for tests of handlers."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from miniplane import aio
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.client import Apply, Client, Delete, Init, InitApply, InitDone
from miniplane.kinds import CONFIG_MAP
from miniplane.observe import logs
from miniplane.observe.metrics import CollectorRegistry
from miniplane.runtime import Cause, Context, EventRecorder, Informers, On, WorkQueue
from miniplane.runtime.controller import Controller
from miniplane.runtime.metrics import ControllerMetrics, RuntimeMetrics
from miniplane.testing.clock import SimulatedClock, settle

X = Key("a", "x")


class Server:
    """Objects of one kind, and whoever watches them."""

    def __init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self.revision = 0
        self.tell: Callable[[Any], None] = lambda _event: None

    def put(self, name: str, data: Object | None = None, **metadata: Any) -> None:
        """A user creates or changes an object."""
        key = Key("a", name)
        old = self.objects.get(key)
        kept = old["metadata"] if old else {"name": name, "namespace": "a", "uid": f"{name}-{self.revision}"}
        self._store(key, {"metadata": kept | metadata, "data": data if data is not None else (old or {}).get("data")})

    def delete(self, name: str) -> None:
        """A user deletes an object; finalizers keep it for a while."""
        self.put(name, deletionTimestamp="2026-01-02T03:04:05Z")
        self._collect(Key("a", name))

    def _store(self, key: Key, obj: Object) -> Object:
        self.revision += 1
        self.objects[key] = obj | {"metadata": obj["metadata"] | {"resourceVersion": str(self.revision)}}
        self.tell(Apply(self.objects[key]))
        return self.objects[key]

    def _collect(self, key: Key) -> None:
        metadata = self.objects[key]["metadata"]
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            self.tell(Delete(self.objects.pop(key)))

    async def patch(self, _kind: Kind, key: Key, body: Object, **_options: object) -> Object:
        """What an operator writes."""
        old, given = self.objects[key], dict(body["metadata"])
        given.pop("resourceVersion", None)
        annotations = old["metadata"].get("annotations", {}) | given.pop("annotations", {})
        metadata = old["metadata"] | given | ({"annotations": annotations} if annotations else {})
        stored = self._store(key, old | {"metadata": metadata})
        self._collect(key)
        return stored


class Operator:
    """One process of an operator: its informers and controllers."""

    def __init__(self, on: On, server: Server, clock: SimulatedClock) -> None:
        client = Client.__new__(Client)
        client.patch = server.patch  # type: ignore[method-assign, assignment]  # all that handlers write by
        self.informers = Informers(client, clock)
        self.recorder = EventRecorder(client, clock, "test")
        self.ctx = Context(client, clock, logs.get("test"), self.informers, self.recorder)
        self.informer = self.informers.get(CONFIG_MAP)
        metrics = ControllerMetrics(on.name, RuntimeMetrics(CollectorRegistry()))
        self.controllers = [
            Controller(what, self.ctx, WorkQueue(clock), workers=1, metrics=metrics) for what in on.reconciliations
        ]
        self.services = on.services
        self.informer.take(Init())
        for obj in server.objects.values():
            self.informer.take(InitApply(obj))
        self.informer.take(InitDone(str(server.revision)))
        server.tell = self.informer.take


@asynccontextmanager
async def running(on: On, server: Server, clock: SimulatedClock) -> AsyncIterator[Operator]:
    """An operator at work."""
    operator = Operator(on, server, clock)
    runs = [controller.run() for controller in operator.controllers]
    async with aio.background(*runs, *(service(operator.ctx) for service in operator.services)):
        await settle()
        yield operator
    server.tell = lambda _event: None


class Told:
    """What handlers were told, and what they answer: errors in turn, then success."""

    def __init__(self, *errors: Exception) -> None:
        self.causes: list[tuple[str, Any, Any]] = []
        self.succeeded: list[tuple[str, Any, Any]] = []
        self.left = list(errors)

    async def __call__(self, cause: Cause, _ctx: Context) -> None:
        """Take a cause."""
        old, new = (value.get("data") if isinstance(value, dict) else value for value in (cause.old, cause.new))
        self.causes.append((cause.reason.value, old, new))
        if self.left:
            raise self.left.pop(0)
        self.succeeded.append(self.causes[-1])
