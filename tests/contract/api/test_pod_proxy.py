"""`pods/proxy` and `services/proxy`: any method to a pod, by way of its node's kubelet, and its answer back."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from miniplane import upgrade
from miniplane.api.wellknown import KUBELET_ADDRESS
from tests.contract.api.conftest import Api, pod

DEFAULT = "/api/v1/namespaces/default"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


class _Far:
    """An open connection as `Bytes`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def read(self) -> bytes:
        """See `Bytes`."""
        return await self.reader.read(1000)

    async def write(self, data: bytes) -> None:
        """See `Bytes`."""
        self.writer.write(data)

    async def close(self) -> None:
        """See `Bytes`."""
        self.writer.close()


async def dial(request: web.Request) -> web.StreamResponse:
    """What a kubelet does, for a pod that is on this machine."""
    assert request.query["host"] == "10.244.1.5"
    if request.query["port"] == "1":
        raise web.HTTPBadGateway(text="dial tcp 10.244.1.5:1: connect: connection refused")
    far = _Far(*await asyncio.open_connection("127.0.0.1", int(request.query["port"])))
    taken = await upgrade.take(request, {"Upgrade": "tcp"})
    await upgrade.join(taken, far)
    return taken.response


async def echo(request: web.Request) -> web.StreamResponse:
    """Tells what was asked; `/go…` redirects, `/ws` is a WebSocket."""
    if request.path.startswith("/go"):
        raise web.HTTPFound({"/go/here": "/there?x=1", "/go/self": f"http://{request.host}/there"}[request.path])
    if request.path == "/ws":
        socket = web.WebSocketResponse(protocols=("chat",))
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(f"{socket.ws_protocol} {message.data}")
        return socket
    names = ("X-Mine", "X-Remote-User", "X-Forwarded-For", "X-Forwarded-Uri")
    seen = {name: request.headers[name] for name in names if name in request.headers}
    text = f"{request.method} {request.raw_path} {await request.text()} {seen}"
    return web.Response(text=text, headers={"X-Answer": "yes", "Connection": "close"}, status=418)


@pytest.fixture
async def backend(api: Api) -> AsyncIterator[int]:
    """The port of the pod `web` on node-1, with the Service `web` before it."""
    kubelet, app = web.Application(), web.Application()
    kubelet.router.add_post("/dial", dial)
    app.router.add_route("*", "/{path:.*}", echo)
    async with TestServer(kubelet) as node, TestServer(app) as server:
        annotations = {KUBELET_ADDRESS: f"{node.host}:{node.port}"}
        await api.make("/api/v1/nodes", {"metadata": {"name": "node-1", "annotations": annotations}})
        body: Any = pod()
        body["spec"]["nodeName"] = "node-1"
        body["spec"]["containers"][0]["ports"] = [{"containerPort": server.port}]
        await api.make(f"{DEFAULT}/pods", body)
        patch = {"status": {"podIP": "10.244.1.5", "podIPs": [{"ip": "10.244.1.5"}]}}
        done = await api("PATCH", f"{DEFAULT}/pods/web/status", patch, media="application/merge-patch+json")
        assert done.status == 200, done.text
        ports = [{"name": "http", "port": 80, "targetPort": server.port}, {"name": "dead", "port": 81}]
        await api.make(f"{DEFAULT}/services", {"metadata": {"name": "web"}, "spec": {"ports": ports}})
        piece = {
            "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": server.port}, {"name": "dead", "port": 1}],
            "endpoints": [
                {"addresses": ["10.244.1.5"], "nodeName": "node-1"},
                {"addresses": ["10.244.1.9"], "nodeName": "gone", "conditions": {"ready": False}},
            ],
        }
        await api.make(SLICES, piece)
        assert server.port is not None
        yield server.port


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("place", ["pods/web", "pods/http:web:", "services/web:http", "services/web:80"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_every_method_and_path(api: Api, method: str, place: str) -> None:
    """Method, path to the last slash, query, body, status are the two ends' own; headers too, but for credentials."""
    headers = {"X-Mine": "1", "X-Remote-User": "eve"}
    url = f"{api.url}{DEFAULT}/{place}/proxy/a//b%2Fc/?q=1&q=2"
    async with api.session.request(method, url, data=b"body", headers=headers) as answer:
        text = await answer.text()
        assert (answer.status, answer.headers["X-Answer"]) == (418, "yes")
    assert text.startswith(f"{method} /a//b%2Fc/?q=1&q=2 body {{'X-Mine': '1', 'X-Forwarded-For'")
    assert "eve" not in text


@pytest.mark.usefixtures("backend")
async def test_head_and_redirects(api: Api) -> None:
    """HEAD has no body; without a slash at the end comes a redirect to it; the backend's own stay behind the proxy."""
    root = f"{DEFAULT}/pods/web/proxy"
    async with api.session.head(f"{api.url}{root}/x") as answer:
        assert (answer.status, await answer.read()) == (418, b"")
    places = {
        f"{root}?a=b": (301, f"{root}/?a=b"),
        f"{root}/go/here": (302, f"{root}/there?x=1"),
        f"{root}/go/self": (302, f"{root}/there"),
    }
    for path, wanted in places.items():
        async with api.session.get(f"{api.url}{path}", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == wanted


@pytest.mark.usefixtures("backend")
async def test_websocket_to_a_pod(api: Api) -> None:
    """An upgrade goes through, with its protocol; one that the pod refuses is the pod's answer."""
    url = f"{api.url}{DEFAULT}/services/web:http/proxy"
    async with api.session.ws_connect(f"{url}/ws", protocols=("chat",)) as socket:
        await socket.send_str("hello")
        assert await socket.receive_str() == "chat hello"
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await api.session.ws_connect(f"{url}/no")
    assert caught.value.status == 418


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(
    ("place", "status", "text"),
    [
        ("pods/ftp:web:80", 400, 'invalid pod request "ftp:web:80"'),
        ("pods/web:http", 400, "the port must be a number"),
        ("pods/none", 404, 'pods "none" not found'),
        ("pods/web:1", 503, "error trying to reach service: dial tcp 10.244.1.5:1: connect: connection refused"),
        ("services/web:dead", 503, "connection refused"),
        ("services/web:82", 503, 'no service port "82" found for service "web"'),
        ("services/none", 404, 'services "none" not found'),
    ],
)
async def test_where_nothing_answers(api: Api, place: str, status: int, text: str) -> None:
    """Each failure is a Status that says what is wrong."""
    answer = await api("GET", f"{DEFAULT}/{place}/proxy/")
    assert answer.status == status
    assert text in answer.message


async def test_without_address_or_endpoints(api: Api) -> None:
    """A pod without an address, a Service without ready pods: told at once."""
    await api.make(f"{DEFAULT}/pods", pod())
    answer = await api("GET", f"{DEFAULT}/pods/web/proxy/")
    assert (answer.status, answer.message) == (400, "address not allowed")
    await api.make(f"{DEFAULT}/services", {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
    answer = await api("GET", f"{DEFAULT}/services/web:80/proxy/")
    assert (answer.status, answer.message) == (503, 'no endpoints available for service "web:80"')
