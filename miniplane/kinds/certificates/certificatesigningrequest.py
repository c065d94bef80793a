"""CertificateSigningRequest: asks a signer for a certificate, once somebody has approved.

Upstream: certificates.k8s.io/v1; concept page "Certificates and Certificate Signing Requests". Who asks stands in the
spec and is the server's to say: the admission plugin of that name fills it in.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy, Subresource
from miniplane.api.names import is_dns_subdomain
from miniplane.api.table import AGE, NAME, human_duration
from miniplane.api.validation import FieldError, Path, duplicate, forbidden, invalid, not_supported, required
from miniplane.kinds.fields import entries, named, one_of, optional, section, shown, strings, text
from miniplane.kinds.keyed import decode

_PATH = Path("spec")
_CONDITIONS = Path("status") / "conditions"
_SHORTEST_S = 600
_BEGIN, _END = b"-----BEGIN CERTIFICATE REQUEST-----", b"-----END CERTIFICATE REQUEST-----"
USAGES = (
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
)
_FIXED = ("Approved", "Denied", "Failed")
"""Conditions that stay once they are there, and are always True."""


def validate(request: Object, old: Object | None) -> Sequence[FieldError]:
    """It holds a request, a signer's full name and usages; nothing of it changes later."""
    spec = section(request, "spec")
    errors = list(_errors(spec))
    if old is not None and spec != section(old, "spec"):
        errors.append(invalid(_PATH, shown(spec), "field is immutable"))
    return errors


def _errors(spec: Object) -> Iterator[FieldError]:
    data = (decode(text(spec, "request")) or b"").strip()
    if not data.startswith(_BEGIN) or not data.endswith(_END):
        yield invalid(_PATH / "request", shown([]), "PEM block type must be CERTIFICATE REQUEST")
    usages = strings(spec, "usages")
    if not usages:
        yield required(_PATH / "usages", "usages is required")
    for index, usage in enumerate(usages):
        if usage not in USAGES:
            yield not_supported(_PATH / "usages" @ index, usage, USAGES)
        elif usage in usages[:index]:
            yield duplicate(_PATH / "usages" @ index, usage)
    yield from _signer(_PATH / "signerName", text(spec, "signerName"))
    seconds = optional(spec, "expirationSeconds")
    if seconds is not None and seconds < _SHORTEST_S:
        yield invalid(
            _PATH / "expirationSeconds",
            seconds,
            f"may not specify a duration less than {_SHORTEST_S} seconds (10 minutes)",
        )


def _signer(path: str, signer: str) -> Iterator[FieldError]:
    if not signer:
        yield required(path)
        return
    domain, slash, name = signer.partition("/")
    if not slash or "/" in name:
        yield invalid(path, signer, "must be a fully qualified domain and path of the form 'example.com/signer-name'")
        return
    if "." not in domain:
        yield invalid(path, domain, "should be a domain with at least two segments separated by dots")
    yield from named(path, domain, is_dns_subdomain)
    yield from named(path, name, is_dns_subdomain)


def validate_status(request: Object, old: Object | None) -> Sequence[FieldError]:
    """Conditions are known, each at most once; what is decided stays decided, and a certificate stays the same."""
    return list(_status_errors(section(request, "status"), section(old or {}, "status")))


def _status_errors(status: Object, old: Object) -> Iterator[FieldError]:
    conditions, seen = entries(status, "conditions"), set[str]()
    for index, condition in enumerate(conditions):
        here, kind = _CONDITIONS @ index, text(condition, "type")
        if not kind:
            yield required(here / "type")
        elif kind in seen:
            yield duplicate(here / "type", kind)
        seen.add(kind)
        yield from one_of(here / "status", text(condition, "status"), ("True", "False", "Unknown"))
        if kind in _FIXED and text(condition, "status") not in ("", "True"):
            yield not_supported(here / "status", text(condition, "status"), ("True",))
    if {"Approved", "Denied"} <= seen:
        yield invalid(_CONDITIONS, "Denied", "Approved and Denied conditions are mutually exclusive")
    for kind in _FIXED:
        if any(text(condition, "type") == kind for condition in entries(old, "conditions")) and kind not in seen:
            yield forbidden(_CONDITIONS, f"updates may not remove a condition of type {_quoted(kind)}")
    before = text(old, "certificate")
    if before and text(status, "certificate") != before:
        yield forbidden(Path("status") / "certificate", "updates may not set certificate content")


def _quoted(word: str) -> str:
    return f'"{word}"'


def _condition(request: Object, _now: datetime) -> str:
    status = section(request, "status")
    found = {text(condition, "type") for condition in entries(status, "conditions")}
    word = "Denied" if "Denied" in found else "Approved" if "Approved" in found else "Pending"
    if "Failed" in found:
        word += ",Failed"
    return f"{word},Issued" if text(status, "certificate") else word


def _duration(request: Object, _now: datetime) -> str:
    seconds = optional(section(request, "spec"), "expirationSeconds")
    return "<none>" if seconds is None else human_duration(seconds)


CERTIFICATE_SIGNING_REQUEST = Kind(
    group="certificates.k8s.io",
    version="v1",
    kind="CertificateSigningRequest",
    plural="certificatesigningrequests",
    scope=Scope.CLUSTER,
    short_names=("csr",),
    fields={"spec.signerName": "spec.signerName"},
    definition="io.k8s.api.certificates.v1.CertificateSigningRequest",
    columns=(
        NAME,
        AGE,
        Column("SignerName", ".spec.signerName", description="Who shall sign."),
        Column("Requestor", ".spec.username", description="Who asks."),
        Column("RequestedDuration", _duration, description="How long the certificate shall hold."),
        Column("Condition", _condition, description="How it stands."),
    ),
    subresources=(STATUS, Subresource("approval")),
    strategy=Strategy(validate=validate, validate_status=validate_status, initial_status={}),
)
