"""HAProxy with our configuration decides as the built-in proxy does: one table of requests, the same answers."""

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from agents.ingress.server import IngressProxy
from miniplane.aio import SystemClock
from miniplane.api.meta import Key
from miniplane.dataplane.haproxy import render
from miniplane.dataplane.http_routes import (
    Backend,
    Filters,
    HeaderChange,
    Host,
    Listener,
    Match,
    PathChange,
    PathType,
    Redirect,
    Route,
    Routes,
    Target,
    Value,
)

pytestmark = pytest.mark.skipif(shutil.which("haproxy") is None, reason="needs haproxy on PATH")


class Loopback:
    """A pod's link made of this machine's real sockets; ports are whatever is free."""

    ip = "127.0.0.1"

    def __init__(self) -> None:
        self.ports: dict[int, int] = {}
        self.servers: list[asyncio.Server] = []

    async def listen(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        port: int,
        *,
        host: str = "",  # noqa: ARG002  the signature is a link's
    ) -> Any:
        """Listen on a free port instead."""
        server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
        self.servers.append(server)
        self.ports[port] = server.sockets[0].getsockname()[1]
        return server

    async def connect(self, factory: Callable[[], asyncio.BaseProtocol], host: str, port: int) -> Any:
        """Connect for real."""
        return await asyncio.get_running_loop().create_connection(factory, host, port)

    async def bind(self, receive: Callable[[bytes, str, int], None], port: int = 0) -> Any:
        """Not needed."""
        raise NotImplementedError


ROUTES = tuple[tuple[str, Match, Filters, tuple[str, ...]], ...]
EXACT, REGEX = PathType.EXACT, PathType.REGEX
CHANGE = HeaderChange(set=(("X-Set", "it's 100%"),), add=(("X-Add", "2"),), remove=("X-Gone",))
TABLE: ROUTES = (
    ("a.example", Match(), Filters(), ("root",)),
    ("a.example", Match("/aaa"), Filters(), ("aaa",)),
    ("a.example", Match("/aaa/bb.b"), Filters(), ("dot",)),
    ("a.example", Match("/aaa", EXACT), Filters(), ("exact",)),
    ("a.example", Match("/re/[0-9]+", REGEX), Filters(), ("regex",)),
    ("a.example", Match(method="POST"), Filters(), ("post",)),
    ("a.example", Match(headers=(Value("x-version", "2"),)), Filters(), ("two",)),
    ("a.example", Match(query=(Value("q", "a b"),)), Filters(), ("query",)),
    ("a.example", Match("/none"), Filters(), ("none",)),
    ("a.example", Match("/gone"), Filters(), ("refused",)),
    ("a.example", Match("/empty"), Filters(), ()),
    ("*.w.example", Match("/only"), Filters(), ("wild",)),
    ("", Match("/any"), Filters(), ("any",)),
    ("f.example", Match("/h"), Filters(request=CHANGE, host="other.example"), ("h",)),
    ("f.example", Match("/p/"), Filters(path=PathChange("/new", prefix=True)), ("p",)),
    ("f.example", Match("/strip"), Filters(path=PathChange("/", prefix=True)), ("p",)),
    ("f.example", Match("/whole"), Filters(path=PathChange("/x")), ("p",)),
    ("f.example", Match("/r"), Filters(redirect=Redirect(scheme="https", status=301)), ()),
    ("f.example", Match("/s"), Filters(redirect=Redirect(host="z", port=81, path=PathChange("/t", prefix=True))), ()),
    ("f.example", Match("/answer"), Filters(response=HeaderChange(set=(("X-Answer", "yes"),))), ("h",)),
)
REQUESTS: tuple[tuple[str, str, str, Mapping[str, str]], ...] = (
    *(
        ("GET", host, path, {})
        for host in ("a.example", "A.EXAMPLE:80", "x.w.example", "x.y.w.example", "w.example", "other")
        for path in ("/", "/aaa", "/aaa/", "/aaa/bb.b/c", "/aaa/bbxb", "/aaab", "/re/12", "/re/12x", "/only/x", "/any")
    ),
    *(
        ("GET", "a.example", path, {})
        for path in ("/none", "/gone", "/empty", "/?q=a%20b", "/?q=a+c", "/x?q=b&q=a%20b")
    ),
    ("POST", "a.example", "/", {}),
    ("POST", "a.example", "/aaa", {}),
    ("GET", "a.example", "/", {"X-Version": "2"}),
    ("GET", "a.example", "/", {"x-version": "3"}),
    (
        "GET",
        "f.example",
        "/h",
        {"X-Set": "0", "X-Add": "1", "X-Gone": "1", "Forwarded": "x", "X-Forwarded-For": "9.9.9.9"},
    ),
    *(
        ("GET", "f.example", path, {})
        for path in (
            "/p",
            "/p/",
            "/p/a/b?c=d",
            "/strip",
            "/strip/a",
            "/whole/x?y",
            "/r/a?b",
            "/s",
            "/s/u?v",
            "/answer",
            "/zzz",
        )
    ),
)


def routes(endpoint: tuple[str, int], *, deep: bool) -> Routes:
    """The table's routes; every Service but `none` has the endpoint."""
    hosts: dict[str, Host] = {}
    for number, (host, match, filters, services) in enumerate(TABLE):
        backends = tuple(
            Backend(
                Target(Key("default", name), "80", () if name == "none" else (endpoint,)),
                refused="gone" if name == "refused" else "",
                request=HeaderChange(set=(("X-Service", name),)),
            )
            for name in services
        )
        route = Route("HTTPRoute", Key("default", f"r{number:02}"), "spec", host, match, backends, filters)
        hosts.setdefault(host, Host()).add(route)
    return Routes((Listener(80, deep=deep, hosts=hosts),))


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    """Tells what arrived of what proxies may change."""
    names = ["Host", "X-Service", "X-Set", "X-Add", "X-Gone", "Forwarded"]
    names += ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port"]
    return web.json_response(
        {"path": request.raw_path, "headers": {name: request.headers.getall(name, []) for name in names}}
    )


async def ask(port: int) -> list[Any]:
    """The answers to the whole table."""
    found: list[Any] = []
    async with aiohttp.ClientSession() as session:
        for method, host, path, headers in REQUESTS:
            url = f"http://127.0.0.1:{port}{path}"
            async with session.request(
                method, URL(url, encoded=True), headers={**headers, "Host": host}, allow_redirects=False
            ) as answer:
                body = await answer.json() if answer.status == 200 else None
                told = (answer.status, answer.headers.get("Location"), answer.headers.get("X-Answer"), body)
                found.append(((method, host, path), told))
    return found


@contextlib.asynccontextmanager
async def haproxy(config: str, folder: Path, port: int) -> AsyncIterator[None]:
    """HAProxy with a configuration, once it takes connections."""
    path = folder / "haproxy.cfg"
    path.write_text(config)
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec("haproxy", "-db", "-f", str(path), stdout=log, stderr=log)
    try:
        async with asyncio.timeout(20):
            while process.returncode is None:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    await writer.wait_closed()
                    break
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), 0.05)
        assert process.returncode is None, (folder / "log").read_text()
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        number: int = found.getsockname()[1]
        return number


@pytest.mark.parametrize("deep", [False, True])
async def test_both_proxies_answer_alike(tmp_path: Path, *, deep: bool) -> None:
    """Status, redirect, path and headers of each request are the same through both."""
    link = Loopback()
    backend = web.Server(echo, access_log=None)
    endpoint = ("127.0.0.1", (await link.listen(backend, 1)).sockets[0].getsockname()[1])
    made = routes(endpoint, deep=deep)
    proxy = IngressProxy(link, lambda: made, lambda _: None, SystemClock())
    await proxy.start({80: False})
    port = free_port()
    rendered = render(made, bind={80: f"127.0.0.1:{port}"})
    assert not rendered.problems
    async with haproxy(rendered.text, tmp_path, port):
        own, other = await ask(link.ports[80]), await ask(port)
    await proxy.aclose()
    backend.pre_shutdown()
    await backend.shutdown(0.01)
    for server in link.servers:
        server.close()
    for (asked, mine), (_, theirs) in zip(own, other, strict=True):
        assert mine == theirs, asked
    assert {told[0] for _, told in own} == {200, 301, 302, 404, 500, 503}


async def test_weights_are_shares(tmp_path: Path) -> None:
    """Requests are divided by weight, and an unusable backend answers 500 for its part alone."""
    link = Loopback()
    backend = web.Server(echo, access_log=None)
    endpoint = ("127.0.0.1", (await link.listen(backend, 1)).sockets[0].getsockname()[1])
    shares = tuple(
        Backend(
            Target(Key("default", name), "80", (endpoint,)),
            weight,
            refused="gone" if name == "gone" else "",
        )
        for name, weight in (("web", 3), ("gone", 1), ("off", 0))
    )
    hosts = {"a.example": Host()}
    hosts["a.example"].add(Route("HTTPRoute", Key("default", "r"), "spec", "a.example", Match(), shares))
    port = free_port()
    rendered = render(Routes((Listener(80, hosts=hosts),)), bind={80: f"127.0.0.1:{port}"})
    async with haproxy(rendered.text, tmp_path, port), aiohttp.ClientSession() as session:
        codes = []
        for _ in range(200):
            async with session.get(f"http://127.0.0.1:{port}/", headers={"Host": "a.example"}) as answer:
                codes.append(answer.status)
    backend.pre_shutdown()
    await backend.shutdown(0.01)
    for server in link.servers:
        server.close()
    assert set(codes) == {200, 500}
    assert 110 < codes.count(200) < 185
