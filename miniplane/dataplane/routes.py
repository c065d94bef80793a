"""Where a node sends a packet once its address is final: the routing table, reduced to the five answers that matter."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_network

from miniplane.config import Network
from miniplane.dataplane.packet import Address, Prefix
from miniplane.dataplane.snapshot import Snapshot


class HopKind(StrEnum):
    """The kinds of next hop."""

    POD = "pod"
    """A pod's link on this node."""
    NODE = "node"
    """This node itself."""
    PEER = "peer"
    """Another node of the cluster."""
    EXTERNAL = "external"
    """Out of the cluster."""
    NONE = "none"
    """No route: an address of ours that nobody has."""


@dataclass(frozen=True, slots=True)
class Hop:
    """A next hop. `name` is the pod's UID (POD), the node's name (NODE, PEER) or empty."""

    kind: HopKind
    name: str = ""


_EXTERNAL, _NONE = Hop(HopKind.EXTERNAL), Hop(HopKind.NONE)


@dataclass(frozen=True, slots=True)
class Routes:
    """One node's routing table. Exact addresses win over prefixes, longer prefixes over shorter ones."""

    node: str
    addresses: tuple[Address, ...]
    """The node's own addresses, one per family; translation to "the node" uses them."""
    exact: dict[Address, Hop] = field(default_factory=dict)
    prefixes: tuple[tuple[Prefix, Hop], ...] = ()
    _lengths: dict[tuple[int, int], dict[int, Hop]] = field(default_factory=dict, init=False, compare=False, repr=False)
    """`{(version, host bits): {network number: hop}}`, longest prefixes first."""

    def __post_init__(self) -> None:
        for prefix, hop in sorted(self.prefixes, key=lambda pair: -pair[0].prefixlen):
            bits = prefix.max_prefixlen - prefix.prefixlen
            table = self._lengths.setdefault((prefix.version, bits), {})
            table.setdefault(int(prefix.network_address) >> bits, hop)

    def lookup(self, address: Address) -> Hop:
        """The next hop to `address`."""
        found = self.exact.get(address)
        if found is not None:
            return found
        number, version = int(address), address.version
        for (family, bits), table in self._lengths.items():
            if family == version and (hop := table.get(number >> bits)) is not None:
                return hop
        return _EXTERNAL

    def own(self, version: int) -> Address | None:
        """The node's own address of IP version `version`."""
        return next((address for address in self.addresses if address.version == version), None)


def routes_for(snapshot: Snapshot) -> Routes:
    """The routing table of the snapshot's node.

    Pods on this node are reached by their links, other nodes' ranges through those nodes. Addresses inside the
    cluster's own ranges that nobody has lead nowhere rather than outside.
    """
    exact: dict[Address, Hop] = {}
    prefixes: list[tuple[Prefix, Hop]] = []
    own: tuple[Address, ...] = ()
    for node in snapshot.nodes:
        mine = node.name == snapshot.node
        hop = Hop(HopKind.NODE if mine else HopKind.PEER, node.name)
        own = node.addresses if mine else own
        exact.update(dict.fromkeys(node.addresses, hop))
        prefixes += [(prefix, _NONE if mine else hop) for prefix in node.pod_cidrs]
    for pod in snapshot.local_pods:
        exact.update(dict.fromkeys(pod.addresses, Hop(HopKind.POD, pod.uid)))
    prefixes += [(prefix, _NONE) for prefix in _ours(snapshot.network)]
    prefixes.sort(key=lambda pair: (-pair[0].prefixlen, str(pair[0])))
    return Routes(snapshot.node, own, exact, tuple(prefixes))


def _ours(network: Network) -> Iterable[Prefix]:
    for text in (*network.pod_cidrs, *network.service_cidrs, network.load_balancer_pool):
        if text:
            yield ip_network(text)
