"""The wire form between agents: frames of a type, a length and a payload, over one TLS stream.

    0       1               5
    +-------+---------------+----------------
    | type  | length (u32)  | payload …
    +-------+---------------+----------------

A packet is `version protocol src dst sport dport` (version 4 or 6, addresses of 4 or 16 bytes). Its mark is the sending
node's own and is not sent.
"""

import ipaddress
import struct
from collections.abc import Callable
from enum import IntEnum

from miniplane.dataplane.packet import Packet, Protocol

HEADER = struct.Struct("!BI")
_PORTS = struct.Struct("!HH")
MAX_FRAME = 70 * 1024
"""Longest frame that is kept whole: a datagram and its packet. DATA is passed on in pieces and may be any length."""
_V4, _V6 = 4, 6


class Frame(IntEnum):
    """The types."""

    OPEN = 1
    """A new connection: its packet."""
    ANSWER = 2
    """What became of it: one byte, an `Answer`."""
    DATA = 3
    END = 4
    """The sender has no more bytes."""
    RESET = 5
    DATAGRAM = 6
    """A packet and its bytes."""


class Answer(IntEnum):
    """What became of a new connection at its target node."""

    ACCEPTED = 0
    REJECTED = 1
    DROPPED = 2
    UNREACHABLE = 3


class FrameError(ValueError):
    """The other side does not speak our protocol."""


def encode(kind: Frame, payload: bytes = b"") -> bytes:
    """One frame."""
    return HEADER.pack(kind, len(payload)) + payload


def encode_packet(packet: Packet) -> bytes:
    """A packet without its mark."""
    head = bytes((packet.src.version, packet.protocol))
    return head + packet.src.packed + packet.dst.packed + _PORTS.pack(packet.sport, packet.dport)


def decode_packet(payload: bytes) -> tuple[Packet, bytes]:
    """A packet and what follows it. Raises FrameError."""
    if not payload or payload[0] not in (_V4, _V6):
        raise FrameError("no IP version")
    size = 4 if payload[0] == _V4 else 16
    end = 2 + 2 * size + _PORTS.size
    if len(payload) < end:
        raise FrameError("a packet is cut short")
    try:
        protocol = Protocol(payload[1])
    except ValueError as error:
        raise FrameError(f"unknown protocol {payload[1]}") from error
    sport, dport = _PORTS.unpack_from(payload, end - _PORTS.size)
    src, dst = payload[2 : 2 + size], payload[2 + size : 2 + 2 * size]
    return Packet(ipaddress.ip_address(src), ipaddress.ip_address(dst), protocol, sport, dport), payload[end:]


class Parser:
    """Cuts a stream into frames: `data` gets DATA in whatever pieces it arrives, `control` whole frames of all others.

    Either may stop the parser with `stop` (the connection is going away).
    """

    def __init__(self, data: Callable[[bytes], None], control: Callable[[Frame, bytes], None]) -> None:
        self._data = data
        self._control = control
        self._left = 0
        self._kept = b""
        self._stopped = False

    def stop(self) -> None:
        """Take nothing more, also of what is being parsed."""
        self._stopped = True

    def feed(self, chunk: bytes) -> None:
        """Take what arrived. Raises FrameError."""
        if self._kept:
            chunk, self._kept = self._kept + chunk, b""
        at, size = 0, len(chunk)
        while at < size and not self._stopped:
            if self._left:
                piece = chunk if not at and size <= self._left else chunk[at : at + self._left]
                self._left -= len(piece)
                at += len(piece)
                self._data(piece)
                continue
            if size - at < HEADER.size:
                break
            number, length = HEADER.unpack_from(chunk, at)
            if number == Frame.DATA:
                self._left = length
                at += HEADER.size
                continue
            kind = self._kind(number, length)
            end = at + HEADER.size + length
            if end > size:
                break
            payload, at = chunk[at + HEADER.size : end], end
            self._control(kind, payload)
        self._kept = chunk[at:]

    def _kind(self, number: int, length: int) -> Frame:
        if length > MAX_FRAME:
            raise FrameError(f"a frame of {length} bytes")
        try:
            return Frame(number)
        except ValueError as error:
            raise FrameError(f"unknown frame type {number}") from error
