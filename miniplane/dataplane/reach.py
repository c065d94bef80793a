"""Who reaches whom: every pod asked for every other pod, and which side refuses.

    >>> from miniplane.dataplane.reach import matrix
    >>> found = matrix(objects, port=80, protocol="TCP")
    >>> found.to_json()["matrix"]

The two sides of a connection are asked apart, each of a cluster that has the policies of that side only, so that the
answer can name both. Pods that no policy can tell apart are asked once. Services play no part: this is about pods and
their own addresses. Everything is answered by the compiled rules, like a packet.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.config import Network
from miniplane.dataplane import offline
from miniplane.dataplane.cluster import Cluster
from miniplane.dataplane.packet import Address, Entry, Packet, Prefix, Protocol, Source, Verdict
from miniplane.dataplane.routes import HopKind
from miniplane.dataplane.words import port_of

ALLOW, INGRESS, EGRESS, BOTH, SELF = "allow", "ingress", "egress", "both", "self"
"""The words of a matrix: nobody blocks, the target's side does, the source's, both; and a pod with itself."""
DIRECTIONS = ("Egress", "Ingress")
_WORDS = {(True, True): ALLOW, (True, False): INGRESS, (False, True): EGRESS, (False, False): BOTH}
_IGNORED = frozenset({"Service", "EndpointSlice"})
_SOURCE_PORT = 40000


@dataclass(frozen=True, slots=True)
class Matrix:
    """The answer for one port: `words[source][target]`, both in the order of `pods` (`namespace/name`)."""

    port: int | str
    protocol: str
    pods: tuple[str, ...]
    words: tuple[tuple[str, ...], ...]

    def to_json(self) -> dict[str, Any]:
        """`{"port", "protocol", "pods", "matrix"}`, as programs rely on it."""
        return {
            "port": self.port,
            "protocol": self.protocol,
            "pods": list(self.pods),
            "matrix": [list(row) for row in self.words],
        }

    def within(self, namespace: str) -> "Matrix":
        """The part of it that is about one namespace's pods."""
        kept = [index for index, pod in enumerate(self.pods) if pod.startswith(f"{namespace}/")]
        words = tuple(tuple(self.words[i][j] for j in kept) for i in kept)
        return Matrix(self.port, self.protocol, tuple(self.pods[i] for i in kept), words)

    def pairs(self) -> Iterator[tuple[str, str, str]]:
        """(source, target, word) of every two different pods."""
        for source, row in zip(self.pods, self.words, strict=True):
            for target, word in zip(self.pods, row, strict=True):
                if word != SELF:
                    yield source, target, word


@dataclass(frozen=True, slots=True)
class _Pod:
    """A pod as far as its reach depends on it."""

    name: str
    node: str
    addresses: tuple[Address, ...]
    is_host: bool
    obj: Object


def matrix(
    objects: Iterable[Object], *, port: int | str, protocol: str = "TCP", network: Network | None = None
) -> Matrix:
    """Who reaches whom in the world that some manifests describe.

    `objects` are API objects as JSON, as they would be applied; what they leave to the cluster is filled in by
    `offline.build`. `port` is a number, or a port's name, looked up on each target: a target without a port of that
    name is reached by nobody (`ingress`). Raises ValueError for a protocol other than TCP, UDP and SCTP.

    For several questions about one world make a `Reach` and keep it.
    """
    world = offline.build(objects, network)
    return Reach(world.objects, world.network).matrix(port, protocol)


class Reach:
    """One cluster's objects, complete with addresses, ready for questions about many ports."""

    def __init__(self, objects: Iterable[Object], network: Network) -> None:
        whole = [obj for obj in objects if obj.get("kind") not in _IGNORED]
        self._clusters = {
            direction: Cluster.from_objects((part for obj in whole for part in _only(direction, obj)), network)
            for direction in DIRECTIONS
        }
        addresses = {meta.name(obj): _node_addresses(obj) for obj in whole if obj.get("kind") == "Node"}
        self._pods = sorted(_pods(whole, addresses), key=lambda pod: pod.name)
        self._blocks = sorted(set(_blocks(whole)), key=str)
        self._nodes_matter = any(pod.is_host for pod in self._pods)

    def matrix(self, port: int | str, protocol: str = "TCP") -> Matrix:
        """Who reaches whom at a port."""
        port = port_of(port)
        if not port:
            raise ValueError("0 is no port to ask for")
        kind = Protocol.__members__.get(protocol)
        if kind is None or not kind.has_ports:
            raise ValueError(f"{protocol!r} is no protocol with ports: TCP, UDP or SCTP")
        numbers = [port if isinstance(port, int) else _named(pod.obj, port, protocol) for pod in self._pods]
        classes: dict[Any, list[int]] = {}
        for index, (pod, number) in enumerate(zip(self._pods, numbers, strict=True)):
            classes.setdefault(self._class(pod, number), []).append(index)
        words: list[tuple[str, ...]] = [()] * len(self._pods)
        for sources in classes.values():
            row = [SELF] * len(self._pods)
            for targets in classes.values():
                pair = next(((a, b) for a in sources[:2] for b in targets[:2] if a != b), None)
                if pair is not None:
                    word = self._word(self._pods[pair[0]], self._pods[pair[1]], numbers[pair[1]], kind)
                    for target in targets:
                        row[target] = word
            for source in sources:
                words[source] = (*row[:source], SELF, *row[source + 1 :])
        return Matrix(port, protocol, tuple(pod.name for pod in self._pods), tuple(words))

    def _class(self, pod: _Pod, number: int | None) -> Any:
        """What a pod's reach depends on; pods of equal classes have equal rows and columns."""
        place = pod.node if self._nodes_matter else ""
        if pod.is_host:
            return place, pod.addresses, number
        blocks = tuple(tuple(_is_in(address, block) for block in self._blocks) for address in pod.addresses)
        families = tuple(address.version for address in pod.addresses)
        labels = tuple(sorted(meta.labels(pod.obj).items()))
        ports = tuple(sorted(_declared(pod.obj)))
        return place, meta.namespace(pod.obj), labels, ports, blocks, families, number

    def _word(self, source: _Pod, target: _Pod, number: int | None, protocol: Protocol) -> str:
        ends = [(a, b) for a in source.addresses for b in target.addresses if a.version == b.version]
        if not ends:
            return BOTH
        packet = Packet(*ends[0], protocol, _SOURCE_PORT, number or 0)
        entry = (Entry.OUTPUT, Source.NODE) if source.is_host else (Entry.FORWARD, Source.POD)
        out, into = (self._passes(direction, packet, source.node, *entry) for direction in DIRECTIONS)
        return _WORDS[out, into and number is not None]

    def _passes(self, direction: str, packet: Packet, node: str, entry: Entry, source: Source) -> bool:
        paths = self._clusters[direction].paths(packet, node, entry, source)
        return all(path.verdict is Verdict.ACCEPT and path.hop.kind is not HopKind.NONE for path in paths)


def declared_ports(objects: Iterable[Object]) -> list[tuple[int, str]]:
    """The (port, protocol) pairs that containers declare, in order: what is worth asking for."""
    pods = [obj for obj in objects if obj.get("kind") == "Pod"]
    return sorted({(number, protocol) for pod in pods for _, protocol, number in _declared(pod)})


def _only(direction: str, obj: Object) -> Iterator[Object]:
    """An object as far as it concerns one direction: a policy may vanish, everything else stays."""
    kind, spec = obj.get("kind"), obj.get("spec") or {}
    if kind == "NetworkPolicy":
        types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
        if direction in types:
            yield obj | {"spec": spec | {"policyTypes": [direction]}}
    elif isinstance(kind, str) and kind.endswith("NetworkPolicy"):
        other = "ingress" if direction == "Egress" else "egress"
        yield obj | {"spec": {key: value for key, value in spec.items() if key != other}}
    else:
        yield obj


def _pods(objects: Iterable[Object], nodes: Mapping[str, tuple[Address, ...]]) -> Iterator[_Pod]:
    """The pods that have an address and a place; a host's pods have their node's."""
    for obj in objects:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        if obj.get("kind") != "Pod" or status.get("phase") in ("Succeeded", "Failed"):
            continue
        node, is_host = spec.get("nodeName") or "", bool(spec.get("hostNetwork"))
        texts = [item.get("ip") or "" for item in status.get("podIPs") or ()] or [status.get("podIP") or ""]
        addresses = nodes.get(node, ()) if is_host else tuple(ip_address(text) for text in texts if text)
        if addresses and node in nodes:
            yield _Pod(str(meta.key_of(obj)), node, addresses, is_host, obj)


def _node_addresses(node: Object) -> tuple[Address, ...]:
    items = (node.get("status") or {}).get("addresses") or ()
    return tuple(ip_address(item["address"]) for item in items if item.get("type") == "InternalIP")


def _is_in(address: Address, block: Prefix) -> bool:
    return block.version == address.version and address in block


def _declared(pod: Object) -> Iterator[tuple[str, str, int]]:
    spec = pod.get("spec") or {}
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        for port in container.get("ports") or ():
            yield port.get("name") or "", port.get("protocol") or "TCP", port.get("containerPort") or 0


def _named(pod: Object, name: str, protocol: str) -> int | None:
    return next((number for word, kind, number in _declared(pod) if (word, kind) == (name, protocol)), None)


def _blocks(objects: Iterable[Object]) -> Iterator[Prefix]:
    """Every range that a policy names, wherever it stands in it."""
    for obj in objects:
        if str(obj.get("kind")).endswith("NetworkPolicy"):
            yield from _prefixes_in(obj.get("spec"))


def _prefixes_in(value: Any) -> Iterator[Prefix]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _prefixes_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _prefixes_in(item)
    elif isinstance(value, str) and "/" in value:
        try:
            yield ip_network(value, strict=False)
        except ValueError:
            return
