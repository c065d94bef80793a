"""A small cluster's data path without an API server: machines, networks and tunnels of three nodes, from objects."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from agents.network.outside import OutsideWorld
from agents.network.tunnel import TunnelClient, TunnelServer
from agents.network.virtual import VirtualLink, VirtualNetwork
from miniplane import pki
from miniplane.aio import Clock, SystemClock
from miniplane.api.kind import Object
from miniplane.config import Network
from miniplane.dataplane.compile import Compiler
from miniplane.dataplane.evaluate import Machine
from miniplane.dataplane.snapshot import Snapshot

PLAN = Network()
NODES = ("node-1", "node-2", "node-3")


def node(name: str) -> Object:
    """Node N has 172.30.0.(10+N) and 10.244.N.0/24."""
    number = int(name.removeprefix("node-"))
    return {
        "metadata": {"name": name, "uid": name},
        "spec": {"podCIDR": f"10.244.{number}.0/24", "podCIDRs": [f"10.244.{number}.0/24"]},
        "status": {"addresses": [{"type": "InternalIP", "address": f"172.30.0.{10 + number}"}]},
    }


def pod(name: str, on: str, ip: str, **labels: str) -> Object:
    """A running pod; its UID is its name."""
    return {
        "metadata": {"namespace": "default", "name": name, "uid": name, "labels": {"app": name, **labels}},
        "spec": {"nodeName": on, "containers": [{"name": "c"}]},
        "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]},
    }


def service(name: str, ip: str, port: int, **spec: Any) -> Object:
    """A Service with one port."""
    protocol, node_port = spec.pop("protocol", "TCP"), spec.pop("nodePort", None)
    ports = [{"protocol": protocol, "port": port, "targetPort": port, "nodePort": node_port}]
    return {
        "metadata": {"namespace": "default", "name": name, "uid": name},
        "spec": {"type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip], "ports": ports, **spec},
    }


def endpoints(of: str, port: int, *ips: tuple[str, str], protocol: str = "TCP") -> Object:
    """The slice of a Service; `ips` are (address, node)."""
    return {
        "metadata": {
            "namespace": "default",
            "name": f"{of}-1",
            "uid": f"{of}-1",
            "labels": {"kubernetes.io/service-name": of},
        },
        "addressType": "IPv4",
        "ports": [{"port": port, "protocol": protocol}],
        "endpoints": [{"addresses": [ip], "nodeName": on, "conditions": {"ready": True}} for ip, on in ips],
    }


class Cluster:
    """The data path of three nodes; `objects` are what the rules are compiled from, see `program`."""

    def __init__(self, clock: Clock, choose: Callable[[int], int]) -> None:
        self.objects: dict[str, list[Object]] = {
            "nodes": [node(name) for name in NODES],
            "pods": [],
            "services": [],
            "slices": [],
            "policies": [],
            "namespaces": [{"metadata": {"name": "default", "uid": "default"}}],
        }
        self._compilers = {name: Compiler() for name in NODES}
        self.networks: dict[str, VirtualNetwork] = {}
        for number, name in enumerate(NODES, 1):
            machine = Machine(self._compilers[name].compile(self._snapshot(name)))
            self.networks[name] = VirtualNetwork(machine, f"172.30.0.{10 + number}", clock, choose=choose)

    def _snapshot(self, name: str) -> Snapshot:
        objects = self.objects
        return Snapshot.build(
            name,
            PLAN,
            nodes=objects["nodes"],
            pods=objects["pods"],
            services=objects["services"],
            slices=objects["slices"],
            policies=objects["policies"],
            namespaces=objects["namespaces"],
        )

    def program(self, **objects: list[Object]) -> None:
        """Change objects and give every node its new rules."""
        self.objects |= objects
        for name, network in self.networks.items():
            network.machine.replace(self._compilers[name].compile(self._snapshot(name)))

    async def attach(self, *pods: Object) -> list[VirtualLink]:
        """Add pods, with their links."""
        self.program(pods=[*self.objects["pods"], *pods])
        return [
            await self.networks[item["spec"]["nodeName"]].attach(item["metadata"]["uid"], item["status"]["podIP"])
            for item in pods
        ]


@contextlib.asynccontextmanager
async def cluster(
    data_dir: Path, clock: Clock | None = None, choose: Callable[[int], int] = random.randrange
) -> AsyncIterator[Cluster]:
    """A running one."""
    made = Cluster(clock or SystemClock(), choose)
    pki.ensure(data_dir, server="https://127.0.0.1:1", nodes=NODES)
    where: dict[str, tuple[str, int]] = {}
    servers, clients = [], []
    for name, network in made.networks.items():
        files = pki.files(data_dir, name)
        server = TunnelServer(network, pki.server_context(files, client="required"))
        client = TunnelClient(pki.client_context(files), where.get)
        where[name] = await server.start("127.0.0.1")
        network.peers, network.outside = client, OutsideWorld({})
        servers.append(server)
        clients.append(client)
    try:
        yield made
    finally:
        for network in made.networks.values():
            await network.aclose()
        for client in clients:
            await client.aclose()
        for server in servers:
            await server.aclose()
        await asyncio.sleep(0)


class Echo(asyncio.Protocol):
    """Sends back what it gets, after a line that tells who is connected to whom."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduce both."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        transport.write(f"{peer[0]} {own[0]}:{own[1]}\n".encode())

    def data_received(self, data: bytes) -> None:
        """Send it back."""
        self.transport.write(data)

    def eof_received(self) -> bool:
        """Close when the client has no more."""
        return False


async def ask(link: Any, host: str, port: int, text: bytes = b"") -> tuple[str, bytes]:
    """Connect to an `Echo`, send, half close; its introduction and what came back."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await link.connect(lambda: protocol, host, port)
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    writer.write(text)
    writer.write_eof()
    line = await reader.readline()
    rest = await reader.read()
    writer.close()
    await writer.wait_closed()
    return line.decode().strip(), rest


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until something holds; five seconds at most."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  conditions about many parts, none of which has an event
            await asyncio.sleep(0)
