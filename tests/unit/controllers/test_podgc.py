"""Pods that no kubelet will end."""

from datetime import UTC, datetime

import pytest

from controllers.podgc import OUT_OF_SERVICE, failed, victims
from miniplane.api.kind import Object


def node(*, ready: bool, tainted: bool) -> Object:
    """A node that may be off."""
    taints = [{"key": OUT_OF_SERVICE, "effect": "NoExecute"}] if tainted else []
    conditions = [{"type": "Ready", "status": "True" if ready else "Unknown"}]
    return {"metadata": {"name": "node-1"}, "spec": {"taints": taints}, "status": {"conditions": conditions}}


@pytest.mark.parametrize(
    ("ready", "tainted", "deleted", "expected"),
    [(False, True, True, 1), (True, True, True, 0), (False, False, True, 0), (False, True, False, 0)],
)
def test_out_of_service(ready: bool, tainted: bool, deleted: bool, expected: int) -> None:  # noqa: FBT001  parameters of the table
    """Only pods that are being deleted go, and only from a node that is both not ready and declared off."""
    metadata = {"name": "a", "namespace": "default"} | (
        {"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {}
    )
    pods: list[Object] = [{"metadata": metadata, "spec": {"nodeName": "node-1"}}]
    assert len(victims(pods, [node(ready=ready, tainted=tainted)], [])) == expected


def test_a_pod_being_deleted_was_not_disrupted() -> None:
    """It fails without the condition DisruptionTarget, which a pod of a vanished node gets."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert failed({}, "", now) == {"phase": "Failed"}
    assert [item["type"] for item in failed({}, "why", now)["conditions"]] == ["DisruptionTarget"]
