"""ReplicaSet: keeps a number of equal pods.

Upstream: apps/v1; concept page "ReplicaSet".
"""

from collections.abc import Iterator, Sequence

from miniplane.api.kind import SCALE, STATUS, Kind, Object, Scope, Strategy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path
from miniplane.kinds.fields import at_least, open_section, optional, section
from miniplane.kinds.podspec.spec import template_errors
from miniplane.kinds.podspec.template import default_template, template_warnings
from miniplane.kinds.shared import (
    WORKLOAD_COLUMNS,
    count_column,
    replica_count_errors,
    selector_immutable,
    selector_required,
)


def defaults(replica_set: Object) -> None:
    """One replica, and the defaults of pods in the template."""
    default_template(open_section(replica_set, "spec"))


def validate(replica_set: Object, old: Object | None) -> Sequence[FieldError]:
    """Counts are not negative; the selector is there, matches the template and never changes."""
    return list(_errors(section(replica_set, "spec"), old))


def _errors(spec: Object, old: Object | None) -> Iterator[FieldError]:
    path = Path("spec")
    for key in ("replicas", "minReadySeconds"):
        yield from at_least(path / key, optional(spec, key))
    yield from selector_required(path, spec)
    yield from template_errors(path / "template", spec)
    if old is not None:
        yield from selector_immutable(path, spec, section(old, "spec"))


def validate_status(replica_set: Object, _old: Object | None) -> Sequence[FieldError]:
    """Counts are not negative, and parts are not more than the whole."""
    return list(replica_count_errors(replica_set, ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")))


REPLICA_SET = Kind(
    group="apps",
    version="v1",
    kind="ReplicaSet",
    plural="replicasets",
    scope=Scope.NAMESPACED,
    short_names=("rs",),
    categories=("all",),
    fields={"status.replicas": "status.replicas"},
    definition="io.k8s.api.apps.v1.ReplicaSet",
    columns=(
        NAME,
        count_column("Desired", "spec", "replicas", "How many pods are wanted.", type="integer"),
        count_column("Current", "status", "replicas", "How many pods there are.", type="integer"),
        count_column("Ready", "status", "readyReplicas", "How many pods are ready.", type="integer"),
        AGE,
        *WORKLOAD_COLUMNS,
    ),
    subresources=(STATUS, SCALE),
    defaults=defaults,
    strategy=Strategy(
        counts_generation=True,
        validate=validate,
        validate_status=validate_status,
        warnings=template_warnings,
        initial_status={"replicas": 0},
    ),
)
