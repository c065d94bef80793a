"""The API server over HTTP, the load and every limit in processes of their own.

On plain HTTP with keep-alive, as its limits are, so that the ratios tell what the API server adds to the HTTP stack.
"""

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from bench.figures.base import Figure, Group, pod

HERE = Path(__file__).resolve().parent.parent
CLIENTS = 64
CREATES = 10_000
GETS = 20_000
LISTS = 10
ROUNDS = 4
WATCHERS = 1000
BURST = 300
PACED = 300
PODS = "/api/v1/namespaces/default/pods"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
MAP = f"{CONFIG_MAPS}/shared"


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    port: int
    pid: int
    start_s: float


@dataclass(slots=True)
class Turns:
    """What a server and its limit took for the same requests; the 99th percentile is the worst of the turns'."""

    seconds: float
    limit_s: float
    p99_s: float


@contextlib.contextmanager
def server(*what: str) -> Iterator[Server]:
    """Start one of `servers.py` and end it."""
    start = time.perf_counter()
    command = [sys.executable, str(HERE / "servers.py"), *what]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            words = process.stdout.readline().split()
            if len(words) != 2:
                raise RuntimeError(f"the server {' '.join(what)} did not start")
            yield Server(int(words[1]), process.pid, time.perf_counter() - start)
            process.stdin.close()
            process.wait(timeout=20)
        finally:
            process.kill()


def load(timeout_s: float = 60, **plan: Any) -> dict[str, Any]:
    """Run a plan in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(HERE / "load.py")],
        input=orjson.dumps(plan),
        capture_output=True,
        timeout=timeout_s,
        check=True,
    )
    result: dict[str, Any] = orjson.loads(done.stdout)
    return result


def requests(port: int, method: str, path: str, count: int, **rest: Any) -> dict[str, Any]:
    """The same request `count` times by many clients; all must be answered with a success."""
    plan = {"first": 0, "clients": CLIENTS, "body": "", **rest}
    result = load(port=port, method=method, path=path, count=count, **plan)
    good = sum(amount for code, amount in result["codes"].items() if code in ("200", "201"))
    if good != count:
        raise RuntimeError(f"{method} {path}: {good} of {count} succeeded: {result['codes']}")
    return result


def in_turns(port: int, other: int, method: str, paths: tuple[str, str], count: int, **rest: Any) -> Turns:
    """The same requests to a server and to its limit, in turns, so that whatever else the machine does hits both."""
    total = Turns(0.0, 0.0, 0.0)
    part = count // ROUNDS
    for start in range(0, count, part):
        ours = requests(port, method, paths[0], part, first=start, **rest)
        same = requests(other, method, paths[1], part, first=start, **rest)
        total.seconds += ours["seconds"]
        total.limit_s += same["seconds"]
        total.p99_s = max(total.p99_s, ours["p99"])
    return total


def memory_bytes(pid: int) -> int:
    """The proportional set size of a process; 0 where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def creates(port: int, path: str, obj: dict[str, Any]) -> Sequence[Figure]:
    """Durable creates beside the same stack parsing and serialising the same bodies."""
    plural = path.rpartition("/")[2]
    body = orjson.dumps(obj).decode()
    with server("echo") as other:
        requests(other.port, "POST", path, 2000, body=body)
        turns = in_turns(port, other.port, "POST", (path, path), CREATES, body=body)
    return (
        Figure(
            name=f"creates of {plural}, {CLIENTS} clients",
            measured=CREATES / turns.seconds,
            limit=CREATES / turns.limit_s,
            unit="/s",
            against="the stack echoing",
            need=0.35,
        ),
        Figure(
            name=f"p99 of a create of {plural}",
            measured=turns.p99_s * 1000,
            limit=100,
            unit="ms",
            against="a promise",
            better="less",
        ),
    )


def gets(port: int) -> Sequence[Figure]:
    """GET of one pod beside a constant answer of its size."""
    size = requests(port, "GET", f"{PODS}/pod-7", CLIENTS)["size"]
    with server("constant", str(size)) as other:
        turns = in_turns(port, other.port, "GET", (f"{PODS}/pod-7", PODS), GETS)
    return (
        Figure(
            name=f"GET of a pod, {CLIENTS} clients",
            measured=GETS / turns.seconds,
            limit=GETS / turns.limit_s,
            unit="/s",
            against="a constant answer",
            need=0.7,
        ),
    )


def lists(port: int) -> Sequence[Figure]:
    """LIST of all pods beside a copy in memory and a write of as many bytes; medians, one client."""
    ours = requests(port, "GET", PODS, LISTS, clients=1)
    with server("pipe", str(ours["size"])) as other:
        copy = requests(other.port, "GET", PODS, LISTS, clients=1)
    measured, limit = ours["p50"] * 1000, copy["p50"] * 1000
    name = f"LIST of {CREATES:,} pods, {ours['size'] / 1e6:.0f} MB"
    return (
        Figure(name=name, measured=measured, limit=limit, unit="ms", against="copy and write", need=3, better="less"),
        Figure(name=name, measured=measured, limit=100, unit="ms", against="the design's promise", better="less"),
    )


def fanout(port: int) -> Sequence[Figure]:
    """One writer and a thousand watches, as fast as it goes and then at a hundred writes a second."""
    meta = {"name": "shared", "namespace": "default"}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"made": "{made}"}}
    requests(port, "POST", CONFIG_MAPS, 1, clients=1, body=orjson.dumps(body).decode())
    plan: dict[str, Any] = {
        "port": port,
        "watchers": WATCHERS,
        "path": CONFIG_MAPS + "?watch=true&fieldSelector=metadata.name%3Dshared",
        "write_path": MAP,
        "body": orjson.dumps(body).decode(),
        "wait_s": 30,
    }
    fast = load(**plan, writes=BURST, pace_s=0)
    paced = load(**plan, writes=PACED, pace_s=0.01)
    lost = WATCHERS * (BURST + PACED) - fast["seen"] - paced["seen"]
    if lost > 0:
        raise RuntimeError(f"{lost} events were not delivered")
    return (
        Figure(
            name=f"events delivered over HTTP, {WATCHERS} watches",
            measured=fast["seen"] / fast["seconds"],
            limit=50_000,
            unit="/s",
            against="the design's promise",
        ),
        Figure(
            name="p99 delay over HTTP at 100 writes/s",
            measured=paced["p99"] * 1000,
            limit=250,
            unit="ms",
            against="the design's promise",
            better="less",
        ),
    )


def idle(one: Server) -> Sequence[Figure]:
    """Start time and memory of an empty API server; the time beside that of a process that only imports."""
    code = "import aiohttp.web, sqlalchemy, alembic.command, cryptography.x509, uvloop, orjson, yaml, prometheus_client"
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    imports_s = time.perf_counter() - start
    figures = [
        Figure(
            name="API server, start to ready",
            measured=one.start_s * 1000,
            limit=imports_s * 1000,
            unit="ms",
            against="importing its dependencies",
            need=3,
            better="less",
        )
    ]
    if size := memory_bytes(one.pid):
        figures.append(
            Figure(
                name="API server, memory (PSS)",
                measured=size / 1e6,
                limit=60,
                unit="MB",
                against="the design's promise",
                better="less",
            )
        )
    return figures


def load_of(port: int) -> Iterator[Figure]:
    """What takes a server under load; pods spend most on their long validation, config maps next to nothing."""
    data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map-{n}"}, "data": {"text": "x" * 1000}}
    yield from creates(port, CONFIG_MAPS, data)
    yield from creates(port, PODS, pod("pod-{n}"))
    yield from gets(port)
    yield from lists(port)
    yield from fanout(port)


def measure() -> Sequence[Figure]:
    """All of it on one server, the memory first."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        with server("apiserver", folder):
            pass  # the first start also makes certificates, schemas and tables
        with server("apiserver", folder) as one:
            figures = [*idle(one), *load_of(one.port)]
        with server("apiserver", folder) as again:
            figures.append(
                Figure(
                    name=f"API server, start with {CREATES:,} pods",
                    measured=again.start_s * 1000,
                    limit=one.start_s * 1000,
                    unit="ms",
                    against="an empty start",
                    need=2,
                    better="less",
                )
            )
    return figures


GROUP = Group("http", "the API server over HTTP", measure)
