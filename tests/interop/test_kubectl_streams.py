"""Streams with the real kubectl, old and new: by SPDY up to 1.30, by WebSocket since."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from miniplane.testing.cluster import running_cluster
from tests.interop.conftest import Kubectl

pytestmark = [pytest.mark.kubectl, pytest.mark.timeout(120)]

_FOLDER = os.environ.get("MINIPLANE_KUBECTLS", "")
_VERSIONS = ("", "1.29", "1.30", "1.31", "1.33")
POD = """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers: [{name: web, image: nginx, ports: [{containerPort: 80}]}]
"""


@pytest.fixture(params=_VERSIONS, ids=lambda version: version or "PATH")
def binary(request: pytest.FixtureRequest) -> str:
    """The kubectl on PATH, and each version of `MINIPLANE_KUBECTLS`."""
    name = f"{_FOLDER}/kubectl.{request.param}" if request.param else os.environ.get("MINIPLANE_KUBECTL", "kubectl")
    found = shutil.which(name)
    if found is None or (request.param and not _FOLDER):
        pytest.skip(f"no kubectl {request.param}: MINIPLANE_KUBECTLS names no folder that has it")
    return found


@pytest.fixture
async def kubectl(binary: str, tmp_path: Path) -> AsyncIterator[Kubectl]:
    """Kubectl with a node, and the pod `web` running on it."""
    async with running_cluster(tmp_path / "data") as cluster:
        made = Kubectl(binary, cluster.kubeconfig, tmp_path)
        await made("apply", "-f", "-", stdin=POD)
        await made("wait", "--for=condition=Ready", "pod/web", "--timeout=20s")
        yield made


async def test_exec_and_port_forward(kubectl: Kubectl, tmp_path: Path) -> None:
    """Input, both outputs, exit codes and refusals of exec; forwarded ports; files copied in and out."""
    assert (await kubectl("exec", "web", "--", "echo", "hi")).out == "hi\n"
    failed = await kubectl.run("exec", "web", "--", "sh", "-c", "echo oh >&2; exit 3")
    assert (failed.code, failed.err) == (3, "oh\ncommand terminated with exit code 3\n")
    many = await kubectl("exec", "-i", "web", "--", "wc", "-c", stdin="x" * 300_000)
    assert many.out.strip() == "300000"
    refused = await kubectl.run("exec", "web", "-c", "nope", "--", "true")
    assert (refused.code, "container nope is not valid for pod web" in refused.err) == (1, True)
    forwarding = await kubectl.start("port-forward", "pod/web", ":80")
    try:
        assert forwarding.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", (await forwarding.stdout.readline()).decode())
        assert found is not None
        async with aiohttp.ClientSession() as session:
            for _ in range(2):
                async with session.get(f"http://127.0.0.1:{found[1]}/hostname") as answer:
                    assert await answer.text() == "web"
    finally:
        forwarding.terminate()
        await asyncio.wait_for(forwarding.communicate(), 10)
    await _copies(kubectl, tmp_path)


async def _copies(kubectl: Kubectl, folder: Path) -> None:
    """`kubectl cp` both ways, of a folder with a file that is no text."""
    (folder / "in" / "deep").mkdir(parents=True)
    (folder / "in" / "a.txt").write_text("text\n")
    (folder / "in" / "deep" / "b.bin").write_bytes(bytes(range(256)))
    await kubectl("cp", str(folder / "in"), "web:/srv/copy")
    assert (await kubectl("exec", "web", "--", "cat", "/srv/copy/a.txt")).out == "text\n"
    await kubectl("cp", "web:/srv/copy", str(folder / "out"))
    assert (folder / "out" / "a.txt").read_text() == "text\n"
    assert (folder / "out" / "deep" / "b.bin").read_bytes() == bytes(range(256))


async def test_debug_adds_a_container(kubectl: Kubectl) -> None:
    """`kubectl debug` puts a container into the running pod; its log and a shell in it are there."""
    await kubectl("debug", "web", "--image=busybox", "--container=look", "--", "sh", "-c", "echo seen; sleep 300")
    path = "jsonpath={.status.ephemeralContainerStatuses[0].state.running.startedAt}"
    await kubectl("wait", "pod/web", "--for=" + path, "--timeout=20s")
    assert (await kubectl("logs", "web", "-c", "look")).out == "seen\n"
    assert (await kubectl("exec", "web", "-c", "look", "--", "hostname")).out == "web\n"
