"""The pytest plugin: `miniplane_cluster`, a Kubernetes API with nodes, for tests of operators, policies and clients.

    def test_my_operator(miniplane_cluster):
        subprocess.run(["kubectl", "--kubeconfig", miniplane_cluster.kubeconfig, "apply", "-f", "mine.yaml"])

Imports nothing heavy until the fixture is asked for. Options in the ini file: `miniplane_nodes`.
"""

import importlib
from collections.abc import Iterator
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our ini options."""
    parser.addini("miniplane_nodes", "how many nodes the cluster of the fixture has", default="1")


@pytest.fixture(scope="session")
def miniplane_cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A running cluster, one for the whole session: see `miniplane.testing.cluster.Cluster`."""
    cluster = importlib.import_module("miniplane.testing.cluster")
    nodes = int(request.config.getini("miniplane_nodes"))
    with cluster.cluster_in_thread(tmp_path_factory.mktemp("miniplane"), nodes=nodes) as running:
        yield running
