"""NodeRestriction: a node writes its own Node and Lease and the status of its own pods, nothing else of these.

Upstream: plugin/noderestriction. What a node may do at all is the authoriser's matter.
"""

from miniplane.api.kind import Object
from miniplane.errors import Resource, forbidden

from .chain import Attributes, Operation, Plugin

_KUBERNETES = ("kubernetes.io", "k8s.io")
_OWN_LABELS = frozenset(
    (
        "kubernetes.io/hostname",
        "kubernetes.io/arch",
        "kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    )
)
_OWN_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
"""What a node may say of itself in Kubernetes' own domains; anything else there decides what it is trusted with."""


def _check(attributes: Attributes) -> None:
    if node := attributes.user.node:
        _CHECKS[attributes.kind.plural](attributes, node)


def _node(attributes: Attributes, node: str) -> None:
    resource, obj, old = attributes.kind.resource, attributes.obj, attributes.old
    if attributes.name != node:
        raise forbidden(resource, attributes.name, f'node "{node}" is not allowed to modify node "{attributes.name}"')
    if obj is None:
        raise forbidden(resource, node, f'node "{node}" is not allowed to delete itself')
    if old is not None and (obj.get("spec") or {}).get("taints") != (old.get("spec") or {}).get("taints"):
        raise forbidden(resource, node, f'node "{node}" is not allowed to modify taints')
    changed = {key for key, _ in _labels(obj) ^ _labels(old or {})}
    if forbidden_labels := sorted(key for key in changed if _is_restricted(key)):
        text = f'node "{node}" is not allowed to modify labels: {", ".join(forbidden_labels)}'
        raise forbidden(resource, node, text)


def _is_restricted(label: str) -> bool:
    domain = label.rpartition("/")[0]
    if label in _OWN_LABELS or _is_in(domain, _OWN_DOMAINS):
        return False
    return _is_in(domain, _KUBERNETES)


def _is_in(domain: str, parents: tuple[str, ...]) -> bool:
    return any(domain == parent or domain.endswith(f".{parent}") for parent in parents)


def _labels(obj: Object) -> set[tuple[str, str]]:
    return set(((obj.get("metadata") or {}).get("labels") or {}).items())


def _pod(attributes: Attributes, node: str) -> None:
    pod = attributes.old
    bound = ((pod or {}).get("spec") or {}).get("nodeName", "")
    if pod is None:
        raise forbidden(attributes.kind.resource, attributes.name, f'node "{node}" can only create mirror pods')
    if bound == node:
        if attributes.subresource == "status" and _labels(attributes.obj or {}) != _labels(pod):
            text = f'node "{node}" cannot update labels through pod status'
            raise forbidden(attributes.kind.resource, attributes.name, text)
        return
    what = "update pod status for" if attributes.subresource == "status" else "delete"
    text = f'node "{node}" can only {what} pods with spec.nodeName set to itself'
    raise forbidden(attributes.kind.resource, attributes.name, text)


def _lease(attributes: Attributes, node: str) -> None:
    if attributes.name != node:
        text = "can only access node lease with the same name as the requesting node"
        raise forbidden(Resource("leases", "coordination.k8s.io"), attributes.name, text)


_CHECKS = {"nodes": _node, "pods": _pod, "leases": _lease}

PLUGIN = Plugin(
    "NodeRestriction",
    operations=frozenset(Operation),
    resources=frozenset(("nodes", "pods", "leases.coordination.k8s.io")),
    subresources=frozenset(("", "status", "eviction")),
    validate=_check,
)
