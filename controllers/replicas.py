"""As many pods as wanted, no more and no less: what ReplicaSets and ReplicationControllers do.

Counts the pods of an owner, creates what is missing, deletes what is too many in upstream's order of preference, and
tells the counts in the status. Upstream: pkg/controller/replicaset, which serves both kinds, too.
"""

import contextlib
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.errors import ApiError, NotFound
from miniplane.kinds import POD
from miniplane.runtime import DONE, Context, Result, again

from .podkeeping import PodKeeper, available_in_s, is_active, is_available, new_pod, phase, ready_since

BURST = 500
"""Pods created or deleted in one go at most."""
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


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
            _PHASES.get(phase(pod), 0),
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


def status_of(owner: Object, pods: Sequence[Object], failure: ApiError | None, now: datetime) -> Object:
    """The status that an owner should have; `failure` is why pods could not be created or deleted."""
    spec, old = owner["spec"], owner.get("status") or {}
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
        word = "FailedCreate" if len(pods) < _wanted(owner) else "FailedDelete"
        new = {"type": "ReplicaFailure", "status": "True", "reason": word, "message": failure.message}
        meta.set_condition(conditions, new, now)
    status = {"replicas": len(pods)} | {name: count for name, count in counts.items() if count}
    status |= {"observedGeneration": meta.generation(owner)} if meta.generation(owner) else {}
    return status | ({"conditions": conditions} if conditions else {})


def _wanted(owner: Object) -> int:
    replicas = owner["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


class Replicas:
    """The reconciler of one kind."""

    def __init__(self, kind: Kind) -> None:
        self.keeper = PodKeeper(kind)

    async def reconcile(self, key: Key, ctx: Context) -> Result:
        """Bring one owner's pods and status in line."""
        keeper = self.keeper
        owner = ctx.cache(keeper.kind).get(key)
        keeper.remember(key, owner)
        if owner is None:
            return DONE
        if (wait_s := keeper.wait_s(owner, ctx)) is not None:
            return again(wait_s)
        pods = await keeper.claimed(owner, ctx)
        if pods is None:
            return DONE  # the changed pods wake us
        active = [pod for pod in pods if is_active(pod)]
        failure = None if meta.is_deleted(owner) else await self._scale(owner, active, ctx)
        if failure is None and keeper.has_written(owner):
            return DONE  # what was created or deleted wakes us, and then there is more to tell
        await self._tell(owner, active, failure, ctx)
        if failure is not None:
            raise failure
        wait_s = available_in_s(active, owner["spec"].get("minReadySeconds") or 0, ctx.clock.now())
        return DONE if wait_s is None else again(wait_s)

    async def _scale(self, owner: Object, active: Sequence[Object], ctx: Context) -> ApiError | None:
        """Create or delete what the count asks for; gives the first failure."""
        missing = _wanted(owner) - len(active)
        if missing == 0:
            return None
        if missing > 0:
            body = new_pod(owner, self.keeper.kind, owner["spec"]["template"])
            return await self.keeper.create(owner, [body] * min(missing, BURST), ctx)
        victims = to_delete(active, min(-missing, BURST), self._related(owner, ctx), ctx.clock.now())
        return await self.keeper.delete(owner, victims, ctx)

    def _related(self, owner: Object, ctx: Context) -> list[Object]:
        """The pods of all owners with the same controller, such as the ReplicaSets of one Deployment."""
        above = meta.controller_of(owner)
        siblings = [owner]
        if above:
            others = ctx.cache(self.keeper.kind).list(meta.namespace(owner))
            siblings = [other for other in others if (meta.controller_of(other) or {}).get("uid") == above["uid"]]
        cache = ctx.cache(POD)
        return [pod for sibling in siblings for pod in cache.by_index("controller", meta.uid(sibling))]

    async def _tell(self, owner: Object, active: Sequence[Object], failure: ApiError | None, ctx: Context) -> None:
        status = status_of(owner, active, failure, ctx.clock.now())
        if status != (owner.get("status") or {}):
            with contextlib.suppress(NotFound):  # gone meanwhile
                await ctx.client.update(self.keeper.kind, owner | {"status": status}, subresource="status")
