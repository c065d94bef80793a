"""The HTTP proxy of Ingresses and Gateways: HTTP/1.1 in on ports of a pod's link, and on to a backend's endpoint.

Bodies are streamed both ways. Endpoints are taken in turn; one that can't be connected to is passed over, since nothing
was sent yet, and so is one that hangs up before any answer where the request may be sent again. The client's address,
scheme and host go on in X-Forwarded headers of our own (what a client claims is dropped), Host stays.
What the proxy itself answers: 404 no such host or path, 500 a backend that can't be used, 503 no ready endpoint, 502
none can be reached, 504 too slow. HTTP/2, and so gRPC, is not spoken: TLS agrees on http/1.1, and without TLS the
client is told by an HTTP/2 frame.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus

import aiohttp
import orjson
from aiohttp import hdrs, web
from yarl import URL

from miniplane.aio import Clock, stop
from miniplane.api.meta import timestamp
from miniplane.dataplane.http_routes import HTTP_PORT, HTTPS_PORT, Route, Routes, changed_path, location
from miniplane.observe.metrics import CONTENT_TYPE, CollectorRegistry, Counter, Gauge, Histogram, render

from ..network.base import Link, Listener
from . import headers
from .balance import Balancer
from .forward import Broken, Exchange, Failed, Mirror, forward, is_websocket, websocket
from .preface import refusing_http2
from .tls import Certificates
from .upstream import LinkConnector, Unreachable

HEALTH_PORT = 10254
READ_TIMEOUT_S = 60.0
"""How long a backend may be silent (nginx: proxy_read_timeout)."""
KEEPALIVE_S = 75.0
PORTS: Mapping[int, bool] = {HTTP_PORT: False, HTTPS_PORT: True}
"""The ports of Ingresses, and whether they speak TLS."""
CLIENT_GONE = 499
"""nginx' word for a client that went away."""
_AT_ONCE_S = 0.01
"""To aiohttp no time at all means no limit."""
_OWN_DEFAULTS = (hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE)
"""Headers that the client library would add; a proxy adds none."""
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """What a proxy counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "miniplane_ingress_requests_total", "Requests", ["route", "code"], registry=self.registry
        )
        self.duration = Histogram(
            "miniplane_ingress_request_duration_seconds",
            "Time from a request's head to its answer's end",
            ["route"],
            registry=self.registry,
            buckets=_BUCKETS,
        )
        self.sent = Counter(
            "miniplane_ingress_response_bytes_total", "Bytes of answers' bodies", ["route"], registry=self.registry
        )
        self.retries = Counter(
            "miniplane_ingress_retries_total", "Endpoints that were passed over", registry=self.registry
        )
        self.open = Gauge("miniplane_ingress_inflight_requests", "Requests on their way", registry=self.registry)


class IngressProxy:
    """One proxy. `routes` gives the routes in force, None before they are known; `log` takes the access log's lines."""

    def __init__(
        self,
        link: Link,
        routes: Callable[[], Routes | None],
        log: Callable[[str], None],
        clock: Clock,
        certificates: Certificates | None = None,
    ) -> None:
        self._link, self._routes = link, routes
        self._log, self._clock = log, clock
        self._certificates = certificates or Certificates(routes, {}, clock.now(), log)
        self._metrics = Metrics()
        self._balancer = Balancer()
        self._session: aiohttp.ClientSession | None = None
        self._listeners: dict[tuple[int, bool], Listener] = {}
        self._servers: dict[tuple[int, bool], web.Server] = {}
        self._health = web.Server(self._about, access_log=None)
        self._mirrors: set[asyncio.Task[None]] = set()

    async def start(self, ports: Mapping[int, bool] = PORTS) -> None:
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
            self._listeners[HEALTH_PORT, False] = await self._link.listen(self._health, HEALTH_PORT)
            await self.listen(ports)
        except OSError:
            await self.aclose()
            raise

    async def listen(self, ports: Mapping[int, bool]) -> None:
        """Listen on these ports, with TLS where so, and no longer on others. Raises OSError for one in use."""
        wanted = set(ports.items())
        for key in [key for key in self._servers if key not in wanted]:
            self._listeners.pop(key).close()
            await _close(self._servers.pop(key))
        for port, secure in sorted(wanted - set(self._servers)):
            server = web.Server(
                partial(self._serve, port),
                access_log=None,
                handler_cancellation=True,
                keepalive_timeout=KEEPALIVE_S,
                auto_decompress=False,
            )
            factory = partial(self._certificates.server, server, port) if secure else refusing_http2(server)
            self._listeners[port, secure] = await self._link.listen(factory, port)
            self._servers[port, secure] = server

    async def aclose(self, grace_s: float = 0) -> None:
        """Take no more, and close everything; requests on their way have so long to end."""
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()
        await asyncio.gather(*(_close(server, grace_s) for server in (*self._servers.values(), self._health)))
        self._servers.clear()
        await stop(*self._mirrors)
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _about(self, request: web.BaseRequest) -> web.StreamResponse:
        match request.path:
            case "/healthz" if self._routes() is None:
                return web.Response(status=503, text="no routes yet")
            case "/healthz":
                return web.Response(text="ok")
            case "/metrics":
                return web.Response(body=render(self._metrics.registry), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE})
            case _:
                return web.Response(status=404)

    async def _serve(self, port: int, request: web.BaseRequest) -> web.StreamResponse:
        began, exchange = self._clock.monotonic(), Exchange(request, port)
        status = CLIENT_GONE
        self._metrics.open.inc()
        try:
            response = await self._answer(exchange)
            status = response.status
        except Failed as failure:
            exchange.problem = str(failure)
            response = _own(failure)
            status = response.status
        finally:
            self._metrics.open.dec()
            self._account(exchange, status, self._clock.monotonic() - began)
        return response

    def _account(self, exchange: Exchange, status: int, seconds: float) -> None:
        """Count a request and write its line."""
        route = str(exchange.route or "-")
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.duration.labels(route).observe(seconds)
        self._metrics.sent.labels(route).inc(exchange.sent)
        request = exchange.request
        line = {
            "time": timestamp(self._clock.now()),
            "client": headers.peer(request),
            "method": request.method,
            "scheme": request.scheme,
            "host": headers.host(request),
            "path": request.raw_path,
            "status": status,
            "bytes": exchange.sent,
            "seconds": round(seconds, 4),
            "route": route,
            "field": exchange.route.field if exchange.route else "",
            "service": str(exchange.backend.target) if exchange.backend else "",
            "endpoint": exchange.endpoint,
            "attempts": exchange.attempts,
            "agent": request.headers.get(hdrs.USER_AGENT, ""),
        }
        if exchange.problem:
            line["problem"] = exchange.problem
        self._log(orjson.dumps(line).decode())

    async def _answer(self, exchange: Exchange) -> web.StreamResponse:
        routes, request = self._routes(), exchange.request
        if routes is None:
            raise Failed(HTTPStatus.SERVICE_UNAVAILABLE, "the proxy does not know its routes yet")
        host, path = headers.host(request), request.rel_url.raw_path
        route = routes.find(
            host,
            path,
            port=exchange.port,
            method=request.method,
            headers=request.headers,
            query=request.rel_url.query,
        )
        if route is None:
            raise Failed(HTTPStatus.NOT_FOUND, f"no route has the host {host} with this path")
        exchange.route = route
        if route.filters.redirect is not None:
            return _redirect(route, exchange)
        try:
            async with asyncio.timeout(route.timeout_s or None):
                return await self._to_backend(route, exchange)
        except TimeoutError:
            if exchange.started:
                raise
            raise Failed(HTTPStatus.GATEWAY_TIMEOUT, f"no answer within {route.timeout_s:g} s") from None

    async def _to_backend(self, route: Route, exchange: Exchange) -> web.StreamResponse:
        backend = self._balancer.backend(route)
        if backend is None:
            raise Failed(HTTPStatus.INTERNAL_SERVER_ERROR, f"{route} has no backend here")
        exchange.backend = backend
        if backend.refused:
            raise Failed(HTTPStatus.INTERNAL_SERVER_ERROR, backend.refused)
        endpoints = self._balancer.endpoints(backend.target)
        if not endpoints:
            raise Failed(HTTPStatus.SERVICE_UNAVAILABLE, f"service {backend.target} has no ready endpoint")
        target = _target(route, exchange)
        self._mirror(route, exchange, target)
        return await self._try(endpoints, target, exchange)

    async def _try(self, endpoints: list[tuple[str, int]], target: str, exchange: Exchange) -> web.StreamResponse:
        """Ask one endpoint after the other until one takes the request."""
        assert self._session is not None
        carry = websocket if is_websocket(exchange.request) else forward
        silent = False
        for number, (host, port) in enumerate(endpoints):
            exchange.endpoint, exchange.attempts = f"{host}:{port}", number + 1
            if number:
                self._metrics.retries.inc()
            url = URL(f"http://{exchange.endpoint}{target}", encoded=True)
            try:
                return await carry(self._session, url, exchange)
            except Unreachable as error:
                silent = error.silent
            except Broken:
                silent = False
        status = HTTPStatus.GATEWAY_TIMEOUT if silent else HTTPStatus.BAD_GATEWAY
        assert exchange.backend is not None
        raise Failed(status, f"no endpoint of service {exchange.backend.target} can be reached")

    def _mirror(self, route: Route, exchange: Exchange, target: str) -> None:
        """Send copies to where the route wants them, beside the request."""
        assert self._session is not None
        for mirrored in route.filters.mirrors:
            for host, port in self._balancer.endpoints(mirrored)[:1]:
                mirror = Mirror()
                exchange.mirrors.append(mirror)
                work = mirror.send(
                    self._session,
                    exchange.request.method,
                    URL(f"http://{host}:{port}{target}", encoded=True),
                    exchange.headers(),
                    has_body=exchange.request.body_exists,
                )
                task = asyncio.create_task(work, name="mirror")
                self._mirrors.add(task)
                task.add_done_callback(self._mirrors.discard)


async def _close(server: web.Server, grace_s: float = 0) -> None:
    """Close idle connections at once, others when their request has ended or the time is over."""
    server.pre_shutdown()
    await server.shutdown(max(grace_s, _AT_ONCE_S))


def _target(route: Route, exchange: Exchange) -> str:
    """Path and query as the backend gets them."""
    url = exchange.request.rel_url
    if route.filters.path is None:
        return url.raw_path_qs
    path = changed_path(url.raw_path, route.match, route.filters.path)
    return f"{path}?{url.raw_query_string}" if url.raw_query_string else path


def _redirect(route: Route, exchange: Exchange) -> web.StreamResponse:
    request = exchange.request
    where = location(
        route,
        scheme=request.scheme,
        host=headers.host(request),
        port=exchange.port,
        path=request.rel_url.raw_path,
        query=request.rel_url.raw_query_string,
    )
    assert route.filters.redirect is not None
    return web.Response(status=route.filters.redirect.status, headers={hdrs.LOCATION: where})


def _own(failure: Failed) -> web.Response:
    return web.Response(status=failure.status, text=f"{failure.status} {failure.status.phrase}: {failure}\n")
