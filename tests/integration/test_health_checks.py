"""Health-check node ports, asked through the data path by pods and by other nodes."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.network.hostports import Target, targets
from agents.proxy.backends.userspace import UserspaceBackend
from agents.proxy.health import MAX_REQUEST, WEIGHT, HealthServing
from miniplane.api.kind import Object
from tests.integration.datapath import Cluster, cluster, endpoints, pod, service

A, B = "10.244.1.2", "10.244.1.3"
NODE_1, NODE_2 = "172.30.0.11", "172.30.0.12"
PORT = 31000
SERVICE = service(
    "echo", "10.96.0.50", 8000, type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=PORT
)


async def _ask(link: Any, host: str, request: bytes = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") -> bytes:
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await link.connect(lambda: protocol, host, PORT)
    writer = asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def _serve(made: Cluster, *slices: Object) -> Callable[[], None]:
    """Programs for all nodes, each with its health checks; what closes them."""
    made.program(services=[SERVICE], slices=list(slices))
    serving = []
    for network in made.networks.values():
        serving.append(HealthServing(UserspaceBackend(network.machine), network.host()))
        await serving[-1].apply(network.machine.program)

    def stop() -> None:
        for item in serving:
            item.close()

    return stop


async def test_each_node_answers_for_its_own_endpoints(tmp_path: Path) -> None:
    """200 with the count where endpoints are, 503 where none is; from a pod, and from node to node."""
    async with cluster(tmp_path) as made:
        link, _ = await made.attach(pod("a", "node-1", A), pod("b", "node-1", B))
        stop = await _serve(made, endpoints("echo", 8000, (A, "node-1"), (B, "node-1")))
        for client in (link, made.networks["node-2"].host()):
            head, _, body = (await _ask(client, NODE_1)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert f"{WEIGHT}: 2".encode() in head
            assert json.loads(body) == {
                "service": {"namespace": "default", "name": "echo"},
                "localEndpoints": 2,
                "serviceProxyHealthy": True,
            }
        refused = await _ask(link, NODE_2)
        assert refused.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert json.loads(refused.partition(b"\r\n\r\n")[2])["localEndpoints"] == 0
        stop()
        with pytest.raises(ConnectionRefusedError):
            await _ask(link, NODE_1)


async def test_the_answer_follows_the_rules(tmp_path: Path) -> None:
    """The next program's count is the next answer; without the Service nobody listens."""
    async with cluster(tmp_path) as made:
        (link,) = await made.attach(pod("a", "node-1", A))
        made.program(services=[SERVICE], slices=[endpoints("echo", 8000, (A, "node-1"))])
        network = made.networks["node-1"]
        serving = HealthServing(UserspaceBackend(network.machine), network.host())
        await serving.apply(network.machine.program)
        assert b" 200 " in await _ask(link, NODE_1)
        made.program(slices=[])
        await serving.apply(network.machine.program)
        assert b" 503 " in await _ask(link, NODE_1)
        made.program(services=[])
        await serving.apply(network.machine.program)
        with pytest.raises(ConnectionRefusedError):
            await _ask(link, NODE_1)


async def test_a_port_in_use_is_tried_again(tmp_path: Path) -> None:
    """Rules are in force although the port is taken; once it is free the next program gets it."""
    async with cluster(tmp_path) as made:
        network = made.networks["node-1"]
        other = await network.host().listen(asyncio.Protocol, PORT)
        made.program(services=[SERVICE], slices=[])
        serving = HealthServing(UserspaceBackend(network.machine), network.host())
        await serving.apply(network.machine.program)
        other.close()
        await serving.apply(network.machine.program)
        assert b" 503 " in await _ask(made.networks["node-2"].host(), NODE_1)


async def test_an_endless_request_is_hung_up_on(tmp_path: Path) -> None:
    """Headers without an end are not collected for ever."""
    async with cluster(tmp_path) as made:
        (link,) = await made.attach(pod("a", "node-1", A))
        stop = await _serve(made)
        with pytest.raises(ConnectionError):
            await _ask(link, NODE_1, b"x" * (MAX_REQUEST + 1))
        stop()


def test_the_port_is_offered_to_the_machine_outside() -> None:
    """A real balancer on the user's machine can ask, too."""
    assert Target(NODE_1, PORT, "TCP") in targets("node-1", NODE_1, [SERVICE])
