"""A TCP and UDP server that sends back what it gets."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from ...network.base import Datagrams
from .base import ContainerContext, RunningContainer, Served
from .serving import Sockets, ports_of


class _Echo(asyncio.Protocol):
    """One connection."""

    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._sockets.track(transport)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def pause_writing(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio names it
        if self._transport is not None:
            self._sockets.forget(self._transport)


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """Echoes on its own ports and on every declared one, TCP and UDP."""

    ports: Sequence[int] = (7,)

    async def start(self, context: ContainerContext) -> RunningContainer:
        """Serve. See `Image`."""
        sockets = Sockets(context)

        def back(data: bytes, host: str, port: int, socket: Datagrams) -> None:
            socket.send(data, host, port)

        tcp, udp = ports_of(context, "TCP", self.ports), ports_of(context, "UDP", self.ports)
        await sockets.listen(lambda: _Echo(sockets), tcp)
        await sockets.bind(back, udp)
        context.log(f"echoing on TCP {tcp} and UDP {udp}")
        return Served(context, sockets.close)
