"""Packets and what becomes of them: the vocabulary of every part of the data plane.

Addresses are `ipaddress` objects at this border, plain integers inside the machine. A packet here is the first of a
connection or any later one; bytes are none of our business.
"""

from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Self

Address = IPv4Address | IPv6Address
Prefix = IPv4Network | IPv6Network


class Protocol(IntEnum):
    """The protocol above IP; values are IANA's numbers."""

    ICMP = 1
    TCP = 6
    UDP = 17
    ICMPV6 = 58
    SCTP = 132

    @property
    def has_ports(self) -> bool:
        """Whether packets carry a source and a target port."""
        return self in (Protocol.TCP, Protocol.UDP, Protocol.SCTP)


class Verdict(StrEnum):
    """The end of a packet's way through one node. Three different answers: see, hear nothing, be told no."""

    ACCEPT = "accept"
    DROP = "drop"
    REJECT = "reject"


class Entry(StrEnum):
    """Where a packet enters a node's rules."""

    FORWARD = "forward"
    """From a pod's link, another node or outside: prerouting, then forward or input."""
    OUTPUT = "output"
    """From the node itself, host-network pods and probes included: output."""


class Source(StrEnum):
    """What sent a packet into this node; for people to read, the rules look at addresses only."""

    POD = "pod"
    NODE = "node"
    PEER = "peer"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet. Ports are 0 where the protocol has none; `mark` is the node's own and never leaves it."""

    src: Address
    dst: Address
    protocol: Protocol
    sport: int
    dport: int
    mark: int = 0

    def __str__(self) -> str:
        ports = self.protocol.has_ports
        source = _with_port(self.src, self.sport) if ports else str(self.src)
        target = _with_port(self.dst, self.dport) if ports else str(self.dst)
        return f"{self.protocol.name} {source} → {target}"

    @classmethod
    def of(cls, src: str, dst: str, protocol: str = "TCP", *, sport: int = 40000, dport: int = 0) -> Self:
        """From text, for tests and command lines."""
        return cls(ip_address(src), ip_address(dst), Protocol[protocol], sport, dport)

    def reply(self) -> Self:
        """The packet that goes the other way."""
        return replace(self, src=self.dst, dst=self.src, sport=self.dport, dport=self.sport, mark=0)


def _with_port(address: Address, port: int) -> str:
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"  # noqa: PLR2004  IPv6
