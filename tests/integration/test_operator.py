"""The tutorial's operator, run as its reader runs it, against a real API server."""

import asyncio
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from miniplane.api.meta import Key
from miniplane.cli import operator
from miniplane.client import Client
from miniplane.kinds import EVENT, NAMESPACE, NETWORK_POLICY
from miniplane.observe import health
from miniplane.observe.metrics import CollectorRegistry
from miniplane.runtime import Operator, operating
from miniplane.testing.cluster import running_cluster
from tests.integration.watching import until

PROGRAM = Path(__file__).parents[2] / "docs" / "tutorial" / "operator" / "isolation.py"
LINES = 60


def test_the_program_is_short() -> None:
    """An operator that does something useful fits on a page."""
    assert len(PROGRAM.read_text().splitlines()) < LINES


async def label(client: Client, value: str | None) -> None:
    """Set the Namespace's label, or take it away."""
    await client.patch(NAMESPACE, Key("", "shop"), {"metadata": {"labels": {"isolation": value}}})


async def test_the_tutorials_operator(tmp_path: Path) -> None:
    """A label makes a policy, another value changes it, a wrong one is told as an event, without it the policy goes."""
    async with (
        running_cluster(tmp_path, controllers=False) as cluster,
        Client.from_kubeconfig(cluster.kubeconfig) as client,
    ):
        await client.create(NAMESPACE, {"metadata": {"name": "shop"}})
        how = Operator(kubeconfig=cluster.kubeconfig, lease=Key("kube-system", "isolation"))
        async with operating(*operator.load(PROGRAM), how=how):
            await label(client, "strict")
            made = await until(client, NETWORK_POLICY, bool)
            assert [item["spec"].get("ingress", []) for item in made] == [[]]
            assert made[0]["metadata"]["ownerReferences"][0]["kind"] == "Namespace"
            await label(client, "namespace")
            await until(client, NETWORK_POLICY, lambda seen: bool(seen[0]["spec"].get("ingress")))
            await label(client, "nonsense")
            told = await until(client, EVENT, lambda seen: any(item["reason"] == "HandlerFailed" for item in seen))
            assert any("not nonsense" in item["message"] for item in told)
            await label(client, None)
            await until(client, NETWORK_POLICY, lambda seen: not seen)


async def test_a_dry_run_writes_nothing(tmp_path: Path, caplog: Any) -> None:
    """With --dry-run the same operator says what it would write, the server checks it, and nothing is kept."""
    async with (
        running_cluster(tmp_path, controllers=False) as cluster,
        Client.from_kubeconfig(cluster.kubeconfig) as client,
    ):
        await client.create(NAMESPACE, {"metadata": {"name": "shop", "labels": {"isolation": "strict"}}})
        caplog.set_level("INFO")
        how = Operator(kubeconfig=cluster.kubeconfig, dry_run=True)
        async with operating(*operator.load(PROGRAM), how=how):
            while not any("would write" in record.message for record in caplog.records):  # noqa: ASYNC110  turns of the loop
                await asyncio.sleep(0)
        assert (await client.list(NETWORK_POLICY)).items == []


def test_a_file_without_registrar_says_what_is_missing(tmp_path: Path) -> None:
    """`miniplane operator` names what to write, and a file that is none is told as such."""
    (tmp_path / "empty.py").write_text("x = 1\n")
    with pytest.raises(ValueError, match="makes no registrar: say"):
        operator.load(tmp_path / "empty.py")
    with pytest.raises(ValueError, match="is no Python file"):
        operator.load(tmp_path / "nothing.py")


async def test_metrics_and_health() -> None:
    """The port tells metrics by upstream's names, that it lives, and whether it is ready."""

    def get(url: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(url) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""

    ready = [False]
    async with health.serving(CollectorRegistry(), lambda: ready[0]) as port:
        base = f"http://127.0.0.1:{port}"
        assert (await asyncio.to_thread(get, f"{base}/healthz"))[0] == 200
        assert (await asyncio.to_thread(get, f"{base}/readyz"))[0] == 503
        ready[0] = True
        assert (await asyncio.to_thread(get, f"{base}/readyz"))[0] == 200
        assert (await asyncio.to_thread(get, f"{base}/metrics"))[0] == 200
