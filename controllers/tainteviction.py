"""Taint eviction: a pod on a node with NoExecute taints goes, at once or when its tolerations have run out.

Upstream: pkg/controller/tainteviction. The time counts from the taint's `timeAdded`, so a restart loses none of it.
"""

import math
from collections.abc import Iterable
from datetime import datetime

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.taints import DRIVES_AWAY, taints, tolerates, tolerations
from miniplane.errors import NotFound
from miniplane.kinds import NODE, POD
from miniplane.runtime import DONE, Context, On, Result, again

from .pods_of_nodes import index_by_node, pods_of

MESSAGE = "Taint manager: deleting due to NoExecute taint"

on = On("tainteviction", component="taint-eviction-controller")
index_by_node(on)


def seconds_left(pod: Object, node: Object, now: datetime) -> float:
    """How long a pod may stay on a node: infinite without NoExecute taints or with tolerations for ever."""
    left = math.inf
    for taint in taints(node):
        if taint["effect"] not in DRIVES_AWAY:
            continue
        covering = [item for item in tolerations(pod) if tolerates(item, taint)]
        if not covering:
            return 0.0
        limits = [item["tolerationSeconds"] for item in covering if item.get("tolerationSeconds") is not None]
        if limits:
            since = meta.parse_timestamp(taint["timeAdded"]) if taint.get("timeAdded") else now
            left = min(left, max(0.0, min(limits) - (now - since).total_seconds()))
    return left


def pods_on(node: Object, ctx: Context) -> Iterable[Key]:
    """The pods of a node."""
    return [meta.key_of(pod) for pod in pods_of(node, ctx)]


@on.reconcile(POD, also=[on.mapped(NODE, pods_on)])
async def evict(key: Key, ctx: Context) -> Result:
    """End one pod if its node's taints say so, now or later."""
    pod = ctx.cache(POD).get(key)
    if pod is None or meta.is_deleted(pod) or not pod["spec"].get("nodeName"):
        return DONE
    node = ctx.cache(NODE).get(Key("", pod["spec"]["nodeName"]))
    left = seconds_left(pod, node, ctx.clock.now()) if node else math.inf
    if left == math.inf:
        return DONE
    if left > 0:
        return again(left)
    ctx.event(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {key}")
    conditions = list((pod.get("status") or {}).get("conditions") or ())
    new = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager", "message": MESSAGE}
    try:
        if meta.set_condition(conditions, new, ctx.clock.now()):
            await ctx.client.patch(POD, key, {"status": {"conditions": conditions}}, subresource="status")
        await ctx.client.delete(POD, key, uid=meta.uid(pod))
    except NotFound:
        return DONE
    ctx.log.info("pod driven away by a taint", pod=str(key), node=pod["spec"]["nodeName"])
    return DONE
