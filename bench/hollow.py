"""A cluster of hollow nodes in three processes: `apiserver`, `controllers` and `nodes COUNT`, each `FOLDER PORT` after.

A hollow node is an agent without a data path: real registration, lease and kubelet, whose pods have the node's own
network and no rules, and which watches only its own pods. Each process prints `ready` and runs until its input is
closed. The nodes share the administrator's connections, since a certificate for each would measure TLS.
"""

import asyncio
import ipaddress
import resource
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from agents.kubelet.api import ClientApi
from agents.kubelet.host import Host
from agents.kubelet.images.catalogue import Catalogue
from agents.kubelet.kubelet import Addresses, Kubelet
from agents.kubelet.lease import Heartbeat
from agents.kubelet.registration import NodeFacts, NodeReporter
from agents.network.virtual import VirtualNetwork
from agents.proxy.backends.userspace import new_machine
from miniplane import process
from miniplane.aio import Clock, SystemClock
from miniplane.client import Client, Selection
from miniplane.config import Network
from miniplane.kinds import NODE, POD
from miniplane.local import LocalCluster
from miniplane.observe import logs
from miniplane.runtime import Change
from miniplane.runtime.events import EventRecorder
from miniplane.runtime.informer import Informers

NETWORK = Network(
    pod_cidrs=("100.64.0.0/10",), node_cidr="172.16.0.0/16", load_balancer_pool="172.16.200.0/24", dns_ip="10.96.0.10"
)
"""Room for sixteen thousand nodes."""
AT_ONCE = 50
"""Nodes that start side by side."""


async def run_node(number: int, client: Client, clock: Clock, ready: Callable[[], None]) -> None:
    """One hollow node until cancelled; `ready` is called once it is registered."""
    name = f"hollow-{number}"
    ip = str(ipaddress.ip_network(NETWORK.node_cidr)[number + 10])
    addresses, recorder = Addresses(), EventRecorder(client, clock, "kubelet", host=name)
    host = Host(
        node=name,
        ip=ip,
        network=VirtualNetwork(new_machine(name, NETWORK), ip, clock),
        api=ClientApi(client),
        catalogue=Catalogue(()),
        clock=clock,
        cluster=NETWORK,
        event=recorder.record,
        addresses=addresses,
    )
    kubelet = Kubelet(host, addresses)
    facts = NodeFacts(name=name, ip=ip, kubelet_host="127.0.0.1", kubelet_port=1, cpus=8, memory_bytes=32 << 30)
    reporter = NodeReporter(client, facts, clock)

    def node_changed(change: Change) -> None:
        reporter.update(change.new)
        kubelet.node_changed(change.new)

    async with Informers(client, clock) as informers, asyncio.TaskGroup() as group:
        pods = informers.get(POD, Selection(fields=f"spec.nodeName={name}"))
        informers.get(NODE, Selection(fields=f"metadata.name={name}")).subscribe(node_changed)
        pods.subscribe(lambda change: kubelet.pod_changed(change.old, change.new))
        registered = asyncio.Event()
        group.create_task(recorder.run(), name="events")
        group.create_task(reporter.run(registered.set), name="node status")
        await registered.wait()
        group.create_task(Heartbeat(client, name, clock).run(), name="node lease")
        await informers.synced()
        group.create_task(kubelet.run(), name="kubelet")
        ready()


async def run_nodes(cluster: LocalCluster, count: int, *, ready: Callable[[], None]) -> None:
    """All of them, a few starting at a time."""
    clock = SystemClock()
    gate = asyncio.Semaphore(AT_ONCE)
    async with Client.from_kubeconfig(cluster.kubeconfig, clock=clock) as client, asyncio.TaskGroup() as group:
        left = count
        all_there = asyncio.Event()

        def registered() -> None:
            nonlocal left
            left -= 1
            gate.release()
            if not left:
                all_there.set()

        for number in range(count):
            await gate.acquire()
            group.create_task(run_node(number, client, clock, registered), name=f"hollow-{number}")
        await all_there.wait()
        ready()


def main(role: str, folder: str, port: str, *rest: str) -> None:
    """Run one of the processes."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    logs.configure("error", "text")
    cluster = LocalCluster(data_dir=Path(folder), port=int(port), nodes=1, network=NETWORK, log_level="error")
    run: Callable[..., Coroutine[Any, Any, None]]
    match role:
        case "apiserver":
            cluster.prepare()
            run = cluster.apiserver().run
        case "controllers":
            run = cluster.others()[0].run
        case "nodes":
            run = partial(run_nodes, cluster, int(rest[0]))
        case _:
            raise SystemExit(f"no role {role}")
    process.run_until_stopped(lambda ready: run(ready=ready), lambda: print("ready", flush=True), lifeline=0)


if __name__ == "__main__":
    main(*sys.argv[1:])
