"""`/dial`: a connection from the node to an address of the pods' network, handed to the API server as plain bytes.

The API server has no place in that network; by way of a node it reaches pods for `pods/proxy` and `services/proxy`.
"""

import asyncio
import ssl

from aiohttp import hdrs, web

from miniplane import upgrade

from ...network.base import Link
from ..streams import Stream, connect, insecure_tls

PROTOCOL = "tcp"
TIMEOUT_S = 30.0
_READ = 65_536


class _Far:
    """The stream as `Bytes`; it is closed by who opened it."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def read(self) -> bytes:
        return await self._stream.reader.read(_READ)

    async def write(self, data: bytes) -> None:
        self._stream.writer.write(data)
        await self._stream.writer.drain()

    async def close(self) -> None: ...


async def dial(request: web.Request, link: Link) -> web.StreamResponse:
    """Connect to `host` and `port`, with `tls` by TLS that takes any certificate, and pass bytes until an end."""
    query = request.query
    host, port = query.get("host", ""), query.get("port", "")
    if request.headers.get(hdrs.UPGRADE, "") != PROTOCOL or not host or not port.isdigit():
        raise web.HTTPBadRequest(text=f"host, port and Upgrade: {PROTOCOL} are required")
    tls = insecure_tls() if query.get("tls") == "true" else None
    opening = connect(link, host, int(port), tls=tls)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            stream = await opening.__aenter__()
    except TimeoutError as error:
        raise web.HTTPBadGateway(text=f"dial tcp {host}:{port}: i/o timeout") from error
    except ssl.SSLError as error:
        why = (error.reason or "handshake failed").lower().replace("_", " ")
        raise web.HTTPBadGateway(text=f"tls: {why}") from error
    except OSError as error:
        text = "connection refused" if isinstance(error, ConnectionRefusedError) else str(error.strerror or error)
        raise web.HTTPBadGateway(text=f"dial tcp {host}:{port}: connect: {text.lower()}") from error
    try:
        taken = await upgrade.take(request, {hdrs.UPGRADE: PROTOCOL})
        await upgrade.join(taken, _Far(stream))
        return taken.response
    finally:
        await opening.__aexit__(None, None, None)
