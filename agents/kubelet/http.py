"""A small HTTP/1.1 client over a pod's link: what probes, lifecycle hooks and the curl and wget applets need.

One request a connection, bodies read whole up to a limit. The general client of the product is `miniplane.client`; this
one exists because its bytes have to travel through the pod's network.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..network.base import Link
from .streams import Stream, connect

Headers = Sequence[tuple[str, str]]
BODY_LIMIT = 16 * 1024 * 1024
_LINE_LIMIT = 64 * 1024
_NO_BODY = frozenset({204, 304})


class BadResponse(ValueError):
    """What came back is not HTTP, or ends too early."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request; `Host`, `Connection` and the body's length are added where they are not given."""

    host: str
    """The address to connect to."""
    port: int
    target: str = "/"
    method: str = "GET"
    authority: str = ""
    """The `Host` header; `host:port` where empty."""
    headers: Headers = ()
    body: bytes = b""
    tls: ssl.SSLContext | None = None
    server_name: str = ""

    def to_bytes(self) -> bytes:
        """The wire form."""
        given = {name.lower() for name, _ in self.headers}
        default_port = 443 if self.tls else 80
        host = f"[{self.host}]" if ":" in self.host else self.host
        authority = self.authority or (host if self.port == default_port else f"{host}:{self.port}")
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        if "host" not in given:
            lines.append(f"Host: {authority}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        if "connection" not in given:
            lines.append("Connection: close")
        if self.body and "content-length" not in given:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + self.body


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A response with its whole body."""

    version: str
    status: int
    reason: str
    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        """The first header of that name, case ignored, or an empty string."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


class Reading(Protocol):
    """The part of a StreamReader that parsing needs."""

    async def readline(self) -> bytes:
        """One line with its end, less at the end of the stream."""

    async def readexactly(self, n: int) -> bytes:
        """`n` bytes or IncompleteReadError."""

    async def read(self, n: int = -1) -> bytes:
        """Up to `n` bytes, empty at the end of the stream."""


async def fetch(link: Link, request: Request, *, limit: int = BODY_LIMIT) -> Response:
    """Send the request and read the answer; the body is cut at `limit` bytes.

    Raises OSError as the connection does, BadResponse. Has no time-out of its own.
    """
    async with connect(link, request.host, request.port, tls=request.tls, server_name=request.server_name) as stream:
        return await exchange(stream, request, limit=limit)


async def exchange(stream: Stream, request: Request, *, limit: int = BODY_LIMIT) -> Response:
    """One request and its answer on an open connection."""
    stream.writer.write(request.to_bytes())
    with contextlib.suppress(ConnectionError):
        await stream.writer.drain()
    return await read_response(stream.reader, head=request.method == "HEAD", limit=limit)


async def read_response(reader: Reading, *, head: bool = False, limit: int = BODY_LIMIT) -> Response:
    """Parse a response; 100 Continue is skipped. Raises BadResponse."""
    try:
        while True:
            version, status, reason = await _status_line(reader)
            headers = await _headers(reader)
            if not 100 <= status < 200:  # noqa: PLR2004 - interim responses
                break
        body = b"" if head or status in _NO_BODY else await _body(reader, headers, limit)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise BadResponse("the response ends too early") from error
    return Response(version=version, status=status, reason=reason, headers=headers, body=body)


async def _line(reader: Reading) -> str:
    try:
        line = await reader.readline()
    except ValueError as error:
        raise BadResponse("a line of the response is too long") from error
    if not line.endswith(b"\n"):
        raise BadResponse("empty reply from server" if not line else "the response ends too early")
    return line.decode("latin-1").rstrip("\r\n")


async def _status_line(reader: Reading) -> tuple[str, int, str]:
    line = await _line(reader)
    version, _, rest = line.partition(" ")
    code, _, reason = rest.partition(" ")
    if not version.startswith("HTTP/") or not (code.isascii() and code.isdigit()):
        raise BadResponse(f"not HTTP: {line[:80]!r}")
    return version, int(code), reason


async def _headers(reader: Reading) -> list[tuple[str, str]]:
    headers: list[tuple[str, str]] = []
    size = 0
    while line := await _line(reader):
        size += len(line)
        if size > _LINE_LIMIT:
            raise BadResponse("the response's headers are too long")
        name, _, value = line.partition(":")
        headers.append((name.strip(), value.strip()))
    return headers


async def _body(reader: Reading, headers: Headers, limit: int) -> bytes:
    values = {name.lower(): value for name, value in headers}
    if "chunked" in values.get("transfer-encoding", "").lower():
        return await _chunks(reader, limit)
    if (length := values.get("content-length", "")).isdigit():
        return await reader.readexactly(min(int(length), limit))
    parts = bytearray()
    while len(parts) < limit and (part := await reader.read(65536)):
        parts += part
    return bytes(parts[:limit])


async def _chunks(reader: Reading, limit: int) -> bytes:
    parts = bytearray()
    while True:
        text = (await _line(reader)).partition(";")[0].strip()
        try:
            size = int(text, 16)
        except ValueError as error:
            raise BadResponse(f"not a chunk: {text[:20]!r}") from error
        if size == 0:
            await _headers(reader)
            return bytes(parts)
        if len(parts) + size > limit:
            return bytes(parts)
        parts += await reader.readexactly(size)
        await _line(reader)
