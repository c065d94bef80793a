"""HorizontalPodAutoscaler: sets the replicas of a workload by what its pods measure.

Upstream: autoscaling/v2; concept page "Horizontal Pod Autoscaling". The version v1 is a face of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.names import is_path_segment
from miniplane.api.table import AGE, NAME
from miniplane.api.validation import FieldError, Path, forbidden, invalid, not_supported, required
from miniplane.kinds.fields import (
    at_least,
    entries,
    fill,
    is_set,
    named_required,
    number,
    open_section,
    optional,
    section,
    text,
)
from miniplane.kinds.podspec.resources import parse_amount
from miniplane.kinds.shared import count_column, selector_errors

_PATH = Path("spec")
_DEFAULT_UTILIZATION = 80
"""Percent of the processor time asked for."""
SOURCES: Mapping[str, str] = {
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
    "External": "external",
}
"""The types of metrics and the field that each has."""
_POLICIES = ("Disabled", "Max", "Min")
_PERIOD_LIMIT_S, _STABILIZATION_LIMIT_S = 1800, 3600


def defaults(autoscaler: Object) -> None:
    """From one replica on, by a processor use of 80 %; what behaviour leaves out is upstream's."""
    spec = open_section(autoscaler, "spec")
    fill(spec, minReplicas=1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": _DEFAULT_UTILIZATION}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    if is_set(spec, "behavior"):
        behavior = section(spec, "behavior")
        up = {"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}
        _rules(open_section(behavior, "scaleUp"), up)
        fill(behavior["scaleUp"], stabilizationWindowSeconds=0)
        _rules(open_section(behavior, "scaleDown"), up[1:])


def _rules(rules: Object, policies: Sequence[Object]) -> None:
    fill(rules, selectPolicy="Max")
    if rules.get("policies") is None:
        rules["policies"] = [dict(policy) for policy in policies]


def validate(autoscaler: Object, _old: Object | None) -> Sequence[FieldError]:
    """The target is named, bounds and metrics make sense."""
    return list(_errors(section(autoscaler, "spec")))


def _errors(spec: Object) -> Iterator[FieldError]:
    low, high = optional(spec, "minReplicas"), number(spec, "maxReplicas")
    if low is not None and low < 1:
        yield invalid(_PATH / "minReplicas", low, "must be greater than or equal to 1")
    if high < 1:
        yield invalid(_PATH / "maxReplicas", high, "must be greater than 0")
    if low is not None and high < low:
        yield invalid(_PATH / "maxReplicas", high, "must be greater than or equal to `minReplicas`")
    target, path = section(spec, "scaleTargetRef"), _PATH / "scaleTargetRef"
    for key in ("kind", "name"):
        yield from named_required(path / key, text(target, key), is_path_segment)
    for index, metric in enumerate(entries(spec, "metrics")):
        yield from _metric(_PATH / "metrics" @ index, metric)
    behavior = section(spec, "behavior")
    for key in ("scaleUp", "scaleDown"):
        if is_set(behavior, key):
            yield from _scaling(_PATH / "behavior" / key, section(behavior, key))


def _metric(path: Path, metric: Object) -> Iterator[FieldError]:
    kind = text(metric, "type")
    if not kind:
        yield required(path / "type", "must specify a metric source type")
        return
    if kind not in SOURCES:
        yield not_supported(path / "type", kind, SOURCES)
        return
    wanted = SOURCES[kind]
    for key in SOURCES.values():
        if key != wanted and is_set(metric, key):
            yield forbidden(path / key, "must populate the given metric source only")
    if not is_set(metric, wanted):
        yield required(path / wanted, "must populate information for the given metric source")
        return
    source, here = section(metric, wanted), path / wanted
    if kind in ("Resource", "ContainerResource"):
        yield from _resource(here, source, kind)
    else:
        identifier = section(source, "metric")
        yield from named_required(here / "metric" / "name", text(identifier, "name"), is_path_segment)
        yield from selector_errors(here / "metric", identifier, "selector")
    if kind == "Object":
        described = section(source, "describedObject")
        for key in ("kind", "name"):
            yield from named_required(here / "describedObject" / key, text(described, key), is_path_segment)
    yield from _target(here / "target", section(source, "target"), kind)


def _resource(path: Path, source: Object, kind: str) -> Iterator[FieldError]:
    if not text(source, "name"):
        yield required(path / "name", "must specify a resource name")
    if kind == "ContainerResource" and not text(source, "container"):
        yield required(path / "container", "must specify a container")


_ALLOWED: Mapping[str, tuple[str, ...]] = {
    "Object": ("value", "averageValue"),
    "Pods": ("averageValue",),
    "Resource": ("averageUtilization", "averageValue"),
    "ContainerResource": ("averageUtilization", "averageValue"),
    "External": ("value", "averageValue"),
}
"""The amounts that a metric can aim at."""


def _target(path: Path, target: Object, kind: str) -> Iterator[FieldError]:
    if not text(target, "type"):
        yield required(path / "type", "must specify a metric target type")
    elif text(target, "type") not in ("Utilization", "Value", "AverageValue"):
        words = "must be either Utilization, Value, or AverageValue"
        yield invalid(path / "type", text(target, "type"), words)
    for key in ("value", "averageValue"):
        amount = parse_amount(target.get(key))
        if amount is not None and amount.nano <= 0:
            yield invalid(path / key, str(amount), "must be positive")
    utilization = optional(target, "averageUtilization")
    if utilization is not None and utilization < 1:
        yield invalid(path / "averageUtilization", utilization, "must be greater than 0")
    given = [key for key in _ALLOWED[kind] if is_set(target, key)]
    if not given:
        words = " or ".join(_ALLOWED[kind]) if len(_ALLOWED[kind]) == 1 else f"either {' or '.join(_ALLOWED[kind])}"
        field = _ALLOWED[kind][0] if kind != "External" else _ALLOWED[kind][1]
        yield required(
            path / field, f"must set {words}" if kind != "Pods" else "must specify a positive target averageValue"
        )
    elif len(given) > 1:
        yield forbidden(path / given[1], f"may not set both {given[0]} and {given[1]}")


def _scaling(path: Path, rules: Object) -> Iterator[FieldError]:
    window = optional(rules, "stabilizationWindowSeconds")
    yield from at_least(path / "stabilizationWindowSeconds", window)
    if window is not None and window > _STABILIZATION_LIMIT_S:
        words = f"must be less than or equal to {_STABILIZATION_LIMIT_S}"
        yield invalid(path / "stabilizationWindowSeconds", window, words)
    if is_set(rules, "selectPolicy") and text(rules, "selectPolicy") not in _POLICIES:
        yield not_supported(path / "selectPolicy", text(rules, "selectPolicy"), _POLICIES)
    policies = entries(rules, "policies")
    if not policies:
        yield required(path / "policies", "must specify at least one Policy")
    for index, policy in enumerate(policies):
        here = path / "policies" @ index
        if text(policy, "type") not in ("Pods", "Percent"):
            yield not_supported(here / "type", text(policy, "type"), ("Percent", "Pods"))
        if number(policy, "value") <= 0:
            yield invalid(here / "value", number(policy, "value"), "must be greater than zero")
        period = number(policy, "periodSeconds")
        if period <= 0:
            yield invalid(here / "periodSeconds", period, "must be greater than zero")
        elif period > _PERIOD_LIMIT_S:
            yield invalid(here / "periodSeconds", period, f"must be less than or equal to {_PERIOD_LIMIT_S}")


def validate_status(autoscaler: Object, _old: Object | None) -> Sequence[FieldError]:
    """Counts are not negative."""
    status, path = section(autoscaler, "status"), Path("status")
    return [
        error for key in ("currentReplicas", "desiredReplicas") for error in at_least(path / key, optional(status, key))
    ]


def _reference(autoscaler: Object, _now: datetime) -> str:
    target = section(section(autoscaler, "spec"), "scaleTargetRef")
    return f"{text(target, 'kind')}/{text(target, 'name')}"


_SHOWN = 2
"""Metrics that a table shows."""


def _targets(autoscaler: Object, _now: datetime) -> str:
    metrics = entries(section(autoscaler, "spec"), "metrics")
    if not metrics:
        return "<none>"
    current = entries(section(autoscaler, "status"), "currentMetrics")
    cells = [
        _target_cell(metric, current[index] if index < len(current) else {}) for index, metric in enumerate(metrics)
    ]
    more = f" + {len(cells) - _SHOWN} more..." if len(cells) > _SHOWN else ""
    return ", ".join(cells[:_SHOWN]) + more


def _target_cell(metric: Object, status: Object) -> str:
    """One metric: what it is now of what it shall be, as kubectl writes it."""
    key = SOURCES.get(text(metric, "type"))
    if key is None:
        return "<unknown type>"
    source = section(metric, key)
    target, now = section(source, "target"), section(section(status, key), "current")
    name = f"{text(source, 'name')}: " if key in ("resource", "containerResource") else ""
    if key in ("object", "external") and not is_set(target, "averageValue"):
        return f"{_amount(now, 'value')}/{_amount(target, 'value')}"
    if key in ("object", "external"):
        return f"{_amount(now, 'averageValue')}/{_amount(target, 'averageValue')} (avg)"
    if is_set(target, "averageValue") or key == "pods":
        return f"{name}{_amount(now, 'averageValue')}/{_amount(target, 'averageValue')}"
    return f"{name}{_percent(now)}/{_percent(target, 'auto')}"


def _amount(amounts: Mapping[str, Any], key: str) -> str:
    return str(amounts[key]) if is_set(amounts, key) else "<unknown>"


def _percent(amounts: Mapping[str, Any], missing: str = "<unknown>") -> str:
    value = optional(amounts, "averageUtilization")
    return f"{missing}" if value is None else f"{value}%"


def _low(autoscaler: Object, _now: datetime) -> str:
    low = optional(section(autoscaler, "spec"), "minReplicas")
    return "<unset>" if low is None else str(low)


HORIZONTAL_POD_AUTOSCALER = Kind(
    group="autoscaling",
    version="v2",
    kind="HorizontalPodAutoscaler",
    plural="horizontalpodautoscalers",
    scope=Scope.NAMESPACED,
    short_names=("hpa",),
    categories=("all",),
    definition="io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
    columns=(
        NAME,
        Column("Reference", _reference, description="What it scales."),
        Column("Targets", _targets, description="What is measured of what shall be."),
        Column("MinPods", _low, description="The fewest replicas."),
        count_column("MaxPods", "spec", "maxReplicas", "The most replicas."),
        count_column("Replicas", "status", "currentReplicas", "How many there are.", type="integer"),
        AGE,
    ),
    subresources=(STATUS,),
    defaults=defaults,
    strategy=Strategy(
        validate=validate,
        validate_status=validate_status,
        initial_status={"desiredReplicas": 0, "currentMetrics": None},
    ),
)
