"""The HTTP client: sends requests, parses answers, turns Status objects back into `ApiError`s.

A read that fails for a passing reason (no connection, 429, 5xx) is sent again after a pause; a write only where the
server says that it did nothing (429). What a write's lost answer means is the caller's to find out.
"""

import contextlib
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl

import aiohttp
import orjson
from yarl import URL

from miniplane import errors
from miniplane.aio import Clock, SystemClock
from miniplane.api.kind import Kind, Object
from miniplane.api.meta import Key
from miniplane.client import requests
from miniplane.client.kubeconfig import Access, load
from miniplane.client.requests import Page, PatchType, Request, Selection
from miniplane.client.watch import WatchEvent, watch
from miniplane.observe import logs

log = logs.get("miniplane.client")

ATTEMPTS = 4
"""How often a request is sent at most."""
PAUSE_S = 0.1
"""Before the second attempt; doubles each time. A Retry-After of the server counts instead."""
ANSWER_S = 60.0
"""How long an answer may take in all (upstream's server side limit)."""
CONNECT_S = 10.0
TEXT_LIMIT = 1024
"""Characters of an answer that is no Status which get into an error's message."""
_UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "bWluaXBsYW5lLWhlcmUuLg==",
}
_PASSING = frozenset({429, 500, 502, 503, 504})


class Client:
    """A connection pool to one API server. Objects that it returns are the caller's own.

    Every method raises `miniplane.errors`; a connection that fails is `Unavailable`.
    """

    def __init__(
        self, access: Access, clock: Clock | None = None, *, user_agent: str = "miniplane", dry_run: bool = False
    ) -> None:
        self.access = access
        self.dry_run = dry_run
        """Whether the server only checks what is written: every write says `dryRun=All` and is logged."""
        self.guard: Callable[[Request], None] | None = None
        """Asked before each write; what it raises keeps the write from being sent."""
        self.clock: Clock = clock or SystemClock()
        self._tls = access.tls()
        self._user_agent = user_agent
        self._unix = access.server.removeprefix("unix://") if access.server.startswith("unix://") else ""
        self._base = "http://localhost" if self._unix else access.server
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_kubeconfig(cls, path: Path | str | None = None, context: str = "", clock: Clock | None = None) -> Self:
        """The client of a kubeconfig file's context. Raises `KubeconfigError`."""
        return cls(load(path, context=context), clock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections; a later request opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Without a limit: watches keep a connection each, and a full pool would be a silent deadlock.
            connector = aiohttp.UnixConnector(self._unix, limit=0) if self._unix else aiohttp.TCPConnector(limit=0)
            headers = {"User-Agent": self._user_agent, "Accept": requests.JSON}
            if self.access.token:
                headers["Authorization"] = f"Bearer {self.access.token}"
            self._session = aiohttp.ClientSession(connector=connector, headers=headers, auto_decompress=True)
        return self._session

    @contextlib.asynccontextmanager
    async def open(
        self, request: Request, *, timeout_s: float | None = ANSWER_S, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send once and give the answer with its body unread; a code from 400 on raises."""
        tls: ssl.SSLContext | bool = self._tls if self._tls is not None else True
        try:
            async with self._open().request(
                request.method,
                URL(self._base + request.target, encoded=True),
                data=request.body,
                headers={"Content-Type": request.content_type} | dict(headers or {})
                if request.body is not None
                else headers,
                timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_S),
                ssl=tls,
                server_hostname=self.access.server_name or None,
            ) as response:
                if response.status >= 400:  # noqa: PLR2004  where HTTP's errors begin
                    raise error_of(response.status, await response.read(), response.headers)
                try:
                    yield response
                finally:
                    _abort_unread(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            what = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
            raise errors.Unavailable(f"{request.method} {self._base}{request.path}: {what}") from error

    @contextlib.asynccontextmanager
    async def websocket(
        self, path: str, query: str, protocols: Sequence[str]
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Open a WebSocket; a refused handshake raises the error that its Status tells."""
        tls: ssl.SSLContext | bool = self._tls if self._tls is not None else True
        url = URL(f"{self._base}{path}?{query}", encoded=True)
        try:
            async with self._open().ws_connect(
                url, protocols=protocols, ssl=tls, server_hostname=self.access.server_name or None, max_msg_size=0
            ) as socket:
                yield socket
        except aiohttp.WSServerHandshakeError as error:
            # aiohttp keeps no body of a refused handshake: asked again by hand, the server tells its Status.
            await self.send(
                Request("GET", path, dict(parse_qsl(query))),
                headers=_UPGRADE | {"Sec-WebSocket-Protocol": protocols[0]},
            )
            raise errors.Unavailable(f"{path}: {error.message}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise errors.Unavailable(f"{path}: {error}") from error

    async def send(self, request: Request, *, headers: Mapping[str, str] | None = None) -> bytes:
        """Send, again where that is safe, and give the answer's body."""
        if self.dry_run and not request.is_read:
            log.info("would write", method=request.method, path=request.path, body=(request.body or b"").decode())
            request = replace(request, query={**request.query, "dryRun": "All"})
        attempt = 1
        while True:
            if self.guard is not None and not request.is_read:
                self.guard(request)
            try:
                async with self.open(request, headers=headers) as response:
                    return await response.read()
            except errors.ApiError as error:
                if attempt == ATTEMPTS or not _is_worth_again(request, error):
                    raise
                pause_s = error.retry_after_s or PAUSE_S * 2 ** (attempt - 1)
            attempt += 1
            await self.clock.sleep(pause_s)

    async def send_json(self, request: Request) -> Object:
        """As `send`, with the answer's JSON object."""
        return _object(await self.send(request))

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = requests.JSON,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Any request; the answer's body."""
        return await self.send(Request(method, path, query or {}, body, content_type), headers=headers)

    async def get(self, kind: Kind, name: str, namespace: str = "", *, subresource: str = "") -> Object:
        """One object."""
        return await self.send_json(requests.get(kind, Key(namespace, name), subresource=subresource))

    async def list(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "", limit: int = 0, after: str = ""
    ) -> Page:
        """The objects of a kind; every item says its apiVersion and kind. `after` is a page's continue token."""
        return await self.page(kind, Selection(namespace, labels, fields), limit=limit, continue_token=after)

    async def page(self, kind: Kind, selection: Selection, *, limit: int = 0, continue_token: str = "") -> Page:
        """As `list`, for a selection that is a value."""
        answer = await self.send_json(requests.list_(kind, selection, limit=limit, continue_token=continue_token))
        items = answer.get("items") or []
        for item in items:
            item.setdefault("apiVersion", kind.api_version)
            item.setdefault("kind", kind.kind)
        told = answer.get("metadata") or {}
        return Page(items, told.get("resourceVersion", ""), told.get("continue", ""))

    async def create(self, kind: Kind, obj: Object, *, dry_run: bool = False) -> Object:
        """Make an object; gives it as stored."""
        return await self.send_json(requests.create(kind, obj, dry_run=dry_run))

    async def create_subresource(self, kind: Kind, key: Key, subresource: str, body: Object) -> Object:
        """Post to a subresource, such as a pod's `binding` or `eviction`."""
        return await self.send_json(requests.create_subresource(kind, key, subresource, body))

    async def update(self, kind: Kind, obj: Object, *, subresource: str = "", dry_run: bool = False) -> Object:
        """Replace an object. Raises Conflict where its resourceVersion is stale."""
        return await self.send_json(requests.update(kind, obj, subresource=subresource, dry_run=dry_run))

    async def patch(
        self,
        kind: Kind,
        key: Key,
        body: Any,
        *,
        type: PatchType = PatchType.MERGE,  # noqa: A002  the word of the API
        subresource: str = "",
        options: Mapping[str, str] | None = None,
    ) -> Object:
        """Change a part of an object."""
        made = requests.patch(kind, key, body, type=type, subresource=subresource, options=options)
        return await self.send_json(made)

    async def delete(
        self, kind: Kind, key: Key, *, propagation: str = "", grace_s: int | None = None, uid: str = ""
    ) -> Object:
        """Delete an object; gives it as it is being deleted, or a Status where it is gone already."""
        return await self.send_json(requests.delete(kind, key, propagation=propagation, grace_s=grace_s, uid=uid))

    async def delete_collection(self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "") -> None:
        """Delete every object that is selected."""
        await self.send(requests.delete_collection(kind, Selection(namespace, labels, fields)))

    def watch(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> AsyncGenerator[WatchEvent, None]:
        """The endless stream of a collection's events; see `miniplane.client.watch` for its states."""
        return watch(self, kind, Selection(namespace, labels, fields), clock=self.clock)

    async def lines(self, request: Request, *, timeout_s: float | None) -> AsyncGenerator[bytes, None]:
        """The lines of an answer that comes bit by bit, of any length."""
        async with self.open(request, timeout_s=timeout_s) as response:
            rest = b""
            async for chunk in response.content.iter_any():
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    if line:
                        yield line
            if rest:
                yield rest


def _abort_unread(response: aiohttp.ClientResponse) -> None:
    """Leave a stream that has not ended, such as a watch, without TLS's farewell, which could outlive the loop."""
    if response.connection is not None and (transport := response.connection.transport) is not None:
        transport.abort()


def _is_worth_again(request: Request, error: errors.ApiError) -> bool:
    return error.code == errors.Reason.TOO_MANY_REQUESTS.code or (request.is_read and error.code in _PASSING)


def _object(body: bytes) -> Object:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        text = body[:TEXT_LIMIT].decode(errors="replace")
        raise errors.ApiError(f"the server's answer is not JSON: {text}") from error
    if not isinstance(parsed, dict):
        raise errors.ApiError("the server's answer is not a JSON object")
    return parsed


def error_of(code: int, body: bytes, headers: Mapping[str, str]) -> errors.ApiError:
    """The error that an answer tells: its Status, or else its code and the beginning of its text."""
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        status = None
    if not isinstance(status, dict) or status.get("kind") != "Status":
        reason = next((word for word in errors.Reason if word and word.code == code), errors.Reason.UNKNOWN)
        text = body[:TEXT_LIMIT].decode(errors="replace").strip() or f"the server answered {code}"
        status = {"reason": reason, "message": text}
    error = errors.from_status(status, code)
    told = headers.get("Retry-After", "")
    if error.retry_after_s is None and told.isascii() and told.isdigit():
        error.retry_after_s = int(told)
    return error
