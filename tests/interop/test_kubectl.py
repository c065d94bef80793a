"""What people type every day works with the real kubectl."""

import asyncio
import re
from pathlib import Path

import pytest

from tests.interop.conftest import REPOSITORY, Kubectl

pytestmark = [pytest.mark.kubectl, pytest.mark.timeout(120)]

SEED = REPOSITORY / "deploy" / "demo" / "seed"
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: nginx, ports: [{containerPort: 80}]}
"""


async def test_every_output_form(kubectl: Kubectl) -> None:
    """`get` prints tables (plain and wide), YAML, JSON, names, jsonpath and custom columns."""
    await kubectl("apply", "-f", str(SEED))
    wide = await kubectl("get", "service", "api-nodeport", "-o", "wide")
    assert re.split(r"  +", wide.lines[0]) == [
        "NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "SELECTOR",
    ]  # fmt: skip
    assert re.split(r"  +", wide.lines[1])[1] == "NodePort"
    assert "SELECTOR" not in (await kubectl("get", "services")).lines[0]
    assert (await kubectl("get", "svc/api-service", "-o", "name")).out == "service/api-service\n"
    ip = (await kubectl("get", "svc", "api-service", "-o", "jsonpath={.spec.clusterIP}")).out
    assert ip.startswith("10.96.")
    whole = (await kubectl("get", "svc", "api-service", "-o", "json")).json
    assert (whole["kind"], whole["spec"]["clusterIP"]) == ("Service", ip)
    assert f"clusterIP: {ip}" in (await kubectl("get", "svc", "api-service", "-o", "yaml")).out
    columns = await kubectl("get", "svc", "api-service", "-o", "custom-columns=N:.metadata.name,I:.spec.clusterIP")
    assert columns.lines[1].split() == ["api-service", ip]
    many = (await kubectl("get", "pods,svc,ing,netpol", "-A")).out
    assert all(name in many for name in ("multi-container", "api-loadbalancer", "app-ingress", "api-policy"))
    assert "multi-container" in (await kubectl("get", "all", "--show-labels")).out
    assert "multi-container" in (await kubectl("get", "pods", "--sort-by=.metadata.name", "--chunk-size=1")).out
    assert (await kubectl("get", "pods", "-l", "app=none")).err.startswith("No resources found")


async def test_the_seed_as_it_stands(kubectl: Kubectl) -> None:
    """The seed's manifests apply, apply again unchanged, describe, and go."""
    first = await kubectl("apply", "-f", str(SEED))
    assert [line.rpartition(" ")[2] for line in first.lines] == ["created"] * 6
    again = await kubectl("apply", "-f", str(SEED))
    changed = [line for line in again.lines if not line.endswith(" unchanged")]
    # The policy's ports get a protocol by default, and its lists are compared whole: kubectl sends them again.
    assert changed in ([], ["networkpolicy.networking.k8s.io/api-policy configured"])
    assert "Node-Selectors" in (await kubectl("describe", "pod", "multi-container")).out
    assert "30080/TCP" in (await kubectl("describe", "service", "api-nodeport")).out
    assert "api.example.com" in (await kubectl("describe", "ingress", "app-ingress")).out
    assert "Allowing ingress traffic" in (await kubectl("describe", "networkpolicy", "api-policy")).out
    gone = await kubectl("delete", "-f", str(SEED), "--wait=true")
    assert len(gone.lines) == 6
    assert (await kubectl("get", "pods")).out == ""


async def test_apply_changes_and_prunes_fields(kubectl: Kubectl, tmp_path: Path) -> None:
    """Client-side apply patches what changed and removes what was taken out of the manifest."""
    file = tmp_path / "web.yaml"
    file.write_text(DEPLOYMENT)
    await kubectl("apply", "-f", str(file))
    file.write_text(DEPLOYMENT.replace("replicas: 2", "replicas: 5").replace(", labels: {app: web}}", "}"))
    diff = await kubectl.run("diff", "-f", str(file))
    assert diff.code == 1
    assert "+  replicas: 5" in diff.out
    assert (await kubectl("apply", "-f", str(file))).out == "deployment.apps/web configured\n"
    obj = (await kubectl("get", "deploy", "web", "-o", "json")).json
    assert obj["spec"]["replicas"] == 5
    assert "labels" not in obj["metadata"]
    dry = await kubectl("apply", "-f", str(file), "--dry-run=server")
    assert "(server dry run)" in dry.out


async def test_writes_of_every_sort(kubectl: Kubectl) -> None:
    """Create -f, label, annotate, scale, set image, patch, replace, edit's patch, delete."""
    await kubectl("create", "-f", "-", stdin=DEPLOYMENT)
    again = await kubectl.run("create", "-f", "-", stdin=DEPLOYMENT)
    assert again.code == 1
    assert "Error from server (AlreadyExists)" in again.err
    assert "labeled" in (await kubectl("label", "deploy", "web", "tier=front")).out
    assert "annotated" in (await kubectl("annotate", "deploy", "web", "why=test")).out
    assert (await kubectl("scale", "deploy/web", "--replicas=4")).out == "deployment.apps/web scaled\n"
    assert (await kubectl("scale", "deploy/web", "--replicas=3", "--current-replicas=4")).code == 0
    assert "image updated" in (await kubectl("set", "image", "deploy/web", "web=httpd")).out
    await kubectl("patch", "deploy", "web", "--type=merge", "-p", '{"spec":{"paused":true}}')
    await kubectl("patch", "deploy", "web", "--type=json", "-p", '[{"op":"remove","path":"/spec/paused"}]')
    await kubectl("patch", "deploy", "web", "-p", '{"spec":{"template":{"metadata":{"labels":{"x":"y"}}}}}')
    obj = (await kubectl("get", "deploy", "web", "-o", "json")).json
    assert obj["spec"]["replicas"] == 3
    assert obj["spec"]["template"]["spec"]["containers"][0]["image"] == "httpd"
    assert obj["metadata"]["labels"]["tier"] == "front"
    assert "paused" not in obj["spec"]
    replaced = (await kubectl("get", "deploy", "web", "-o", "yaml")).out.replace("replicas: 3", "replicas: 1")
    assert (await kubectl("replace", "-f", "-", stdin=replaced)).out == "deployment.apps/web replaced\n"
    assert 'deployment.apps "web" deleted' in (await kubectl("delete", "deploy", "web")).out
    missing = await kubectl.run("get", "deploy", "web")
    assert missing.err == 'Error from server (NotFound): deployments.apps "web" not found\n'


async def test_watch_prints_changes(kubectl: Kubectl) -> None:
    """`get -w` prints what is there and then each change."""
    await kubectl("create", "-f", "-", stdin=DEPLOYMENT)
    process = await kubectl.start("get", "deploy", "-w", "--output-watch-events")
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            assert (await process.stdout.readline()).split()[:2] == [b"EVENT", b"NAME"]
            assert (await process.stdout.readline()).split()[:2] == [b"ADDED", b"web"]
            await kubectl("scale", "deploy/web", "--replicas=7")
            assert (await process.stdout.readline()).split()[:3] == [b"MODIFIED", b"web", b"0/7"]
            await kubectl("delete", "deploy", "web")
            assert (await process.stdout.readline()).split()[:2] == [b"DELETED", b"web"]
    finally:
        process.terminate()
        await process.communicate()


async def test_discovery_and_documentation(kubectl: Kubectl) -> None:
    """api-resources, api-versions, explain, version, cluster-info and raw paths answer."""
    resources = (await kubectl("api-resources", "--sort-by=name", "-o", "wide")).out
    assert re.search(r"deployments +deploy +apps/v1 +true +Deployment", resources)
    assert "networking.k8s.io/v1" in (await kubectl("api-versions")).lines
    explained = (await kubectl("explain", "pod.spec.containers")).out
    assert "FIELD: containers <[]Container>" in explained
    assert "image" in (await kubectl("explain", "deployment", "--recursive")).out
    assert "Server Version: v1.33.0" in (await kubectl("version")).out
    assert (await kubectl("get", "--raw", "/readyz")).out == "ok"
    assert "apiserver_request_total" in (await kubectl("get", "--raw", "/metrics")).out


async def test_mistakes_are_told(kubectl: Kubectl) -> None:
    """Unknown fields, bad values and bad selectors come back as kubectl prints them elsewhere."""
    wrong = DEPLOYMENT.replace("replicas: 2", "replicsa: 2")
    unknown = await kubectl.run("apply", "-f", "-", stdin=wrong)
    assert unknown.code == 1
    assert 'unknown field "spec.replicsa"' in unknown.err
    negative = await kubectl.run("create", "-f", "-", stdin=DEPLOYMENT.replace("replicas: 2", "replicas: -2"))
    assert negative.code == 1
    assert "spec.replicas: Invalid value: -2: must be greater than or equal to 0" in negative.err
    selector = await kubectl.run("get", "pods", "-l", "a in")
    assert "unable to parse requirement" in selector.err
    field = await kubectl.run("get", "pods", "--field-selector", "spec.bogus=1")
    assert "field label not supported: spec.bogus" in field.err


async def test_namespaces_and_waiting(kubectl: Kubectl) -> None:
    """Objects live in their namespace; `wait` sees a condition; a pod of grace 0 goes at once."""
    await kubectl("apply", "-f", "-", stdin="apiVersion: v1\nkind: Namespace\nmetadata: {name: production}\n")
    await kubectl("apply", "-n", "production", "-f", str(SEED / "02-service-clusterip.yaml"))
    assert "api-service" in (await kubectl("get", "svc", "-n", "production")).out
    assert "api-service" not in (await kubectl("get", "svc")).out
    await kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    status = '{"status":{"conditions":[{"type":"Available","status":"True"}]}}'
    await kubectl("patch", "deploy", "web", "--subresource=status", "--type=merge", "-p", status)
    assert "condition met" in (await kubectl("wait", "deploy/web", "--for=condition=Available", "--timeout=10s")).out
    await kubectl("apply", "-f", str(SEED / "01-pod-multi-container.yaml"))
    assert (await kubectl("delete", "pod", "multi-container", "--force", "--grace-period=0")).code == 0


async def test_a_node_may_not_do_much(binary: str, data_dir: Path, tmp_path: Path) -> None:
    """With a node's kubeconfig other nodes, secrets and deployments are out of reach; nobody gets in without."""
    node = Kubectl(binary, data_dir / "node-1.kubeconfig", tmp_path)
    made = await node.run("create", "-f", "-", stdin="apiVersion: v1\nkind: Node\nmetadata: {name: node-1}\n")
    assert made.code == 0, made.err
    other = await node.run("create", "-f", "-", stdin="apiVersion: v1\nkind: Node\nmetadata: {name: node-2}\n")
    assert 'node "node-1" is not allowed to modify node "node-2"' in other.err
    secrets = await node.run("get", "secrets")
    assert "Error from server (Forbidden)" in secrets.err
    assert 'User "system:node:node-1" cannot list resource "secrets"' in secrets.err
    assert (await node.run("get", "deployments")).code == 1
    assert (await node.run("get", "services", "-A")).code == 0


async def test_generators(kubectl: Kubectl) -> None:
    """`kubectl create KIND`, whose newer versions send protobuf, makes what it prints with --dry-run=client."""
    commands = (
        ("namespace", "made"),
        ("configmap", "made", "--from-literal=a=b"),
        ("secret", "generic", "made", "--from-literal=a=b"),
        ("serviceaccount", "made"),
        ("service", "clusterip", "made", "--tcp=80:8000"),
        ("service", "nodeport", "made-port", "--tcp=80:8000", "--node-port=30123"),
        ("deployment", "made", "--image=nginx", "--replicas=2", "--port=80"),
        ("ingress", "made", "--rule=a.example.com/*=made:80"),
    )
    for command in commands:
        plan = (await kubectl("create", *command, "--dry-run=client", "-o", "json")).json
        made = (await kubectl("create", *command, "-o", "json")).json
        assert made["metadata"]["name"] == plan["metadata"]["name"]
        for part in ("data", "type"):
            assert made.get(part) == plan.get(part) or part not in plan
    deployed = (await kubectl("get", "deploy", "made", "-o", "json")).json["spec"]
    assert deployed["replicas"] == 2
    assert deployed["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] == 80


async def test_what_is_not_there_is_told(kubectl: Kubectl) -> None:
    """Kinds and ways of applying that the server lacks end in a message of kubectl's own, not in a riddle."""
    for command, message in (
        ("top nodes", "Metrics API not available"),
        ("get gizmos", 'the server doesn\'t have a resource type "gizmos"'),
    ):
        done = await kubectl.run(*command.split())
        assert done.code == 1, command
        assert message in done.err
    await kubectl("create", "configmap", "c", "--from-literal=a=b")
    patch = '[{"op":"test","path":"/data/a","value":"c"}]'
    failed = await kubectl.run("patch", "cm", "c", "--type=json", "-p", patch)
    assert failed.err == "The request is invalid: patch: test /data/a: test failed\n"
