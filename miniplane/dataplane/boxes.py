"""Overlapping permissions cut into pieces that don't overlap, each with everything that permits it.

nftables refuses overlapping intervals, and an explanation wants to name every rule that lets a packet through: both
need the same partition. Ports are cut within a protocol, addresses within all of a pod's blocks.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

from miniplane.dataplane.packet import Prefix
from miniplane.dataplane.ruleset import Origin, Range, Value, span

T = TypeVar("T")

ANY_PROTOCOL = 0
LAST_PORT = 65535
ALL_PROTOCOLS, ALL_PORTS = Range(0, 255), Range(0, LAST_PORT)


class Box(NamedTuple):
    """A permission: a protocol (or any) and a range of its ports."""

    protocol: int
    low: int
    high: int
    origin: Origin


class Piece(NamedTuple):
    """A part of the plane of protocols and ports, as a set's element has it."""

    protocol: Value
    ports: Value
    origins: tuple[Origin, ...]


class Block(NamedTuple):
    """A permission for a range of addresses."""

    low: int
    high: int
    box: Box


class BlockPiece(NamedTuple):
    """A range of addresses with its pieces."""

    addresses: Value
    pieces: tuple[Piece, ...]


def partition(boxes: Sequence[Box]) -> tuple[Piece, ...]:
    """The pieces of the boxes' union, ordered by protocol and port. "Any protocol" swallows everything."""
    everything = [box.origin for box in boxes if box.protocol == ANY_PROTOCOL]
    if everything:
        return (Piece(ALL_PROTOCOLS, ALL_PORTS, _unique(everything)),)
    if len(boxes) == 1:
        only = boxes[0]
        return (Piece(only.protocol, span(only.low, only.high), (only.origin,)),)
    pieces: list[Piece] = []
    for protocol in sorted({box.protocol for box in boxes}):
        mine = [box for box in boxes if box.protocol == protocol]
        cut: list[tuple[int, int, tuple[Origin, ...]]] = []
        for low, high in _cuts((box.low, box.high) for box in mine):
            origins = _unique(box.origin for box in mine if box.low <= low and high <= box.high)
            _append(cut, low, high, origins)
        pieces += [Piece(protocol, span(low, high), origins) for low, high, origins in cut if origins]
    return tuple(pieces)


def partition_blocks(blocks: Sequence[Block]) -> tuple[BlockPiece, ...]:
    """The pieces of the blocks' union, ordered by address."""
    cut: list[tuple[int, int, tuple[Piece, ...]]] = []
    for low, high in _cuts((block.low, block.high) for block in blocks):
        boxes = [block.box for block in blocks if block.low <= low and high <= block.high]
        _append(cut, low, high, partition(boxes) if boxes else ())
    return tuple(BlockPiece(span(low, high), pieces) for low, high, pieces in cut if pieces)


def without(prefix: Prefix, excepts: Iterable[Prefix]) -> list[tuple[int, int]]:
    """The ranges of `prefix` that none of `excepts` covers, in order."""
    ranges: list[tuple[int, int]] = []
    start = int(prefix[0])
    last = int(prefix[-1])
    for hole in sorted((hole for hole in excepts if hole.version == prefix.version), key=lambda hole: int(hole[0])):
        if start < int(hole[0]) <= last:
            ranges.append((start, int(hole[0]) - 1))
        start = max(start, int(hole[-1]) + 1)
    if start <= last:
        ranges.append((start, last))
    return ranges


def _cuts(intervals: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Neighbouring closed intervals between all the borders."""
    borders = sorted({border for low, high in intervals for border in (low, high + 1)})
    return [(low, after - 1) for low, after in pairwise(borders)]


def _append(pieces: list[tuple[int, int, T]], low: int, high: int, what: T) -> None:
    if pieces and pieces[-1][2] == what and pieces[-1][1] + 1 == low:
        pieces[-1] = (pieces[-1][0], high, what)
    else:
        pieces.append((low, high, what))


def _unique(origins: Iterable[Origin]) -> tuple[Origin, ...]:
    return tuple(dict.fromkeys(origins))
