"""Logs and streams go to the node's kubelet and come back as they are."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer
from multidict import CIMultiDict
from yarl import URL

from miniplane import upgrade
from miniplane.api.wellknown import KUBELET_ADDRESS, REFUSAL
from tests.contract.api.conftest import Api, pod

PODS = "/api/v1/namespaces/default/pods"
SPDY = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}
PORT_FORWARD = "SPDY/3.1+portforward.k8s.io"


async def logs(request: web.Request) -> web.StreamResponse:
    """A container's log in two pieces, with the query it was asked with."""
    if request.match_info["container"] == "side":
        return web.Response(status=400, text="container is waiting to start")
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    await response.write(f"{request.path}?{request.query_string}\n".encode())
    await response.write(b"two\n")
    return response


async def tables(_request: web.Request) -> web.Response:
    """Something that only the node knows."""
    return web.json_response({"rules": []})


async def stream(request: web.Request) -> web.StreamResponse:
    """Echoes every message, tells the chosen protocol first, ends on `end`."""
    if "refuse" in request.query.getall("command", []):
        raise web.HTTPBadRequest(text="not running", headers={REFUSAL: "not%20running"})
    socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io", "v4.channel.k8s.io", PORT_FORWARD))
    await socket.prepare(request)
    await socket.send_str(f"{socket.ws_protocol} {request.path}?{request.query_string}")
    async for message in socket:
        if message.type is WSMsgType.TEXT and message.data == "end":
            break
        await (socket.send_bytes if message.type is WSMsgType.BINARY else socket.send_str)(message.data)
    await socket.close(code=1000)
    return socket


async def spdy(request: web.Request) -> web.StreamResponse:
    """Tells the protocols that it was asked with and echoes bytes until `end`."""
    if "refuse" in request.query.getall("command", []):
        raise web.HTTPBadRequest(text="not running")
    name = "X-Stream-Protocol-Version"
    taken = await upgrade.take(request, {"Upgrade": "SPDY/3.1", name: ", ".join(request.headers.getall(name))})
    while (data := await taken.read()) != b"end":
        await taken.write(b"echo " + data)
    await taken.close()
    return taken.response


@pytest.fixture
async def kubelet(api: Api) -> AsyncIterator[None]:
    """A kubelet that node-1 tells the address of, with a pod of two containers on it."""
    app = web.Application()
    app.router.add_get("/containerLogs/default/web/{container}", logs)
    app.router.add_get("/exec/default/web/{container}", stream)
    app.router.add_post("/exec/default/web/{container}", spdy)
    app.router.add_get("/attach/default/web/{container}", stream)
    app.router.add_get("/portForward/default/web", stream)
    app.router.add_get("/tables", tables)
    async with TestServer(app) as server:
        annotations = {KUBELET_ADDRESS: f"{server.host}:{server.port}"}
        await api.make("/api/v1/nodes", {"metadata": {"name": "node-1", "annotations": annotations}})
        body = pod()
        body["spec"] |= {"nodeName": "node-1"}
        body["spec"]["containers"].append({"name": "side", "image": "busybox"})
        await api.make(PODS, body)
        yield


@pytest.mark.usefixtures("kubelet")
async def test_logs_are_passed_on(api: Api) -> None:
    """The container's log comes as text, its options reach the kubelet, the kubelet's refusal is a Status."""
    answer = await api("GET", f"{PODS}/web/log", container="web", tailLines=5, follow="true")
    assert answer.status == 200
    assert answer.text == "/containerLogs/default/web/web?tailLines=5&follow=true\ntwo\n"
    refused = await api("GET", f"{PODS}/web/log", container="side")
    assert (refused.status, refused.message) == (400, "container is waiting to start")


@pytest.mark.usefixtures("kubelet")
@pytest.mark.parametrize(
    ("query", "status", "fields"),
    [
        ("tailLines=-1", 422, ["tailLines"]),
        ("sinceSeconds=0&limitBytes=0", 422, ["sinceSeconds", "limitBytes"]),
        ("sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z", 422, [""]),
        ("tailLines=x", 400, []),
    ],
)
async def test_bad_log_options(api: Api, query: str, status: int, fields: list[str]) -> None:
    """Options out of their range are Invalid by field, what is no number a BadRequest; the kubelet is not asked."""
    answer = await api("GET", f"{PODS}/web/log?container=web&{query}")
    assert (answer.status, answer.fields) == (status, fields), answer.text


@pytest.mark.usefixtures("kubelet")
async def test_which_container(api: Api) -> None:
    """With several containers one must be named, and it must be there."""
    unnamed = await api("GET", f"{PODS}/web/log")
    assert unnamed.message == "a container name must be specified for pod web, choose one of: [web, side]"
    unknown = await api("GET", f"{PODS}/web/log", container="other")
    assert unknown.message == "container other is not valid for pod web"


@pytest.mark.usefixtures("kubelet")
@pytest.mark.parametrize("subresource", ["exec", "attach", "portforward"])
@pytest.mark.parametrize("protocol", ["v5.channel.k8s.io", "v4.channel.k8s.io", PORT_FORWARD])
async def test_streams_are_bridged(api: Api, subresource: str, protocol: str) -> None:
    """Messages of both sorts go both ways unchanged, the protocol is the client's, the end is the kubelet's."""
    query = "container=web&command=cat&command=-n&stdin=true"
    url = f"{api.url}{PODS}/web/{subresource}?{query}"
    async with api.session.ws_connect(url, protocols=("bogus", protocol)) as socket:
        assert socket.protocol == protocol
        kubelet_path = "/portForward/default/web" if subresource == "portforward" else f"/{subresource}/default/web/web"
        assert await socket.receive_str() == f"{protocol} {kubelet_path}?{query}"
        big = bytes(range(256)) * 4096
        for data in (b"\x00hello", b"\xff\x00", big):
            await socket.send_bytes(data)
            assert await socket.receive_bytes() == data
        await socket.send_str("end")
        closed = await socket.receive()
        assert (closed.type, closed.data) == (WSMsgType.CLOSE, 1000)


@pytest.mark.usefixtures("kubelet")
async def test_a_stream_needs_an_upgrade(api: Api) -> None:
    """A plain request on a stream is a Status that says so, and so are protocols that nobody speaks."""
    answer = await api("POST", f"{PODS}/web/exec", container="web")
    assert (answer.status, answer.message) == (400, "Upgrade request required")
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await api.session.ws_connect(f"{api.url}{PODS}/web/exec?container=web", protocols=("bogus",))
    assert caught.value.status == 400


@pytest.mark.usefixtures("kubelet")
async def test_a_refused_stream_says_why(api: Api) -> None:
    """The kubelet's refusal comes as a Status on the error channel, so that no client tries SPDY instead."""
    url = f"{api.url}{PODS}/web/exec?container=web&command=refuse"
    async with api.session.ws_connect(url, protocols=("v5.channel.k8s.io",)) as socket:
        data = await socket.receive_bytes()
        assert data[:1] == b"\x03"
        status = orjson.loads(data[1:])
        assert (status["status"], status["reason"], status["message"]) == ("Failure", "BadRequest", "not running")
    async with api.session.post(f"{api.url}{PODS}/web/exec?container=web&command=refuse", headers=SPDY) as response:
        assert response.status == 400
        assert (await response.json())["message"] == "not running"


@pytest.mark.usefixtures("kubelet")
async def test_spdy_is_passed_on_as_bytes(api: Api) -> None:
    """A client that asks for SPDY has the kubelet's connection: protocol and bytes are those of the two ends."""
    url = URL(api.url)
    headers = CIMultiDict({"Host": url.authority, "X-Stream-Protocol-Version": "v4.channel.k8s.io"} | SPDY)
    headers.add("X-Stream-Protocol-Version", "v3.channel.k8s.io")
    asked = upgrade.Asked(method="POST", target=f"{PODS}/web/exec?container=web&command=cat", headers=headers)
    peer = await upgrade.connect(url.host or "", url.port or 0, asked, tls=None, timeout_s=5)
    assert peer.headers["X-Stream-Protocol-Version"] == "v4.channel.k8s.io, v3.channel.k8s.io"
    await peer.write(b"\x00\xff")
    assert await peer.read() == b"echo \x00\xff"
    await peer.write(b"end")
    assert await peer.read() == b""
    await peer.close()


@pytest.mark.usefixtures("kubelet")
async def test_a_node_answers_through_the_server(api: Api) -> None:
    """nodes/proxy passes a GET on."""
    answer = await api("GET", "/api/v1/nodes/node-1/proxy/tables")
    assert answer.obj == {"rules": []}


async def test_where_nobody_answers(api: Api) -> None:
    """Without node, kubelet address or kubelet there is a Status and no hanging."""
    await api.make(PODS, pod())
    unbound = await api("GET", f"{PODS}/web/log")
    assert (unbound.status, unbound.message) == (400, "pod web does not have a host assigned")
    await api.make("/api/v1/nodes", {"metadata": {"name": "node-1"}})
    body: Any = pod("lost")
    body["spec"]["nodeName"] = "node-1"
    await api.make(PODS, body)
    silent = await api("GET", f"{PODS}/lost/log")
    assert (silent.status, silent.reason) == (500, "InternalError")
    missing = await api("GET", f"{PODS}/nobody/log")
    assert missing.status == 404
