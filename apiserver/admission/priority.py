"""Priority: a pod's class becomes a number, and there is one default class. Upstream: plugin/pkg/admission/priority."""

from miniplane.api.kind import Object
from miniplane.errors import Resource, bad_request, forbidden
from miniplane.kinds.fields import is_set, open_section, text

from ..store.base import ResourceKey
from .chain import Attributes, Operation, Plugin

_CLASSES = "scheduling.k8s.io/priorityclasses"
_PODS = Resource("pods")
PREEMPTS = "PreemptLowerPriority"


def _resolve(attributes: Attributes) -> None:
    pod = attributes.obj
    assert pod is not None
    spec = open_section(pod, "spec")
    name = text(spec, "priorityClassName")
    found = _named(attributes, name) if name else _default(attributes)
    if found is not None:
        spec["priorityClassName"] = name = found["metadata"]["name"]
    value = int((found or {}).get("value") or 0)
    policy = (found or {}).get("preemptionPolicy") or PREEMPTS
    where = f"from the given PriorityClass name {name}" if name else "from the given PriorityClass name"
    if is_set(spec, "priority") and spec["priority"] != value:
        why = (
            f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; priority admission "
        )
        raise forbidden(_PODS, attributes.name, f"{why}controller computed {value} {where}")
    given = text(spec, "preemptionPolicy")
    if given and given != policy:
        why = f"the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission "
        raise forbidden(_PODS, attributes.name, f"{why}controller computed {policy} {where}")
    spec["priority"], spec["preemptionPolicy"] = value, policy


def _named(attributes: Attributes, name: str) -> Object:
    entry = attributes.store.get(ResourceKey(_CLASSES, "", name))
    if entry is None:
        raise forbidden(_PODS, attributes.name, f"no PriorityClass with name {name} was found")
    return entry.obj


def _default(attributes: Attributes) -> Object | None:
    """The default class; of several, which only a race can make, the least, as upstream."""
    marked = [entry.obj for entry in attributes.store.list(_CLASSES).entries if entry.obj.get("globalDefault")]
    return min(marked, key=lambda found: int(found.get("value") or 0), default=None)


def _one_default(attributes: Attributes) -> None:
    new = attributes.obj
    assert new is not None
    if not new.get("globalDefault"):
        return
    for entry in attributes.store.list(_CLASSES).entries:
        name = entry.obj["metadata"]["name"]
        if entry.obj.get("globalDefault") and name != attributes.name:
            why = f"PriorityClass {name} is already marked as default. Only one default can exist"
            raise forbidden(attributes.kind.resource, attributes.name, why)


def _kept(attributes: Attributes) -> None:
    """An update keeps what was worked out at creation, whatever the client sends."""
    pod, old = attributes.obj, attributes.old
    assert pod is not None
    assert old is not None
    spec, before = open_section(pod, "spec"), old.get("spec") or {}
    for field in ("priority", "preemptionPolicy"):
        if field in before and not is_set(spec, field):
            spec[field] = before[field]
    if not isinstance(spec.get("priority", 0), int):
        raise bad_request("spec.priority must be an integer")


PODS = Plugin(
    "Priority",
    operations=frozenset((Operation.CREATE,)),
    resources=frozenset(("pods",)),
    mutate=_resolve,
)
KEPT = Plugin(
    "Priority",
    operations=frozenset((Operation.UPDATE,)),
    resources=frozenset(("pods",)),
    mutate=_kept,
)
CLASSES = Plugin(
    "Priority",
    operations=frozenset((Operation.CREATE, Operation.UPDATE)),
    resources=frozenset(("priorityclasses.scheduling.k8s.io",)),
    validate=_one_default,
)
