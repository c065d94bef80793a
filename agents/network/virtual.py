"""A node's network in user space: links, listeners, and each connection's way through the node's rules.

A new connection and every datagram is a packet: the machine says what becomes of it, and the hop where it goes:
a link of this node, another node (`Peers`), or outside (`Outside`). Once a connection stands its bytes bypass the
rules, so it survives a change of them, as established connections do in the kernel. A pod's localhost and its own
address never meet the rules either.

Transports tell addresses as real sockets do: the client sees the address that it dialled, the server the source as it
is after translation.
"""

import asyncio
import errno
import ipaddress
import itertools
import random
from collections.abc import Callable
from typing import Any, Protocol

from miniplane.aio import Clock
from miniplane.dataplane.evaluate import Machine
from miniplane.dataplane.packet import Entry, Packet, Source, Verdict
from miniplane.dataplane.packet import Protocol as IpProtocol
from miniplane.dataplane.routes import Hop, HopKind

from .base import Datagrams, Listener
from .memory import End, Half, join

Factory = Callable[[], asyncio.BaseProtocol]
Receive = Callable[[bytes, str, int], None]

SYN_PAUSES_S = (1, 2, 4, 8, 16, 32, 64)
"""Waits between attempts when nothing answers: Linux's retransmissions, 127 s in all (tcp_syn_retries = 6)."""
EPHEMERAL = (32768, 60999)
"""Ports that clients take: Linux's ip_local_port_range."""
ANY_HOST = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  compared with, not bound to


_SOURCES = {
    HopKind.POD: Source.POD,
    HopKind.NODE: Source.NODE,
    HopKind.PEER: Source.PEER,
    HopKind.EXTERNAL: Source.EXTERNAL,
    HopKind.NONE: Source.POD,
}


class Dropped(Exception):
    """The first packet of a connection vanished."""


class Peers(Protocol):
    """The way to other nodes."""

    async def open(self, node: str, packet: Packet) -> Half:
        """Carry a new connection to `node`.

        Raises Dropped, ConnectionRefusedError, and OSError EHOSTUNREACH where the node can't be reached.
        """

    def send(self, node: str, packet: Packet, data: bytes) -> None:
        """Carry a datagram, or lose it."""


class Outside(Protocol):
    """The way out of the cluster."""

    async def open(self, packet: Packet) -> Half:
        """Connect to an address outside. Raises OSError ENETUNREACH where there is no way."""

    def send(self, packet: Packet, data: bytes) -> None:
        """Send a datagram outside, or lose it."""


class Nowhere:
    """No other nodes, no outside."""

    async def open(self, *args: Any) -> Half:  # noqa: ARG002  for both protocols
        """There is no way."""
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    def send(self, *args: Any) -> None:
        """Lost."""


class _Listener:
    """One listening port of a link."""

    def __init__(self, link: "VirtualLink", factory: Factory, port: int, host: str) -> None:
        self.factory, self.port, self.host = factory, port, host
        self._link = link

    def close(self) -> None:
        """See `Listener`."""
        self._link.forget_listener(self)


class _Datagrams:
    """One bound datagram port of a link."""

    def __init__(self, link: "VirtualLink", receive: Receive, port: int) -> None:
        self.port = port
        self._receive: Receive | None = receive
        self._link = link

    def send(self, data: bytes, host: str, port: int) -> None:
        """See `Datagrams`."""
        if self._receive is not None:
            self._link.send(data, self.port, host, port)

    def deliver(self, data: bytes, host: str, port: int) -> None:
        """Hand a datagram to whoever bound the port, unless it was closed meanwhile."""
        if self._receive is not None:
            self._receive(data, host, port)

    def close(self) -> None:
        """See `Datagrams`."""
        if self._receive is not None:
            self._receive = None
            self._link.forget_datagrams(self)


class VirtualLink:
    """A pod's link, or the node's own."""

    def __init__(self, network: "VirtualNetwork", ip: str, *, node: bool = False) -> None:
        self._network = network
        self._ip = ip
        self.address = ipaddress.ip_address(ip)
        self._entry = Entry.OUTPUT if node else Entry.FORWARD
        self._source = Source.NODE if node else Source.POD
        self._listeners: dict[int, list[_Listener]] = {}
        self._datagrams: dict[int, _Datagrams] = {}
        self._ends: set[End] = set()
        self._flows: set[tuple[int, str, int]] = set()
        self._next_port = itertools.cycle(range(EPHEMERAL[0], EPHEMERAL[1] + 1))
        self._closed = False

    @property
    def ip(self) -> str:
        """See `Link`."""
        return self._ip

    # Listening.

    async def listen(self, factory: Factory, port: int, *, host: str = "") -> Listener:
        """See `Link`."""
        self._check_open()
        wanted = port or self._free_port(self._listeners)
        here = self._listeners.setdefault(wanted, [])
        if any(host in ANY_HOST or other.host in ANY_HOST or host == other.host for other in here):
            raise OSError(errno.EADDRINUSE, "Address already in use")
        made = _Listener(self, factory, wanted, host)
        here.append(made)
        return made

    def forget_listener(self, listener: _Listener) -> None:
        """A listener was closed."""
        here = self._listeners.get(listener.port, [])
        if listener in here:
            here.remove(listener)
            if not here:
                del self._listeners[listener.port]

    def accept(self, packet: Packet) -> End:
        """The server's half of a connection that arrives here. Raises ConnectionRefusedError if nobody listens."""
        host = str(packet.dst)
        for listener in self._listeners.get(packet.dport, ()):
            if listener.host in ANY_HOST or listener.host == host:
                return self._end(listener.factory(), (host, packet.dport), (str(packet.src), packet.sport))
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")

    # Connecting.

    async def connect(self, factory: Factory, host: str, port: int) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """See `Link`. Raises also TimeoutError, 127 s after a first packet that was dropped."""
        self._check_open()
        target = ipaddress.ip_address(host)
        inside = target.is_loopback or (target == self.address and self._source is Source.POD)
        source = target if inside else self.address
        key = self._reserve(host, port)
        packet = Packet(source, target, IpProtocol.TCP, key[0], port)
        try:
            if inside:
                half: Half = self.accept(packet)
            else:
                half = await self._network.dial(packet, self._entry, self._source)
        except BaseException:
            self._flows.discard(key)
            raise
        protocol = factory()
        end = self._end(protocol, (str(source), key[0]), (host, port))

        def done() -> None:
            self._flows.discard(key)
            if not inside:
                self._network.forget(packet)

        join(end, half, done)
        if self._closed:
            end.abort()
        end.start()
        return end, protocol

    def _reserve(self, host: str, port: int) -> tuple[int, str, int]:
        for _ in range(EPHEMERAL[1] - EPHEMERAL[0]):
            key = (next(self._next_port), host, port)
            if key not in self._flows and key[0] not in self._listeners:
                self._flows.add(key)
                return key
        raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")

    def _end(self, protocol: asyncio.BaseProtocol, sockname: tuple[str, int], peername: tuple[str, int]) -> End:
        end = End(protocol, sockname=sockname, peername=peername)
        self._ends.add(end)
        end.lost = self._ends.discard
        return end

    # Datagrams.

    async def bind(self, receive: Receive, port: int = 0) -> Datagrams:
        """See `Link`."""
        self._check_open()
        wanted = port or self._free_port(self._datagrams)
        if wanted in self._datagrams:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        made = self._datagrams[wanted] = _Datagrams(self, receive, wanted)
        return made

    def forget_datagrams(self, socket: _Datagrams) -> None:
        """A socket was closed."""
        self._datagrams.pop(socket.port, None)

    def send(self, data: bytes, sport: int, host: str, port: int) -> None:
        """Send a datagram from one of the link's ports."""
        target = ipaddress.ip_address(host)
        if target.is_loopback or (target == self.address and self._source is Source.POD):
            self.deliver(Packet(target, target, IpProtocol.UDP, sport, port), data)
        else:
            packet = Packet(self.address, target, IpProtocol.UDP, sport, port)
            self._network.send(packet, data, self._entry, self._source)

    def deliver(self, packet: Packet, data: bytes) -> None:
        """A datagram arrives; soon, never inside the sender's call."""
        socket = self._datagrams.get(packet.dport)
        if socket is not None:
            asyncio.get_running_loop().call_soon(socket.deliver, data, str(packet.src), packet.sport)

    # The end.

    def close(self) -> None:
        """Everything of the link ends; its connections are reset."""
        self._closed = True
        self._listeners.clear()
        for socket in list(self._datagrams.values()):
            socket.close()
        for end in list(self._ends):
            end.abort()

    def _check_open(self) -> None:
        if self._closed:
            raise OSError(errno.ENETDOWN, "Network is down")

    def _free_port(self, used: dict[int, Any]) -> int:
        for _ in range(EPHEMERAL[1] - EPHEMERAL[0]):
            port = next(self._next_port)
            if port not in used:
                return port
        raise OSError(errno.EADDRINUSE, "Address already in use")


class VirtualNetwork:
    """One node's network; see the module. Use in the node's event loop only.

    `machine` holds the node's rules (the proxy replaces them), `ip` is the node's own address. `peers` and `outside`
    are set before the first connection leaves the node.
    """

    def __init__(
        self, machine: Machine, ip: str, clock: Clock, *, choose: Callable[[int], int] = random.randrange
    ) -> None:
        self.machine = machine
        self.peers: Peers = Nowhere()
        self.outside: Outside = Nowhere()
        self._clock = clock
        self._choose = choose
        self._host = VirtualLink(self, ip, node=True)
        self._links: dict[str, VirtualLink] = {}
        self._by_address: dict[ipaddress.IPv4Address | ipaddress.IPv6Address, VirtualLink] = {}

    # The contract of `Network`.

    async def attach(self, uid: str, ip: str) -> VirtualLink:
        """See `Network`. Raises OSError EADDRINUSE for an address that another pod has."""
        known = self._links.get(uid)
        if known is not None and known.ip == ip:
            return known
        address = ipaddress.ip_address(ip)
        if address in self._by_address and self._by_address[address] is not known:
            raise OSError(errno.EADDRINUSE, f"{ip} belongs to another pod")
        await self.detach(uid)
        link = VirtualLink(self, ip)
        self._links[uid] = self._by_address[address] = link
        return link

    async def detach(self, uid: str) -> None:
        """See `Network`."""
        link = self._links.pop(uid, None)
        if link is not None:
            del self._by_address[link.address]
            link.close()

    def host(self) -> VirtualLink:
        """See `Network`."""
        return self._host

    async def aclose(self) -> None:
        """Take every link away."""
        for uid in list(self._links):
            await self.detach(uid)
        self._host.close()

    # Connections.

    async def dial(self, packet: Packet, entry: Entry, source: Source) -> Half:
        """Send the first packet until something answers; the half to join with. `forget` the packet at the end.

        Raises ConnectionRefusedError, TimeoutError after 127 s of silence, OSError EHOSTUNREACH or ENETUNREACH.
        """
        try:
            for pause in SYN_PAUSES_S:
                try:
                    return await self._attempt(packet, entry, source)
                except Dropped:
                    await self._clock.sleep(pause)
        except BaseException:
            self.forget(packet)
            raise
        self.forget(packet)
        raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")

    async def take(self, packet: Packet) -> Half:
        """A new connection arrives from another node. As `dial`, but raises Dropped: the sender tries again."""
        try:
            return await self._attempt(packet, Entry.FORWARD, Source.PEER)
        except BaseException:
            self.forget(packet)
            raise

    def forget(self, packet: Packet) -> None:
        """The connection that began with `packet` is over."""
        self.machine.close(packet)

    async def _attempt(self, packet: Packet, entry: Entry, source: Source) -> Half:
        outcome = self.machine.send(
            packet, entry=entry, source=source, now=self._clock.monotonic(), choose=self._choose
        )
        if outcome.verdict is Verdict.REJECT:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        if outcome.verdict is Verdict.DROP:
            raise Dropped(packet)
        half = await self._arrive(outcome.packet, outcome.hop)
        self._answer(outcome.packet.reply(), outcome.hop)
        return half

    async def _arrive(self, packet: Packet, hop: Hop) -> Half:
        link = self._local(packet, hop)
        if link is not None:
            return link.accept(packet)
        if hop.kind is HopKind.PEER:
            return await self.peers.open(hop.name, packet)
        if hop.kind is HopKind.EXTERNAL:
            return await self.outside.open(packet)
        raise OSError(errno.EHOSTUNREACH, "No route to host")

    def _answer(self, reply: Packet, hop: Hop) -> None:
        """The answer's way back through the node: from now on the connection table knows it as established."""
        entry = Entry.OUTPUT if hop.kind is HopKind.NODE else Entry.FORWARD
        self.machine.send(
            reply, entry=entry, source=_SOURCES[hop.kind], now=self._clock.monotonic(), choose=self._choose
        )

    def _local(self, packet: Packet, hop: Hop) -> VirtualLink | None:
        """The link that the packet ends at. What is attached here counts, routes from the API may lag behind."""
        if hop.kind is HopKind.NODE:
            return self._host
        if hop.kind in (HopKind.POD, HopKind.NONE):
            return self._by_address.get(packet.dst)
        return None

    # Datagrams.

    def send(self, packet: Packet, data: bytes, entry: Entry, source: Source) -> None:
        """Send a datagram; what the rules reject or nobody takes is lost."""
        outcome = self.machine.send(
            packet, entry=entry, source=source, now=self._clock.monotonic(), choose=self._choose
        )
        if outcome.verdict is not Verdict.ACCEPT:
            return
        link = self._local(outcome.packet, outcome.hop)
        if link is not None:
            link.deliver(outcome.packet, data)
        elif outcome.hop.kind is HopKind.PEER:
            self.peers.send(outcome.hop.name, outcome.packet, data)
        elif outcome.hop.kind is HopKind.EXTERNAL:
            self.outside.send(outcome.packet, data)

    def take_datagram(self, packet: Packet, data: bytes) -> None:
        """A datagram arrives from another node."""
        self.send(packet, data, Entry.FORWARD, Source.PEER)

    def is_from(self, node: str, packet: Packet) -> bool:
        """Whether the packet's source lies behind `node`: strict reverse path filtering between nodes."""
        return self.machine.program.routes.lookup(packet.src) == Hop(HopKind.PEER, node)
