"""The cluster's certificates and the kubeconfig files made from them.

A CA is made at first start and lives in the data directory; every later identity is signed by it. Names follow
upstream's: a certificate's common name is the user, its organisations are the groups.
"""

import base64
import datetime as dt
import ipaddress
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from miniplane import tokens

LIFETIME = dt.timedelta(days=3650)
"""Ten years: a teaching or test cluster must not die of an expired certificate."""
SKEW = dt.timedelta(minutes=5)
"""Certificates are valid from a little before now, for machines whose clocks differ."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, both PEM."""

    cert: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Files:
    """Where a certificate, its key and the CA that signed it are."""

    cert: Path
    key: Path
    ca: Path


@dataclass(frozen=True, slots=True)
class Subject:
    """Who a certificate is for: user and groups, and the names and addresses that it may serve under."""

    user: str
    groups: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


def _name(subject: Subject) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in subject.groups]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, subject.user)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _builder(subject: Subject, key: ec.EllipticCurvePrivateKey, now: dt.datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + LIFETIME)
    )


def new_authority(now: dt.datetime, name: str = "miniplane") -> Pair:
    """A self-signed CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(Subject(name), key, now)
        .issuer_name(_name(Subject(name)))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))


def new_identity(authority: Pair, subject: Subject, now: dt.datetime) -> Pair:
    """A certificate for `subject`, signed by the CA: always a client, a server too if it has hosts."""
    issuer = x509.load_pem_x509_certificate(authority.cert)
    issuer_key = serialization.load_pem_private_key(authority.key, password=None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if subject.hosts else [])]
    builder = (
        _builder(subject, key, now)
        .issuer_name(issuer.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if subject.hosts:
        names = [_general_name(host) for host in subject.hosts]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(issuer_key, hashes.SHA256())
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))


_EXTENDED = {
    "client auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "server auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "code signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "s/mime": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
}
_PLAIN = {
    "signing": "digital_signature",
    "digital signature": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "data encipherment": "data_encipherment",
    "key agreement": "key_agreement",
}


def sign(
    authority: Pair,
    request: x509.CertificateSigningRequest,
    usages: Sequence[str],
    lifetime: dt.timedelta,
    now: dt.datetime,
) -> bytes:
    """A certificate, PEM, for the subject, names and key of a request. It ends with the CA at the latest.

    Raises:
        ValueError: A usage that is not given here: those of CAs and of IPsec.
    """
    if unknown := sorted(set(usages) - _EXTENDED.keys() - _PLAIN.keys()):
        raise ValueError(f"unsupported usage: {unknown[0]}")
    issuer = x509.load_pem_x509_certificate(authority.cert)
    issuer_key = serialization.load_pem_private_key(authority.key, password=None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    plain = dict.fromkeys((*_PLAIN.values(), "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False)
    plain |= {_PLAIN[usage]: True for usage in usages if usage in _PLAIN}
    extended = list(dict.fromkeys(_EXTENDED[usage] for usage in usages if usage in _EXTENDED))
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(issuer.subject)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(min(now + lifetime, issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if any(plain.values()):
        builder = builder.add_extension(x509.KeyUsage(**plain), critical=True)
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    for extension in request.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            builder = builder.add_extension(extension.value, critical=extension.critical)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
    part.replace(path)


def files(data_dir: Path, name: str) -> Files:
    """Where the identity `name` of a data directory is."""
    folder = data_dir / "pki"
    return Files(folder / f"{name}.crt", folder / f"{name}.key", folder / "ca.crt")


def _ensure_pair(data_dir: Path, name: str, authority: Pair, subject: Subject) -> Pair:
    where = files(data_dir, name)
    if where.cert.exists() and where.key.exists():
        return Pair(where.cert.read_bytes(), where.key.read_bytes())
    pair = new_identity(authority, subject, dt.datetime.now(dt.UTC))
    write_private(where.key, pair.key)
    write_private(where.cert, pair.cert)
    return pair


API_SERVER_NAMES = (
    "localhost",
    "127.0.0.1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "10.96.0.1",
    "172.30.0.1",
)


def ensure(data_dir: Path, *, server: str, nodes: Sequence[str] = (), hosts: Sequence[str] = ()) -> None:
    """Make what is missing in a data directory: the CA, certificates and kubeconfig files. Idempotent.

    `server` is the URL in the kubeconfig files; the API server's certificate is valid for its host, no other program's
    is. `hosts` are further names and addresses of the API server and the nodes.
    """
    (data_dir / "pki").mkdir(parents=True, exist_ok=True, mode=0o700)
    _ensure_token_key(data_dir)
    where = files(data_dir, "ca")
    if where.cert.exists() and not where.key.exists():
        return  # given by `miniplane certs`: the CA's key is elsewhere, and nothing can be made here
    if not where.cert.exists():
        made = new_authority(dt.datetime.now(dt.UTC))
        write_private(where.key, made.key)
        write_private(where.cert, made.cert)
    authority = Pair(where.cert.read_bytes(), where.key.read_bytes())
    names = dict.fromkeys((*API_SERVER_NAMES, urlsplit(server).hostname or "localhost", *hosts))
    _ensure_pair(data_dir, "apiserver", authority, Subject("kube-apiserver", hosts=tuple(names)))
    _ensure_pair(data_dir, "kubelet-client", authority, Subject("kube-apiserver", ("system:masters",)))
    users = {
        "kubeconfig": ("admin", Subject("kubernetes-admin", ("system:masters",))),
        "controllers.kubeconfig": ("controllers", Subject("system:kube-controller-manager")),
    }
    for node in nodes:
        serves = (node, "localhost", "127.0.0.1", *hosts)
        users[f"{node}.kubeconfig"] = (node, Subject(f"system:node:{node}", ("system:nodes",), serves))
    for file_name, (name, subject) in users.items():
        pair = _ensure_pair(data_dir, name, authority, subject)
        document = kubeconfig(server, authority.cert, pair, user=subject.user)
        if not (data_dir / file_name).exists() or (data_dir / file_name).read_bytes() != document:
            write_private(data_dir / file_name, document)


def _ensure_token_key(data_dir: Path) -> None:
    """The key that signs service accounts' tokens, and its public half beside it."""
    path = data_dir / "pki" / "sa.key"
    if not path.exists():
        key = tokens.new_key()
        write_private(path.with_suffix(".pub"), tokens.Key(key).public_pem)
        write_private(path, key)


def kubeconfig(server: str, ca: bytes, pair: Pair, *, user: str, cluster: str = "miniplane") -> bytes:
    """A kubeconfig file with one cluster, user and context, certificates embedded."""

    def text(data: bytes) -> str:
        return base64.b64encode(data).decode()

    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": {"server": server, "certificate-authority-data": text(ca)}}],
        "users": [
            {
                "name": user,
                "user": {"client-certificate-data": text(pair.cert), "client-key-data": text(pair.key)},
            }
        ],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": user}}],
        "current-context": cluster,
        "preferences": {},
    }
    return yaml.safe_dump(document, sort_keys=False).encode()


_VERIFY = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


def server_context(where: Files, *, client: Literal["none", "optional", "required"] = "none") -> ssl.SSLContext:
    """TLS for a server; `client` says whether certificates of the same CA are asked of clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(where.cert, where.key)
    context.load_verify_locations(where.ca)
    context.verify_mode = _VERIFY[client]
    return context


def client_context(where: Files) -> ssl.SSLContext:
    """TLS for a client that shows a certificate and trusts only the cluster's CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(where.ca)
    context.load_cert_chain(where.cert, where.key)
    return context
