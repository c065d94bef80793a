"""HTTP connections that become plain bytes: `Upgrade`, answered with 101.

What a server takes over and what a client has asked for are the same afterwards: a `Bytes`, read and written.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from aiohttp import hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy

from miniplane.aio import stop

HOP_BY_HOP = frozenset(
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
"""Headers that are for one connection only, in lower case (RFC 9110, 7.6.1): a proxy does not hand them on."""
HEAD_BYTES = 64 * 1024
_READ = 65_536
_REFUSAL_BYTES = 1024 * 1024


class Bytes(Protocol):
    """A connection without messages."""

    async def read(self) -> bytes:
        """What has come, waiting for some; empty at the end."""

    async def write(self, data: bytes) -> None:
        """Send. Raises ConnectionError when the peer has left."""

    async def close(self) -> None:
        """End the connection. Idempotent."""


class Refused(Exception):
    """The server answered something else than 101."""

    def __init__(self, status: int, headers: CIMultiDictProxy[str], body: bytes) -> None:
        super().__init__(status, body)
        self.status = status
        self.headers = headers
        self.body = body


class _Feed:
    """What aiohttp hands a connection's bytes to once they are no longer HTTP."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._reader.feed_data(data)
        return False, b""

    def feed_eof(self) -> None:
        self._reader.feed_eof()


class Taken:
    """A server's connection that it has taken over. `response` is what the handler has to give back."""

    def __init__(
        self, response: web.StreamResponse, reader: asyncio.StreamReader, transport: asyncio.Transport
    ) -> None:
        self.response = response
        self._reader = reader
        self._transport = transport

    async def read(self) -> bytes:
        """See `Bytes`."""
        return await self._reader.read(_READ)

    async def write(self, data: bytes) -> None:
        """See `Bytes`."""
        await self.response.write(data)

    async def close(self) -> None:
        """See `Bytes`. What was written is still sent."""
        self._transport.close()


async def take(request: web.BaseRequest, headers: Mapping[str, str]) -> Taken:
    """Answer 101 with these headers and take the connection; `Connection: Upgrade` is added."""
    response = web.StreamResponse(status=HTTPStatus.SWITCHING_PROTOCOLS, headers=headers)
    response.headers[hdrs.CONNECTION] = "Upgrade"
    await response.prepare(request)
    reader = asyncio.StreamReader()
    assert request.transport is not None
    reader.set_transport(request.transport)
    request.protocol.set_parser(_Feed(reader))  # type: ignore[arg-type]  # has the two methods that are called
    request.protocol.keep_alive(False)  # noqa: FBT003  aiohttp's signature
    return Taken(response, reader, request.transport)


class Opened:
    """A client's connection that the server has upgraded. `headers` are those of the 101."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: CIMultiDictProxy[str]
    ) -> None:
        self.headers = headers
        self._reader = reader
        self._writer = writer

    async def upgrade(self, asked: "Asked") -> CIMultiDictProxy[str]:
        """Have what is behind the connection upgraded too; the headers of its 101. Raises OSError, Refused."""
        return (await handshake(self._reader, self._writer, asked)).headers

    def hand_over(self, protocol: asyncio.Protocol) -> None:
        """Let another protocol speak on the connection; nothing may have been read from it."""
        transport = self._writer.transport
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    async def read(self) -> bytes:
        """See `Bytes`."""
        return await self._reader.read(_READ)

    async def write(self, data: bytes) -> None:
        """See `Bytes`."""
        self._writer.write(data)
        await self._writer.drain()

    async def close(self) -> None:
        """See `Bytes`."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request for an upgrade; `headers` with Host, Connection and Upgrade."""

    method: str
    target: str
    headers: CIMultiDict[str]

    def to_bytes(self) -> bytes:
        """The request's head."""
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {text}" for name, text in self.headers.items())]
        return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


async def connect(host: str, port: int, asked: Asked, *, tls: ssl.SSLContext | None, timeout_s: float) -> Opened:
    """Connect to a server and have the connection upgraded.

    `timeout_s` is for the connection, not for the answer.

    Raises:
        OSError: The server can't be reached, in time or at all; or it answers no HTTP.
        Refused: It does not upgrade.
    """
    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    try:
        return await handshake(reader, writer, asked)
    except BaseException:
        writer.close()
        raise


async def handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked) -> Opened:
    """Have an open connection upgraded. Raises OSError, Refused."""
    writer.write(asked.to_bytes())
    await writer.drain()
    status, headers = await _head(reader)
    if status != HTTPStatus.SWITCHING_PROTOCOLS:
        raise Refused(status, headers, await _body(reader, headers))
    return Opened(reader, writer, headers)


async def _head(reader: asyncio.StreamReader) -> tuple[int, CIMultiDictProxy[str]]:
    try:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("utf-8", "surrogateescape").split("\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ConnectionError("no proper answer") from error
    version, code, *_ = [*first.split(" ", 2), ""]
    if not version.startswith("HTTP/1.") or not (code.isascii() and code.isdigit()):
        raise ConnectionError("no proper answer")
    headers: CIMultiDict[str] = CIMultiDict()
    for line in lines:
        name, colon, text = line.partition(":")
        if colon:
            headers.add(name.strip(), text.strip())
    return int(code), CIMultiDictProxy(headers)


async def _body(reader: asyncio.StreamReader, headers: CIMultiDictProxy[str]) -> bytes:
    """The text of a refusal; no more than is given with a length."""
    length = headers.get(hdrs.CONTENT_LENGTH, "")
    size = min(int(length), _REFUSAL_BYTES) if length.isascii() and length.isdigit() else 0
    try:
        return await reader.readexactly(size)
    except asyncio.IncompleteReadError as error:
        return error.partial


async def join(one: Bytes, other: Bytes) -> None:
    """Pass bytes both ways until either side ends; then both are closed."""
    tasks = (
        asyncio.create_task(_pump(one, other), name="upgraded bytes there"),
        asyncio.create_task(_pump(other, one), name="upgraded bytes back"),
    )
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        try:
            await stop(*tasks)
        finally:  # also when cancelled while it waits
            try:
                await one.close()
            finally:
                await other.close()


async def _pump(source: Bytes, sink: Bytes) -> None:
    with contextlib.suppress(ConnectionError):  # one has left: the other learns it by the end
        while data := await source.read():
            await sink.write(data)
