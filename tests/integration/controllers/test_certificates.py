"""Certificate requests, from asking to using the certificate, on the real API server."""

import base64
import ssl
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controllers import certificates
from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.errors import ApiError
from miniplane.kinds import CERTIFICATE_SIGNING_REQUEST, CLUSTER_ROLE_BINDING

KIND = CERTIFICATE_SIGNING_REQUEST
APPROVED = {"type": "Approved", "status": "True", "reason": "Test"}


def csr(name: str, *groups: str, hosts: tuple[str, ...] = ()) -> tuple[bytes, bytes]:
    """A request and its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if hosts:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    pem = serialization.Encoding.PEM
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return builder.sign(key, hashes.SHA256()).public_bytes(pem), plain


def request(name: str, pem: bytes, signer: str, *usages: str, **spec: Any) -> Object:
    """A CertificateSigningRequest."""
    data = {"request": base64.b64encode(pem).decode(), "signerName": signer, "usages": list(usages), **spec}
    return {"metadata": {"name": name}, "spec": data}


def controller(world: Any) -> Any:
    """The controller with the cluster's CA."""
    folder = Path(world.kubeconfig).with_name("pki")
    return certificates.controller(folder / "ca.crt", folder / "ca.key")


async def approve(world: Any, name: str, condition: Object = APPROVED) -> None:
    """What `kubectl certificate approve` does."""
    body = {"status": {"conditions": [condition]}}
    await world.client.patch(KIND, Key("", name), body, subresource="approval")


def conditions(obj: Object) -> set[str]:
    """The types of an object's conditions."""
    return {item["type"] for item in (obj.get("status") or {}).get("conditions") or ()}


async def test_an_approved_request_gets_a_certificate_that_lets_in(world: Any, tmp_path: Path) -> None:
    """Nothing is signed before approval; then the certificate is for the user asked for, as long as asked for."""
    pem, key = csr("ann", "dev")
    async with world.running(controller(world)):
        wanted = request("ann", pem, certificates.CLIENT, "client auth", expirationSeconds=3600, username="root")
        made = await world.client.create(KIND, wanted)
        assert made["spec"]["username"] == "kubernetes-admin"
        assert "system:masters" in made["spec"]["groups"]
        await approve(world, "ann")
        done = await world.until_one(KIND, Key("", "ann"), lambda obj: "certificate" in (obj.get("status") or {}))
    certificate = base64.b64decode(done["status"]["certificate"])
    parsed = x509.load_pem_x509_certificate(certificate)
    assert 3500 < (parsed.not_valid_after_utc - parsed.not_valid_before_utc).total_seconds() <= 3900 + 1
    (tmp_path / "c.pem").write_bytes(certificate + key)
    context = ssl.create_default_context(cadata=world.client.access.ca.decode())
    context.load_cert_chain(tmp_path / "c.pem")
    url = f"{world.client.access.server}/apis/authentication.k8s.io/v1/selfsubjectreviews"
    async with ClientSession(connector=TCPConnector(ssl=context)) as session, session.post(url, json={}) as response:
        info = (await response.json())["status"]["userInfo"]
    assert info == {"username": "ann", "groups": ["dev", "system:authenticated"]}


@pytest.mark.parametrize(
    ("signer", "name", "groups", "usages", "why"),
    [
        (certificates.CLIENT, "ann", (), ("server auth",), "invalid usages"),
        (certificates.KUBELET, "system:node:a", ("dev",), ("client auth",), "not system:nodes"),
        (certificates.KUBELET, "ann", ("system:nodes",), ("client auth",), "does not begin with"),
        (certificates.SERVING, "system:node:a", ("system:nodes",), ("server auth",), "subjectAltName is required"),
        (certificates.LEGACY, "x", (), ("cert sign",), "unsupported usage: cert sign"),
    ],
)
async def test_a_request_of_another_form_fails(
    world: Any, signer: str, name: str, groups: tuple[str, ...], usages: tuple[str, ...], why: str
) -> None:
    """Each signer signs only requests of its form; others get a condition that says why, and no certificate."""
    async with world.running(controller(world)):
        await world.client.create(KIND, request("r", csr(name, *groups)[0], signer, *usages))
        await approve(world, "r")
        failed = await world.until_one(KIND, Key("", "r"), lambda obj: "Failed" in conditions(obj))
    condition = meta.condition(failed, "Failed")
    assert condition is not None
    assert why in condition["message"]
    assert condition["reason"] == "SignerValidationFailure"
    assert "certificate" not in failed["status"]


async def test_a_nodes_own_request_is_approved_where_rights_allow(world: Any) -> None:
    """A kubelet's client certificate needs no person if it may make such requests; nobody else's is approved."""
    pem, _ = csr("system:node:n", "system:nodes")
    role = "system:certificates.k8s.io:certificatesigningrequests:nodeclient"
    binding = {
        "metadata": {"name": "boot"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "kubernetes-admin"}],
    }
    async with world.running(controller(world)):
        await world.client.create(CLUSTER_ROLE_BINDING, binding)
        await world.client.create(KIND, request("n", pem, certificates.KUBELET, "client auth", "digital signature"))
        done = await world.until_one(KIND, Key("", "n"), lambda obj: "certificate" in (obj.get("status") or {}))
        assert (meta.condition(done, "Approved") or {})["reason"] == "AutoApproved"
        other = await world.client.create(KIND, request("ann", csr("ann")[0], certificates.CLIENT, "client auth"))
        assert conditions(other) == set()


async def test_who_decides_and_who_signs_are_two(world: Any) -> None:
    """A status write can't approve, an approval can't sign, and what is decided stays."""
    await world.client.create(KIND, request("r", csr("ann")[0], "example.com/mine", "client auth"))
    key = Key("", "r")
    body = {"status": {"conditions": [APPROVED], "certificate": None}}
    assert conditions(await world.client.patch(KIND, key, body, subresource="status")) == set()
    signed = {"status": {"conditions": [APPROVED], "certificate": base64.b64encode(b"x").decode()}}
    approved = await world.client.patch(KIND, key, signed, subresource="approval")
    assert conditions(approved) == {"Approved"}
    assert approved["status"]["conditions"][0]["lastUpdateTime"]
    assert "certificate" not in approved["status"]
    with pytest.raises(ApiError, match="may not remove a condition"):
        await approve(world, "r", {"type": "Denied", "status": "True"})
    evil = request("evil", csr("evil", "system:masters")[0], certificates.CLIENT, "client auth")
    with pytest.raises(ApiError, match="system:masters group is not allowed"):
        await world.client.create(KIND, evil)
