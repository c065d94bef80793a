"""Certificate requests: a kubelet's are approved where rights allow, approved ones are signed with the cluster's CA.

Signers are those of `kubernetes.io/`; each takes only requests of its form, others fail with a condition. Nothing but a
kubelet's client certificate is approved without a person. Upstream: pkg/controller/certificates (approver, signer,
cleaner).
"""

import base64
import contextlib
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from miniplane import pki
from miniplane.api import meta
from miniplane.api.kind import Object
from miniplane.api.meta import Key
from miniplane.errors import NotFound
from miniplane.kinds import CERTIFICATE_SIGNING_REQUEST, SUBJECT_ACCESS_REVIEW
from miniplane.runtime import DONE, Context, On, Result

LIFETIME = dt.timedelta(days=365)
"""At most (--cluster-signing-duration); `expirationSeconds` can only shorten it."""
CLEAN_S = 3600.0
DECIDED, PENDING = dt.timedelta(hours=1), dt.timedelta(hours=24)
"""How long requests are kept that are decided, and that nobody has decided."""
CLIENT, KUBELET, SERVING, LEGACY = (
    f"kubernetes.io/{name}"
    for name in ("kube-apiserver-client", "kube-apiserver-client-kubelet", "kubelet-serving", "legacy-unknown")
)
_SIGN = frozenset(("digital signature", "key encipherment"))
NODE = "system:node:"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, taken apart."""

    csr: x509.CertificateSigningRequest
    usages: frozenset[str]

    @property
    def name(self) -> str:
        """The common name."""
        return "".join(str(part.value) for part in self.csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME))

    @property
    def groups(self) -> list[str]:
        """The organisations."""
        return [str(part.value) for part in self.csr.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]

    @property
    def hosts(self) -> Sequence[x509.GeneralName]:
        """The alternative names."""
        try:
            return list(self.csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        except x509.ExtensionNotFound:
            return []


def parse(request: Object) -> Asked:
    """Raises ValueError for what is no request or is not signed by its own key."""
    spec = request["spec"]
    csr = x509.load_pem_x509_csr(base64.b64decode(spec["request"]))
    if not csr.is_signature_valid:
        raise ValueError("the request is not signed by its own key")
    return Asked(csr, frozenset(spec.get("usages") or ()))


def _client(asked: Asked) -> str:
    if "client auth" not in asked.usages or not asked.usages <= _SIGN | {"client auth"}:
        return "invalid usages for client certificate: must be client auth, digital signature, key encipherment"
    return ""


def _kubelet(asked: Asked) -> str:
    if asked.groups != ["system:nodes"]:
        return "subject organization is not system:nodes"
    if not asked.name.startswith(NODE):
        return "subject common name does not begin with system:node: "
    if asked.hosts:
        return "subjectAltNames are not allowed"
    return _client(asked)


def _serving(asked: Asked) -> str:
    if asked.groups != ["system:nodes"]:
        return "subject organization is not system:nodes"
    if not asked.name.startswith(NODE):
        return "subject common name does not begin with system:node: "
    hosts = asked.hosts
    if not hosts or not all(isinstance(host, x509.DNSName | x509.IPAddress) for host in hosts):
        return "DNS or IP subjectAltName is required, and no other kind of it"
    if "server auth" not in asked.usages or not asked.usages <= _SIGN | {"server auth"}:
        return "usages did not match server auth, digital signature, key encipherment"
    return ""


SIGNERS: Mapping[str, Callable[[Asked], str]] = {
    CLIENT: _client,
    KUBELET: _kubelet,
    SERVING: _serving,
    LEGACY: lambda _: "",
}
"""By signer: what is wrong with a request, empty for nothing."""


class Certificates:
    """The reconciler."""

    def __init__(self, authority: pki.Pair) -> None:
        self._authority = authority

    async def reconcile(self, key: Key, ctx: Context) -> Result:
        """Approve or sign one request."""
        request = ctx.cache(CERTIFICATE_SIGNING_REQUEST).get(key)
        if request is None or request["spec"].get("signerName") not in SIGNERS:
            return DONE
        status = request.get("status") or {}
        decided = {item["type"] for item in status.get("conditions") or ()}
        if status.get("certificate") or decided & {"Denied", "Failed"}:
            return DONE
        try:
            asked = parse(request)
        except ValueError as error:
            await self._fail(request, str(error), ctx)
            return DONE
        if "Approved" in decided:
            await self._sign(request, asked, ctx)
        elif verb := await _approvable(request, asked, ctx):
            await _approve(request, verb, ctx)
        return DONE

    async def _sign(self, request: Object, asked: Asked, ctx: Context) -> None:
        if why := SIGNERS[request["spec"]["signerName"]](asked):
            await self._fail(request, why, ctx)
            return
        seconds = request["spec"].get("expirationSeconds")
        lifetime = min(LIFETIME, dt.timedelta(seconds=seconds)) if seconds else LIFETIME
        try:
            made = pki.sign(self._authority, asked.csr, sorted(asked.usages), lifetime, ctx.clock.now())
        except ValueError as error:
            await self._fail(request, str(error), ctx)
            return
        body = {"status": {"certificate": base64.b64encode(made).decode()}}
        await ctx.client.patch(CERTIFICATE_SIGNING_REQUEST, meta.key_of(request), body, subresource="status")
        ctx.log.info("certificate signed", request=meta.name(request), signer=request["spec"]["signerName"])

    @staticmethod
    async def _fail(request: Object, why: str, ctx: Context) -> None:
        condition = {"type": "Failed", "status": "True", "reason": "SignerValidationFailure", "message": why}
        conditions = [*((request.get("status") or {}).get("conditions") or ()), condition]
        body = {"status": {"conditions": conditions}}
        await ctx.client.patch(CERTIFICATE_SIGNING_REQUEST, meta.key_of(request), body, subresource="status")


def is_stale(request: Object, now: dt.datetime) -> bool:
    """Whether a request has done its service: decided an hour ago, or waiting for a day."""
    status = request.get("status") or {}
    created = meta.created(request) or now
    if not status.get("conditions"):
        return now - created > PENDING
    moments = [item.get("lastUpdateTime") for item in status["conditions"]]
    latest = max((meta.parse_timestamp(text) for text in moments if text), default=created)
    return now - latest > DECIDED


async def clean(ctx: Context) -> None:
    """Remove the requests that are stale."""
    for request in ctx.cache(CERTIFICATE_SIGNING_REQUEST).list():
        if is_stale(request, ctx.clock.now()):
            with contextlib.suppress(NotFound):
                await ctx.client.delete(CERTIFICATE_SIGNING_REQUEST, meta.key_of(request), uid=meta.uid(request))


async def _approvable(request: Object, asked: Asked, ctx: Context) -> str:
    """The right by which a kubelet's request is approved without a person; empty for none."""
    spec = request["spec"]
    if spec["signerName"] != KUBELET or _kubelet(asked):
        return ""
    words = ["selfnodeclient"] if asked.name == spec.get("username") else []
    for word in (*words, "nodeclient"):
        about = {
            "group": "certificates.k8s.io",
            "resource": "certificatesigningrequests",
            "verb": "create",
            "subresource": word,
        }
        who = {"user": spec.get("username", ""), "groups": spec.get("groups") or [], "extra": spec.get("extra") or {}}
        review = {"spec": {"resourceAttributes": about, "uid": spec.get("uid", ""), **who}}
        if (await ctx.client.create(SUBJECT_ACCESS_REVIEW, review))["status"]["allowed"]:
            return word
    return ""


async def _approve(request: Object, word: str, ctx: Context) -> None:
    which = "self kubelet" if word == "selfnodeclient" else "kubelet"
    condition = {
        "type": "Approved",
        "status": "True",
        "reason": "AutoApproved",
        "message": f"Auto approving {which} client certificate after SubjectAccessReview.",
    }
    body = {"status": {"conditions": [condition]}}
    await ctx.client.patch(CERTIFICATE_SIGNING_REQUEST, meta.key_of(request), body, subresource="approval")


def controller(cert: Path | None, key: Path | None) -> On:
    """The controller; without the CA's certificate and key it only removes what is stale."""
    on = On("certificate", component="certificate-controller", reads=(CERTIFICATE_SIGNING_REQUEST,))
    on.every(CLEAN_S)(clean)
    if cert is not None and key is not None and key.exists():
        authority = pki.Pair(cert.read_bytes(), key.read_bytes())
        on.reconcile(CERTIFICATE_SIGNING_REQUEST)(Certificates(authority).reconcile)
    return on
