"""One question to one nameserver: by datagram, and by stream where the answer was cut.

Servers inside the cluster are reached from the pod, through its node's rules. Others are asked by the node itself, as
a pod with `dnsPolicy: Default` would have it: the pods' network need not have a way out.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from ipaddress import ip_address, ip_network

from miniplane.dataplane.dns_config import Server

from ..kubelet.streams import connect
from ..network.base import Link

_TC = 0x02
_LENGTH = 2


class Exchange:
    """The way out of one DNS pod. `networks` are the cluster's."""

    def __init__(self, link: Link, networks: Sequence[str]) -> None:
        self._link = link
        self._networks = [ip_network(text) for text in networks if text]

    async def ask(self, query: bytes, server: Server) -> bytes:
        """The answer. Raises OSError where the server can't be reached; callers set a time-out."""
        inside = any(ip_address(server.ip) in network for network in self._networks)
        answer = await (self._from_pod(query, server) if inside else _from_node(query, server))
        if not answer[2] & _TC:
            return answer
        async with self._stream(server, inside=inside) as (reader, writer):
            writer.write(len(query).to_bytes(_LENGTH, "big") + query)
            length = int.from_bytes(await reader.readexactly(_LENGTH), "big")
            return await reader.readexactly(length)

    @contextlib.asynccontextmanager
    async def _stream(
        self, server: Server, *, inside: bool
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        if inside:
            async with connect(self._link, server.ip, server.port) as stream:
                yield stream.reader, stream.writer
            return
        reader, writer = await asyncio.open_connection(server.ip, server.port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def _from_pod(self, query: bytes, server: Server) -> bytes:
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def received(data: bytes, host: str, port: int) -> None:
            if is_answer(query, data) and not answered.done():
                answered.set_result(data)

        socket = await self._link.bind(received)
        try:
            socket.send(query, server.ip, server.port)
            return await answered
        finally:
            socket.close()


async def _from_node(query: bytes, server: Server) -> bytes:
    answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Client(query, answered), remote_addr=(server.ip, server.port)
    )
    try:
        return await answered
    finally:
        transport.abort()


class _Client(asyncio.DatagramProtocol):
    """A socket connected to a server: what comes from elsewhere does not arrive."""

    def __init__(self, query: bytes, answered: "asyncio.Future[bytes]") -> None:
        self._query, self._answered = query, answered

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        send: Callable[[bytes], None] = transport.sendto  # type: ignore[attr-defined]  # uvloop's is none of asyncio's
        send(self._query)

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002  the loop's signature
        if is_answer(self._query, data) and not self._answered.done():
            self._answered.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answered.done():
            self._answered.set_exception(exc)


def is_answer(query: bytes, data: bytes) -> bool:
    """Whether `data` answers the message `query`, which has one question and an OPT record of eleven octets."""
    end = len(query) - 11
    return len(data) >= end and data[:2] == query[:2] and bool(data[2] & 0x80) and data[12:end].lower() == query[12:end]
