"""Certificate requests: who asks, who may approve, who may sign.

Upstream: plugin/pkg/admission/certificates (approval, signing, subjectrestriction) and the request's own strategy. An
approval writes the conditions Approved and Denied and nothing else, a write of the status everything but these.
"""

from collections.abc import Callable
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from miniplane.aio import Clock
from miniplane.api.kind import Object
from miniplane.api.meta import timestamp
from miniplane.errors import forbidden
from miniplane.kinds.keyed import decode

from ..auth.authorizer import Authorizer
from ..auth.identity import MASTERS, Action
from .chain import Attributes, Operation, Plugin

GROUP = "certificates.k8s.io"
_DECISIONS = ("Approved", "Denied")


def plugin(authorizer: Authorizer, clock: Clock) -> Plugin:
    """The plugin of one server."""

    def mutate(attributes: Attributes) -> None:
        assert attributes.obj is not None
        if attributes.operation is Operation.CREATE:
            spec = attributes.obj.setdefault("spec", {})
            if isinstance(spec, dict):
                _sign_in(spec, attributes)
        elif attributes.old is not None and attributes.subresource:
            _divide(attributes.obj, attributes.old, attributes.subresource, timestamp(clock.now()))

    def validate(attributes: Attributes) -> None:
        assert attributes.obj is not None
        if attributes.operation is Operation.CREATE:
            _refuse_masters(attributes)
        elif attributes.subresource == "approval":
            _require(authorizer, attributes, "approve")
        elif attributes.subresource == "status" and _status(attributes.obj) != _status(attributes.old or {}):
            _require(authorizer, attributes, "sign")

    return Plugin(
        "CertificateRequests",
        operations=frozenset((Operation.CREATE, Operation.UPDATE)),
        resources=frozenset((f"certificatesigningrequests.{GROUP}",)),
        subresources=frozenset(("", "approval", "status")),
        mutate=mutate,
        validate=validate,
    )


def _sign_in(spec: Object, attributes: Attributes) -> None:
    """Who asks is who makes the request, whatever it says."""
    info = attributes.user.info
    for key in ("username", "uid", "groups", "extra"):
        spec.pop(key, None)
        if info.get(key):
            spec[key] = info[key]


def _status(request: Object) -> tuple[Any, Any]:
    status = request.get("status") or {}
    return status.get("certificate") or "", status.get("conditions") or []


def _divide(new: Object, old: Object, subresource: str, now: str) -> None:
    """Put together what the writer may write and what stands there."""
    mine, theirs = new.get("status") or {}, old.get("status") or {}
    is_approval = subresource == "approval"
    written = _conditions(mine, lambda kind: (kind in _DECISIONS) is is_approval)
    kept = _conditions(theirs, lambda kind: (kind in _DECISIONS) is not is_approval)
    for condition in written:
        if isinstance(condition, dict):
            condition.setdefault("status", "True")
            for key in ("lastUpdateTime", "lastTransitionTime"):
                condition[key] = condition.get(key) or now
    status = {**(theirs if is_approval else mine), "conditions": [*kept, *written]}
    new["status"] = {key: value for key, value in status.items() if value}


def _conditions(status: Object, of: Callable[[str], bool]) -> list[Any]:
    return [
        dict(item) for item in status.get("conditions") or () if isinstance(item, dict) and of(item.get("type", ""))
    ]


def _require(authorizer: Authorizer, attributes: Attributes, verb: str) -> None:
    """The writer must have `verb` on the signer by name, or on all of its domain."""
    signer = str(((attributes.old or {}).get("spec") or {}).get("signerName", ""))
    for name in (signer, f"{signer.partition('/')[0]}/*"):
        if authorizer.allows(attributes.user, Action(verb, GROUP, "signers", name=name)):
            return
    text = f'user not permitted to {verb} requests with signerName "{signer}"'
    raise forbidden(attributes.kind.resource, attributes.name, text)


def _refuse_masters(attributes: Attributes) -> None:
    spec = (attributes.obj or {}).get("spec") or {}
    if spec.get("signerName") != "kubernetes.io/kube-apiserver-client":
        return
    try:
        request = x509.load_pem_x509_csr(decode(spec.get("request") or "") or b"")
        groups = [part.value for part in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    except ValueError as error:
        raise forbidden(attributes.kind.resource, attributes.name, f"failed to parse CSR: {error}") from error
    if MASTERS in groups:
        text = "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
        raise forbidden(attributes.kind.resource, attributes.name, text)
