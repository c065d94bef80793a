"""Clients of the user's machine, let into the kernel's data path: they come from the bridge's own address.

A real socket outside accepts; for each client a socket in the common namespace connects to the target, as a machine
in the nodes' network would. For an address that no link has, such as a load balancer's, the way leads to this node.
"""

import asyncio
import contextlib
import socket
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from ..base import Datagrams
from ..hostports import MAX_FLOWS, Port, Target
from ..memory import join
from ..sockets import SocketHalf
from .links import KernelLink
from .underlay import BRIDGE, Underlay


class Entrance:
    """One node's entrance."""

    def __init__(self, underlay: Underlay, node: str) -> None:
        cidr = underlay.cidr
        self.link = KernelLink(underlay.core, str(IPv4Address(int(cidr.network_address) + 1)))
        self._underlay, self._node = underlay, IPv4Address(node)
        self._routed: dict[str, int] = {}

    def port(self, target: Target) -> Port:
        """A socket for a target, not open yet."""
        return (_UdpPort if target.protocol == "UDP" else _TcpPort)(self, target)

    def lead(self, ip: str) -> None:
        """Lead packets for an address of this node's to it."""
        if IPv4Address(ip) != self._node and ip not in self._routed:
            self._underlay.netlink.set_route(IPv4Network(ip), link=BRIDGE, via=self._node)
        self._routed[ip] = self._routed.get(ip, 0) + 1

    def leave(self, ip: str) -> None:
        """The last one who called `lead` takes the way back, unless it leads to another node by now."""
        self._routed[ip] -= 1
        if not self._routed[ip]:
            del self._routed[ip]
            if IPv4Address(ip) != self._node:
                self._underlay.netlink.delete_route(IPv4Network(ip), self._node)


class _Doors:
    """Clients that were let in from one listening socket to another place, until they or it end."""

    def __init__(self, name: str, dial: Callable[[], Awaitable[SocketHalf]]) -> None:
        self._name, self._dial = name, dial
        self._tasks: set[asyncio.Task[None]] = set()
        self._halves: set[SocketHalf] = set()

    def half(self) -> SocketHalf:
        """The protocol of a new client."""
        return SocketHalf(self._accept)

    def _accept(self, half: SocketHalf) -> None:
        task = asyncio.create_task(self._enter(half), name=self._name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _enter(self, half: SocketHalf) -> None:
        try:
            far = await self._dial()
        except OSError:
            half.put_reset()
            return
        except asyncio.CancelledError:
            half.put_reset()
            raise
        self._halves.add(half)
        join(half, far, lambda: self._halves.discard(half))

    async def aclose(self) -> None:
        """End all of them."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for half in list(self._halves):
            half.put_reset()


class _TcpPort:
    """A listening socket outside."""

    def __init__(self, owner: Entrance, target: Target) -> None:
        self._owner, self._target = owner, target
        self._server: asyncio.Server | None = None
        self._doors = _Doors(f"from outside to {target}", self._dial)

    async def _dial(self) -> SocketHalf:
        _, far = await self._owner.link.connect(SocketHalf, self._target.ip, self._target.port)
        assert isinstance(far, SocketHalf)
        return far

    async def open(self, host: str, port: int) -> tuple[str, int]:
        """See `Port`."""
        server = await asyncio.get_running_loop().create_server(self._doors.half, host, port)
        try:
            self._owner.lead(self._target.ip)
        except OSError:
            server.close()
            raise
        self._server = server
        name = server.sockets[0].getsockname()
        return name[0], name[1]

    async def aclose(self) -> None:
        """See `Port`."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._owner.leave(self._target.ip)
        await self._doors.aclose()


class _UdpPort(asyncio.DatagramProtocol):
    """A datagram socket outside, and one inside for each of its clients."""

    def __init__(self, owner: Entrance, target: Target) -> None:
        self._owner, self._target = owner, target
        self._transport: asyncio.DatagramTransport | None = None
        self._flows: OrderedDict[tuple[str, int], asyncio.Task[Datagrams]] = OrderedDict()

    async def open(self, host: str, port: int) -> tuple[str, int]:
        """See `Port`."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, (host, port))
        try:
            self._owner.lead(self._target.ip)
        except OSError:
            transport.close()
            raise
        self._transport = transport
        name = transport.get_extra_info("sockname")
        return name[0], name[1]

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """From a client."""
        if addr not in self._flows:
            self._flows[addr] = asyncio.create_task(self._open_flow(addr), name=f"udp {addr}")
            if len(self._flows) > MAX_FLOWS:
                _end(self._flows.popitem(last=False)[1])
        self._flows.move_to_end(addr)
        self._flows[addr].add_done_callback(lambda flow: self._send(addr, flow, data))

    def _send(self, addr: tuple[str, int], flow: asyncio.Task[Datagrams], data: bytes) -> None:
        if not flow.cancelled() and flow.exception() is None:
            flow.result().send(data, self._target.ip, self._target.port)
        elif self._flows.get(addr) is flow:  # the client's next datagram tries again
            del self._flows[addr]

    async def _open_flow(self, addr: tuple[str, int]) -> Datagrams:
        def back(data: bytes, _host: str, _port: int) -> None:
            if self._transport is not None:
                self._transport.sendto(data, addr)

        return await self._owner.link.bind(back)

    async def aclose(self) -> None:
        """See `Port`."""
        for flow in self._flows.values():
            _end(flow)
        self._flows.clear()
        if self._transport is not None:
            self._transport.close()
            self._transport = None
            self._owner.leave(self._target.ip)


def _end(flow: "asyncio.Task[Datagrams]") -> None:
    """Close a client's socket, now or as soon as it is there."""

    def close(done: "asyncio.Task[Datagrams]") -> None:
        if not done.cancelled() and done.exception() is None:
            done.result().close()

    flow.add_done_callback(close)


@contextlib.asynccontextmanager
async def serve_api(underlay: Underlay, host: str, port: int) -> AsyncIterator[None]:
    """Answer for the API server on the bridge's address: pods reach it there behind the `kubernetes` Service.

    Every node of the machine does, on the same port; the kernel spreads clients over those that are alive.
    """
    kind = socket.SOCK_STREAM | socket.SOCK_CLOEXEC
    sock = underlay.core.call(lambda: socket.socket(socket.AF_INET, kind))
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((str(IPv4Address(int(underlay.cidr.network_address) + 1)), port))
        sock.setblocking(False)  # noqa: FBT003  a socket's own way of saying it
    except OSError:
        sock.close()
        raise
    loop = asyncio.get_running_loop()

    async def dial() -> SocketHalf:
        _, far = await loop.create_connection(SocketHalf, host, port)
        return far

    doors = _Doors("to the API server", dial)
    server = await loop.create_server(doors.half, sock=sock)
    try:
        yield
    finally:
        server.close()
        await doors.aclose()
