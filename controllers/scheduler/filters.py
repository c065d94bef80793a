"""Filters: may this pod run on that node? Pure; reasons are upstream's words.

A filter looks at the pod first and gives a check for nodes, or None where it has nothing to check, so that a plain pod
costs little per node. Upstream: pkg/scheduler/framework/plugins.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from miniplane.api.nodeselectors import selects
from miniplane.api.taints import KEEPS_OFF, UNSCHEDULABLE, tolerates, tolerations, untolerated

from .demand import ANY_ADDRESS, Demand
from .interpod import affinity, anti_affinity, existing_anti_affinity
from .nodes import NodeInfo, View
from .refusal import Check, Refusal
from .spread import spreading

Filter = Callable[[Demand, View], Check | None]


def unschedulable(demand: Demand, _view: View) -> Check | None:
    """A cordoned node takes only pods that tolerate it."""
    taint = {"key": UNSCHEDULABLE, "effect": "NoSchedule"}
    if any(tolerates(item, taint) for item in tolerations(demand.pod)):
        return None
    refusal = Refusal("node(s) were unschedulable", resolvable=False)
    return lambda info: refusal if info.node and (info.node.get("spec") or {}).get("unschedulable") else None


def taints(demand: Demand, _view: View) -> Check | None:
    """Every NoSchedule and NoExecute taint must be tolerated."""

    def check(info: NodeInfo) -> Refusal | None:
        if not info.node or not (info.node.get("spec") or {}).get("taints"):
            return None
        taint = untolerated(demand.pod, info.node, KEEPS_OFF)
        if taint is None:
            return None
        words = f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
        return Refusal(words, resolvable=False)

    return check


def node_affinity(demand: Demand, _view: View) -> Check | None:
    """The node must be one that the pod asks for."""
    asks = demand.affinity("nodeAffinity").get("requiredDuringSchedulingIgnoredDuringExecution") is not None
    if not asks and not demand.pod["spec"].get("nodeSelector"):
        return None
    refusal = Refusal("node(s) didn't match Pod's node affinity/selector", resolvable=False)
    return lambda info: None if selects(demand.pod["spec"], info.name, info.labels) else refusal


def host_ports(demand: Demand, _view: View) -> Check | None:
    """A host port is taken once per protocol and address; the wildcard address clashes with all."""
    refusal = Refusal("node(s) didn't have free ports for the requested pod ports")

    def check(info: NodeInfo) -> Refusal | None:
        for address, protocol, port in demand.ports:
            for other, other_protocol, other_port in info.ports:
                same = (protocol, port) == (other_protocol, other_port)
                if same and (address == other or ANY_ADDRESS in (address, other)):
                    return refusal
        return None

    return check if demand.ports else None


def resources(demand: Demand, _view: View) -> Check:
    """The node's allocatable must hold what runs there and this pod; every lack is told."""
    asked = [(name, amount) for name, amount in demand.requests.items() if amount]

    def check(info: NodeInfo) -> Refusal | None:
        used, room = info.used, info.allocatable
        lacks = [name for name, amount in asked if used.get(name, 0) + amount > room.get(name, 0)]
        full = len(info.pods) + 1 > room.get("pods", 0)
        if not lacks and not full:
            return None
        reasons = ["Too many pods"] if full else []
        hopeless = any(demand.requests[name] > room.get(name, 0) for name in lacks)
        return Refusal(*reasons, *(f"Insufficient {name}" for name in lacks), resolvable=not hopeless)

    return check


FILTERS: tuple[Filter, ...] = (
    unschedulable,
    taints,
    node_affinity,
    host_ports,
    resources,
    spreading,
    existing_anti_affinity,
    affinity,
    anti_affinity,
)
"""In upstream's order; the first that refuses gives a node's reasons."""


def checks_for(demand: Demand, view: View) -> Sequence[Check]:
    """What is to be checked on each node for a pod."""
    return [check for make in FILTERS if (check := make(demand, view))]


def named_nodes(demand: Demand) -> frozenset[str] | None:
    """The only nodes that a pod's required affinity names, as a DaemonSet's pods do; None if it names none."""
    required = demand.affinity("nodeAffinity").get("requiredDuringSchedulingIgnoredDuringExecution")
    terms = (required or {}).get("nodeSelectorTerms") or ()
    found: set[str] = set()
    for term in terms:
        names = [set(item["values"]) for item in term.get("matchFields") or () if item.get("operator") == "In"]
        if not names:
            return None
        found |= set.intersection(*names)
    return frozenset(found) if terms else None


def refusal_of(info: NodeInfo, checks: Iterable[Check]) -> Refusal | None:
    """The first refusal, or None where the pod may run."""
    for check in checks:
        if refusal := check(info):
            return refusal
    return None


@dataclass(frozen=True, slots=True)
class Fit:
    """Where a pod fits, and why not elsewhere, by node."""

    feasible: Sequence[NodeInfo]
    refusals: Mapping[str, Refusal]


ENOUGH = 100
"""A search ends with so many nodes that fit (upstream's least number, which grows with its clusters)."""


def search(demand: Demand, view: View) -> Fit:
    """Find nodes for a pod."""
    checks, only = checks_for(demand, view), named_nodes(demand)
    feasible: list[NodeInfo] = []
    refusals: dict[str, Refusal] = {}
    for info in view.rotation():
        if only is not None and info.name not in only:
            refusals[info.name] = Refusal("node(s) didn't match Pod's node affinity/selector", resolvable=False)
        elif refusal := refusal_of(info, checks) or _for_nominated(demand, info, view, checks):
            refusals[info.name] = refusal
        else:
            feasible.append(info)
            if len(feasible) == ENOUGH:
                break
    return Fit(feasible, refusals)


def _for_nominated(demand: Demand, info: NodeInfo, view: View, checks: Iterable[Check]) -> Refusal | None:
    """The same with the pods of equal or higher priority for which room is being made here."""
    others = [
        other for other in view.nominated(info.name) if other.uid != demand.uid and other.priority >= demand.priority
    ]
    if not others:
        return None
    for other in others:
        info.add(other)
    try:
        return refusal_of(info, checks)
    finally:
        for other in others:
            info.remove(other)
