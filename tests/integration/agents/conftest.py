"""An API server and one node's agent in this process, without controllers: tests bind pods themselves."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import agents
import apiserver
from miniplane import pki
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.client import Client
from miniplane.errors import NotFound
from miniplane.kinds import NAMESPACE, NODE, POD

PATIENCE_S = 10.0


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Site:
    """The API server with a client of the administrator; `agent` runs a node's agent."""

    def __init__(self, data_dir: Path, client: Client) -> None:
        self.data_dir = data_dir
        self.client = client

    @contextlib.asynccontextmanager
    async def agent(self, name: str = "node-1") -> AsyncIterator[None]:
        """A running agent; stopped at the end as Ctrl-C would."""
        settings = agents.Settings(name=name, data_dir=self.data_dir, node_ip=f"172.30.0.1{name[-1]}")
        ready = asyncio.Event()
        task = asyncio.create_task(agents.run(settings, ready=ready.set), name=f"agent {name}")
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def give_range(self, name: str = "node-1", cidr: str = "10.244.1.0/24") -> None:
        """What the node IPAM controller does."""
        await self.client.patch(NODE, Key("", name), {"spec": {"podCIDR": cidr, "podCIDRs": [cidr]}})

    async def run(self, name: str, *containers: Object, node: str = "node-1", **spec: Any) -> None:
        """A pod bound to a node."""
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
            "spec": {"containers": list(containers), "nodeName": node, **spec},
        }
        await self.client.create(POD, pod)

    async def pod(self, name: str, holds: Callable[[Object], bool]) -> Object:
        """The pod as soon as `holds` of it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = await self.client.get(POD, name, "default")
                if holds(found):
                    return found
                await asyncio.sleep(0.02)

    async def running(self, name: str) -> Object:
        """The pod once it is ready."""
        return await self.pod(name, is_ready)

    async def gone(self, name: str) -> None:
        """Return when the pod is gone."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    await self.client.get(POD, name, "default")
                except NotFound:
                    return
                await asyncio.sleep(0.02)


def is_ready(pod: Object) -> bool:
    """Whether its condition Ready is True."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A new cluster without nodes."""
    port = free_port()
    pki.ensure(tmp_path, server=f"https://127.0.0.1:{port}", nodes=("node-1", "node-2"))
    ready = asyncio.Event()
    server = asyncio.create_task(
        apiserver.run(apiserver.Settings(data_dir=tmp_path, port=port), ready=ready.set), name="apiserver"
    )
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({server, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if server.done():
        server.result()
    async with Client.from_kubeconfig(tmp_path / "kubeconfig") as client:
        await client.get(NAMESPACE, "default")
        yield Site(tmp_path, client)
    server.cancel()
    await asyncio.gather(server, return_exceptions=True)
