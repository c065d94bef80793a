"""What the built-in servers share: their open sockets, and who they say they are."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from ...network.base import Datagrams, Listener
from .base import ContainerContext

Receive = Callable[[bytes, str, int], None]


class Sockets:
    """The open sockets of one container; all or none of them open."""

    def __init__(self, context: ContainerContext) -> None:
        self._context = context
        self._listeners: list[Listener] = []
        self._datagrams: list[Datagrams] = []
        self._closers: list[Callable[[], Awaitable[None]]] = []
        self._transports: set[asyncio.BaseTransport] = set()

    async def listen(self, factory: Callable[[], asyncio.BaseProtocol], ports: Iterable[int]) -> None:
        """Listen on each port once. Raises OSError, with what was opened before closed again."""
        try:
            for port in dict.fromkeys(ports):
                self._listeners.append(await self._context.link.listen(factory, port))
        except OSError as error:
            await self.close()
            self._context.log(f"bind: {error.strerror or error}")
            raise

    async def bind(self, receive: Callable[[bytes, str, int, Datagrams], None], ports: Iterable[int]) -> None:
        """Bind each UDP port once; `receive` also gets the socket to answer with. Raises as `listen`."""
        try:
            for port in dict.fromkeys(ports):
                self._datagrams.append(await self._bind(receive, port))
        except OSError as error:
            await self.close()
            self._context.log(f"bind: {error.strerror or error}")
            raise

    async def _bind(self, receive: Callable[[bytes, str, int, Datagrams], None], port: int) -> Datagrams:
        socket: Datagrams

        def received(data: bytes, host: str, sender: int) -> None:
            receive(data, host, sender, socket)

        socket = await self._context.link.bind(received, port)
        return socket

    def at_close(self, closer: Callable[[], Awaitable[None]]) -> None:
        """Await `closer` after the sockets are closed."""
        self._closers.append(closer)

    def track(self, transport: asyncio.BaseTransport) -> None:
        """Remember a connection: it ends with the container."""
        self._transports.add(transport)

    def forget(self, transport: asyncio.BaseTransport) -> None:
        """The connection has ended."""
        self._transports.discard(transport)

    async def close(self) -> None:
        """Close everything."""
        for listener in self._listeners:
            listener.close()
        for socket in self._datagrams:
            socket.close()
        for transport in list(self._transports):
            transport.close()
        for closer in self._closers:
            await closer()
        self._listeners.clear()
        self._datagrams.clear()
        self._closers.clear()


def ports_of(context: ContainerContext, protocol: str, own: Iterable[int] = ()) -> list[int]:
    """The image's own ports, then the declared ones of that protocol, each once."""
    declared = [port for kind, port in context.ports if kind == protocol]
    return list(dict.fromkeys([*own, *declared]))


def identity(context: ContainerContext) -> dict[str, Any]:
    """Who answers: what every built-in server tells of itself."""
    metadata = context.pod["metadata"]
    return {
        "pod": metadata["name"],
        "namespace": metadata.get("namespace", ""),
        "node": context.node,
        "ip": context.link.ip,
        "container": context.container["name"],
        "image": context.container.get("image", ""),
    }


def introduction(context: ContainerContext) -> str:
    """The same in one line, for protocols of lines."""
    who = identity(context)
    return f"{who['image']} in pod {who['namespace']}/{who['pod']} on {who['node']} ({who['ip']})"


def flag(args: Iterable[str], name: str, default: str = "") -> str:
    """The value of a Go-style flag: `-name=value`, `--name=value`, `-name value`; the last one counts."""
    value, taken = default, ""
    for arg in args:
        if taken:
            value, taken = arg, ""
            continue
        word, equals, rest = arg.lstrip("-").partition("=")
        if arg.startswith("-") and word == name:
            value, taken = (rest, "") if equals else (value, name)
    return value
