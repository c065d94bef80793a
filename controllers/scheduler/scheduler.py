"""The loop: one pod at a time gets filtered, scored and bound; one that fits nowhere says per reason how many nodes.

Upstream: pkg/scheduler. A binding that the cache does not show yet is assumed, so the next pod sees its node as used.
"""

from collections import Counter
from collections.abc import Iterable

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.errors import Conflict, NotFound
from miniplane.kinds import NODE, POD
from miniplane.runtime import DONE, Context, On, Result, again

from .cluster import node_infos
from .filters import why_not
from .scores import best

SCHEDULER_NAME = "default-scheduler"
RETRY_S = 10.0
"""A pod that fits nowhere is tried again at the latest after this; room on a node wakes it at once."""
_WAITING = "waiting"


def failure_message(total: int, reasons: Iterable[str]) -> str:
    """Upstream's sentence, such as `0/3 nodes are available: 3 Insufficient cpu.`, as it is."""
    counts = Counter(reasons)
    if not counts:
        return "no nodes available to schedule pods"
    told = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items(), key=lambda item: item[0]))
    return f"0/{total} nodes are available: {told}."


def is_waiting(pod: Object | None) -> bool:
    """Whether a pod is ours to place now."""
    return (
        pod is not None
        and not pod["spec"].get("nodeName")
        and not meta.is_deleted(pod)
        and not pod["spec"].get("schedulingGates")
        and pod["spec"].get("schedulerName", SCHEDULER_NAME) == SCHEDULER_NAME
    )


class Scheduler:
    """The reconciler; keeps the bindings that the cache does not show yet: `{pod uid: node}`."""

    def __init__(self) -> None:
        self._assumed: dict[str, str] = {}

    async def reconcile(self, key: Key, ctx: Context) -> Result:
        """Place one pod."""
        pod = ctx.cache(POD).get(key)
        if pod is None or not is_waiting(pod) or meta.uid(pod) in self._assumed:
            self._forget(ctx)
            return DONE
        infos = node_infos(ctx.cache(NODE).list(), ctx.cache(POD).list(), self._assumed)
        refusals = {info.name: why_not(pod, info) for info in infos}
        fitting = [info for info in infos if refusals[info.name] is None]
        if not fitting:
            message = failure_message(len(infos), [reason for reason in refusals.values() if reason])
            return await self._unschedulable(pod, message, ctx)
        return await self._bind(pod, best(pod, fitting).name, ctx)

    def _forget(self, ctx: Context) -> None:
        pods = {meta.uid(pod): pod for pod in ctx.cache(POD).list()} if self._assumed else {}
        self._assumed = {uid: node for uid, node in self._assumed.items() if uid in pods and is_waiting(pods[uid])}

    async def _bind(self, pod: Object, node: str, ctx: Context) -> Result:
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": meta.name(pod), "namespace": meta.namespace(pod), "uid": meta.uid(pod)},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        self._assumed[meta.uid(pod)] = node
        try:
            await ctx.client.create_subresource(POD, meta.key_of(pod), "binding", binding)
        except (Conflict, NotFound):
            self._assumed.pop(meta.uid(pod), None)
            return DONE  # bound by somebody else, or gone: the next event tells
        except BaseException:
            self._assumed.pop(meta.uid(pod), None)
            raise
        where = f"{meta.namespace(pod)}/{meta.name(pod)}"
        ctx.event(pod, "Normal", "Scheduled", f"Successfully assigned {where} to {node}")
        return DONE

    async def _unschedulable(self, pod: Object, message: str, ctx: Context) -> Result:
        ctx.event(pod, "Warning", "FailedScheduling", message)
        conditions = [dict(item) for item in (pod.get("status") or {}).get("conditions") or ()]
        new = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        if meta.set_condition(conditions, new, ctx.clock.now()):
            await ctx.client.patch(POD, meta.key_of(pod), {"status": {"conditions": conditions}}, subresource="status")
        return again(RETRY_S)


def waiting_index(pod: Object) -> Iterable[str]:
    """Index value of the pods that wait for a node."""
    return (_WAITING,) if is_waiting(pod) else ()


def waiting_pods(_changed: Object, ctx: Context) -> Iterable[Key]:
    """All pods that wait for a node: any change of a Node may make room."""
    return [meta.key_of(pod) for pod in ctx.cache(POD).by_index(_WAITING, _WAITING)]


def waiting_for_room(pod: Object, ctx: Context) -> Iterable[Key]:
    """The same, if the pod has left its node room by ending or going."""
    is_over = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    if pod["spec"].get("nodeName") and (is_over or meta.key_of(pod) not in ctx.cache(POD)):
        return waiting_pods(pod, ctx)
    return ()


def controller() -> On:
    """The scheduler; one worker, as upstream: pods are placed one after the other."""
    on = On("scheduler", workers=1, component="default-scheduler")
    on.index(POD, _WAITING, waiting_index)
    on.reconcile(POD, also=[on.mapped(NODE, waiting_pods), on.mapped(POD, waiting_for_room)])(Scheduler().reconcile)
    return on
