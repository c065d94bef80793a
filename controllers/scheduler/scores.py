"""Scores: of the nodes that may, which should? Higher is better; ties go to the first by name."""

from miniplane.api import meta
from miniplane.api.kind import Object

from .cluster import DEFAULT_MEMORY, DEFAULT_MILLI_CPU, NodeInfo, requests_of

SPREAD_WEIGHT = 200
"""Pods of one owner go to different nodes before anything else counts: a Service then survives the loss of a node."""


def _siblings(pod: Object, info: NodeInfo) -> int:
    owner, namespace = meta.controller_of(pod), meta.namespace(pod)
    if owner is not None:
        return sum(1 for other in info.pods if (meta.controller_of(other) or {}).get("uid") == owner["uid"])
    labels = meta.labels(pod)
    return sum(
        1 for other in info.pods if labels and meta.namespace(other) == namespace and meta.labels(other) == labels
    )


def _free_share(pod: Object, info: NodeInfo) -> float:
    """Upstream's LeastAllocated: the mean share of CPU and memory left with this pod, 0 to 100."""
    asked = requests_of(pod)
    pods = len(info.pods) + 1
    shares = []
    for used, wanted, default, room in (
        (info.used.milli_cpu, asked.milli_cpu, DEFAULT_MILLI_CPU, info.allocatable.milli_cpu),
        (info.used.memory, asked.memory, DEFAULT_MEMORY, info.allocatable.memory),
    ):
        load = max(used + wanted, pods * default)
        shares.append(max(0.0, 1 - load / room) if room else 0.0)
    return 100 * sum(shares) / len(shares)


def score(pod: Object, info: NodeInfo) -> float:
    """How good a node is for a pod."""
    return _free_share(pod, info) - SPREAD_WEIGHT * _siblings(pod, info)


def best(pod: Object, infos: list[NodeInfo]) -> NodeInfo:
    """The node with the highest score; `infos` is not empty and sorted by name."""
    return max(infos, key=lambda info: score(pod, info))
