"""NodeRestriction: a node writes its own Node and Lease and the status of its own pods, nothing else of these.

Upstream: plugin/noderestriction. What a node may do at all is the authoriser's matter.
"""

from miniplane.api.kind import Object
from miniplane.api.wellknown import MIRROR_POD
from miniplane.errors import Resource, forbidden, not_found

from ..auth.nodes import references
from ..store.base import ResourceKey
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
    spec, old_spec = obj.get("spec") or {}, (old or {}).get("spec") or {}
    if any(spec.get(key) != old_spec.get(key) for key in ("podCIDR", "podCIDRs")):
        raise forbidden(resource, node, f'node "{node}" is not allowed to choose its pod addresses: spec.podCIDR')
    if (obj["metadata"].get("ownerReferences") or []) != ((old or {}).get("metadata") or {}).get("ownerReferences", []):
        raise forbidden(resource, node, f'node "{node}" is not allowed to set or modify ownerReferences')
    if old is not None and spec.get("taints") != old_spec.get("taints"):
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
        if why := _why_no_mirror(attributes.obj or {}, node):
            raise forbidden(attributes.kind.resource, attributes.name, why)
        return
    if bound == node:
        if attributes.subresource == "status" and _labels(attributes.obj or {}) != _labels(pod):
            text = f'node "{node}" cannot update labels through pod status'
            raise forbidden(attributes.kind.resource, attributes.name, text)
        return
    what = "update pod status for" if attributes.subresource == "status" else "delete"
    text = f'node "{node}" can only {what} pods with spec.nodeName set to itself'
    raise forbidden(attributes.kind.resource, attributes.name, text)


def _why_no_mirror(pod: Object, node: str) -> str:
    """Why a node may not create a pod; empty for the mirror of one that runs there anyway."""
    meta, spec = pod["metadata"], pod.get("spec") or {}
    if MIRROR_POD not in (meta.get("annotations") or {}):
        return f'pod does not have "{MIRROR_POD}" annotation, node "{node}" can only create mirror pods'
    if spec.get("nodeName") != node:
        return f'node "{node}" can only create pods with spec.nodeName set to itself'
    owners = meta.get("ownerReferences") or []
    if any((owner.get("kind"), owner.get("name")) != ("Node", node) for owner in owners):
        return f'node "{node}" can only create pods with an owner reference set to itself'
    if spec.get("serviceAccountName"):
        return f'node "{node}" can not create pods that reference a service account'
    if found := next((resource for resource, name in references(pod) if name), ""):
        return f'node "{node}" can not create pods that reference {found}'
    return ""


def _token(attributes: Attributes, node: str) -> None:
    if attributes.subresource == "token" and (why := _why_no_token(attributes, node)):
        raise forbidden(attributes.kind.resource, attributes.name, why)


def _why_no_token(attributes: Attributes, node: str) -> str:
    """Why a node gets no token: it must be for a pod that is on it."""
    reference = ((attributes.obj or {}).get("spec") or {}).get("boundObjectRef") or {}
    if (reference.get("apiVersion") or "v1", reference.get("kind")) != ("v1", "Pod") or not reference.get("name"):
        return "node requested token not bound to a pod"
    if not reference.get("uid"):
        return "node requested token with a pod binding without a uid"
    pod = attributes.store.get(ResourceKey("/pods", attributes.namespace, reference["name"]))
    if pod is None:
        raise not_found(Resource("pods"), reference["name"])
    if pod.obj["metadata"]["uid"] != reference["uid"]:
        return (
            f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
    if (pod.obj.get("spec") or {}).get("nodeName") != node:
        return "node requested token bound to a pod scheduled on a different node"
    return ""


def _lease(attributes: Attributes, node: str) -> None:
    if attributes.name != node:
        text = "can only access node lease with the same name as the requesting node"
        raise forbidden(Resource("leases", "coordination.k8s.io"), attributes.name, text)


_CHECKS = {"nodes": _node, "serviceaccounts": _token, "pods": _pod, "leases": _lease}

PLUGIN = Plugin(
    "NodeRestriction",
    operations=frozenset(Operation),
    resources=frozenset(("nodes", "pods", "serviceaccounts", "leases.coordination.k8s.io")),
    subresources=frozenset(("", "status", "eviction", "token")),
    validate=_check,
)
