"""What follows from a node's silence: conditions, taints, and how fast its pods may be driven away. Pure.

Upstream: pkg/controller/nodelifecycle.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.taints import (
    DISK_PRESSURE,
    MEMORY_PRESSURE,
    NETWORK_UNAVAILABLE,
    NOT_READY,
    PID_PRESSURE,
    UNREACHABLE,
    UNSCHEDULABLE,
    taints,
)
from miniplane.api.wellknown import ZONE

REGION = "topology.kubernetes.io/region"
REPORTED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
"""Conditions that only a kubelet knows, so they become Unknown when it is silent."""
EVICTIONS_PER_S = 0.1
"""--node-eviction-rate: nodes of one zone that get a NoExecute taint per second."""
SECONDARY_EVICTIONS_PER_S = 0.01
"""--secondary-node-eviction-rate: the same in a large zone of which too much is unhealthy."""
UNHEALTHY_SHARE = 0.55
"""--unhealthy-zone-threshold: more than that is the network's fault rather than the nodes'."""
LARGE = 50
"""--large-cluster-size-threshold: smaller zones stop evicting when too much is unhealthy."""

_PRESSURES = {
    "MemoryPressure": MEMORY_PRESSURE,
    "DiskPressure": DISK_PRESSURE,
    "PIDPressure": PID_PRESSURE,
    "NetworkUnavailable": NETWORK_UNAVAILABLE,
}
_LOST = {"False": NOT_READY, "Unknown": UNREACHABLE}
_OURS = frozenset(
    [(key, "NoSchedule") for key in (*_PRESSURES.values(), *_LOST.values(), UNSCHEDULABLE)]
    + [(key, "NoExecute") for key in _LOST.values()]
)
_SILENT = {"reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}
_NEVER = {"reason": "NodeStatusNeverUpdated", "message": "Kubelet never posted node status."}


def readiness(node: Object) -> str:
    """The status of a Node's Ready condition: True, False or Unknown; empty before its kubelet has said anything."""
    return str((meta.condition(node, "Ready") or {}).get("status", ""))


def zone_of(node: Object) -> str:
    """What fails together: region and zone by a Node's labels; nodes without labels are one zone."""
    labels = meta.labels(node)
    return f"{labels.get(REGION, '')}:{labels.get(ZONE, '')}"


def silenced(node: Object, now: datetime) -> list[Object] | None:
    """The conditions of a Node whose kubelet is silent; None if they say so already."""
    conditions = list((node.get("status") or {}).get("conditions") or ())
    changed = False
    for kind in REPORTED:
        old = meta.condition(node, kind)
        if old is None or old.get("status") != "Unknown":
            new = {"type": kind, "status": "Unknown", **(_SILENT if old else _NEVER)}
            changed |= meta.set_condition(conditions, new, now)
    return conditions if changed else None


def eviction_rate(ready: int, unready: int) -> float:
    """Nodes of a zone that may be tainted NoExecute per second, by how many of it are well."""
    total = ready + unready
    if ready and unready > 2 and unready / total >= UNHEALTHY_SHARE:  # noqa: PLR2004  upstream's least number
        return SECONDARY_EVICTIONS_PER_S if total > LARGE else 0.0
    return EVICTIONS_PER_S


def rates(nodes: Iterable[Object]) -> Mapping[str, float]:
    """Each zone's eviction rate. If no node at all is well the fault is ours: nothing is driven away."""
    counts: dict[str, list[int]] = {}
    for node in nodes:
        counts.setdefault(zone_of(node), [0, 0])[readiness(node) != "True"] += 1
    if not any(ready for ready, _ in counts.values()):
        return dict.fromkeys(counts, 0.0)
    return {zone: eviction_rate(ready, unready) for zone, (ready, unready) in counts.items()}


def lost_taint(node: Object) -> Object | None:
    """The NoExecute taint that a Node's readiness asks for."""
    key = _LOST.get(readiness(node))
    return {"key": key, "effect": "NoExecute"} if key else None


def wanted_taints(node: Object, *, evict: bool, now: datetime) -> list[Object]:
    """The taints that a Node should have: others' as they are, ours as conditions ask; NoExecute only with `evict`."""
    keys = []
    status = {item["type"]: item["status"] for item in (node.get("status") or {}).get("conditions") or ()}
    if key := _LOST.get(status.get("Ready", "")):
        keys.append((key, "NoSchedule"))
    keys += [(key, "NoSchedule") for kind, key in _PRESSURES.items() if status.get(kind) == "True"]
    if (node.get("spec") or {}).get("unschedulable"):
        keys.append((UNSCHEDULABLE, "NoSchedule"))
    if evict and (lost := lost_taint(node)):
        keys.append((lost["key"], "NoExecute"))
    kept = [taint for taint in taints(node) if _id(taint) not in _OURS or _id(taint) in keys]
    there = {_id(taint) for taint in kept}
    stamp = meta.timestamp(now)
    return kept + [
        {"key": key, "effect": effect, "timeAdded": stamp} for key, effect in keys if (key, effect) not in there
    ]


def _id(taint: Object) -> tuple[str, str]:
    return taint["key"], taint["effect"]


def has_taint(node: Object, taint: Object) -> bool:
    """Whether a Node has a taint of that key and effect."""
    return any(_id(other) == _id(taint) for other in taints(node))


def unready_pods(node: Object, pods: Iterable[Object]) -> list[Object]:
    """The pods on a Node that is not ready which still claim to be: those who claimed it before the Node's change.

    A silent kubelet claims nothing any more; one that speaks may have looked again since, and is believed.
    """
    state, since = readiness(node), (meta.condition(node, "Ready") or {}).get("lastTransitionTime") or ""
    found = []
    for pod in pods:
        ready = meta.condition(pod, "Ready") or {}
        older = (ready.get("lastTransitionTime") or "") < since
        if ready.get("status") == "True" and (state == "Unknown" or older):
            found.append(pod)
    return found
