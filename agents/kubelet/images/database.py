"""Database-like listeners: something takes connections on the port that postgres, mysql, redis and others use.

They keep no data. A client that waits for the server to speak gets a line of greeting; each line that it sends is
answered, redis' PING with +PONG.
"""

import asyncio
from dataclasses import dataclass
from typing import cast

from .base import ContainerContext, RunningContainer, Served
from .serving import Sockets, introduction, ports_of


class _Session(asyncio.Protocol):
    """One client."""

    def __init__(self, context: ContainerContext, sockets: Sockets) -> None:
        self._context = context
        self._sockets = sockets
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._sockets.track(transport)
        peer = transport.get_extra_info("peername") or ("", 0)
        self._context.log(f"connection received: host={peer[0]} port={peer[1]}")
        self._transport.write(f"{introduction(self._context)} ready\r\n".encode())

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        lines = data.splitlines()
        asked = any(line.strip().upper() == b"PING" for line in lines)
        self._transport.write(b"+PONG\r\n" if asked else b"+OK\r\n" * len(lines))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio names it
        if self._transport is not None:
            self._sockets.forget(self._transport)


@dataclass(frozen=True, slots=True)
class Database:
    """A listener on `port` and every declared TCP port."""

    port: int

    async def start(self, context: ContainerContext) -> RunningContainer:
        """Serve. See `Image`."""
        sockets = Sockets(context)
        ports = ports_of(context, "TCP", [self.port])
        await sockets.listen(lambda: _Session(context, sockets), ports)
        context.log(f"ready to accept connections on {', '.join(map(str, ports))}")
        return Served(context, sockets.close)
