"""One node's rules at work: an nftables machine in miniature, with its connection table."""

from collections.abc import Callable
from dataclasses import dataclass

from miniplane.dataplane.packet import Entry, Packet, Source, Verdict
from miniplane.dataplane.program import Program
from miniplane.dataplane.routes import Hop
from miniplane.dataplane.ruleset import Element, Rule


@dataclass(frozen=True, slots=True)
class Step:
    """One rule that took part: `element` is the one its lookup found, `text` what it did (`goto pick-2`, `drop`)."""

    hook: str
    chain: str
    rule: Rule | None
    element: Element | None
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one node does with a packet: `packet` is as it leaves, after translation; `weight` the chance of this."""

    verdict: Verdict
    packet: Packet
    hop: Hop
    steps: tuple[Step, ...]
    weight: float = 1.0


class Conntrack:
    """The connection table; one per node, it outlives programs."""


class Machine:
    """Runs a program on packets. Not thread-safe; the clock and chance are parameters of each call."""

    def __init__(self, program: Program, conntrack: Conntrack | None = None) -> None:
        self.program = program
        self.conntrack = Conntrack() if conntrack is None else conntrack

    def send(
        self,
        packet: Packet,
        *,
        entry: Entry,
        source: Source,
        now: float,
        choose: Callable[[int], int],
    ) -> Outcome:
        """Send one packet through the node and remember its connection if it passes.

        `choose(n)` answers a random choice with a number below `n`; `now` is in seconds on any monotonic clock.
        Replies come through here like everything else and are translated back.
        """
        raise NotImplementedError

    def branches(self, packet: Packet, *, entry: Entry, source: Source, now: float) -> list[Outcome]:
        """Every outcome of every random choice with its weight, likeliest first; nothing is remembered."""
        raise NotImplementedError

    def replace(self, program: Program) -> None:
        """Take new rules. Connections stay, except UDP ones to endpoints that are gone."""
        raise NotImplementedError

    def close(self, packet: Packet) -> None:
        """Forget the connection that `packet` belongs to, in whichever direction it goes."""
        raise NotImplementedError
