"""Node lifecycle: a node whose kubelet falls silent is not ready, takes no new pods, and after a while loses its own.

A kubelet lives as long as its Lease or its status keeps changing; only this process' own clock counts, so clocks may
differ. Upstream: pkg/controller/nodelifecycle, with its default times.
"""

from dataclasses import dataclass

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.api.wellknown import NODE_LEASE_NAMESPACE
from miniplane.client import PatchType
from miniplane.errors import NotFound
from miniplane.kinds import LEASE, NODE, POD
from miniplane.runtime import DONE, Context, On, Result, again

from .nodehealth import (
    has_taint,
    lost_taint,
    rates,
    readiness,
    silenced,
    unready_pods,
    wanted_taints,
    zone_of,
)
from .pods_of_nodes import index_by_node, pods_of

MONITOR_S = 5.0
"""--node-monitor-period: how often each node is looked at."""
STARTUP_GRACE_FACTOR = 1.2
"""A node that has never spoken may take this much longer than the grace period (upstream: 60 s for 50 s)."""


@dataclass(slots=True)
class Heartbeat:
    """The last sign of life and when it was seen, on this process' clock."""

    sign: tuple[str, str]
    seen_s: float


def sign_of_life(node: Object, lease: Object | None) -> tuple[str, str]:
    """What changes while a kubelet lives."""
    renewed = ((lease or {}).get("spec") or {}).get("renewTime") or ""
    return renewed, (meta.condition(node, "Ready") or {}).get("lastHeartbeatTime") or ""


class NodeLifecycle:
    """The reconciler; keeps the heartbeats, and per zone when the next node may be drained of its pods."""

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._heartbeats: dict[str, Heartbeat] = {}
        self._next_eviction_s: dict[str, float] = {}

    async def reconcile(self, key: Key, ctx: Context) -> Result:
        """Bring one Node's conditions, taints and pods in line with whether its kubelet speaks."""
        node = ctx.cache(NODE).get(key)
        if node is None:
            self._heartbeats.pop(key.name, None)
            return DONE
        if not self._speaks(node, ctx) and (conditions := silenced(node, ctx.clock.now())):
            node = await ctx.client.patch(NODE, key, {"status": {"conditions": conditions}}, subresource="status")
            ctx.event(node, "Normal", "NodeNotReady", f"Node {key.name} status is now: NodeNotReady")
            ctx.log.warning("node is silent", node=key.name)
        node = await self._taint(node, ctx)
        if readiness(node) in ("False", "Unknown"):
            await self._unready(node, ctx)
        return again(min(MONITOR_S, self._grace_s / 4))

    def _speaks(self, node: Object, ctx: Context) -> bool:
        lease = ctx.cache(LEASE).get(Key(NODE_LEASE_NAMESPACE, meta.name(node)))
        sign, now_s = sign_of_life(node, lease), ctx.clock.monotonic()
        last = self._heartbeats.get(meta.name(node))
        if last is None or last.sign != sign:
            self._heartbeats[meta.name(node)] = Heartbeat(sign, now_s)
            return True
        grace_s = self._grace_s if readiness(node) else self._grace_s * STARTUP_GRACE_FACTOR
        return now_s - last.seen_s < grace_s

    async def _taint(self, node: Object, ctx: Context) -> Object:
        now = ctx.clock.now()
        wanted = wanted_taints(node, evict=self._evicts(node, ctx), now=now)
        if wanted == list((node.get("spec") or {}).get("taints") or ()):
            return node
        body = {
            "metadata": {"resourceVersion": node["metadata"]["resourceVersion"]},
            "spec": {"taints": wanted or None},
        }
        return await ctx.client.patch(NODE, meta.key_of(node), body, type=PatchType.MERGE)

    def _evicts(self, node: Object, ctx: Context) -> bool:
        """Whether a Node has, or may now get, the taint that drives its pods away."""
        taint, zone = lost_taint(node), zone_of(node)
        if taint is None:
            return False
        rate = rates(ctx.cache(NODE).list()).get(zone, 0.0)
        if has_taint(node, taint):
            return any(rates(ctx.cache(NODE).list()).values())
        now_s = ctx.clock.monotonic()
        if not rate or now_s < self._next_eviction_s.get(zone, now_s):
            return False
        self._next_eviction_s[zone] = now_s + 1 / rate
        return True

    async def _unready(self, node: Object, ctx: Context) -> None:
        """Take readiness from the pods of a Node, so that Services leave them out."""
        for pod in unready_pods(node, pods_of(node, ctx)):
            conditions = list(pod["status"]["conditions"])
            meta.set_condition(conditions, {"type": "Ready", "status": "False"}, ctx.clock.now())
            body = {
                "metadata": {"resourceVersion": pod["metadata"]["resourceVersion"]},
                "status": {"conditions": conditions},
            }
            try:
                await ctx.client.patch(POD, meta.key_of(pod), body, type=PatchType.MERGE, subresource="status")
            except NotFound:
                continue
            ctx.event(pod, "Warning", "NodeNotReady", "Node is not ready")


def controller(grace_s: float) -> On:
    """The controller. `grace_s` is how long a kubelet may be silent (--node-monitor-grace-period)."""
    on = On("nodelifecycle", workers=1, reads=(LEASE, POD), component="node-controller")
    index_by_node(on)
    on.reconcile(NODE)(NodeLifecycle(grace_s).reconcile)
    return on
