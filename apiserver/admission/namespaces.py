"""NamespaceLifecycle: nothing is made in a namespace that is missing or going, and some namespaces stay.

Upstream: plugin/namespace/lifecycle.
"""

from miniplane.errors import Cause, Resource, forbidden, not_found

from ..store.base import ResourceKey
from .chain import Attributes, Operation, Plugin

_NAMESPACES = Resource("namespaces")
IMMORTAL = frozenset(("default", "kube-system", "kube-public"))


def _check(attributes: Attributes) -> None:
    kind = attributes.kind
    if attributes.operation is Operation.DELETE:
        if kind.plural == "namespaces" and not kind.group and attributes.name in IMMORTAL:
            raise forbidden(kind.resource, attributes.name, "this namespace may not be deleted")
        return
    if not kind.namespaced:
        return
    namespace = attributes.namespace
    entry = attributes.store.get(ResourceKey("/namespaces", "", namespace))
    if entry is None:
        raise not_found(_NAMESPACES, namespace)
    if entry.obj["metadata"].get("deletionTimestamp"):
        error = forbidden(
            kind.resource,
            attributes.name,
            f"unable to create new content in namespace {namespace} because it is being terminated",
        )
        text = f"namespace {namespace} is being terminated"
        error.causes = (Cause("NamespaceTerminating", text, "metadata.namespace"),)
        raise error


PLUGIN = Plugin(
    "NamespaceLifecycle",
    operations=frozenset((Operation.CREATE, Operation.DELETE)),
    mutate=_check,
)
