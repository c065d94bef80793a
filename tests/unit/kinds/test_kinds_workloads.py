"""The rules of workloads, budgets, quotas, claims and classes: one line for each."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from miniplane.api.kind import Kind, Object
from miniplane.kinds import REGISTRY
from miniplane.kinds.autoscaling.v1.horizontalpodautoscaler import read, show

POD: Object = {"containers": [{"name": "c", "image": "nginx"}]}
TEMPLATE: Object = {"metadata": {"labels": {"app": "web"}}, "spec": POD}
SELECTOR: Object = {"matchLabels": {"app": "web"}}
JOB: Object = {"template": {"spec": {**POD, "restartPolicy": "Never"}}}
GOOD: Mapping[str, Object] = {
    "statefulset": {"spec": {"selector": SELECTOR, "template": TEMPLATE}},
    "daemonset": {"spec": {"selector": SELECTOR, "template": TEMPLATE}},
    "replicationcontroller": {"spec": {"template": TEMPLATE}},
    "job": {"spec": JOB},
    "cronjob": {"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": JOB}}},
    "pdb": {"spec": {"minAvailable": 1, "selector": SELECTOR}},
    "hpa": {"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 3}},
    "priorityclass": {"value": 10},
    "resourcequota": {"spec": {"hard": {"pods": "1"}}},
    "limitrange": {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1"}}]}},
    "pvc": {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}},
    "pv": {"spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/a"}}},
    "storageclass": {"provisioner": "example.com/disk"},
}


def make(word: str, changes: Mapping[str, Any]) -> tuple[Kind, Object]:
    """A good object with values put at dotted paths, as it stands before it is validated."""
    kind = REGISTRY.find(word)
    assert kind is not None
    obj = copy.deepcopy(GOOD[word]) | {"metadata": {"name": "web", "namespace": "default", "uid": "u"}}
    for path, value in changes.items():
        *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
        place: Any = obj
        for part in parents:
            place = place[part]
        place[last] = copy.deepcopy(value)
    kind.defaults(obj)
    return kind, obj


def errors(word: str, changes: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Field and message of each error of a new object."""
    kind, obj = make(word, changes)
    kind.strategy.prepare(obj, None)
    return [(error.field, error.message) for error in kind.strategy.validate(obj, None)]


@pytest.mark.parametrize("word", GOOD)
def test_the_good_ones_are_good(word: str) -> None:
    """The objects that the other tests spoil have no error."""
    assert errors(word, {}) == []


CREATES = [
    ("statefulset", {"spec.selector": {}}, "spec.selector", "empty selector is invalid for statefulset"),
    ("statefulset", {"spec.podManagementPolicy": "x"}, "spec.podManagementPolicy", "must be 'OrderedReady' or"),
    ("daemonset", {"spec.updateStrategy": {"type": "x"}}, "spec.updateStrategy", "Unsupported value"),
    (
        "daemonset",
        {"spec.updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}}},
        "spec.updateStrategy.rollingUpdate.maxUnavailable",
        "cannot be 0 when maxSurge is 0",
    ),
    ("replicationcontroller", {"spec.selector": {"a": "b"}}, "spec.template.metadata.labels", "does not match"),
    ("job", {"spec.template.spec.restartPolicy": "Always"}, "spec.template.spec.restartPolicy", "valid values:"),
    (
        "job",
        {"spec.completionMode": "Indexed", "spec.parallelism": 1},
        "spec.completions",
        "completion mode is Indexed",
    ),
    ("job", {"spec.selector": SELECTOR}, "spec.selector", "`selector` not auto-generated"),
    ("cronjob", {"spec.schedule": "* * *"}, "spec.schedule", "expected exactly 5 fields, found 3"),
    ("cronjob", {"spec.schedule": "TZ=UTC * * * * *"}, "spec.schedule", "cannot use TZ or CRON_TZ"),
    ("cronjob", {"spec.timeZone": "Mars/Base"}, "spec.timeZone", "unknown time zone Mars/Base"),
    ("cronjob", {"metadata.name": "a" * 53}, "metadata.name", "must be no more than 52 characters"),
    ("pdb", {"spec.maxUnavailable": 1}, "spec", "minAvailable and maxUnavailable cannot be both set"),
    ("pdb", {"spec.minAvailable": "101%"}, "spec.minAvailable", "must not be greater than 100%"),
    ("hpa", {"spec.minReplicas": 4}, "spec.maxReplicas", "must be greater than or equal to `minReplicas`"),
    ("hpa", {"spec.metrics": [{"type": "Pods"}]}, "spec.metrics[0].pods", "must populate information"),
    ("priorityclass", {"value": 2 * 10**9}, "value", "maximum allowed value of a user defined priority is 1000000000"),
    ("priorityclass", {"metadata.name": "system-x"}, "metadata.name", "reserved for system use only"),
    ("resourcequota", {"spec.hard": {"bogus": "1"}}, "spec.hard[bogus]", "must be a standard resource for quota"),
    ("resourcequota", {"spec.scopes": ["BestEffort", "NotBestEffort"]}, "spec.scopes", "conflicting scopes"),
    ("limitrange", {"spec.limits.0.min": {"cpu": "3"}}, "spec.limits[0].min[cpu]", "min value 3 is greater than max"),
    ("pvc", {"spec.accessModes": []}, "spec.accessModes", "at least 1 access mode is required"),
    ("pv", {"spec.nfs": {"server": "a", "path": "/"}}, "spec.nfs", "may not specify more than 1 volume type"),
    ("storageclass", {"volumeBindingMode": "x"}, "volumeBindingMode", "Unsupported value"),
]


@pytest.mark.parametrize(("word", "changes", "field", "words"), CREATES)
def test_what_is_refused(word: str, changes: Mapping[str, Any], field: str, words: str) -> None:
    """Each rule is told at its field, in upstream's words."""
    found = errors(word, changes)
    assert any(at == field and words in message for at, message in found), found


UPDATES = [
    ("statefulset", {"spec.serviceName": "other"}, "spec", "updates to statefulset spec for fields other than"),
    ("daemonset", {"spec.selector": {"matchLabels": {"app": "x"}}}, "spec.selector", "field is immutable"),
    ("job", {"spec.completions": 2}, "spec.completions", "field is immutable"),
    ("job", {"spec.template.spec.nodeName": "a"}, "spec.template", "field is immutable"),
    ("priorityclass", {"value": 11}, "value", "may not be changed in an update."),
    ("resourcequota", {"spec.scopes": ["Terminating"]}, "spec.scopes", "field is immutable"),
    ("pvc", {"spec.accessModes": ["ReadWriteMany"]}, "spec", "spec is immutable after creation except"),
    ("pv", {"spec.hostPath": {"path": "/b"}}, "spec.persistentvolumesource", "is immutable after creation"),
    ("storageclass", {"provisioner": "example.com/other"}, "provisioner", "updates to provisioner are forbidden."),
]


@pytest.mark.parametrize(("word", "changes", "field", "words"), UPDATES)
def test_what_may_not_change(word: str, changes: Mapping[str, Any], field: str, words: str) -> None:
    """What is fixed at creation stays; the same object again is no change."""
    kind, old = make(word, {})
    kind.strategy.prepare(old, None)
    again = copy.deepcopy(old)
    kind.strategy.prepare(again, old)
    assert list(kind.strategy.validate(again, old)) == []
    _, new = make(word, changes)
    for part in ("selector", "template"):  # a Job's, as they came about
        if word == "job" and not any(path.startswith(f"spec.{part}") for path in changes):
            new["spec"][part] = copy.deepcopy(old["spec"][part])
    found = [(error.field, error.message) for error in kind.strategy.validate(new, old)]
    assert any(at == field and text.find(words) >= 0 for at, text in found), found


def test_an_autoscaler_comes_back_from_v1_unchanged() -> None:
    """Whatever v2 says survives the way to v1 and back, in annotations that v2 does not show."""
    amounts = {"type": "AverageValue", "averageValue": "10"}
    metrics = [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}},
        {"type": "Resource", "resource": {"name": "memory", "target": amounts}},
        {"type": "Pods", "pods": {"metric": {"name": "rate", "selector": SELECTOR}, "target": amounts}},
        {
            "type": "Object",
            "object": {
                "describedObject": {"kind": "Ingress", "name": "a"},
                "metric": {"name": "hits"},
                "target": {"type": "Value", "value": "2k"},
            },
        },
        {"type": "External", "external": {"metric": {"name": "queue"}, "target": amounts}},
    ]
    kind, stored = make("hpa", {"spec.metrics": metrics, "spec.behavior": {"scaleUp": {"selectPolicy": "Min"}}})
    stored["status"] = {"currentReplicas": 1, "desiredReplicas": 2, "conditions": [{"type": "AbleToScale"}]}
    before = copy.deepcopy(stored)
    old = show(stored)
    assert stored == before
    assert old["spec"]["targetCPUUtilizationPercentage"] == 60
    assert "metrics" not in old["spec"]
    assert len(old["metadata"]["annotations"]) == 3
    assert read(old) == {**stored, "apiVersion": kind.api_version}
