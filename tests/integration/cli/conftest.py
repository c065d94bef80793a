"""A cluster of one node, and our own command line on it as its administrator."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from miniplane.cli import main
from miniplane.testing.cluster import Cluster, cluster_in_thread

STREAMING = ("exec", "delete")
"""Commands that leave a TLS stream to close with their process, and so get one."""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of one node."""
    with cluster_in_thread(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def miniplane(cluster: Cluster, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command as the administrator; gives its exit code, output and error output."""
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))

    def run(*argv: str) -> tuple[int, str, str]:
        if argv[0] in STREAMING:
            done = subprocess.run(
                [sys.executable, "-m", "miniplane", *argv], capture_output=True, text=True, check=False
            )
            return done.returncode, done.stdout, done.stderr
        code = main.main(argv)
        out, err = capfd.readouterr()
        return code, out, err

    return run


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[[str], str]:
    """Writes a manifest and gives its path."""

    def write(text: str) -> str:
        path = tmp_path / "manifest.yaml"
        path.write_text(text)
        return str(path)

    return write
