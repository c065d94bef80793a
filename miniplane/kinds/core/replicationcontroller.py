"""ReplicationController: what ReplicaSets were before they had label selectors.

Upstream: core/v1; concept page "ReplicationController".
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from miniplane.api.kind import SCALE, STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, invalid, not_supported, required
from miniplane.kinds.fields import (
    at_least,
    fill,
    is_set,
    open_section,
    optional,
    section,
    shown,
    string_map,
    text,
)
from miniplane.kinds.podspec.defaults import default_pod_spec
from miniplane.kinds.podspec.spec import pod_template_errors
from miniplane.kinds.podspec.template import template_warnings
from miniplane.kinds.shared import WORKLOAD_COLUMNS, count_column, labels_text, replica_count_errors

_PATH = Path("spec")


def defaults(controller: Object) -> None:
    """One replica; selector and labels as the template's labels."""
    spec = open_section(controller, "spec")
    fill(spec, replicas=1)
    template = section(spec, "template")
    labels = string_map(section(template, "metadata"), "labels")
    metadata = open_section(controller, "metadata")
    if labels and not spec.get("selector"):
        spec["selector"] = dict(labels)
    if labels and not metadata.get("labels"):
        metadata["labels"] = dict(labels)
    if pod := section(template, "spec"):
        default_pod_spec(pod)


def validate(controller: Object, _old: Object | None) -> Sequence[FieldError]:
    """Counts are not negative; the selector is there and matches the template."""
    return list(_errors(section(controller, "spec")))


def _errors(spec: Object) -> Iterator[FieldError]:
    yield from at_least(_PATH / "minReadySeconds", optional(spec, "minReadySeconds"))
    selector = string_map(spec, "selector")
    if not selector:
        yield required(_PATH / "selector")
    yield from at_least(_PATH / "replicas", optional(spec, "replicas"))
    path = _PATH / "template"
    if not is_set(spec, "template"):
        yield required(path)
        return
    template = section(spec, "template")
    labels = string_map(section(template, "metadata"), "labels")
    if selector and any(labels.get(key) != value for key, value in selector.items()):
        words = "`selector` does not match template `labels`"
        yield invalid(path / "metadata" / "labels", shown(labels) if labels else None, words)
    yield from pod_template_errors(path, template)
    if (policy := text(section(template, "spec"), "restartPolicy")) in ("Never", "OnFailure"):
        yield not_supported(path / "spec" / "restartPolicy", policy, ("Always",))


def validate_status(controller: Object, _old: Object | None) -> Sequence[FieldError]:
    """Counts are not negative, and parts are not more than the whole."""
    return list(replica_count_errors(controller, ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")))


def _selector(controller: Object, _now: datetime) -> str:
    return labels_text(string_map(section(controller, "spec"), "selector"))


REPLICATION_CONTROLLER = Kind(
    group="",
    version="v1",
    kind="ReplicationController",
    plural="replicationcontrollers",
    scope=Scope.NAMESPACED,
    short_names=("rc",),
    categories=("all",),
    fields={"status.replicas": "status.replicas"},
    definition="io.k8s.api.core.v1.ReplicationController",
    columns=(
        NAME,
        count_column("Desired", "spec", "replicas", "How many pods are wanted.", type="integer"),
        count_column("Current", "status", "replicas", "How many pods there are.", type="integer"),
        count_column("Ready", "status", "readyReplicas", "How many pods are ready.", type="integer"),
        AGE,
        *WORKLOAD_COLUMNS[:2],
        Column("Selector", _selector, priority=1, description="The labels that select the pods."),
    ),
    subresources=(STATUS, SCALE),
    defaults=defaults,
    strategy=Strategy(
        validate=validate,
        validate_status=validate_status,
        warnings=template_warnings,
        initial_status={"replicas": 0},
        counts_generation=True,
    ),
)
