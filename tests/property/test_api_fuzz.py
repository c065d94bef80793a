"""Whatever is asked, the API server blames itself for nothing and stores nothing that it has refused."""

import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import RawTestServer
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from apiserver.app import compose
from apiserver.registry.bootstrap import bootstrap
from apiserver.settings import Settings
from apiserver.store import open_store
from miniplane.aio import SystemClock
from miniplane.config import Network
from miniplane.kinds import REGISTRY
from tests.contract.api.conftest import JSON_PATCH, MERGE, STRATEGIC, Api, config_map, deployment, pod, service

CORE = "/api/v1/namespaces/default"
NETWORKING = "/apis/networking.k8s.io/v1"
POLICY = {
    "metadata": {"name": "p"},
    "spec": {
        "podSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]},
        "policyTypes": ["Ingress"],
        "ingress": [
            {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}], "ports": [{"port": 80}]}
        ],
    },
}
INGRESS = {
    "metadata": {"name": "i"},
    "spec": {
        "rules": [
            {
                "host": "a.example.com",
                "http": {
                    "paths": [
                        {
                            "path": "/",
                            "pathType": "Prefix",
                            "backend": {"service": {"name": "web", "port": {"number": 80}}},
                        }
                    ]
                },
            }
        ]
    },
}
NODE = {
    "metadata": {"name": "n"},
    "spec": {"podCIDR": "10.9.0.0/24", "podCIDRs": ["10.9.0.0/24"], "taints": [{"key": "a", "effect": "NoSchedule"}]},
    "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]},
}
SLICE = {
    "metadata": {"name": "s"},
    "addressType": "IPv4",
    "endpoints": [
        {"addresses": ["10.0.0.1"], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": "x"}}
    ],
    "ports": [{"port": 80, "name": "", "protocol": "TCP"}],
}
GOOD: tuple[tuple[str, Any], ...] = (
    (f"{CORE}/configmaps", config_map()),
    (f"{CORE}/pods", pod()),
    (f"{CORE}/services", service(type="NodePort")),
    (f"{CORE}/secrets", {"metadata": {"name": "s"}, "type": "Opaque", "data": {"a": "YQ=="}}),
    ("/apis/apps/v1/namespaces/default/deployments", deployment()),
    (f"{NETWORKING}/namespaces/default/networkpolicies", POLICY),
    (f"{NETWORKING}/namespaces/default/ingresses", INGRESS),
    (f"{NETWORKING}/servicecidrs", {"metadata": {"name": "c"}, "spec": {"cidrs": ["10.100.0.0/24"]}}),
    ("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", SLICE),
    ("/api/v1/nodes", NODE),
    ("/api/v1/namespaces", {"metadata": {"name": "fuzz"}, "spec": {"finalizers": ["kubernetes"]}}),
)
"""Collections and an object for each to start from."""
BELOW: tuple[tuple[str, str, Any], ...] = (
    ("PUT", "/apis/apps/v1/namespaces/default/deployments/web/scale", {"spec": {"replicas": 1}}),
    ("POST", f"{CORE}/pods/web/binding", {"target": {"kind": "Node", "name": "n"}, "metadata": {"uid": "x"}}),
    ("POST", f"{CORE}/pods/web/eviction", {"deleteOptions": {"gracePeriodSeconds": 1, "preconditions": {"uid": "x"}}}),
    ("PUT", "/api/v1/namespaces/default/finalize", {"spec": {"finalizers": ["kubernetes"]}}),
    ("DELETE", f"{CORE}/pods/web", {"preconditions": {"uid": "x"}, "propagationPolicy": "Orphan", "dryRun": ["All"]}),
    (
        "PUT",
        f"{CORE}/pods/web/status",
        {"status": {"phase": "Running", "conditions": [{"type": "a", "status": "True"}]}},
    ),
)
WORDS = st.sampled_from(
    (
        "",
        "a",
        "..",
        "10.0.0.0/8",
        "10.0.0.1",
        "::/0",
        "-1",
        "99999999999999999999",
        "x" * 70,
        "\0",
        "é",
        "True",
        "$patch",
    )
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | WORDS | st.text(max_size=8)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=6
)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (holder, key) inside a value."""
    for key, child in list(value.items()) if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(child, dict | list):
            yield from _places(child)


@st.composite
def mutants(draw: st.DrawFn, good: Any) -> Any:
    """A good object with one to three values in it replaced, or a field added."""
    obj = json.loads(json.dumps(good))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(obj))
        if not places:
            break
        holder, key = places[draw(st.integers(0, len(places) - 1))]
        if isinstance(holder, dict) and draw(st.integers(0, 5)) == 0:
            key = draw(WORDS)
        holder[key] = draw(VALUES)
    return obj


@st.composite
def writes(draw: st.DrawFn) -> tuple[str, str, str, bytes]:
    """A method, a path, a content type and a body."""
    if draw(st.integers(0, 3)) == 0:
        method, path, good = draw(st.sampled_from(BELOW))
        return method, path, "application/json", json.dumps(draw(mutants(good))).encode()
    path, good = draw(st.sampled_from(GOOD))
    method = draw(st.sampled_from(("POST", "PUT", "PATCH")))
    if method != "POST":
        path = f"{path}/{good['metadata']['name']}"
    if method != "PATCH":
        return method, path, "application/json", json.dumps(draw(mutants(good))).encode()
    media = draw(st.sampled_from((MERGE, STRATEGIC, JSON_PATCH)))
    if media != JSON_PATCH:
        return method, path, media, json.dumps(draw(mutants(good))).encode()
    pointer = st.sampled_from(
        ("/spec", "/metadata/labels", "/metadata", "/spec/ports/0", "", "/data/a", "/x/y", "spec")
    )
    operation = st.fixed_dictionaries(
        {"op": st.sampled_from(("add", "remove", "replace", "copy", "move", "test", "bogus")), "path": pointer},
        optional={"value": VALUES, "from": pointer},
    )
    return method, path, media, json.dumps(draw(st.lists(operation | VALUES, max_size=3))).encode()


class World:
    """A server on a loop of its own, so that examples can be plain functions."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.stack = AsyncExitStack()
        self.api: Api

    async def start(self, folder: Path) -> None:
        """Open everything and make one object of each kind."""
        setup = Settings(data_dir=folder, network=Network())
        store = await self.stack.enter_async_context(open_store("memory://"))
        app = compose(setup, store, REGISTRY, SystemClock())
        await bootstrap(app.pipeline, REGISTRY, setup.network, 6443)
        server = await self.stack.enter_async_context(RawTestServer(app.handler, access_log=None))
        session = await self.stack.enter_async_context(ClientSession())
        self.stack.push_async_callback(app.proxy.close)
        self.stack.callback(app.watches.close)
        self.api = Api(session, str(server.make_url("")).rstrip("/"), store, app)
        for path, good in GOOD:
            await self.api.make(path, good)

    def ask(self, method: str, path: str, media: str = "", body: bytes | None = None) -> int:
        """The status of an answer; the store is untouched by what is refused."""

        async def once() -> int:
            before = self.api.store.revision
            headers = {"Content-Type": media} if media else {}
            url = URL(self.api.url + path, encoded=True)
            async with self.api.session.request(method, url, data=body, headers=headers) as response:
                text = await response.text()
                refused = response.status >= 400
                assert not refused or json.loads(text)["kind"] == "Status", text
                assert not refused or self.api.store.revision == before, text
                return response.status

        return self.runner.run(once())


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A running server."""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        made = World(runner)
        try:
            runner.run(made.start(Path(folder)))
            yield made
        finally:
            runner.run(made.stack.aclose())


@settings(max_examples=250, deadline=None)
@given(request=writes(), dry=st.booleans(), validation=st.sampled_from(("", "Strict", "Warn", "Ignore")))
def test_writes(
    world: World,
    request: tuple[str, str, str, bytes],
    dry: bool,  # noqa: FBT001  a parameter that Hypothesis draws
    validation: str,
) -> None:
    """No body or patch, however mutilated, is the server's fault, and a refusal changes nothing."""
    method, path, media, body = request
    query = {
        name: value for name, value in (("dryRun", "All" if dry else ""), ("fieldValidation", validation)) if value
    }
    status = world.ask(method, f"{path}?{urlencode(query)}", media, body)
    assert status < 500, body


@settings(max_examples=60, deadline=None)
@given(
    media=st.sampled_from(("application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "x")),
    body=st.binary(max_size=80),
)
def test_bytes(world: World, media: str, body: bytes) -> None:
    """Nor are bytes that are no object at all."""
    prefix = b"k8s\0" if "protobuf" in media else b""
    assert world.ask("POST", f"{CORE}/configmaps", media, prefix + body) < 500


NAMES = (
    "limit", "continue", "resourceVersion", "resourceVersionMatch", "labelSelector", "fieldSelector", "watch",
    "sendInitialEvents", "allowWatchBookmarks", "includeObject", "pretty", "timeout", "dryRun", "bogus",
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    path=st.sampled_from([path for path, _ in GOOD]) | st.text(max_size=20).map(lambda text: "/api/v1/" + quote(text)),
    query=st.dictionaries(st.sampled_from(NAMES), SCALARS.map(str), max_size=4),
)
def test_reads(world: World, path: str, query: dict[str, str]) -> None:
    """Nor is any path or query; a revision from the future is a Timeout, as upstream has it."""
    status = world.ask("GET", f"{path}?{urlencode({**query, 'timeoutSeconds': '-1'}, errors='replace')}")
    assert status < 500 or (status == 504 and "resourceVersion" in query)
