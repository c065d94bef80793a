"""The commands that explain the network, on a running cluster: the same objects, the same answers."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from miniplane.api.kind import Object
from miniplane.cli import main
from miniplane.testing.cluster import cluster_in_thread

LABELS = {"app": "api"}
POLICY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "closed", "namespace": "default"},
    "spec": {"podSelector": {"matchLabels": LABELS}, "ingress": []},
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "api", "namespace": "default"},
    "spec": {"selector": LABELS, "ports": [{"port": 80}]},
}
DEADLINE_S = 20.0


def pod(name: str, labels: Object) -> Object:
    """A pod that listens at 80."""
    containers = [{"name": "main", "image": "nginx", "ports": [{"containerPort": 80}]}]
    metadata = {"name": name, "namespace": "default", "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": containers}}


OBJECTS = [pod("api", LABELS), pod("web", {"app": "web"}), SERVICE, POLICY]


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The flags that lead to a cluster with two pods, a Service and a policy."""
    with cluster_in_thread(tmp_path_factory.mktemp("cluster"), nodes=1) as running:
        given = ["--kubeconfig", str(running.kubeconfig)]
        manifests = tmp_path_factory.mktemp("manifests") / "all.yaml"
        manifests.write_text(yaml.safe_dump_all(OBJECTS))
        assert main.main(["apply", "-f", str(manifests), *given]) == 0
        yield given


def _until(argv: list[str], wanted: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints once it contains something."""
    end = time.monotonic() + DEADLINE_S
    printed = ""
    while time.monotonic() < end:
        main.main(argv)
        printed = capsys.readouterr().out
        if wanted in printed:
            return printed
    raise AssertionError(f"{wanted!r} is not in {printed!r}")


def test_the_live_matrix_is_that_of_the_manifests(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`reach` reads the cluster; compared with the manifests there is no difference."""
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(OBJECTS))
    printed = _until(["reach", "--port", "80", "-n", "default", "-o", "json", *flags], "default/web", capsys)
    found = _until(["reach", "--port", "80", "-n", "default", "-o", "json", *flags], "default/api", capsys)
    assert json.loads(found)["pods"] == ["default/api", "default/web"], printed
    assert json.loads(found)["matrix"] == [["self", "allow"], ["ingress", "self"]]
    assert main.main(["reach", "--diff", "live", str(tmp_path), "--port", "80", *flags]) == 0


def test_a_live_trace_and_tables_name_the_policy(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """`trace` follows a name to the policy that drops; `tables` and the node's own proxy path show it."""
    printed = _until(["trace", "web", "api", *flags], "NetworkPolicy default/closed", capsys)
    assert "api.default.svc.cluster.local has the address" in printed
    names = _until(["get", "nodes", "-o", "name", *flags], "node/", capsys)
    node = names.split("/")[1].strip()
    compiled = _until(["tables", node, *flags], "NetworkPolicy default/closed", capsys)
    _until(["get", "--raw", f"/api/v1/nodes/{node}/proxy/tables", *flags], compiled.strip(), capsys)
    part = _until(["tables", node, "--policy", "closed", "-o", "explain", *flags], "api", capsys)
    query = "policy=default/closed&output=explain"
    _until(["get", "--raw", f"/api/v1/nodes/{node}/proxy/tables?{query}", *flags], part.strip(), capsys)
    assert "isolated-ingress" in _until(["tables", node, "--policy", "closed", "-o", "explain", *flags], "api", capsys)
