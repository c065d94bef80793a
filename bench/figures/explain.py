"""The explanations: a trace in a large cluster, what one more policy would change, a small question from scratch."""

from collections.abc import Sequence
from statistics import median

from bench.figures.base import Figure, Group, timed
from miniplane.api.kind import Object
from miniplane.dataplane import offline
from miniplane.dataplane.journey import DELIVERED, Journeys, follow
from miniplane.dataplane.reach import Reach, matrix

SERVICES, PODS, NODES = 1_000, 1_000, 10
APPS, POLICIES = 50, 20
TRACES = 50


def _pod(number: int, app: str) -> Object:
    containers = [{"name": "main", "ports": [{"name": "http", "containerPort": 8000}]}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"pod-{number}", "namespace": "default", "labels": {"app": app}},
        "spec": {"nodeName": f"node-{number % NODES}", "containers": containers},
    }


def _service(number: int) -> Object:
    spec = {"selector": {"app": f"app-{number}"}, "ports": [{"port": 80, "targetPort": "http"}]}
    metadata = {"name": f"service-{number}", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def _policy(number: int) -> Object:
    """Lets the next application in and nobody else."""
    peer = {"podSelector": {"matchLabels": {"app": f"app-{number + 1}"}}}
    spec = {
        "podSelector": {"matchLabels": {"app": f"app-{number}"}},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [peer], "ports": [{"port": 8000}]}],
    }
    metadata = {"name": f"policy-{number}", "namespace": "default"}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def _traces() -> list[float]:
    """Seconds of each question about one world: a name looked up, the packet, the way back."""
    pods = [_pod(number, f"app-{number}") for number in range(PODS)]
    world = offline.build([*pods, *map(_service, range(SERVICES))], addons=True)
    journeys = Journeys(world.objects, world.network)
    seconds = []
    for number in range(TRACES):
        with timed() as asked:
            found = journeys.follow(f"pod-{number}", f"service-{number * 7}", reply=True)
        assert found.verdict == DELIVERED
        seconds.append(asked.seconds)
    return seconds


def _what_if() -> float:
    """Seconds to learn which pairs one more policy closes."""
    pods = [_pod(number, f"app-{number % APPS}") for number in range(PODS)]
    world = offline.build([*pods, *map(_policy, range(POLICIES))])
    before = Reach(world.objects, world.network).matrix("http")
    with timed() as asked:
        after = Reach([*world.objects, _policy(POLICIES + 1)], world.network).matrix("http")
        closed = [pair for pair, other in zip(before.pairs(), after.pairs(), strict=True) if pair != other]
    assert closed
    return asked.seconds


def _small() -> float:
    """Seconds for the matrix and a trace of ten pods, from their manifests."""
    objects = [*(_pod(number, f"app-{number}") for number in range(10)), *map(_policy, range(5)), _service(7)]
    with timed() as asked:
        matrix(objects, port=8000)
        follow(objects, "pod-1", "svc/service-7")
    return asked.seconds


def measure() -> Sequence[Figure]:
    """Each question as the commands ask it."""
    return [
        Figure(
            name=f"a trace, {SERVICES} services",
            measured=median(_traces()) * 1e3,
            limit=50,
            unit="ms",
            against="the design",
            better="less",
        ),
        Figure(
            name=f"what if: one policy, {PODS} pods",
            measured=_what_if(),
            limit=2,
            unit="s",
            against="the design",
            better="less",
        ),
        Figure(
            name="matrix and trace of ten pods",
            measured=_small() * 1e3,
            limit=250,
            unit="ms",
            against="a promise",
            better="less",
        ),
    ]


GROUP = Group("explain", "the explanations", measure)
