"""Where a pod may run, where it should, and what is said when it fits nowhere."""

from typing import Any

import pytest

from controllers.scheduler.cluster import NodeInfo, node_infos
from controllers.scheduler.filters import why_not
from controllers.scheduler.scheduler import failure_message
from controllers.scheduler.scores import best
from miniplane.api.kind import Object


def node(name: str = "a", *, cpu: str = "2", memory: str = "4Gi", pods: str = "110", **spec: Any) -> Object:
    """A Node with room."""
    allocatable = {"cpu": cpu, "memory": memory, "pods": pods}
    labels = {"kubernetes.io/hostname": name}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": {"allocatable": allocatable}}


def pod(name: str = "p", *, on: str = "", cpu: str = "0", labels: dict[str, str] | None = None, **spec: Any) -> Object:
    """A pod with one container."""
    container = {"name": "c", "resources": {"requests": {"cpu": cpu}}}
    metadata = {"name": name, "namespace": "default", "uid": name, "labels": labels or {}}
    return {"metadata": metadata, "spec": {"containers": [container], "nodeName": on, **spec}}


def info(where: Object, *pods: Object) -> NodeInfo:
    """One node with its pods."""
    return node_infos([where], pods, {})[0]


@pytest.mark.parametrize(
    ("where", "what", "reason"),
    [
        (node(), pod(cpu="1500m"), None),
        (node(), pod(cpu="2500m"), "Insufficient cpu"),
        (node(pods="0"), pod(), "Too many pods"),
        (node(unschedulable=True), pod(), "node(s) were unschedulable"),
        (
            node(taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]),
            pod(),
            "node(s) had untolerated taint {gpu: yes}",
        ),
        (
            node(taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]),
            pod(tolerations=[{"key": "gpu", "operator": "Exists"}]),
            None,
        ),
        (node(), pod(nodeSelector={"disk": "ssd"}), "node(s) didn't match Pod's node affinity/selector"),
        (node(), pod(nodeSelector={"kubernetes.io/hostname": "a"}), None),
    ],
)
def test_filters(where: Object, what: Object, reason: str | None) -> None:
    """Each filter refuses with upstream's words, and only when it must."""
    assert why_not(what, info(where)) == reason


def test_host_ports_clash() -> None:
    """A host port is taken once per node and protocol."""

    def hosting(name: str, protocol: str) -> Object:
        made = pod(name)
        made["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 80, "protocol": protocol}]
        return made

    taken = hosting("one", "TCP")
    taken["spec"]["nodeName"] = "a"
    assert why_not(hosting("two", "TCP"), info(node(), taken)) == (
        "node(s) didn't have free ports for the requested pod ports"
    )
    assert why_not(hosting("two", "UDP"), info(node(), taken)) is None


def test_siblings_spread() -> None:
    """Pods alike go to different nodes, also when one of them is only assumed to be bound."""
    nodes = [node("a"), node("b"), node("c")]
    labels = {"app": "api"}
    placed = [pod("1", on="a", labels=labels), pod("2", labels=labels)]
    infos = node_infos(nodes, placed, {"2": "b"})
    assert best(pod("3", labels=labels), infos).name == "c"


def test_emptier_node_wins() -> None:
    """Without siblings the node with the larger free share is chosen, ties by name."""
    infos = node_infos([node("a"), node("b")], [pod("1", on="a", cpu="1")], {})
    assert best(pod("2", cpu="100m"), infos).name == "b"
    assert best(pod("2", cpu="100m"), node_infos([node("a"), node("b")], [], {})).name == "a"


def test_failure_message() -> None:
    """Reasons are counted over the nodes, as `kubectl describe` shows them."""
    assert failure_message(3, ["Insufficient cpu", "Insufficient cpu", "Too many pods"]) == (
        "0/3 nodes are available: 2 Insufficient cpu, 1 Too many pods."
    )
    assert failure_message(0, []) == "no nodes available to schedule pods"
