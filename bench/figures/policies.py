"""One change among many policies and pods, as one node compiles it."""

from collections.abc import Callable, Sequence
from statistics import median

from bench.figures.base import Figure, Group, timed
from miniplane.api.kind import Object
from miniplane.config import Network
from miniplane.dataplane.compile import Compiler
from miniplane.dataplane.snapshot import Memo, Snapshot

NODES, NAMESPACES, APPS, REPLICAS = 100, 100, 10, 10
"""10,000 pods, a policy for each app of each namespace."""
CHANGES = 20
LIMIT_MS = 20.0


def _meta(name: str, namespace: str = "", revision: int = 1, **labels: str) -> Object:
    meta = {"name": name, "uid": f"{namespace}-{name}", "resourceVersion": str(revision), "labels": labels}
    return meta | ({"namespace": namespace} if namespace else {})


def _node(number: int) -> Object:
    addresses = [{"type": "InternalIP", "address": f"172.30.0.{number + 11}"}]
    return {
        "metadata": _meta(f"node-{number}"),
        "spec": {"podCIDR": f"10.244.{number}.0/24"},
        "status": {"addresses": addresses},
    }


def _pod(number: int, revision: int = 1) -> Object:
    """Each namespace's pods are spread over all nodes; a later revision has moved to another app."""
    space, rest = divmod(number, APPS * REPLICAS)
    app = (rest // REPLICAS + revision - 1) % APPS
    node, place = number % NODES, number // NODES
    status = {"phase": "Running", "podIPs": [{"ip": f"10.244.{node}.{place + 2}"}]}
    return {
        "metadata": _meta(f"p{number}", f"ns-{space}", revision, app=f"app-{app}"),
        "spec": {"nodeName": f"node-{node}", "containers": []},
        "status": status,
    }


def _policy(number: int, revision: int = 1) -> Object:
    """An app takes connections from its neighbour; a later revision on another port."""
    space, app = divmod(number, APPS)
    neighbour = {"podSelector": {"matchLabels": {"app": f"app-{(app + 1) % APPS}"}}}
    rule = {"from": [neighbour], "ports": [{"port": 8000 + revision, "protocol": "TCP"}]}
    return {
        "metadata": _meta(f"only-{app}", f"ns-{space}", revision),
        "spec": {
            "podSelector": {"matchLabels": {"app": f"app-{app}"}},
            "policyTypes": ["Ingress"],
            "ingress": [rule],
        },
    }


class _Cluster:
    """The objects, with what builds and compiles snapshots of them."""

    def __init__(self) -> None:
        self.pods = [_pod(number) for number in range(NAMESPACES * APPS * REPLICAS)]
        self.policies = [_policy(number) for number in range(NAMESPACES * APPS)]
        self._nodes = [_node(number) for number in range(NODES)]
        self._namespaces = [{"metadata": _meta(f"ns-{number}")} for number in range(NAMESPACES)]
        self._memo, self._compiler = Memo(), Compiler()

    def compile(self) -> float:
        """The milliseconds of compiling what is there now; the snapshot is made before."""
        snapshot = Snapshot.build(
            "node-1",
            Network(),
            nodes=self._nodes,
            pods=self.pods,
            services=[],
            slices=[],
            policies=self.policies,
            namespaces=self._namespaces,
            memo=self._memo,
        )
        with timed() as watch:
            self._compiler.compile(snapshot)
        return watch.seconds * 1e3

    def changes(self, change: Callable[[int], None]) -> float:
        """The median time after one change each, in different places."""
        times = []
        for number in range(CHANGES):
            change(number)
            times.append(self.compile())
        return median(times)


def measure() -> Sequence[Figure]:
    """A pod that changes its labels, and a policy that changes its port."""
    cluster = _Cluster()
    first = cluster.compile()

    def relabel(number: int) -> None:
        place = number * 401
        cluster.pods[place] = _pod(place, 2)

    def edit(number: int) -> None:
        place = number * 43
        cluster.policies[place] = _policy(place, 2)

    size = f"{len(cluster.policies):,} policies, {len(cluster.pods):,} pods"
    found = [("first compile", first, 2000.0), (f"a pod relabelled, {size}", cluster.changes(relabel), LIMIT_MS)]
    found.append((f"a policy changed, {size}", cluster.changes(edit), LIMIT_MS))
    return [
        Figure(name=name, measured=measured, limit=limit, unit="ms", against="the design", better="less")
        for name, measured, limit in found
    ]


GROUP = Group("policies", "one change among many policies and pods", measure)
