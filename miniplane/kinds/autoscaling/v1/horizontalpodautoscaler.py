"""HorizontalPodAutoscaler as autoscaling/v1: the processor use stands in a field of its own.

What v1 has no field for travels in annotations, as JSON, so that nothing is lost on the way there and back.
Upstream: pkg/apis/autoscaling/v1/conversion.go.
"""

import json
from collections.abc import Mapping
from typing import Any

from miniplane.api.kind import STATUS, Face, Kind, Object, Scope
from miniplane.kinds.autoscaling.horizontalpodautoscaler import HORIZONTAL_POD_AUTOSCALER, SOURCES
from miniplane.kinds.fields import elements, entries, optional, section, text

_PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS, CURRENT, CONDITIONS, BEHAVIOR = (
    f"{_PREFIX}{word}" for word in ("metrics", "current-metrics", "conditions", "behavior")
)
"""The annotations: spec.metrics but for the processor use, their present values, conditions, behaviour."""
_MARKS = (METRICS, CURRENT, CONDITIONS, BEHAVIOR)


def show(autoscaler: Object) -> Object:
    """The v2 form as v1."""
    spec, status = dict(section(autoscaler, "spec")), dict(section(autoscaler, "status"))
    notes: dict[str, str] = {}
    others = []
    for metric in entries({"items": spec.pop("metrics", None)}, "items"):
        target = section(section(metric, "resource"), "target")
        if "targetCPUUtilizationPercentage" not in spec and _is_cpu_use(metric) and "averageUtilization" in target:
            spec["targetCPUUtilizationPercentage"] = target["averageUtilization"]
        else:
            others.append(_flat(metric, "target"))
    current = []
    for metric in entries({"items": status.pop("currentMetrics", None)}, "items"):
        now = section(section(metric, "resource"), "current")
        if _is_cpu_use(metric) and "averageUtilization" in now:
            status["currentCPUUtilizationPercentage"] = now["averageUtilization"]
        current.append(_flat(metric, "current"))
    _note(notes, METRICS, others)
    _note(notes, CURRENT, current)
    _note(notes, CONDITIONS, status.pop("conditions", None))
    _note(notes, BEHAVIOR, _capital(spec.pop("behavior", None)))
    metadata = dict(section(autoscaler, "metadata"))
    if notes:
        metadata["annotations"] = {**section(metadata, "annotations"), **notes}
    return _whole(autoscaler, "autoscaling/v1", metadata, spec, status)


def read(autoscaler: Object) -> Object:
    """The v1 form as v2; annotations that can't be read are dropped, as upstream does."""
    spec, status = dict(section(autoscaler, "spec")), dict(section(autoscaler, "status"))
    metadata = dict(section(autoscaler, "metadata"))
    notes = dict(section(metadata, "annotations"))
    told = {mark: _parse(notes.pop(mark)) for mark in _MARKS if mark in notes}
    metrics = [_nested(metric, "target") for metric in entries({"items": told.get(METRICS)}, "items")]
    if (percent := optional(spec, "targetCPUUtilizationPercentage")) is not None:
        target = {"type": "Utilization", "averageUtilization": percent}
        metrics.insert(0, {"type": "Resource", "resource": {"name": "cpu", "target": target}})
    spec.pop("targetCPUUtilizationPercentage", None)
    status.pop("currentCPUUtilizationPercentage", None)
    if metrics:
        spec["metrics"] = metrics
    if isinstance(behavior := _small(told.get(BEHAVIOR)), dict):
        spec["behavior"] = behavior
    if current := [_nested(metric, "current") for metric in entries({"items": told.get(CURRENT)}, "items")]:
        status["currentMetrics"] = current
    if conditions := elements({"items": told.get(CONDITIONS)}, "items"):
        status["conditions"] = conditions
    if told:
        metadata["annotations"] = notes
        if not notes:
            del metadata["annotations"]
    return _whole(autoscaler, "autoscaling/v2", metadata, spec, status)


def _whole(autoscaler: Object, api_version: str, metadata: Object, spec: Object, status: Object) -> Object:
    result = {**autoscaler, "apiVersion": api_version, "metadata": metadata, "spec": spec}
    if "status" in autoscaler:
        result["status"] = {"currentReplicas": 0, "desiredReplicas": 0, **status}
    return result


def _is_cpu_use(metric: Object) -> bool:
    return text(metric, "type") == "Resource" and text(section(metric, "resource"), "name") == "cpu"


def _note(notes: dict[str, str], mark: str, value: Any) -> None:
    if value:
        notes[mark] = json.dumps(value, separators=(",", ":"))


def _parse(text: object) -> Any:
    try:
        return json.loads(str(text))
    except ValueError:
        return None


def _capital(value: Any) -> Any:
    """Behaviour as upstream's annotation has it: the names of its Go fields."""
    if not isinstance(value, Mapping):
        return None
    return {key[0].upper() + key[1:]: _capital_items(item) for key, item in value.items()}


def _capital_items(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _capital(value)
    return [_capital_items(item) for item in value] if isinstance(value, list) else value


def _small(value: Any) -> Any:
    """The way back of `_capital`."""
    if isinstance(value, Mapping):
        small = {key[:1].lower() + key[1:]: _small(item) for key, item in value.items()}
        return {key: item for key, item in small.items() if item is not None}
    return [_small(item) for item in value] if isinstance(value, list) else value


_WORDS = {
    "target": {
        "averageUtilization": "targetAverageUtilization",
        "averageValue": "targetAverageValue",
        "value": "targetValue",
    },
    "current": {
        "averageUtilization": "currentAverageUtilization",
        "averageValue": "currentAverageValue",
        "value": "currentValue",
    },
}
"""How the annotation, in the form of v2beta1, calls the amounts."""


def _flat(metric: Object, key: str) -> Object:
    """A metric as the annotation has it: amounts and the metric's name beside each other."""
    result = dict(metric)
    for source in SOURCES.values():
        if isinstance(metric.get(source), dict):
            inner = dict(metric[source])
            amounts, identifier = section(inner, key), section(inner, "metric")
            inner.pop(key, None)
            inner.pop("metric", None)
            if source == "object":
                inner["target"] = inner.pop("describedObject", None)
            for word, name in _WORDS[key].items():
                if word in amounts:
                    inner["averageValue" if source == "object" and word == "averageValue" else name] = amounts[word]
            if identifier:
                inner["metricName"] = text(identifier, "name")
                if identifier.get("selector"):
                    inner["metricSelector" if source == "external" else "selector"] = identifier["selector"]
            result[source] = inner
    return result


def _nested(metric: Object, key: str) -> Object:
    """The way back of `_flat`."""
    result = dict(metric)
    for source in SOURCES.values():
        if not isinstance(metric.get(source), dict):
            continue
        inner = dict(metric[source])
        if source == "object":
            inner["describedObject"] = inner.pop("target", None)
        amounts = {word: inner.pop(name) for word, name in _WORDS[key].items() if name in inner}
        if source == "object" and "averageValue" in inner:
            amounts["averageValue"] = inner.pop("averageValue")
        if "metricName" in inner:
            inner["metric"] = {"name": inner.pop("metricName")}
            selector = inner.pop("metricSelector", None) or inner.pop("selector", None)
            if selector:
                inner["metric"]["selector"] = selector
        if key == "target":
            amounts = {"type": _target_type(amounts), **amounts}
        result[source] = {**inner, key: amounts}
    return result


def _target_type(amounts: Object) -> str:
    if "averageUtilization" in amounts:
        return "Utilization"
    return "AverageValue" if "averageValue" in amounts else "Value"


HORIZONTAL_POD_AUTOSCALER_V1 = Kind(
    group="autoscaling",
    version="v1",
    kind="HorizontalPodAutoscaler",
    plural="horizontalpodautoscalers",
    scope=Scope.NAMESPACED,
    short_names=("hpa",),
    categories=("all",),
    definition="io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler",
    columns=HORIZONTAL_POD_AUTOSCALER.columns,
    subresources=(STATUS,),
    face=Face(HORIZONTAL_POD_AUTOSCALER, show, read),
)
