"""Ordered permissions cut into pieces that don't overlap, each with what the first matching rule says.

Where NetworkPolicies add up (`boxes.py`), rules of the cluster-wide tiers come one after the other: the plane of
protocols and ports, and the line of addresses, are cut at every border, and in each cell the first rule wins.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from miniplane.dataplane.boxes import LAST_PORT
from miniplane.dataplane.ruleset import Origin, Value, span

LAST_PROTOCOL = 255


class Ranked(NamedTuple):
    """A rule's part for one target: what it says of a range of a protocol's ports (None: of everything)."""

    rank: int
    protocol: int | None
    low: int
    high: int
    action: str
    origin: Origin


class Decided(NamedTuple):
    """A cell and the rule that decides it."""

    protocol: Value
    ports: Value
    rule: Ranked


class RankedBlock(NamedTuple):
    """A rule's part for a range of addresses."""

    low: int
    high: int
    part: Ranked


class DecidedBlock(NamedTuple):
    """A range of addresses with its cells."""

    addresses: Value
    cells: tuple[Decided, ...]


def decide(parts: Iterable[Ranked]) -> tuple[Decided, ...]:
    """The cells that any part reaches, each with the first one that does, in order of protocol and port."""
    ordered = sorted(parts, key=lambda part: part.rank)
    cells: list[Decided] = []
    for first, last in _intervals({part.protocol for part in ordered if part.protocol is not None}, LAST_PROTOCOL):
        reaching = [part for part in ordered if part.protocol is None or part.protocol == first == last]
        cells += [Decided(span(first, last), span(low, high), rule) for low, high, rule in _ports(reaching)]
    return tuple(cells)


def decide_blocks(blocks: Sequence[RankedBlock], everywhere: Sequence[Ranked] = ()) -> tuple[DecidedBlock, ...]:
    """The cells of each range of addresses; parts `everywhere` reach all addresses between the first and last block."""
    borders = sorted({border for block in blocks for border in (block.low, block.high + 1)})
    found: list[tuple[int, int, tuple[Decided, ...]]] = []
    for low, after in pairwise(borders):
        cells = decide([*everywhere, *(block.part for block in blocks if block.low <= low < block.high + 1)])
        if found and found[-1][2] == cells and found[-1][1] + 1 == low:
            found[-1] = (found[-1][0], after - 1, cells)
        else:
            found.append((low, after - 1, cells))
    return tuple(DecidedBlock(span(low, high), cells) for low, high, cells in found if cells)


def _ports(ordered: Sequence[Ranked]) -> list[tuple[int, int, Ranked]]:
    """The first part that reaches each port."""
    borders = sorted({border for part in ordered for border in (part.low, part.high + 1)})
    cut: list[tuple[int, int, Ranked]] = []
    for low, after in pairwise(borders):
        rule = next((part for part in ordered if part.low <= low <= part.high), None)
        if rule is None:
            continue
        if cut and cut[-1][2] == rule and cut[-1][1] + 1 == low:
            cut[-1] = (cut[-1][0], after - 1, rule)
        else:
            cut.append((low, after - 1, rule))
    return cut


def _intervals(points: Iterable[int], last: int) -> list[tuple[int, int]]:
    """The points, and the stretches between them, from 0 to `last`."""
    found: list[tuple[int, int]] = []
    start = 0
    for point in sorted(points):
        if start < point:
            found.append((start, point - 1))
        found.append((point, point))
        start = point + 1
    return [*found, (start, last)] if start <= last else found


def everything(rank: int, action: str, origin: Origin) -> Ranked:
    """The part of a rule that names no ports."""
    return Ranked(rank, None, 0, LAST_PORT, action, origin)
