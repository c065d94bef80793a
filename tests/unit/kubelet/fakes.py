"""A network in memory and a clock turned by hand: as little of both as the kubelet's parts need."""

import asyncio
import errno
import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

Factory = Callable[[], asyncio.BaseProtocol]


class ManualClock:
    """Time stands still until `advance`."""

    def __init__(self) -> None:
        self._passed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def now(self) -> datetime:
        """The present time."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        """Seconds passed."""
        return self._passed

    async def sleep(self, seconds: float) -> None:
        """Wait for `advance`; no time at all needs none."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._passed + seconds, next(self._numbers), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Let time pass, waking each sleeper at its moment and letting it run."""
        end = self._passed + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            moment, _, woken = heapq.heappop(self._sleepers)
            self._passed = max(self._passed, moment)
            if not woken.done():
                woken.set_result(None)
                await settle()
        self._passed = end
        await settle()


async def settle(rounds: int = 50) -> None:
    """Let everything that can run now run."""
    for _ in range(rounds):
        await asyncio.sleep(0)


class MemoryTransport(asyncio.Transport):
    """One end of a connection in memory."""

    def __init__(self, protocol: asyncio.BaseProtocol, local: tuple[str, int], peer: tuple[str, int]) -> None:
        super().__init__({"sockname": local, "peername": peer})
        self._protocol = protocol
        self._closing = False
        self._paused = False
        self._pending: list[bytes | None] = []
        self.other: MemoryTransport | None = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Speak with another protocol."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol."""
        return self._protocol

    def is_closing(self) -> bool:
        """Closed?"""
        return self._closing

    def is_reading(self) -> bool:
        """Reading?"""
        return not self._paused

    def pause_reading(self) -> None:
        """Hold data back."""
        self._paused = True

    def resume_reading(self) -> None:
        """Go on."""
        self._paused = False
        pending, self._pending = self._pending, []
        for item in pending:
            self.receive(item)

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0

    def can_write_eof(self) -> bool:
        """Yes."""
        return True

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        """Send."""
        if not self._closing and self.other is not None:
            asyncio.get_running_loop().call_soon(self.other.receive, bytes(data))

    def write_eof(self) -> None:
        """Send the end."""
        if self.other is not None:
            asyncio.get_running_loop().call_soon(self.other.receive, None)

    def receive(self, data: bytes | None) -> None:
        """Take bytes, or the end of them."""
        if self._closing:
            return
        if self._paused:
            self._pending.append(data)
        elif data is None:
            assert isinstance(self._protocol, asyncio.Protocol | asyncio.BufferedProtocol)
            if not self._protocol.eof_received():
                self.close()
        elif isinstance(self._protocol, asyncio.BufferedProtocol):
            while data:
                buffer = self._protocol.get_buffer(len(data))
                size = min(len(buffer), len(data))  # type: ignore[arg-type]  # a Buffer of no known length
                buffer[:size] = data[:size]  # type: ignore[index]  # as above
                self._protocol.buffer_updated(size)
                data = data[size:]
        else:
            assert isinstance(self._protocol, asyncio.Protocol)
            self._protocol.data_received(data)

    def close(self) -> None:
        """Close."""
        if not self._closing:
            self._closing = True
            loop = asyncio.get_running_loop()
            loop.call_soon(self._protocol.connection_lost, None)
            if self.other is not None:
                loop.call_soon(self.other.receive, None)

    def abort(self) -> None:
        """Close."""
        self.close()


class _Listening:
    def __init__(self, link: "MemoryLink", port: int) -> None:
        self._link = link
        self.port = port

    def close(self) -> None:
        """Take no new connections."""
        self._link.network.listening.pop((self._link.ip, self.port), None)


class _Socket:
    def __init__(self, link: "MemoryLink", port: int) -> None:
        self._link = link
        self.port = port

    def send(self, data: bytes, host: str, port: int) -> None:
        """Deliver to whoever is bound there."""
        target = self._link.ip if host == "127.0.0.1" else host
        if receive := self._link.network.bound.get((target, port)):
            asyncio.get_running_loop().call_soon(receive, data, self._link.ip, self.port)

    def close(self) -> None:
        """Unbind."""
        self._link.network.bound.pop((self._link.ip, self.port), None)


class MemoryLink:
    """One pod's part of it."""

    def __init__(self, network: "MemoryNetwork", ip: str) -> None:
        self.network = network
        self._ip = ip

    @property
    def ip(self) -> str:
        """The pod's address."""
        return self._ip

    async def listen(self, factory: Factory, port: int, *, host: str = "") -> _Listening:  # noqa: ARG002 - the contract
        """Listen on the pod's address."""
        port = port or next(self.network.ports)
        if (self._ip, port) in self.network.listening:
            raise OSError(errno.EADDRINUSE, "address already in use")
        self.network.listening[self._ip, port] = factory
        return _Listening(self, port)

    async def connect(self, factory: Factory, host: str, port: int) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Connect to whoever listens."""
        target = self._ip if host == "127.0.0.1" else host
        if target in self.network.dropped:
            await asyncio.get_running_loop().create_future()
        if (accept := self.network.listening.get((target, port))) is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "connection refused")
        ours, theirs = factory(), accept()
        here, there = (self._ip, next(self.network.ports)), (target, port)
        near, far = MemoryTransport(ours, here, there), MemoryTransport(theirs, there, here)
        near.other, far.other = far, near
        theirs.connection_made(far)
        ours.connection_made(near)
        return near, ours

    async def bind(self, receive: Callable[[bytes, str, int], None], port: int = 0) -> _Socket:
        """Bind a datagram port."""
        port = port or next(self.network.ports)
        if (self._ip, port) in self.network.bound:
            raise OSError(errno.EADDRINUSE, "address already in use")
        self.network.bound[self._ip, port] = receive
        return _Socket(self, port)


class MemoryNetwork:
    """Every address reaches every other; those in `dropped` never answer."""

    def __init__(self, node_ip: str = "172.30.0.11") -> None:
        self.listening: dict[tuple[str, int], Factory] = {}
        self.bound: dict[tuple[str, int], Callable[[bytes, str, int], None]] = {}
        self.dropped: set[str] = set()
        self.links: dict[str, MemoryLink] = {}
        self.ports = itertools.count(40000)
        self._host = MemoryLink(self, node_ip)

    async def attach(self, uid: str, ip: str) -> MemoryLink:
        """A link for the pod."""
        return self.links.setdefault(uid, MemoryLink(self, ip))

    async def detach(self, uid: str) -> None:
        """Take it away with what listens on it."""
        if link := self.links.pop(uid, None):
            for table in (self.listening, self.bound):
                for key in [key for key in table if key[0] == link.ip]:
                    table.pop(key)

    def host(self) -> MemoryLink:
        """The node's own."""
        return self._host
