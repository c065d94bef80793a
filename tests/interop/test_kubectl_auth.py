"""What kubectl has for identity and rights, against the real server."""

import base64
from pathlib import Path

import yaml

from tests.interop.conftest import Kubectl


async def test_rights_are_given_checked_and_used(kubectl: Kubectl) -> None:
    """Roles and bindings made by kubectl's generators hold for `--as`, `can-i` and `auth reconcile`."""
    await kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods,pods/log")
    await kubectl("create", "rolebinding", "ann", "--role=reader", "--user=ann")
    await kubectl("create", "clusterrole", "nodes", "--verb=get", "--resource=nodes")
    await kubectl("create", "clusterrole", "paths", "--verb=get", "--non-resource-url=/metrics")
    await kubectl("create", "clusterrole", "all", "--aggregation-rule=a=b")
    await kubectl("create", "clusterrolebinding", "dev", "--clusterrole=nodes", "--group=dev")
    for question, person, answer in (
        ("list pods", "ann", "yes"),
        ("delete pods", "ann", "no"),
        ("list pods -n kube-system", "ann", "no"),
        ("get pods --subresource=log", "ann", "yes"),
        ("get /metrics", "ann", "no"),
    ):
        done = await kubectl.run("auth", "can-i", *question.split(), f"--as={person}")
        assert (done.out.strip(), done.code) == (answer, 0 if answer == "yes" else 1), question
    assert (await kubectl("auth", "can-i", "get", "nodes", "--as=bob", "--as-group=dev")).out.strip() == "yes"
    listed = await kubectl("auth", "can-i", "--list", "--as=ann")
    assert any(line.split() == ["pods", "[]", "[]", "[get", "list]"] for line in listed.lines)
    refused = await kubectl.run("get", "secrets", "--as=ann")
    assert refused.code == 1
    assert refused.err == (
        'Error from server (Forbidden): secrets is forbidden: User "ann" cannot list resource "secrets" in API group '
        '"" in the namespace "default"\n'
    )
    command = "create role reader --verb=delete --resource=pods -n default --dry-run=client -o yaml"
    more = await kubectl(*command.split())
    reconciled = await kubectl("auth", "reconcile", "-f", "-", stdin=more.out)
    assert reconciled.lines[0].endswith(" reconciled")
    for verb in ("list", "delete"):
        assert (await kubectl("auth", "can-i", verb, "pods", "--as=ann")).out.strip() == "yes"


async def test_who_am_i(kubectl: Kubectl, data_dir: Path, tmp_path: Path, binary: str) -> None:
    """`whoami` names the administrator, and a service account behind its token, which stops with the account."""
    whole = (await kubectl("auth", "whoami", "-o", "json")).json["status"]["userInfo"]
    assert whole["username"] == "kubernetes-admin"
    await kubectl("create", "serviceaccount", "bot")
    token = (await kubectl("create", "token", "bot", "--duration=20m")).out.strip()
    config = yaml.safe_load((data_dir / "kubeconfig").read_text())
    config["users"][0]["user"] = {"token": token}
    path = tmp_path / "bot.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    bot = Kubectl(binary, path, tmp_path)
    assert "system:serviceaccount:default:bot" in (await bot("auth", "whoami")).out
    assert (await bot.run("get", "pods")).code == 1
    await kubectl("create", "rolebinding", "bot", "--clusterrole=cluster-admin", "--serviceaccount=default:bot")
    await bot("get", "pods")
    await kubectl("delete", "serviceaccount", "bot")
    gone = await bot.run("get", "pods")
    assert "You must be logged in to the server" in gone.err


async def test_certificates_are_approved_and_denied(kubectl: Kubectl) -> None:
    """`certificate approve` and `deny` set their conditions, and the signer decides who may."""
    pem = base64.b64encode(b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n").decode()
    for name in ("a", "b"):
        manifest = {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": name},
            "spec": {"request": pem, "signerName": "example.com/mine", "usages": ["client auth"]},
        }
        await kubectl("create", "-f", "-", stdin=yaml.safe_dump(manifest))
    update = "--verb=get,update,patch"
    resource = "--resource=certificatesigningrequests,certificatesigningrequests/approval"
    await kubectl("create", "clusterrole", "csr", update, resource)
    await kubectl("create", "clusterrolebinding", "csr", "--clusterrole=csr", "--user=ann")
    refused = await kubectl.run("certificate", "approve", "a", "--as=ann")
    assert 'user not permitted to approve requests with signerName "example.com/mine"' in refused.err
    rule = {"verbs": ["approve"], "apiGroups": ["certificates.k8s.io"], "resources": ["signers"]}
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "mine"},
        "rules": [{**rule, "resourceNames": ["example.com/*"]}],
    }
    await kubectl("create", "-f", "-", stdin=yaml.safe_dump(role))
    await kubectl("create", "clusterrolebinding", "mine", "--clusterrole=mine", "--user=ann")
    approved = await kubectl("certificate", "approve", "a", "--as=ann")
    assert approved.out == "certificatesigningrequest.certificates.k8s.io/a approved\n"
    await kubectl("certificate", "deny", "b")
    rows = [line.split() for line in (await kubectl("get", "csr", "--no-headers")).lines]
    assert [(row[0], row[-1]) for row in rows] == [("a", "Approved"), ("b", "Denied")]
