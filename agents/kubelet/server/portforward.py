"""`/portForward`: over a WebSocket with a pair of channels per port, or as SPDY, in a WebSocket or not (`tunnel`).

For the i-th port channel 2i carries data and 2i+1 an error text; each begins with the port as two bytes, little end
first. Connections go to the pod's localhost, as upstream's. The client opens one WebSocket per connection.
"""

import asyncio
from dataclasses import dataclass

from aiohttp import web

from miniplane.aio import stop

from ...network.base import Link
from ..streams import Stream, connect
from . import tunnel
from .channels import V4, V5, Channels, WebSocket

_MAX_PORTS = 100
_READ = 65_536


@dataclass(frozen=True, slots=True)
class _Port:
    """One forwarded port and its channels."""

    index: int
    number: int

    @property
    def data(self) -> int:
        return 2 * self.index

    @property
    def error(self) -> int:
        return 2 * self.index + 1


def parse_ports(texts: list[str]) -> list[int]:
    """The ports of `ports=80&ports=81,82`. Raises ValueError."""
    numbers = [int(part) for text in texts for part in text.split(",") if part]
    if not numbers or len(numbers) > _MAX_PORTS or not all(0 < number < 1 << 16 for number in numbers):
        raise ValueError("ports must be 1 to 100 numbers from 1 to 65535")
    return numbers


async def forward(request: web.Request, link: Link) -> web.StreamResponse:
    """Carry bytes between the client and the pod until either ends, in the form that the client asks for."""
    if (carried := await tunnel.forward(request, link)) is not None:
        return carried
    try:
        numbers = parse_ports([*request.query.getall("ports", []), *request.query.getall("port", [])])
    except ValueError as error:
        raise web.HTTPBadRequest(text=str(error)) from error
    channels = Channels(await WebSocket.accept(request, (V5, V4, "channel.k8s.io")))
    ports = [_Port(index, number) for index, number in enumerate(numbers)]
    await _Forwarding(channels, link, ports).run()
    return channels.response


class _Forwarding:
    """All ports of one WebSocket."""

    def __init__(self, channels: Channels, link: Link, ports: list[_Port]) -> None:
        self._channels = channels
        self._link = link
        self._ports = ports
        self._inputs: dict[int, asyncio.Queue[bytes]] = {port.data: asyncio.Queue(maxsize=64) for port in ports}

    async def run(self) -> None:
        for port in self._ports:
            head = port.number.to_bytes(2, "little")
            self._channels.send(port.data, head)
            self._channels.send(port.error, head)
        sending = asyncio.create_task(self._channels.pump(), name="port-forward output")
        reading = asyncio.create_task(self._receive(), name="port-forward input")
        carrying = [asyncio.create_task(self._carry(port), name=f"port-forward {port.number}") for port in self._ports]
        over = asyncio.ensure_future(asyncio.wait(set(carrying)))
        try:
            await asyncio.wait({sending, reading, over}, return_when=asyncio.FIRST_COMPLETED)
            if over.done():
                self._channels.finish()
                await asyncio.wait({sending})
                await stop(reading)  # as in exec
                await self._channels.close()
        finally:
            over.cancel()
            await stop(sending, reading, *carrying)

    async def _receive(self) -> None:
        async for channel, data in self._channels.messages():
            if (queue := self._inputs.get(channel)) is not None:
                await queue.put(data)

    async def _carry(self, port: _Port) -> None:
        try:
            async with connect(self._link, "127.0.0.1", port.number) as stream:
                writing = asyncio.create_task(self._write(port, stream), name="port-forward write")
                try:
                    while data := await stream.reader.read(_READ):
                        self._channels.send(port.data, data)
                        await self._channels.room()
                finally:
                    await stop(writing)
        except OSError as error:
            text = str(error.strerror or error)
            self._channels.send(port.error, f"error forwarding port {port.number} to pod: {text}".encode())

    async def _write(self, port: _Port, stream: Stream) -> None:
        while True:
            stream.writer.write(await self._inputs[port.data].get())
            await stream.writer.drain()
