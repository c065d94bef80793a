"""Taints and tolerations: what keeps pods off a node, or drives them away. Upstream: k8s.io/component-helpers."""

from collections.abc import Iterable, Sequence

from miniplane.api.kind import Object

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
MEMORY_PRESSURE = "node.kubernetes.io/memory-pressure"
DISK_PRESSURE = "node.kubernetes.io/disk-pressure"
PID_PRESSURE = "node.kubernetes.io/pid-pressure"
NETWORK_UNAVAILABLE = "node.kubernetes.io/network-unavailable"

KEEPS_OFF = ("NoSchedule", "NoExecute")
"""Effects that keep a new pod off a node."""
DRIVES_AWAY = ("NoExecute",)
"""Effects that end a pod which is there already."""


def taints(node: Object) -> Sequence[Object]:
    """A Node's taints."""
    return (node.get("spec") or {}).get("taints") or ()


def tolerations(pod: Object) -> Sequence[Object]:
    """A pod's tolerations."""
    return (pod.get("spec") or {}).get("tolerations") or ()


def tolerates(toleration: Object, taint: Object) -> bool:
    """Whether a toleration covers a taint: effect and key empty or equal, value by operator."""
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("key") not in (None, "", taint["key"]):
        return False
    exists = (toleration.get("operator") or "Equal") == "Exists"
    return bool(exists or (toleration.get("value") or "") == (taint.get("value") or ""))


def untolerated(pod: Object, node: Object, effects: Iterable[str]) -> Object | None:
    """The first taint of a node with one of `effects` that a pod does not tolerate."""
    allowed = tolerations(pod)
    for taint in taints(node):
        if taint["effect"] in effects and not any(tolerates(item, taint) for item in allowed):
            return taint
    return None
