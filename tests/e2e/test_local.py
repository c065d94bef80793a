"""A cluster of processes, as a user starts it: up, used, restarted, down; and the whole demo."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from miniplane import components

_WHY_NOT = components.agents().why_not()
needs_kernel = pytest.mark.skipif(bool(_WHY_NOT), reason=f"the kernel's data path can't be had here: {_WHY_NOT}")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes of a local cluster are forked"),
]


class Miniplane:
    """The command line with a data directory of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "KUBECONFIG"},
            "MINIPLANE_DATA_DIR": str(folder),
            "HOME": str(folder.parent),
        }

    def __call__(self, *words: str, code: int = 0) -> str:
        """Run a command and give its output; its exit code must be as expected."""
        command = [sys.executable, "-P", "-m", "miniplane", *words]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=150, check=False)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}{self.logs()}"
        return done.stdout

    def logs(self) -> str:
        """The ends of the programs' logs, for a failure's message."""
        files = sorted((self.folder / "logs").glob("*.log"))
        return "".join(f"\n== {file.name}\n" + "\n".join(file.read_text().splitlines()[-8:]) for file in files)


@pytest.fixture
def miniplane(tmp_path: Path) -> Iterator[Miniplane]:
    """A command line whose cluster is stopped at the end, whatever happens."""
    made = Miniplane(tmp_path / "state")
    yield made
    made("down")


@pytest.mark.parametrize("dataplane", ["userspace", pytest.param("kernel", marks=needs_kernel)])
def test_the_demo(miniplane: Miniplane, dataplane: str) -> None:
    """Every claim of the seed's story holds on three nodes."""
    shown = miniplane("up", "--nodes", "3", "--dataplane", dataplane, "--demo", "--exit")
    assert "claims checked by doing them" in shown
    assert "✗" not in shown
    assert "no cluster is up" in miniplane("status", code=1)


def test_state_survives_a_restart(miniplane: Miniplane) -> None:
    """What was created is there after down and up, and pods run again with the addresses that they had."""
    miniplane("up", "--nodes", "1", "--detach")
    manifest = miniplane.folder.parent / "pod.yaml"
    manifest.write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: web, image: nginx}]}\n"
    )
    assert "pod/web created" in miniplane("apply", "-f", str(manifest))
    before = _wait_running(miniplane)
    miniplane("down")
    miniplane("up", "--detach")
    assert _wait_running(miniplane) == before
    assert "pod/web unchanged" in miniplane("apply", "-f", str(manifest))


def _wait_running(miniplane: Miniplane) -> str:
    """The pod's address once it is Running and ready, by following it."""
    command = [sys.executable, "-P", "-m", "miniplane", "get", "pods", "-o", "wide", "-w"]
    with subprocess.Popen(command, env=miniplane.environment, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        try:
            for line in watching.stdout:
                words = line.split()
                if words[:3] == ["web", "1/1", "Running"]:
                    return words[-4]
        finally:
            watching.send_signal(signal.SIGTERM)
    pytest.fail("the pod did not run" + miniplane.logs())


def test_a_second_start_is_refused(miniplane: Miniplane) -> None:
    """One data directory has one cluster; `down` is idempotent and `reset` forgets."""
    miniplane("up", "--nodes", "1", "--detach")
    miniplane("up", "--nodes", "1", "--detach", code=1)
    assert "node-1" in miniplane("status")
    assert "stopped" in miniplane("down")
    assert "no cluster is up" in miniplane("down")
    miniplane("reset")
    assert not miniplane.folder.exists()


def test_ctrl_c_stops_everything(miniplane: Miniplane) -> None:
    """SIGINT to a cluster in the foreground stops every program of it, in order, with exit code 0."""
    command = [sys.executable, "-P", "-m", "miniplane", "up", "--nodes", "1", "--dataplane", "userspace"]
    with subprocess.Popen(
        command,
        env=miniplane.environment,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=_heed_sigint,  # noqa: PLW1509  no thread of ours runs here
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if line.startswith("Ctrl-C"):
                break
        pids = json.loads((miniplane.folder / "cluster.json").read_text())["programs"].values()
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 0
    assert len(pids) == 3
    assert [pid for pid in pids if _lives(pid)] == []
    assert "no cluster is up" in miniplane("status", code=1)


def test_programs_end_with_their_supervisor(miniplane: Miniplane) -> None:
    """A supervisor that is killed takes its programs with it: nothing is left behind."""
    miniplane("up", "--nodes", "1", "--detach")
    state = json.loads((miniplane.folder / "cluster.json").read_text())
    os.kill(state["supervisor"], signal.SIGKILL)
    _until(lambda: not any(_lives(pid) for pid in state["programs"].values()))


def _heed_sigint() -> None:
    """As in a terminal: a shell's background jobs, which CI may be, are started with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _lives(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_program_that_dies_comes_back(miniplane: Miniplane) -> None:
    """The supervisor starts a killed API server again, and nothing acknowledged is lost."""
    miniplane("up", "--nodes", "1", "--detach")
    shown = miniplane("status")
    pid = int(shown.split("apiserver ")[1].split(",")[0])
    manifest = miniplane.folder.parent / "config.yaml"
    manifest.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept}\ndata: {a: b}\n")
    miniplane("apply", "-f", str(manifest))
    os.kill(pid, signal.SIGKILL)
    _until(lambda: "kept" in _quiet(miniplane, "get", "configmap", "kept"))


def _quiet(miniplane: Miniplane, *words: str) -> str:
    command = [sys.executable, "-P", "-m", "miniplane", *words]
    return subprocess.run(command, env=miniplane.environment, capture_output=True, text=True, check=False).stdout


def _until(holds: Callable[[], bool], within_s: float = 30.0) -> None:
    end = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end:
            pytest.fail(f"not so after {within_s} s")
