"""Reading kubeconfig files."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from miniplane import pki
from miniplane.client import Access, KubeconfigError, kubeconfig

FILE = {
    "current-context": "one",
    "contexts": [
        {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "team"}},
        {"name": "two", "context": {"cluster": "d", "user": "u"}},
        {"name": "lost", "context": {"cluster": "nowhere", "user": "u"}},
    ],
    "clusters": [
        {"name": "c", "cluster": {"server": "https://a:1/", "certificate-authority-data": "Q0E="}},
        {"name": "d", "cluster": {"server": "unix:///run/x", "insecure-skip-tls-verify": True}},
    ],
    "users": [{"name": "u", "user": {"token": "secret"}}],
}


def write(path: Path, document: object) -> Path:
    """A file with a YAML document."""
    path.write_text(yaml.safe_dump(document))
    return path


def test_the_current_context_counts(tmp_path: Path) -> None:
    """Without a name, the current context's cluster, user and namespace are taken."""
    access = kubeconfig.load(write(tmp_path / "k", FILE))
    assert access == Access(server="https://a:1", ca=b"CA", token="secret", namespace="team")


def test_a_context_may_be_named(tmp_path: Path) -> None:
    """A named context wins over the current one."""
    access = kubeconfig.load(write(tmp_path / "k", FILE), context="two")
    assert (access.server, access.verify, access.namespace) == ("unix:///run/x", False, "default")


def test_files_of_the_variable_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first file to name something wins; absent files are skipped; relative names start at their own file."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "token").write_text("other\n")
    user = {"name": "u", "user": {"tokenFile": "token"}}
    first = write(tmp_path / "sub" / "first", {"users": [user], "current-context": "two"})
    second = write(tmp_path / "second", FILE)
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path / 'absent'}:{second}")
    access = kubeconfig.load()
    assert (access.server, access.token) == ("unix:///run/x", "other")


@pytest.mark.parametrize(
    ("document", "context", "message"),
    [
        (FILE, "none", "there is no context 'none'"),
        (FILE, "lost", "there is no cluster 'nowhere'"),
        ({}, "", "no current context"),
        (["a"], "", "not a kubeconfig file"),
        ({**FILE, "users": [{"name": "u", "user": {"exec": {}}}]}, "", "exec credentials are not supported"),
        ({**FILE, "clusters": [{"name": "c", "cluster": {"certificate-authority-data": "*"}}]}, "", "not base64"),
    ],
)
def test_a_broken_file_says_what_is_wrong(tmp_path: Path, document: object, context: str, message: str) -> None:
    """Every way to be unusable is a KubeconfigError that names the entry."""
    with pytest.raises(KubeconfigError, match=message):
        kubeconfig.load(write(tmp_path / "k", document), context=context)


def test_embedded_certificates_make_a_context() -> None:
    """A client certificate embedded as data gets into the TLS context and nowhere else on disk."""
    authority = pki.new_authority(datetime.now(UTC))
    pair = pki.new_identity(authority, pki.Subject("me"), datetime.now(UTC))
    document = yaml.safe_load(pki.kubeconfig("https://a", authority.cert, pair, user="me"))
    access = kubeconfig.from_documents([(Path("k"), document)])
    tls = access.tls()
    assert tls is not None
    assert len(tls.get_ca_certs()) == 1
    assert access.cert == pair.cert
