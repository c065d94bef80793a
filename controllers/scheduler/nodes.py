"""The scheduler's picture of the nodes, kept up to date change by change, so that placing a pod lists nothing.

Pods that it has placed itself count from that moment, before the cache shows them. Upstream:
pkg/scheduler/backend/cache.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.runtime import Change

from .demand import Amounts, Demand, HostPort, amounts


@dataclass(slots=True, eq=False)
class NodeInfo:
    """A node with what runs on it. `node` is None where only pods know of it yet."""

    name: str
    node: Object | None = None
    allocatable: Amounts = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    pods: dict[str, Demand] = field(default_factory=dict)
    ports: Counter[HostPort] = field(default_factory=Counter)
    owners: Counter[str] = field(default_factory=Counter)
    """How many pods each controller has here."""

    def say(self, node: Object | None) -> None:
        """Take the Node as it is now."""
        status = (node or {}).get("status") or {}
        self.node = node
        self.allocatable = amounts(status.get("allocatable") or status.get("capacity"))
        self.labels = meta.labels(node) if node else {}

    def add(self, demand: Demand) -> None:
        """Count a pod."""
        self.pods[demand.uid] = demand
        for name, amount in demand.requests.items():
            self.used[name] = self.used.get(name, 0) + amount
        self.ports.update(demand.ports)
        if demand.owner:
            self.owners[demand.owner] += 1

    def remove(self, demand: Demand) -> None:
        """Count a pod no more."""
        del self.pods[demand.uid]
        for name, amount in demand.requests.items():
            self.used[name] -= amount
        self.ports -= Counter(demand.ports)
        if demand.owner:
            self.owners[demand.owner] -= 1


def runs(pod: Object) -> bool:
    """Whether a pod still takes room."""
    return (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")


class View:
    """All nodes. `assume` a place before binding; `forget` it if the binding failed."""

    def __init__(self) -> None:
        self.namespaces: dict[str, Mapping[str, str]] = {}
        """The labels of each namespace."""
        self._nodes: dict[str, NodeInfo] = {}
        self._places: dict[str, NodeInfo] = {}
        self._assumed: set[str] = set()
        self._repelling: dict[str, Demand] = {}
        self._nominated: dict[str, dict[str, Demand]] = {}
        self._nominations: dict[str, str] = {}
        self._order: list[NodeInfo] | None = None
        self._start = 0

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def nodes(self) -> Sequence[NodeInfo]:
        """The nodes that exist, by name."""
        if self._order is None:
            self._order = [self._nodes[name] for name in sorted(self._nodes) if self._nodes[name].node is not None]
        return self._order

    @property
    def repelling(self) -> Mapping[str, Demand]:
        """The placed pods that keep others off by a required anti-affinity."""
        return self._repelling

    def rotation(self) -> Iterator[NodeInfo]:
        """All nodes, beginning where the last search ended, so that a search that stops early is fair."""
        nodes = self.nodes
        first = self._start
        for step in range(len(nodes)):
            index = (first + step) % len(nodes)
            self._start = index + 1
            yield nodes[index]

    def place_of(self, uid: str) -> NodeInfo | None:
        """Where a pod runs."""
        return self._places.get(uid)

    def is_assumed(self, uid: str) -> bool:
        """Whether a pod has been placed and the cache does not show it yet."""
        return uid in self._assumed

    def nominated(self, node: str) -> Sequence[Demand]:
        """The pods for which room is being made on a node."""
        return [*self._nominated.get(node, {}).values()]

    def take_node(self, change: Change) -> None:
        """Follow the Nodes."""
        for state in change.states:
            info = self._nodes.setdefault(meta.name(state), NodeInfo(meta.name(state)))
            if (info.node is None) is not (change.new is None):
                self._order = None
            info.say(change.new)
            if info.node is None and not info.pods:
                self._nodes.pop(info.name, None)

    def take_namespace(self, change: Change) -> None:
        """Follow the Namespaces' labels."""
        for state in change.states:
            self.namespaces.pop(meta.name(state), None)
        if change.new is not None:
            self.namespaces[meta.name(change.new)] = meta.labels(change.new)

    def take_pod(self, change: Change) -> None:
        """Follow the pods."""
        pod = change.new
        if pod is None:
            assert change.old is not None
            gone = meta.uid(change.old)
            self._leave(gone)
            self._denominate(gone)
            self._assumed.discard(gone)
            return
        uid, node = meta.uid(pod), pod["spec"].get("nodeName") or ""
        if node:
            self._assumed.discard(uid)
            self._denominate(uid)
        elif name := (pod.get("status") or {}).get("nominatedNodeName"):
            self._nominate(Demand.of(pod), name)
        if not runs(pod):
            self._leave(uid)
        elif node and not self._is_known(pod, node):
            self._leave(uid)
            self._enter(Demand.of(pod), node)

    def _is_known(self, pod: Object, node: str) -> bool:
        place = self._places.get(meta.uid(pod))
        if place is None or place.name != node:
            return False
        known = place.pods[meta.uid(pod)].pod
        return bool(known["spec"] == pod["spec"] and meta.labels(known) == meta.labels(pod))

    def assume(self, demand: Demand, node: str) -> None:
        """Count a pod as bound to a node from now on."""
        self._denominate(demand.uid)
        self._enter(demand, node)
        self._assumed.add(demand.uid)

    def forget(self, uid: str) -> None:
        """Take an assumed place back."""
        if uid in self._assumed:
            self._assumed.discard(uid)
            self._leave(uid)

    @contextmanager
    def without(self, gone: Iterable[Demand], node: str) -> Iterator[None]:
        """As if pods of a node were not there, for the time of the block."""
        left = [*gone]
        for demand in left:
            self._leave(demand.uid)
        try:
            yield
        finally:
            for demand in left:
                self._enter(demand, node)

    def _enter(self, demand: Demand, node: str) -> None:
        info = self._nodes.setdefault(node, NodeInfo(node))
        info.add(demand)
        self._places[demand.uid] = info
        if demand.required("podAntiAffinity"):
            self._repelling[demand.uid] = demand

    def _leave(self, uid: str) -> None:
        info = self._places.pop(uid, None)
        if info is not None:
            info.remove(info.pods[uid])
            self._repelling.pop(uid, None)

    def _nominate(self, demand: Demand, node: str) -> None:
        self._denominate(demand.uid)
        self._nominated.setdefault(node, {})[demand.uid] = demand
        self._nominations[demand.uid] = node

    def _denominate(self, uid: str) -> None:
        if node := self._nominations.pop(uid, ""):
            del self._nominated[node][uid]
