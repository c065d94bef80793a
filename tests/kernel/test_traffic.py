"""One suite of traffic for both data paths: clients and servers see the same in user space and in the kernel."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from agents.network.base import Link
from agents.network.kernel.network import KernelNetwork
from agents.network.kernel.underlay import Underlay, why_not
from agents.proxy.backends.kernel import KernelBackend
from miniplane.aio import SystemClock
from miniplane.api.kind import Object
from tests.integration import datapath
from tests.integration.datapath import NODES, PLAN, Echo, ask, endpoints, pod, service
from tests.kernel.test_network import HOLDER

WHY_NOT = why_not() or ("" if os.geteuid() == 0 else "only root keeps its user namespace, and pytest must keep its own")
A, B, C = "10.244.1.2", "10.244.1.3", "10.244.2.2"
VIP = "10.96.0.50"
PATIENCE_S = 20.0
DROPPED_S = 0.3
CALLS = 120
ONLY_B = {
    "metadata": {"namespace": "default", "name": "only-b", "uid": "only-b"},
    "spec": {
        "podSelector": {"matchLabels": {"app": "c"}},
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "b"}}}]}],
    },
}


class Carrier(Protocol):
    """Three nodes, carried by something."""

    def host(self, node: str) -> Link:
        """A node's own network."""

    async def program(self, **objects: list[Object]) -> None:
        """Change objects; every node has its new rules when this returns."""

    async def attach(self, *pods: Object) -> list[Link]:
        """Add pods, with their links."""


class UserSpace:
    """Transports in memory and streams between nodes."""

    def __init__(self, cluster: datapath.Cluster) -> None:
        self._cluster = cluster

    def host(self, node: str) -> Link:
        """See `Carrier`."""
        return self._cluster.networks[node].host()

    async def program(self, **objects: list[Object]) -> None:
        """See `Carrier`."""
        self._cluster.program(**objects)

    async def attach(self, *pods: Object) -> list[Link]:
        """See `Carrier`."""
        return list(await self._cluster.attach(*pods))


class Kernel:
    """Namespaces and rules; the programs are those that the user-space nodes have."""

    def __init__(self, underlay: Underlay) -> None:
        self._programs = datapath.Cluster(SystemClock(), lambda _: 0)
        self._networks = {
            name: KernelNetwork(underlay, name, f"172.30.0.{10 + number}") for number, name in enumerate(NODES, 1)
        }
        self._backends = {name: KernelBackend(network) for name, network in self._networks.items()}

    def host(self, node: str) -> Link:
        """See `Carrier`."""
        return self._networks[node].host()

    async def program(self, **objects: list[Object]) -> None:
        """See `Carrier`."""
        self._programs.program(**objects)
        for name, backend in self._backends.items():
            await backend.apply(self._programs.networks[name].machine.program)

    async def attach(self, *pods: Object) -> list[Link]:
        """See `Carrier`."""
        links: list[Link] = [
            await self._networks[item["spec"]["nodeName"]].attach(item["metadata"]["uid"], item["status"]["podIP"])
            for item in pods
        ]
        await self.program(pods=[*self._programs.objects["pods"], *pods])
        return links

    async def aclose(self) -> None:
        """Take it down."""
        for name, network in self._networks.items():
            self._backends[name].close()
            await network.aclose()
            await self._programs.networks[name].aclose()


@contextlib.asynccontextmanager
async def in_kernel(folder: Path) -> AsyncIterator[Kernel]:
    """A kernel data path, in a network held by a process of its own."""
    process = subprocess.Popen(  # noqa: ASYNC220  its life is longer than one await
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == b"ready\n"
        underlay = Underlay.join(folder, PLAN)
        made = Kernel(underlay)
        try:
            yield made
        finally:
            await made.aclose()
            underlay.close()
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(params=["userspace", "kernel"])
async def path(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Carrier]:
    """Each data path; the kernel's where it can be had."""
    if request.param == "userspace":
        async with datapath.cluster(tmp_path) as made:
            yield UserSpace(made)
    elif WHY_NOT:
        pytest.skip(f"no network in the kernel: {WHY_NOT}")
    else:
        async with in_kernel(tmp_path) as kernel:
            yield kernel


@pytest.fixture
async def pods(path: Carrier) -> list[Link]:
    """Pods a and b on node-1, c on node-2; b and c echo on port 8000."""
    links = await path.attach(pod("a", "node-1", A), pod("b", "node-1", B), pod("c", "node-2", C))
    for link in links[1:]:
        await link.listen(Echo, 8000)
    return links


def both(**spec: Any) -> dict[str, list[Object]]:
    """A Service with b and c behind it."""
    slices = [endpoints("echo", 8000, (B, "node-1"), (C, "node-2"))]
    return {"services": [service("echo", VIP, 8000, **spec)], "slices": slices}


async def call(link: Link, host: str, port: int = 8000) -> str:
    """Who the server says is connected to whom."""
    return (await asyncio.wait_for(ask(link, host, port, b"x"), PATIENCE_S))[0]


async def test_load_is_spread_evenly(path: Carrier, pods: list[Link]) -> None:
    """Each of two endpoints gets about half of the connections, with the client pod's own address."""
    await path.program(**both())
    seen = Counter([await call(pods[0], VIP) for _ in range(CALLS)])
    assert set(seen) == {f"{A} {B}:8000", f"{A} {C}:8000"}
    assert min(seen.values()) > CALLS // 4


async def test_affinity_sticks(path: Carrier, pods: list[Link]) -> None:
    """A client stays with the endpoint that it got first."""
    await path.program(**both(sessionAffinity="ClientIP"))
    assert len({await call(pods[0], VIP) for _ in range(20)}) == 1


async def test_affinity_expires(path: Carrier, pods: list[Link]) -> None:
    """After a second without connections the choice is free again: of some tries not all get the same."""
    within = {"clientIP": {"timeoutSeconds": 1}}
    await path.program(**both(sessionAffinity="ClientIP", sessionAffinityConfig=within))
    seen = {await call(pods[0], VIP)}
    async with asyncio.timeout(60):
        while len(seen) == 1:
            await asyncio.sleep(1.2)  # the kernel's clock is the only one that counts here
            seen.add(await call(pods[0], VIP))


async def test_no_endpoints_are_rejected_at_once(path: Carrier, pods: list[Link]) -> None:
    """A Service without endpoints refuses."""
    await path.program(services=[service("echo", VIP, 8000)], slices=[])
    with pytest.raises(ConnectionRefusedError):
        await call(pods[0], VIP)


async def test_an_unready_pod_gets_no_new_connection(path: Carrier, pods: list[Link]) -> None:
    """Once its endpoint has gone, every connection leads to the other."""
    await path.program(**both())
    await path.program(slices=[endpoints("echo", 8000, (C, "node-2"))])
    assert {await call(pods[0], VIP) for _ in range(20)} == {f"{A} {C}:8000"}


async def test_where_the_source_is_kept_and_where_not(path: Carrier, pods: list[Link]) -> None:
    """A pod that reaches itself comes as its node; a node port on another node as that node; others as themselves."""
    spec = {"type": "NodePort", "nodePort": 30080}
    await path.program(services=[service("echo", VIP, 8000, **spec)], slices=[endpoints("echo", 8000, (B, "node-1"))])
    assert await call(pods[0], VIP) == f"{A} {B}:8000"
    assert await call(pods[1], VIP) == f"172.30.0.11 {B}:8000"
    assert await call(path.host("node-3"), "172.30.0.12", 30080) == f"172.30.0.12 {B}:8000"


async def test_datagrams_through_a_service(path: Carrier, pods: list[Link]) -> None:
    """A datagram's answer comes from the Service's address, and goes elsewhere as soon as the endpoint has changed."""
    await path.program(
        services=[service("dns", VIP, 53, protocol="UDP")],
        slices=[endpoints("dns", 53, (C, "node-2"), protocol="UDP")],
    )
    got: asyncio.Queue[tuple[bytes, str, int]] = asyncio.Queue()
    b = await pods[1].bind(lambda data, host, port: b.send(data + b" b", host, port), 53)
    c = await pods[2].bind(lambda data, host, port: c.send(data + b" c", host, port), 53)
    client = await pods[0].bind(lambda data, host, port: got.put_nowait((data, host, port)))
    client.send(b"one", VIP, 53)
    assert await asyncio.wait_for(got.get(), PATIENCE_S) == (b"one c", VIP, 53)
    await path.program(slices=[endpoints("dns", 53, (B, "node-1"), protocol="UDP")])
    client.send(b"two", VIP, 53)
    assert await asyncio.wait_for(got.get(), PATIENCE_S) == (b"two b", VIP, 53)
    for sock in (b, c, client):
        sock.close()


async def test_policies_and_the_connections_that_stand(path: Carrier, pods: list[Link]) -> None:
    """A policy lets in whom it names and drops others, but leaves alone who was connected before it came."""
    reader = asyncio.StreamReader()
    transport, _ = await pods[0].connect(lambda: asyncio.StreamReaderProtocol(reader), C, 8000)
    assert (await reader.readline()).startswith(A.encode())
    await path.program(policies=[ONLY_B])
    assert await call(pods[1], C) == f"{B} {C}:8000"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(DROPPED_S):
            await ask(pods[0], C, 8000)
    transport.write(b"still here")
    assert await asyncio.wait_for(reader.readexactly(10), PATIENCE_S) == b"still here"
    transport.close()


async def test_no_call_fails_while_endpoints_roll(path: Carrier, pods: list[Link]) -> None:
    """Endpoints come and go while clients call: no call fails, as none of them goes while it is named."""
    await path.program(**both())
    over = asyncio.Event()

    async def caller() -> int:
        calls = 0
        while not over.is_set():
            await call(pods[0], VIP)
            calls += 1
        return calls

    callers = [asyncio.create_task(caller()) for _ in range(4)]
    for turn in range(20):
        ip = ((B, "node-1"), (C, "node-2"))[turn % 2]
        await path.program(slices=[endpoints("echo", 8000, ip)])
        await asyncio.sleep(0)
    over.set()
    assert sum(await asyncio.gather(*callers)) >= len(callers)
