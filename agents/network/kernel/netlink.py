"""Netlink, as much of it as links, addresses, routes and forgotten connections take.

A socket belongs to the namespace in which it was made. Numbers are those of linux/rtnetlink.h, if_link.h and
nfnetlink_conntrack.h. Everything is IPv4 so far, as the API's addresses are.
"""

import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Self

from .namespaces import Namespace

_ROUTE, _NETFILTER = 0, 12
_REQUEST, _ACK, _DUMP, _CREATE, _REPLACE, _EXCL = 0x1, 0x4, 0x300, 0x400, 0x100, 0x200
_NEWLINK, _DELLINK, _GETLINK, _NEWADDR, _NEWROUTE, _DELROUTE = 16, 17, 18, 20, 24, 25
_ERROR, _DONE, _MULTI = 2, 3, 0x2
_CT_GET, _CT_DELETE = 0x0101, 0x0102
_UP = 1
_OURS = 99
"""The routing protocol number of our routes."""
_HEAD = struct.Struct("=IHHII")
_ATTR = struct.Struct("=HH")
HOST, GLOBAL = 254, 0
"""Scopes of addresses."""


def _attr(kind: int, data: bytes) -> bytes:
    length = 4 + len(data)
    return _ATTR.pack(length, kind) + data + b"\0" * (-length % 4)


def _attrs(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes of a message; flags are taken off their kinds."""
    while len(data) >= _ATTR.size:
        length, kind = _ATTR.unpack_from(data)
        if length < _ATTR.size:
            return
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3 :]


@dataclass(frozen=True, slots=True)
class Flow:
    """A UDP connection that the kernel follows: first packet's target, and who answers."""

    target: tuple[int, int]
    answerer: tuple[int, int]
    tuple: bytes
    """What names it to the kernel."""

    @property
    def is_translated(self) -> bool:
        """Whether somebody else than the one asked answers."""
        return self.target != self.answerer


class Netlink:
    """A conversation with the kernel about one namespace. Raises OSError with the kernel's error."""

    def __init__(self, namespace: Namespace, family: int = _ROUTE) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        self._socket = namespace.call(lambda: socket.socket(socket.AF_NETLINK, kind, family))
        self._sequence = 0

    @classmethod
    def connections(cls, namespace: Namespace) -> Self:
        """About the connections that it follows."""
        return cls(namespace, _NETFILTER)

    def close(self) -> None:
        """End it."""
        self._socket.close()

    def _send(self, kind: int, flags: int, body: bytes) -> None:
        self._sequence += 1
        length = _HEAD.size + len(body)
        self._socket.send(_HEAD.pack(length, kind, _REQUEST | flags, self._sequence, 0) + body)

    def _ask(self, kind: int, flags: int, body: bytes) -> None:
        """A request that is acknowledged."""
        self._send(kind, flags | _ACK, body)
        for code, payload in self._answers():
            if code == _ERROR:
                number = struct.unpack_from("=i", payload)[0]
                if number:
                    raise OSError(-number, os.strerror(-number))
                return

    def _answers(self) -> Iterator[tuple[int, bytes]]:
        """The messages that answer; ends with the last one."""
        while True:
            data = self._socket.recv(1 << 18)
            while data:
                length, kind, _flags, sequence, _ = _HEAD.unpack_from(data)
                payload, data = data[_HEAD.size : length], data[(length + 3) & ~3 :]
                if sequence != self._sequence:
                    continue  # of a question whose asker left early
                if kind == _DONE:
                    return
                yield kind, payload
                if kind == _ERROR:
                    return

    def index(self, name: str) -> int:
        """The number of a link."""
        body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, 0, 0, 0) + _attr(3, name.encode() + b"\0")
        self._send(_GETLINK, 0, body)
        for kind, payload in self._answers():
            if kind == _ERROR:
                number = struct.unpack_from("=i", payload)[0]
                raise OSError(-number, f"{name}: {os.strerror(-number)}")
            return int(struct.unpack_from("=i", payload, 4)[0])
        raise OSError(0, f"{name}: no answer")

    def up(self, name: str) -> None:
        """Switch a link on."""
        self._ask(_NEWLINK, 0, struct.pack("=BxHiII", socket.AF_UNSPEC, 0, self.index(name), _UP, _UP))

    def add_bridge(self, name: str) -> None:
        """Make a bridge."""
        info = _attr(18, _attr(1, b"bridge\0"))
        self._ask(
            _NEWLINK, _CREATE | _EXCL, struct.pack("=BxHiII", 0, 0, 0, 0, 0) + _attr(3, name.encode() + b"\0") + info
        )

    def add_pair(self, name: str, peer: str, other: Namespace) -> None:
        """Make a link whose other end, `peer`, is in another namespace."""
        end = struct.pack("=BxHiII", 0, 0, 0, 0, 0)
        end += _attr(3, peer.encode() + b"\0") + _attr(28, struct.pack("=i", other.descriptor))
        info = _attr(18, _attr(1, b"veth\0") + _attr(2, _attr(1, end)))
        body = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + _attr(3, name.encode() + b"\0") + info
        self._ask(_NEWLINK, _CREATE | _EXCL, body)

    def delete(self, name: str) -> None:
        """Take a link away, its other end too."""
        self._ask(_DELLINK, 0, struct.pack("=BxHiII", 0, 0, self.index(name), 0, 0))

    def enslave(self, name: str, bridge: str) -> None:
        """Put a link under a bridge."""
        master = _attr(10, struct.pack("=I", self.index(bridge)))
        self._ask(_NEWLINK, 0, struct.pack("=BxHiII", 0, 0, self.index(name), 0, 0) + master)

    def add_address(self, name: str, address: IPv4Address, length: int, scope: int = GLOBAL) -> None:
        """Give a link an address; one that it has is no error."""
        body = struct.pack("=BBBBI", socket.AF_INET, length, 0, scope, self.index(name))
        self._ask(_NEWADDR, _CREATE | _REPLACE, body + _attr(1, address.packed) + _attr(2, address.packed))

    def set_route(
        self,
        target: IPv4Network,
        *,
        link: str,
        via: IPv4Address | None = None,
        source: IPv4Address | None = None,
    ) -> None:
        """Send what is for `target` over a link, to the neighbour `via` if given; replaces a route of ours."""
        scope = GLOBAL if via else 253  # a neighbour is reached through the link itself
        onlink = 4 if via else 0
        body = struct.pack("=BBBBBBBBI", socket.AF_INET, target.prefixlen, 0, 0, 254, _OURS, scope, 1, onlink)
        body += _attr(1, target.network_address.packed) + _attr(4, struct.pack("=I", self.index(link)))
        body += _attr(5, via.packed) if via else b""
        body += _attr(7, source.packed) if source else b""
        self._ask(_NEWROUTE, _CREATE | _REPLACE, body)

    def delete_route(self, target: IPv4Network, via: IPv4Address | None = None) -> None:
        """Take a route of ours away, only one through `via` if given; none is no error."""
        body = struct.pack("=BBBBBBBBI", socket.AF_INET, target.prefixlen, 0, 0, 254, _OURS, 255, 1, 0)
        gateway = _attr(5, via.packed) if via else b""
        try:
            self._ask(_DELROUTE, 0, body + _attr(1, target.network_address.packed) + gateway)
        except ProcessLookupError:
            return

    def flows(self) -> list[Flow]:
        """The UDP connections that the kernel follows."""
        self._send(_CT_GET, _DUMP, struct.pack("=BBH", socket.AF_INET, 0, 0))
        found: list[Flow] = []
        for kind, payload in self._answers():
            if kind == _ERROR:
                number = struct.unpack_from("=i", payload)[0]
                raise OSError(-number, os.strerror(-number))
            if flow := _flow(payload[4:]):
                found.append(flow)
        return found

    def forget(self, flow: Flow) -> None:
        """Let the next packet of a connection be a first one again."""
        body = struct.pack("=BBH", socket.AF_INET, 0, 0) + _attr(1 | 0x8000, flow.tuple)
        try:
            self._ask(_CT_DELETE, 0, body)
        except FileNotFoundError:
            return


def _flow(data: bytes) -> Flow | None:
    parts = dict(_attrs(data))
    original, reply = (_ends(parts.get(kind, b"")) for kind in (1, 2))
    if original is None or reply is None:
        return None
    return Flow(original[1], reply[0], parts[1])


def _ends(data: bytes) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Source and target of a tuple, each `(address, port)`; None if it is not of UDP."""
    parts = dict(_attrs(data))
    addresses, protocol = dict(_attrs(parts.get(1, b""))), dict(_attrs(parts.get(2, b"")))
    if protocol.get(1) != bytes((socket.IPPROTO_UDP,)) or 1 not in addresses:
        return None

    def number(part: bytes) -> int:
        return int.from_bytes(part, "big")

    source = number(addresses[1]), number(protocol.get(2, b""))
    return source, (number(addresses[2]), number(protocol.get(3, b"")))
