"""Topology spread constraints: pods that match stay even over zones, nodes or any other label of nodes.

Upstream: pkg/scheduler/framework/plugins/podtopologyspread.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.nodeselectors import selects
from miniplane.api.selectors import LabelSelector
from miniplane.api.taints import KEEPS_OFF, untolerated

from .demand import Demand
from .nodes import NodeInfo, View
from .refusal import Check, Refusal

MISSING = Refusal("node(s) didn't match pod topology spread constraints (missing required label)", resolvable=False)
SKEWED = Refusal("node(s) didn't match pod topology spread constraints")


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint with the pods that count, `{topology value: how many}`, over the nodes that count."""

    key: str
    max_skew: int
    min_domains: int
    counts_itself: bool
    pods: Mapping[str, int]

    def skew(self, value: str) -> int:
        """How far above the emptiest domain this one is with the pod in it."""
        least = min(self.pods.values(), default=0) if len(self.pods) >= self.min_domains else 0
        return self.pods.get(value, 0) + self.counts_itself - least


def selector_of(item: Object, labels: Mapping[str, str]) -> LabelSelector:
    """The selector of a constraint or affinity term, narrowed by `matchLabelKeys` and `mismatchLabelKeys`."""
    chosen = dict(item.get("labelSelector") or {})
    extra = [
        {"key": key, "operator": operator, "values": [labels[key]]}
        for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
        for key in item.get(field) or ()
        if key in labels
    ]
    if extra:
        chosen["matchExpressions"] = [*(chosen.get("matchExpressions") or ()), *extra]
    return LabelSelector.from_object(chosen if item.get("labelSelector") is not None or extra else None)


def constraints(demand: Demand, view: View, when: str) -> Sequence[Constraint]:
    """The pod's constraints of that sort, counted over the view."""
    items = [*demand.spread(when)]
    keys = [item["topologyKey"] for item in items]
    return [_count(item, keys, demand, view) for item in items]


def _count(item: Object, keys: Sequence[str], demand: Demand, view: View) -> Constraint:
    selector, key = selector_of(item, demand.labels), item["topologyKey"]
    pods: dict[str, int] = {}
    for info in view.nodes:
        if all(other in info.labels for other in keys) and _counts(item, demand.pod, info):
            matching = sum(
                other.namespace == demand.namespace
                and not meta.is_deleted(other.pod)
                and selector.matches(other.labels)
                for other in info.pods.values()
            )
            pods[info.labels[key]] = pods.get(info.labels[key], 0) + matching
    return Constraint(key, item["maxSkew"], item.get("minDomains") or 1, selector.matches(demand.labels), pods)


def _counts(item: Object, pod: Object, info: NodeInfo) -> bool:
    if item.get("nodeAffinityPolicy", "Honor") == "Honor" and not selects(pod["spec"], info.name, info.labels):
        return False
    honors = item.get("nodeTaintsPolicy", "Ignore") == "Honor"
    return not (honors and info.node and untolerated(pod, info.node, KEEPS_OFF))


def spreading(demand: Demand, view: View) -> Check | None:
    """The filter: no domain gets further ahead than the pod's constraints allow."""
    if not demand.spread("DoNotSchedule"):
        return None
    counted = constraints(demand, view, "DoNotSchedule")

    def check(info: NodeInfo) -> Refusal | None:
        for constraint in counted:
            value = info.labels.get(constraint.key)
            if value is None:
                return MISSING
            if constraint.skew(value) > constraint.max_skew:
                return SKEWED
        return None

    return check
