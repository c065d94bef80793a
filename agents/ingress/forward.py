"""One request to one endpoint, and its answer back: streamed both ways, or a WebSocket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict
from yarl import URL

from miniplane.dataplane.http_routes import Backend, Route

from . import headers
from .upstream import Unreachable

_QUEUED = 64
"""Pieces of a body that a slow mirror may lag behind before it is given up."""
_WEBSOCKET_HEADERS = (
    hdrs.SEC_WEBSOCKET_KEY,
    hdrs.SEC_WEBSOCKET_VERSION,
    hdrs.SEC_WEBSOCKET_EXTENSIONS,
    hdrs.SEC_WEBSOCKET_PROTOCOL,
)
IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"))
"""Methods that may be sent again when a connection broke before any answer (RFC 9110)."""


class Failed(Exception):
    """The proxy answers by itself."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


class Broken(Exception):
    """The connection ended before any answer; nothing of the body was read, so another endpoint may be tried."""


@dataclass(slots=True)
class Exchange:
    """One request on its way, for the access log."""

    request: web.BaseRequest
    port: int
    route: Route | None = None
    backend: Backend | None = None
    endpoint: str = ""
    attempts: int = 0
    sent: int = 0
    problem: str = ""
    started: bool = False
    """Whether the answer's head is out."""
    mirrors: list["Mirror"] = field(default_factory=list)
    body_read: bool = False

    @property
    def chosen(self) -> tuple[Route, Backend]:
        """The route and the backend, once there are."""
        assert self.route is not None
        assert self.backend is not None
        return self.route, self.backend

    def headers(self) -> CIMultiDict[str]:
        """What the backend gets."""
        return headers.of_request(self.request, self.port, *self.chosen)

    async def body(self) -> AsyncIterator[bytes]:
        """The request's body, as it comes."""
        request = self.request
        if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        async for chunk in request.content.iter_any():
            self.body_read = True
            for mirror in self.mirrors:
                mirror.put(chunk)
            yield chunk
        for mirror in self.mirrors:
            mirror.put(b"")


class Mirror:
    """A copy of a request to another endpoint, whose answer nobody reads."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(_QUEUED)
        self._lost = False

    def put(self, chunk: bytes) -> None:
        """A piece of the body; nothing is its end."""
        try:
            self._queue.put_nowait(chunk)
        except asyncio.QueueFull:
            self._lost = True

    async def _body(self) -> AsyncIterator[bytes]:
        while chunk := await self._queue.get():
            if self._lost:
                raise ConnectionError("too slow for its copy")
            yield chunk

    async def send(
        self, session: aiohttp.ClientSession, method: str, url: URL, copied: CIMultiDict[str], *, has_body: bool
    ) -> None:
        """Send; what goes wrong is of no matter to the client."""
        body = self._body() if has_body else None
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
            async with session.request(method, url, headers=copied, data=body, allow_redirects=False) as answer:
                async for _ in answer.content.iter_any():
                    pass


async def forward(session: aiohttp.ClientSession, url: URL, exchange: Exchange) -> web.StreamResponse:
    """Send the request to an endpoint and its answer to the client. Raises Unreachable, Broken, Failed."""
    request, (route, _) = exchange.request, exchange.chosen
    body = exchange.body() if request.body_exists else None
    options = {"timeout": aiohttp.ClientTimeout(total=route.attempt_s)} if route.attempt_s else {}
    with _faults_of(exchange):
        async with session.request(
            request.method,
            url,
            headers=exchange.headers(),
            data=body,
            allow_redirects=False,
            **options,  # type: ignore[arg-type]  # one option of its own type
        ) as answer:
            return await _relay(answer, exchange)


async def websocket(session: aiohttp.ClientSession, url: URL, exchange: Exchange) -> web.StreamResponse:
    """Join the client's WebSocket with one to an endpoint. Raises as `forward`."""
    request = exchange.request
    wanted = request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "")
    protocols = [word.strip() for word in wanted.split(",") if word.strip()]
    copied = exchange.headers()
    for name in _WEBSOCKET_HEADERS:
        copied.popall(name, None)
    with _faults_of(exchange):
        try:
            far = await session.ws_connect(url, headers=copied, protocols=protocols, autoping=False, max_msg_size=0)
        except aiohttp.WSServerHandshakeError as error:
            raise Failed(HTTPStatus(error.status), "the backend takes no WebSocket here") from error
    async with far:
        chosen = (far.protocol,) if far.protocol else ()
        near = web.WebSocketResponse(protocols=chosen, autoping=False, max_msg_size=0)
        await near.prepare(request)
        exchange.started = True
        await _join(near, far)
        return near


def is_websocket(request: web.BaseRequest) -> bool:
    """Whether the client wants one."""
    return request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"


@contextlib.contextmanager
def _faults_of(exchange: Exchange) -> Iterator[None]:
    """What a backend does wrong is our answer; one that can't be reached at all may still be passed over."""
    try:
        yield
    except Unreachable:
        raise
    except (aiohttp.ServerTimeoutError, TimeoutError) as error:
        raise Failed(HTTPStatus.GATEWAY_TIMEOUT, f"{exchange.endpoint} did not answer in time") from error
    except (aiohttp.ClientError, ValueError) as error:
        is_lost = isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
        if is_lost and not exchange.started and not exchange.body_read and exchange.request.method in IDEMPOTENT:
            raise Broken(exchange.endpoint) from error
        raise Failed(HTTPStatus.BAD_GATEWAY, f"{exchange.endpoint} gave no proper answer") from error


async def _relay(answer: aiohttp.ClientResponse, exchange: Exchange) -> web.StreamResponse:
    request = exchange.request
    kept = headers.of_answer(answer.headers, *exchange.chosen)
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=kept)
    exchange.started = True
    await response.prepare(request)
    try:
        async for chunk in answer.content.iter_any():
            exchange.sent += len(chunk)
            await response.write(chunk)
        await response.write_eof()
    except (aiohttp.ClientPayloadError, aiohttp.ServerTimeoutError, TimeoutError):
        # The head is out already: cutting the connection is the only way to say that the body is not whole.
        exchange.problem = "the backend broke off"
        if request.transport is not None:
            request.transport.abort()
    return response


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
