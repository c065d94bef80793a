"""Which nodes run a daemon, and how a DaemonSet's pods are replaced."""

from datetime import UTC, datetime
from typing import Any

import pytest

from controllers import daemons
from controllers.daemons import Daemons, Fit
from controllers.revisions import REVISION_HASH
from miniplane.api import meta
from miniplane.api.kind import Object

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def node(name: str, *taints: str, **labels: str) -> Object:
    """A node; taints are `key:effect`."""
    made = [dict(zip(("key", "effect"), taint.split(":"), strict=True)) for taint in taints]
    return {"metadata": {"name": name, "labels": labels}, "spec": {"taints": made}}


def daemon_set(strategy: Object | None = None, **spec: Any) -> Object:
    """A DaemonSet with a pod spec."""
    return {
        "metadata": {"name": "d", "namespace": "n", "uid": "d", "generation": 1},
        "spec": {
            "selector": {"matchLabels": {"app": "d"}},
            "template": {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [], **spec}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": strategy or {"maxUnavailable": 1}},
        },
    }


def pod(name: str, on: str, word: str = "new", *, ready: bool = True, **status: Any) -> Object:
    """A pod of the revision `word`."""
    return {
        "metadata": {"name": name, "namespace": "n", "labels": {REVISION_HASH: word}, "uid": name},
        "spec": {"nodeName": on},
        "status": {
            "phase": "Running",
            "conditions": [
                {"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-01-01T00:00:00Z"},
            ],
            **status,
        },
    }


def view(made: Object, nodes: list[Object], pods: list[Object]) -> Daemons:
    """What is there."""
    return Daemons(made, {meta.name(item): item for item in nodes}, pods, "new", NOW)


@pytest.mark.parametrize(
    ("spec", "there", "expected"),
    [
        ({}, node("a"), Fit(runs=True, stays=True)),
        ({}, node("a", "x:NoSchedule"), Fit(runs=False, stays=True)),
        ({}, node("a", "x:NoExecute"), Fit(runs=False, stays=False)),
        ({}, node("a", "x:PreferNoSchedule"), Fit(runs=True, stays=True)),
        ({"tolerations": [{"operator": "Exists"}]}, node("a", "x:NoExecute"), Fit(runs=True, stays=True)),
        ({}, node("a", "node.kubernetes.io/unreachable:NoExecute"), Fit(runs=True, stays=True)),
        ({}, node("a", "node.kubernetes.io/unschedulable:NoSchedule"), Fit(runs=True, stays=True)),
        ({}, node("a", "node.kubernetes.io/network-unavailable:NoSchedule"), Fit(runs=False, stays=True)),
        (
            {"hostNetwork": True},
            node("a", "node.kubernetes.io/network-unavailable:NoSchedule"),
            Fit(runs=True, stays=True),
        ),
        ({"nodeSelector": {"disk": "ssd"}}, node("a"), Fit(runs=False, stays=False)),
        ({"nodeSelector": {"disk": "ssd"}}, node("a", disk="ssd"), Fit(runs=True, stays=True)),
        ({"nodeName": "b"}, node("a"), Fit(runs=False, stays=False)),
    ],
)
def test_which_nodes_fit(spec: Object, there: Object, expected: Fit) -> None:
    """Selector, affinity and name decide; a NoSchedule taint keeps new pods off, a NoExecute taint ends old ones."""
    assert daemons.fit(daemons.template_of(daemon_set(**spec)), there) == expected


def test_a_pod_is_made_for_its_node_alone() -> None:
    """Its affinity names the node in place of the template's terms, and tells which node it is for."""
    terms = [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    made = daemons.pod_for(daemon_set(affinity=affinity), "b", "new")
    assert daemons.node_of(made) == "b"
    assert meta.labels(made) == {"app": "d", REVISION_HASH: "new"}
    assert made["metadata"]["generateName"] == "d-"


def test_managing_makes_and_removes() -> None:
    """A missing pod is made, a second one and those of unfit nodes go, one that is going holds its place."""
    nodes = [node("empty"), node("two"), node("off", "x:NoExecute"), node("going")]
    going = pod("g", "going")
    going["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"
    lost = pod("l", "gone")
    lost["spec"] = daemons.pod_for(daemon_set(), "gone", "new")["spec"]
    pods = [pod("t1", "two"), pod("t2", "two"), pod("o", "off"), going, lost]
    plan = view(daemon_set(), nodes, pods).manage()
    assert plan.create == ["empty"]
    assert [meta.name(item) for item in plan.delete] == ["t2", "o", "l"]


def test_ended_pods_are_told_apart() -> None:
    """A pod that has ended is to be replaced, in its own time."""
    plan = view(daemon_set(), [node("a")], [pod("p", "a", phase="Failed")]).manage()
    assert ([meta.name(item) for item in plan.ended], plan.create, plan.delete) == (["p"], [], [])


@pytest.mark.parametrize(
    ("strategy", "pods", "deleted", "created"),
    [
        ({"maxUnavailable": 1}, [("a", "old", True), ("b", "old", True), ("c", "old", True)], ["a"], []),
        ({"maxUnavailable": "50%"}, [("a", "old", True), ("b", "old", True), ("c", "old", True)], ["a", "b"], []),
        ({"maxUnavailable": 1}, [("a", "new", False), ("b", "old", True), ("c", "old", True)], [], []),
        ({"maxUnavailable": 1}, [("a", "old", False), ("b", "old", True), ("c", "old", False)], ["a", "c"], []),
        ({"maxUnavailable": 0, "maxSurge": 1}, [("a", "old", True), ("b", "old", True)], [], ["a"]),
        (
            {"maxUnavailable": 0, "maxSurge": 1},
            [("a", "old", True), ("a", "new", True), ("b", "old", True)],
            ["a"],
            ["b"],
        ),
        ({"maxUnavailable": 0, "maxSurge": 1}, [("a", "old", True), ("a", "new", False), ("b", "old", True)], [], []),
    ],
)
def test_updates_keep_their_limits(strategy: Object, pods: list[Any], deleted: list[str], created: list[str]) -> None:
    """Old pods go while few nodes are without an available one; with surge a new one comes first."""
    names = sorted({on for on, _, _ in pods})
    there = [pod(f"{on}-{word}", on, word, ready=ready) for on, word, ready in pods]
    plan = view(daemon_set(strategy), [node(name) for name in names], there).update()
    assert [item["spec"]["nodeName"] for item in plan.delete] == deleted
    assert plan.create == created


def test_the_status_counts_nodes() -> None:
    """Nodes that should run a pod, that do, that do so without reason, with the newest template."""
    nodes = [node("a"), node("b"), node("c"), node("off", "x:NoSchedule")]
    pods = [pod("1", "a"), pod("2", "b", "old", ready=False), pod("3", "off")]
    assert view(daemon_set(), nodes, pods).status() == {
        "desiredNumberScheduled": 3,
        "currentNumberScheduled": 2,
        "numberMisscheduled": 1,
        "numberReady": 1,
        "numberAvailable": 1,
        "numberUnavailable": 2,
        "updatedNumberScheduled": 1,
        "observedGeneration": 1,
    }
