"""Links of pods in the kernel, below any cluster: what `Network` promises, by real sockets."""

import asyncio
import errno
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import cast

import pytest

from agents.network.kernel.netlink import Netlink
from agents.network.kernel.network import KernelNetwork
from agents.network.kernel.underlay import Underlay, why_not
from agents.proxy.backends.kernel import KernelBackend
from agents.proxy.backends.nft import LONGEST, NftSession, nft
from miniplane.config import Network
from miniplane.dataplane.cluster import Cluster
from miniplane.dataplane.offline import build
from miniplane.dataplane.program import Program

WHY_NOT = why_not() or ("" if os.geteuid() == 0 else "only root keeps its user namespace, and pytest must keep its own")
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=f"no network in the kernel: {WHY_NOT}")
HOLDER = """
import asyncio, sys
from pathlib import Path
from agents.network.kernel.underlay import hold
from miniplane.config import Network
asyncio.run(hold(Path(sys.argv[1]), Network(), ready=lambda: print("ready", flush=True)))
"""
FLOWS = "table ip t {\n chain c {\n type filter hook forward priority 0;\n ct state new accept\n }\n}\n"
SILENCE = "table ip t {\n chain c {\n type filter hook forward priority 0; policy drop;\n }\n}\n"
PATIENCE_S = 5.0


class Nodes:
    """Two nodes of one network, each with the way to the other's pods."""

    def __init__(self, underlay: Underlay) -> None:
        self.one = KernelNetwork(underlay, "node-1", "172.30.0.11")
        self.two = KernelNetwork(underlay, "node-2", "172.30.0.12")
        for here, there, number in ((self.one, self.two, 2), (self.two, self.one, 1)):
            here.netlink.set_route(IPv4Network(f"10.244.{number}.0/24"), link="eth0", via=there.address)


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[Nodes]:
    """The nodes, in a network held by a process of its own."""
    process = subprocess.Popen(  # noqa: ASYNC220  its life is longer than one await
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == b"ready\n"
        underlay = Underlay.join(tmp_path, Network())
        made = Nodes(underlay)
        try:
            yield made
        finally:
            await made.one.aclose()
            await made.two.aclose()
            underlay.close()
    finally:
        process.kill()
        process.communicate()


class Echo(asyncio.Protocol):
    """Answers with who asks."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say it, and end."""
        host, port = transport.get_extra_info("peername")[:2]
        assert port
        cast(asyncio.Transport, transport).write(host.encode())
        transport.close()


class Reader(asyncio.Protocol):
    """Reads until the end."""

    def __init__(self) -> None:
        self.data = b""
        self.ended: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        """More."""
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:
        """All of it, or why not."""
        if exc is None:
            self.ended.set_result(self.data)
        else:
            self.ended.set_exception(exc)
            self.ended.exception()  # not everybody asks


async def test_pods_reach_each_other_untranslated(nodes: Nodes) -> None:
    """On one node and across nodes the server sees the client's own address; nobody listening refuses at once."""
    a, b = await nodes.one.attach("a", "10.244.1.2"), await nodes.one.attach("b", "10.244.1.3")
    c = await nodes.two.attach("c", "10.244.2.2")
    await a.listen(Echo, 80)
    for client in (a, b, c):
        _, reader = await client.connect(Reader, "10.244.1.2", 80)
        assert await asyncio.wait_for(cast(Reader, reader).ended, PATIENCE_S) == client.ip.encode()
    with pytest.raises(ConnectionRefusedError):
        await c.connect(Reader, "10.244.1.2", 81)


async def test_a_port_is_taken_once_and_an_address_too(nodes: Nodes) -> None:
    """Two listeners of a pod, and two pods of an address, are refused; localhost is a pod's own."""
    a = await nodes.one.attach("a", "10.244.1.2")
    listener = await a.listen(Echo, 0, host="127.0.0.1")
    with pytest.raises(OSError, match="in use") as taken:
        await a.listen(Echo, listener.port)
    assert taken.value.errno == errno.EADDRINUSE
    with pytest.raises(OSError, match="another pod"):
        await nodes.one.attach("other", "10.244.1.2")
    b = await nodes.one.attach("b", "10.244.1.3")
    with pytest.raises(ConnectionRefusedError):
        await b.connect(Reader, "10.244.1.2", listener.port)


async def test_detaching_ends_everything(nodes: Nodes) -> None:
    """A pod's connections end with its link, and its address may be given again."""
    a, b = await nodes.one.attach("a", "10.244.1.2"), await nodes.one.attach("b", "10.244.1.3")
    await a.listen(Reader, 80)
    _, reader = await b.connect(Reader, "10.244.1.2", 80)
    await nodes.one.detach("b")
    ended = cast(Reader, reader).ended
    await asyncio.wait([ended], timeout=PATIENCE_S)
    assert ended.done()
    assert ended.exception() or ended.result() == b""
    again = await nodes.one.attach("c", "10.244.1.3")
    assert again.ip == "10.244.1.3"


async def test_a_detached_pod_says_good_bye(nodes: Nodes) -> None:
    """Peers of a pod that goes see a reset, and its address refuses or is nowhere; they need not wait for an answer."""
    a, c = await nodes.one.attach("a", "10.244.1.2"), await nodes.two.attach("c", "10.244.2.2")
    await a.listen(Reader, 80)
    _, reader = await c.connect(Reader, "10.244.1.2", 80)
    ended = cast(Reader, reader).ended
    await nodes.one.detach("a")
    await asyncio.wait([ended], timeout=PATIENCE_S)
    assert isinstance(ended.exception(), ConnectionResetError)


async def test_what_belongs_to_a_detached_pod_ends_and_cannot_begin(nodes: Nodes) -> None:
    """A connection in the making fails with the pod; its link opens no more sockets, least of all in other networks."""
    nft(nodes.one.namespace, "-f", "-", text=SILENCE)
    a = await nodes.one.attach("a", "10.244.1.2")
    waiting = asyncio.create_task(a.connect(Reader, "10.244.2.2", 80))
    await asyncio.sleep(0)
    await nodes.one.detach("a")
    await asyncio.wait([waiting], timeout=PATIENCE_S)
    assert isinstance(waiting.exception(), OSError)
    await nodes.one.attach("b", "10.244.1.3")
    with pytest.raises(OSError, match="taken down"):
        await a.connect(Reader, "10.244.1.3", 80)
    with pytest.raises(OSError, match="taken down"):
        await a.listen(Reader, 80)
    with pytest.raises(OSError, match="taken down"):
        await a.bind(lambda *_: None)


async def test_a_closed_listener_refuses_at_once(nodes: Nodes) -> None:
    """Without a turn of the loop between, the port refuses and may be taken again."""
    a, b = await nodes.one.attach("a", "10.244.1.2"), await nodes.one.attach("b", "10.244.1.3")
    (await a.listen(Echo, 80)).close()
    with pytest.raises(ConnectionRefusedError):
        await b.connect(Reader, "10.244.1.2", 80)
    (await a.listen(Echo, 80)).close()
    await a.listen(Echo, 80)


async def test_datagrams_and_the_connections_that_they_make(nodes: Nodes) -> None:
    """A datagram is answered; the kernel's note of it is found and can be forgotten."""
    a, c = await nodes.one.attach("a", "10.244.1.2"), await nodes.two.attach("c", "10.244.2.2")
    nft(nodes.one.namespace, "-f", "-", text=FLOWS)
    answered: asyncio.Future[tuple[bytes, str]] = asyncio.get_running_loop().create_future()
    server = await c.bind(lambda data, host, port: server.send(data.upper(), host, port), 53)
    client = await a.bind(lambda data, host, _port: answered.set_result((data, host)))
    client.send(b"who", "10.244.2.2", 53)
    assert await asyncio.wait_for(answered, PATIENCE_S) == (b"WHO", "10.244.2.2")
    connections = Netlink.connections(nodes.one.namespace)
    target = int(IPv4Address("10.244.2.2")), 53
    found = [flow for flow in connections.flows() if flow.target == target]
    assert [(flow.answerer, flow.is_translated) for flow in found] == [(target, False)]
    connections.forget(found[0])
    assert [flow for flow in connections.flows() if flow.target == target] == []
    connections.close()


def program(ports: Sequence[int]) -> Program:
    """The program of a node whose cluster has a Service with these ports, and a policy."""
    labels = {"app": "web"}
    named = [{"name": f"p{port}", "port": port} for port in ports]
    manifests = [
        {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "node-1"}},
        {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {"name": "web", "namespace": "default", "labels": labels},
            "spec": {"nodeName": "node-1", "containers": [{"name": "c", "image": "nginx"}]},
        },
        {
            "kind": "Service",
            "apiVersion": "v1",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"selector": labels, "ports": named, "sessionAffinity": "ClientIP"},
        },
        {
            "kind": "NetworkPolicy",
            "apiVersion": "networking.k8s.io/v1",
            "metadata": {"name": "closed", "namespace": "default"},
            "spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]},
        },
    ]
    world = build(manifests, Network())
    return Cluster.from_objects(world.objects, world.network).machine("node-1").program


async def test_rules_are_loaded_changed_and_put_back(nodes: Nodes) -> None:
    """What is compiled is what the kernel lists, after a change too; what somebody flushes comes back at `repair`."""
    backend = KernelBackend(nodes.one)
    try:
        for ports in ((80,), (80, 443)):
            await backend.apply(program(ports))
            assert not await backend.repair()
        nft(nodes.one.namespace, "flush", "ruleset")
        assert await backend.repair()
        assert not await backend.repair()
    finally:
        backend.close()


async def test_changes_go_through_one_process(nodes: Nodes) -> None:
    """A change is done wholly or not at all, with nft's words; a process that was killed is started again."""
    where, session = nodes.one.namespace, NftSession(nodes.one.namespace)
    try:
        session.run(["add table ip x", "add set ip x s { type ipv4_addr; }", "add element ip x s { 192.0.2.1 }"])
        with pytest.raises(OSError, match="No such file"):
            session.run(["add element ip x s { 192.0.2.2 }", "add element ip x nothing { 192.0.2.3 }"])
        assert session._process is not None
        session._process.kill()
        session._process.wait()
        session.run(["add element ip x s { 192.0.2.4 }"])
        many = [f"add element ip x s {{ 198.51.{number // 256}.{number % 256} }}" for number in range(LONGEST // 32)]
        session.run(many)
        found = nft(where, "list", "set", "ip", "x", "s")
        assert ("192.0.2.1" in found, "192.0.2.2" in found, "192.0.2.4" in found, "198.51.3.1" in found) == (
            True,
            False,
            True,
            True,
        )
    finally:
        session.close()
