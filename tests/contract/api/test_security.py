"""Who gets in, and how far: HTTPS, certificates, tokens, the Unix socket, nodes and controllers."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from aiohttp import ClientSession, TCPConnector, UnixConnector

from apiserver import Settings, run
from miniplane import pki
from tests.contract.api.conftest import pod

PODS = "/api/v1/namespaces/default/pods"


class Cluster:
    """A server over HTTPS and a Unix socket, asked as different users."""

    def __init__(self, settings: Settings, url: str) -> None:
        self.settings = settings
        self.url = url

    def context(self, identity: str) -> ssl.SSLContext:
        """TLS as an identity of the data directory; without one, as nobody."""
        where = pki.files(self.settings.data_dir, identity or "ca")
        if identity:
            return pki.client_context(where)
        return ssl.create_default_context(cafile=str(where.ca))

    async def ask(self, identity: str, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """The code and body of an answer."""
        connector = TCPConnector(ssl=self.context(identity))
        return await self._ask(connector, self.url, method, path, body, headers)

    async def ask_locally(self, method: str, path: str, **headers: str) -> tuple[int, Any]:
        """The same through the Unix socket."""
        connector = UnixConnector(self.settings.unix_socket)
        return await self._ask(connector, "http://localhost", method, path, None, headers)

    @staticmethod
    async def _ask(
        connector: Any, url: str, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> tuple[int, Any]:
        async with (
            ClientSession(connector=connector) as session,
            session.request(method, url + path, json=body, headers=headers) as response,
        ):
            text = await response.text()
            return response.status, orjson.loads(text) if text.startswith("{") else text


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """A running server."""
    tokens = tmp_path / "tokens.csv"
    tokens.write_text('sesame,ali,u1,"system:masters"\nplain,bob,u2\n')
    settings = Settings(
        data_dir=tmp_path / "data",
        port=0,
        nodes=("node-1", "node-2"),
        token_file=str(tokens),
        unix_socket=str(tmp_path / "api.sock"),
    )
    ready = asyncio.Event()
    server = asyncio.create_task(run(settings, ready=ready.set))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({server, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if server.done():
        waiting.cancel()
        server.result()
    config = yaml.safe_load((settings.data_dir / "kubeconfig").read_text())
    yield Cluster(settings, config["clusters"][0]["cluster"]["server"])
    server.cancel()
    await asyncio.wait({server})


async def test_nobody_gets_in(cluster: Cluster) -> None:
    """Without a credential, or with a wrong token, everything but health and version is 401 Unauthorized."""
    for path in ("/api", "/apis", PODS, "/openapi/v3", "/metrics", "/bogus"):
        code, body = await cluster.ask("", "GET", path)
        assert (code, body["reason"]) == (401, "Unauthorized"), path
    for path in ("/healthz", "/livez", "/readyz", "/version"):
        assert (await cluster.ask("", "GET", path))[0] == 200
    assert (await cluster.ask("", "GET", "/version", Authorization="Bearer wrong"))[0] == 401
    assert (await cluster.ask("", "GET", PODS, Authorization="Basic Zm9vOmJhcg=="))[0] == 401


async def test_tokens(cluster: Cluster) -> None:
    """A token of an administrator may all; one of somebody else is known and may nothing but discover."""
    assert (await cluster.ask("", "GET", PODS, Authorization="Bearer sesame"))[0] == 200
    code, body = await cluster.ask("", "GET", PODS, Authorization="Bearer plain")
    assert code == 403
    assert body["message"] == (
        'pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "default"'
    )
    assert (await cluster.ask("", "GET", "/api", Authorization="Bearer plain"))[0] == 200
    code, body = await cluster.ask("", "GET", "/metrics", Authorization="Bearer plain")
    assert (code, body["message"]) == (403, 'forbidden: User "bob" cannot get path "/metrics"')


async def test_the_unix_socket_is_the_administrators(cluster: Cluster) -> None:
    """Only the owner can open it, and whoever opens it may all; a token there still says who asks."""
    assert (await cluster.ask_locally("GET", PODS))[0] == 200
    assert Path(cluster.settings.unix_socket).stat().st_mode & 0o077 == 0  # noqa: ASYNC240  a test may look
    assert cluster.settings.data_dir.stat().st_mode & 0o077 == 0
    assert (await cluster.ask_locally("GET", PODS, Authorization="Bearer plain"))[0] == 403


async def test_controllers(cluster: Cluster) -> None:
    """The controllers may write what they like and reach into no container."""
    assert (await cluster.ask("controllers", "POST", PODS, pod()))[0] == 201
    assert (await cluster.ask("controllers", "GET", "/api/v1/secrets"))[0] == 200
    for path in (
        f"{PODS}/web/exec?command=ls",
        f"{PODS}/web/attach",
        "/api/v1/nodes/node-1/proxy/exec/default/web/web",
    ):
        assert (await cluster.ask("controllers", "GET", path))[0] == 403
        assert (await cluster.ask("controllers", "POST", path))[0] == 403
    assert (await cluster.ask("controllers", "POST", "/api/v1/nodes", {"metadata": {"name": "n"}}))[0] == 403


async def test_a_node_and_its_node(cluster: Cluster) -> None:
    """A node makes and changes its own Node and Lease and no other's."""
    for name, code in (("node-1", 201), ("node-2", 403)):
        assert (await cluster.ask("node-1", "POST", "/api/v1/nodes", {"metadata": {"name": name}}))[0] == code
        lease = {"metadata": {"name": name}, "spec": {"holderIdentity": name}}
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        assert (await cluster.ask("node-1", "POST", path, lease))[0] == code
    await cluster.ask("node-2", "POST", "/api/v1/nodes", {"metadata": {"name": "node-2"}})
    merge = {"Content-Type": "application/merge-patch+json"}
    status = {"status": {"phase": "Running"}}
    assert (await cluster.ask("node-1", "PATCH", "/api/v1/nodes/node-1/status", status, **merge))[0] == 200
    code, body = await cluster.ask("node-1", "PATCH", "/api/v1/nodes/node-2/status", status, **merge)
    assert (code, body["message"]) == (
        403,
        'nodes "node-2" is forbidden: node "node-1" is not allowed to modify node "node-2"',
    )
    for label, code in (
        ("topology.kubernetes.io/zone", 200),
        ("node.kubernetes.io/anything", 200),
        ("example.com/rack", 200),
        ("node-role.kubernetes.io/control-plane", 403),
        ("node-restriction.kubernetes.io/x", 403),
        ("kubernetes.io/x", 403),
        ("x.k8s.io/y", 403),
    ):
        body = {"metadata": {"labels": {label: "x"}}}
        assert (await cluster.ask("node-1", "PATCH", "/api/v1/nodes/node-1", body, **merge))[0] == code, label
    taints = {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}
    assert (await cluster.ask("node-1", "PATCH", "/api/v1/nodes/node-1", taints, **merge))[0] == 403
    ranges = {"spec": {"podCIDR": "10.244.9.0/24", "podCIDRs": ["10.244.9.0/24"]}}
    code, answer = await cluster.ask("node-1", "PATCH", "/api/v1/nodes/node-1", ranges, **merge)
    assert (code, "not allowed to choose its pod addresses" in answer["message"]) == (403, True)
    assert (await cluster.ask("node-1", "DELETE", "/api/v1/nodes/node-1"))[0] == 403


async def test_a_node_chooses_no_addresses_and_makes_only_mirrors(cluster: Cluster) -> None:
    """A new Node with a pod range is refused, and so is every pod that is no mirror of one on the node itself."""
    node = {"metadata": {"name": "node-1"}, "spec": {"podCIDR": "10.244.9.0/24", "podCIDRs": ["10.244.9.0/24"]}}
    assert (await cluster.ask("node-1", "POST", "/api/v1/nodes", node))[0] == 403
    mirror = pod("mirror", annotations={"kubernetes.io/config.mirror": "x"})
    mirror["spec"]["nodeName"] = "node-1"
    elsewhere = {**mirror, "spec": {**mirror["spec"], "nodeName": "node-2"}}
    secret = {**mirror, "spec": {**mirror["spec"], "volumes": [{"name": "v", "secret": {"secretName": "s"}}]}}
    account = {**mirror, "spec": {**mirror["spec"], "serviceAccountName": "admin"}}
    for body, why in (
        (pod("web"), "can only create mirror pods"),
        (elsewhere, "can only create pods with spec.nodeName set to itself"),
        (secret, "can not create pods that reference secrets"),
        (account, "can not create pods that reference a service account"),
    ):
        code, answer = await cluster.ask("node-1", "POST", PODS, body)
        assert (code, why in answer["message"]) == (403, True), answer
    assert (await cluster.ask("node-1", "POST", PODS, mirror))[0] == 201


async def test_a_node_and_its_pods(cluster: Cluster) -> None:
    """A node writes the status of pods bound to it, deletes them, and makes none."""
    merge = {"Content-Type": "application/merge-patch+json"}
    for name, node in (("mine", "node-1"), ("other", "node-2")):
        body = pod(name)
        body["spec"]["nodeName"] = node
        assert (await cluster.ask("admin", "POST", PODS, body))[0] == 201
        code = 200 if name == "mine" else 403
        status = {"status": {"phase": "Running"}}
        assert (await cluster.ask("node-1", "PATCH", f"{PODS}/{name}/status", status, **merge))[0] == code
        relabel = {"metadata": {"labels": {"app": "trusted"}}}
        assert (await cluster.ask("node-1", "PATCH", f"{PODS}/{name}/status", relabel, **merge))[0] == 403
        assert (await cluster.ask("node-1", "DELETE", f"{PODS}/{name}", {"gracePeriodSeconds": 0}))[0] == code
    assert (await cluster.ask("node-1", "POST", PODS, pod()))[0] == 403
    labels = {"metadata": {"labels": {"a": "b"}}}
    assert (await cluster.ask("node-1", "PATCH", f"{PODS}/other", labels, **merge))[0] == 403


async def test_a_node_and_secrets(cluster: Cluster) -> None:
    """A node reads the secrets and config maps that its own pods name, by name only."""
    secrets = "/api/v1/namespaces/default/secrets"
    for name in ("used", "unused"):
        assert (await cluster.ask("admin", "POST", secrets, {"metadata": {"name": name}}))[0] == 201
    body = pod("mine")
    body["spec"] |= {"nodeName": "node-1", "volumes": [{"name": "v", "secret": {"secretName": "used"}}]}
    assert (await cluster.ask("admin", "POST", PODS, body))[0] == 201
    assert (await cluster.ask("node-1", "GET", f"{secrets}/used"))[0] == 200
    assert (await cluster.ask("node-1", "GET", f"{secrets}?fieldSelector=metadata.name%3Dused"))[0] == 200
    code, answer = await cluster.ask("node-1", "GET", f"{secrets}/unused")
    assert code == 403
    assert "no relationship found between node 'node-1' and this object" in answer["message"]
    assert (await cluster.ask("node-1", "GET", secrets))[0] == 403
    assert (await cluster.ask("node-2", "GET", f"{secrets}/used"))[0] == 403


async def test_where_the_keys_are_served(cluster: Cluster) -> None:
    """Discovery of the token issuer names the address that the server really has, though it took a free port."""
    document = (await cluster.ask("admin", "GET", "/.well-known/openid-configuration"))[1]
    assert document["jwks_uri"] == f"{cluster.url}/openid/v1/jwks"
