"""Which pods a ReplicaSet counts, and which it deletes first."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controllers import podgc, podkeeping, replicas
from miniplane import errors
from miniplane.api import meta
from miniplane.api.kind import Object

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def pod(name: str, **changes: Any) -> Object:
    """A running, ready pod on node `n`, a day old."""
    age_s, ready = changes.pop("age_s", 86400), changes.pop("ready", True)
    since = meta.timestamp(NOW - timedelta(seconds=changes.pop("ready_s", age_s)))
    metadata = {"name": name, "uid": name, "creationTimestamp": meta.timestamp(NOW - timedelta(seconds=age_s))}
    metadata |= changes.pop("metadata", {})
    conditions = [{"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": since}]
    status = {"phase": changes.pop("phase", "Running"), "conditions": conditions}
    status["containerStatuses"] = [{"restartCount": changes.pop("restarts", 0)}]
    return {"metadata": metadata, "spec": {"nodeName": changes.pop("node", "n")}, "status": status}


GOOD = pod("good")


@pytest.mark.parametrize(
    "worse",
    [
        pod("unassigned", node=""),
        pod("pending", phase="Pending"),
        pod("unready", ready=False),
        pod("cheap", metadata={"annotations": {replicas.DELETION_COST: "-1"}}),
        pod("fresh", ready_s=60),
        pod("restarted", restarts=3),
        pod("young", age_s=60),
    ],
    ids=meta.name,
)
def test_the_less_useful_pod_goes_first(worse: Object) -> None:
    """Each rule of upstream's order, alone, decides."""
    for pods in ([GOOD, worse], [worse, GOOD]):
        assert replicas.to_delete(pods, 1, pods, NOW) == [worse]


def test_a_crowded_node_is_relieved() -> None:
    """Of equal pods, one goes that shares its node with more of its kin, also of other revisions."""
    pods = [pod("a", node="one"), pod("b", node="two")]
    kin = [*pods, pod("c", node="two")]
    assert replicas.to_delete(pods, 1, kin, NOW) == [pods[1]]


def replica_set(**spec: Any) -> Object:
    """A ReplicaSet of two."""
    labels = {"app": "web"}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}, **spec}
    return {"metadata": {"name": "web", "generation": 3}, "spec": spec}


def test_a_status_counts_what_time_allows() -> None:
    """A pod is available once it has been ready for minReadySeconds; zeros are left out."""
    pods = [pod("a", ready_s=30), pod("b", ready_s=5), pod("c", ready=False)]
    status = replicas.status_of(replica_set(minReadySeconds=10), pods, None, NOW)
    assert status == {"replicas": 3, "readyReplicas": 2, "availableReplicas": 1, "observedGeneration": 3}


def test_a_failure_becomes_a_condition_and_leaves() -> None:
    """What hinders creation is told in a condition until it works again."""
    obj = replica_set()
    obj["status"] = replicas.status_of(obj, [], errors.bad_request("no"), NOW)
    condition = meta.condition(obj, "ReplicaFailure")
    assert condition is not None
    assert (condition["reason"], condition["message"]) == ("FailedCreate", "no")
    assert "conditions" not in replicas.status_of(obj, [], None, NOW)


@pytest.mark.parametrize(("fails_from", "calls"), [(99, 10), (0, 1), (2, 3), (4, 7)])
async def test_creation_starts_slowly(fails_from: int, calls: int) -> None:
    """Batches of 1, 2, 4, …: after the first failure no further batch is begun."""
    made: list[int] = []

    async def one() -> errors.ApiError | None:
        made.append(len(made))
        return errors.bad_request("no") if made[-1] >= fails_from else None

    failure = await podkeeping.slow_start(10, one)
    assert (failure is None, len(made)) == (fails_from == 99, calls)


def test_lost_pods_are_found() -> None:
    """Pods of a node that is gone for long, and deleted pods that never had a node, have nobody to end them."""
    going = {"deletionTimestamp": meta.timestamp(NOW)}
    pods = [pod("fine"), pod("lost", node="gone"), pod("new", node="just"), pod("never", node="", metadata=going)]
    found = podgc.victims(pods, [{"metadata": {"name": "n"}}], ["gone"])
    assert [meta.name(victim.pod) for victim in found] == ["lost", "never"]
    told = podgc.failed(found[0].pod, found[0].why, NOW)
    assert told["phase"] == "Failed"
    assert told["conditions"][-1]["message"] == "PodGC: node no longer exists"
