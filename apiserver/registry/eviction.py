"""Evictions: a pod goes only if the PodDisruptionBudget over it has something left to spend.

What is spent is written down in the budget's status before the pod is deleted, so that two evictions at once can't
spend it twice; the budget's controller counts anew. Upstream: pkg/registry/core/pod/storage/eviction.go.
"""

from collections.abc import Iterator

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.selectors import LabelSelector
from miniplane.errors import ApiError, Cause, NotFound, Reason

from ..auth.identity import SERVER
from ..store.base import Entry
from .decoding import copy_of
from .pipeline import Pipeline, Update
from .request import Target, WriteOptions

_UNCONFIRMED = 2000
"""Evictions that the budget's controller may be behind."""
_REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
_WAIT_S = 10
_FREE_PHASES = ("Succeeded", "Failed", "Pending")


def budgets_of(pod: Object, budgets: Iterator[Object]) -> list[Object]:
    """The budgets that are over a pod; one without a selector is over none."""
    return [
        budget
        for budget in budgets
        if (selector := (budget.get("spec") or {}).get("selector")) is not None
        and LabelSelector.from_object(selector).matches(meta.labels(pod))
    ]


def is_free(pod: Object) -> bool:
    """Whether a pod counts for no budget: it has ended, has not begun, or goes anyway."""
    return (pod.get("status") or {}).get("phase") in _FREE_PHASES or meta.is_deleted(pod)


def may_go_unready(pod: Object, budget: Object) -> bool:
    """Whether a pod that is not ready goes without being counted."""
    if meta.is_condition_true(pod, "Ready"):
        return False
    status = budget.get("status") or {}
    if (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    wanted = status.get("desiredHealthy") or 0
    return 0 < wanted <= (status.get("currentHealthy") or 0)


def spend(budget: Object, pod_name: str, now: str) -> None:
    """Take one disruption off a budget, in place.

    Raises:
        ApiError: TooManyRequests with the cause DisruptionBudget where nothing is left or not yet counted; Forbidden.
    """
    name, status = meta.name(budget), budget.setdefault("status", {})
    allowed = status.get("disruptionsAllowed") or 0
    if (status.get("observedGeneration") or 0) < (budget["metadata"].get("generation") or 0):
        raise _too_many(f"The disruption budget {name} is still being processed by the server.", _WAIT_S)
    if len(status.get("disruptedPods") or {}) > _UNCONFIRMED:
        words = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise ApiError(words, reason=Reason.FORBIDDEN)
    if allowed <= 0:
        needs, has = status.get("desiredHealthy") or 0, status.get("currentHealthy") or 0
        raise _too_many(f"The disruption budget {name} needs {needs} healthy pods and has {has} currently", 0)
    status["disruptionsAllowed"] = allowed - 1
    status["disruptedPods"] = {**(status.get("disruptedPods") or {}), pod_name: now}


def _too_many(why: str, wait_s: int) -> ApiError:
    return ApiError(
        _REFUSED, reason=Reason.TOO_MANY_REQUESTS, causes=[Cause("DisruptionBudget", why)], retry_after_s=wait_s or None
    )


class Budgets:
    """The disruption budgets in the store."""

    def __init__(self, pipeline: Pipeline, kind: Kind) -> None:
        self._pipeline = pipeline
        self._kind = kind

    async def allow(self, target: Target, options: WriteOptions) -> str:
        """Let the pod go, at the expense of its budget; returns the revision that the pod must still have, or none.

        Raises:
            ApiError: as `spend`; InternalError for a pod under several budgets.
        """
        entry = self._pipeline.require(target)
        if is_free(entry.obj):
            return ""
        stored = self._pipeline.store.list(f"{self._kind.group}/{self._kind.plural}", target.namespace).entries
        found = budgets_of(entry.obj, (budget.obj for budget in stored))
        if len(found) > 1:
            raise ApiError(
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
            )
        if not found:
            return ""
        if may_go_unready(entry.obj, found[0]):
            return str(entry.revision)  # it could have become ready
        await self._spend(Target(self._kind, SERVER, target.namespace, meta.name(found[0])), target.name, options)
        return ""

    async def _spend(self, budget: Target, pod_name: str, options: WriteOptions) -> None:
        def change(entry: Entry, _warnings: list[str]) -> Object:
            new: Object = copy_of(entry.value)
            spend(new, pod_name, self._pipeline.now())
            return new

        try:
            await self._pipeline.update(budget, Update(change, "status", conditional=False), options)
        except NotFound:
            return  # the budget has gone, and with it what it forbids
