"""How many pods a disruption budget lets go."""

from datetime import UTC, datetime
from typing import Any

import pytest

from controllers import budgets
from controllers.budgets import Expectation
from miniplane.api import meta
from miniplane.api.kind import Object

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def budget(status: Object | None = None, **spec: Any) -> Object:
    """A budget."""
    return {"metadata": {"name": "b", "generation": 2}, "spec": spec, "status": status or {}}


def pod(name: str, *, ready: bool = True, going: bool = False) -> Object:
    """A pod."""
    metadata: Object = {"name": name}
    if going:
        metadata["deletionTimestamp"] = "2026-01-02T03:04:05Z"
    return {"metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": str(ready)}]}}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"minAvailable": 2}, Expectation(4, 2)),
        ({"minAvailable": "50%"}, Expectation(5, 3)),
        ({"maxUnavailable": 1}, Expectation(5, 4)),
        ({"maxUnavailable": "30%"}, Expectation(5, 3)),
        ({"maxUnavailable": 9}, Expectation(5, 0)),
    ],
)
def test_what_is_expected(spec: Object, expected: Expectation) -> None:
    """A whole minimum is about the pods there are, all else about the pods there should be; percents round up."""
    assert budgets.expectation(budget(**spec), 4, 5) == expected


def test_the_status_counts_who_stays() -> None:
    """Unready, deleted and evicted pods are not healthy; an eviction that came to nothing is forgotten."""
    noted = {"a": "2026-01-02T03:04:00Z", "b": "2026-01-02T03:00:00Z", "gone": "2026-01-02T03:04:00Z"}
    pods = [pod("a"), pod("b"), pod("c", ready=False), pod("d", going=True), pod("e")]
    told = budgets.status(budget({"disruptedPods": noted}), pods, Expectation(5, 1), NOW)
    assert (told["currentHealthy"], told["disruptionsAllowed"]) == (2, 1)
    assert told["disruptedPods"] == {"a": "2026-01-02T03:04:00Z"}
    condition = meta.condition({"status": told}, "DisruptionAllowed") or {}
    assert (condition["status"], condition["reason"], condition["observedGeneration"]) == ("True", "SufficientPods", 2)


@pytest.mark.parametrize(
    ("expected", "allowed"), [(Expectation(2, 2), 0), (Expectation(2, 3), 0), (Expectation(0, 0), 0)]
)
def test_nothing_goes_where_nothing_is_left(expected: Expectation, allowed: int) -> None:
    """With too few healthy pods, or none expected."""
    told = budgets.status(budget(), [pod("a"), pod("b")], expected, NOW)
    assert told["disruptionsAllowed"] == allowed
    assert told["conditions"][0]["reason"] == "InsufficientPods"
