"""The loop: one pod at a time, the most important first, gets filtered and scored; or room is made for it.

Binding takes the API server a while. It counts as done from the moment that it is asked for, so that the next pods can
be placed meanwhile.

A pod that fits nowhere is parked, says per reason how many nodes refuse it, and is looked at again when that may have
changed. Upstream: pkg/scheduler.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.errors import Conflict, NotFound
from miniplane.kinds import NAMESPACE, NODE, POD, POD_DISRUPTION_BUDGET
from miniplane.runtime import DONE, Context, On, Result, again

from .demand import Demand
from .filters import search
from .nodes import View, runs
from .preemption import Plan, failure, ineligible, plan
from .refusal import Refusal, summary
from .scores import best

SCHEDULER_NAME = "default-scheduler"
BINDS = 32
"""Bindings that may be on their way to the API server."""
RETRY_S = 10.0
"""A pod that fits nowhere is tried again at the latest after this; room on a node wakes it at once."""
PREEMPTED = "default-scheduler: preempting to accommodate a higher priority pod"


def is_waiting(pod: Object | None) -> bool:
    """Whether a pod is ours to place now."""
    return (
        pod is not None
        and not pod["spec"].get("nodeName")
        and not meta.is_deleted(pod)
        and not pod["spec"].get("schedulingGates")
        and pod["spec"].get("schedulerName", SCHEDULER_NAME) == SCHEDULER_NAME
        and runs(pod)
    )


def importance(key: Key, ctx: Context) -> tuple[int, str]:
    """High priority first, then who has waited longest, as upstream's PrioritySort."""
    pod = ctx.cache(POD).get(key)
    if pod is None:
        return 0, ""
    return -(pod["spec"].get("priority") or 0), meta.metadata(pod).get("creationTimestamp") or ""


class Scheduler:
    """The reconciler, with its view of the nodes, and the pods that wait for a change."""

    def __init__(self) -> None:
        self._view: View | None = None
        self._parked: dict[Key, bool] = {}  # whether other pods' places may help
        self._refusing = asyncio.Lock()

    def _look(self, ctx: Context) -> View:
        """The view; made at first use, and from then on told every change before it wakes anybody."""
        if self._view is None:
            for kind in (NAMESPACE, NODE, POD):
                ctx.cache(kind)  # in sync, or this is tried again
            view = View()
            ctx.informers.get(NAMESPACE).subscribe(view.take_namespace)
            ctx.informers.get(NODE).subscribe(view.take_node)
            ctx.informers.get(POD).subscribe(view.take_pod)
            self._view = view
        return self._view

    async def reconcile(self, key: Key, ctx: Context) -> Result:
        """Place one pod."""
        view, pod = self._look(ctx), ctx.cache(POD).get(key)
        self._parked.pop(key, None)
        if pod is None or not is_waiting(pod) or view.is_assumed(meta.uid(pod)):
            return DONE
        demand = Demand.of(pod)
        fit = search(demand, view)
        if fit.feasible:
            return await self._bind(demand, best(demand, fit.feasible, view).name, ctx)
        async with self._refusing:  # one after the other, so that no two make room by ending the same pods
            return await self._refuse(demand, view, ctx)

    async def _refuse(self, demand: Demand, view: View, ctx: Context) -> Result:
        """Tell why a pod has no place, and make room for it if that may be; unless one has come free meanwhile."""
        pod, key = demand.pod, meta.key_of(demand.pod)
        if ctx.cache(POD).get(key) is not pod:
            return DONE  # its change wakes us
        fit = search(demand, view)
        if fit.feasible:
            return await self._bind(demand, best(demand, fit.feasible, view).name, ctx)
        self._parked[key] = demand.minds_others
        message, chosen = summary(len(view), fit.refusals.values()), None
        if fit.refusals:
            why, chosen = self._make_room(demand, view, fit.refusals, ctx)
            message = f"{message} preemption: {why}" if why else message
        await self._unschedulable(pod, message, chosen.node if chosen else "", ctx)
        for victim in chosen.victims if chosen else ():
            await self._end(victim, demand, chosen.node if chosen else "", ctx)
        return again(RETRY_S)

    @staticmethod
    def _make_room(
        demand: Demand, view: View, refusals: Mapping[str, Refusal], ctx: Context
    ) -> tuple[str, Plan | None]:
        if why := ineligible(demand, view):
            return why, None
        found = plan(demand, view, refusals, ctx.cache(POD_DISRUPTION_BUDGET))
        return ("", found) if found else (failure(refusals), None)

    async def _bind(self, demand: Demand, node: str, ctx: Context) -> Result:
        assert self._view is not None
        pod, view = demand.pod, self._view
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": meta.name(pod), "namespace": meta.namespace(pod), "uid": demand.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        view.assume(demand, node)
        try:
            await ctx.client.create_subresource(POD, meta.key_of(pod), "binding", binding)
        except (Conflict, NotFound):
            view.forget(demand.uid)
            return DONE  # bound by somebody else, or gone: the next event tells
        except BaseException:
            view.forget(demand.uid)
            raise
        where = f"{meta.namespace(pod)}/{meta.name(pod)}"
        ctx.event(pod, "Normal", "Scheduled", f"Successfully assigned {where} to {node}")
        return DONE

    @staticmethod
    async def _unschedulable(pod: Object, message: str, nominated: str, ctx: Context) -> None:
        ctx.event(pod, "Warning", "FailedScheduling", message)
        conditions = [dict(item) for item in (pod.get("status") or {}).get("conditions") or ()]
        new = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        body: Object = {"nominatedNodeName": nominated} if nominated else {}
        if meta.set_condition(conditions, new, ctx.clock.now()):
            body["conditions"] = conditions
        if body:
            await ctx.client.patch(POD, meta.key_of(pod), {"status": body}, subresource="status")

    @staticmethod
    async def _end(victim: Demand, winner: Demand, node: str, ctx: Context) -> None:
        """Delete a pod that has to make room."""
        key = meta.key_of(victim.pod)
        conditions = list((victim.pod.get("status") or {}).get("conditions") or ())
        new = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": PREEMPTED}
        meta.set_condition(conditions, new, ctx.clock.now())
        try:
            if not meta.is_deleted(victim.pod):
                await ctx.client.patch(POD, key, {"status": {"conditions": conditions}}, subresource="status")
                await ctx.client.delete(POD, key, uid=victim.uid)
        except NotFound:
            return
        ctx.event(victim.pod, "Normal", "Preempted", f"Preempted by pod {winner.uid} on node {node}")

    def all_parked(self, _changed: Object, _ctx: Context) -> Iterable[Key]:
        """The pods that fit nowhere: any change of a Node may help."""
        return self._wake([*self._parked])

    def parked_by_pods(self, pod: Object, ctx: Context) -> Iterable[Key]:
        """The same, if a pod has left its node room; those that mind others' places at any change of such a pod."""
        if not pod["spec"].get("nodeName") or not self._parked:
            return ()
        gone = not runs(pod) or meta.key_of(pod) not in ctx.cache(POD)
        return self._wake([key for key, minds in self._parked.items() if gone or minds])

    def _wake(self, keys: Sequence[Key]) -> Sequence[Key]:
        for key in keys:
            del self._parked[key]
        return keys


def controller() -> On:
    """The scheduler. Its workers never wait between looking and placing, so pods are placed one after the other."""
    on, scheduler = (
        On("scheduler", workers=BINDS, reads=(NAMESPACE, POD_DISRUPTION_BUDGET), component="default-scheduler"),
        Scheduler(),
    )
    also = [on.mapped(NODE, scheduler.all_parked), on.mapped(POD, scheduler.parked_by_pods)]
    on.reconcile(POD, also=also, order=importance)(scheduler.reconcile)
    return on
