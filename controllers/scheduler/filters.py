"""Filters: may this pod run on that node? Each is pure and returns why not, in upstream's words, or None."""

from collections.abc import Callable, Mapping

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.taints import KEEPS_OFF, UNSCHEDULABLE, tolerates, tolerations, untolerated

from .cluster import NodeInfo, host_ports_of, requests_of

Filter = Callable[[Object, NodeInfo], str | None]


def node_name(pod: Object, info: NodeInfo) -> str | None:
    """Nothing to do for a pod that names its node; kept for pods that ask by name through affinity."""
    wanted = pod["spec"].get("nodeName")
    return "node(s) didn't match the requested node name" if wanted and wanted != info.name else None


def unschedulable(pod: Object, info: NodeInfo) -> str | None:
    """A cordoned node takes only pods that tolerate it."""
    if not info.node.get("spec", {}).get("unschedulable"):
        return None
    taint = {"key": UNSCHEDULABLE, "effect": "NoSchedule"}
    return None if any(tolerates(item, taint) for item in tolerations(pod)) else "node(s) were unschedulable"


def taints(pod: Object, info: NodeInfo) -> str | None:
    """Every NoSchedule and NoExecute taint must be tolerated."""
    taint = untolerated(pod, info.node, KEEPS_OFF)
    return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}" if taint else None


def _matches(expression: Object, labels: Mapping[str, str]) -> bool:
    """One requirement of a node selector term: as label selectors, with Gt and Lt for whole numbers."""
    key, operator, values = expression["key"], expression["operator"], expression.get("values") or []
    value = labels.get(key)
    if operator in ("Exists", "DoesNotExist"):
        return (value is not None) is (operator == "Exists")
    if operator == "NotIn":
        return value not in values
    if value is None:
        return False
    if operator == "In":
        return value in values
    try:
        return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])
    except ValueError:
        return False


def _term_matches(term: Object, node: Object) -> bool:
    expressions, fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not expressions and not fields:
        return False
    by_name = {"metadata.name": meta.name(node)}
    return all(_matches(item, meta.labels(node)) for item in expressions) and all(
        _matches(item, by_name) for item in fields
    )


def node_affinity(pod: Object, info: NodeInfo) -> str | None:
    """`nodeSelector` and required node affinity: the selector and one of the terms must match."""
    spec, labels = pod["spec"], meta.labels(info.node)
    fits = (spec.get("nodeSelector") or {}).items() <= labels.items()
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is not None:
        fits = fits and any(_term_matches(term, info.node) for term in required.get("nodeSelectorTerms") or ())
    return None if fits else "node(s) didn't match Pod's node affinity/selector"


def host_ports(pod: Object, info: NodeInfo) -> str | None:
    """A host port is taken once per protocol and address; the wildcard address clashes with all."""
    for address, protocol, port in host_ports_of(pod):
        for other, other_protocol, other_port in info.ports:
            same = (protocol, port) == (other_protocol, other_port)
            if same and (address == other or "0.0.0.0" in (address, other)):  # noqa: S104  # upstream's wildcard
                return "node(s) didn't have free ports for the requested pod ports"
    return None


def resources(pod: Object, info: NodeInfo) -> str | None:
    """The node's allocatable must hold what runs there and this pod."""
    asked, used, room = requests_of(pod), info.used, info.allocatable
    if used.pods + 1 > room.pods:
        return "Too many pods"
    if asked.milli_cpu and used.milli_cpu + asked.milli_cpu > room.milli_cpu:
        return "Insufficient cpu"
    if asked.memory and used.memory + asked.memory > room.memory:
        return "Insufficient memory"
    return None


FILTERS: tuple[Filter, ...] = (unschedulable, node_name, taints, node_affinity, host_ports, resources)
"""In upstream's order; the first that refuses gives a node's reason."""


def why_not(pod: Object, info: NodeInfo) -> str | None:
    """The first filter's refusal, or None where the pod may run."""
    for filter_ in FILTERS:
        if reason := filter_(pod, info):
            return reason
    return None
