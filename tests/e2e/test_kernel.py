"""A cluster whose packets the kernel moves: the machine's network stays as it is, and what is killed comes back."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from miniplane import components
from miniplane.cli.state import State

WHY_NOT = components.agents().why_not()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(WHY_NOT), reason=f"the kernel's data path can't be had here: {WHY_NOT}"),
]
LIMIT_S = 60
POD = """
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: default, labels: {app: web}}
spec: {containers: [{name: web, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.96.7.7, selector: {app: web}, ports: [{port: 80}]}
"""


def run(*words: str, code: int = 0, text: str = "") -> str:
    """A command of ours; what it printed."""
    command = [sys.executable, "-P", "-m", "miniplane", *words]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == code, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def host_network() -> str:
    """Everything of the machine's network that a cluster could change by mistake."""
    commands = (
        ["ip", "-o", "addr"],
        ["ip", "route", "show", "table", "all"],
        ["ip", "rule"],
        ["nft", "list", "ruleset"],
        ["sysctl", "net.ipv4.ip_forward", "net.ipv4.conf.all.rp_filter", "net.ipv4.ip_unprivileged_port_start"],
    )
    shown = [
        subprocess.run(command, capture_output=True, text=True, check=False).stdout
        for command in commands
        if shutil.which(command[0])
    ]
    return "\n".join("\n".join(line for line in text.splitlines() if "valid_lft" not in line) for text in shown)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Path]:
    """A cluster of two nodes with a web server behind a Service; its folder."""
    folder = tmp_path / "cluster"
    run("up", "--nodes", "2", "--dataplane", "kernel", "--detach", "--data-dir", str(folder))
    try:
        run("apply", "-f", "-", "--kubeconfig", str(folder / "kubeconfig"), text=POD)
        yield folder
    finally:
        run("down", "--data-dir", str(folder))


def ask(folder: Path, where: str) -> str:
    """The web server's answer to curl in the network of a node or a pod; asks again until there is one."""
    options = ["--data-dir", str(folder), "--kubeconfig", str(folder / "kubeconfig")]
    command = [sys.executable, "-P", "-m", "miniplane", "shell", where, *options, "--"]
    curl = ["curl", "-s", "--connect-timeout", "2", "http://10.96.7.7/hostname"]
    end = time.monotonic() + LIMIT_S
    while True:
        done = subprocess.run([*command, *curl], capture_output=True, text=True, check=False)
        if done.returncode == 0 or time.monotonic() > end:
            return done.stdout.strip()


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@needs_curl
def test_a_killed_agent_comes_back_with_its_network(cluster: Path) -> None:
    """After kill -9 of an agent, and of the holder of the nodes' network, a Service is reached again."""
    assert ask(cluster, "node-1") == "web"
    for program in ("node-1", "node-2", "network"):
        state = State.load(cluster)
        assert state is not None
        os.kill(state.programs[program], signal.SIGKILL)
        assert ask(cluster, "node-2") == "web"
        assert ask(cluster, "node-1") == "web"


@needs_curl
def test_rules_that_somebody_deletes_are_put_back(cluster: Path) -> None:
    """With the node's rules flushed by hand the Service is gone, and soon back by itself."""
    assert ask(cluster, "node-1") == "web"
    options = ["--data-dir", str(cluster), "--kubeconfig", str(cluster / "kubeconfig")]
    run("shell", "node-1", *options, "--", "nft", "flush", "ruleset")
    assert ask(cluster, "node-1") == "web"


def test_the_machines_own_network_is_untouched(tmp_path: Path) -> None:
    """Addresses, routes, rules and settings are as before while a cluster runs and after it was killed."""
    before, folder = host_network(), tmp_path / "cluster"
    run("up", "--nodes", "1", "--dataplane", "kernel", "--detach", "--data-dir", str(folder))
    try:
        assert host_network() == before
        state = State.load(folder)
        assert state is not None
        for pid in (state.supervisor, *state.programs.values()):
            os.kill(pid, signal.SIGKILL)
    finally:
        run("down", "--data-dir", str(folder))
    assert host_network() == before


def test_a_shell_into_nothing_says_so(tmp_path: Path) -> None:
    """On the user-space data path there is no such network to look into, and the message names the way to one."""
    folder = tmp_path / "cluster"
    run("up", "--nodes", "1", "--dataplane", "userspace", "--detach", "--data-dir", str(folder))
    try:
        options = ["--data-dir", str(folder), "--kubeconfig", str(folder / "kubeconfig")]
        done = subprocess.run(
            [sys.executable, "-P", "-m", "miniplane", "shell", "node-1", *options, "--", "true"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, "--dataplane kernel" in done.stderr) == (1, True)
    finally:
        run("down", "--data-dir", str(folder))
