"""How many pods a PodDisruptionBudget lets go: what eviction and preemption read. Pure.

Upstream: pkg/controller/disruption.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object

CONDITION = "DisruptionAllowed"
DELETION_S = 120.0
"""A pod whose eviction was allowed counts as going for so long."""


class Unknowable(Exception):
    """The number of expected pods can't be told, and why."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """How many pods there should be, and how many of these must stay healthy."""

    pods: int
    healthy: int


def _share(value: Any, whole: int) -> int:
    """A number, or a percentage of the whole, rounded up."""
    if isinstance(value, str) and value.endswith("%"):
        return math.ceil(int(value[:-1]) * whole / 100)
    return int(value)


def needs_scale(budget: Object) -> bool:
    """Whether the pods' controllers must say how many pods there should be."""
    spec = budget["spec"]
    return spec.get("maxUnavailable") is not None or isinstance(spec.get("minAvailable"), str)


def expectation(budget: Object, present: int, scale: int) -> Expectation:
    """What is expected, of `present` pods whose controllers want `scale` in all."""
    spec = budget["spec"]
    if spec.get("maxUnavailable") is not None:
        return Expectation(scale, max(0, scale - _share(spec["maxUnavailable"], scale)))
    if isinstance(spec.get("minAvailable"), str):
        return Expectation(scale, _share(spec["minAvailable"], scale))
    return Expectation(present, int(spec.get("minAvailable") or 0))


def disrupted(budget: Object, pods: Sequence[Object], now: datetime) -> Mapping[str, str]:
    """`{pod: when its eviction was allowed}` of pods that are still there and may still go."""
    noted = (budget.get("status") or {}).get("disruptedPods") or {}
    limit = now - timedelta(seconds=DELETION_S)
    here = {meta.name(pod) for pod in pods if not meta.is_deleted(pod)}
    return {name: when for name, when in noted.items() if name in here and meta.parse_timestamp(when) > limit}


def healthy(pods: Sequence[Object], going: Mapping[str, str]) -> int:
    """How many pods are ready and stay."""
    return sum(
        meta.is_condition_true(pod, "Ready") and not meta.is_deleted(pod) and meta.name(pod) not in going
        for pod in pods
    )


def status(budget: Object, pods: Sequence[Object], expected: Expectation, now: datetime) -> Object:
    """The status that the budget should have."""
    going = disrupted(budget, pods, now)
    count = healthy(pods, going)
    allowed = max(0, count - expected.healthy) if expected.pods > 0 else 0
    made: Object = {
        "currentHealthy": count,
        "desiredHealthy": expected.healthy,
        "expectedPods": expected.pods,
        "disruptionsAllowed": allowed,
        "observedGeneration": meta.generation(budget),
    }
    if going:
        made["disruptedPods"] = dict(going)
    reason = "SufficientPods" if allowed else "InsufficientPods"
    return made | {"conditions": _conditions(budget, str(allowed > 0), reason, "", now)}


def failed_status(budget: Object, why: str, now: datetime) -> Object:
    """The status where the pods can't be counted: nothing may go."""
    changed = {"disruptionsAllowed": 0, "observedGeneration": meta.generation(budget)}
    return (budget.get("status") or {}) | changed | {"conditions": _conditions(budget, "False", "SyncFailed", why, now)}


def _conditions(budget: Object, value: str, reason: str, message: str, now: datetime) -> list[Object]:
    conditions = [*((budget.get("status") or {}).get("conditions") or ())]
    new = {"type": CONDITION, "status": value, "reason": reason, "message": message}
    meta.set_condition(conditions, new | {"observedGeneration": meta.generation(budget)}, now)
    return conditions
