"""Owner helpers: an object that is made for another names it as its owner, and goes with it. Words as in kopf."""

from collections.abc import Mapping

from miniplane.api import meta
from miniplane.api.kind import Kind, Object


def append_owner_reference(obj: Object, owner: Object, kind: Kind, *, controller: bool = True) -> Object:
    """The object with a reference to its owner, of that kind, once."""
    references = [item for item in meta.owner_references(obj) if item.get("uid") != meta.uid(owner)]
    references.append(meta.owner_reference(owner, kind=kind, controller=controller))
    return obj | {"metadata": obj.get("metadata", {}) | {"ownerReferences": references}}


def harmonize_naming(obj: Object, name: str) -> Object:
    """The object with that name if it has none and asks for no generated one."""
    metadata = obj.get("metadata") or {}
    if metadata.get("name") or metadata.get("generateName"):
        return obj
    return obj | {"metadata": metadata | {"name": name}}


def label(obj: Object, labels: Mapping[str, str]) -> Object:
    """The object with more labels; those that it has win."""
    metadata = obj.get("metadata") or {}
    return obj | {"metadata": metadata | {"labels": {**labels, **(metadata.get("labels") or {})}}}


def adopt(obj: Object, owner: Object, kind: Kind) -> Object:
    """The object as a child of its owner: owned, in its namespace, named and labelled like it where it says nothing."""
    made = label(harmonize_naming(append_owner_reference(obj, owner, kind), meta.name(owner)), meta.labels(owner))
    metadata = made["metadata"]
    if kind.namespaced and not metadata.get("namespace"):
        metadata = metadata | {"namespace": meta.namespace(owner)}
    return made | {"metadata": metadata}
