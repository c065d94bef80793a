"""Bytes go where the rules send them: on one node, between nodes, through Services and policies."""

import asyncio
import errno
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from agents.network.hostports import HostPorts, Target, WayIn, targets
from agents.network.outside import OutsideWorld
from agents.network.virtual import VirtualLink
from tests.integration.datapath import PLAN, Cluster, Echo, ask, cluster, endpoints, pod, service, until
from tests.unit.kubelet.fakes import ManualClock, settle

A, B, C = "10.244.1.2", "10.244.1.3", "10.244.2.2"


@pytest.fixture
async def two_nodes(tmp_path: Path) -> AsyncIterator[Cluster]:
    """Pods a and b on node-1, c on node-2; b and c echo on port 8000."""
    async with cluster(tmp_path) as made:
        links = await made.attach(pod("a", "node-1", A), pod("b", "node-1", B), pod("c", "node-2", C))
        for link in links[1:]:
            await link.listen(Echo, 8000)
        yield made


def link_of(made: Cluster, name: str, uid: str) -> VirtualLink:
    """The link of a pod."""
    return made.networks[name]._links[uid]


async def test_pods_reach_each_other_without_nat(two_nodes: Cluster) -> None:
    """On one node and across nodes the server sees the client pod's own address, and every byte arrives."""
    a = link_of(two_nodes, "node-1", "a")
    data = bytes(range(256)) * 4096
    assert await ask(a, B, 8000, b"hello") == (f"{A} {B}:8000", b"hello")
    assert await ask(a, C, 8000, data) == (f"{A} {C}:8000", data)
    assert await ask(a, C, 8000, b"again") == (f"{A} {C}:8000", b"again")


async def test_localhost_is_the_pods_own(two_nodes: Cluster) -> None:
    """A pod reaches what listens in itself at 127.0.0.1 and at its own address; others' localhost is not its."""
    b, a = link_of(two_nodes, "node-1", "b"), link_of(two_nodes, "node-1", "a")
    assert await ask(b, "127.0.0.1", 8000) == ("127.0.0.1 127.0.0.1:8000", b"")
    assert await ask(b, B, 8000) == (f"{B} {B}:8000", b"")
    with pytest.raises(ConnectionRefusedError):
        await ask(a, "127.0.0.1", 8000)
    await b.listen(Echo, 9000, host="127.0.0.1")
    assert await ask(b, "127.0.0.1", 9000) == ("127.0.0.1 127.0.0.1:9000", b"")
    with pytest.raises(ConnectionRefusedError):
        await ask(a, B, 9000)


async def test_nobody_there(two_nodes: Cluster) -> None:
    """A closed port refuses, on this node and on another; an address without a pod can't be reached."""
    a = link_of(two_nodes, "node-1", "a")
    for host in (B, C):
        with pytest.raises(ConnectionRefusedError):
            await ask(a, host, 81)
    for host, number in (
        ("10.244.1.77", errno.EHOSTUNREACH),
        ("10.244.2.77", errno.EHOSTUNREACH),
        ("10.244.9.9", errno.EHOSTUNREACH),
        ("8.8.8.8", errno.ENETUNREACH),
    ):
        with pytest.raises(OSError, match=r"unreachable|No route") as caught:
            await ask(a, host, 80)
        assert caught.value.errno == number
    assert not len(two_nodes.networks["node-1"].machine.conntrack)
    assert not len(two_nodes.networks["node-2"].machine.conntrack)


async def test_a_service_balances_and_translates(two_nodes: Cluster) -> None:
    """A ClusterIP leads to every endpoint; the client sees the Service's address, the server the pod's."""
    two_nodes.program(
        services=[service("echo", "10.96.0.50", 8000)],
        slices=[endpoints("echo", 8000, (B, "node-1"), (C, "node-2"))],
    )
    a = link_of(two_nodes, "node-1", "a")
    seen = {(await ask(a, "10.96.0.50", 8000))[0] for _ in range(40)}
    assert seen == {f"{A} {B}:8000", f"{A} {C}:8000"}
    transport, _ = await a.connect(asyncio.Protocol, "10.96.0.50", 8000)
    assert transport.get_extra_info("peername") == ("10.96.0.50", 8000)
    assert len(two_nodes.networks["node-1"].machine.conntrack) >= 1
    transport.close()


async def test_conntrack_forgets_closed_connections(two_nodes: Cluster) -> None:
    """When both sides have closed, no node remembers the connection."""
    a = link_of(two_nodes, "node-1", "a")
    await ask(a, C, 8000, b"x")
    await ask(a, B, 8000, b"x")
    await until(lambda: not any(len(network.machine.conntrack) for network in two_nodes.networks.values()))


async def test_node_ports_from_node_and_pod(two_nodes: Cluster) -> None:
    """A node port answers on every node's address; the far node masquerades so that the answer comes back."""
    two_nodes.program(
        services=[service("echo", "10.96.0.50", 8000, type="NodePort", nodePort=30080)],
        slices=[endpoints("echo", 8000, (C, "node-2"))],
    )
    a = link_of(two_nodes, "node-1", "a")
    for address in ("172.30.0.11", "172.30.0.12", "172.30.0.13"):
        line, data = await ask(a, address, 30080, b"hi")
        assert line.endswith(f" {C}:8000")
        assert data == b"hi"
    line, _ = await ask(two_nodes.networks["node-3"].host(), "172.30.0.13", 30080)
    assert line == f"172.30.0.13 {C}:8000"


async def test_hairpin(two_nodes: Cluster) -> None:
    """A pod that reaches itself through its Service sees the node as its client."""
    two_nodes.program(services=[service("echo", "10.96.0.50", 8000)], slices=[endpoints("echo", 8000, (B, "node-1"))])
    assert await ask(link_of(two_nodes, "node-1", "b"), "10.96.0.50", 8000) == (f"172.30.0.11 {B}:8000", b"")


async def test_no_endpoints_refuses(two_nodes: Cluster) -> None:
    """A Service without endpoints refuses at once."""
    two_nodes.program(services=[service("echo", "10.96.0.50", 8000)], slices=[])
    with pytest.raises(ConnectionRefusedError):
        await ask(link_of(two_nodes, "node-1", "a"), "10.96.0.50", 8000)


POLICY = {
    "metadata": {"namespace": "default", "name": "only-b", "uid": "only-b"},
    "spec": {
        "podSelector": {"matchLabels": {"app": "c"}},
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "b"}}}]}],
    },
}


async def test_a_dropped_connection_is_tried_again_for_127_seconds(tmp_path: Path) -> None:
    """What a policy on the other node drops stays without answer, then times out; lifted in time, it connects."""
    clock = ManualClock()
    async with cluster(tmp_path, clock) as made:
        a, b, c = await made.attach(pod("a", "node-1", A), pod("b", "node-1", B), pod("c", "node-2", C))
        await c.listen(Echo, 8000)
        made.program(policies=[POLICY])
        assert (await ask(b, C, 8000))[0] == f"{B} {C}:8000"

        dropped = asyncio.create_task(ask(a, C, 8000))
        for pause in (1, 2, 4, 8, 16, 32, 64):
            await until(lambda: bool(clock._sleepers))
            assert not dropped.done()
            await clock.advance(pause)
        with pytest.raises(TimeoutError):
            await dropped
        assert clock.monotonic() == 127

        lucky = asyncio.create_task(ask(a, C, 8000, b"x"))
        await until(lambda: bool(clock._sleepers))
        made.program(policies=[])
        await clock.advance(1)
        assert await lucky == (f"{A} {C}:8000", b"x")


async def test_established_connections_survive_rule_changes(two_nodes: Cluster) -> None:
    """A policy that comes later drops new connections and leaves running ones alone."""
    a = link_of(two_nodes, "node-1", "a")
    got: asyncio.Queue[bytes] = asyncio.Queue()

    class Client(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            got.put_nowait(data)

    transport, _ = await a.connect(Client, C, 8000)
    assert (await got.get()).startswith(A.encode())
    two_nodes.program(policies=[POLICY])
    transport.write(b"still here")
    assert await got.get() == b"still here"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await ask(a, C, 8000)
    transport.close()


async def test_detach_resets(two_nodes: Cluster) -> None:
    """A pod that goes takes its connections with it; the other side, also on another node, sees a reset."""
    a = link_of(two_nodes, "node-1", "a")
    lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    class Client(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            lost.set_result(exc)

    await a.connect(Client, C, 8000)
    await two_nodes.networks["node-2"].detach("c")
    assert isinstance(await lost, ConnectionResetError)
    with pytest.raises(OSError, match="No route"):
        await ask(a, C, 8000)


async def test_datagrams_and_their_answers(two_nodes: Cluster) -> None:
    """Datagrams cross nodes through a Service, and the answer comes from the Service's address."""
    two_nodes.program(
        services=[service("dns", "10.96.0.10", 53, protocol="UDP")],
        slices=[endpoints("dns", 53, (C, "node-2"), protocol="UDP")],
    )
    a, c = link_of(two_nodes, "node-1", "a"), link_of(two_nodes, "node-2", "c")
    got: asyncio.Queue[tuple[bytes, str, int]] = asyncio.Queue()
    server = await c.bind(lambda data, host, port: server.send(data.upper(), host, port), 53)
    client = await a.bind(lambda data, host, port: got.put_nowait((data, host, port)))
    for word in (b"one", b"two"):
        client.send(word, "10.96.0.10", 53)
        assert await got.get() == (word.upper(), "10.96.0.10", 53)
    two_nodes.program(slices=[])
    client.send(b"lost", "10.96.0.10", 53)
    await settle()
    assert got.empty()
    with pytest.raises(OSError, match="in use"):
        await c.bind(lambda *_: None, 53)
    client.close()
    server.close()


async def test_a_node_speaks_only_for_its_own_pods(two_nodes: Cluster) -> None:
    """A packet that comes from a node behind which its source does not lie is dropped."""
    network = two_nodes.networks["node-3"]
    stranger = await network.attach("stranger", "10.244.1.99")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await ask(stranger, C, 8000)


async def test_web_servers_on_links(two_nodes: Cluster) -> None:
    """An aiohttp server in a pod answers a probe from the node."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text=f"{request.remote}")

    c = link_of(two_nodes, "node-2", "c")
    server = web.Server(answer, access_log=None)
    await c.listen(server, 80)
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await two_nodes.networks["node-2"].host().connect(lambda: protocol, C, 80)
    transport.write(b"GET / HTTP/1.1\r\nHost: c\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).endswith(b"172.30.0.12")
    transport.close()
    await server.shutdown(0)


async def test_the_users_machine_reaches_in(two_nodes: Cluster) -> None:
    """A node port is offered on loopback: HTTP and datagrams from a real socket reach the pod and come back."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text=f"{request.remote}")

    services = [
        service("web", "10.96.0.60", 80, type="NodePort", nodePort=30081),
        service("echo", "10.96.0.61", 53, type="NodePort", nodePort=30053, protocol="UDP"),
    ]
    slices = [endpoints("web", 80, (C, "node-2")), endpoints("echo", 53, (C, "node-2"), protocol="UDP")]
    two_nodes.program(services=services, slices=slices)
    c, network = link_of(two_nodes, "node-2", "c"), two_nodes.networks["node-1"]
    server = web.Server(answer, access_log=None)
    await c.listen(server, 80)
    udp = await c.bind(lambda data, host, port: udp.send(data.upper(), host, port), 53)
    outside = OutsideWorld({})
    network.outside = outside
    ports = HostPorts(WayIn(network, outside, PLAN).port, bind="127.0.0.1")
    wanted = targets("node-1", "172.30.0.11", services)
    assert wanted == [Target("172.30.0.11", 30053, "UDP"), Target("172.30.0.11", 30081, "TCP")]
    await ports.sync(wanted, {str(target): "127.0.0.1:0" for target in wanted})
    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.get(f"http://{ports.mapping['172.30.0.11:30081/TCP']}/") as response:
                assert await response.text() == "172.30.0.11"
    got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    class Client(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            got.set_result(data + addr[0].encode())

    host, _, port = ports.mapping["172.30.0.11:30053/UDP"].rpartition(":")
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Client, remote_addr=(host, int(port)))
    transport.sendto(b"knock")
    assert await got == b"KNOCK127.0.0.1"
    transport.close()
    await server.shutdown(0)
    await ports.aclose()
    assert ports.mapping == {}
    await settle()


async def test_two_clients_with_one_port(two_nodes: Cluster) -> None:
    """Clients on different machines may use the same port; inside they are two connections all the same."""
    services = [service("echo", "10.96.0.60", 80, type="NodePort", nodePort=30081)]
    two_nodes.program(services=services, slices=[endpoints("echo", 80, (B, "node-1"))])
    await link_of(two_nodes, "node-1", "b").listen(Echo, 80)
    network = two_nodes.networks["node-1"]
    ports = HostPorts(WayIn(network, OutsideWorld({}), PLAN).port, bind="127.0.0.1")
    await ports.sync(targets("node-1", "172.30.0.11", services), {"172.30.0.11:30081/TCP": "127.0.0.1:0"})
    host, _, number = ports.mapping["172.30.0.11:30081/TCP"].rpartition(":")
    first, writer = await asyncio.open_connection(host, int(number), local_addr=("127.0.0.1", 0))
    same = writer.get_extra_info("sockname")[1]
    second, other = await asyncio.open_connection(host, int(number), local_addr=("127.0.0.2", same))
    for reader in (first, second):
        assert (await reader.readline()).endswith(b":80\n")
    assert len(network.machine.conntrack) == 2
    for sender in (writer, other):
        sender.write(b"hello")
        sender.close()
        await sender.wait_closed()
    await until(lambda: not len(network.machine.conntrack))
    await ports.aclose()
    await settle()


def test_tunnels_on_uvloop(tmp_path: Path) -> None:
    """The other event loop carries the same bytes between nodes, though its transports are none of asyncio's."""
    uvloop = pytest.importorskip("uvloop")

    async def scenario() -> tuple[str, bytes]:
        async with cluster(tmp_path) as made:
            a, c = await made.attach(pod("a", "node-1", A), pod("c", "node-2", C))
            await c.listen(Echo, 8000)
            return await ask(a, C, 8000, b"x" * 1_000_000)

    assert uvloop.run(scenario()) == (f"{A} {C}:8000", b"x" * 1_000_000)
