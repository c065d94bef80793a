"""Which real addresses a node's ports are offered on."""

import asyncio
import json
import random
from typing import Any

import pytest

from agents.network.hostports import HostPorts, Target, WayIn, candidates, follow, mapping_of, targets
from agents.network.outside import OutsideWorld
from agents.network.virtual import VirtualNetwork
from agents.proxy.backends.userspace import new_machine
from miniplane.api.kind import Object
from miniplane.config import Network
from miniplane.errors import Unavailable
from tests.unit.kubelet.fakes import ManualClock, settle


def service(kind: str, *ports: dict[str, Any], announced_by: str = "", ip: str = "") -> Object:
    """A Service of that type."""
    return {
        "metadata": {"name": "s", "annotations": {"miniplane.io/announced-by": announced_by} if announced_by else {}},
        "spec": {"type": kind, "ports": list(ports)},
        "status": {"loadBalancer": {"ingress": [{"ip": ip}]} if ip else {}},
    }


PORTS = ({"port": 80, "nodePort": 30080}, {"port": 53, "protocol": "UDP", "nodePort": 30053})


def test_targets() -> None:
    """Every node has every node port; a load balancer's ports are with the node that announces them."""
    nodes = {Target("172.30.0.11", 30053, "UDP"), Target("172.30.0.11", 30080, "TCP")}
    balancer = {Target("172.30.0.193", 53, "UDP"), Target("172.30.0.193", 80, "TCP")}

    def of(item: Object) -> set[Target]:
        return set(targets("node-1", "172.30.0.11", [item]))

    assert of(service("ClusterIP", *PORTS)) == set()
    assert of(service("NodePort", *PORTS)) == nodes
    assert of(service("LoadBalancer", *PORTS, announced_by="node-2", ip="172.30.0.193")) == nodes
    assert of(service("LoadBalancer", *PORTS, announced_by="node-1", ip="172.30.0.193")) == nodes | balancer
    assert of(service("LoadBalancer", {"port": 9, "protocol": "SCTP", "nodePort": 30009})) == set()


@pytest.mark.parametrize(
    ("target", "bind", "earlier", "expected"),
    [
        (Target("172.30.0.11", 30080, "TCP"), "", "", ["127.0.0.11:30080", "127.0.0.1:30080", "127.0.0.1:0"]),
        (Target("172.30.0.193", 80, "TCP"), "", "", ["127.0.0.193:8080", "127.0.0.1:8080", "127.0.0.1:0"]),
        (
            Target("172.30.0.193", 443, "TCP"),
            "",
            "127.0.0.1:41234",
            ["127.0.0.1:41234", "127.0.0.193:8443", "127.0.0.1:8443", "127.0.0.1:0"],
        ),
        (
            Target("172.30.0.11", 30080, "TCP"),
            "0.0.0.0",
            "node-1:1030",
            ["0.0.0.0:1030", "0.0.0.0:30080", "0.0.0.0:0"],
        ),
        (Target("172.30.0.193", 80, "TCP"), "0.0.0.0", "", ["0.0.0.0:80", "0.0.0.0:8080", "0.0.0.0:0"]),
    ],
)
def test_candidates(target: Target, bind: str, earlier: str, expected: list[str]) -> None:
    """First where it was, then where the address says, then anywhere."""
    assert [f"{host}:{port}" for host, port in candidates(target, bind, earlier)] == expected


def test_mapping_of() -> None:
    """The annotation is read back; nonsense in it is no mapping."""
    mapping = {"172.30.0.11:30080/TCP": "127.0.0.11:30080"}
    assert mapping_of({"metadata": {"annotations": {"miniplane.io/host-ports": json.dumps(mapping)}}}) == mapping
    for text in ("", "[]", "{", "1"):
        assert mapping_of({"metadata": {"annotations": {"miniplane.io/host-ports": text}}}) == {}


def ports(bind: str = "", advertise: str = "") -> HostPorts:
    """A node's ports, nothing open."""
    network = VirtualNetwork(new_machine("node-1", Network()), "172.30.0.11", ManualClock(), choose=random.randrange)
    return HostPorts(WayIn(network, OutsideWorld({}), Network()).port, bind=bind, advertise=advertise)


async def test_taken_addresses_are_passed_over() -> None:
    """A port that another program has is offered elsewhere; opening and closing follow what is wanted."""
    first, second, target = ports(), ports(), Target("127.0.0.1", 0, "TCP")
    await first.sync([target], {})
    taken = first.mapping[str(target)]
    await second.sync([target], {str(target): taken})
    assert second.mapping[str(target)] != taken
    await first.sync([], {})
    assert first.mapping == {}
    await second.aclose()


@pytest.mark.parametrize(("bind", "published"), [("0.0.0.0", "node-1"), ("127.0.0.1", "127.0.0.1"), ("", "127.0.0.11")])
async def test_what_is_published_can_be_reached(bind: str, published: str) -> None:
    """Bound everywhere, a port is published under the node's name; bound to an address, under that."""
    made, target = ports(bind, advertise="node-1"), Target("172.30.0.11", 0, "TCP")
    await made.sync([target], {})
    host, _, port = made.mapping[str(target)].rpartition(":")
    assert (host, int(port) > 0) == (published, True)
    await made.aclose()


async def test_the_mapping_is_published() -> None:
    """Each new mapping is published once, again after a failure; everything is closed at the end."""
    made, clock, changed = ports(), ManualClock(), asyncio.Event()
    wanted: list[Target] = []
    published: list[str] = []

    async def publish(mapping: str) -> None:
        published.append(mapping)
        if len(published) == 1:
            raise Unavailable("not now")

    task = asyncio.create_task(follow(made, changed, lambda: wanted, {}, publish, clock))
    changed.set()
    await settle()
    await clock.advance(1)
    assert published == ["{}", "{}"]
    changed.set()
    await settle()
    assert len(published) == 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert made.mapping == {}
