"""A Deployment's conditions over time."""

from datetime import UTC, datetime, timedelta
from typing import Any

from controllers.progress import progress
from miniplane.api import meta
from miniplane.api.kind import Object

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def deployment(**spec: Any) -> Object:
    """A Deployment of three."""
    return {
        "metadata": {"name": "web", "generation": 1},
        "spec": {"replicas": 3, "progressDeadlineSeconds": 60, **spec},
    }


def replica_set(name: str, available: int, *conditions: Object) -> Object:
    """A ReplicaSet of three with so many available."""
    status = {"replicas": 3, "readyReplicas": available, "availableReplicas": available, "conditions": [*conditions]}
    return {"metadata": {"name": name}, "spec": {"replicas": 3}, "status": status}


def at(obj: Object, new: Object, seconds: float) -> tuple[Object, str, float | None]:
    """The object with the status told then, the reason of Progressing, and when to look again."""
    told = progress(obj, new, [], NOW + timedelta(seconds=seconds))
    after = obj | {"status": told.status}
    return after, str((meta.condition(after, "Progressing") or {}).get("reason")), told.look_after_s


def test_a_rollout_that_stands_still_times_out() -> None:
    """The deadline counts from the last progress; passing it is told once, and progress heals it."""
    obj, reason, look_s = at(deployment(), replica_set("r", 0), 0)
    assert (reason, look_s) == ("ReplicaSetUpdated", 60)
    obj, reason, look_s = at(obj, replica_set("r", 1), 50)
    assert (reason, look_s) == ("ReplicaSetUpdated", 60)
    obj, reason, look_s = at(obj, replica_set("r", 1), 109)
    assert (reason, look_s) == ("ReplicaSetUpdated", 1)
    obj, reason, look_s = at(obj, replica_set("r", 1), 111)
    assert (reason, look_s) == ("ProgressDeadlineExceeded", None)
    assert at(obj, replica_set("r", 1), 500)[0] == obj
    assert at(obj, replica_set("r", 2), 600)[1] == "ReplicaSetUpdated"
    assert at(obj, replica_set("r", 3), 600)[1] == "NewReplicaSetAvailable"


def test_a_finished_rollout_stays_finished() -> None:
    """A pod that fails later changes Available, not Progressing."""
    obj, _, _ = at(deployment(), replica_set("r", 3), 0)
    obj, reason, look_s = at(obj, replica_set("r", 0), 1000)
    assert (reason, look_s) == ("NewReplicaSetAvailable", None)
    assert not meta.is_condition_true(obj, "Available")
    assert obj["status"]["unavailableReplicas"] == 3


def test_nothing_new_changes_nothing() -> None:
    """The same state later gives the same status, times included."""
    obj, _, _ = at(deployment(), replica_set("r", 3), 0)
    assert at(obj, replica_set("r", 3), 99)[0] == obj


def test_a_pause_stops_the_clock() -> None:
    """Paused, no deadline passes; resumed, it counts anew."""
    obj, _, _ = at(deployment(), replica_set("r", 0), 0)
    obj["spec"]["paused"] = True
    obj, reason, look_s = at(obj, replica_set("r", 0), 50)
    assert (reason, look_s) == ("DeploymentPaused", None)
    obj, reason, _ = at(obj, replica_set("r", 0), 500)
    obj["spec"]["paused"] = False
    _, reason, look_s = at(obj, replica_set("r", 0), 500)
    assert (reason, look_s) == ("DeploymentResumed", 60)


def test_a_replica_sets_failure_is_told() -> None:
    """Quota and the like reach the Deployment's own conditions, and leave them."""
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "no"}
    obj, _, _ = at(deployment(), replica_set("r", 0, failure), 0)
    told = meta.condition(obj, "ReplicaFailure")
    assert told is not None
    assert (told["reason"], told["message"]) == ("FailedCreate", "no")
    obj, _, _ = at(obj, replica_set("r", 3), 9)
    assert meta.condition(obj, "ReplicaFailure") is None


def test_without_a_deadline_nobody_times() -> None:
    """No progressDeadlineSeconds, no condition Progressing."""
    assert at(deployment(progressDeadlineSeconds=None), replica_set("r", 0), 0)[1:] == ("None", None)
