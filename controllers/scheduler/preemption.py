"""Preemption: which pods of lower priority have to go so that this one fits, and on which node it costs least. Pure.

Upstream: pkg/scheduler/framework/preemption and plugins/defaultpreemption.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.selectors import LabelSelector

from .demand import Demand
from .filters import checks_for, refusal_of
from .nodes import NodeInfo, View
from .refusal import Refusal, summary

CANDIDATES = 100
"""So many nodes are tried at most."""
NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"


@dataclass(frozen=True, slots=True)
class Plan:
    """The pods to be ended on a node; `violations` is how many of them a PodDisruptionBudget wants to keep."""

    node: str
    victims: Sequence[Demand]
    violations: int

    @property
    def cost(self) -> tuple[int, int, int, int, str]:
        """What is to be as small as possible, the weightiest first, as upstream."""
        priorities = [victim.priority for victim in self.victims]
        return self.violations, max(priorities), sum(priorities), len(priorities), self.node


def ineligible(demand: Demand, view: View) -> str:
    """Why a pod may not preempt at all; empty if it may."""
    spec, status = demand.pod["spec"], demand.pod.get("status") or {}
    if spec.get("preemptionPolicy") == "Never":
        return "not eligible due to preemptionPolicy=Never."
    chosen = status.get("nominatedNodeName")
    for info in view.nodes if chosen else ():
        if info.name == chosen and any(
            other.priority < demand.priority and meta.is_deleted(other.pod) for other in info.pods.values()
        ):
            return "not eligible due to a terminating pod on the nominated node."
    return ""


def plan(demand: Demand, view: View, refusals: Mapping[str, Refusal], budgets: Iterable[Object]) -> Plan | None:
    """The cheapest way to make room, or None. `budgets` are PodDisruptionBudgets."""
    found: list[Plan] = []
    kept = [*budgets]
    for info in view.nodes:
        refusal = refusals.get(info.name)
        if refusal and refusal.resolvable and (made := _on(info, demand, view, kept)):
            found.append(made)
            if len(found) == CANDIDATES:
                break
    return min(found, key=lambda item: item.cost, default=None)


def failure(refusals: Mapping[str, Refusal]) -> str:
    """What is told when there is no plan."""
    told = [Refusal(NO_VICTIMS if refusal.resolvable else NOT_HELPFUL) for refusal in refusals.values()]
    return summary(len(refusals), told)


def _on(info: NodeInfo, demand: Demand, view: View, budgets: Sequence[Object]) -> Plan | None:
    """The victims on one node: all of lower priority, less those that fit beside the pod after all."""
    lower = [other for other in info.pods.values() if other.priority < demand.priority]
    if not lower or not _fits(info, demand, view, lower):
        return None
    lower.sort(key=lambda other: (-other.priority, _started(other)))
    protected = _protected(lower, budgets)
    victims, violations = [*lower], 0
    for other in sorted(lower, key=lambda item: item.uid not in protected):
        rest = [victim for victim in victims if victim is not other]
        if _fits(info, demand, view, rest):
            victims = rest
        else:
            violations += other.uid in protected
    return Plan(info.name, victims, violations) if victims else None


def _fits(info: NodeInfo, demand: Demand, view: View, gone: Sequence[Demand]) -> bool:
    with view.without(gone, info.name):
        return refusal_of(info, checks_for(demand, view)) is None


def _started(demand: Demand) -> str:
    status = demand.pod.get("status") or {}
    return str(status.get("startTime") or meta.metadata(demand.pod).get("creationTimestamp") or "")


def _protected(pods: Sequence[Demand], budgets: Sequence[Object]) -> set[str]:
    """The pods whose end would break a budget, when they end in this order."""
    found: set[str] = set()
    left = [
        (
            meta.namespace(budget),
            LabelSelector.from_object((budget.get("spec") or {}).get("selector")),
            [int((budget.get("status") or {}).get("disruptionsAllowed") or 0)],
        )
        for budget in budgets
    ]
    for pod in pods:
        for namespace, selector, allowed in left:
            if namespace == pod.namespace and pod.labels and selector.matches(pod.labels):
                allowed[0] -= 1
                if allowed[0] < 0:
                    found.add(pod.uid)
    return found
