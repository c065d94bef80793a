"""A generated cluster as the laboratory takes it: rules, routes and questions, each with the answers of the models."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import product
from typing import NamedTuple

from miniplane.api.kind import Object
from miniplane.dataplane.cluster import Cluster, Path
from miniplane.dataplane.oracle import Answer, Answers, Question
from miniplane.dataplane.packet import Entry, Packet, Source, Verdict
from miniplane.dataplane.render_nft import render
from miniplane.dataplane.routes import HopKind, Routes
from tests.kernel.wiring import CLIENTS, FOREIGN, node_address
from tests.property.dataplane_strategies import BALANCERS, PORTS, World, in_sixth, sixth

LISTENING = (*PORTS, 9, 8000, 30081)
"""The ports that every address listens on."""
PROTOCOLS = ("TCP", "UDP")
_NOBODYS = {sixth(address) for address in BALANCERS}
"""The balancers' pool is IPv4: in IPv6 these are addresses of the outside, where nobody has them."""


class Case(NamedTuple):
    """A question with what the rules and the objects say."""

    question: Question
    evaluated: Answers
    is_sticky: bool
    """Whether a rule remembers the client."""


def evaluate(cluster: Cluster, question: Question) -> Case:
    """What the compiled rules answer."""
    found: Answers = {}
    sticky = False
    has_port = not question.protocol.startswith("ICMP")
    packet = Packet.of(
        question.src,
        question.dst,
        question.protocol,
        sport=40000 if has_port else 0,
        dport=question.port if has_port else 0,
    )
    entry, source = (Entry.OUTPUT, Source.NODE) if question.is_from_node else (Entry.FORWARD, Source.EXTERNAL)
    for path in cluster.paths(packet, question.node, entry, source):
        answer = _answer(path)
        found[answer] = found.get(answer, Fraction(0)) + Fraction(path.weight).limit_denominator(100_000)
        sticky |= any(step.chain.startswith("sticky") for leg in path.legs for step in leg.outcome.steps)
    return Case(question, found, sticky)


def is_told(case: Case) -> bool:
    """Whether there is somebody at the other end to tell of a packet that arrives."""
    return not any(answer.verdict == "accept" and answer.dst in _NOBODYS for answer in case.evaluated)


def _answer(path: Path) -> Answer:
    if path.verdict is not Verdict.ACCEPT:
        return Answer(path.verdict.value)
    if path.hop.kind in (HopKind.NONE, HopKind.PEER):  # nobody has the address, or it goes round in circles
        return Answer("unreachable")
    return Answer("accept", str(path.packet.dst), path.packet.dport, str(path.packet.src))


def rules(cluster: Cluster, nodes: Iterable[str]) -> dict[str, str]:
    """`{node: nft text}`: what is compiled, and the answer for addresses that nobody has."""
    programs = {name: cluster.machine(name).program for name in nodes}
    return {name: render(program.ruleset) + _nowhere(program.routes) for name, program in programs.items()}


def routes(cluster: Cluster, nodes: Iterable[str]) -> dict[str, list[str]]:
    """`{node: arguments of ip route add}`."""
    return {name: list(_route_lines(cluster.machine(name).program.routes)) for name in nodes}


def _route_lines(table: Routes) -> Iterator[str]:
    for address, hop in table.exact.items():
        if hop.kind is HopKind.POD:
            yield f"{address} dev pod{int(address) & 0xFF} src {table.own(address.version)}"
    for prefix, hop in table.prefixes:
        if hop.kind is HopKind.PEER:
            peer = node_address(int(hop.name.rpartition("-")[2]))
            yield f"{prefix} via {peer if prefix.version == 4 else sixth(peer)}"
        elif hop.kind is HopKind.NONE:
            yield f"{prefix} dev void"


def _nowhere(table: Routes) -> str:
    """Rules that answer for what is routed nowhere, by address: in `output` the device is still the first route's."""
    answers = {4: ("ip", "icmp type host-unreachable"), 6: ("ip6", "icmpv6 type addr-unreachable")}
    return "".join(_nowhere_of(table, version, *answer) for version, answer in answers.items())


def _nowhere_of(table: Routes, version: int, family: str, answer: str) -> str:
    prefixes = [(prefix, hop) for prefix, hop in table.prefixes if prefix.version == version]
    reachable = [str(address) for address in table.exact if address.version == version]
    reachable += [str(prefix) for prefix, hop in prefixes if hop.kind is HopKind.PEER]
    nowhere = sorted({str(prefix) for prefix, hop in prefixes if hop.kind is HopKind.NONE})
    lines = [f"table {family} nowhere {{"]
    for hook in ("forward", "output"):
        lines.append(f"chain {hook} {{\ntype filter hook {hook} priority 10; policy accept;")
        lines += [f"{family} daddr {address} return" for address in reachable]
        lines += [f"{family} daddr {prefix} reject with {answer}" for prefix in nowhere]
        lines.append("}")
    return "\n".join([*lines, "}", ""])


def forgetful(world: World) -> World:
    """The same world without session affinity."""
    objects = [
        {**item, "spec": {**item["spec"], "sessionAffinity": "None"}} if item["kind"] == "Service" else item
        for item in world.objects
    ]
    return World(tuple(objects), world.nodes, world.pods, world.plain)


def questions(world: World, most: int) -> list[Question]:
    """All pairs and ports worth asking, or `most` of them spread evenly: whoever may send, and every address known.

    In dual-stack worlds in either family, but only from addresses that exist.
    """
    hosts = {node_address(int(name.rpartition("-")[2])): name for name in world.nodes}
    pods = [(address, node, False) for address, node in world.pods.items()]
    nodes = [(address, node, True) for address, node in hosts.items()]
    outside = [(address, node, False) for address in CLIENTS for node in world.nodes]
    services = [item for item in world.plain or world.objects if item["kind"] == "Service"]
    plain = [(address, protocol, port) for address, protocol, port in product(world.pods, PROTOCOLS, PORTS)]
    plain += [(address, "ICMP", 0) for address in world.pods]
    doors = [door for service in services for door in _doors(service, tuple(hosts))]
    odd = [
        (address, protocol, port)
        for address, protocol, port in product(
            (*hosts, *BALANCERS, *FOREIGN, CLIENTS[1], "10.96.0.99", "10.96.0.20", "10.244.1.77", "10.244.9.9"),
            PROTOCOLS,
            (80, 30080),
        )
    ]
    at_doors = _ask([*pods, *nodes, *outside], doors)
    others = _ask(pods, plain) + _ask([*pods, *nodes, *outside], odd) + _ask([*nodes, *outside], plain)
    first = _spread(_possible(world, at_doors), most * 2 // 3)
    return first + _spread([item for item in _possible(world, others) if item not in first], most - len(first))


def _possible(world: World, asked: Sequence[Question]) -> list[Question]:
    """Each once, in both families if the world has both, without those from pods that have no such address."""
    if world.plain:
        asked = [one for item in asked for one in (item, in_sixth(item))]
    present = {end["ip"] for item in world.objects if item["kind"] == "Pod" for end in item["status"].get("podIPs", ())}
    absent = {*world.pods, *map(sixth, world.pods)} - present if world.plain else set()
    return [item for item in dict.fromkeys(asked) if item.src not in absent]


def _ask(sources: Sequence[tuple[str, str, bool]], targets: Sequence[tuple[str, str, int]]) -> list[Question]:
    """From each to each, but not from the outside to itself."""
    return [
        Question(src, dst, protocol, port, node, is_from_node)
        for (src, node, is_from_node), (dst, protocol, port) in product(sources, targets)
        if not (src in CLIENTS and dst in CLIENTS)
    ]


def _spread(asked: Sequence[Question], most: int) -> list[Question]:
    if len(asked) <= most:
        return list(asked)
    return [asked[number * len(asked) // most] for number in range(most)]


def _doors(service: Object, hosts: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    """Every address, protocol and port that a Service offers, and a port that it does not."""
    spec, status = service["spec"], service.get("status") or {}
    balancers = [item["ip"] for item in (status.get("loadBalancer") or {}).get("ingress") or ()]
    addresses = [spec.get("clusterIP", "None"), *spec.get("externalIPs", ()), *balancers]
    for port in spec["ports"]:
        protocol = port.get("protocol", "TCP")
        if protocol not in PROTOCOLS:
            continue
        for address in addresses:
            if address != "None":
                yield from ((address, protocol, port["port"]), (address, protocol, 9))
        if "nodePort" in port:
            yield from ((host, protocol, port["nodePort"]) for host in hosts)
