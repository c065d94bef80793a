"""How many replicas an autoscaler wants."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controllers import scaling
from controllers.scaling import Groups, Memory, NoMetric, Usage
from miniplane.api import meta
from miniplane.api.kind import Object

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def pod(name: str, word: str = "Running", *, ready: bool = True, age_s: float = 3600, **metadata: str) -> Object:
    """A pod that became what it is soon after its start."""
    start = NOW - timedelta(seconds=age_s)
    changed = meta.timestamp(start + timedelta(seconds=5))
    conditions = [{"type": "Ready", "status": str(ready), "lastTransitionTime": changed}]
    status = {"phase": word, "startTime": meta.timestamp(start), "conditions": conditions}
    return {"metadata": {"name": name, **metadata}, "status": status}


def test_pods_are_sorted_by_what_they_tell() -> None:
    """Waiting and young unready pods count as unready, those without a number as missing, those that end not at all."""
    pods = [
        pod("fine"),
        pod("mute"),
        pod("waits", "Pending"),
        pod("unready", ready=False),
        pod("young", age_s=10),
        pod("failed", "Failed"),
        pod("going", deletionTimestamp=meta.timestamp(NOW)),
    ]
    usage = {name: Usage(100, NOW, 15) for name in ("fine", "unready", "young", "failed", "going")}
    found = scaling.group(pods, usage, "cpu", NOW)
    assert found == Groups({"fine": 100}, ["waits", "unready", "young"], ["mute"])


@pytest.mark.parametrize(
    ("counted", "unready", "missing", "wanted"),
    [
        ([50, 50, 50], 0, 0, 3),
        ([54, 54, 54], 0, 0, 3),
        ([100, 100, 100], 0, 0, 6),
        ([90, 60, 60], 0, 0, 5),
        ([10, 10, 10], 0, 0, 1),
        ([100, 100], 1, 0, 4),
        ([100, 20], 1, 0, 3),
        ([20, 20], 0, 1, 3),
        ([100, 100], 0, 1, 4),
        ([10, 10], 1, 0, 1),
    ],
)
def test_replicas_follow_the_use(counted: list[int], unready: int, missing: int, wanted: int) -> None:
    """In proportion to use over target; unready and missing pods only dampen the move."""
    groups = Groups(
        {f"c{index}": value for index, value in enumerate(counted)},
        [f"u{index}" for index in range(unready)],
        [f"m{index}" for index in range(missing)],
    )
    requests = dict.fromkeys([*groups.counted, *groups.unready, *groups.missing], 100)
    assert scaling.of_utilization(groups, requests, 50, 3)[0] == wanted
    if not missing:
        assert scaling.of_average(groups, 50, 3)[0] == wanted


def test_without_a_number_nothing_is_said() -> None:
    """No pod that counts is an error, no zero."""
    with pytest.raises(NoMetric, match="did not receive metrics"):
        scaling.of_average(Groups(), 50, 3)


def memory(recommended: dict[int, int] | None = None, done: dict[int, int] | None = None) -> Memory:
    """What was said and done so many seconds ago."""

    def ago(items: dict[int, int] | None) -> list[Any]:
        return [(NOW - timedelta(seconds=age), count) for age, count in (items or {}).items()]

    return Memory(ago(recommended), ago(done))


AT_ONCE = {"scaleDown": {"stabilizationWindowSeconds": 0}}
NINE = [{"type": "Pods", "value": 9, "periodSeconds": 15}]


@pytest.mark.parametrize(
    ("behavior", "before", "current", "wanted", "replicas", "limited", "able"),
    [
        ({}, memory(), 3, 4, 4, "DesiredWithinRange", "ReadyForNewScale"),
        ({}, memory(), 3, 9, 6, "ScaleUpLimit", "ReadyForNewScale"),
        ({}, memory(), 1, 4, 4, "DesiredWithinRange", "ReadyForNewScale"),
        ({}, memory(), 8, 30, 10, "TooManyReplicas", "ReadyForNewScale"),
        ({}, memory({400: 3}), 3, 1, 2, "TooFewReplicas", "ReadyForNewScale"),
        ({}, memory({200: 5}), 6, 3, 5, "DesiredWithinRange", "ScaleDownStabilized"),
        ({}, memory(), 6, 3, 6, "DesiredWithinRange", "ScaleDownStabilized"),
        (AT_ONCE, memory({5: 6}), 6, 3, 3, "DesiredWithinRange", "ReadyForNewScale"),
        (
            {"scaleUp": {"stabilizationWindowSeconds": 60, "policies": NINE}},
            memory({30: 4}), 3, 8, 4, "DesiredWithinRange", "ScaleUpStabilized",
        ),
        ({"scaleUp": {"selectPolicy": "Disabled"}}, memory(), 3, 9, 3, "ScaleUpLimit", "ReadyForNewScale"),
        (
            {"scaleUp": {"policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}]}},
            memory(done={30: 1}), 4, 9, 5, "ScaleUpLimit", "ReadyForNewScale",
        ),
        (
            {"scaleDown": {"policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}]}},
            memory({400: 8}), 8, 2, 4, "ScaleDownLimit", "ReadyForNewScale",
        ),
    ],
)  # fmt: skip
def test_behaviour_holds_back(
    behavior: Object, before: Memory, current: int, wanted: int, replicas: int, limited: str, able: str
) -> None:
    """Windows, rates and bounds, each with its reason."""
    spec = {"minReplicas": 2, "maxReplicas": 10, "behavior": behavior}
    found = scaling.decide(spec, before, current, wanted, NOW)
    assert (found.replicas, found.conditions["ScalingLimited"][1], found.conditions["AbleToScale"][1]) == (
        replicas,
        limited,
        able,
    )
