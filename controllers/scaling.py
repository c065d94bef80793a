"""How many replicas a HorizontalPodAutoscaler wants, from what its pods use. Pure.

Upstream: pkg/controller/podautoscaler (replica_calculator.go, horizontal.go), with its default times.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.quantity import Quantity

from .podkeeping import phase

TOLERANCE = 0.1
"""--horizontal-pod-autoscaler-tolerance: a ratio so near to 1 changes nothing."""
INITIALIZATION_S = 300.0
"""--horizontal-pod-autoscaler-cpu-initialization-period: a young pod's processor time counts only while it is ready."""
INITIAL_READINESS_S = 30.0
STABILIZATION_S = 300.0
"""--horizontal-pod-autoscaler-downscale-stabilization."""
_AT_ONCE = 4
"""Replicas that a small target may grow to in one step."""
_DEFAULT_UP: Sequence[Object] = (
    {"type": "Pods", "value": 4, "periodSeconds": 15},
    {"type": "Percent", "value": 100, "periodSeconds": 15},
)


class NoMetric(Exception):
    """A metric says nothing; `reason` is that of the condition."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


@dataclass(frozen=True, slots=True)
class Usage:
    """What a pod uses of a resource, in thousandths, and over which time that was measured."""

    milli: int
    at: datetime
    window_s: float


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one metric asks for, with its line in the status."""

    replicas: int
    name: str
    status: Object


@dataclass(slots=True)
class Groups:
    """Pods by what their numbers are worth."""

    counted: dict[str, int] = field(default_factory=dict)
    unready: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def group(pods: Sequence[Object], usage: Mapping[str, Usage], resource: str, now: datetime) -> Groups:
    """Sort pods: those that end don't count at all (groupPods)."""
    found = Groups()
    for pod in pods:
        name = meta.name(pod)
        if meta.is_deleted(pod) or phase(pod) == "Failed":
            continue
        if phase(pod) == "Pending":
            found.unready.append(name)
        elif name not in usage:
            found.missing.append(name)
        elif resource == "cpu" and _is_unready(pod, usage[name], now):
            found.unready.append(name)
        else:
            found.counted[name] = usage[name].milli
    return found


def _is_unready(pod: Object, usage: Usage, now: datetime) -> bool:
    ready, start = meta.condition(pod, "Ready"), (pod.get("status") or {}).get("startTime")
    if ready is None or not start:
        return True
    started, changed = meta.parse_timestamp(start), meta.parse_timestamp(ready.get("lastTransitionTime") or start)
    if started + timedelta(seconds=INITIALIZATION_S) > now:
        return ready["status"] == "False" or usage.at < changed + timedelta(seconds=usage.window_s)
    return bool(ready["status"] == "False" and started + timedelta(seconds=INITIAL_READINESS_S) > changed)


def replicas_for(
    groups: Groups, current: int, ratio: Callable[[Mapping[str, int]], float], full: Mapping[str, int]
) -> int:
    """The replicas that bring the ratio of use to target near 1; `full` is what a pod at target would use.

    Raises:
        NoMetric: No pod can be counted.
    """
    if not groups.counted:
        raise NoMetric("", "did not receive metrics for targeted pods (pods might be unready)")
    first = ratio(groups.counted)
    grows = bool(groups.unready) and first > 1
    if not grows and not groups.missing:
        return current if abs(1 - first) <= TOLERANCE else math.ceil(first * len(groups.counted))
    counted = dict(groups.counted)
    if first != 1:
        counted |= {name: full.get(name, 0) if first < 1 else 0 for name in groups.missing}
    if grows:
        counted |= dict.fromkeys(groups.unready, 0)
    second = ratio(counted)
    if abs(1 - second) <= TOLERANCE or (first < 1) is (second > 1):
        return current
    wanted = math.ceil(second * len(counted))
    return current if (second < 1 and wanted > current) or (second > 1 and wanted < current) else wanted


def of_utilization(groups: Groups, requests: Mapping[str, int], target: int, current: int) -> tuple[int, Object]:
    """By percent of what pods ask for; `requests` in thousandths by pod. Also what is used now."""

    def percent(counted: Mapping[str, int]) -> int:
        asked = sum(requests.get(name, 0) for name in counted)
        if not asked:
            raise NoMetric("", "no metrics returned matched known pods")
        return sum(counted.values()) * 100 // asked

    full = {name: requests.get(name, 0) * max(100, target) // 100 for name in groups.missing}
    wanted = replicas_for(groups, current, lambda counted: percent(counted) / target, full)
    return wanted, {"averageUtilization": percent(groups.counted), "averageValue": _average(groups.counted)}


def of_average(groups: Groups, target_milli: int, current: int) -> tuple[int, Object]:
    """By the average use of a pod. Also what is used now."""
    full = dict.fromkeys(groups.missing, target_milli)
    wanted = replicas_for(groups, current, lambda counted: sum(counted.values()) // len(counted) / target_milli, full)
    return wanted, {"averageValue": _average(groups.counted)}


def _average(counted: Mapping[str, int]) -> str:
    return str(Quantity.parse(f"{sum(counted.values()) // len(counted)}m"))


@dataclass(slots=True)
class Memory:
    """What a target was told before: `(when, replicas)` recommended, and `(when, change)` done."""

    recommended: list[tuple[datetime, int]] = field(default_factory=list)
    done: list[tuple[datetime, int]] = field(default_factory=list)

    def forget(self, now: datetime) -> None:
        """Drop what no window reaches; behaviour allows an hour at most."""
        limit = now - timedelta(hours=1)
        self.recommended = [item for item in self.recommended if item[0] > limit]
        self.done = [item for item in self.done if item[0] > limit]


@dataclass(frozen=True, slots=True)
class Decision:
    """The replicas to have, and the conditions that say why: `{type: (status, reason, message)}`."""

    replicas: int
    conditions: Mapping[str, tuple[str, str, str]]


def decide(spec: Object, memory: Memory, current: int, wanted: int, now: datetime) -> Decision:
    """Hold a recommendation to the windows and rates of `spec.behavior`, and to the bounds."""
    memory.forget(now)
    if not memory.recommended:
        memory.recommended.append((now, current))
    behavior = spec.get("behavior") or {}
    up, down = behavior.get("scaleUp") or {}, behavior.get("scaleDown") or {}
    stable = _stabilized(memory, up, down, current, wanted, now)
    memory.recommended.append((now, wanted))
    if stable == wanted:
        able = ("True", "ReadyForNewScale", "recommended size matches current size")
    else:
        word, which = ("Up", "lower") if stable < wanted else ("Down", "higher")
        best = "lowest" if stable < wanted else "highest"
        text = f"recent recommendations were {which} than current one, applying the {best} recent recommendation"
        able = ("True", f"Scale{word}Stabilized", text)
    low, high = spec.get("minReplicas") or 1, spec["maxReplicas"]
    replicas, limited = _limited(memory, (up, down), (low, high), current, stable, now)
    return Decision(replicas, {"AbleToScale": able, "ScalingLimited": limited})


def _stabilized(memory: Memory, up: Object, down: Object, current: int, wanted: int, now: datetime) -> int:
    """The current count, moved only as far as every recommendation of the windows agrees."""

    def within(rules: Object, default: float) -> list[int]:
        window = rules.get("stabilizationWindowSeconds")
        limit = now - timedelta(seconds=default if window is None else window)
        return [wanted, *(count for when, count in memory.recommended if when > limit)]

    least, most = min(within(up, 0.0)), max(within(down, STABILIZATION_S))
    return max(min(current, most), least) if least <= most else wanted


def _limited(
    memory: Memory, rules: tuple[Object, Object], bounds: tuple[int, int], current: int, wanted: int, now: datetime
) -> tuple[int, tuple[str, str, str]]:
    (up, down), (low, high) = rules, bounds
    top = _ceiling(memory, up, current, now)
    bottom = _floor(memory, down, current, now)
    faster = "the desired replica count is {} faster than the maximum scale rate"
    if wanted > current and wanted > min(top, high):
        if top < high:
            return top, ("True", "ScaleUpLimit", faster.format("increasing"))
        return high, ("True", "TooManyReplicas", "the desired replica count is more than the maximum replica count")
    if wanted < current and wanted < max(bottom, low):
        if bottom > low:
            return bottom, ("True", "ScaleDownLimit", faster.format("decreasing"))
        return low, ("True", "TooFewReplicas", "the desired replica count is less than the minimum replica count")
    return wanted, ("False", "DesiredWithinRange", "the desired count is within the acceptable range")


def _start(memory: Memory, policy: Object, current: int, now: datetime) -> int:
    """How many replicas there were when a policy's period began, as far as we changed them."""
    limit = now - timedelta(seconds=policy["periodSeconds"])
    return current - sum(change for when, change in memory.done if when > limit)


def _ceiling(memory: Memory, rules: Object, current: int, now: datetime) -> int:
    if not rules:
        return max(2 * current, _AT_ONCE)
    if rules.get("selectPolicy") == "Disabled":
        return current
    ends = []
    for policy in rules.get("policies") or _DEFAULT_UP:
        start, value = _start(memory, policy, current, now), policy["value"]
        ends.append(start + value if policy["type"] == "Pods" else math.ceil(start * (100 + value) / 100))
    pick: Any = min if rules.get("selectPolicy") == "Min" else max
    return max(current, int(pick(ends)))


def _floor(memory: Memory, rules: Object, current: int, now: datetime) -> int:
    if rules.get("selectPolicy") == "Disabled":
        return current
    ends = []
    for policy in rules.get("policies") or ():
        start, value = _start(memory, policy, current, now), policy["value"]
        ends.append(start - value if policy["type"] == "Pods" else start * (100 - value) // 100)
    pick: Any = max if rules.get("selectPolicy") == "Min" else min
    return min(current, int(pick(ends))) if ends else 0
