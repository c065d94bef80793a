"""Port-forward as kubectl from 1.31 on speaks it: SPDY streams inside one WebSocket.

For each TCP connection the client opens an `error` stream and a `data` stream with one request id. Bytes go to the
pod's localhost; what goes wrong is told on the error stream. Ends of streams travel both ways.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from miniplane.aio import stop
from miniplane.observe import logs

from ...network.base import Link
from ..streams import Stream, connect
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


class Tunnel:
    """All connections of one WebSocket."""

    def __init__(self, socket: web.WebSocketResponse, link: Link) -> None:
        self._socket = socket
        self._link = link
        self._encoder = Encoder()
        self._lock = asyncio.Lock()
        self._requests: dict[str, _Connection] = {}
        self._streams: dict[int, _Connection] = {}

    async def run(self) -> None:
        """Serve until the client closes the WebSocket or sends what is no SPDY."""
        decoder = Decoder()
        try:
            async for message in self._socket:
                if message.type is WSMsgType.BINARY:
                    for frame in decoder.feed(message.data):
                        await self._take(frame)
        except SpdyError as error:
            log.warning("port-forward ended", error=error)
        except ConnectionError:
            return
        finally:
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
                await self._socket.close()

    async def _send(self, data: bytes) -> None:
        async with self._lock:
            await self._socket.send_bytes(data)

    async def _open(self, stream: int, headers: Mapping[str, str]) -> None:
        kind, port, request = (headers.get(name, "") for name in ("streamtype", "port", "requestid"))
        known = kind in ("error", "data") and port.isdigit() and 0 < int(port) < 1 << 16
        if not known or len(self._requests) >= MAX_CONNECTIONS:
            await self._send(reset_frame(stream))
            return
        async with self._lock:
            await self._socket.send_bytes(self._encoder.reply(stream))
        connection = self._requests.setdefault(request, _Connection(int(port)))
        setattr(connection, kind, stream)
        self._streams[stream] = connection
        if connection.error and connection.data and connection.task is None:
            name = f"port-forward {connection.port}"
            connection.task = asyncio.create_task(self._carry(request, connection), name=name)

    async def _receive(self, stream: int, data: bytes, *, is_finished: bool) -> None:
        connection = self._streams.get(stream)
        if connection is None or stream != connection.data:
            return
        if data:
            connection.waiting_bytes += len(data)
            if connection.waiting_bytes > QUEUED_BYTES:
                await self._send(reset_frame(stream))
                self._forget(stream)
                return
            connection.waiting.put_nowait(data)
        if is_finished:
            connection.waiting.put_nowait(b"")

    def _forget(self, stream: int) -> None:
        connection = self._streams.pop(stream, None)
        if connection is not None and stream == connection.data and connection.task is not None:
            connection.task.cancel()

    async def _carry(self, request: str, connection: _Connection) -> None:
        """One connection to the pod, from its beginning to its end."""
        trouble = b""
        try:
            async with connect(self._link, "127.0.0.1", connection.port) as stream:
                await self._exchange(connection, stream)
        except OSError as error:
            text = str(error.strerror or error)
            trouble = f"error forwarding port {connection.port} to pod: {text}".encode()
        finally:
            self._requests.pop(request, None)
            self._streams.pop(connection.error, None)
            self._streams.pop(connection.data, None)
        with contextlib.suppress(ConnectionError):
            await self._send(data_frame(connection.error, trouble, finish=True))
            await self._send(data_frame(connection.data, b"", finish=True))

    async def _exchange(self, connection: _Connection, stream: Stream) -> None:
        writing = asyncio.create_task(self._write(connection, stream), name="port-forward write")
        try:
            while data := await stream.reader.read(_READ):
                await self._send(data_frame(connection.data, data))
        finally:
            await stop(writing)

    async def _write(self, connection: _Connection, stream: Stream) -> None:
        while data := await connection.waiting.get():
            connection.waiting_bytes -= len(data)
            stream.writer.write(data)
            await stream.writer.drain()
        if stream.writer.can_write_eof():
            stream.writer.write_eof()
