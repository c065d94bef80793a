"""A local cluster as users start it: the time to its first running pod, and its memory with the demo in it."""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.figures.base import Figure, Group
from bench.figures.http import memory_bytes
from miniplane.client import Client
from miniplane.client import kubeconfig as files
from miniplane.kinds import POD

NODES = 3
LIMIT_S = 40
"""After so long a command has failed."""


def miniplane(*words: str) -> None:
    """Run a command; an error shows its output."""
    command = [sys.executable, "-m", "miniplane", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stdout}{done.stderr}")


async def first_pod(kubeconfig: Path, name: str) -> None:
    """Create a pod and return when it is Running."""
    containers = [{"name": "web", "image": "nginx:1.27"}]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": containers},
    }
    async with Client(files.load(kubeconfig)) as client, asyncio.timeout(LIMIT_S):
        await client.create(POD, pod)
        while (await client.get(POD, name, "default")).get("status", {}).get("phase") != "Running":  # noqa: ASYNC110  a client that polls is the simplest
            await asyncio.sleep(0.01)


def start(folder: Path, name: str) -> float:
    """Seconds from the command to the first pod that runs."""
    begun = time.perf_counter()
    miniplane("up", "--detach", f"--nodes={NODES}", f"--data-dir={folder}")
    asyncio.run(first_pod(folder / "kubeconfig", name))
    return time.perf_counter() - begun


def memory(folder: Path) -> float:
    """The bytes of all processes of the cluster, each shared page counted once."""
    state = json.loads((folder / "cluster.json").read_text())
    return float(sum(memory_bytes(pid) for pid in (state["supervisor"], *state["programs"].values())))


def figure(name: str, measured: float, limit: float, unit: str) -> Figure:
    """One that the design promises."""
    against = "the design's promise"
    return Figure(name=name, measured=measured, limit=limit, unit=unit, against=against, better="less")


def measure() -> Sequence[Figure]:
    """The first start makes certificates and tables, too; the second finds them."""
    with tempfile.TemporaryDirectory(dir=".") as made:
        folder = Path(made).absolute()
        try:
            first = start(folder, "one")
            miniplane("down", f"--data-dir={folder}")
            again = start(folder, "two")
            empty = memory(folder)
            miniplane("up", "--demo", f"--data-dir={folder}")
            full = memory(folder)
        finally:
            miniplane("down", f"--data-dir={folder}")
    figures = [
        figure(f"up, {NODES} nodes, to the first pod Running", first * 1000, 1500, "ms"),
        figure("the same, the second time", again * 1000, 1500, "ms"),
    ]
    if full:
        figures.append(figure(f"memory (PSS), {NODES} nodes, one pod", empty / 1e6, 150, "MB"))
        figures.append(figure(f"memory (PSS), {NODES} nodes, the demo", full / 1e6, 150, "MB"))
    return figures


GROUP = Group("cluster", "a local cluster as users start it", measure)
