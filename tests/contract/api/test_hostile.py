"""What a hostile or careless client sends is refused as upstream does: never a server error, and nothing is stored."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession, web
from yarl import URL

from apiserver.http.protocol import LINE_BYTES, Server
from apiserver.settings import Settings
from tests.contract.api.conftest import JSON_PATCH, MERGE, STRATEGIC, Api, config_map, deployment, pod, service

CORE = "/api/v1/namespaces/default"
MAPS, PODS, SERVICES = f"{CORE}/configmaps", f"{CORE}/pods", f"{CORE}/services"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
POLICIES = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies"
NODES = "/api/v1/nodes"


@pytest.fixture
async def furnished(api: Api) -> AsyncIterator[Api]:
    """A server with one object of each kind in play; fails a test in which anything more was stored."""
    await api.make(MAPS, config_map())
    await api.make(PODS, pod())
    await api.make(SERVICES, service(type="NodePort", clusterIP="10.96.3.3", ports=[{"port": 80, "nodePort": 30080}]))
    await api.make(DEPLOYMENTS, deployment())
    before = api.store.revision
    yield api
    assert api.store.revision == before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{DEPLOYMENTS}/web/scale", {"spec": 5}),
        (f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": "x"}}),
        (f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 1.5}}),
        (f"{DEPLOYMENTS}/web/scale", {"spec": {"replicas": 2**31}}),
        (f"{DEPLOYMENTS}/web/scale", {"metadata": 5}),
        ("/api/v1/namespaces/default/finalize", {"spec": 5}),
        ("/api/v1/namespaces/default/finalize", {"spec": {"finalizers": 5}}),
        ("/api/v1/namespaces/default/finalize", {"spec": {"finalizers": [1]}}),
    ],
)
async def test_subresources_put_with_wrong_types(furnished: Api, path: str, body: Any) -> None:
    """A subresource's body has types too: 400 in the decoder's words."""
    answer = await furnished("PUT", path, body)
    assert (answer.status, answer.reason) == (400, "BadRequest"), answer.text


@pytest.mark.parametrize("body", [{"spec": 5}, {"spec": {"replicas": "x"}}, {"spec": {"replicas": 2**31}}])
async def test_a_scale_patched_out_of_its_types(furnished: Api, body: Any) -> None:
    """The result of a patch of a Scale is checked as a body is."""
    answer = await furnished("PATCH", f"{DEPLOYMENTS}/web/scale", body, media=MERGE)
    assert (answer.status, answer.reason) == (400, "BadRequest"), answer.text


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{PODS}/web/binding", {"target": 5}),
        (f"{PODS}/web/binding", {"target": {"name": 5}}),
        (f"{PODS}/web/binding", {"metadata": {"annotations": 5}, "target": {"name": "node-1"}}),
        (f"{PODS}/web/eviction", {"metadata": 5}),
        (f"{PODS}/web/eviction", {"deleteOptions": 5}),
        (f"{PODS}/web/eviction", {"deleteOptions": {"preconditions": 5}}),
        (f"{PODS}/web/eviction", {"deleteOptions": {"gracePeriodSeconds": "x"}}),
        (f"{PODS}/web/eviction", {"kind": "Pod"}),
    ],
)
async def test_bindings_and_evictions_with_wrong_types(furnished: Api, path: str, body: Any) -> None:
    """Neither binds or evicts."""
    answer = await furnished("POST", path, body)
    assert (answer.status, answer.reason) == (400, "BadRequest"), answer.text


@pytest.mark.parametrize(
    "options", [{"preconditions": 5}, {"preconditions": {"uid": 5}}, {"dryRun": 5}, {"kind": "Pod"}, {"kind": 5}]
)
async def test_delete_options_with_wrong_types(furnished: Api, options: Any) -> None:
    """They delete nothing."""
    answer = await furnished("DELETE", f"{PODS}/web", options)
    assert (answer.status, answer.reason) == (400, "BadRequest"), answer.text


@pytest.mark.parametrize(
    ("media", "body", "status"),
    [
        (JSON_PATCH, [{"op": "foo", "path": "/a"}], 422),
        (JSON_PATCH, [{"op": "add", "path": "a", "value": 1}], 422),
        (JSON_PATCH, [{"op": "copy", "from": "/metadata", "path": "/metadata/labels"}] * 200, 422),
        (JSON_PATCH, [{"op": "add", "path": "/a", "value": 1}] * 10_001, 400),
        (JSON_PATCH, [{"op": "replace", "path": "", "value": []}], 422),
        (JSON_PATCH, [5], 400),
        (MERGE, 5, 400),
        (MERGE, {"kind": "Secret"}, 400),
        (MERGE, {"apiVersion": 5}, 400),
        (MERGE, {"metadata": {"name": "other"}}, 400),
        (MERGE, {"metadata": {"finalizers": "x"}}, 400),
        (MERGE, {"metadata": {"finalizers": ["a b"]}}, 422),
        (MERGE, {"metadata": {"ownerReferences": [{"a": 1}]}}, 422),
        (MERGE, {"metadata": {"annotations": {"a": "x" * 300_000}}}, 422),
        (STRATEGIC, {"$patch": "foo"}, 422),
        (STRATEGIC, {"spec": {"containers": [{"image": "x"}]}}, 422),
        (STRATEGIC, {"spec": {"containers": "x"}}, 400),
        (STRATEGIC, {"spec": {"$setElementOrder/containers": 5}}, 400),
        (STRATEGIC, {"spec": {"$retainKeys": [{}], "a": "b"}}, 400),
        (STRATEGIC, {"spec": {"$deleteFromPrimitiveList/x": 5}}, 400),
        ("application/apply-patch+cbor", {}, 415),
    ],
)
async def test_patches_that_make_no_sense(furnished: Api, media: str, body: Any, status: int) -> None:
    """Malformed ones are 400, those that do not apply or break rules 422, unknown forms 415."""
    assert (await furnished("PATCH", f"{PODS}/web", body, media=media)).status == status


def _policy(**rule: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"podSelector": {}, "ingress": [rule]}}


def _block(**block: Any) -> dict[str, Any]:
    return _policy(**{"from": [{"ipBlock": block}]})


@pytest.mark.parametrize(
    ("path", "body", "field", "reason"),
    [
        (SERVICES, service("x", clusterIP="10.96.3.3"), "spec.clusterIPs", "Invalid"),
        (SERVICES, service("x", clusterIP="10.096.0.5"), "spec.clusterIPs[0]", "Invalid"),
        (SERVICES, service("x", clusterIP="10.96.255.255"), "spec.clusterIPs", "Invalid"),
        (
            SERVICES,
            service("x", type="NodePort", ports=[{"port": 1, "nodePort": 30080}]),
            "spec.ports[0].nodePort",
            "Invalid",
        ),
        (SERVICES, service("x", ports=[{"port": 1, "nodePort": 30081}]), "spec.ports[0].nodePort", "Forbidden"),
        (SERVICES, service("x", externalTrafficPolicy="Local"), "spec.externalTrafficPolicy", "Invalid"),
        (
            SERVICES,
            service("x", type="LoadBalancer", loadBalancerSourceRanges=["1.2.3.4/99"]),
            "spec.loadBalancerSourceRanges[0]",
            "Invalid",
        ),
        (POLICIES, _block(cidr="10.0.0.0/33"), "spec.ingress[0].from[0].ipBlock.cidr", "Invalid"),
        (
            POLICIES,
            _block(cidr="10.0.0.0/8", **{"except": ["11.0.0.0/16"]}),
            "spec.ingress[0].from[0].ipBlock.except[0]",
            "Invalid",
        ),
        (
            POLICIES,
            _block(cidr="10.0.0.0/8", **{"except": ["10.0.0.0/8"]}),
            "spec.ingress[0].from[0].ipBlock.except[0]",
            "Invalid",
        ),
        (POLICIES, _policy(**{"from": [{}]}), "spec.ingress[0].from[0]", "Required"),
        (POLICIES, _policy(ports=[{"port": 0}]), "spec.ingress[0].ports[0].port", "Invalid"),
        (POLICIES, _policy(ports=[{"port": 80, "endPort": 79}]), "spec.ingress[0].ports[0].endPort", "Invalid"),
        (NODES, {"metadata": {"name": "n"}, "spec": {"podCIDRs": ["10.0.0.0/99"]}}, "spec.podCIDRs[0]", "Invalid"),
        (
            NODES,
            {"metadata": {"name": "n"}, "spec": {"podCIDRs": ["10.0.0.0/24", "10.0.1.0/24"]}},
            "spec.podCIDRs",
            "Invalid",
        ),
        (
            "/apis/networking.k8s.io/v1/servicecidrs",
            {"metadata": {"name": "c"}, "spec": {"cidrs": ["10.0.0.1/24"]}},
            "spec.cidrs[0]",
            "Invalid",
        ),
        (MAPS, config_map("../x"), "metadata.name", "Invalid"),
        (MAPS, config_map("x" * 300), "metadata.name", "Invalid"),
        (MAPS, config_map("x") | {"data": {"a/b": "c"}}, "data[a/b]", "Invalid"),
    ],
)
async def test_values_out_of_their_range(furnished: Api, path: str, body: Any, field: str, reason: str) -> None:
    """Ports, addresses, ranges and names: 422 with upstream's reason and path."""
    answer = await furnished("POST", path, body)
    assert (answer.status, answer.reason) == (422, "Invalid"), answer.text
    causes = [(cause["field"], cause["reason"]) for cause in answer.obj["details"]["causes"]]
    assert (field, f"FieldValue{reason}") in causes


@pytest.mark.parametrize(
    ("data", "media"),
    [
        (b'{"metadata": {"name": "x\xff"}}', "application/json"),
        (b'{"metadata": {"name": "x"}, "data": {"a": "\\ud800"}}', "application/json"),
        (b'{"metadata": {"name": "x"}, "data": {"a": NaN}}', "application/json"),
        (b'{"metadata": {"name": "x"}} more', "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"[" * 20_000, "application/yaml"),
        (b'!!python/object/apply:os.system ["true"]', "application/yaml"),
        (b"metadata: {name: x}\n---\nmetadata: {name: y}", "application/yaml"),
        (b"k8s\0\xff\xff\xff\xff", "application/vnd.kubernetes.protobuf"),
    ],
)
async def test_bodies_made_to_hurt(furnished: Api, data: bytes, media: str) -> None:
    """Bad encodings, odd numbers, bottomless nesting, tags and truncated protobuf are 400."""
    answer = await furnished("POST", MAPS, data, media=media)
    assert (answer.status, answer.reason) == (400, "BadRequest"), answer.text


async def test_aliases_do_not_multiply(furnished: Api) -> None:
    """A YAML body whose aliases would unfold to millions of values is 400."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    answer = await furnished("POST", MAPS, "\n".join(lines).encode(), media="application/yaml")
    assert (answer.status, answer.reason) == (400, "BadRequest")


async def test_a_packed_body_is_limited_unpacked(furnished: Api, settings: Settings) -> None:
    """A small gzip body that unpacks beyond the limit is 413."""
    packed = gzip.compress(b" " * (settings.max_body_bytes * 8))
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    async with furnished.session.post(furnished.url + MAPS, data=packed, headers=headers) as response:
        assert (response.status, (await response.json())["reason"]) == (413, "RequestEntityTooLarge")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("continue=abc&limit=1", 400),
        ("limit=x", 400),
        ("resourceVersion=-1", 400),
        ("resourceVersion=1&resourceVersionMatch=Foo", 422),
        ("resourceVersionMatch=Exact", 422),
        ("resourceVersion=0&resourceVersionMatch=Exact", 422),
        ("labelSelector=a%20in%20(", 400),
        ("labelSelector=!!", 400),
        ("fieldSelector=metadata.name%3Da%5C", 400),
        ("watch=1&timeoutSeconds=x", 400),
        ("watch=1&resourceVersion=x", 400),
        ("watch=1&sendInitialEvents=true", 422),
        ("watch=1&allowWatchBookmarks=maybe", 400),
    ],
)
async def test_queries_that_make_no_sense(furnished: Api, query: str, status: int) -> None:
    """Each is refused before anything is read."""
    assert (await furnished("GET", f"{MAPS}?{query}")).status == status


async def test_numbers_that_mean_nothing_are_harmless(furnished: Api) -> None:
    """A negative or huge limit lists all, a watch of negative duration ends at once, any word but false watches."""
    for limit in ("-1", "9" * 40):
        assert len((await furnished("GET", MAPS, limit=limit)).obj["items"]) == 1
    assert (await furnished("GET", MAPS, watch="true", timeoutSeconds="-1")).status == 200
    answer = await furnished("GET", MAPS, watch="yes", timeoutSeconds="-1")
    assert orjson.loads(answer.text.splitlines()[0])["type"] == "ADDED"
    assert (await furnished("GET", MAPS, watch="False")).obj["kind"] == "ConfigMapList"


@pytest.mark.parametrize(
    "path",
    [
        f"{MAPS}/..%2f..%2fsecrets%2fs",
        f"{MAPS}/%2e%2e",
        f"{MAPS}/%ff%fe",
        f"{MAPS}/a/bogus",
        f"{MAPS}/a/status",
        f"{CORE}/bogus",
        "/api/v9/pods",
        "/api/v1//pods",
        "/apis/apps/v1//deployments",
        "/apis/bogus",
        "/apis/apps/v9",
        "/api/v1/namespaces/default//pods",
        "/openapi/v3/api/v9",
        "/bogus",
    ],
)
async def test_paths_that_lead_nowhere(furnished: Api, path: str) -> None:
    """Unknown resources, versions and tricks with slashes and dots are 404."""
    async with furnished.session.get(URL(furnished.url + path, encoded=True)) as response:
        answer = await response.json()
    assert (response.status, answer["kind"]) == (404, "Status")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", MAPS),
        ("PATCH", MAPS),
        ("POST", f"{MAPS}/a"),
        ("OPTIONS", MAPS),
        ("TRACE", f"{MAPS}/a"),
        ("POST", "/api"),
    ],
)
async def test_methods_that_are_not_served(furnished: Api, method: str, path: str) -> None:
    """They are 405, or 404 where there is nothing to write to."""
    answer = await furnished(method, path, {} if method != "TRACE" else None)
    assert answer.status in (404, 405)
    assert answer.reason in ("MethodNotAllowed", "NotFound")


async def _raw(host: str, port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(data)
        await writer.drain()
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_clients_that_leave_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A client that goes in the middle of its request, which anybody can do, makes no line in the log."""
    left = asyncio.Event()

    async def handler(request: web.BaseRequest) -> web.Response:
        try:
            await request.read()
        finally:
            left.set()
        return web.Response()

    runner = web.ServerRunner(Server(handler, access_log=None))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        _, writer = await asyncio.open_connection(*runner.addresses[0][:2])
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12")
        await writer.drain()
        writer.transport.abort()
        await asyncio.wait_for(left.wait(), 5)
    finally:
        await runner.cleanup()
    assert caplog.records == []


async def test_heads_that_cannot_be_read() -> None:
    """A method, a line or a header that is none is answered with a Status; selectors may be longer than usual."""

    async def handler(_: web.BaseRequest) -> web.Response:
        return web.Response(text="fine")

    runner = web.ServerRunner(Server(handler, access_log=None))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        for data in (
            b"F@O / HTTP/1.1\r\n\r\n",
            b"GET /" + b"a" * LINE_BYTES * 2 + b" HTTP/1.1\r\n\r\n",
            b"\0\1\2\r\n\r\n",
        ):
            head, _, body = (await _raw(host, port, data)).partition(b"\r\n\r\n")
            assert head.split()[1] == b"400"
            assert orjson.loads(body)["reason"] == "BadRequest"
        async with ClientSession() as session, session.get(f"http://{host}:{port}/?q=" + "a" * 30_000) as response:
            assert await response.text() == "fine"
    finally:
        await runner.cleanup()
