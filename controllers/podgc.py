"""Pod garbage: pods that no kubelet will ever end: their node is gone or out of service, or they never had one.

Upstream: pkg/controller/podgc.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.errors import NotFound
from miniplane.kinds import NODE, POD
from miniplane.runtime import Context, On

EVERY_S = 20.0
QUARANTINE_S = 40.0
"""A node must be missing for so long: it may be made again under its name."""
KEPT = 12500
"""Ended pods that may stay for their logs (--terminated-pod-gc-threshold)."""
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
"""Taint by which an administrator says that a node that is not ready is really off."""


@dataclass(frozen=True, slots=True)
class Victim:
    """A pod to be removed; `why` is told in a condition, nothing where it had ended anyway."""

    pod: Object
    why: str = ""


def is_out_of_service(node: Object) -> bool:
    """Whether a node is not ready and has the taint that says it will not come back as it was."""
    taints = (node.get("spec") or {}).get("taints") or ()
    return not meta.is_condition_true(node, "Ready") and any(taint.get("key") == OUT_OF_SERVICE for taint in taints)


def victims(pods: Sequence[Object], nodes: Iterable[Object], lost: Iterable[str]) -> list[Victim]:
    """The pods to remove, given the nodes that exist and those missing for long enough."""
    there, gone = {meta.name(node): node for node in nodes}, set(lost)
    ended = [pod for pod in pods if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")]
    ended.sort(key=lambda pod: pod["metadata"].get("creationTimestamp", ""))
    found = [Victim(pod) for pod in ended[: max(0, len(ended) - KEPT)]]
    for pod in pods:
        node = pod["spec"].get("nodeName")
        if node and node in gone and node not in there:
            found.append(Victim(pod, "PodGC: node no longer exists"))
        elif meta.is_deleted(pod) and (not node or (node in there and is_out_of_service(there[node]))):
            found.append(Victim(pod))
    return found


def failed(pod: Object, why: str, now: datetime) -> Object:
    """The status of a pod that is lost; one that was being deleted anyway was not disrupted."""
    if not why:
        return {"phase": "Failed"}
    status = pod.get("status") or {}
    conditions = [*(status.get("conditions") or [])]
    new = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC", "message": why}
    meta.set_condition(conditions, new, now)
    return {"phase": "Failed", "conditions": conditions}


class PodGarbage:
    """The timer; keeps since when nodes have been missing."""

    def __init__(self) -> None:
        self._missing: dict[str, float] = {}

    async def collect(self, ctx: Context) -> None:
        """Remove what is lost."""
        pods, nodes = ctx.cache(POD).list(), ctx.cache(NODE).list()
        now = ctx.clock.monotonic()
        used = {pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")}
        self._missing = {name: self._missing.get(name, now) for name in used - {*map(meta.name, nodes)}}
        lost = [name for name, since in self._missing.items() if now - since >= QUARANTINE_S]
        for victim in victims(pods, nodes, lost):
            await self._remove(victim, ctx)

    async def _remove(self, victim: Victim, ctx: Context) -> None:
        key: Key = meta.key_of(victim.pod)
        try:
            if (victim.pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
                body = {"status": failed(victim.pod, victim.why, ctx.clock.now())}
                await ctx.client.patch(POD, key, body, subresource="status")
            await ctx.client.delete(POD, key, grace_s=0, uid=meta.uid(victim.pod))
        except NotFound:
            return
        ctx.log.info("lost pod removed", pod=str(key), why=victim.why or "ended")


def controller() -> On:
    """The controller."""
    on = On("podgc", reads=(POD, NODE))
    on.every(EVERY_S)(PodGarbage().collect)
    return on
