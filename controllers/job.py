"""Job: pods until enough of them have succeeded; `jobs` says what to do.

Upstream: pkg/controller/job.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.client import PatchType
from miniplane.errors import ApiError, NotFound
from miniplane.kinds import JOB, POD
from miniplane.runtime import DONE, Context, On, Result, again

from .jobpods import TRACKING, is_tracked, pod_for
from .jobs import Outcome, is_finished, outcome
from .podfailure import IGNORE, verdict
from .podkeeping import PodKeeper, controller_index

MANAGER = "kubernetes.io/job-controller"
"""`spec.managedBy` of the Jobs that are ours; those without it are, too."""


@dataclass(slots=True)
class Jobs:
    """The reconcilers. `written` is the revision of each Job after our last write, by uid."""

    keeper: PodKeeper = field(default_factory=lambda: PodKeeper(JOB))
    written: dict[str, int] = field(default_factory=dict)

    async def reconcile(self, key: Key, ctx: Context) -> Result:
        """Do what one Job needs next."""
        job = ctx.cache(JOB).get(key)
        self.keeper.remember(key, job)
        if job is None or is_finished(job) or job["spec"].get("managedBy") not in (None, MANAGER):
            if job is not None:
                self.written.pop(meta.uid(job), None)
            return DONE
        if meta.revision(job) < self.written.get(meta.uid(job), 0):
            return DONE  # the newer one wakes us; to count by the older would count twice
        if (wait_s := self.keeper.wait_s(job, ctx)) is not None:
            return again(wait_s)
        pods = await self.keeper.claimed(job, ctx)
        if pods is None:
            return DONE  # the changed pods wake us
        found = outcome(job, pods, ctx.clock.now())
        await self._tell(job, found, ctx)
        await asyncio.gather(*(_free(pod, ctx) for pod in found.free))
        failure = await self._change(job, found, ctx)
        if failure is not None:
            raise failure
        return DONE if found.wait_s is None else again(found.wait_s)

    async def _tell(self, job: Object, found: Outcome, ctx: Context) -> None:
        if found.status == (job.get("status") or {}):
            return
        stored = await ctx.client.update(JOB, job | {"status": found.status}, subresource="status")
        self.written[meta.uid(job)] = meta.revision(stored)
        for type_, reason, message in found.events:
            ctx.event(job, type_, reason, message)

    async def _change(self, job: Object, found: Outcome, ctx: Context) -> ApiError | None:
        await asyncio.gather(*(_free(pod, ctx) for pod in found.withdraw))
        failure = None
        if victims := [*found.delete, *found.withdraw]:
            failure = await self.keeper.delete(job, victims, ctx)
        if found.create:
            bodies = [
                pod_for(job, index, failed, ignored=failed is not None and verdict(job, failed).action == IGNORE)
                for index, failed in found.create
            ]
            failure = await self.keeper.create(job, bodies, ctx) or failure
        return failure

    @staticmethod
    async def release(key: Key, ctx: Context) -> Result:
        """Let go of a pod that waits to be counted by a Job which is over, gone, or not its own."""
        pod = ctx.cache(POD).get(key)
        if pod is None or not is_tracked(pod):
            return DONE
        owner = meta.controller_of(pod)
        if owner is not None and owner["kind"] == JOB.kind:
            job = ctx.cache(JOB).get(Key(key.namespace, owner["name"]))
            if job is not None and meta.uid(job) == owner["uid"]:
                if not is_finished(job):
                    return DONE
            elif await _exists(key.namespace, owner, ctx):
                return DONE  # the cache does not show it yet, and when it does that wakes us
        await _free(pod, ctx)
        return DONE

    @staticmethod
    def pods_of(job: Object, ctx: Context) -> Iterable[Key]:
        """A Job's pods: when it goes, or is over, nobody counts them."""
        if is_finished(job) or meta.key_of(job) not in ctx.cache(JOB):
            yield from (meta.key_of(pod) for pod in ctx.cache(POD).by_index("controller", meta.uid(job)))


async def _exists(namespace: str, owner: Object, ctx: Context) -> bool:
    try:
        live = await ctx.client.get(JOB, owner["name"], namespace)
    except NotFound:
        return False
    return bool(meta.uid(live) == owner["uid"])


async def _free(pod: Object, ctx: Context) -> None:
    """Remove the finalizer by which a pod waits to be counted."""
    body = {"metadata": {"uid": meta.uid(pod), "$deleteFromPrimitiveList/finalizers": [TRACKING]}}
    with contextlib.suppress(NotFound):
        await ctx.client.patch(POD, meta.key_of(pod), body, type=PatchType.STRATEGIC)


def controller() -> On:
    """The controller."""
    on, jobs = On("job"), Jobs()
    on.index(POD, "controller", controller_index)
    on.reconcile(JOB, also=[on.owned(POD), on.mapped(POD, jobs.keeper.adopters)])(jobs.reconcile)
    on.reconcile(POD, also=[on.mapped(JOB, jobs.pods_of)])(jobs.release)
    return on
