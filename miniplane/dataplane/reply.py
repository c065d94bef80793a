"""The way back: the answer to a packet that was delivered, through the connection tables that its way has filled.

Each node on the way has its own copy of the rules with an empty table. The packet is sent through them as it went,
then its answer from the other end: what translation does to it, and where it would get lost, is what the tables say.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from miniplane.dataplane.cluster import Cluster
from miniplane.dataplane.evaluate import Machine, Outcome
from miniplane.dataplane.explain import TraceHop, Way
from miniplane.dataplane.packet import Address, Entry, Source, Verdict
from miniplane.dataplane.routes import HopKind

_MOST_LEGS = 8
_MOST_CHOICES = 10_000
_NOW = 0.0


def reply_hops(cluster: Cluster, way: Way) -> tuple[bool, tuple[TraceHop, ...]]:
    """Whether the answer gets back to the source as one that it knows, and the nodes on its way."""
    machines: dict[str, Machine] = {}
    _go(cluster, way, machines)
    hops = tuple(_back(cluster, way, machines))
    return bool(hops) and hops[-1].verdict == "accept", hops


def _machine(cluster: Cluster, node: str, machines: dict[str, Machine]) -> Machine:
    if node not in machines:
        machines[node] = Machine(cluster.machine(node).program)
    return machines[node]


def _go(cluster: Cluster, way: Way, machines: dict[str, Machine]) -> None:
    """Send the packet along its way, taking the random choices that it took."""
    packet, entry, origin = way.packet, way.entry, way.origin
    for leg in way.path.legs:
        known = machines.get(leg.node)
        for number in range(_MOST_CHOICES):
            machine = known or Machine(cluster.machine(leg.node).program)  # a new one has remembered no client
            choice = _Choice(number)
            sent = machine.send(packet, entry=entry, source=origin, now=_NOW, choose=choice.among)
            if _target(sent) == _target(leg.outcome) or number + 1 >= choice.most:
                break
            machine.close(packet)
        else:
            raise ValueError(f"the way through {leg.node} can't be repeated")
        machines[leg.node] = machine
        packet, entry, origin = sent.packet, Entry.FORWARD, Source.PEER


def _target(outcome: Outcome) -> tuple[Address, int]:
    return outcome.packet.dst, outcome.packet.dport


@dataclass(slots=True)
class _Choice:
    """A fixed answer to random choices, and how many there were to choose from."""

    number: int
    most: int = 1

    def among(self, below: int) -> int:
        self.most = max(self.most, below)
        return min(self.number, below - 1)


def _back(cluster: Cluster, way: Way, machines: dict[str, Machine]) -> Iterator[TraceHop]:
    last = way.path.legs[-1]
    is_node = way.path.hop.kind is HopKind.NODE
    packet, node = way.path.packet.reply(), last.node
    entry = (Entry.OUTPUT, Source.NODE) if is_node else (Entry.FORWARD, _origin(way.path.hop.kind))
    expected = way.packet.reply()
    for _ in range(_MOST_LEGS):
        machine = _machine(cluster, node, machines)
        before = packet
        outcome = machine.send(packet, entry=entry[0], source=entry[1], now=_NOW, choose=lambda _: 0)
        packet = replace(outcome.packet, mark=0)
        if outcome.verdict is not Verdict.ACCEPT:
            text = f"the reply {before} is not part of a known connection here and is refused"
            yield TraceHop("reply", node, "", "", outcome.verdict.value, text, str(packet))
            return
        change = f", translated back to {packet}" if packet != before else ""
        if outcome.hop.kind is HopKind.PEER:
            text = f"the reply {before} belongs to a connection that was let in{change}; on to {outcome.hop.name}"
            yield TraceHop("reply", node, "", "", "", text, str(packet))
            node, entry = outcome.hop.name, (Entry.FORWARD, Source.PEER)
            continue
        known = packet == expected
        text = f"the reply {before} belongs to a connection that was let in{change}"
        if not known:
            text = f"the reply arrives as {packet}, but the source waits for {expected} and takes no other"
        yield TraceHop("reply", node, "", "", "accept" if known else "drop", text, str(packet))
        return


def _origin(kind: HopKind) -> Source:
    return Source.POD if kind is HopKind.POD else Source.EXTERNAL
