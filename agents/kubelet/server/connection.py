"""What SPDY frames travel on: the client's own connection, or a WebSocket's messages."""

from aiohttp import WSMsgType, hdrs, web

from miniplane import upgrade

SPDY = "SPDY/3.1"
_VERSION_HEADER = "X-Stream-Protocol-Version"


class InWebSocket:
    """The bytes of a WebSocket's binary messages."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        """See `Bytes`."""
        async for message in self._socket:
            if message.type is WSMsgType.BINARY and message.data:
                return bytes(message.data)
        return b""

    async def write(self, data: bytes) -> None:
        """See `Bytes`."""
        await self._socket.send_bytes(data)

    async def close(self) -> None:
        """See `Bytes`."""
        await self._socket.close()


def is_spdy(request: web.Request) -> bool:
    """Whether the client wants SPDY on the connection itself, as kubectl did before WebSockets."""
    return request.headers.get(hdrs.UPGRADE, "").lower() == SPDY.lower()


async def take(request: web.Request, protocols: tuple[str, ...]) -> upgrade.Taken:
    """Take the connection over, with the first of these protocols that the client speaks.

    Raises:
        web.HTTPForbidden: It speaks none; upstream's status for that.
    """
    asked = [word.strip() for text in request.headers.getall(_VERSION_HEADER, ()) for word in text.split(",")]
    chosen = next((protocol for protocol in protocols if protocol in asked), None)
    if chosen is None:
        words = f"client supports [{' '.join(asked)}], server accepts [{' '.join(protocols)}]"
        raise web.HTTPForbidden(text=f"unable to upgrade: unable to negotiate protocol: {words}")
    return await upgrade.take(request, {hdrs.UPGRADE: SPDY, _VERSION_HEADER: chosen})
