"""What routes do beside choosing a backend: weights, headers, redirects, rewrites, copies, time limits; retries."""

import asyncio
import json
from collections import Counter
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web

from agents.kubelet import streams
from miniplane.dataplane.http_routes import (
    Filters,
    HeaderChange,
    Match,
    PathChange,
    PathType,
    Redirect,
    Routes,
    Value,
)
from tests.integration.datapath import until
from tests.unit.ingress.bench import ONE, PROXY, TWO, Bench, Handler, backend, echo, route, routes, routing


def named(name: str) -> Handler:
    """A backend that says its name."""

    async def handler(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text=name)

    return handler


async def text(client: aiohttp.ClientSession, path: str = "/", **options: str) -> str:
    """The body of an answer from host `h`."""
    async with client.get(path, headers={"Host": "h", **options}) as answer:
        return await answer.text()


async def test_weights(bench: Bench, client: aiohttp.ClientSession) -> None:
    """Backends get their exact shares, one of weight 0 nothing, and a refused one answers 500 for its own."""
    await bench.serve(ONE, named("one"))
    await bench.serve(TWO, named("two"))
    off = backend("off", weight=0)
    bench.routes = routing(route("h", backend("a", (ONE, 80), weight=3), backend("b", (TWO, 80)), off))
    assert Counter([await text(client) for _ in range(12)]) == {"one": 9, "two": 3}
    gone = replace(backend("gone"), refused="service default/gone is not there")
    bench.routes = routing(route("h", backend("a", (ONE, 80)), gone))
    answers = Counter([await text(client) for _ in range(4)])
    assert answers == {"one": 2, "500 Internal Server Error: service default/gone is not there\n": 2}


async def test_matches(bench: Bench, client: aiohttp.ClientSession) -> None:
    """A route is taken by header, method and query too."""
    await bench.serve(ONE, named("one"))
    await bench.serve(TWO, named("two"))
    special = Match(headers=(Value("x-version", "2"),), query=(Value("q", "a b"),), method="GET")
    bench.routes = routing(route("h", backend("a", (ONE, 80))), route("h", backend("b", (TWO, 80)), match=special))
    assert await text(client, "/?q=a%20b", **{"X-Version": "2"}) == "two"
    assert await text(client, "/?q=a", **{"X-Version": "2"}) == "one"
    assert await text(client, "/?q=a%20b") == "one"


async def test_headers(bench: Bench, client: aiohttp.ClientSession) -> None:
    """Headers of request and answer are set, added and removed, by the route and by the backend."""
    await bench.serve(ONE, echo)
    change = HeaderChange(set=(("X-Set", "new"),), add=(("X-Add", "2"),), remove=("X-Gone",))
    answer = HeaderChange(set=(("X-Answer", "yes"),), remove=("Set-Cookie",))
    target = replace(backend("a", (ONE, 80)), request=HeaderChange(set=(("X-Backend", "a"),)))
    bench.routes = routing(route("h", target, filters=Filters(request=change, response=answer, host="other.example")))
    sent = {"Host": "h", "X-Set": "old", "X-Add": "1", "X-Gone": "x", "Forwarded": "for=1.1.1.1"}
    async with client.get("/", headers=sent) as got:
        told = (await got.json())["headers"]
        assert got.headers["X-Answer"] == "yes"
        assert "Set-Cookie" not in got.headers
    assert (told["X-Set"], told["X-Backend"], told["Host"]) == ("new", "a", "other.example")
    assert told["X-Forwarded-Host"] == "h"
    assert "X-Gone" not in told
    assert "Forwarded" not in told


async def test_redirects_and_rewrites(bench: Bench, client: aiohttp.ClientSession) -> None:
    """Redirects tell where, keeping what they do not name; rewrites change the path that the backend sees."""
    await bench.serve(ONE, echo)
    match, change = Match("/old/", PathType.PREFIX), PathChange("/new", prefix=True)
    bench.routes = routing(
        route("h", filters=Filters(redirect=Redirect(scheme="https", status=301))),
        route("h", filters=Filters(redirect=Redirect(host="x", port=8080, path=change)), match=match),
        route("h", backend("a", (ONE, 80)), filters=Filters(path=change), match=Match("/api")),
        route("h", backend("a", (ONE, 80)), filters=Filters(path=PathChange("/whole")), match=Match("/w")),
    )

    async def where(path: str) -> tuple[int, str]:
        async with client.get(path, headers={"Host": "h:80"}, allow_redirects=False) as answer:
            return answer.status, answer.headers["Location"]

    assert await where("/a?b=c") == (301, "https://h/a?b=c")
    assert await where("/old/a/b?c") == (302, "http://x:8080/new/a/b?c")
    assert await where("/old") == (302, "http://x:8080/new")
    paths = [json.loads(await text(client, path))["path"] for path in ("/api/x?y=z", "/api", "/w/x?y")]
    assert paths == ["/new/x?y=z", "/new", "/whole?y"]


async def test_mirrors(bench: Bench, client: aiohttp.ClientSession) -> None:
    """A copy with the same body goes elsewhere; its answer and its failures are nobody's concern."""
    copies: asyncio.Queue[bytes] = asyncio.Queue()

    async def copy(request: web.BaseRequest) -> web.StreamResponse:
        copies.put_nowait(await request.read())
        return web.Response(status=500)

    await bench.serve(ONE, echo)
    await bench.serve(TWO, copy)
    mirrors = (backend("copy", (TWO, 80)).target, backend("dead", (TWO, 81)).target)
    bench.routes = routing(route("h", backend("a", (ONE, 80)), filters=Filters(mirrors=mirrors)))
    async with client.post("/", headers={"Host": "h"}, data=b"body" * 10000) as answer:
        assert (answer.status, (await answer.json())["body"]) == (200, "body" * 10000)
    assert await copies.get() == b"body" * 10000


async def test_time_limits(bench: Bench, client: aiohttp.ClientSession) -> None:
    """A request, or one backend's answer, that takes longer than its route allows is a 504."""
    hold = asyncio.Event()

    async def wait(_: web.BaseRequest) -> web.StreamResponse:
        await hold.wait()
        return web.Response()

    await bench.serve(ONE, wait)
    for whole, attempt in ((0.05, 0.0), (0.0, 0.05)):
        bench.routes = routing(replace(route("h", backend("a", (ONE, 80))), timeout_s=whole, attempt_s=attempt))
        assert (await text(client)).startswith("504")
    hold.set()


async def test_hanging_up_is_tried_again_where_that_is_safe(bench: Bench, client: aiohttp.ClientSession) -> None:
    """Who hangs up before any answer is passed over for a GET, not for a POST, which may have had its effect."""

    async def hang_up(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    await bench.serve(ONE, hang_up)
    await bench.serve(TWO, named("two"))
    bench.routes = routes(h=[(ONE, 80), (TWO, 80)])
    assert [await text(client) for _ in range(4)] == ["two"] * 4
    statuses = set()
    for _ in range(2):
        async with client.post("/", headers={"Host": "h"}) as answer:
            statuses.add(answer.status)
    assert statuses == {200, 502}


async def test_bytes_pass_as_they_come(bench: Bench) -> None:
    """A client that sends the next piece only after the echo of the last is served: nothing is held back."""

    async def back(request: web.BaseRequest) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        async for chunk in request.content.iter_any():
            await answer.write(chunk)
        await answer.write_eof()
        return answer

    await bench.serve(ONE, back)
    bench.routes = routes(h=[(ONE, 80)])
    async with streams.connect(bench.network._links["client"], PROXY, 80) as stream:
        stream.writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(5):
            piece = f"piece {number}".encode()
            stream.writer.write(b"7\r\n" + piece + b"\r\n")
            await stream.reader.readuntil(piece)
        stream.writer.write(b"0\r\n\r\n")
        await stream.reader.readuntil(b"0\r\n\r\n")


async def test_no_request_is_lost_while_endpoints_roll(bench: Bench, client: aiohttp.ClientSession) -> None:
    """Clients that ask all the time see no failure while one endpoint is replaced by another."""
    await bench.serve(ONE, named("one"))
    await bench.serve(TWO, named("two"))
    bench.routes = routes(h=[(ONE, 80)])
    seen: Counter[str] = Counter()
    over = asyncio.Event()

    async def ask() -> None:
        while not over.is_set():
            seen[await text(client)] += 1

    tasks = [asyncio.create_task(ask()) for _ in range(4)]
    for number in range(6):
        count = seen.total()
        await until(lambda: seen.total() >= count + 20)  # noqa: B023  called before the loop goes on
        bench.routes = routes(h=[(ONE, 80), (TWO, 80)] if number % 2 else [(TWO, 80)])
        if number == 3:
            await bench.network.detach(f"b{ONE}")
    over.set()
    await asyncio.gather(*tasks)
    assert set(seen) == {"one", "two"}


async def test_metrics(bench: Bench, client: aiohttp.ClientSession) -> None:
    """Requests are counted by route and code, endpoints passed over, and bytes."""
    await bench.serve(ONE, named("one"))
    bench.routes = routes(h=[(TWO, 80), (ONE, 80)])
    for _ in range(2):
        await text(client)
    async with client.get("/", headers={"Host": "other"}) as answer:
        assert answer.status == 404
    async with client.get(f"http://{PROXY}:10254/metrics") as answer:
        told = await answer.text()
    assert 'miniplane_ingress_requests_total{code="200",route="Ingress default/i"} 2.0' in told
    assert 'miniplane_ingress_requests_total{code="404",route="-"} 1.0' in told
    assert 'miniplane_ingress_response_bytes_total{route="Ingress default/i"} 6.0' in told
    assert "miniplane_ingress_retries_total 1.0" in told


async def test_ports_come_and_go(bench: Bench, client: aiohttp.ClientSession) -> None:
    """A proxy listens where its listeners are now."""
    bench.routes = Routes()
    await bench.proxy.listen({8080: False})
    async with client.get(f"http://{PROXY}:8080/") as answer:
        assert answer.status == 404
    await bench.proxy.listen({80: False})
    assert (await text(client)).startswith("404")
    with pytest.raises(aiohttp.ClientError):
        await client.get(f"http://{PROXY}:8080/")
