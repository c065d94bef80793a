"""DaemonSet: one pod on every node that fits.

Upstream: apps/v1; concept page "DaemonSet".
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from miniplane.api import meta
from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, invalid, not_supported, required
from miniplane.kinds.fields import at_least, fill, is_set, open_section, optional, section, shown, string_map, text
from miniplane.kinds.percentages import amount, at_most_whole, count_or_percent
from miniplane.kinds.podspec.defaults import default_pod_spec
from miniplane.kinds.podspec.spec import template_errors
from miniplane.kinds.podspec.template import template_warnings
from miniplane.kinds.shared import (
    WORKLOAD_COLUMNS,
    count_column,
    labels_text,
    selector_immutable,
    selector_required,
)

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
"""The annotation with the count of changes to the template."""
_COUNTS = (
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
    "observedGeneration",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
)


def defaults(daemon_set: Object) -> None:
    """A rolling update, one node after the other; ten old revisions."""
    spec = open_section(daemon_set, "spec")
    default_pod_spec(open_section(open_section(spec, "template"), "spec"))
    strategy = open_section(spec, "updateStrategy")
    fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        fill(open_section(strategy, "rollingUpdate"), maxUnavailable=1, maxSurge=0)
    fill(spec, revisionHistoryLimit=10)


def prepare(daemon_set: Object, old: Object | None) -> None:
    """Counts the changes to the template, as an annotation."""
    count = 1
    if old is not None:
        told = meta.annotations(old).get(TEMPLATE_GENERATION, "")
        count = int(told) if told.isascii() and told.isdigit() and len(told) < len(str(2**63)) else 1
        count += section(daemon_set, "spec").get("template") != section(old, "spec").get("template")
    open_section(open_section(daemon_set, "metadata"), "annotations")[TEMPLATE_GENERATION] = str(count)


def validate(daemon_set: Object, old: Object | None) -> Sequence[FieldError]:
    """The selector is there, matches the template and never changes; the strategy makes progress possible."""
    return list(_errors(section(daemon_set, "spec"), old))


def _errors(spec: Object, old: Object | None) -> Iterator[FieldError]:
    path = Path("spec")
    yield from selector_required(path, spec, "daemonset")
    yield from template_errors(path / "template", spec, "DaemonSet")
    for key in ("minReadySeconds", "revisionHistoryLimit"):
        yield from at_least(path / key, optional(spec, key))
    yield from _strategy(path / "updateStrategy", section(spec, "updateStrategy"))
    if old is not None:
        yield from selector_immutable(path, spec, section(old, "spec"))


def _strategy(path: Path, strategy: Object) -> Iterator[FieldError]:
    kind = text(strategy, "type")
    if kind == "OnDelete":
        return
    if kind != "RollingUpdate":
        yield not_supported(path, shown(strategy), ("OnDelete", "RollingUpdate"))
    elif not is_set(strategy, "rollingUpdate"):
        yield required(path / "rollingUpdate")
    else:
        yield from _rolling(path / "rollingUpdate", section(strategy, "rollingUpdate"))


def _rolling(path: Path, rolling: Object) -> Iterator[FieldError]:
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    for key in ("maxUnavailable", "maxSurge"):
        yield from count_or_percent(path / key, rolling.get(key))
        yield from at_most_whole(path / key, rolling.get(key))
    if amount(unavailable) and amount(surge):
        yield invalid(path / "maxSurge", surge, "may not be set when maxUnavailable is non-zero")
    elif not amount(unavailable) and not amount(surge):
        yield required(path / "maxUnavailable", "cannot be 0 when maxSurge is 0")


def validate_status(daemon_set: Object, _old: Object | None) -> Sequence[FieldError]:
    """Counts are not negative."""
    status, path = section(daemon_set, "status"), Path("status")
    return [error for key in _COUNTS for error in at_least(path / key, optional(status, key))]


def _node_selector(daemon_set: Object, _now: datetime) -> str:
    pod = section(section(section(daemon_set, "spec"), "template"), "spec")
    return labels_text(string_map(pod, "nodeSelector"))


DAEMON_SET = Kind(
    group="apps",
    version="v1",
    kind="DaemonSet",
    plural="daemonsets",
    scope=Scope.NAMESPACED,
    short_names=("ds",),
    categories=("all",),
    definition="io.k8s.api.apps.v1.DaemonSet",
    columns=(
        NAME,
        count_column("Desired", "status", "desiredNumberScheduled", "Nodes that should run it.", type="integer"),
        count_column("Current", "status", "currentNumberScheduled", "Of these, nodes that do.", type="integer"),
        count_column("Ready", "status", "numberReady", "Nodes with a ready pod.", type="integer"),
        count_column("Up-to-date", "status", "updatedNumberScheduled", "Pods of the newest template.", type="integer"),
        count_column("Available", "status", "numberAvailable", "Pods ready for long enough.", type="integer"),
        Column("Node Selector", _node_selector, description="The labels of nodes that fit."),
        AGE,
        *WORKLOAD_COLUMNS,
    ),
    subresources=(STATUS,),
    defaults=defaults,
    strategy=Strategy(
        prepare=prepare,
        validate=validate,
        validate_status=validate_status,
        warnings=template_warnings,
        initial_status={
            "currentNumberScheduled": 0,
            "numberMisscheduled": 0,
            "desiredNumberScheduled": 0,
            "numberReady": 0,
        },
        counts_generation=True,
    ),
)
