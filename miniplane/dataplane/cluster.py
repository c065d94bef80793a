"""A whole cluster's network at one moment: every node's program, and packets that travel over several of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.config import Network
from miniplane.dataplane.compile import compile as compile_snapshot
from miniplane.dataplane.evaluate import Machine, Outcome
from miniplane.dataplane.packet import Address, Entry, Packet, Source, Verdict
from miniplane.dataplane.routes import Hop, HopKind
from miniplane.dataplane.snapshot import Snapshot
from miniplane.dataplane.tierviews import KINDS as CLUSTER_POLICIES

KINDS = ("Node", "Pod", "Service", "EndpointSlice", "NetworkPolicy", "Namespace")
"""The kinds that make the network; others are ignored, except `CLUSTER_POLICIES`."""
_MOST_LEGS = 8


@dataclass(frozen=True, slots=True)
class Leg:
    """What one node did on the way."""

    node: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Path:
    """One way that a packet can go, from its source to where it ends, and the chance of it."""

    legs: tuple[Leg, ...]
    weight: float

    @property
    def verdict(self) -> Verdict:
        """The last node's verdict."""
        return self.legs[-1].outcome.verdict

    @property
    def packet(self) -> Packet:
        """The packet as it is at its end."""
        return self.legs[-1].outcome.packet

    @property
    def hop(self) -> Hop:
        """Where it ends, if the verdict lets it."""
        return self.legs[-1].outcome.hop


class Cluster:
    """Compiled node by node, as needed. Objects are read only and kept for the explanations."""

    def __init__(self, objects: Mapping[str, Mapping[meta.Key, Object]], network: Network) -> None:
        self.objects = objects
        """`{kind: {key: object}}`."""
        self.network = network
        self._seen: Snapshot | None = None
        self._machines: dict[str, Machine] = {}

    @classmethod
    def from_objects(cls, objects: Iterable[Object], network: Network) -> Self:
        """From API objects of any kinds (others are ignored), live or from manifests with status."""
        found: dict[str, dict[meta.Key, Object]] = {kind: {} for kind in (*KINDS, *CLUSTER_POLICIES)}
        for obj in objects:
            if obj.get("kind") in found:
                found[obj["kind"]][meta.key_of(obj)] = obj
        return cls(found, network)

    def snapshot(self, node: str) -> Snapshot:
        """What a node sees: the same views of the objects for all of them."""
        if self._seen is None:
            self._seen = self._read(node)
        return replace(self._seen, node=node)

    def _read(self, node: str) -> Snapshot:
        parts = [self.objects[kind].values() for kind in KINDS]
        nodes, pods, services, slices, policies, namespaces = parts
        return Snapshot.build(
            node,
            self.network,
            nodes=nodes,
            pods=pods,
            services=services,
            slices=slices,
            policies=policies,
            namespaces=namespaces,
            cluster_policies=[item for kind in CLUSTER_POLICIES for item in self.objects.get(kind, {}).values()],
        )

    @cached_property
    def pods_at(self) -> Mapping[Address, Object]:
        """The pods by the addresses that are their own."""
        pods, views = self.objects["Pod"], self.snapshot("").pods
        return {address: pods[meta.Key(view.namespace, view.name)] for view in views for address in view.addresses}

    @cached_property
    def nodes_at(self) -> Mapping[Address, str]:
        """The nodes' names by their addresses."""
        return {address: view.name for view in self.snapshot("").nodes for address in view.addresses}

    def machine(self, node: str) -> Machine:
        """A node's rules, with no connection in its table."""
        if node not in self._machines:
            self._machines[node] = Machine(compile_snapshot(self.snapshot(node)))
        return self._machines[node]

    def paths(self, packet: Packet, node: str, entry: Entry, source: Source) -> list[Path]:
        """Every way that a new connection's first packet can go, entering the network at `node`."""
        return list(self._paths(packet, node, entry, source, ()))

    def _paths(self, packet: Packet, node: str, entry: Entry, source: Source, legs: tuple[Leg, ...]) -> Iterable[Path]:
        weight = 1.0
        for leg in legs:
            weight *= leg.outcome.weight
        for outcome in self.machine(node).branches(packet, entry=entry, source=source, now=0.0):
            way = (*legs, Leg(node, outcome))
            onward = outcome.verdict is Verdict.ACCEPT and outcome.hop.kind is HopKind.PEER
            if onward and len(way) < _MOST_LEGS:
                yield from self._paths(outcome.packet, outcome.hop.name, Entry.FORWARD, Source.PEER, way)
            else:
                yield Path(way, weight * outcome.weight)
