"""Byte streams over a pod's link, in asyncio's own reader and writer; optionally with TLS on top."""

import asyncio
import contextlib
import ssl
from asyncio import sslproto
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

from ..network.base import Link


@dataclass(frozen=True, slots=True)
class Stream:
    """Both directions of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class _Protocol(asyncio.StreamReaderProtocol):
    """Remembers its transport, which with TLS is not the one that the link gives back."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        super().connection_made(transport)


@contextlib.asynccontextmanager
async def connect(
    link: Link, host: str, port: int, *, tls: ssl.SSLContext | None = None, server_name: str = ""
) -> AsyncIterator[Stream]:
    """A connection from the pod to an address; closed, never left behind, when the block ends.

    Raises what `Link.connect` raises, and ssl.SSLError. Has no time-out of its own.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    protocol = _Protocol(reader, loop=loop)
    factory: asyncio.BaseProtocol = protocol
    ready: asyncio.Future[None] = loop.create_future()
    if tls is None:
        ready.set_result(None)
    else:
        # asyncio's own TLS state machine; loop.start_tls takes only the loop's own transports.
        factory = sslproto.SSLProtocol(loop, protocol, tls, ready, server_hostname=server_name or None)
    raw, _ = await link.connect(lambda: factory, host, port)
    try:
        await ready
        writer = asyncio.StreamWriter(protocol.transport, protocol, reader, loop)
        try:
            yield Stream(reader, writer)
        finally:
            writer.close()
            if tls is None:
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    finally:
        # After an orderly close this does nothing; with TLS it does not wait for the peer's farewell.
        if tls is not None or not raw.is_closing():
            raw.abort()


def insecure_tls() -> ssl.SSLContext:
    """A context that takes any certificate: probes and `curl -k`. The system's authorities are not even read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
