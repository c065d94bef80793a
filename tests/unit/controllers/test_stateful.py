"""What a StatefulSet does next, pod by pod."""

from datetime import UTC, datetime
from typing import Any

import pytest

from controllers import stateful
from controllers.revisions import REVISION_HASH
from controllers.stateful import Members
from miniplane.api import meta
from miniplane.api.kind import Object

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TEMPLATE: Object = {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}


def stateful_set(replicas: int = 3, **spec: Any) -> Object:
    """A StatefulSet `db`."""
    return {
        "metadata": {"name": "db", "namespace": "n", "uid": "db", "generation": 1},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "db"}},
            "serviceName": "db",
            "template": TEMPLATE,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": spec.pop("rolling", {"partition": 0})},
            **spec,
        },
    }


def revision(name: str) -> Object:
    """A revision of that template."""
    return {"metadata": {"name": name}, "data": {"spec": {"template": TEMPLATE | {"$patch": "replace"}}}}


def pod(ordinal: int, word: str = "ok", of: str = "new") -> Object:
    """A pod; `word` is ok, unready, going or failed."""
    name = f"db-{ordinal}"
    ready = {"type": "Ready", "status": str(word in ("ok", "going")), "lastTransitionTime": "2026-01-02T03:04:00Z"}
    labels = {"app": "db", REVISION_HASH: of, stateful.POD_NAME: name, stateful.POD_INDEX: str(ordinal)}
    metadata: Object = {"name": name, "namespace": "n", "uid": name, "labels": labels}
    if word == "going":
        metadata["deletionTimestamp"] = "2026-01-02T03:04:05Z"
    return {
        "metadata": metadata,
        "status": {"phase": "Failed" if word == "failed" else "Running", "conditions": [ready]},
    }


def members(pods: list[Object], replicas: int = 3, **spec: Any) -> Members:
    """The set with those pods, between the revisions `old` and `new`."""
    return Members(stateful_set(replicas, **spec), pods, revision("old"), revision("new"), NOW)


PARALLEL: Object = {"podManagementPolicy": "Parallel"}


@pytest.mark.parametrize(
    ("pods", "spec", "created", "deleted"),
    [
        ([], {}, [0], []),
        ([], PARALLEL, [0, 1, 2], []),
        ([], {"ordinals": {"start": 5}}, [5], []),
        ([pod(0)], {}, [1], []),
        ([pod(0, "unready")], {}, [], []),
        ([pod(0)], {"minReadySeconds": 60}, [], []),
        ([pod(0, "unready")], PARALLEL, [1, 2], []),
        ([pod(0), pod(2)], {}, [1], []),
        ([pod(0, "failed"), pod(1)], {}, [], [0]),
        ([pod(0, "going"), pod(1)], {}, [], []),
        ([pod(n) for n in range(5)], {}, [], [4]),
        ([pod(n) for n in range(5)], PARALLEL, [], [4, 3]),
        ([*map(pod, range(4)), pod(4, "going")], {}, [], []),
        ([*map(pod, range(3)), pod(3, "unready"), pod(4)], {}, [], [4]),
        ([*map(pod, range(3)), pod(3), pod(4, "unready")], {}, [], [4]),
        ([*map(pod, range(3)), pod(3, "unready"), pod(4, "unready")], {}, [], []),
        ([pod(n, of="old") for n in range(3)], {}, [], [2]),
        ([pod(0, of="old"), pod(1, of="old"), pod(2)], {}, [], [1]),
        ([pod(0, of="old"), pod(1, of="old"), pod(2)], {"rolling": {"partition": 2}}, [], []),
        ([pod(0, of="old"), pod(1, of="old"), pod(2, "unready")], PARALLEL, [], []),
        ([pod(n, of="old") for n in range(3)], {"rolling": {"maxUnavailable": 2}}, [], [2, 1]),
        (
            [pod(0, of="old"), pod(1, of="old"), pod(2, "unready")],
            {"rolling": {"maxUnavailable": 2}} | PARALLEL,
            [],
            [1],
        ),
        ([pod(n, of="old") for n in range(3)], {"updateStrategy": {"type": "OnDelete"}}, [], []),
    ],
)
def test_the_next_step(pods: list[Object], spec: Object, created: list[int], deleted: list[int]) -> None:
    """Pods come from the bottom and go from the top, one after the other unless the set is parallel."""
    plan = members(pods, **spec).plan()
    assert list(plan.create) == created
    assert [stateful.ordinal_of(stateful_set(), item) for item in plan.delete] == deleted


def test_below_the_partition_a_pod_comes_back_as_it_was() -> None:
    """A new pod gets the current revision below the partition and the newest from there on."""
    plan = members([], rolling={"partition": 1}, **PARALLEL).plan()
    assert [meta.name(item) for item in plan.create.values()] == ["old", "new", "new"]


def test_a_pod_has_its_name_and_claims() -> None:
    """Name, labels, hostname, subdomain, and a volume of each claim in place of the template's of that name."""
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    made = stateful_set(volumeClaimTemplates=[claim])
    got = stateful.pod_for(made, revision("new"), 1)
    assert meta.name(got) == "db-1"
    assert meta.labels(got) == {
        "app": "db",
        "statefulset.kubernetes.io/pod-name": "db-1",
        "apps.kubernetes.io/pod-index": "1",
        "controller-revision-hash": "new",
    }
    assert (got["spec"]["hostname"], got["spec"]["subdomain"]) == ("db-1", "db")
    assert got["spec"]["volumes"] == [{"name": "data", "persistentVolumeClaim": {"claimName": "data-db-1"}}]
    (body,) = stateful.claims_for(made, "db-1")
    assert (meta.name(body), meta.labels(body), body["spec"]) == ("data-db-1", {"app": "db"}, claim["spec"])


@pytest.mark.parametrize(
    ("deleted", "scaled", "condemned", "owner"),
    [
        ("Retain", "Retain", True, []),
        ("Delete", "Retain", False, ["StatefulSet"]),
        ("Delete", "Retain", True, ["StatefulSet"]),
        ("Retain", "Delete", False, []),
        ("Retain", "Delete", True, ["Pod"]),
        ("Delete", "Delete", False, ["StatefulSet"]),
        ("Delete", "Delete", True, ["Pod"]),
    ],
)
def test_who_owns_a_claim(deleted: str, scaled: str, condemned: bool, owner: list[str]) -> None:  # noqa: FBT001  a table
    """The retention policy says with whom a claim goes."""
    made = stateful_set(persistentVolumeClaimRetentionPolicy={"whenDeleted": deleted, "whenScaled": scaled})
    owners = stateful.claim_owners(made, pod(3), {"metadata": {}}, condemned=condemned)
    assert [item["kind"] for item in owners] == owner


def test_the_status_tells_where_the_update_is() -> None:
    """Counts by revision; once all pods are new and ready the new revision is the current one."""
    half = members([pod(0, of="old"), pod(1, "unready"), pod(2, "going")], minReadySeconds=3).status()
    assert half == {
        "replicas": 3,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "currentReplicas": 1,
        "updatedReplicas": 1,
        "currentRevision": "old",
        "updateRevision": "new",
        "observedGeneration": 1,
        "collisionCount": 0,
    }
    done = members([pod(0), pod(1), pod(2)]).status()
    assert (done["currentRevision"], done["currentReplicas"]) == ("new", 3)
