"""What a pod sees of its network, whatever carries the bytes.

The user-space data path implements these with transports in memory and streams between agents, the kernel data path
with real sockets in the pod's network namespace. Built-in images, probes and applets are written against them only.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol


class Listener(Protocol):
    """Something that listens in a pod."""

    @property
    def port(self) -> int:
        """The port in use, also when 0 was asked for."""

    def close(self) -> None:
        """Take no new connections; running ones go on."""


class Datagrams(Protocol):
    """A bound datagram socket in a pod."""

    @property
    def port(self) -> int:
        """The port in use."""

    def send(self, data: bytes, host: str, port: int) -> None:
        """Send without waiting; what the rules drop is lost without a word, as on a wire."""

    def close(self) -> None:
        """Unbind."""


class Link(Protocol):
    """One pod's network: its address, its localhost, its sockets. Closed by `Network.detach`."""

    @property
    def ip(self) -> str:
        """The pod's address; a host-network pod's is its node's."""

    async def listen(self, factory: Callable[[], asyncio.BaseProtocol], port: int, *, host: str = "") -> Listener:
        """Accept connections on `port` of every address of the pod (`host` narrows it, e.g. to 127.0.0.1).

        The protocol's transport tells `peername` and `sockname` as (address, port), after translation.
        Raises OSError EADDRINUSE.
        """

    async def connect(
        self, factory: Callable[[], asyncio.BaseProtocol], host: str, port: int
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Connect from the pod to an address (no names: see the resolver), through the node's rules.

        Raises ConnectionRefusedError (rejected, or nobody listens), OSError EHOSTUNREACH or ENETUNREACH (no route).
        A dropped packet leaves it waiting, as a SYN without answer does: callers set a time-out.
        """

    async def bind(self, receive: Callable[[bytes, str, int], None], port: int = 0) -> Datagrams:
        """Bind a UDP port (0: any free one); `receive(data, host, port)` is called for each datagram."""


class Network(Protocol):
    """A node's pods' links."""

    async def attach(self, uid: str, ip: str) -> Link:
        """Give the pod `uid` the address `ip`. Idempotent for the same pair."""

    async def detach(self, uid: str) -> None:
        """Take the link away; its listeners and connections end with it. Idempotent."""

    def host(self) -> Link:
        """The node's own network: probes, host-network pods."""
