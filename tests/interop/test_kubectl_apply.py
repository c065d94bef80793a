"""Every way in which kubectl changes objects, with owners as upstream keeps them; on all versions that are at hand."""

import os
from pathlib import Path

import pytest

from tests.interop.conftest import Kubectl
from tests.interop.test_kubectl import DEPLOYMENT

pytestmark = [pytest.mark.kubectl, pytest.mark.timeout(120)]

_FOLDER = os.environ.get("MINIPLANE_KUBECTLS", "")
"""A folder with `kubectl.1.NN` of several versions."""


@pytest.fixture(params=["", "1.29", "1.30", "1.31", "1.32", "1.33"])
def binary(request: pytest.FixtureRequest, binary: str) -> str:
    """The kubectl on PATH, and each version of `MINIPLANE_KUBECTLS`."""
    if not request.param:
        return binary
    found = Path(_FOLDER) / f"kubectl.{request.param}"
    if not _FOLDER or not found.is_file():
        pytest.skip(f"no kubectl {request.param}: MINIPLANE_KUBECTLS names no folder that has it")
    return str(found)


async def managers(kubectl: Kubectl, name: str) -> list[str]:
    """Who owns something of an object, with how."""
    path = "jsonpath={range .metadata.managedFields[*]}{.manager}/{.operation}/{.subresource} {end}"
    return (await kubectl("get", *name.split(), "--show-managed-fields", "-o", path)).out.split()


async def test_apply_on_either_side(kubectl: Kubectl) -> None:
    """Client-side apply migrates to the server's side; another manager is refused, and may force."""
    assert "created" in (await kubectl("apply", "-f", "-", stdin=DEPLOYMENT)).out
    assert await managers(kubectl, "deploy web") == ["kubectl-client-side-apply/Update/"]
    moved = await kubectl("apply", "--server-side", "-f", "-", stdin=DEPLOYMENT)
    assert moved.out == "deployment.apps/web serverside-applied\n"
    assert "kubectl/Apply/" in await managers(kubectl, "deploy web")
    assert "kubectl-client-side-apply/Update/" not in await managers(kubectl, "deploy web")
    other = DEPLOYMENT.replace("replicas: 2", "replicas: 3")
    apply = ("apply", "--server-side", "--field-manager=other", "-f", "-")
    refused = await kubectl.run(*apply, stdin=other)
    assert refused.code == 1
    assert 'conflict with "kubectl"' in refused.err
    assert ".spec.replicas" in refused.err
    await kubectl(*apply, "--force-conflicts", stdin=other)
    assert (await kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}")).out == "3"


async def test_managed_fields_are_shown_on_request(kubectl: Kubectl) -> None:
    """`get -o yaml` hides managedFields, `--show-managed-fields` shows them."""
    await kubectl("create", "configmap", "c", "--from-literal=a=b")
    assert "managedFields" not in (await kubectl("get", "cm", "c", "-o", "yaml")).out
    shown = (await kubectl("get", "cm", "c", "-o", "yaml", "--show-managed-fields")).out
    assert "f:data" in shown
    assert "manager: kubectl-create" in shown


async def test_diff(kubectl: Kubectl) -> None:
    """`diff` is silent (0) without a difference and shows it (1), on either side, and changes nothing."""
    await kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    other = DEPLOYMENT.replace("replicas: 2", "replicas: 3")
    for side in ((), ("--server-side", "--force-conflicts")):
        differs = await kubectl.run("diff", *side, "-f", "-", stdin=other)
        assert (differs.code, "+  replicas: 3" in differs.out) == (1, True), differs
    assert (await kubectl.run("diff", "-f", "-", stdin=DEPLOYMENT)).code == 0


async def test_the_verbs_that_change(kubectl: Kubectl) -> None:
    """label, annotate, set, scale, patch (also on subresources) and replace work and note who did it."""
    await kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    await kubectl("label", "deploy", "web", "a=1")
    await kubectl("annotate", "deploy", "web", "b=2")
    await kubectl("set", "image", "deploy/web", "web=nginx:2")
    await kubectl("set", "env", "deploy/web", "A=B")
    await kubectl("set", "resources", "deploy/web", "--limits=cpu=1")
    await kubectl("scale", "deploy", "web", "--replicas=4")
    status = '{"status":{"observedGeneration":9}}'
    await kubectl("patch", "deploy", "web", "--subresource=status", "--type=merge", "-p", status)
    for kind, patch in (
        ("strategic", '{"metadata":{"labels":{"s":"1"}}}'),
        ("merge", '{"metadata":{"labels":{"m":"1"}}}'),
        ("json", '[{"op":"add","path":"/metadata/labels/j","value":"1"}]'),
    ):
        await kubectl("patch", "deploy", "web", f"--type={kind}", "-p", patch)
    found = await managers(kubectl, "deploy web")
    assert {"kubectl-label/Update/", "kubectl-annotate/Update/", "kubectl-set/Update/"} <= set(found)
    assert {"kubectl-patch/Update/status", "kubectl-patch/Update/"} <= set(found)
    assert any(name.startswith("kubectl") and name.endswith("/Update/scale") for name in found)
    seen = (await kubectl("get", "deploy", "web", "-o", "json")).json
    assert {"a", "s", "m", "j"} <= seen["metadata"]["labels"].keys()
    assert seen["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:2"
    await kubectl("replace", "-f", "-", stdin=DEPLOYMENT)
    await kubectl("replace", "--force", "-f", "-", stdin=DEPLOYMENT)


async def test_last_applied_and_prune(kubectl: Kubectl, tmp_path: Path) -> None:
    """The commands around the annotation work, and `apply --prune` removes what is applied no more."""
    await kubectl("create", "-f", "-", stdin=DEPLOYMENT)
    file = tmp_path / "web.yaml"
    file.write_text(DEPLOYMENT)
    await kubectl("apply", "set-last-applied", "--create-annotation", "-f", str(file))
    assert "replicas: 2" in (await kubectl("apply", "view-last-applied", "deploy/web")).out
    maps = "".join(
        f"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{set: one}}}}\n" for name in "ab"
    )
    allowed = "--prune-allowlist=core/v1/ConfigMap"
    await kubectl("apply", "-f", "-", stdin=maps)
    pruned = await kubectl("apply", "--prune", "-l", "set=one", allowed, "-f", "-", stdin=maps.split("---")[1])
    assert "configmap/b pruned" in pruned.out


async def test_edit(kubectl: Kubectl) -> None:
    """`edit` writes what the editor leaves, and `--subresource` reaches status."""
    await kubectl("create", "configmap", "c", "--from-literal=a=b")
    kubectl.environ["KUBE_EDITOR"] = "sed -i s/a:.b/a:\\ new/"
    assert "edited" in (await kubectl("edit", "cm", "c")).out
    assert (await kubectl("get", "cm", "c", "-o", "jsonpath={.data.a}")).out == "new"
    assert "kubectl-edit/Update/" in await managers(kubectl, "cm c")
