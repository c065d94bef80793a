"""The data directory's certificates work for TLS both ways, and are made once."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml

from miniplane import pki


async def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> dict[str, Any]:
    """Connect over loopback and give the client's certificate as the server sees it."""
    seen: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.set_result(writer.get_extra_info("peercert") or {})
        writer.close()
        await writer.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=name)
        await reader.read()
        writer.close()
        await writer.wait_closed()
        return await seen


async def test_node_and_server_trust_each_other(tmp_path: Path) -> None:
    """A node's certificate tells its user and group to the API server, under the server's name."""
    pki.ensure(tmp_path, server="https://127.0.0.1:6443", nodes=["node-1"])
    server = pki.server_context(pki.files(tmp_path, "apiserver"), client="required")
    client = pki.client_context(pki.files(tmp_path, "node-1"))
    subject = (await handshake(server, client, "kubernetes.default.svc"))["subject"]
    assert (("organizationName", "system:nodes"),) in subject
    assert (("commonName", "system:node:node-1"),) in subject


async def test_only_the_api_server_serves_under_its_urls_name(tmp_path: Path) -> None:
    """The host of the kubeconfig files' URL is the API server's; no node can pass for it."""
    pki.ensure(tmp_path, server="https://apiserver:6443", nodes=["node-1"])
    client = pki.client_context(pki.files(tmp_path, "controllers"))
    await handshake(pki.server_context(pki.files(tmp_path, "apiserver"), client="required"), client, "apiserver")
    with pytest.raises(ssl.SSLCertVerificationError):
        await handshake(pki.server_context(pki.files(tmp_path, "node-1")), client, "apiserver")


async def test_foreign_authority_is_refused(tmp_path: Path) -> None:
    """A client of another cluster does not trust this server."""
    pki.ensure(tmp_path / "a", server="https://127.0.0.1:1")
    pki.ensure(tmp_path / "b", server="https://127.0.0.1:1")
    server = pki.server_context(pki.files(tmp_path / "a", "apiserver"))
    client = pki.client_context(pki.files(tmp_path / "b", "admin"))
    with pytest.raises(ssl.SSLCertVerificationError):
        await handshake(server, client, "localhost")


def test_ensure_keeps_what_is_there(tmp_path: Path) -> None:
    """A second call changes nothing but a kubeconfig whose server moved; keys are private."""
    pki.ensure(tmp_path, server="https://127.0.0.1:1", nodes=["node-1"])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    pki.ensure(tmp_path, server="https://127.0.0.1:2", nodes=["node-1"])
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    changed = {path.name for path in before if before[path] != after[path]}
    assert changed == {"kubeconfig", "controllers.kubeconfig", "node-1.kubeconfig"}
    assert yaml.safe_load(after[tmp_path / "kubeconfig"])["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:2"
    assert (tmp_path / "pki" / "ca.key").stat().st_mode & 0o077 == 0


def test_without_the_authoritys_key_nothing_is_made(tmp_path: Path) -> None:
    """A folder that was given only a CA's certificate keeps it: a second CA would split the cluster."""
    pki.ensure(tmp_path, server="https://127.0.0.1:1")
    (tmp_path / "pki" / "ca.key").unlink()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    pki.ensure(tmp_path, server="https://127.0.0.1:2", nodes=["node-1"])
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
