"""Pod: containers that share an address, on one node.

Upstream: core/v1; concept page "Pods".
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy, Subresource, proxy
from miniplane.api.names import is_dns_subdomain
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, duplicate, forbidden, invalid, required
from miniplane.kinds.addresses import valid_address
from miniplane.kinds.core.podstatus import summarize
from miniplane.kinds.fields import elements, entries, named, open_section, optional, section, text
from miniplane.kinds.podspec.accepted import Accepted
from miniplane.kinds.podspec.defaults import default_pod, default_pod_spec
from miniplane.kinds.podspec.resources import qos_class
from miniplane.kinds.podspec.spec import pod_spec_errors, pod_spec_warnings, untidy_images, without_images
from miniplane.kinds.podspec.template import name_warnings
from miniplane.kinds.shared import NONE

_PATH = Path("spec")
_UPDATE_RULE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_PLAIN_FLAGS = frozenset(("hostNetwork", "hostPID", "hostIPC", "stdin", "stdinOnce", "tty", "readOnly"))
"""Booleans for which false and missing are one."""


def defaults(pod: Object) -> None:
    """Those of every pod spec, and those of pods alone."""
    spec = open_section(pod, "spec")
    default_pod_spec(spec)
    default_pod(spec)


GATED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked due to non-empty scheduling gates",
}
"""The condition of a pod that no scheduler may look at yet. Upstream's strategy sets no time in it either."""


def prepare(pod: Object, old: Object | None) -> None:
    """A new pod is pending, and its quality-of-service class is settled; a gated one says so."""
    if old is not None:
        return
    spec = section(pod, "spec")
    pod["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}
    if elements(spec, "schedulingGates"):
        pod["status"]["conditions"] = [dict(GATED)]


def validate(pod: Object, old: Object | None) -> Sequence[FieldError]:
    """The spec is right; and once it is there, hardly anything of it may change."""
    spec = section(pod, "spec")
    errors = list(_ACCEPTED.errors(spec))
    errors += _create(spec) if old is None else _update(spec, section(old, "spec"))
    return errors


def _rules(spec: Object) -> Sequence[FieldError]:
    return [*pod_spec_errors(_PATH, spec), *untidy_images(_PATH, spec)]


_ACCEPTED = Accepted(_rules)


def _create(spec: Object) -> Iterator[FieldError]:
    if elements(spec, "ephemeralContainers"):
        yield forbidden(_PATH / "ephemeralContainers", "cannot be set on create")
    if elements(spec, "schedulingGates") and text(spec, "nodeName"):
        yield forbidden(_PATH / "nodeName", "cannot be set until all schedulingGates have been cleared")


def _update(new: Object, old: Object) -> Iterator[FieldError]:
    for key in ("containers", "initContainers"):
        if len(elements(new, key)) != len(elements(old, key)):
            yield forbidden(_PATH / key, "pod updates may not add or remove containers")
            return
    yield from _deadline(_PATH / "activeDeadlineSeconds", new, old)
    yield from _tolerations(_PATH / "tolerations", new, old)
    kept = {text(gate, "name") for gate in entries(old, "schedulingGates")}
    for gate in entries(new, "schedulingGates"):
        if (name := text(gate, "name")) not in kept:
            words = f"only deletion is allowed, but found new scheduling gate '{name}'"
            yield forbidden(_PATH / "schedulingGates", words)
    yield from _ephemeral(_PATH / "ephemeralContainers", new, old)
    free = _free(new, old)
    if _fixed(new, free) != _fixed(old, free):
        yield forbidden(_PATH, _UPDATE_RULE)


def _ephemeral(path: Path, new: Object, old: Object) -> Iterator[FieldError]:
    """Ephemeral containers are added, and then stay as they are."""
    after = {text(container, "name"): container for container in entries(new, "ephemeralContainers")}
    for container in entries(old, "ephemeralContainers"):
        name = text(container, "name")
        if name not in after:
            yield forbidden(path, f'existing ephemeral containers "{name}" may not be removed\n')
        elif _plain(after[name]) != _plain(container):
            yield forbidden(path, f'existing ephemeral containers "{name}" may not be changed\n')


def _deadline(path: str, new: Object, old: Object) -> Iterator[FieldError]:
    after, before = optional(new, "activeDeadlineSeconds"), optional(old, "activeDeadlineSeconds")
    if before is None:
        return
    if after is None:
        yield invalid(path, None, "must not update from a positive integer to nil value")
    elif after > before:
        yield invalid(path, after, "must be less than or equal to previous value")


def _tolerations(path: str, new: Object, old: Object) -> Iterator[FieldError]:
    """Tolerations may be added, and last longer or shorter."""

    def identity(toleration: Object) -> tuple[str, ...]:
        return tuple(text(toleration, key) for key in ("key", "operator", "value", "effect"))

    after = [identity(toleration) for toleration in entries(new, "tolerations")]
    if any(identity(toleration) not in after for toleration in entries(old, "tolerations")):
        yield forbidden(path, "existing toleration can not be modified except its tolerationSeconds")


def _free(new: Object, old: Object) -> frozenset[str]:
    """The fields that an update may change, or that have rules of their own."""
    free = {"activeDeadlineSeconds", "tolerations", "schedulingGates", "ephemeralContainers"}
    if elements(old, "schedulingGates"):
        free |= {"nodeSelector", "affinity"}
    grace = "terminationGracePeriodSeconds"
    if (optional(old, grace) or 0) < 0 and optional(new, grace) == 1:
        free.add(grace)
    return frozenset(free)


def _fixed(spec: Object, free: frozenset[str]) -> Any:
    """The rest of a spec, in a form in which equal ones are equal."""
    return _plain({key: value for key, value in without_images(spec).items() if key not in free})


def _plain(value: Any) -> Any:
    """Without what is null or empty, which an update may leave out."""
    if isinstance(value, dict):
        pairs = ((key, _plain(item)) for key, item in value.items())
        return {
            key: item
            for key, item in pairs
            if item is not None and item not in ("", [], {}) and not (item is False and key in _PLAIN_FLAGS)
        }
    return [_plain(item) for item in value] if isinstance(value, list) else value


def validate_status(pod: Object, _old: Object | None) -> Sequence[FieldError]:
    """Addresses are such, and the first is the one that is told alone."""
    status, path = section(pod, "status"), Path("status")
    errors: list[FieldError] = []
    if nominated := text(status, "nominatedNodeName"):
        errors += named(path / "nominatedNodeName", nominated, is_dns_subdomain)
    seen: set[str] = set()
    for index, item in enumerate(entries(status, "podIPs")):
        here, ip = path / "podIPs" @ index, text(item, "ip")
        errors += valid_address(here, ip)
        if ip in seen:
            errors.append(duplicate(here, ip))
        seen.add(ip)
    for key in ("containerStatuses", "initContainerStatuses"):
        for index, container in enumerate(entries(status, key)):
            if not text(container, "name"):
                errors.append(required(path / key @ index / "name"))
    return errors


def warnings(pod: Object, _old: Object | None) -> Sequence[str]:
    """What is legal and hardly meant."""
    return [
        *name_warnings(pod, "this is used in the Pod's hostname"),
        *pod_spec_warnings(_PATH, section(pod, "spec")),
    ]


def _ready(pod: Object, _now: datetime) -> str:
    summary = summarize(pod)
    return f"{summary.ready}/{summary.total}"


def _status(pod: Object, _now: datetime) -> str:
    return summarize(pod).status


def _restarts(pod: Object, now: datetime) -> str:
    return summarize(pod).restarts_cell(now)


def _ip(pod: Object, _now: datetime) -> str:
    status = section(pod, "status")
    addresses = [text(item, "ip") for item in entries(status, "podIPs")]
    return (addresses[0] if addresses else text(status, "podIP")) or NONE


def _gates(pod: Object, _now: datetime) -> str:
    gates = [text(gate, "conditionType") for gate in entries(section(pod, "spec"), "readinessGates")]
    conditions = entries(section(pod, "status"), "conditions")
    true = {text(item, "type") for item in conditions if item.get("status") == "True"}
    return f"{sum(gate in true for gate in gates)}/{len(gates)}" if gates else NONE


POD = Kind(
    group="",
    version="v1",
    kind="Pod",
    plural="pods",
    scope=Scope.NAMESPACED,
    short_names=("po",),
    categories=("all",),
    fields={
        path: path
        for path in (
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        )
    },
    definition="io.k8s.api.core.v1.Pod",
    columns=(
        NAME,
        Column("Ready", _ready, description="Ready containers of all that count."),
        Column("Status", _status, description="What the pod does, or why it does not."),
        Column("Restarts", _restarts, description="How often containers were restarted, and when last."),
        AGE,
        Column("IP", _ip, priority=1, description="The pod's address."),
        Column("Node", ".spec.nodeName", priority=1, description="Where it runs."),
        Column("Nominated Node", ".status.nominatedNodeName", priority=1, description="Where it will run."),
        Column("Readiness Gates", _gates, priority=1, description="Gates that are open."),
    ),
    subresources=(
        STATUS,
        Subresource("log", verbs=("get",)),
        Subresource("exec", verbs=("create", "get"), group_version_kind=("", "v1", "PodExecOptions")),
        Subresource("attach", verbs=("create", "get"), group_version_kind=("", "v1", "PodAttachOptions")),
        Subresource("portforward", verbs=("create", "get"), group_version_kind=("", "v1", "PodPortForwardOptions")),
        proxy("PodProxyOptions"),
        Subresource("ephemeralcontainers"),
        Subresource("binding", verbs=("create",), group_version_kind=("", "v1", "Binding")),
        Subresource("eviction", verbs=("create",), group_version_kind=("policy", "v1", "Eviction")),
    ),
    defaults=defaults,
    strategy=Strategy(
        returns_deleted=True,
        counts_generation=True,
        prepare=prepare,
        validate=validate,
        validate_status=validate_status,
        warnings=warnings,
        graceful=True,
        parts={"ephemeralcontainers": "ephemeralContainers"},
    ),
)
