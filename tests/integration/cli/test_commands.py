"""Our own command line on a real cluster: messages and exit codes are kubectl's, since scripts look for them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from miniplane.cli import main
from miniplane.testing.cluster import Cluster
from tests.integration.cli.conftest import Run

pytestmark = pytest.mark.timeout(90)

MANIFEST = """
{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {a: b}}
---
{apiVersion: v1, kind: Service, metadata: {name: front}, spec: {selector: {app: front}, ports: [{port: 80}]}}
"""
WORKLOAD = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: front}
spec:
  replicas: 1
  selector: {matchLabels: {app: front}}
  template:
    metadata: {labels: {app: front}}
    spec: {containers: [{name: web, image: nginx}, {name: side, image: busybox, command: [sleep, "3600"]}]}
"""


def test_apply_and_delete(miniplane: Run, manifest: Callable[[str], str]) -> None:
    """A manifest is created, found unchanged, configured where it changed, and deleted; missing ones fail."""
    file = manifest(MANIFEST)
    assert miniplane("apply", "-f", file) == (0, "configmap/settings created\nservice/front created\n", "")
    assert miniplane("apply", "-f", file) == (0, "configmap/settings unchanged\nservice/front unchanged\n", "")
    manifest(MANIFEST.replace("a: b", "a: c"))
    assert miniplane("apply", "-f", file)[1].splitlines()[0] == "configmap/settings configured"
    assert miniplane("get", "cm", "settings", "-o", "name")[1] == "configmap/settings\n"
    assert json.loads(miniplane("get", "cm", "settings", "-o", "json")[1])["data"] == {"a": "c"}
    assert miniplane("delete", "-f", file) == (0, 'service "front" deleted\nconfigmap "settings" deleted\n', "")
    code, out, err = miniplane("delete", "-f", file)
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        'Error from server (NotFound): services "front" not found',
        'Error from server (NotFound): configmaps "settings" not found',
    ]
    assert miniplane("delete", "-f", file, "--ignore-not-found") == (0, "", "")


def test_what_kubectl_applied_is_unchanged(miniplane: Run, manifest: Callable[[str], str]) -> None:
    """The last manifest as kubectl writes it, with an empty map of annotations, is no difference."""
    text = """
{apiVersion: v1, kind: ConfigMap, metadata: {name: theirs, namespace: default%s}}
"""
    last = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"annotations":{},"name":"theirs","namespace":"default"}}'
    annotations = json.dumps({"kubectl.kubernetes.io/last-applied-configuration": last + "\n"})
    assert miniplane("create", "-f", manifest(text % f", annotations: {annotations}"))[0] == 0
    assert miniplane("apply", "-f", manifest(text % ""))[1] == "configmap/theirs unchanged\n"


def test_one_bad_object_does_not_stop_the_others(miniplane: Run, manifest: Callable[[str], str]) -> None:
    """Slips of the pen and broken rules are told, the rest is applied, and the exit code says that something failed."""
    broken = """
{apiVersion: v1, kind: ConfigMap, metadata: {name: slip}, dat: {a: b}}
---
{apiVersion: v1, kind: Service, metadata: {name: zero}, spec: {ports: [{port: 0}]}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: fine}}
"""
    code, out, err = miniplane("apply", "-f", manifest(broken))
    assert (code, out) == (1, "configmap/fine created\n")
    assert err.splitlines()[0].endswith('strict decoding error: unknown field "dat"')
    assert 'The Service "zero" is invalid: \n* spec.ports[0].port: Invalid value: 0: must be between' in err
    assert miniplane("get", "cm", "slip")[0] == 1


def test_a_workload(miniplane: Run, manifest: Callable[[str], str]) -> None:
    """Logs and exec go to a pod of a workload, to its first container unless one is named; scale scales."""
    assert miniplane("apply", "-f", manifest(WORKLOAD))[0] == 0
    while not json.loads(miniplane("get", "deploy", "front", "-o", "json")[1]).get("status", {}).get("readyReplicas"):
        pass
    code, out, err = miniplane("exec", "deploy/front", "--", "hostname")
    assert (code, err) == (0, 'Defaulted container "web" out of: web, side\n')
    assert out.startswith("front-")
    assert miniplane("exec", "deploy/front", "-c", "side", "--", "sh", "-c", "exit 4")[::2] == (
        4,
        "command terminated with exit code 4\n",
    )
    code, out, err = miniplane("logs", "deploy/front", "--tail", "1")
    assert (code, err) == (0, 'Defaulted container "web" out of: web, side\n')
    assert "serving HTTP" in out
    assert miniplane("scale", "deploy/front", "--replicas", "0") == (0, "deployment.apps/front scaled\n", "")
    assert miniplane("delete", "deploy", "front")[1] == 'deployment.apps "front" deleted\n'


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("get gizmos", 'error: the server doesn\'t have a resource type "gizmos"'),
        ("get pod nobody", 'Error from server (NotFound): pods "nobody" not found'),
        ("get pods -l !!", "Error from server (BadRequest): unable to parse requirement"),
        ("describe pod nobody", 'Error from server (NotFound): pods "nobody" not found'),
        ("logs nobody", 'Error from server (NotFound): pods "nobody" not found'),
        ("logs cm/kube-root-ca.crt", "error: configmaps have no pods: cm/kube-root-ca.crt"),
        ("logs svc/kubernetes", "error: services have no pods: svc/kubernetes"),
        ("exec nobody -- ls", 'Error from server (NotFound): pods "nobody" not found'),
        ("exec nobody", "error: you must specify at least one command"),
        ("scale deploy nobody --replicas 1", 'Error from server (NotFound): deployments.apps "nobody" not found'),
        ("delete pod", "error: resource(s) were provided, but no name was specified"),
        ("delete", "error: you must provide one or more resources"),
        ("delete pod nobody", 'Error from server (NotFound): pods "nobody" not found'),
        ("apply", "error: must specify one of -f"),
        ("apply -f nowhere.yaml", 'error: the path "nowhere.yaml" does not exist'),
    ],
)
def test_failures(miniplane: Run, command: str, message: str) -> None:
    """What can't be done exits with 1 and says so on the error output alone."""
    code, out, err = miniplane(*command.split())
    assert (code, out) == (1, "")
    assert err.startswith(message)


def test_nothing_there(miniplane: Run) -> None:
    """An empty answer is none of the output's business and no failure."""
    assert miniplane("get", "pods", "-n", "kube-public") == (0, "", "No resources found in kube-public namespace.\n")
    assert miniplane("delete", "pods", "--all", "-n", "kube-public") == (0, "", "No resources found\n")


def test_no_server(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A server that does not listen is told with its address, by every command alike."""
    elsewhere = tmp_path / "kubeconfig"
    elsewhere.write_text(cluster.kubeconfig.read_text().replace(cluster.url, "https://127.0.0.1:1"))
    monkeypatch.setenv("KUBECONFIG", str(elsewhere))
    for command in ("get pods", "describe pods", "scale deploy a --replicas 1", "logs a", "exec a -- ls"):
        assert main.main(command.split()) == 1
        told = "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?\n"
        assert capfd.readouterr() == ("", told)
