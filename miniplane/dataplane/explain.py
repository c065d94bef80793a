"""The explainer: a packet's way through the whole cluster, every hop with the object and field that decided it.

Reads nothing but the machine's steps and their origins; so what it tells is what the rules do. What the rules do not
mention (a pod that no policy selects, the pod's own node) it says in words.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from textwrap import wrap
from typing import Any

from miniplane.dataplane.cluster import Cluster, Path
from miniplane.dataplane.legs import LegReader, TraceHop
from miniplane.dataplane.packet import Address, Entry, Packet, Protocol, Source, Verdict
from miniplane.dataplane.parties import Parties, Party, in_one_family
from miniplane.dataplane.routes import HopKind
from miniplane.dataplane.ruleset import Dnat

__all__ = ["Backend", "Cluster", "Destination", "Trace", "TraceHop", "Way", "trace", "ways"]

_SOURCE_PORT = 40000
_MARKS = {"accept": "✓", "drop": "✗", "reject": "✗", "unresolved": "✗", "no match": "·"}
_INDENT, _PAPER = " " * 6, 104
"""What people read is indented by this, and has this many letters a line."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One possible target of a Service, with the chance that a new connection takes it and how it ends there."""

    pod: str
    ip: str
    port: int
    probability: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the packet ends; `pod` (`namespace/name`) is empty if no pod has the address."""

    pod: str
    ip: str
    port: int


@dataclass(frozen=True, slots=True)
class Trace:
    """The answer.

    `verdict` is delivered, dropped, rejected or unresolved; with several backends it is delivered only if all deliver,
    and `hops` follow the first that does not.
    """

    verdict: str
    destination: Destination
    backends: tuple[Backend, ...]
    hops: tuple[TraceHop, ...]

    def to_json(self) -> dict[str, Any]:
        """`{"verdict", "destination": {"pod", "ip", "port"}, "backends": […], "hops": […]}`, as programs rely on it."""
        return asdict(self) | {
            "backends": [asdict(backend) for backend in self.backends],
            "hops": [asdict(hop) for hop in self.hops],
        }

    def lines(self) -> list[str]:
        """For people: each hop with its object and field, and below what it says; the backends, the verdict last."""
        width = max((len(hop.node) for hop in self.hops), default=0)
        lines = [line for hop in self.hops for line in _told(hop, width)]
        if len(self.backends) > 1:
            lines += [
                f"  backend      {item.probability:.0%}  {item.ip}:{item.port}  {item.verdict}  {item.pod}"
                for item in self.backends
            ]
        end = self.destination
        address = f" {end.ip}:{end.port}" if end.ip else ""
        where_to = f":{address}{f' (Pod {end.pod})' if end.pod else ''}" if address else ""
        return [*lines, f"{self.verdict}{where_to}"]


def _told(hop: TraceHop, width: int) -> list[str]:
    """A hop for people, in two lines or more."""
    place = f"{_MARKS.get(hop.verdict, ' ')} {hop.stage:<11}  {hop.node or '-':<{width}}  {hop.object} {hop.field}"
    return [place.rstrip(), *(f"{_INDENT}{line}" for line in wrap(hop.text, _PAPER, break_on_hyphens=False))]


@dataclass(frozen=True, slots=True)
class Way:
    """One of the ways that a packet can go, told alone."""

    trace: Trace
    path: Path
    packet: Packet
    """As the source sends it."""
    entry: Entry
    origin: Source
    """What the source is to its own node."""


def trace(cluster: Cluster, src: str, dst: str, port: int, protocol: Protocol = Protocol.TCP) -> Trace:
    """Follow the first packet of a new connection from `src` to `dst`.

    `src`: `pod/[namespace/]name`, `node/name`, `external` or an address. `dst`: the same, or `svc/[namespace/]name`.
    Without a namespace it is `default`. Raises ValueError for a name that is not there.
    """
    return _ask(cluster, src, dst, port, protocol)[0]


def ways(cluster: Cluster, src: str, dst: str, port: int, protocol: Protocol = Protocol.TCP) -> tuple[Trace, list[Way]]:
    """The trace, and every way that the packet can go, likeliest first; none if an end has no address."""
    whole, asked = _ask(cluster, src, dst, port, protocol)
    return whole, [asked.way(index, whole) for index in range(len(asked.paths))] if asked is not None else []


@dataclass(frozen=True, slots=True)
class _Question:
    """A packet and all its paths."""

    cluster: Cluster
    parties: Parties
    source: Party
    target: Party
    packet: Packet
    node: str
    paths: list[Path]

    def hops(self, path: Path) -> tuple[TraceHop, ...]:
        opening = _opening(self.source, self.node, self.packet, self.target)
        return (opening, *_read(self.cluster, self.parties, self.source, self.packet, path))

    def way(self, index: int, whole: Trace) -> Way:
        path = self.paths[index]
        alone = Trace(_verdict(path), _destination(self.parties, path), whole.backends, self.hops(path))
        return Way(alone, path, self.packet, *_entry(self.source))


def _ask(
    cluster: Cluster, src: str, dst: str, port: int, protocol: Protocol = Protocol.TCP
) -> tuple[Trace, _Question | None]:
    parties = Parties(cluster)
    party = parties.find(src)
    source, target = in_one_family(party, parties.find(dst, port, from_outside=not party.node))
    missing = next((party for party in (source, target) if party.address is None), None)
    if missing is not None:
        return _unresolved(missing, source, port), None
    assert source.address is not None
    assert target.address is not None
    packet = _packet(source.address, target.address, protocol, target.port or port)
    node = source.node or parties.entrance(target.address)
    if not node:
        raise ValueError("the cluster has no nodes")
    asked = _Question(cluster, parties, source, target, packet, node, cluster.paths(packet, node, *_entry(source)))
    endings = [_verdict(path) for path in asked.paths]
    shown = next((index for index, word in enumerate(endings) if word != "delivered"), 0)
    path = asked.paths[shown]
    backends = _backends(parties, asked.paths, endings)
    return Trace(endings[shown], _destination(parties, path), backends, asked.hops(path)), asked


def _packet(src: Address, dst: Address, protocol: Protocol, port: int) -> Packet:
    ports = (_SOURCE_PORT, port) if protocol.has_ports else (0, 0)
    return Packet(src, dst, protocol, *ports)


def _entry(source: Party) -> tuple[Entry, Source]:
    if source.is_host:
        return Entry.OUTPUT, Source.NODE
    return Entry.FORWARD, Source.POD if source.node else Source.EXTERNAL


def _unresolved(missing: Party, source: Party, port: int) -> Trace:
    stage = "source" if missing is source else "destination"
    hop = TraceHop(stage, missing.node, missing.label, "", "unresolved", missing.problem, "")
    return Trace("unresolved", Destination("", "", port), (), (hop,))


def _opening(source: Party, node: str, packet: Packet, target: Party) -> TraceHop:
    label = source.label if source.label.startswith(("Pod", "Node")) else ""
    how = "" if source.node else f", coming in at {node}"
    who = source.label if source.label == str(packet.src) else f"{source.label} ({packet.src})"
    text = f"{who} opens a connection to {target.label}{how}"
    field = {"Pod": "status.podIP", "Node": "status.addresses"}.get(label.partition(" ")[0], "")
    return TraceHop("source", node, label, field, "", text, str(packet))


def _read(cluster: Cluster, parties: Parties, source: Party, packet: Packet, path: Path) -> Iterable[TraceHop]:
    entry, _ = _entry(source)
    asked = packet
    for leg in path.legs:
        reader = LegReader(cluster, parties, leg, packet, entry, asked)
        yield from reader.hops()
        packet, entry = leg.outcome.packet, Entry.FORWARD


def _verdict(path: Path) -> str:
    if path.verdict is Verdict.DROP:
        return "dropped"
    if path.verdict is Verdict.REJECT or path.hop.kind in (HopKind.NONE, HopKind.PEER):
        return "rejected"
    return "delivered"


def _destination(parties: Parties, path: Path) -> Destination:
    return Destination(_pod_name(parties, path.packet.dst), str(path.packet.dst), path.packet.dport)


def _pod_name(parties: Parties, address: Address) -> str:
    kind, _, name = parties.label(address).partition(" ")
    return name if kind == "Pod" else ""


def _backends(parties: Parties, paths: list[Path], endings: list[str]) -> tuple[Backend, ...]:
    """What the packet was translated to, where it was, likeliest first."""
    found = []
    for path, ending in zip(paths, endings, strict=True):
        if any(isinstance(part, Dnat) for leg in path.legs for step in leg.outcome.steps for part in _parts(step.rule)):
            dst, port = path.packet.dst, path.packet.dport
            found.append(Backend(_pod_name(parties, dst), str(dst), port, round(path.weight, 6), ending))
    return tuple(sorted(found, key=lambda backend: (-backend.probability, backend.ip, backend.port)))


def _parts(rule: Any) -> tuple[Any, ...]:
    return rule.statements if rule is not None else ()
