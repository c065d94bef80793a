"""`up`, `down`, `status`, `reset`: a cluster on this machine."""

import argparse
import asyncio
import json
import os
import shutil
import sys
import time
from pathlib import Path

from miniplane import components
from miniplane.api import meta, wellknown
from miniplane.cli.demo import story
from miniplane.cli.launch import Failed, Progress, Running, launch
from miniplane.cli.session import data_dir
from miniplane.cli.state import PORT, AlreadyUp, Lock, State, ask_to_stop
from miniplane.cli.terminal import cross, tick
from miniplane.client import Client
from miniplane.client import kubeconfig as files
from miniplane.kinds import NODE
from miniplane.local import LocalCluster, pick_port

STOP_S = 30.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the chosen command."""
    command = parser.get_default("command")
    parser.add_argument("--data-dir", type=Path, help="state, certificates, logs (default: $MINIPLANE_DATA_DIR)")
    if command != "up":
        return
    parser.add_argument("--nodes", type=int, default=0, help="how many nodes (default: as last time, else 3)")
    parser.add_argument(
        "--port", type=int, default=0, help=f"the API server's port (default: as last time, else {PORT})"
    )
    parser.add_argument("--dataplane", default="auto", choices=("auto", "userspace", "kernel"))
    parser.add_argument("--detach", action="store_true", help="return to the shell; miniplane down stops the cluster")
    parser.add_argument("--demo", action="store_true", help="run the seed's story, checking each step by doing it")
    parser.add_argument("--exit", action="store_true", help="stop the cluster at the end of the demo")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))


def run(given: argparse.Namespace) -> int:
    """Do what the command says."""
    where = data_dir(given.data_dir)
    commands = {"up": _up, "down": _down, "status": _status, "reset": _reset}
    return commands[given.command](where, given)


def _plan(where: Path, given: argparse.Namespace) -> LocalCluster:
    last = State.load(where)
    port = given.port or pick_port(last.port if last else PORT)
    nodes = given.nodes or (last.nodes if last else 3)
    dataplane, why_not = _data_path(given.dataplane)
    _say(f"{tick()} data path: {dataplane}{f' ({why_not})' if why_not else ''}")
    return LocalCluster(data_dir=where, port=port, nodes=nodes, log_level=given.log_level, dataplane=dataplane)


def _data_path(wanted: str) -> tuple[str, str]:
    """The data path to be used, and why not the kernel's where it was left open. Raises ValueError, OSError."""
    if wanted == "userspace":
        return "userspace", ""
    why_not = components.agents().why_not()
    if wanted == "kernel" and why_not:
        raise ValueError(f"the kernel's data path can't be had here: {why_not}; --dataplane userspace runs anywhere")
    return ("kernel", "") if not why_not else ("userspace", f"the kernel's can't be had: {why_not}")


def _up(where: Path, given: argparse.Namespace) -> int:
    if Lock(where).is_held():
        if given.demo and not given.exit:
            print(f"{tick()} the cluster in {where} is up already", flush=True)
            return asyncio.run(story.tell(where / "kubeconfig"))
        raise AlreadyUp(f"a cluster in {where} is up; see {_command('status', where)}")
    begun = time.monotonic()
    cluster = _plan(where, given)
    try:
        running = launch(cluster, _print_progress)
    except Failed as error:
        print(f"{cross()} {error}", file=sys.stderr)
        return 1
    _say(f"{tick()} ready in {time.monotonic() - begun:.1f} s")
    if given.demo:
        return _demonstrate(cluster, running, stay=not given.exit)
    if given.detach:
        running.let_go()
    _print_next(cluster)
    if given.detach:
        return 0
    try:
        print("\nCtrl-C stops the cluster; its state stays.", flush=True)
        return running.wait()
    except KeyboardInterrupt:
        print("\nstopping ...", flush=True)
        running.stop()
        return 0


def _say(text: str) -> None:
    """Print a line of the start; a reader that has gone, as `| head -1` does, must not stop the cluster."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _print_progress(progress: Progress) -> None:
    _say(f"{tick()} {progress.what} ({progress.seconds:.1f} s)")


def _demonstrate(cluster: LocalCluster, running: Running, *, stay: bool) -> int:
    try:
        code = asyncio.run(story.tell(cluster.kubeconfig))
    except BaseException:
        running.stop()
        raise
    if stay:
        running.let_go()
        _print_next(cluster, told=code == 0)
        print(f"\nThe cluster is still up; stop it with: {_command('down', cluster.data_dir)}")
    else:
        running.stop()
    return code


def _command(words: str, where: Path) -> str:
    suffix = "" if where == data_dir() else f" --data-dir {where}"
    return f"{_program()} {words}{suffix}"


def _program() -> str:
    """How to call us again: by name where a shell finds that, else as we were called."""
    return "miniplane" if shutil.which("miniplane") else sys.argv[0]


def _print_next(cluster: LocalCluster, *, told: bool = False) -> None:
    """The next commands to try; `told` says that the demo's objects are there."""
    first = "kubectl create deployment web --image=nginx --replicas=2"
    why = f"{_program()} trace outsider svc/api-service    why a packet does not arrive" if told else first
    print(
        f"""
Try next:
  export KUBECONFIG={cluster.kubeconfig}
  kubectl get pods -A -o wide        (or: {_program()} get pods -A -o wide)
  {_command("status", cluster.data_dir)}                   what runs, and where this machine reaches in
  {why}"""
    )


def _down(where: Path, _given: argparse.Namespace) -> int:
    state = State.load(where)
    if state is None or not Lock(where).is_held():
        print(f"no cluster is up in {where}")
        return 0
    ask_to_stop(state.supervisor)
    deadline = time.monotonic() + STOP_S
    while Lock(where).is_held():
        if time.monotonic() > deadline:
            print(f"{cross()} the supervisor {state.supervisor} does not stop", file=sys.stderr)
            return 1
        time.sleep(0.05)
    print("stopped; its state stays in", where)
    return 0


def _reset(where: Path, given: argparse.Namespace) -> int:
    if _down(where, given):
        return 1
    if where.exists():
        if not (where / "cluster.json").exists() and not (where / "pki").exists():
            raise ValueError(f"{where} does not look like a cluster's data directory; nothing is deleted")
        shutil.rmtree(where)
    print("forgotten:", where)
    return 0


def _status(where: Path, _given: argparse.Namespace) -> int:
    state = State.load(where)
    if state is None or not Lock(where).is_held():
        print(f"no cluster is up in {where}; start one with: {_command('up', where)}")
        return 1
    print(f"API server   https://127.0.0.1:{state.port}")
    print(f"kubeconfig   {where / 'kubeconfig'}")
    print(f"logs         {where / 'logs'}")
    print(
        f"processes    supervisor {state.supervisor}, " + ", ".join(f"{n} {pid}" for n, pid in state.programs.items())
    )
    return asyncio.run(_nodes(where / "kubeconfig"))


async def _nodes(kubeconfig: Path) -> int:
    async with Client(files.load(kubeconfig)) as client:
        nodes = (await client.list(NODE)).items
    for node in nodes:
        ready = "ready" if meta.is_condition_true(node, "Ready") else "not ready"
        print(f"\n{meta.name(node):<12} {ready}, pods in {node['spec'].get('podCIDR', '(no range yet)')}")
        ports = json.loads(meta.annotations(node).get(wellknown.HOST_PORTS, "{}"))
        for inside, outside in ports.items():
            print(f"  {inside:<24} from this machine: {outside}")
    return 0
