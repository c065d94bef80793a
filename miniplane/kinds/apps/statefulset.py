"""StatefulSet: pods with names, and volumes of their own, that stay.

Upstream: apps/v1; concept page "StatefulSets".
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from miniplane.api.kind import SCALE, STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.names import validate_annotations, validate_labels
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, forbidden, invalid, not_supported, required
from miniplane.kinds.claims import default_claim
from miniplane.kinds.fields import (
    at_least,
    entries,
    fill,
    is_set,
    number,
    open_section,
    optional,
    section,
    shown,
    string_map,
    text,
)
from miniplane.kinds.podspec.spec import long_running, template_unmatched
from miniplane.kinds.podspec.template import default_template, template_warnings
from miniplane.kinds.shared import WORKLOAD_COLUMNS, replica_count_errors, selector_required

_PATH = Path("spec")
_MANAGEMENT = ("OrderedReady", "Parallel")
_RETENTION = ("Delete", "Retain")
_FREE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
"""What an update may change."""
_UPDATE_RULE = (
    f"updates to statefulset spec for fields other than {', '.join(repr(key) for key in _FREE[:-1])} "
    f"and {_FREE[-1]!r} are forbidden"
)


def defaults(stateful_set: Object) -> None:
    """One replica, one after the other; updates roll through all of them; claims outlive their pods."""
    spec = open_section(stateful_set, "spec")
    default_template(spec)
    fill(spec, podManagementPolicy="OrderedReady", revisionHistoryLimit=10)
    strategy = open_section(spec, "updateStrategy")
    fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        fill(open_section(strategy, "rollingUpdate"), partition=0)
    fill(open_section(spec, "persistentVolumeClaimRetentionPolicy"), whenDeleted="Retain", whenScaled="Retain")
    for claim in entries(spec, "volumeClaimTemplates"):
        fill(claim, apiVersion="v1", kind="PersistentVolumeClaim")
        default_claim(claim)
        fill(open_section(claim, "status"), phase="Pending")


def validate(stateful_set: Object, old: Object | None) -> Sequence[FieldError]:
    """Policies are known, the selector matches the template; and once it is there, only a few fields may change.

    The pods' spec itself is not looked at, as upstream: volumes come from the claims, too.
    """
    return list(_errors(section(stateful_set, "spec"), old))


def _errors(spec: Object, old: Object | None) -> Iterator[FieldError]:
    yield from _policies(spec)
    for key in ("replicas", "minReadySeconds", "revisionHistoryLimit"):
        yield from at_least(_PATH / key, optional(spec, key))
    yield from at_least(_PATH / "ordinals" / "start", optional(section(spec, "ordinals"), "start"))
    yield from selector_required(_PATH, spec, "statefulset")
    yield from template_unmatched(_PATH / "template", spec)
    meta = section(section(spec, "template"), "metadata")
    yield from validate_labels(string_map(meta, "labels"), _PATH / "template" / "labels")
    yield from validate_annotations(string_map(meta, "annotations"), _PATH / "template" / "annotations")
    yield from long_running(_PATH / "template", spec, "StatefulSet")
    if old is not None and _fixed(spec) != _fixed(section(old, "spec")):
        yield forbidden(_PATH, _UPDATE_RULE)


def _policies(spec: Object) -> Iterator[FieldError]:
    management = text(spec, "podManagementPolicy")
    if not management:
        yield required(_PATH / "podManagementPolicy")
    elif management not in _MANAGEMENT:
        words = "must be 'OrderedReady' or 'Parallel'"
        yield invalid(_PATH / "podManagementPolicy", management, words)
    yield from _strategy(_PATH / "updateStrategy", section(spec, "updateStrategy"))
    retention, path = (
        section(spec, "persistentVolumeClaimRetentionPolicy"),
        _PATH / "persistentVolumeClaimRetentionPolicy",
    )
    for key in ("whenDeleted", "whenScaled"):
        if is_set(retention, key) and text(retention, key) not in _RETENTION:
            yield not_supported(path / key, text(retention, key), _RETENTION)


def _strategy(path: Path, strategy: Object) -> Iterator[FieldError]:
    kind = text(strategy, "type")
    if not kind:
        yield required(path)
    elif kind == "OnDelete":
        if is_set(strategy, "rollingUpdate"):
            words = "only allowed for updateStrategy 'RollingUpdate'"
            yield invalid(path / "rollingUpdate", shown(strategy["rollingUpdate"]), words)
    elif kind == "RollingUpdate":
        partition = optional(section(strategy, "rollingUpdate"), "partition")
        yield from at_least(path / "rollingUpdate" / "partition", partition)
    else:
        yield invalid(path, shown(strategy), "must be 'RollingUpdate' or 'OnDelete'")


def _fixed(spec: Object) -> Object:
    """What an update may not change; null, empty and missing are one."""
    return {key: value for key, value in spec.items() if key not in _FREE and value not in (None, "", [], {})}


def validate_status(stateful_set: Object, _old: Object | None) -> Sequence[FieldError]:
    """Counts are not negative, and parts are not more than the whole."""
    parts = ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
    return list(replica_count_errors(stateful_set, parts))


def _ready(stateful_set: Object, _now: datetime) -> str:
    ready = number(section(stateful_set, "status"), "readyReplicas")
    return f"{ready}/{number(section(stateful_set, 'spec'), 'replicas')}"


STATEFUL_SET = Kind(
    group="apps",
    version="v1",
    kind="StatefulSet",
    plural="statefulsets",
    scope=Scope.NAMESPACED,
    short_names=("sts",),
    categories=("all",),
    definition="io.k8s.api.apps.v1.StatefulSet",
    columns=(
        NAME,
        Column("Ready", _ready, description="Ready pods of the pods wanted."),
        AGE,
        *WORKLOAD_COLUMNS[:2],
    ),
    subresources=(STATUS, SCALE),
    defaults=defaults,
    strategy=Strategy(
        validate=validate,
        validate_status=validate_status,
        warnings=template_warnings,
        initial_status={"replicas": 0, "availableReplicas": 0},
        counts_generation=True,
    ),
)
