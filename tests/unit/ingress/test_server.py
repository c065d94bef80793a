"""The ingress proxy carries requests through the pod network and says why it can't."""

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from miniplane.dataplane.http_routes import Routes
from tests.unit.ingress.bench import CLIENT, ONE, PROXY, TWO, Bench, Handler, echo, routes


async def test_a_request_is_passed_on(bench: Bench, client: aiohttp.ClientSession) -> None:
    """Method, path, query, body and Host arrive; forwarded headers are the proxy's own; hop-by-hop ones stay behind."""
    await bench.serve(ONE, echo)
    bench.routes = routes(api=[(ONE, 80)])
    headers = {"Host": "api", "X-Forwarded-For": "1.2.3.4", "X-Mine": "1", "Connection": "X-Drop", "X-Drop": "1"}
    async with client.put("/a%2Fb?c=%20d", headers=headers, data=b"text") as answer:
        told = await answer.json()
        assert answer.headers["Set-Cookie"] == "a=b"
        assert "X-Secret" not in answer.headers
    assert (told["peer"], told["method"], told["path"], told["body"]) == (PROXY, "PUT", "/a%2Fb?c=%20d", "text")
    got = told["headers"]
    assert got["Host"] == got["X-Forwarded-Host"] == "api"
    assert got["X-Forwarded-For"] == CLIENT
    assert got["X-Forwarded-Proto"] == "http"
    assert got["X-Mine"] == "1"
    assert "X-Drop" not in got
    line = json.loads(bench.log[0])
    assert (line["method"], line["path"], line["status"], line["host"]) == ("PUT", "/a%2Fb?c=%20d", 200, "api")
    assert (line["client"], line["service"], line["endpoint"]) == (CLIENT, "default/api:80", f"{ONE}:80")
    assert (line["route"], line["field"], line["attempts"]) == ("Ingress default/i", "spec", 1)


async def test_bodies_stream(bench: Bench, client: aiohttp.ClientSession) -> None:
    """Large bodies of unknown length pass in both directions."""

    async def double(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        async for chunk in request.content.iter_any():
            await answer.write(chunk)
        await answer.write_eof()
        return answer

    async def chunks() -> AsyncIterator[bytes]:
        for number in range(64):
            yield bytes([number]) * 65536

    await bench.serve(ONE, double)
    bench.routes = routes(api=[(ONE, 80)])
    async with client.post("/", headers={"Host": "api"}, data=chunks()) as answer:
        body = await answer.read()
    assert body == b"".join([bytes([number]) * 65536 for number in range(64)])


async def test_endpoints_take_turns(bench: Bench, client: aiohttp.ClientSession) -> None:
    """Requests go to the endpoints in turn, and past one that refuses."""

    def named(name: str) -> Handler:
        async def handler(_: web.BaseRequest) -> web.StreamResponse:
            return web.Response(text=name)

        return handler

    async def ask() -> str:
        async with client.get("/", headers={"Host": "api"}) as answer:
            return await answer.text()

    await bench.serve(ONE, named("one"))
    await bench.serve(TWO, named("two"))
    bench.routes = routes(api=[(ONE, 80), (TWO, 80)])
    assert [await ask() for _ in range(4)] == ["one", "two", "one", "two"]
    bench.routes = routes(api=[(ONE, 81), (TWO, 80)])
    assert [await ask() for _ in range(4)] == ["two"] * 4


async def test_own_answers(bench: Bench, client: aiohttp.ClientSession) -> None:
    """Unknown host 404, no endpoint 503, none that connects 502, no routes known yet 503."""

    async def status(host: str) -> int:
        async with client.get("/", headers={"Host": host}) as answer:
            return answer.status

    bench.routes = routes(none=[], closed=[(CLIENT, 80)])
    assert [await status(host) for host in ("other", "none", "closed")] == [404, 503, 502]
    bench.routes = None
    assert await status("none") == 503
    async with client.get(f"http://{PROXY}:10254/healthz") as answer:
        assert answer.status == 503
    bench.routes = Routes()
    async with client.get(f"http://{PROXY}:10254/healthz") as answer:
        assert (answer.status, await answer.text()) == (200, "ok")


async def test_a_silent_backend(bench: Bench, client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that does not answer in time is a 504, and so is one whose packets are dropped."""
    hold = asyncio.Event()

    async def wait(_: web.BaseRequest) -> web.StreamResponse:
        await hold.wait()
        return web.Response()

    await bench.serve(ONE, wait)
    bench.routes = routes(api=[(ONE, 80)])
    monkeypatch.setattr(bench.proxy._session, "_timeout", aiohttp.ClientTimeout(total=None, sock_read=0.05))
    async with client.get("/", headers={"Host": "api"}) as answer:
        assert answer.status == 504
    hold.set()
    bench.cluster.program(
        policies=[
            {
                "metadata": {"namespace": "default", "name": "deny", "uid": "deny"},
                "spec": {"podSelector": {"matchLabels": {"app": f"b{TWO}"}}},
            }
        ]
    )
    await bench.serve(TWO, echo)
    monkeypatch.setattr("agents.ingress.upstream.CONNECT_TIMEOUT_S", 0.05)
    bench.routes = routes(api=[(TWO, 80)])
    async with client.get("/", headers={"Host": "api"}) as answer:
        assert answer.status == 504


async def test_websockets(bench: Bench, client: aiohttp.ClientSession) -> None:
    """A WebSocket passes through, with its subprotocol, text, bytes and closing code."""

    async def socket(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.WebSocketResponse(protocols=("chat",))
        await answer.prepare(request)
        async for message in answer:
            if message.type is aiohttp.WSMsgType.TEXT:
                await answer.send_str(message.data.upper())
            else:
                await answer.send_bytes(message.data[::-1])
                await answer.close(code=4001)
        return answer

    await bench.serve(ONE, socket)
    bench.routes = routes(api=[(ONE, 80)])
    async with client.ws_connect("/", headers={"Host": "api"}, protocols=("other", "chat")) as ws:
        assert ws.protocol == "chat"
        await ws.send_str("hello")
        assert await ws.receive_str() == "HELLO"
        await ws.send_bytes(b"abc")
        assert await ws.receive_bytes() == b"cba"
        assert (await ws.receive()).type is aiohttp.WSMsgType.CLOSE
        assert ws.close_code == 4001


async def test_a_backend_that_breaks_off(bench: Bench, client: aiohttp.ClientSession) -> None:
    """A body that ends too early reaches the client as a broken one, never as a whole one."""
    begun = asyncio.Event()

    async def broken(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "1000"})
        await answer.prepare(request)
        await answer.write(b"x" * 10)
        await begun.wait()
        assert request.transport is not None
        request.transport.abort()
        return answer

    await bench.serve(ONE, broken)
    bench.routes = routes(api=[(ONE, 80)])
    async with client.get("/", headers={"Host": "api"}) as answer:
        assert await answer.content.read(10) == b"x" * 10
        begun.set()
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientOSError)):
            await answer.read()


async def test_a_backend_that_answers_no_handshake(bench: Bench, client: aiohttp.ClientSession) -> None:
    """One that closes instead of taking a WebSocket is a bad gateway, as for any other request."""

    async def hang_up(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    await bench.serve(ONE, hang_up)
    bench.routes = routes(api=[(ONE, 80)])
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await client.ws_connect("/", headers={"Host": "api"})
    assert caught.value.status == 502
    assert json.loads(bench.log[0])["status"] == 502
