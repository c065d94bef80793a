"""A pod's network in the kernel: `Link` by real sockets, opened inside the pod's namespace and served by our loop."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable
from typing import cast

from miniplane.observe import logs

from ..base import Datagrams, Listener
from .namespaces import Namespace, reset

log = logs.get("agents.network.links")

_BACKLOG = 512
ACCEPT_PAUSE_S = 1.0
_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED)
"""Errors of accepting that pass."""
_SWEEP_AT = 64
"""So many connections before those that have ended are looked for; then as many again."""
Factory = Callable[[], asyncio.BaseProtocol]


def _reset(transport: asyncio.BaseTransport) -> None:
    """End a connection at once: `abort` alone closes in the loop's next turn, when the pod's link is gone."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        reset(sock.fileno())
    cast(asyncio.Transport, transport).abort()


class _Listener:
    """A listening socket."""

    def __init__(self, link: "KernelLink", sock: socket.socket, factory: Factory) -> None:
        self.port = int(sock.getsockname()[1])
        self._link, self._socket, self._factory = link, sock, factory
        self._task = asyncio.create_task(self._accept(), name=f"accept on {link.ip}:{self.port}")

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._socket)
            except OSError as error:
                if error.errno not in _PASSING:
                    raise
                log.warning("no descriptor for a client", listener=f"{self._link.ip}:{self.port}", error=str(error))
                await asyncio.sleep(ACCEPT_PAUSE_S)  # as asyncio's own servers do
                continue
            try:
                transport, _protocol = await loop.connect_accepted_socket(self._factory, connection)
            except OSError:  # the client has gone already
                connection.close()
                continue
            except BaseException:
                connection.close()
                raise
            self._link.keep(transport)

    def close(self) -> None:
        """See `Listener`."""
        with contextlib.suppress(OSError):  # closed before
            self._socket.shutdown(socket.SHUT_RDWR)  # from now on refused, and the port is free
        self._task.cancel()
        self._task.add_done_callback(lambda _task: self._socket.close())
        self._link.forget(self)


class _Datagrams(asyncio.DatagramProtocol):
    """A UDP socket."""

    def __init__(self, receive: Callable[[bytes, str, int], None], closed: "Callable[[_Datagrams], None]") -> None:
        self._receive, self._closed = receive, closed
        self._transport: asyncio.DatagramTransport | None = None
        self.port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Hand on."""
        self._receive(data, addr[0], addr[1])

    def error_received(self, exc: Exception) -> None:
        """Rejections of datagrams sent earlier: lost, as on a wire."""

    def send(self, data: bytes, host: str, port: int) -> None:
        """See `Datagrams`."""
        if self._transport is not None:
            with contextlib.suppress(OSError):
                self._transport.sendto(data, (host, port))

    def close(self) -> None:
        """See `Datagrams`."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
            self._closed(self)


class KernelLink:
    """One pod's network, or the node's own."""

    def __init__(self, namespace: Namespace, ip: str) -> None:
        self.namespace = namespace
        self._ip = ip
        self._listeners: set[_Listener] = set()
        self._datagrams: set[_Datagrams] = set()
        self._transports: set[asyncio.BaseTransport] = set()
        self._sweep_at = _SWEEP_AT
        self._connecting: set[socket.socket] = set()
        self._closed = False

    @property
    def ip(self) -> str:
        """See `Link`."""
        return self._ip

    def _open(self, kind: int) -> socket.socket:
        self._check_open()
        made = self.namespace.call(lambda: socket.socket(socket.AF_INET, kind | socket.SOCK_CLOEXEC))
        made.setblocking(False)  # noqa: FBT003  a socket's own way of saying it
        return made

    def _check_open(self) -> None:
        if self._closed:
            raise OSError(errno.ENETDOWN, f"the network of {self._ip} has been taken down")

    def keep(self, transport: asyncio.BaseTransport) -> None:
        """End a connection with the link."""
        self._transports.add(transport)
        if len(self._transports) >= self._sweep_at:
            self._transports = {other for other in self._transports if not other.is_closing()}
            self._sweep_at = max(_SWEEP_AT, 2 * len(self._transports))
        if self._closed:
            _reset(transport)

    def forget(self, listener: _Listener) -> None:
        """A listener was closed."""
        self._listeners.discard(listener)

    async def listen(self, factory: Factory, port: int, *, host: str = "") -> Listener:
        """See `Link`."""
        sock = self._open(socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host or "0.0.0.0", port))  # noqa: S104  every address of the pod
            sock.listen(_BACKLOG)
        except OSError:
            sock.close()
            raise
        made = _Listener(self, sock, factory)
        self._listeners.add(made)
        return made

    async def connect(self, factory: Factory, host: str, port: int) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """See `Link`."""
        loop = asyncio.get_running_loop()
        sock = self._open(socket.SOCK_STREAM)
        self._connecting.add(sock)
        try:
            await loop.sock_connect(sock, (host, port))
            self._check_open()
            transport, protocol = await loop.create_connection(factory, sock=sock)
        except BaseException:
            sock.close()
            raise
        finally:
            self._connecting.discard(sock)
        self.keep(transport)
        return transport, protocol

    async def bind(self, receive: Callable[[bytes, str, int], None], port: int = 0) -> Datagrams:
        """See `Link`."""
        sock = self._open(socket.SOCK_DGRAM)
        try:
            sock.bind(("0.0.0.0", port))  # noqa: S104  every address of the pod
            loop = asyncio.get_running_loop()
            _, made = await loop.create_datagram_endpoint(
                lambda: _Datagrams(receive, self._datagrams.discard), sock=sock
            )
        except BaseException:
            sock.close()
            raise
        self._datagrams.add(made)
        if self._closed:
            made.close()
        return made

    def close(self) -> None:
        """Everything of the link ends, and nothing new can start; peers of its connections see a reset."""
        self._closed = True
        for listener in list(self._listeners):
            listener.close()
        for datagrams in list(self._datagrams):
            datagrams.close()
        for sock in self._connecting:
            reset(sock.fileno())
        for transport in self._transports:
            _reset(transport)
        self._transports.clear()
        self._datagrams.clear()
