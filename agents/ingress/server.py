"""The ingress proxy: HTTP/1.1 in on port 80 of a pod's link, and on to a backend's endpoint, streamed both ways.

Endpoints are taken in turn; one that can't be connected to is passed over, since nothing was sent yet. The client's
address, scheme and host go on in X-Forwarded headers of our own (what a client claims is replaced), Host stays.
What the proxy itself answers: 404 no such host or path, 503 no ready endpoint, 502 none can be reached, 504 too slow.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from miniplane.aio import Clock
from miniplane.dataplane.ingress_routes import Routes, Target

from ..network.base import Link, Listener
from .upstream import LinkConnector, Unreachable

PORT = 80
HEALTH_PORT = 10254
READ_TIMEOUT_S = 60.0
"""How long a backend may be silent (nginx: proxy_read_timeout)."""
KEEPALIVE_S = 75.0

_HOP_BY_HOP = frozenset(
    name.lower()
    for name in (
        hdrs.CONNECTION,
        hdrs.KEEP_ALIVE,
        hdrs.PROXY_AUTHENTICATE,
        hdrs.PROXY_AUTHORIZATION,
        hdrs.TE,
        hdrs.TRAILER,
        hdrs.TRANSFER_ENCODING,
        hdrs.UPGRADE,
        "Proxy-Connection",
    )
)
_WEBSOCKET_HEADERS = frozenset(
    name.lower()
    for name in (
        hdrs.SEC_WEBSOCKET_KEY,
        hdrs.SEC_WEBSOCKET_VERSION,
        hdrs.SEC_WEBSOCKET_EXTENSIONS,
        hdrs.SEC_WEBSOCKET_PROTOCOL,
    )
)
_REPLACED = frozenset(("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "expect"))
_OWN_DEFAULTS = (hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE)
"""Headers that the client library would add; a proxy adds none."""


@dataclass(slots=True)
class _Exchange:
    """One request on its way, for the access log."""

    target: Target | None = None
    endpoint: str = "-"
    sent: int = 0


class Failed(Exception):
    """The proxy answers by itself."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


class IngressProxy:
    """One proxy. `routes` gives the routes in force, None before they are known; `log` takes the access log's lines."""

    def __init__(
        self, link: Link, routes: Callable[[], Routes | None], log: Callable[[str], None], clock: Clock
    ) -> None:
        self._link, self._routes = link, routes
        self._log, self._clock = log, clock
        self._turns: dict[str, int] = {}
        self._listeners: list[Listener] = []
        self._session: aiohttp.ClientSession | None = None
        self._servers = {
            PORT: web.Server(
                self._serve,
                access_log=None,
                handler_cancellation=True,
                keepalive_timeout=KEEPALIVE_S,
                auto_decompress=False,
            ),
            HEALTH_PORT: web.Server(self._health, access_log=None),
        }

    async def start(self) -> None:
        """Serve. Raises OSError for a port in use, with nothing left open."""
        timeout = aiohttp.ClientTimeout(total=None, sock_read=READ_TIMEOUT_S)
        self._session = aiohttp.ClientSession(
            connector=LinkConnector(self._link),
            timeout=timeout,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_OWN_DEFAULTS,
        )
        try:
            for port, server in self._servers.items():
                self._listeners.append(await self._link.listen(server, port))
        except OSError:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Close everything."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        for server in self._servers.values():
            await server.shutdown(0)
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _health(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path != "/healthz":
            return web.Response(status=404)
        return web.Response(status=503, text="no routes yet") if self._routes() is None else web.Response(text="ok")

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        began, exchange = self._clock.monotonic(), _Exchange()
        status = 499  # nginx' word for a client that went away
        try:
            response = await self._answer(request, exchange)
            status = response.status
        except Failed as failure:
            response = _own(failure)
            status = response.status
        finally:
            self._log(self._line(request, exchange, status, self._clock.monotonic() - began))
        return response

    def _line(self, request: web.BaseRequest, exchange: _Exchange, status: int, seconds: float) -> str:
        now = self._clock.now()
        return (
            f'{_peer(request)} [{now:%d/%b/%Y:%H:%M:%S +0000}] "{request.method} {request.raw_path}" {status} '
            f'{exchange.sent} "{request.headers.get(hdrs.USER_AGENT, "-")}" {seconds:.3f}s {request.host} '
            f"[{exchange.target or '-'}] {exchange.endpoint}"
        )

    async def _answer(self, request: web.BaseRequest, exchange: _Exchange) -> web.StreamResponse:
        routes = self._routes()
        if routes is None:
            raise Failed(HTTPStatus.SERVICE_UNAVAILABLE, "the proxy does not know the ingresses yet")
        route = routes.find(request.host, request.rel_url.raw_path)
        if route is None:
            raise Failed(HTTPStatus.NOT_FOUND, f"no ingress has the host {request.host} with this path")
        exchange.target = route.target
        endpoints = self._in_turn(route.target)
        if not endpoints:
            raise Failed(HTTPStatus.SERVICE_UNAVAILABLE, f"service {route.target} has no ready endpoint")
        silent = False
        for host, port in endpoints:
            exchange.endpoint = f"{host}:{port}"
            url = URL(f"http://{exchange.endpoint}{request.rel_url.raw_path_qs}", encoded=True)
            try:
                if _is_websocket(request):
                    return await self._websocket(request, url, exchange)
                return await self._forward(request, url, exchange)
            except Unreachable as error:
                silent = error.silent
        status = HTTPStatus.GATEWAY_TIMEOUT if silent else HTTPStatus.BAD_GATEWAY
        raise Failed(status, f"no endpoint of service {route.target} can be reached")

    def _in_turn(self, target: Target) -> list[tuple[str, int]]:
        """The endpoints, beginning with the one whose turn it is."""
        endpoints = list(target.endpoints)
        if not endpoints:
            return []
        name = str(target)
        first = self._turns.get(name, -1) + 1
        self._turns[name] = first
        first %= len(endpoints)
        return endpoints[first:] + endpoints[:first]

    async def _forward(self, request: web.BaseRequest, url: URL, exchange: _Exchange) -> web.StreamResponse:
        assert self._session is not None
        body = _body(request) if request.body_exists else None
        with _faults_of(exchange.endpoint):
            async with self._session.request(
                request.method, url, headers=_request_headers(request), data=body, allow_redirects=False
            ) as answer:
                return await _relay(request, answer, exchange)

    async def _websocket(self, request: web.BaseRequest, url: URL, exchange: _Exchange) -> web.StreamResponse:
        assert self._session is not None
        wanted = request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "")
        protocols = [word.strip() for word in wanted.split(",") if word.strip()]
        headers = _request_headers(request)
        for name in _WEBSOCKET_HEADERS:
            headers.popall(name, None)
        with _faults_of(exchange.endpoint):
            try:
                far = await self._session.ws_connect(
                    url, headers=headers, protocols=protocols, autoping=False, max_msg_size=0
                )
            except aiohttp.WSServerHandshakeError as error:
                raise Failed(HTTPStatus(error.status), "the backend takes no WebSocket here") from error
        async with far:
            chosen = (far.protocol,) if far.protocol else ()
            near = web.WebSocketResponse(protocols=chosen, autoping=False, max_msg_size=0)
            await near.prepare(request)
            await _join(near, far)
            return near


@contextlib.contextmanager
def _faults_of(endpoint: str) -> Iterator[None]:
    """What a backend does wrong is our answer; one that can't be reached at all may still be passed over."""
    try:
        yield
    except Unreachable:
        raise
    except aiohttp.ServerTimeoutError as error:
        raise Failed(HTTPStatus.GATEWAY_TIMEOUT, f"{endpoint} did not answer in time") from error
    except (aiohttp.ClientError, ValueError) as error:
        raise Failed(HTTPStatus.BAD_GATEWAY, f"{endpoint} gave no proper answer") from error


async def _relay(request: web.BaseRequest, answer: aiohttp.ClientResponse, exchange: _Exchange) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=_kept(answer.headers))
    await response.prepare(request)
    try:
        async for chunk in answer.content.iter_any():
            exchange.sent += len(chunk)
            await response.write(chunk)
        await response.write_eof()
    except (aiohttp.ClientPayloadError, aiohttp.ServerTimeoutError):
        # The head is out already: cutting the connection is the only way to say that the body is not whole.
        if request.transport is not None:
            request.transport.abort()
    return response


async def _body(request: web.BaseRequest) -> AsyncIterator[bytes]:
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    async for chunk in request.content.iter_any():
        yield chunk


async def _join(near: web.WebSocketResponse, far: aiohttp.ClientWebSocketResponse) -> None:
    """Pass messages both ways until one side closes, then close the other with the same code."""
    tasks = (
        asyncio.create_task(_pump(near, far), name="websocket to backend"),
        asyncio.create_task(_pump(far, near), name="websocket to client"),
    )
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await far.close(code=near.close_code or aiohttp.WSCloseCode.GOING_AWAY)
        await near.close(code=far.close_code or aiohttp.WSCloseCode.GOING_AWAY)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


_Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def _pump(source: _Socket, sink: _Socket) -> None:
    with contextlib.suppress(ConnectionError):  # a side that is gone: the other is closed next
        async for message in source:
            match message.type:
                case aiohttp.WSMsgType.TEXT:
                    await sink.send_str(message.data)
                case aiohttp.WSMsgType.BINARY:
                    await sink.send_bytes(message.data)
                case aiohttp.WSMsgType.PING:
                    await sink.ping(message.data)
                case aiohttp.WSMsgType.PONG:
                    await sink.pong(message.data)
                case _:
                    return


def _is_websocket(request: web.BaseRequest) -> bool:
    return request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"


def _peer(request: web.BaseRequest) -> str:
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    return str(peer[0]) if peer else request.remote or "-"


def _kept(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """Headers without those that belong to one connection only."""
    named = {word.strip().lower() for value in headers.getall(hdrs.CONNECTION, ()) for word in value.split(",")}
    dropped = _HOP_BY_HOP | named
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped)


def _request_headers(request: web.BaseRequest) -> CIMultiDict[str]:
    headers = _kept(request.headers)
    for name in _REPLACED:
        headers.popall(name, None)
    peer = _peer(request)
    headers["X-Forwarded-For"] = headers["X-Real-IP"] = peer
    headers["X-Forwarded-Proto"] = request.scheme
    headers["X-Forwarded-Host"] = request.host
    return headers


def _own(failure: Failed) -> web.Response:
    return web.Response(status=failure.status, text=f"{failure.status} {failure.status.phrase}: {failure}\n")
