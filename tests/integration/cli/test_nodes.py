"""Pods and Services by command, and the words about nodes, with kubectl's lines and exit codes."""

import json
from argparse import Namespace
from collections.abc import Callable
from typing import Any

import pytest

from miniplane.cli import nodes, taint
from miniplane.cli.failures import OneFailed
from tests.integration.cli.conftest import Run

pytestmark = pytest.mark.timeout(90)

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: drained}
spec:
  selector: {matchLabels: {app: drained}}
  template:
    metadata: {labels: {app: drained}}
    spec: {terminationGracePeriodSeconds: 0, containers: [{name: web, image: nginx, ports: [{containerPort: 80}]}]}
"""


def test_run_and_expose(miniplane: Run) -> None:
    """A pod of an image with its command, and a Service that selects it; dry runs print and make nothing."""
    dry = miniplane("run", "sleeper", "--image", "busybox", "--dry-run", "client", "-o", "json", "--", "sleep", "9")
    assert json.loads(dry[1])["spec"]["containers"][0]["args"] == ["sleep", "9"]
    assert miniplane("get", "pod", "sleeper")[0] == 1
    made = miniplane("run", "server", "--image=nginx", "--port=80", "--labels=app=server,tier=web", "--env=A=b")
    assert made == (0, "pod/server created\n", "")
    assert miniplane("expose", "pod", "server", "--name", "served", "--port", "8080", "--target-port", "80") == (
        0,
        "service/served exposed\n",
        "",
    )
    spec = json.loads(miniplane("get", "svc", "served", "-o", "json")[1])["spec"]
    assert spec["selector"] == {"app": "server", "tier": "web"}
    assert (spec["ports"][0]["port"], spec["ports"][0]["targetPort"]) == (8080, 80)
    assert miniplane("expose", "cm", "kube-root-ca.crt", "--port", "1")[::2] == (
        1,
        "error: cannot expose a ConfigMap\n",
    )
    assert miniplane("delete", "pod/server", "svc/served", "--now")[0] == 0


def test_a_node_is_drained(miniplane: Run, manifest: Callable[[str], str]) -> None:
    """It is cordoned, a bare pod is in the way until it is forced, pods are evicted, and it takes pods again."""
    assert miniplane("apply", "-f", manifest(WEB))[0] == 0
    assert miniplane("run", "bare", "--image", "nginx")[0] == 0
    assert miniplane("rollout", "status", "deploy/drained")[0] == 0
    assert miniplane("wait", "--for=condition=Ready", "pod/bare")[0] == 0
    node = miniplane("get", "nodes", "-o", "name")[1].strip()
    name = node.removeprefix("node/")
    code, out, err = miniplane("drain", name, "--ignore-daemonsets")
    assert (code, out) == (1, f"{node} cordoned\n")
    assert "cannot delete Pods that declare no controller (use --force to override): default/bare" in err
    code, out, err = miniplane("drain", name, "--ignore-daemonsets", "--force", "--delete-emptydir-data")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert (lines[0], lines[-1]) == (f"{node} already cordoned", f"{node} drained")
    assert {"evicting pod default/bare", "pod/bare evicted"} <= set(lines)
    assert miniplane("uncordon", name)[:2] == (0, f"{node} uncordoned\n")
    assert miniplane("taint", "node", name, "a=b:NoSchedule")[:2] == (0, f"{node} tainted\n")
    assert miniplane("taint", "node", name, "a=c:NoSchedule")[0] == 1
    assert miniplane("taint", "node", name, "a-")[:2] == (0, f"{node} untainted\n")
    assert miniplane("rollout", "status", "deploy/drained")[0] == 0
    assert miniplane("delete", "deploy", "drained")[0] == 0


def pod(name: str, owner: str = "", **spec: Any) -> dict[str, Any]:
    """A pod, controlled by an object of a kind."""
    owners = [{"kind": owner, "name": "it", "uid": "1", "apiVersion": "apps/v1", "controller": True}] if owner else []
    return {"metadata": {"name": name, "namespace": "x", "ownerReferences": owners}, "spec": spec}


def test_what_a_drain_does_with_pods() -> None:
    """Daemons are left or in the way, local data and bare pods are in the way unless allowed, ended pods just go."""
    given = Namespace(ignore_daemonsets=False, force=False, delete_emptydir_data=False)
    ended = {**pod("ended"), "status": {"phase": "Failed"}}
    pods = [pod("daemon", "DaemonSet"), pod("data", "ReplicaSet", volumes=[{"emptyDir": {}}]), pod("bare"), ended]
    made = nodes.plan(pods, given)
    assert (made.evicted, made.ignored) == ([ended], [])
    assert sorted(made.refused.values()) == [["x/bare"], ["x/daemon"], ["x/data"]]
    allowed = nodes.plan(pods, Namespace(ignore_daemonsets=True, force=True, delete_emptydir_data=True))
    assert (allowed.ignored, len(allowed.evicted), allowed.refused) == ([pods[0]], 3, {})


def test_taints() -> None:
    """A taint goes with every effect or with one; one that is there stays unless overwriting; nonsense is refused."""
    here = [{"key": "a", "effect": "NoSchedule"}, {"key": "a", "effect": "NoExecute"}]
    parse = taint.Taint.parse
    assert taint.changed(here, [parse("a-")], "n", overwrite=False) == []
    assert taint.changed(here, [parse("a:NoExecute-")], "n", overwrite=False) == here[:1]
    assert taint.changed(here[:1], [parse("a=b:NoSchedule")], "n", overwrite=True) == [{**here[0], "value": "b"}]
    with pytest.raises(OneFailed, match="node n already has a taint"):
        taint.changed(here, [parse("a=b:NoSchedule")], "n", overwrite=False)
    with pytest.raises(OneFailed, match='taint "b" not found'):
        taint.changed(here, [parse("b-")], "n", overwrite=False)
    with pytest.raises(ValueError, match="invalid taint effect: Never"):
        parse("a=b:Never")
