"""PodSecurity: a namespace's labels say what its pods may do: refused, warned of, or noted in the audit log.

Upstream: k8s.io/pod-security-admission. All versions of the standards count as the latest.
"""

from collections.abc import Mapping

from miniplane.api.kind import Object
from miniplane.api.wellknown import MIRROR_POD
from miniplane.errors import Cause, forbidden, invalid
from miniplane.kinds.fields import section
from miniplane.kinds.podspec.levels import LEVELS, violations

from ..store.base import ResourceKey
from .chain import Attributes, Operation, Plugin

PREFIX = "pod-security.kubernetes.io/"
MODES = ("enforce", "warn", "audit")
_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "podtemplates": ("template",),
    "replicationcontrollers": ("spec", "template"),
    "replicasets.apps": ("spec", "template"),
    "deployments.apps": ("spec", "template"),
    "statefulsets.apps": ("spec", "template"),
    "daemonsets.apps": ("spec", "template"),
    "jobs.batch": ("spec", "template"),
    "cronjobs.batch": ("spec", "jobTemplate", "spec", "template"),
}
"""Where workloads keep what their pods will be."""


def _level(attributes: Attributes, mode: str) -> tuple[str, str]:
    """The level and the version that a namespace asks for in a mode."""
    entry = attributes.store.get(ResourceKey("/namespaces", "", attributes.namespace))
    labels = (entry.obj["metadata"].get("labels") or {}) if entry else {}
    level = labels.get(PREFIX + mode, "privileged")
    return level if level in LEVELS else "restricted", labels.get(f"{PREFIX}{mode}-version", "latest")


def _pod(attributes: Attributes) -> None:
    pod = attributes.obj
    assert pod is not None
    if MIRROR_POD in (pod["metadata"].get("annotations") or {}):
        return
    spec = section(pod, "spec")
    if attributes.old is not None and section(attributes.old, "spec") == spec:
        return
    level, version = _level(attributes, "enforce")
    if found := ", ".join(map(str, violations(level, spec))):
        raise forbidden(attributes.kind.resource, attributes.name, f'violates PodSecurity "{level}:{version}": {found}')
    _warn(attributes, spec)


def _workload(attributes: Attributes) -> None:
    part: Object = attributes.obj or {}
    for name in _TEMPLATES[str(attributes.kind.resource)]:
        part = section(part, name)
    _warn(attributes, section(part, "spec"))


def _warn(attributes: Attributes, spec: Object) -> None:
    level, version = _level(attributes, "warn")
    if found := ", ".join(map(str, violations(level, spec))):
        attributes.warnings.append(f'would violate PodSecurity "{level}:{version}": {found}')


def _namespace(attributes: Attributes) -> None:
    """A level that does not exist is refused; pods that a new level would refuse are told of."""
    namespace = attributes.obj
    assert namespace is not None
    labels, old = (section(section(obj or {}, "metadata"), "labels") for obj in (namespace, attributes.old))
    for mode in MODES:
        key = PREFIX + mode
        if labels.get(key) != old.get(key) and key in labels and labels[key] not in LEVELS:
            text = f"Invalid value: {labels[key]!r}: must be one of {', '.join(LEVELS)}".replace("'", '"')
            cause = Cause("FieldValueInvalid", text, f"metadata.labels[{key}]")
            raise invalid(attributes.kind.resource, attributes.name, [cause])
    enforced = labels.get(PREFIX + "enforce", "privileged")
    if attributes.old is None or enforced == old.get(PREFIX + "enforce", "privileged"):
        return
    bad = [
        f"{entry.key.name}: {', '.join(found.reason for found in problems)}"
        for entry in attributes.store.list("/pods", attributes.name).entries
        if (problems := [*violations(enforced, section(entry.obj, "spec"))])
    ]
    if bad:
        version = labels.get(PREFIX + "enforce-version", "latest")
        head = f'existing pods in namespace "{attributes.name}" violate the new PodSecurity enforce level'
        attributes.warnings += [f'{head} "{enforced}:{version}"', *sorted(bad)]


_WRITES = frozenset((Operation.CREATE, Operation.UPDATE))
PODS = Plugin("PodSecurity", operations=_WRITES, resources=frozenset(("pods",)), validate=_pod)
WORKLOADS = Plugin("PodSecurity", operations=_WRITES, resources=frozenset(_TEMPLATES), validate=_workload)
NAMESPACES = Plugin("PodSecurity", operations=_WRITES, resources=frozenset(("namespaces",)), validate=_namespace)
