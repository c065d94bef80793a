"""The kernel's data path: a large cluster's first rules, one change of a Service, and a start to the first pod."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from agents.network.kernel.network import KernelNetwork
from agents.network.kernel.underlay import Underlay, hold, why_not
from agents.proxy.backends.kernel import KernelBackend
from agents.proxy.backends.nft import NftSession
from bench.figures.base import Figure, Group, percentile, timed
from bench.figures.cluster import first_pod, miniplane
from bench.figures.dataplane import SERVICES, LargeCluster, service_slice
from miniplane.config import Network

CHANGES = 100
START_LIMIT_S, LOAD_LIMIT_S, CHANGE_LIMIT_S, LINE_LIMIT_S = 3.0, 2.0, 0.05, 0.002


async def _rules(folder: Path) -> tuple[float, list[float], list[float]]:
    """Seconds of compiling and loading everything, of changes of a Service, and of nft's part in one."""
    cluster = LargeCluster()
    underlay = Underlay.join(folder, Network())
    network = KernelNetwork(underlay, "node-1", "172.30.0.11")
    backend, session = KernelBackend(network), NftSession(network.namespace)
    changes, lines = [], []
    try:
        with timed() as first:
            await backend.apply(cluster.compile())
        for number in range(CHANGES):
            cluster.slices[number * 7] = service_slice(number * 7, 2)
            with timed() as change:
                await backend.apply(cluster.compile())
            changes.append(change.seconds)
        session.run(["add table ip bench", "add set ip bench s { type ipv4_addr; }"])
        for number in range(CHANGES):
            with timed() as line:
                session.run([f"add element ip bench s {{ 10.0.0.{number} }}"])
            lines.append(line.seconds)
    finally:
        session.close()
        backend.close()
        await network.aclose()
        underlay.close()
    return first.seconds, changes, lines


def _start() -> float:
    """Seconds from the command to the first pod that runs."""
    with tempfile.TemporaryDirectory(dir=".") as made:
        folder = Path(made).absolute()
        begun = time.perf_counter()
        try:
            miniplane("up", "--detach", "--dataplane=kernel", f"--data-dir={folder}")
            asyncio.run(first_pod(folder / "kubeconfig", "one"))
            return time.perf_counter() - begun
        finally:
            miniplane("down", f"--data-dir={folder}")


def _figure(name: str, seconds: float, limit_s: float) -> Figure:
    measured, limit = seconds * 1e3, limit_s * 1e3
    return Figure(name=name, measured=measured, limit=limit, unit="ms", against="the design", better="less")


def measure() -> Sequence[Figure]:
    """Rules in a process of their own, since who enters another user's namespace can't come back."""
    if reason := why_not():
        raise RuntimeError(reason)
    with tempfile.TemporaryDirectory() as made:
        holder = subprocess.Popen([sys.executable, "-m", __name__, "hold", made], stdout=subprocess.PIPE)
        try:
            assert holder.stdout is not None
            holder.stdout.readline()
            command = [sys.executable, "-m", __name__, "rules", made]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(done.stderr)
        finally:
            holder.kill()
            holder.communicate()
    first, middle, worst, line = map(float, done.stdout.split())
    name = f"{SERVICES} services"
    return [
        _figure(f"kernel: first compile and load, {name}", first, LOAD_LIMIT_S),
        _figure(f"kernel: one change (median), {name}", middle, CHANGE_LIMIT_S),
        _figure(f"kernel: one change (p99), {name}", worst, CHANGE_LIMIT_S),
        _figure("kernel: nft's part in a change", line, LINE_LIMIT_S),
        _figure("kernel: up to the first pod Running", _start(), START_LIMIT_S),
    ]


GROUP = Group("kernel", "the kernel's data path", measure)

if __name__ == "__main__":
    what, where = sys.argv[1], Path(sys.argv[2])
    if what == "hold":
        asyncio.run(hold(where, Network(), ready=lambda: print(flush=True)))
    else:
        took, seen, told = asyncio.run(_rules(where))
        print(took, median(seen), percentile(seen, 0.99), median(told))
