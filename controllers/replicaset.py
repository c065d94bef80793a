"""ReplicaSet: as many pods as wanted, no more and no less.

Counts the pods that it controls (adopting matching orphans, letting go of what no longer matches), creates what is
missing, deletes what is too many in upstream's order of preference, and tells the counts in the status.

A cache that lags behind own writes must not lead to a second creation. So each ReplicaSet remembers the revision of
its last created pod and the uids of pods that it deleted; while the cache is older it waits. Upstream reaches the
same with counters of expected events (pkg/controller/controller_utils.go).
"""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.selectors import LabelSelector
from miniplane.errors import ApiError, NotFound
from miniplane.kinds import POD, REPLICA_SET
from miniplane.runtime import DONE, Context, On, Result, again
from miniplane.runtime.cache import Cache

BURST = 500
"""Pods created or deleted in one go at most."""
EXPECT_S = 300.0
"""After this an own write that the cache never showed no longer counts (upstream's ExpectationsTimeout)."""
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def controller_index(pod: Object) -> Iterable[str]:
    """Index value of a pod: its controller's uid, or where orphans of its namespace stand."""
    owner = meta.controller_of(pod)
    return (owner["uid"] if owner else orphans(meta.namespace(pod)),)


def orphans(namespace: str) -> str:
    """The index value of pods of a namespace that nobody controls."""
    return f"orphans of {namespace}"


def is_active(pod: Object) -> bool:
    """Whether a pod counts: neither over nor on its way out."""
    return (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed") and not meta.is_deleted(pod)


def ready_since(pod: Object) -> datetime | None:
    """Since when the pod has been ready; None if it is not."""
    condition = meta.condition(pod, "Ready")
    if condition is None or condition.get("status") != "True":
        return None
    text = condition.get("lastTransitionTime")
    return meta.parse_timestamp(text) if text else meta.created(pod)


def is_available(pod: Object, min_ready_s: int, now: datetime) -> bool:
    """Whether the pod has been ready for long enough."""
    since = ready_since(pod)
    return since is not None and (not min_ready_s or (now - since).total_seconds() >= min_ready_s)


@dataclass(slots=True)
class Claim:
    """The pods of a ReplicaSet, and those whose owner must change first."""

    own: list[Object] = field(default_factory=list)
    adopt: list[Object] = field(default_factory=list)
    release: list[Object] = field(default_factory=list)


def claim(replica_set: Object, controlled: Iterable[Object], orphaned: Iterable[Object]) -> Claim:
    """Sort pods: `controlled` by this ReplicaSet, `orphaned` in its namespace."""
    selector = LabelSelector.from_object(replica_set["spec"]["selector"])
    claimed = Claim()
    for pod in controlled:
        matches = selector.matches(meta.labels(pod))
        (claimed.own if matches or meta.is_deleted(replica_set) else claimed.release).append(pod)
    if not meta.is_deleted(replica_set):
        claimed.adopt = [pod for pod in orphaned if is_active(pod) and selector.matches(meta.labels(pod))]
    return claimed


def to_delete(pods: Sequence[Object], count: int, related: Sequence[Object], now: datetime) -> list[Object]:
    """The `count` pods that are least missed, as upstream ranks them (ActivePodsWithRanks)."""
    crowd: dict[str, int] = {}
    for pod in related:
        if is_active(pod) and (node := pod["spec"].get("nodeName")):
            crowd[node] = crowd.get(node, 0) + 1

    def rank(pod: Object) -> tuple[Any, ...]:
        status, node, since = pod.get("status") or {}, pod["spec"].get("nodeName", ""), ready_since(pod)
        restarts = max((item.get("restartCount", 0) for item in status.get("containerStatuses") or ()), default=0)
        return (
            bool(node),
            _PHASES.get(status.get("phase", "Pending"), 0),
            since is not None,
            _cost(pod),
            -crowd.get(node, 0),
            _age_class(since, now),
            -restarts,
            _age_class(meta.created(pod), now),
            meta.uid(pod),
        )

    return sorted(pods, key=rank)[:count]


def _cost(pod: Object) -> int:
    try:
        return int(meta.annotations(pod).get(DELETION_COST, "0"))
    except ValueError:
        return 0


def _age_class(since: datetime | None, now: datetime) -> int:
    """Younger goes first, but only by the logarithm of the age, so that replacements spread over failure domains."""
    return int(math.log2(max((now - since).total_seconds(), 1.0))) if since else -1


def new_pod(replica_set: Object) -> Object:
    """A pod from the template."""
    template = replica_set["spec"]["template"]
    given = template.get("metadata") or {}
    metadata: dict[str, Any] = {
        "generateName": f"{meta.name(replica_set)}-",
        "namespace": meta.namespace(replica_set),
        "ownerReferences": [meta.owner_reference(replica_set, kind=REPLICA_SET)],
    }
    metadata |= {name: given[name] for name in ("labels", "annotations", "finalizers") if given.get(name)}
    return {"apiVersion": POD.api_version, "kind": POD.kind, "metadata": metadata, "spec": template["spec"]}


def status_of(replica_set: Object, pods: Sequence[Object], failure: ApiError | None, now: datetime) -> Object:
    """The status that the ReplicaSet should have; `failure` is why pods could not be created or deleted."""
    spec, old = replica_set["spec"], replica_set.get("status") or {}
    template_labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    ready = [pod for pod in pods if ready_since(pod)]
    min_ready_s = spec.get("minReadySeconds") or 0
    counts = {
        "fullyLabeledReplicas": sum(template_labels.items() <= meta.labels(pod).items() for pod in pods),
        "readyReplicas": len(ready),
        "availableReplicas": sum(is_available(pod, min_ready_s, now) for pod in ready),
    }
    conditions = [item for item in old.get("conditions") or () if item["type"] != "ReplicaFailure" or failure]
    if failure:
        word = "FailedCreate" if len(pods) < _wanted(replica_set) else "FailedDelete"
        new = {"type": "ReplicaFailure", "status": "True", "reason": word, "message": failure.message}
        meta.set_condition(conditions, new, now)
    status = {"replicas": len(pods)} | {name: count for name, count in counts.items() if count}
    status |= {"observedGeneration": meta.generation(replica_set)} if meta.generation(replica_set) else {}
    return status | ({"conditions": conditions} if conditions else {})


def _wanted(replica_set: Object) -> int:
    replicas = replica_set["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


@dataclass(slots=True)
class Expected:
    """Own writes that the pods' cache must show before pods are counted again."""

    revision: int = 0
    deleted: set[str] = field(default_factory=set)
    until: float = 0.0

    def is_met(self, cache: Cache, pods: Sequence[Object], now: float) -> bool:
        """Whether the cache shows them all, or they are too old to wait for."""
        if now >= self.until:
            return True
        self.deleted &= {meta.uid(pod) for pod in pods if not meta.is_deleted(pod)}
        return not self.deleted and cache.revision >= self.revision


class ReplicaSets:
    """The reconciler; keeps what it expects by the ReplicaSet's uid."""

    def __init__(self) -> None:
        self._expected: dict[str, Expected] = {}
        self._uids: dict[Key, str] = {}

    async def reconcile(self, key: Key, ctx: Context) -> Result:
        """Bring one ReplicaSet's pods and status in line."""
        replica_set, cache = ctx.cache(REPLICA_SET).get(key), ctx.cache(POD)
        self._forget(key, replica_set)
        if replica_set is None:
            return DONE
        uid = meta.uid(replica_set)
        controlled = cache.by_index("controller", uid)
        expected = self._expected.get(uid)
        if expected is not None and not expected.is_met(cache, controlled, ctx.clock.monotonic()):
            return again(expected.until - ctx.clock.monotonic())  # the cache's next event comes long before
        self._expected.pop(uid, None)
        claimed = claim(replica_set, controlled, cache.by_index("controller", orphans(key.namespace)))
        if claimed.adopt or claimed.release:
            await self._settle_owners(replica_set, claimed, ctx)
            return DONE  # the changed pods wake us
        active = [pod for pod in claimed.own if is_active(pod)]
        failure = None if meta.is_deleted(replica_set) else await self._scale(replica_set, active, ctx)
        if failure is None and uid in self._expected:
            return DONE  # what was created or deleted wakes us, and then there is more to tell
        await self._tell(replica_set, active, failure, ctx)
        if failure is not None:
            raise failure
        return _next_look(replica_set, active, ctx.clock.now())

    def _forget(self, key: Key, replica_set: Object | None) -> None:
        uid = "" if replica_set is None else meta.uid(replica_set)
        if (old := self._uids.get(key)) and old != uid:
            self._expected.pop(old, None)
            del self._uids[key]
        if uid:
            self._uids[key] = uid

    async def _settle_owners(self, replica_set: Object, claimed: Claim, ctx: Context) -> None:
        for pod in claimed.release:
            kept = [item for item in meta.owner_references(pod) if item["uid"] != meta.uid(replica_set)]
            await _set_owners(pod, kept, ctx)
        if claimed.adopt:
            # Ask the server: a ReplicaSet that is being deleted must not adopt, and the cache may not know yet.
            live = await ctx.client.get(REPLICA_SET, meta.name(replica_set), meta.namespace(replica_set))
            if meta.uid(live) != meta.uid(replica_set) or meta.is_deleted(live):
                return
        for pod in claimed.adopt:
            mine = meta.owner_reference(replica_set, kind=REPLICA_SET)
            await _set_owners(pod, [*meta.owner_references(pod), mine], ctx)

    async def _scale(self, replica_set: Object, active: Sequence[Object], ctx: Context) -> ApiError | None:
        """Create or delete what the count asks for; gives the first failure."""
        missing = _wanted(replica_set) - len(active)
        if missing == 0:
            return None
        expected = Expected(until=ctx.clock.monotonic() + EXPECT_S)
        self._expected[meta.uid(replica_set)] = expected
        if missing > 0:
            return await self._create(replica_set, min(missing, BURST), expected, ctx)
        related = _related(replica_set, ctx)
        victims = to_delete(active, min(-missing, BURST), related, ctx.clock.now())
        return await self._delete(replica_set, victims, expected, ctx)

    async def _create(self, replica_set: Object, count: int, expected: Expected, ctx: Context) -> ApiError | None:
        body = new_pod(replica_set)

        async def one() -> ApiError | None:
            try:
                pod = await ctx.client.create(POD, body)
            except ApiError as error:
                if _is_terminating(error):
                    return None  # the namespace is on its way out, and so are we
                ctx.event(replica_set, "Warning", "FailedCreate", f"Error creating: {error.message}")
                return error
            expected.revision = max(expected.revision, meta.revision(pod))
            ctx.event(replica_set, "Normal", "SuccessfulCreate", f"Created pod: {meta.name(pod)}")
            return None

        return await slow_start(count, one)

    async def _delete(
        self, replica_set: Object, victims: Sequence[Object], expected: Expected, ctx: Context
    ) -> ApiError | None:
        async def one(pod: Object) -> ApiError | None:
            expected.deleted.add(meta.uid(pod))
            try:
                await ctx.client.delete(POD, meta.key_of(pod), uid=meta.uid(pod))
            except NotFound:
                return None
            except ApiError as error:
                expected.deleted.discard(meta.uid(pod))
                ctx.event(replica_set, "Warning", "FailedDelete", f"Error deleting: {error.message}")
                return error
            ctx.event(replica_set, "Normal", "SuccessfulDelete", f"Deleted pod: {meta.name(pod)}")
            return None

        failures = await asyncio.gather(*(one(pod) for pod in victims))
        return next((error for error in failures if error is not None), None)

    async def _tell(
        self, replica_set: Object, active: Sequence[Object], failure: ApiError | None, ctx: Context
    ) -> None:
        status = status_of(replica_set, active, failure, ctx.clock.now())
        if status != (replica_set.get("status") or {}):
            with contextlib.suppress(NotFound):  # gone meanwhile
                await ctx.client.update(REPLICA_SET, replica_set | {"status": status}, subresource="status")


async def slow_start(count: int, one: Callable[[], Awaitable[ApiError | None]]) -> ApiError | None:
    """Do `one` `count` times in batches of 1, 2, 4, …; stop after a batch with a failure and give it.

    If every creation fails (a quota, say), one request tells, not hundreds.
    """
    size = 1
    while count > 0:
        batch = min(size, count)
        failures = await asyncio.gather(*(one() for _ in range(batch)))
        if failure := next((error for error in failures if error is not None), None):
            return failure
        count -= batch
        size *= 2
    return None


def _is_terminating(error: ApiError) -> bool:
    return any(cause.reason == "NamespaceTerminating" for cause in error.causes)


async def _set_owners(pod: Object, owners: Sequence[Object], ctx: Context) -> None:
    metadata = {"uid": meta.uid(pod), "resourceVersion": pod["metadata"]["resourceVersion"]}
    body = {"metadata": metadata | {"ownerReferences": owners or None}}
    try:
        await ctx.client.patch(POD, meta.key_of(pod), body)
    except NotFound:
        ctx.log.debug("pod gone before its owner changed", pod=str(meta.key_of(pod)))


def _related(replica_set: Object, ctx: Context) -> list[Object]:
    """The pods of all ReplicaSets with the same controller, such as those of one Deployment."""
    owner = meta.controller_of(replica_set)
    siblings = [replica_set]
    if owner:
        others = ctx.cache(REPLICA_SET).list(meta.namespace(replica_set))
        siblings = [other for other in others if (meta.controller_of(other) or {}).get("uid") == owner["uid"]]
    cache = ctx.cache(POD)
    return [pod for sibling in siblings for pod in cache.by_index("controller", meta.uid(sibling))]


def _next_look(replica_set: Object, active: Sequence[Object], now: datetime) -> Result:
    """When the next ready pod becomes available by time alone."""
    min_ready_s = replica_set["spec"].get("minReadySeconds") or 0
    waits = [
        min_ready_s - (now - since).total_seconds()
        for pod in active
        if (since := ready_since(pod)) and not is_available(pod, min_ready_s, now)
    ]
    return again(min(waits)) if waits else DONE


def matching(pod: Object, ctx: Context) -> Iterable[Key]:
    """The ReplicaSets that may adopt an orphan."""
    if meta.controller_of(pod):
        return
    for replica_set in ctx.cache(REPLICA_SET).list(meta.namespace(pod)):
        if LabelSelector.from_object(replica_set["spec"]["selector"]).matches(meta.labels(pod)):
            yield meta.key_of(replica_set)


def controller() -> On:
    """The controller."""
    on = On("replicaset")
    on.index(POD, "controller", controller_index)
    on.reconcile(REPLICA_SET, also=[on.owned(POD), on.mapped(POD, matching)])(ReplicaSets().reconcile)
    return on
