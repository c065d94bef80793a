"""RuntimeClass: a pod that names a class gets its overhead and its nodes. Upstream: plugin runtimeclass."""

from miniplane.errors import forbidden
from miniplane.kinds.fields import entries, open_section, section, text

from ..store.base import ResourceKey
from .chain import Attributes, Operation, Plugin


def _apply(attributes: Attributes) -> None:
    pod = attributes.obj
    assert pod is not None
    spec = section(pod, "spec")
    name = text(spec, "runtimeClassName")
    if not name:
        if section(spec, "overhead"):
            why = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
            raise forbidden(attributes.kind.resource, attributes.name, why)
        return
    entry = attributes.store.get(ResourceKey("node.k8s.io/runtimeclasses", "", name))
    if entry is None:
        why = f'pod rejected: RuntimeClass "{name}" not found'
        raise forbidden(attributes.kind.resource, attributes.name, why)
    overhead = section(section(entry.obj, "overhead"), "podFixed")
    if section(spec, "overhead") not in ({}, overhead):
        why = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
        raise forbidden(attributes.kind.resource, attributes.name, why)
    if overhead:
        spec["overhead"] = dict(overhead)
    scheduling = section(entry.obj, "scheduling")
    for key, value in section(scheduling, "nodeSelector").items():
        chosen = open_section(spec, "nodeSelector")
        if chosen.setdefault(key, value) != value:
            why = f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = "
            raise forbidden(attributes.kind.resource, attributes.name, why + chosen[key])
    tolerations = entries(scheduling, "tolerations")
    if tolerations:
        given = entries(spec, "tolerations")
        spec["tolerations"] = given + [item for item in tolerations if item not in given]


PLUGIN = Plugin(
    "RuntimeClass",
    operations=frozenset((Operation.CREATE,)),
    resources=frozenset(("pods",)),
    mutate=_apply,
)
