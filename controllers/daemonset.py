"""DaemonSet: one pod on every node that fits; `daemons` says which.

Upstream: pkg/controller/daemon.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.errors import ApiError, NotFound
from miniplane.kinds import CONTROLLER_REVISION, DAEMON_SET, NODE, POD
from miniplane.runtime import DONE, Context, On, Result, again

from . import daemons
from .daemons import Daemons, Plan
from .podkeeping import PodKeeper, available_in_s, controller_index, phase
from .revisions import REVISION_HASH, Histories

BURST = 250
"""Pods created or deleted in one go at most."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 900.0
"""Between replacements of a pod that fails again and again on one node."""


@dataclass(slots=True)
class Backoff:
    """When a node's failing pod may be replaced next."""

    pause_s: float = 0.0
    until: float = 0.0

    def wait_s(self, now: float) -> float:
        """Seconds to wait; at 0 the pause begins anew, twice as long, unless all has been well for long."""
        if now < self.until:
            return self.until - now
        calm = now - self.until > 2 * LONGEST_PAUSE_S
        self.pause_s = FIRST_PAUSE_S if calm or not self.pause_s else min(2 * self.pause_s, LONGEST_PAUSE_S)
        self.until = now + self.pause_s
        return 0.0


@dataclass(slots=True)
class DaemonSets:
    """The reconciler."""

    keeper: PodKeeper = field(default_factory=lambda: PodKeeper(DAEMON_SET))
    histories: Histories = field(default_factory=lambda: Histories(DAEMON_SET, REVISION_HASH))
    failing: dict[tuple[str, str], Backoff] = field(default_factory=dict)
    """By uid and node."""

    async def reconcile(self, key: Key, ctx: Context) -> Result:
        """Bring one DaemonSet's pods, history and status in line."""
        daemon_set, nodes = ctx.cache(DAEMON_SET).get(key), ctx.cache(NODE).list()
        self.keeper.remember(key, daemon_set)
        if daemon_set is None or meta.is_deleted(daemon_set):
            return DONE
        if (wait_s := self.keeper.wait_s(daemon_set, ctx)) is not None:
            return again(wait_s)
        history = await self.histories.of(daemon_set, ctx)
        revision = await self.histories.current(daemon_set, history, ctx)
        pods = await self.keeper.claimed(daemon_set, ctx)
        if pods is None or revision is None:
            return DONE  # what was changed wakes us
        word = meta.labels(revision).get(REVISION_HASH, "")
        view = Daemons(daemon_set, {meta.name(node): node for node in nodes}, pods, word, ctx.clock.now())
        plan, wait_s = self._plan(view, ctx)
        failure = await self._do(view, plan, ctx)
        if failure is None and self.keeper.has_written(daemon_set):
            return DONE  # what was created or deleted wakes us
        await _tell(view, ctx)
        if failure is not None:
            raise failure
        live = {meta.labels(pod).get(REVISION_HASH, "") for pod in pods} | {word}
        names = {meta.name(item) for item in history if meta.labels(item).get(REVISION_HASH) in live}
        await self.histories.trim(daemon_set, history, names, ctx)
        waits = (wait_s, available_in_s(pods, view.min_ready_s, view.now))
        soonest = min((one for one in waits if one is not None), default=None)
        return DONE if soonest is None else again(soonest)

    def _plan(self, view: Daemons, ctx: Context) -> tuple[Plan, float | None]:
        """The next step, and when to look again at pods that fail."""
        plan, soonest = view.manage(), None
        for pod in plan.ended:
            where = f"{phase(pod).lower()} daemon pod {meta.namespace(pod)}/{meta.name(pod)} on node"
            where = f"{where} {daemons.node_of(pod)}"
            if phase(pod) == "Succeeded":
                ctx.event(view.daemon_set, "Normal", "SucceededDaemonPod", f"Found {where}, will try to delete it")
            else:
                place = (meta.uid(view.daemon_set), daemons.node_of(pod))
                wait_s = self.failing.setdefault(place, Backoff()).wait_s(ctx.clock.monotonic())
                if wait_s:
                    soonest = wait_s if soonest is None else min(wait_s, soonest)
                    continue
                ctx.event(view.daemon_set, "Warning", "FailedDaemonPod", f"Found {where}, will try to kill it")
            plan.delete.append(pod)
        strategy = (view.daemon_set["spec"].get("updateStrategy") or {}).get("type")
        if not plan.create and not plan.delete and strategy == "RollingUpdate":
            plan = view.update()
        return plan, soonest

    async def _do(self, view: Daemons, plan: Plan, ctx: Context) -> ApiError | None:
        failure = None
        if plan.create:
            bodies = [daemons.pod_for(view.daemon_set, node, view.word) for node in plan.create[:BURST]]
            failure = await self.keeper.create(view.daemon_set, bodies, ctx)
        if plan.delete:
            failure = await self.keeper.delete(view.daemon_set, plan.delete[:BURST], ctx) or failure
        return failure


async def _tell(view: Daemons, ctx: Context) -> None:
    status = view.status()
    if status != (view.daemon_set.get("status") or {}):
        with contextlib.suppress(NotFound):  # gone meanwhile
            await ctx.client.update(DAEMON_SET, view.daemon_set | {"status": status}, subresource="status")


def of_nodes(_node: Object, ctx: Context) -> Sequence[Key]:
    """A node's change may concern every DaemonSet."""
    return ctx.cache(DAEMON_SET).keys


def controller() -> On:
    """The controller."""
    on, sets = On("daemonset"), DaemonSets()
    on.index(POD, "controller", controller_index)
    also = [
        on.owned(POD),
        on.mapped(POD, sets.keeper.adopters),
        on.owned(CONTROLLER_REVISION),
        on.mapped(NODE, of_nodes),
    ]
    on.reconcile(DAEMON_SET, also=also)(sets.reconcile)
    return on
