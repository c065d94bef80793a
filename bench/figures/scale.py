"""A thousand hollow nodes and ten thousand pods: how long until all run, and what the cluster costs then.

Pods come from Deployments behind Services, so that every controller has its part. Nodes, control plane and whoever
looks on share the machine; the design speaks of two cores.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path

import orjson

from bench.figures.base import Figure, Group
from miniplane.client import Client, Selection, requests
from miniplane.kinds import DEPLOYMENT, NODE, POD, SERVICE
from miniplane.local import pick_port

HERE = Path(__file__).resolve().parent.parent
NODES = 1000
PODS = 10_000
REPLICAS = 100
"""Pods of one Deployment."""
LIMIT_S = 60.0
SETTLE_S = 10.0
STEADY_S = 20.0
PATIENCE_S = 600.0
_TICKS = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def program(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """One of `hollow.py`'s processes, and its end."""
    command = [sys.executable, str(HERE / "hollow.py"), *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        try:
            yield process
            process.stdin.close()
            process.wait(timeout=30)
        finally:
            process.kill()


def wait(process: subprocess.Popen[bytes]) -> None:
    """Return when it is ready."""
    assert process.stdout is not None
    if process.stdout.readline().strip() != b"ready":
        raise RuntimeError("a process of the hollow cluster did not start")


def cpu_s(pid: int) -> float:
    """The processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


async def until_running(client: Client, count: int) -> None:
    """Return when so many pods run; counts lines, for reading objects would be work."""
    selection = Selection(namespace="default", fields="status.phase=Running")
    seen = 0
    request = requests.watch(POD, selection, revision="0", timeout_s=int(PATIENCE_S))
    async with aclosing(client.lines(request, timeout_s=PATIENCE_S)) as lines:
        async for line in lines:
            seen += line.startswith(b'{"type":"ADDED"')
            if seen >= count:
                return
    raise RuntimeError(f"{seen} of {count} pods ran within {PATIENCE_S:g} s")


async def until_ready(client: Client, count: int) -> None:
    """Return when so many nodes are Ready."""
    ready: set[str] = set()
    request = requests.watch(NODE, Selection(), revision="0", timeout_s=int(PATIENCE_S))
    async with aclosing(client.lines(request, timeout_s=PATIENCE_S)) as lines:
        async for line in lines:
            if b'"KubeletReady"' in line:
                ready.add(orjson.loads(line)["object"]["metadata"]["name"])
            if len(ready) >= count:
                return
    raise RuntimeError(f"{len(ready)} of {count} nodes were ready within {PATIENCE_S:g} s")


async def deploy(client: Client, number: int, replicas: int) -> None:
    """A Deployment and its Service."""
    name = f"app-{number}"
    labels = {"app": name}
    containers = [{"name": "web", "image": "nginx:1.27", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}]
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
    }
    meta = {"name": name, "namespace": "default"}
    await client.create(DEPLOYMENT, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec})
    ports = [{"port": 80}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": labels, "ports": ports}}
    await client.create(SERVICE, service)


async def start_pods(kubeconfig: Path, count: int) -> None:
    """Return when all pods run."""
    async with Client.from_kubeconfig(kubeconfig) as client, asyncio.TaskGroup() as group:
        group.create_task(until_running(client, count))
        for number in range(count // REPLICAS):
            await deploy(client, number, REPLICAS)


async def _ready(kubeconfig: Path, count: int) -> None:
    async with Client.from_kubeconfig(kubeconfig) as client:
        await until_ready(client, count)


def figure(name: str, measured: float, limit: float, unit: str) -> Figure:
    """One that the design promises."""
    return Figure(name=name, measured=measured, limit=limit, unit=unit, against="the design's promise", better="less")


def told(what: str, seconds: float, before: Mapping[str, float], after: Mapping[str, float]) -> None:
    """Say on standard error where the time went."""
    shares = ", ".join(f"{name} {after[name] - before[name]:.1f} s" for name in after)
    print(f"  {what}: {seconds:.1f} s; processor time: {shares}", file=sys.stderr, flush=True)


def measure(nodes: int = NODES, pods: int = PODS) -> Sequence[Figure]:
    """From nothing to a cluster at rest."""
    with tempfile.TemporaryDirectory(dir=".") as made, contextlib.ExitStack() as stack:
        place = (made, str(pick_port(0)))
        kubeconfig = Path(made) / "kubeconfig"
        running = {}

        def start(role: str, *rest: str) -> subprocess.Popen[bytes]:
            running[role] = stack.enter_context(program(role, *place, *rest))
            return running[role]

        def used() -> dict[str, float]:
            return {role: cpu_s(process.pid) for role, process in running.items()}

        for role in ("apiserver", "controllers"):
            wait(start(role))
        begun = time.perf_counter()
        wait(start("nodes", str(nodes)))
        asyncio.run(_ready(kubeconfig, nodes))
        nodes_s = time.perf_counter() - begun
        before = used()
        told(f"{nodes} nodes ready", nodes_s, {**dict.fromkeys(before, 0.0)}, before)
        begun = time.perf_counter()
        asyncio.run(start_pods(kubeconfig, pods))
        pods_s = time.perf_counter() - begun
        after = used()
        told(f"{pods} pods running", pods_s, before, after)
        time.sleep(SETTLE_S)
        before = used()
        time.sleep(STEADY_S)
        after = used()
        told("at rest", STEADY_S, before, after)
        cores = sum(after[role] - before[role] for role in after) / STEADY_S
    size = f"{nodes:,} hollow nodes"
    return (
        figure(f"{size} Ready", nodes_s, LIMIT_S, "s"),
        figure(f"{pods:,} pods Running on {size}", pods_s, LIMIT_S, "s"),
        figure("the same, nodes and pods", nodes_s + pods_s, LIMIT_S, "s"),
        figure(f"{size} with {pods:,} pods, at rest", cores, 1.0, "cores"),
    )


GROUP = Group("scale", "a thousand hollow nodes with ten thousand pods", measure)
