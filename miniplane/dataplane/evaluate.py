"""One node's rules at work: an nftables machine in miniature, with its connection table.

The hooks come in the kernel's order: prerouting (or output), the route, input or forward, postrouting. Nat chains see
the first packet of a connection, later ones are translated as it was. `Machine.send` moves packets; `branches` tells
every outcome of every random choice and changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from miniplane.dataplane.conntrack import Connection, Conntrack, Tuple
from miniplane.dataplane.execute import Executor, Run, Step
from miniplane.dataplane.index import Index, Key
from miniplane.dataplane.packet import Entry, Packet, Protocol, Source, Verdict
from miniplane.dataplane.program import Program
from miniplane.dataplane.routes import Hop, HopKind
from miniplane.dataplane.ruleset import REFUSALS, CtState, HookName, Plain, Table

__all__ = ["Conntrack", "Machine", "Outcome", "Step"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one node does with a packet: `packet` is as it leaves, after translation; `weight` the chance of this.

    ACCEPT with a hop of kind NONE: the rules let it pass, but no route leads on.
    """

    verdict: Verdict
    packet: Packet
    hop: Hop
    steps: tuple[Step, ...]
    weight: float = 1.0


_ENTERED = {source: Step("entry", "", None, None, f"from {source}") for source in Source}
_SWEEP_AT = 1024
"""Elements of a dynamic map that are worth a look for expired ones."""
_VERDICTS = {Plain.DROP: Verdict.DROP, **dict.fromkeys(REFUSALS, Verdict.REJECT)}


class _Family:
    """One table, ready to run: indexes live on from program to program, functions while the chains are the same."""

    def __init__(self, table: Table) -> None:
        self.version = table.version
        self.indexes = {item.name: Index(item) for item in table.sets}
        self.dynamic: dict[str, dict[Key, tuple[int, float]]] = {item.name: {} for item in table.sets if item.dynamic}
        self.executor = Executor(table, self.indexes, self.dynamic)
        self._sweep_at = dict.fromkeys(self.dynamic, _SWEEP_AT)

    def replace(self, table: Table) -> None:
        for item in table.sets:
            self.indexes[item.name].replace(item)
        if table.chains is not self.executor.chains and table.chains != self.executor.chains:
            self.executor = Executor(table, self.indexes, self.dynamic)

    def commit(self, run: Run) -> None:
        for name, changes in run.overlay.items():
            live = self.dynamic[name]
            for key, value in changes.items():
                if value is None:
                    live.pop(key, None)
                else:
                    live[key] = value
            if len(live) > self._sweep_at[name]:
                self._sweep(name, run.now)

    def _sweep(self, name: str, now: float) -> None:
        """Drop what has expired and was not asked for again, as the kernel's timeouts do; at each doubling."""
        live = self.dynamic[name]
        for key in [key for key, (_, expires) in live.items() if expires <= now]:
            del live[key]
        self._sweep_at[name] = max(_SWEEP_AT, 2 * len(live))


class Machine:
    """Runs a program on packets. Not thread-safe; the clock and chance are parameters of each call."""

    def __init__(self, program: Program, conntrack: Conntrack | None = None) -> None:
        self.program = program
        self.conntrack = Conntrack() if conntrack is None else conntrack
        self._families = {table.version: _Family(table) for table in program.ruleset.tables}

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
        key = tuple_of(packet)
        connection = self.conntrack.find(key, now)
        run = _start(packet, source, now, choose)
        verdict, hop = self._traverse(run, entry, connection, key)
        if run.overlay:
            self._families[run.version].commit(run)
        if verdict is Verdict.ACCEPT:
            self._confirm(run, connection, key)
        return _outcome(packet, run, verdict, hop)

    def branches(self, packet: Packet, *, entry: Entry, source: Source, now: float) -> list[Outcome]:
        """Every outcome of every random choice with its weight, likeliest first; nothing is remembered."""
        key = tuple_of(packet)
        connection = self.conntrack.find(key, now)
        scripts: list[tuple[int, ...]] = [()]
        found: dict[tuple[Verdict, Packet, Hop], Outcome] = {}
        while scripts:
            script = _Script(scripts.pop(), scripts)
            run = _start(packet, source, now, script.choose)
            verdict, hop = self._traverse(run, entry, connection, key)
            if verdict is Verdict.ACCEPT and connection is None:
                run.sport = self.conntrack.make_unique(_left(run)).sport if _left(run) != key else run.sport
            outcome = _outcome(packet, run, verdict, hop)
            same = (verdict, outcome.packet, hop)
            known = found.get(same)
            found[same] = outcome if known is None else replace(known, weight=known.weight + outcome.weight)
        return sorted(found.values(), key=lambda outcome: (-outcome.weight, str(outcome.packet)))

    def replace(self, program: Program) -> None:
        """Take new rules. Connections stay, except UDP ones from a Service's address to no endpoint that serves it."""
        old, self.program = self.program, program
        for table in program.ruleset.tables:
            family = self._families.get(table.version)
            if family is None:
                self._families[table.version] = _Family(table)
            else:
                family.replace(table)
        if program.datagrams is not old.datagrams and program.datagrams != old.datagrams:
            self._clean_datagrams()

    def close(self, packet: Packet) -> None:
        """Forget the connection that `packet` belongs to, in whichever direction it goes."""
        self.conntrack.forget(tuple_of(packet))

    def _traverse(self, run: Run, entry: Entry, connection: Connection | None, key: Tuple) -> tuple[Verdict, Hop]:
        routes = self.program.routes
        own = routes.own(run.version)
        run.own = None if own is None else int(own)
        target = key
        if connection is not None:
            target = _follow(run, connection, key)
        first = HookName.PREROUTING if entry is Entry.FORWARD else HookName.OUTPUT
        verdict = self._hook(first, run, connection, target)
        hop = routes.lookup(run.address(run.dst))
        if verdict is None and entry is Entry.FORWARD:
            middle = HookName.INPUT if hop.kind is HopKind.NODE else HookName.FORWARD
            verdict = self._hook(middle, run, connection, target)
        if verdict is None and not (entry is Entry.FORWARD and hop.kind is HopKind.NODE):
            verdict = self._hook(HookName.POSTROUTING, run, connection, target)
        elif verdict is None and connection is not None and run.version in self._families:
            run.src, run.sport = target.src, target.sport  # what ends here is translated back after input
        return verdict or Verdict.ACCEPT, hop

    def _hook(self, name: HookName, run: Run, connection: Connection | None, target: Tuple) -> Verdict | None:
        """Run the base chains of a hook; None if the packet goes on."""
        family = self._families.get(run.version)
        if family is None:
            return None
        run.hook = name.value
        for is_nat, chain in family.executor.hook(name):
            if is_nat and connection is not None:
                if name is HookName.POSTROUTING:
                    run.src, run.sport = target.src, target.sport
                else:
                    run.dst, run.dport = target.dst, target.dport
                continue
            verdict = family.executor.walk(chain, run)
            if verdict in _VERDICTS:
                return _VERDICTS[verdict]
        return None

    def _confirm(self, run: Run, connection: Connection | None, key: Tuple) -> None:
        if connection is None:
            connection = Connection(key)
            left = _left(run)
            if left != key:
                left = self.conntrack.make_unique(left)
                run.sport = left.sport
            connection.translated = left
            connection.is_target_translated = run.is_translated
        elif key == connection.reply and key != connection.original:
            connection.is_replied = True
        connection.mark = run.ct_mark
        self.conntrack.confirm(connection, run.now)

    def _clean_datagrams(self) -> None:
        """Forget UDP connections that lead nowhere, as kube-proxy does (pkg/proxy/conntrack).

        An endpoint that terminates but serves keeps its connections. What was sent to a Service's address before the
        Service was there, and so was never translated, begins anew; so does what went to a Service that is gone.
        """
        if not self.conntrack.has_protocol(Protocol.UDP):
            return
        datagrams = self.program.datagrams

        def is_stale(connection: Connection) -> bool:
            first, now = connection.original, connection.translated
            if first.protocol != Protocol.UDP:
                return False
            endpoints = datagrams.get(first.version, {}).get((first.dst, first.dport))
            if endpoints is None:
                return connection.is_target_translated
            return (now.dst, now.dport) not in endpoints

        self.conntrack.forget_if(is_stale)


class _Script:
    """Answers random choices as written, and notes what else could be answered where the script ends."""

    def __init__(self, script: tuple[int, ...], scripts: list[tuple[int, ...]]) -> None:
        self._script = script
        self._scripts = scripts
        self._taken: tuple[int, ...] = ()

    def choose(self, count: int) -> int:
        place = len(self._taken)
        if place < len(self._script):
            chosen = self._script[place]
        else:
            chosen = 0
            self._scripts += [(*self._taken, other) for other in range(1, count)]
        self._taken = (*self._taken, chosen)
        return chosen


def tuple_of(packet: Packet) -> Tuple:
    """What conntrack knows a packet by."""
    return Tuple(packet.src.version, int(packet.src), int(packet.dst), int(packet.protocol), packet.sport, packet.dport)


def _start(packet: Packet, source: Source, now: float, choose: Callable[[int], int]) -> Run:
    run = Run(now, choose)
    run.version = packet.src.version
    run.src, run.dst, run.protocol = int(packet.src), int(packet.dst), int(packet.protocol)
    run.sport, run.dport, run.mark = packet.sport, packet.dport, packet.mark
    run.steps.append(_ENTERED[source])
    return run


def _follow(run: Run, connection: Connection, key: Tuple) -> Tuple:
    """Set what conntrack knows of a packet of a known connection; returns what it is translated to."""
    run.ct_mark, run.is_translated = connection.mark, connection.is_target_translated
    if key == connection.original:
        run.state = CtState.ESTABLISHED if connection.is_replied else CtState.NEW
        return connection.translated
    run.state = CtState.ESTABLISHED
    return connection.original.reversed()


def _left(run: Run) -> Tuple:
    return Tuple(run.version, run.src, run.dst, run.protocol, run.sport, run.dport)


def _outcome(packet: Packet, run: Run, verdict: Verdict, hop: Hop) -> Outcome:
    after = Packet(run.address(run.src), run.address(run.dst), packet.protocol, run.sport, run.dport)
    return Outcome(verdict, after, hop, tuple(run.steps), run.weight)
