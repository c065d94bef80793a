"""PodDisruptionBudget status: counts the pods of each budget; `budgets` says what may go.

Upstream: pkg/controller/disruption.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from miniplane.api import meta
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.api.selectors import LabelSelector
from miniplane.errors import NotFound
from miniplane.kinds import (
    DEPLOYMENT,
    POD,
    POD_DISRUPTION_BUDGET,
    REGISTRY,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    STATEFUL_SET,
)
from miniplane.runtime import DONE, Context, On, Result, again

from . import budgets
from .budgets import Unknowable
from .rollout import wanted

on = On("disruption", component="controllermanager")
_SCALED: Sequence[Kind] = (REPLICATION_CONTROLLER, REPLICA_SET, STATEFUL_SET, DEPLOYMENT)


def selects(budget: Object, pod: Object) -> bool:
    """Whether a budget is about a pod; one without a selector is about none, an empty one about all."""
    selector = budget["spec"].get("selector")
    return selector is not None and LabelSelector.from_object(selector).matches(meta.labels(pod))


def budgets_of(pod: Object, ctx: Context) -> Iterable[Key]:
    """The budgets over a pod."""
    for budget in ctx.cache(POD_DISRUPTION_BUDGET).list(meta.namespace(pod)):
        if selects(budget, pod):
            yield meta.key_of(budget)


def budgets_of_owner(owner: Object, ctx: Context) -> Iterable[Key]:
    """The budgets over the pods that an owner's template makes."""
    template = owner["spec"].get("template") or {}
    return budgets_of({"metadata": {**(template.get("metadata") or {}), "namespace": meta.namespace(owner)}}, ctx)


@on.reconcile(
    POD_DISRUPTION_BUDGET,
    also=[on.mapped(POD, budgets_of), *(on.mapped(kind, budgets_of_owner) for kind in _SCALED)],
)
async def count(key: Key, ctx: Context) -> Result:
    """Write one budget's status if it has changed."""
    budget, now = ctx.cache(POD_DISRUPTION_BUDGET).get(key), ctx.clock.now()
    if budget is None or meta.is_deleted(budget):
        return DONE
    pods = [pod for pod in ctx.cache(POD).list(key.namespace) if selects(budget, pod)]
    old = budget.get("status") or {}
    try:
        scale = _scale(budget, pods, ctx) if budgets.needs_scale(budget) else 0
    except Unknowable as error:
        status = budgets.failed_status(budget, str(error), now)
        if status != old:
            text = f"Failed to calculate the number of expected pods: {error}"
            ctx.event(budget, "Warning", "CalculateExpectedPodCountFailed", text)
    else:
        status = budgets.status(budget, pods, budgets.expectation(budget, len(pods), scale), now)
        if status != old and not pods:
            ctx.event(budget, "Normal", "NoPods", "No matching pods found")
    if status != old:
        try:
            await ctx.client.update(POD_DISRUPTION_BUDGET, budget | {"status": status}, subresource="status")
        except NotFound:
            return DONE
    return _again(budget, pods, ctx)


def _again(budget: Object, pods: Sequence[Object], ctx: Context) -> Result:
    """When the next pod that should have gone counts as staying."""
    now = ctx.clock.now()
    times = [meta.parse_timestamp(when) for when in budgets.disrupted(budget, pods, now).values()]
    if not times:
        return DONE
    return again((min(times) + timedelta(seconds=budgets.DELETION_S) - now).total_seconds())


def _scale(budget: Object, pods: Sequence[Object], ctx: Context) -> int:
    """How many pods the controllers of those pods want in all."""
    found: dict[str, int] = {}
    unmanaged = False
    for pod in pods:
        owner = meta.controller_of(pod)
        if owner is None:
            unmanaged = True
            continue
        kind = REGISTRY.by_kind(owner["apiVersion"], owner["kind"])
        if kind is None or kind not in _SCALED:
            name = f"{kind.plural}.{kind.group}" if kind else str(owner["kind"])
            raise Unknowable(f"{name} does not implement the scale subresource")
        scaled = ctx.cache(kind).get(Key(meta.namespace(pod), owner["name"]))
        if scaled is None or meta.uid(scaled) != owner["uid"]:
            continue
        above = meta.controller_of(scaled)
        if kind == REPLICA_SET and above and above["kind"] == DEPLOYMENT.kind:
            deployment = ctx.cache(DEPLOYMENT).get(Key(meta.namespace(pod), above["name"]))
            if deployment is not None and meta.uid(deployment) == above["uid"]:
                scaled = deployment
        found[meta.uid(scaled)] = wanted(scaled)
    if unmanaged and meta.generation(budget) != (budget.get("status") or {}).get("observedGeneration"):
        text = (
            "Pods selected by this PodDisruptionBudget were found to be unmanaged, so its status can't be calculated "
            'correctly. To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.'
        )
        ctx.event(budget, "Warning", "UnmanagedPods", text)
    return sum(found.values())
