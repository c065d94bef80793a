"""The channels of exec, attach and port-forward, on a WebSocket or on SPDY streams.

On a WebSocket a message is one byte of channel, then its data: sub-protocols `v5.channel.k8s.io` and
`v4.channel.k8s.io`; 5 adds a way to close one channel. SPDY, where each channel is a stream, is in `spdychannels`.
Counterpart upstream: apimachinery's remotecommand and wsstream.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from aiohttp import WSCloseCode, WSMsgType, web

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
BUFFER_BYTES = 8 * 1024 * 1024
"""Output that may wait for a slow client; a command that makes more is stopped."""
ROOM_BYTES = 1024 * 1024
"""Output that a sender who can wait leaves in the queue."""
INPUT_BYTES = 16 * 1024 * 1024


class Pipe:
    """Standard input: bytes put in by the connection, read by the command."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._changed = asyncio.Event()
        self._is_over = False

    def put(self, data: bytes) -> None:
        """Add bytes. Beyond the limit, which a command reaches that never reads, they are lost."""
        if len(self._data) + len(data) <= INPUT_BYTES:
            self._data += data
            self._changed.set()

    def end(self) -> None:
        """No more will come."""
        self._is_over = True
        self._changed.set()

    async def read(self) -> bytes:
        """What is there, waiting for some; empty at the end."""
        while not self._data and not self._is_over:
            self._changed.clear()
            await self._changed.wait()
        data = bytes(self._data)
        self._data.clear()
        return data


class Carrier(Protocol):
    """What carries channels."""

    @property
    def response(self) -> web.StreamResponse:
        """What the handler of the request gives back."""

    async def send(self, channel: int, data: bytes) -> None:
        """Send data on a channel. Raises ConnectionError when the client has left."""

    def messages(self) -> AsyncIterator[tuple[int, bytes]]:
        """The (channel, data) pairs that come in, until the client closes."""

    async def close(self) -> None:
        """End the connection in order."""


class WebSocket:
    """Channels on a WebSocket."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    @classmethod
    async def accept(cls, request: web.Request, protocols: Sequence[str] = (V5, V4)) -> "WebSocket":
        """Take the WebSocket of a request."""
        socket = web.WebSocketResponse(protocols=protocols, compress=False, max_msg_size=INPUT_BYTES)
        if not socket.can_prepare(request).ok:
            raise web.HTTPBadRequest(text="Upgrade request required")
        await socket.prepare(request)
        return cls(socket)

    @property
    def response(self) -> web.WebSocketResponse:
        """The WebSocket itself."""
        return self._socket

    async def send(self, channel: int, data: bytes) -> None:
        """See `Carrier`."""
        await self._socket.send_bytes(bytes([channel]) + data)

    async def messages(self) -> AsyncIterator[tuple[int, bytes]]:
        """See `Carrier`."""
        async for message in self._socket:
            if message.type is WSMsgType.BINARY and message.data:
                yield message.data[0], message.data[1:]

    async def close(self) -> None:
        """See `Carrier`."""
        await self._socket.close(code=WSCloseCode.OK)


class Channels:
    """The channels of one request. Output is queued without waiting and sent by `pump`."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._queue: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()
        self._waiting = 0
        self._room = asyncio.Event()
        self._room.set()
        self.is_overflowing = asyncio.Event()

    @property
    def response(self) -> web.StreamResponse:
        """What the handler of the request gives back."""
        return self._carrier.response

    def send(self, channel: int, data: bytes) -> None:
        """Queue data for a channel."""
        if data and not self.is_overflowing.is_set():
            self._waiting += len(data)
            self._queue.put_nowait((channel, data))
            if self._waiting > ROOM_BYTES:
                self._room.clear()
            if self._waiting > BUFFER_BYTES:
                self.is_overflowing.set()

    async def pump(self) -> None:
        """Send what is queued, until `finish`."""
        while (message := await self._queue.get()) is not None:
            await self._carrier.send(*message)
            self._waiting -= len(message[1])
            if self._waiting <= ROOM_BYTES:
                self._room.set()

    async def room(self) -> None:
        """Wait until the client has taken most of what is queued: for senders that can wait."""
        await self._room.wait()

    def finish(self) -> None:
        """Nothing more will be queued."""
        self._queue.put_nowait(None)

    def messages(self) -> AsyncIterator[tuple[int, bytes]]:
        """The (channel, data) pairs that come in, until the client closes."""
        return self._carrier.messages()

    async def close(self) -> None:
        """End the connection in order."""
        await self._carrier.close()


def exit_status(code: int, argv: Sequence[str] = ()) -> bytes:
    """The Status that ends an exec or attach."""
    if code == 0:
        return json.dumps({"metadata": {}, "status": "Success"}).encode()
    status = {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: error executing command {[*argv]}, exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
    return json.dumps(status).encode()


def failure_status(message: str) -> bytes:
    """The Status of something that went wrong beside the command."""
    status = {"metadata": {}, "status": "Failure", "message": message, "reason": "InternalError", "code": 500}
    return json.dumps(status).encode()
