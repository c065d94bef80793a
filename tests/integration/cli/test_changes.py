"""The words that change, follow and ask about objects, with kubectl's lines and exit codes."""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.integration.cli.conftest import Run

pytestmark = pytest.mark.timeout(90)

SETTINGS = "{apiVersion: v1, kind: ConfigMap, metadata: {name: notes, labels: {a: b}}, data: {x: '1'}}"
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: rolling}
spec:
  selector: {matchLabels: {app: rolling}}
  template:
    metadata: {labels: {app: rolling}}
    spec: {terminationGracePeriodSeconds: 0, containers: [{name: web, image: "nginx:1"}]}
"""


@pytest.fixture
def notes(miniplane: Run, manifest: Callable[[str], str]) -> Iterator[str]:
    """A ConfigMap and its manifest."""
    file = manifest(SETTINGS)
    assert miniplane("create", "-f", file)[0] == 0
    yield file
    miniplane("delete", "cm", "notes", "--ignore-not-found")


@pytest.mark.usefixtures("notes")
def test_labels_and_annotations(miniplane: Run) -> None:
    """A value is set, kept unless overwriting is asked for, and removed; what does not change is told as such."""
    assert miniplane("label", "cm", "notes", "c=d")[:2] == (0, "configmap/notes labeled\n")
    assert miniplane("label", "cm", "notes", "c=d")[:2] == (0, "configmap/notes not labeled\n")
    code, out, err = miniplane("label", "cm/notes", "c=e")
    assert (code, out, err) == (1, "", "error: 'c' already has a value (d), and --overwrite is false\n")
    assert miniplane("label", "cm", "notes", "c=e", "--overwrite")[1] == "configmap/notes labeled\n"
    assert miniplane("label", "cm", "-l", "c=e", "c-")[1] == "configmap/notes unlabeled\n"
    assert miniplane("annotate", "cm", "notes", "why=because")[1] == "configmap/notes annotated\n"
    metadata = json.loads(miniplane("get", "cm", "notes", "-o", "json")[1])["metadata"]
    assert (metadata["labels"], metadata["annotations"]) == ({"a": "b"}, {"why": "because"})


def test_patch_and_replace(miniplane: Run, notes: str) -> None:
    """Patches of each type change what they say; a replacement is the manifest alone; dry runs change nothing."""
    assert miniplane("patch", "cm", "notes", "-p", "{data: {y: '2'}}")[1] == "configmap/notes patched\n"
    assert miniplane("patch", "cm", "notes", "-p", "{data: {y: '2'}}")[1] == "configmap/notes patched (no change)\n"
    operation = '[{"op": "remove", "path": "/data/y"}]'
    assert miniplane("patch", "cm/notes", "--type", "json", "-p", operation)[0] == 0
    dry = miniplane("patch", "cm/notes", "--type", "merge", "-p", "{data: null}", "--dry-run", "server")
    assert dry[1] == "configmap/notes patched (server dry run)\n"
    assert miniplane("patch", "cm", "notes", "-p", "{metadata: {labels: {z: z}}}")[0] == 0
    assert miniplane("replace", "-f", notes) == (0, "configmap/notes replaced\n", "")
    found = json.loads(miniplane("get", "cm", "notes", "-o", "json")[1])
    assert (found["data"], found["metadata"]["labels"]) == ({"x": "1"}, {"a": "b"})
    assert miniplane("replace", "--force", "-f", notes)[1] == 'configmap "notes" deleted\nconfigmap/notes replaced\n'
    assert json.loads(miniplane("get", "cm", "notes", "-o", "json")[1])["metadata"]["uid"] != found["metadata"]["uid"]


def test_a_rollout(miniplane: Run, manifest: Callable[[str], str]) -> None:
    """It is followed to its end, has a history, goes back, restarts, pauses and resumes."""
    assert miniplane("apply", "-f", manifest(WEB))[0] == 0
    code, out, _ = miniplane("rollout", "status", "deploy/rolling")
    assert (code, out.splitlines()[-1]) == (0, 'deployment "rolling" successfully rolled out')
    image = '[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "nginx:2"}]'
    assert miniplane("patch", "deploy", "rolling", "--type", "json", "-p", image)[0] == 0
    assert miniplane("rollout", "status", "deploy", "rolling", "--timeout", "60s")[0] == 0
    history = "deployment.apps/rolling \nREVISION  CHANGE-CAUSE\n1         <none>\n2         <none>\n\n"
    assert miniplane("rollout", "history", "deploy", "rolling")[1] == history
    assert "nginx:1" in miniplane("rollout", "history", "deploy", "rolling", "--revision", "1")[1]
    assert miniplane("rollout", "undo", "deploy/rolling")[:2] == (0, "deployment.apps/rolling rolled back\n")
    skipped = "skipped rollback (current template already matches revision 3)\n"
    assert miniplane("rollout", "status", "deploy/rolling")[0] == 0
    assert miniplane("rollout", "undo", "deploy/rolling", "--to-revision", "3")[1].endswith(skipped)
    assert miniplane("rollout", "pause", "deploy/rolling")[1] == "deployment.apps/rolling paused\n"
    told = 'error: deployments.apps "rolling" is already paused\n'
    assert miniplane("rollout", "pause", "deploy/rolling") == (1, "", told)
    assert miniplane("rollout", "restart", "deploy/rolling")[0] == 1
    assert miniplane("rollout", "resume", "deploy/rolling")[1] == "deployment.apps/rolling resumed\n"
    assert miniplane("rollout", "restart", "deploy/rolling")[1] == "deployment.apps/rolling restarted\n"
    assert miniplane("rollout", "status", "deploy/rolling")[0] == 0
    assert miniplane("wait", "--for", "condition=available", "deploy/rolling")[:2] == (
        0,
        "deployment.apps/rolling condition met\n",
    )
    assert miniplane("wait", "--for", "jsonpath={.status.phase}=Running", "pod", "-l", "app=rolling")[0] == 0
    assert miniplane("delete", "deploy", "rolling")[0] == 0
    assert miniplane("wait", "--for=delete", "deploy/rolling", "--timeout=60s") == (0, "", "")


@pytest.mark.usefixtures("notes")
def test_waiting_in_vain(miniplane: Run) -> None:
    """A condition that does not come in time, an absent object and an empty selection fail, each in its words."""
    told = "error: timed out waiting for the condition on configmaps/notes\n"
    assert miniplane("wait", "--for=condition=Ready", "cm/notes", "--timeout=0") == (1, "", told)
    assert miniplane("wait", "--for=delete", "cm/notes", "--timeout=100ms") == (1, "", told)
    assert miniplane("wait", "--for=create", "cm/notes")[:2] == (0, "configmap/notes condition met\n")
    absent = 'Error from server (NotFound): configmaps "nobody" not found\n'
    assert miniplane("wait", "--for=condition=Ready", "cm/nobody") == (1, "", absent)
    nothing = "error: no matching resources found\n"
    assert miniplane("wait", "--for=condition=Ready", "cm", "-l", "no=where") == (1, "", nothing)
    assert miniplane("wait", "--for=happiness", "cm/notes") == (1, "", 'error: unrecognized condition: "happiness"\n')


def test_what_we_may_do(miniplane: Run) -> None:
    """The administrator may; the answer is also the exit code; the server says who is asking."""
    assert miniplane("auth", "can-i", "delete", "pods") == (0, "yes\n", "")
    assert miniplane("auth", "can-i", "get", "/healthz", "-q") == (0, "", "")
    assert "system:masters" in miniplane("auth", "whoami")[1]
    assert "*.*" in miniplane("auth", "can-i", "--list")[1]


def test_versions(miniplane: Run) -> None:
    """Our version and the server's, and every group and version once."""
    assert "Server Version: v1.33" in miniplane("version")[1]
    versions = miniplane("api-versions")[1].splitlines()
    assert {"v1", "apps/v1", "autoscaling/v1", "autoscaling/v2"} <= set(versions)
    assert versions == sorted(set(versions))


def test_words_that_only_kubectl_has(miniplane: Run) -> None:
    """They fail and say which command does it."""
    code, out, err = miniplane("port-forward", "pod/web", "80")
    assert (code, out) == (1, "")
    assert "use kubectl port-forward" in err
