"""The network compiler: a first compile, one change, and a packet's way through one node."""

import random
from collections.abc import Sequence
from ipaddress import ip_address
from statistics import median

from bench.figures.base import Figure, Group, timed
from miniplane.api.kind import Object
from miniplane.config import Network
from miniplane.dataplane.compile import Compiler
from miniplane.dataplane.diff import diff
from miniplane.dataplane.evaluate import Machine
from miniplane.dataplane.packet import Entry, Packet, Protocol, Source
from miniplane.dataplane.program import Program
from miniplane.dataplane.snapshot import Memo, Snapshot

SERVICES = 5_000
PACKETS = 5_000
CHANGES = 20
CLIENT, POD_RANGE, SERVICE_RANGE = (ip_address(text) for text in ("10.244.2.9", "10.244.1.0", "10.96.1.0"))


def _node(number: int) -> Object:
    addresses = [{"type": "InternalIP", "address": f"172.30.0.{10 + number}"}]
    return {
        "metadata": {"name": f"node-{number}", "uid": f"node-{number}", "resourceVersion": "1"},
        "spec": {"podCIDR": f"10.244.{number}.0/24"},
        "status": {"addresses": addresses},
    }


def _service(number: int) -> Object:
    return {
        "metadata": {"namespace": "bench", "name": f"s{number}", "uid": f"s{number}", "resourceVersion": "1"},
        "spec": {"clusterIP": str(SERVICE_RANGE + number), "ports": [{"port": 80, "protocol": "TCP"}]},
    }


def service_slice(number: int, revision: int = 1) -> Object:
    """Two endpoints of one Service; others in a later revision."""
    labels = {"kubernetes.io/service-name": f"s{number}"}
    meta = {"namespace": "bench", "name": f"s{number}-x", "uid": f"e{number}", "resourceVersion": str(revision)}
    endpoints = [
        {"addresses": [str(POD_RANGE + (2 * number + place + revision) % 250)], "nodeName": "node-1"}
        for place in range(2)
    ]
    ports = [{"name": "", "port": 8080, "protocol": "TCP"}]
    return {
        "metadata": {**meta, "labels": labels},
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": endpoints,
    }


class LargeCluster:
    """The objects, with what builds and compiles snapshots of them."""

    def __init__(self) -> None:
        self._nodes = [_node(number) for number in (1, 2, 3)]
        self._services = [_service(number) for number in range(SERVICES)]
        self.slices = [service_slice(number) for number in range(SERVICES)]
        self.memo, self.compiler = Memo(), Compiler()

    def compile(self) -> Program:
        """The rules of one node."""
        return self.compiler.compile(self.snapshot())

    def snapshot(self) -> Snapshot:
        """What one node's rules are made from."""
        return Snapshot.build(
            "node-1",
            Network(),
            nodes=self._nodes,
            pods=[],
            services=self._services,
            slices=self.slices,
            policies=[],
            namespaces=[],
            memo=self.memo,
        )


def measure() -> Sequence[Figure]:
    """Everything in one run over one cluster."""
    cluster = LargeCluster()
    with timed() as first:
        program = cluster.compile()
    machine = Machine(program)
    changes = []
    for number in range(CHANGES):
        cluster.slices[number * 7] = service_slice(number * 7, 2)
        with timed() as change:
            after = cluster.compile()
            transaction = diff(program.ruleset, after.ruleset)
            machine.replace(after)
        assert transaction.size <= 8
        changes.append(change.seconds)
        program = after
    chance = random.Random(1)
    packets = [
        Packet(CLIENT, SERVICE_RANGE + number % SERVICES, Protocol.TCP, 10_000 + number, 80)
        for number in range(PACKETS)
    ]
    with timed() as sent:
        for packet in packets:
            machine.send(packet, entry=Entry.FORWARD, source=Source.POD, now=0.0, choose=chance.randrange)
    name = f"{SERVICES} services"
    return [
        Figure(
            name=f"first compile, {name}",
            measured=first.seconds * 1e3,
            limit=2000,
            unit="ms",
            against="the design",
            better="less",
        ),
        Figure(
            name=f"one change, {name}",
            measured=median(changes) * 1e3,
            limit=50,
            unit="ms",
            against="the design",
            better="less",
        ),
        Figure(
            name="a new connection",
            measured=sent.seconds / PACKETS * 1e6,
            limit=100,
            unit="µs",
            against="a promise",
            better="less",
        ),
    ]


GROUP = Group("dataplane", "the network compiler", measure)
