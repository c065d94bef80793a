"""Scores: of the nodes that may, which should? Pure. Upstream: pkg/scheduler/framework/plugins, with its weights.

A score looks at the pod first and gives a function from nodes to 0…100 each, or None where it has no opinion.
"""

from collections.abc import Callable, Sequence

from miniplane.api.nodeselectors import term_matches
from miniplane.api.taints import taints, tolerates, tolerations

from .demand import Demand
from .interpod import Term, places
from .nodes import NodeInfo, View
from .spread import constraints

MOST = 100.0
DEFAULT_MILLI_CPU = 100
DEFAULT_MEMORY = 200 * 1024 * 1024
"""What a container without requests counts as when nodes are scored; it never keeps a pod off a node."""
SPREAD_WEIGHT = 200
"""Pods of one owner go to different nodes before anything else counts: a Service then survives the loss of a node."""

Scores = Callable[[Sequence[NodeInfo]], Sequence[float]]
Score = Callable[[Demand, View], Scores | None]


def _normal(raw: Sequence[float], *, reverse: bool = False) -> Sequence[float]:
    """Scaled so that the largest is 100; reversed if less is better."""
    most = max(raw, default=0.0)
    if not most:
        return [MOST if reverse else 0.0] * len(raw)
    return [MOST - MOST * value / most if reverse else MOST * value / most for value in raw]


def siblings(demand: Demand, _view: View) -> Scores:
    """Away from pods of the same controller, or without one from pods with the same labels."""

    def count(info: NodeInfo) -> int:
        if demand.owner:
            return info.owners[demand.owner]
        if not demand.labels:
            return 0
        return sum(
            other.namespace == demand.namespace and other.labels == demand.labels for other in info.pods.values()
        )

    return lambda infos: [-float(count(info)) for info in infos]


def free_share(demand: Demand, _view: View) -> Scores:
    """LeastAllocated and NodeResourcesBalancedAllocation: much left of CPU and memory, and alike of both."""
    asked_cpu, asked_memory = demand.requests.get("cpu", 0), demand.requests.get("memory", 0)

    def one(info: NodeInfo) -> float:
        pods = len(info.pods) + 1
        cpu_room, memory_room = info.allocatable.get("cpu", 0), info.allocatable.get("memory", 0)
        if not cpu_room or not memory_room:
            return 0.0
        cpu = min(1.0, max(info.used.get("cpu", 0) + asked_cpu, pods * DEFAULT_MILLI_CPU) / cpu_room)
        memory = min(1.0, max(info.used.get("memory", 0) + asked_memory, pods * DEFAULT_MEMORY) / memory_room)
        return MOST * (1 - (cpu + memory) / 2) + MOST * (1 - abs(cpu - memory) / 2)

    return lambda infos: [one(info) for info in infos]


def preferred_nodes(demand: Demand, _view: View) -> Scores | None:
    """The weights of the preferred node affinities that a node meets."""
    wanted = demand.preferred("nodeAffinity")
    if not wanted:
        return None

    def one(info: NodeInfo) -> float:
        return float(sum(item["weight"] for item in wanted if term_matches(item["preference"], info.name, info.labels)))

    return lambda infos: _normal([one(info) for info in infos])


def tolerated(demand: Demand, _view: View) -> Scores:
    """Few PreferNoSchedule taints that the pod does not tolerate."""
    allowed = tolerations(demand.pod)

    def one(info: NodeInfo) -> float:
        disliked = (taint for taint in taints(info.node or {}) if taint["effect"] == "PreferNoSchedule")
        return float(sum(not any(tolerates(item, taint) for item in allowed) for taint in disliked))

    return lambda infos: _normal([one(info) for info in infos], reverse=True)


def near_pods(demand: Demand, view: View) -> Scores | None:
    """Preferred pod affinities, and against anti-affinities, by weight and number of pods."""
    signed = [(1, item) for item in demand.preferred("podAffinity")]
    signed += [(-1, item) for item in demand.preferred("podAntiAffinity")]
    if not signed:
        return None
    weighed: list[tuple[float, Term]] = [
        (sign * item["weight"], Term.of(item["podAffinityTerm"], demand, view)) for sign, item in signed
    ]
    found = [(weight, term, places((term,), view, Term.takes)) for weight, term in weighed]

    def one(info: NodeInfo) -> float:
        return sum(weight * pods[(term.key, info.labels.get(term.key, ""))] for weight, term, pods in found)

    def scores(infos: Sequence[NodeInfo]) -> Sequence[float]:
        raw = [one(info) for info in infos]
        return _normal([value - min(raw) for value in raw])

    return scores


def soft_spread(demand: Demand, view: View) -> Scores | None:
    """Topology spread constraints that may be broken: few matching pods in the node's domains."""
    counted = constraints(demand, view, "ScheduleAnyway")
    if not counted:
        return None

    def one(info: NodeInfo) -> float:
        return sum(item.pods.get(info.labels.get(item.key, ""), 0) for item in counted)

    return lambda infos: _normal([one(info) for info in infos], reverse=True)


SCORES: tuple[tuple[float, Score], ...] = (
    (SPREAD_WEIGHT, siblings),
    (1, free_share),
    (2, preferred_nodes),
    (3, tolerated),
    (2, near_pods),
    (2, soft_spread),
)


def best(demand: Demand, infos: Sequence[NodeInfo], view: View) -> NodeInfo:
    """The node with the highest sum; ties go to the first by name. `infos` is not empty."""
    totals = [0.0] * len(infos)
    for weight, make in SCORES:
        if scores := make(demand, view):
            totals = [total + weight * score for total, score in zip(totals, scores(infos), strict=True)]
    ranked = zip(totals, infos, strict=True)
    return min(ranked, key=lambda item: (-item[0], item[1].name))[1]
