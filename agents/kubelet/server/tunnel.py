"""Port-forward as kubectl speaks it: SPDY streams, from 1.31 on inside a WebSocket, before on the connection itself.

For each TCP connection the client opens an `error` stream and a `data` stream with one request id. Bytes go to the
pod's localhost; what goes wrong is told on the error stream. Ends of streams travel both ways.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import hdrs, web

from miniplane.aio import stop
from miniplane.observe import logs
from miniplane.upgrade import Bytes

from ...network.base import Link
from ..streams import Stream, connect
from . import connection
from .channels import WebSocket
from .spdy import (
    Data,
    Decoder,
    Encoder,
    Frame,
    GoAway,
    Opened,
    Ping,
    Reset,
    SpdyError,
    data_frame,
    ping_frame,
    reset_frame,
)

log = logs.get("agents.kubelet.portforward")

PROTOCOL = "SPDY/3.1+portforward.k8s.io"
"""Of a WebSocket."""
SPDY_PROTOCOL = "portforward.k8s.io"
"""Of the bare connection."""
QUEUED_BYTES = 16 * 1024 * 1024
"""Bytes that may wait for a pod that does not read; then its stream is given up, so that others go on."""
MAX_CONNECTIONS = 1000
_READ = 32_768


@dataclass(slots=True)
class _Connection:
    """One forwarded connection: its two streams, and the bytes that wait for the pod."""

    port: int
    error: int = 0
    data: int = 0
    waiting: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    """Empty bytes are the end."""
    waiting_bytes: int = 0
    task: "asyncio.Task[None] | None" = None


async def forward(request: web.Request, link: Link) -> web.StreamResponse | None:
    """Carry the connections of a request that asks for SPDY in one of its forms; None for one that does not."""
    if connection.is_spdy(request):
        taken = await connection.take(request, (SPDY_PROTOCOL,))
        await Tunnel(taken, link).run()
        return taken.response
    if PROTOCOL in request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, ""):
        socket = await WebSocket.accept(request, (PROTOCOL,))
        await Tunnel(connection.InWebSocket(socket.response), link).run()
        return socket.response
    return None


class Tunnel:
    """All forwarded connections of one SPDY connection."""

    def __init__(self, peer: Bytes, link: Link) -> None:
        self._peer = peer
        self._link = link
        self._encoder = Encoder()
        self._lock = asyncio.Lock()
        self._requests: dict[str, _Connection] = {}
        self._streams: dict[int, _Connection] = {}

    async def run(self) -> None:
        """Serve until the client closes the connection or sends what is no SPDY."""
        decoder = Decoder()
        try:
            while data := await self._peer.read():
                for frame in decoder.feed(data):
                    await self._take(frame)
        except SpdyError as error:
            log.warning("port-forward ended", error=error)
        except ConnectionError:
            return
        finally:
            await self._peer.close()
            await stop(*(item.task for item in self._requests.values() if item.task is not None))

    async def _take(self, frame: Frame) -> None:
        match frame:
            case Opened(stream, headers):
                await self._open(stream, headers)
            case Data(stream, data, is_finished):
                await self._receive(stream, data, is_finished=is_finished)
            case Reset(stream):
                self._forget(stream)
            case Ping(number):
                await self._send(ping_frame(number))
            case GoAway():
                await self._peer.close()

    async def _send(self, data: bytes) -> None:
        async with self._lock:
            await self._peer.write(data)

    async def _open(self, stream: int, headers: Mapping[str, str]) -> None:
        kind, port, request = (headers.get(name, "") for name in ("streamtype", "port", "requestid"))
        known = kind in ("error", "data") and port.isdigit() and 0 < int(port) < 1 << 16
        if not known or len(self._requests) >= MAX_CONNECTIONS:
            await self._send(reset_frame(stream))
            return
        async with self._lock:
            await self._peer.write(self._encoder.reply(stream))
        forwarded = self._requests.setdefault(request, _Connection(int(port)))
        setattr(forwarded, kind, stream)
        self._streams[stream] = forwarded
        if forwarded.error and forwarded.data and forwarded.task is None:
            name = f"port-forward {forwarded.port}"
            forwarded.task = asyncio.create_task(self._carry(request, forwarded), name=name)

    async def _receive(self, stream: int, data: bytes, *, is_finished: bool) -> None:
        forwarded = self._streams.get(stream)
        if forwarded is None or stream != forwarded.data:
            return
        if data:
            forwarded.waiting_bytes += len(data)
            if forwarded.waiting_bytes > QUEUED_BYTES:
                await self._send(reset_frame(stream))
                self._forget(stream)
                return
            forwarded.waiting.put_nowait(data)
        if is_finished:
            forwarded.waiting.put_nowait(b"")

    def _forget(self, stream: int) -> None:
        forwarded = self._streams.pop(stream, None)
        if forwarded is not None and stream == forwarded.data and forwarded.task is not None:
            forwarded.task.cancel()

    async def _carry(self, request: str, forwarded: _Connection) -> None:
        """One connection to the pod, from its beginning to its end."""
        trouble = b""
        try:
            async with connect(self._link, "127.0.0.1", forwarded.port) as stream:
                await self._exchange(forwarded, stream)
        except OSError as error:
            text = str(error.strerror or error)
            trouble = f"error forwarding port {forwarded.port} to pod: {text}".encode()
        finally:
            self._requests.pop(request, None)
            self._streams.pop(forwarded.error, None)
            self._streams.pop(forwarded.data, None)
        with contextlib.suppress(ConnectionError):
            await self._send(data_frame(forwarded.error, trouble, finish=True))
            await self._send(data_frame(forwarded.data, b"", finish=True))

    async def _exchange(self, forwarded: _Connection, stream: Stream) -> None:
        writing = asyncio.create_task(self._write(forwarded, stream), name="port-forward write")
        try:
            while data := await stream.reader.read(_READ):
                await self._send(data_frame(forwarded.data, data))
        finally:
            await stop(writing)

    async def _write(self, forwarded: _Connection, stream: Stream) -> None:
        while data := await forwarded.waiting.get():
            forwarded.waiting_bytes -= len(data)
            stream.writer.write(data)
            await stream.writer.drain()
        if stream.writer.can_write_eof():
            stream.writer.write_eof()
