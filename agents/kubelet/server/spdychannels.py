"""Channels on SPDY: a stream for each, opened by the client with a header that says which.

kubectl before 1.30 runs exec and attach in this form. Counterpart upstream: kubelet's remotecommand streams, `v4`.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping

from aiohttp import web

from miniplane.upgrade import Taken

from . import connection
from .channels import CLOSE, ERROR, RESIZE, STDERR, STDIN, STDOUT, V4
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
    goaway_frame,
    ping_frame,
    reset_frame,
)

OPEN_TIMEOUT_S = 30.0
"""How long a client may take to open its streams, as upstream."""
_CHANNELS: Mapping[str, int] = {"error": ERROR, "stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "resize": RESIZE}
_PIECE = 32_768


class SpdyChannels:
    """A `Carrier` on one connection."""

    def __init__(self, taken: Taken) -> None:
        self._taken = taken
        self._decoder = Decoder()
        self._encoder = Encoder()
        self._streams: dict[int, int] = {}
        """`{channel: stream}`"""
        self._early: list[Frame] = []
        """What came on streams before all of them were open."""

    @classmethod
    async def accept(cls, request: web.Request, wanted: frozenset[int]) -> "SpdyChannels":
        """Take the connection and wait for the client's streams.

        Raises ConnectionError if they don't all come, or not in time.
        """
        made = cls(await connection.take(request, (V4,)))
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await made._open(wanted)
        except (SpdyError, TimeoutError) as error:
            raise ConnectionError(f"the client did not open its streams: {error}") from error
        return made

    async def _open(self, wanted: frozenset[int]) -> None:
        while not wanted <= self._streams.keys():
            data = await self._taken.read()
            if not data:
                raise ConnectionError("the client left before it had opened its streams")
            for frame in self._decoder.feed(data):
                if not await self._answered(frame):
                    self._early.append(frame)

    async def _answered(self, frame: Frame) -> bool:
        """Whether the frame was about the connection, not about a channel's data."""
        match frame:
            case Opened(stream, headers):
                channel = _CHANNELS.get(headers.get("streamtype", ""))
                if channel is None or channel in self._streams:
                    await self._taken.write(reset_frame(stream))
                    return True
                self._streams[channel] = stream
                await self._taken.write(self._encoder.reply(stream))
                return True
            case Ping(number):
                await self._taken.write(ping_frame(number))
                return True
            case Data() | Reset() | GoAway():
                return False

    @property
    def response(self) -> web.StreamResponse:
        """See `Carrier`."""
        return self._taken.response

    async def send(self, channel: int, data: bytes) -> None:
        """See `Carrier`."""
        stream = self._streams.get(channel)
        if stream is not None:
            for start in range(0, len(data), _PIECE):
                await self._taken.write(data_frame(stream, data[start : start + _PIECE]))

    async def messages(self) -> AsyncIterator[tuple[int, bytes]]:
        """See `Carrier`. The end of a stream comes as the message of version 5 that closes a channel."""
        channels = {stream: channel for channel, stream in self._streams.items()}
        frames, self._early = self._early, []
        try:
            while True:
                for frame in frames:
                    if isinstance(frame, GoAway):
                        return
                    if isinstance(frame, Data) and (channel := channels.get(frame.stream)) is not None:
                        if frame.data:
                            yield channel, frame.data
                        if frame.is_finished:
                            yield CLOSE, bytes([channel])
                data = await self._taken.read()
                if not data:
                    return
                frames = [frame for frame in self._decoder.feed(data) if not await self._answered(frame)]
        except SpdyError:
            return

    async def close(self) -> None:
        """See `Carrier`: all streams end, then the connection."""
        for stream in self._streams.values():
            await self._taken.write(data_frame(stream, b"", finish=True))
        await self._taken.write(goaway_frame())
        await self._taken.close()
