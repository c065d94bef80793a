"""Deployment: rolls ReplicaSets from one pod template to the next.

Upstream: apps/v1; concept page "Deployments".
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from miniplane.api.kind import SCALE, STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, forbidden, invalid, not_supported, required
from miniplane.kinds.fields import at_least, fill, is_set, number, open_section, optional, section, shown, text
from miniplane.kinds.percentages import amount, at_most_whole, count_or_percent
from miniplane.kinds.podspec.spec import template_errors
from miniplane.kinds.podspec.template import default_template, template_warnings
from miniplane.kinds.shared import (
    WORKLOAD_COLUMNS,
    count_column,
    replica_count_errors,
    selector_immutable,
    selector_required,
)

_STRATEGIES = ("Recreate", "RollingUpdate")


def defaults(deployment: Object) -> None:
    """One replica, a rolling update by quarters, ten old ReplicaSets, ten minutes to make progress."""
    spec = open_section(deployment, "spec")
    default_template(spec)
    strategy = open_section(spec, "strategy")
    fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        fill(open_section(strategy, "rollingUpdate"), maxUnavailable="25%", maxSurge="25%")
    fill(spec, revisionHistoryLimit=10, progressDeadlineSeconds=600)


def validate(deployment: Object, old: Object | None) -> Sequence[FieldError]:
    """As a ReplicaSet's, and the strategy makes progress possible."""
    return list(_errors(section(deployment, "spec"), old))


def _errors(spec: Object, old: Object | None) -> Iterator[FieldError]:
    path = Path("spec")
    yield from at_least(path / "replicas", optional(spec, "replicas"))
    yield from selector_required(path, spec)
    yield from template_errors(path / "template", spec)
    yield from _strategy(path / "strategy", section(spec, "strategy"))
    for key in ("minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"):
        yield from at_least(path / key, optional(spec, key))
    deadline = optional(spec, "progressDeadlineSeconds")
    if deadline is not None and deadline <= number(spec, "minReadySeconds"):
        yield invalid(path / "progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")
    if old is not None:
        yield from selector_immutable(path, spec, section(old, "spec"))


def _strategy(path: Path, strategy: Object) -> Iterator[FieldError]:
    kind = text(strategy, "type")
    if kind == "Recreate":
        if is_set(strategy, "rollingUpdate"):
            yield forbidden(path / "rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
    elif kind != "RollingUpdate":
        yield not_supported(path, shown(strategy), _STRATEGIES)
    elif not is_set(strategy, "rollingUpdate"):
        yield required(path / "rollingUpdate", "this should be defaulted and never be nil")
    else:
        yield from _rolling(path / "rollingUpdate", section(strategy, "rollingUpdate"))


def _rolling(path: Path, rolling: Object) -> Iterator[FieldError]:
    unavailable = rolling.get("maxUnavailable")
    for key in ("maxUnavailable", "maxSurge"):
        yield from count_or_percent(path / key, rolling.get(key))
    if amount(unavailable) == 0 and amount(rolling.get("maxSurge")) == 0:
        yield invalid(path / "maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")
    yield from at_most_whole(path / "maxUnavailable", unavailable)


def validate_status(deployment: Object, _old: Object | None) -> Sequence[FieldError]:
    """Counts are not negative, and parts are not more than the whole."""
    return list(replica_count_errors(deployment, ("updatedReplicas", "readyReplicas", "availableReplicas")))


def _ready(deployment: Object, _now: datetime) -> str:
    ready = number(section(deployment, "status"), "readyReplicas")
    return f"{ready}/{number(section(deployment, 'spec'), 'replicas')}"


DEPLOYMENT = Kind(
    group="apps",
    version="v1",
    kind="Deployment",
    plural="deployments",
    scope=Scope.NAMESPACED,
    short_names=("deploy",),
    categories=("all",),
    definition="io.k8s.api.apps.v1.Deployment",
    columns=(
        NAME,
        Column("Ready", _ready, description="Ready pods of the pods wanted."),
        count_column("Up-to-date", "status", "updatedReplicas", "Pods of the newest template."),
        count_column("Available", "status", "availableReplicas", "Pods ready for long enough."),
        AGE,
        *WORKLOAD_COLUMNS,
    ),
    subresources=(STATUS, SCALE),
    defaults=defaults,
    strategy=Strategy(
        counts_generation=True, validate=validate, validate_status=validate_status, warnings=template_warnings
    ),
)
