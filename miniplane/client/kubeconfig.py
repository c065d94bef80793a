"""Kubeconfig files: which server, whose credentials, which namespace.

Reads what kubectl reads: several files of `$KUBECONFIG` merged (the first to name something wins), embedded or
referenced certificates, tokens. Does not run credential plugins (`exec`): nothing here starts a program.
"""

import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DEFAULT = Path("~/.kube/config")


class KubeconfigError(ValueError):
    """The files can't be used; the message names the file or the entry."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a server and as whom. `server` is `https://…`, `http://…` or `unix:///path`."""

    server: str
    ca: bytes = b""
    cert: bytes = b""
    key: bytes = b""
    token: str = ""
    verify: bool = True
    server_name: str = ""
    namespace: str = "default"

    def tls(self) -> ssl.SSLContext | None:
        """The TLS context, None where the server speaks plain HTTP.

        The standard library takes a key only from a file, so one exists in a private directory for a moment.
        """
        if not self.server.startswith("https:"):
            return None
        context = ssl.create_default_context(cadata=self.ca.decode() or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert:
            with tempfile.TemporaryDirectory() as folder:
                cert, key = Path(folder, "cert"), Path(folder, "key")
                cert.write_bytes(self.cert)
                key.touch(0o600)
                key.write_bytes(self.key)
                context.load_cert_chain(cert, key)
        return context


def paths(environ: Mapping[str, str] | None = None) -> list[Path]:
    """The files that kubectl would read: those in `$KUBECONFIG`, else `~/.kube/config`."""
    text = (os.environ if environ is None else environ).get("KUBECONFIG", "")
    named = [Path(part) for part in text.split(os.pathsep) if part]
    return named or [DEFAULT.expanduser()]


def load(path: Path | str | None = None, *, context: str = "") -> Access:
    """The access that a file's (or, without one, `$KUBECONFIG`'s) context gives; the current context by default.

    Raises:
        KubeconfigError: No such file, context, cluster or user, or a broken one.
    """
    return from_documents([_read(found) for found in _existing(path)], context=context)


def _existing(path: Path | str | None) -> Sequence[Path]:
    if path is not None:
        return [Path(path).expanduser()]
    found = [candidate for candidate in paths() if candidate.exists()]
    if not found:
        raise KubeconfigError(f"no kubeconfig file at {', '.join(map(str, paths()))}")
    return found


def _read(path: Path) -> tuple[Path, Mapping[str, Any]]:
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise KubeconfigError(f"{path}: {error}") from error
    if not isinstance(document, dict):
        raise KubeconfigError(f"{path}: not a kubeconfig file")
    return path, document


def from_documents(documents: Sequence[tuple[Path, Mapping[str, Any]]], *, context: str = "") -> Access:
    """As `load`, for files already read; a path says where relative file names in a document start."""
    wanted = context or next((str(doc["current-context"]) for _, doc in documents if doc.get("current-context")), "")
    if not wanted:
        raise KubeconfigError("no current context is set and none is named")
    _, chosen = _entry(documents, "context", wanted)
    cluster_path, cluster = _entry(documents, "cluster", chosen.get("cluster", ""))
    user_path, user = _entry(documents, "user", chosen["user"]) if chosen.get("user") else (Path(), {})
    for unsupported in ("exec", "auth-provider"):
        if unsupported in user:
            raise KubeconfigError(f"user {chosen['user']!r}: {unsupported} credentials are not supported")
    token = user.get("token") or ""
    if not token and (file := user.get("tokenFile")):
        token = (user_path.parent / file).read_text().strip()
    return Access(
        server=str(cluster.get("server", "")).rstrip("/"),
        ca=_bytes(cluster_path, cluster, "certificate-authority"),
        cert=_bytes(user_path, user, "client-certificate"),
        key=_bytes(user_path, user, "client-key"),
        token=token,
        verify=not cluster.get("insecure-skip-tls-verify"),
        server_name=cluster.get("tls-server-name", ""),
        namespace=chosen.get("namespace") or "default",
    )


def _entry(documents: Sequence[tuple[Path, Mapping[str, Any]]], word: str, name: str) -> tuple[Path, Mapping[str, Any]]:
    for path, document in documents:
        for item in document.get(f"{word}s") or ():
            if item.get("name") == name:
                return path, item.get(word) or {}
    raise KubeconfigError(f"there is no {word} {name!r}")


def _bytes(path: Path, entry: Mapping[str, Any], name: str) -> bytes:
    if data := entry.get(f"{name}-data"):
        try:
            return base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError, TypeError) as error:
            raise KubeconfigError(f"{path}: {name}-data is not base64") from error
    if file := entry.get(name):
        try:
            return (path.parent / Path(file).expanduser()).read_bytes()
        except OSError as error:
            raise KubeconfigError(f"{path}: {name}: {error}") from error
    return b""
