"""Placing pods: the scheduler's own work, without the API server."""

from collections.abc import Sequence

from bench.figures.base import Figure, Group, timed
from controllers.scheduler.demand import Demand
from controllers.scheduler.filters import search
from controllers.scheduler.nodes import View
from controllers.scheduler.scores import best
from miniplane.api.kind import Object
from miniplane.runtime import Change

NODES = 1000
PODS = 10_000
LIMIT_S = 20.0
"""A third of the minute that the design gives to run them all."""


def node(number: int) -> Object:
    """A Node in one of three zones."""
    labels = {"kubernetes.io/hostname": f"n{number}", "topology.kubernetes.io/zone": f"z{number % 3}"}
    amounts = {"cpu": "8", "memory": "32Gi", "pods": "110"}
    return {"metadata": {"name": f"n{number}", "labels": labels}, "spec": {}, "status": {"allocatable": amounts}}


def pod(number: int, **spec: object) -> Object:
    """One of a hundred replicas."""
    app = f"app-{number // 100}"
    owner = {"uid": app, "controller": True, "kind": "ReplicaSet", "name": app}
    requests = {"cpu": "100m", "memory": "128Mi"}
    metadata = {"name": f"p{number}", "namespace": "default", "uid": f"p{number}", "labels": {"app": app}}
    containers = [{"name": "c", "resources": {"requests": requests}}]
    return {"metadata": metadata | {"ownerReferences": [owner]}, "spec": {"containers": containers, **spec}}


def place(view: View, pods: Sequence[Object]) -> float:
    """The seconds that it takes to place them one after the other."""
    with timed() as watch:
        for obj in pods:
            demand = Demand.of(obj)
            view.assume(demand, best(demand, search(demand, view).feasible, view).name)
    return watch.seconds


def measure() -> Sequence[Figure]:
    """Plain replicas, then some that spread over zones, when the cluster is full of others."""
    view = View()
    for number in range(NODES):
        view.take_node(Change(None, node(number)))
    plain = place(view, [pod(number) for number in range(PODS)])
    constraint = {
        "topologyKey": "topology.kubernetes.io/zone",
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "app-100"}},
    }
    spread = place(view, [pod(PODS + number, topologySpreadConstraints=[constraint]) for number in range(100)])
    against = "the design's promise"
    return [
        Figure(
            name=f"place {PODS:,} pods on {NODES:,} nodes",
            measured=plain,
            limit=LIMIT_S,
            unit="s",
            against=against,
            better="less",
        ),
        Figure(
            name=f"one pod with a spread constraint beside {PODS:,}",
            measured=spread * 10,
            limit=50,
            unit="ms",
            against=against,
            better="less",
        ),
    ]


GROUP = Group("scheduler", "placing pods, without the API server", measure)
