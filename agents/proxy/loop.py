"""The proxy's loop: whenever something that rules depend on has changed, compile and apply.

Caches → `Snapshot` → `Compiler` → `Backend`. A burst of changes is one sync; a change that no rule can see, such as a
heartbeat, is none. An object that can't be read is left out and named in the log, and never stops the others.
Counterpart upstream: kube-proxy's proxier.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from miniplane.aio import Clock
from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.config import Network
from miniplane.dataplane import views
from miniplane.dataplane.compile import Compiler
from miniplane.dataplane.program import Program
from miniplane.dataplane.ruleset import Ruleset
from miniplane.dataplane.snapshot import Memo, Snapshot
from miniplane.dataplane.tierviews import cluster_policy_view
from miniplane.kinds import (
    ADMIN_NETWORK_POLICY,
    BASELINE_ADMIN_NETWORK_POLICY,
    CLUSTER_NETWORK_POLICY,
    ENDPOINT_SLICE,
    NAMESPACE,
    NETWORK_POLICY,
    NODE,
    POD,
    SERVICE,
)
from miniplane.observe import logs
from miniplane.observe.metrics import CollectorRegistry, Counter, Gauge, Histogram
from miniplane.runtime.informer import Change, Informers

from .backends.base import Backend

log = logs.get("agents.proxy")

GATHER_S = 0.005
"""How long a change waits for others of its burst. Small beside the 100 ms in which a change must be in force."""
RETRY_S = 1.0
"""Wait after a sync that failed."""

FLAWS = (LookupError, TypeError, AttributeError, ValueError)
"""What reading an object raises that is not of its kind's form."""

_CLUSTER_POLICIES = (CLUSTER_NETWORK_POLICY, ADMIN_NETWORK_POLICY, BASELINE_ADMIN_NETWORK_POLICY)
_VIEWS: Mapping[Kind, Callable[[Object], Any]] = {
    NODE: views.node_view,
    POD: views.pod_view,
    SERVICE: views.service_view,
    ENDPOINT_SLICE: views.slice_view,
    NETWORK_POLICY: views.policy_view,
    NAMESPACE: views.namespace_view,
    **dict.fromkeys(_CLUSTER_POLICIES, cluster_policy_view),
}
_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """What the proxy counts; names are kube-proxy's where it has them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.duration = Histogram(
            "kubeproxy_sync_proxy_rules_duration_seconds", "Time of one sync", registry=registry, buckets=_BUCKETS
        )
        self.last = Gauge(
            "kubeproxy_sync_proxy_rules_last_timestamp_seconds", "When rules were last put in force", registry=registry
        )
        self.queued = Gauge(
            "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", "When a sync was last due", registry=registry
        )
        self.failures = Counter("miniplane_proxy_sync_failures_total", "Syncs that failed", registry=registry)
        self.unreadable = Gauge(
            "miniplane_proxy_unreadable_objects", "Objects left out of the rules", registry=registry
        )
        self.problems = Gauge("miniplane_proxy_problems", "What objects ask for and can't have", registry=registry)


class Proxy:
    """One node's proxy. Make it before its informers are entered or after, `run` it in a task.

    `ready` is set once the first complete program is in force: pods start after that.
    """

    def __init__(
        self,
        node: str,
        network: Network,
        informers: Informers,
        backend: Backend,
        clock: Clock,
        registry: CollectorRegistry,
    ) -> None:
        self.ready = asyncio.Event()
        self.program: Program | None = None
        """The program in force."""
        self._node, self._network = node, network
        self._backend = backend
        self._clock = clock
        self._metrics = Metrics(registry)
        self._compiler = Compiler()
        self._memo = Memo()
        self._unreadable: dict[str, str] = {}
        self._changed = asyncio.Event()
        self._informers = {kind: informers.get(kind) for kind in _VIEWS}

    @property
    def ruleset(self) -> Ruleset:
        """The rules in force; none before the first sync."""
        return self.program.ruleset if self.program is not None else Ruleset(())

    async def run(self) -> None:
        """Keep the rules as the caches say until cancelled."""
        unsubscribe = [informer.subscribe(self._notice(kind)) for kind, informer in self._informers.items()]
        try:
            for informer in self._informers.values():
                await informer.synced()
            self._changed.set()
            while True:
                await self._changed.wait()
                if self.ready.is_set():
                    await self._clock.sleep(GATHER_S)
                self._changed.clear()
                if await self._sync():
                    self.ready.set()
                else:
                    await self._clock.sleep(RETRY_S)
                    self._changed.set()
        finally:
            for stop in unsubscribe:
                stop()

    def _notice(self, kind: Kind) -> Callable[[Change], None]:
        view = _VIEWS[kind]

        def handler(change: Change) -> None:
            if self._changed.is_set():
                return
            if change.old is not None and change.new is not None:
                try:
                    if view(change.old) == view(change.new):
                        return
                except FLAWS:  # the sync will name it
                    log.debug("object can't be compared", kind=kind.kind, object=meta.key_of(change.new))
            self._metrics.queued.set(self._clock.now().timestamp())
            self._changed.set()

        return handler

    async def _sync(self) -> bool:
        """Compile and apply; says whether it went well."""
        began = self._clock.monotonic()
        try:
            program = self._compiler.compile(self._snapshot())
            if program is not self.program:
                await self._backend.apply(program)
        except Exception:  # the agent's supervisor: rules in force stay, the next try may go well
            log.exception("rules could not be put in force")
            self._metrics.failures.inc()
            return False
        if program is not self.program:
            self._tell_problems(program)
            self.program = program
            log.debug("rules in force", seconds=round(self._clock.monotonic() - began, 4))
        self._metrics.duration.observe(self._clock.monotonic() - began)
        self._metrics.last.set(self._clock.now().timestamp())
        return True

    def _snapshot(self) -> Snapshot:
        objects = {kind: informer.cache.list() for kind, informer in self._informers.items()}
        try:
            built = self._build(objects)
            self._unreadable = {}
        except FLAWS:
            built = self._build(self._without_unreadable(objects))
        self._metrics.unreadable.set(len(self._unreadable))
        return built

    def _build(self, objects: Mapping[Kind, Sequence[Object]]) -> Snapshot:
        return Snapshot.build(
            self._node,
            self._network,
            nodes=objects[NODE],
            pods=objects[POD],
            services=objects[SERVICE],
            slices=objects[ENDPOINT_SLICE],
            policies=objects[NETWORK_POLICY],
            namespaces=objects[NAMESPACE],
            cluster_policies=[item for kind in _CLUSTER_POLICIES for item in objects[kind]],
            memo=self._memo,
        )

    def _without_unreadable(self, objects: Mapping[Kind, Sequence[Object]]) -> dict[Kind, list[Object]]:
        readable: dict[Kind, list[Object]] = {}
        flaws: dict[str, str] = {}
        for kind, items in objects.items():
            readable[kind] = []
            for item in items:
                try:
                    _VIEWS[kind](item)
                except FLAWS as error:
                    flaws[f"{kind.kind} {meta.key_of(item)}"] = repr(error)
                else:
                    readable[kind].append(item)
        for name in flaws.keys() - self._unreadable.keys():
            log.error("object is left out of the rules", object=name, error=flaws[name])
        self._unreadable = flaws
        return readable

    def _tell_problems(self, program: Program) -> None:
        self._metrics.problems.set(len(program.problems))
        known = set(self.program.problems) if self.program is not None else set()
        for problem in program.problems:
            if problem not in known:
                log.warning("object asks for what it can't have", object=problem.origin, problem=problem.message)
