"""A journey as a drawing: one SVG file that needs nothing else, the same bytes for the same journey.

A line leads from hop to hop, in a lane for each node, with a dot in the colour of what the hop says. Beside it stand
the hop's object, field and words, and the packet wherever it changes: what was rewritten is struck out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from miniplane.dataplane import drawing_marks as marks
from miniplane.dataplane.explain import Backend, Trace
from miniplane.dataplane.journey import DELIVERED, Journey
from miniplane.dataplane.legs import TraceHop

WIDTH = 960
_MARGIN, _LANE, _BAR = 28, 24, 150
_SIZES = {"title": 19.0, "text": 14.0, "mono": 12.5, "stage": 11.0}
_LINE = 20
"""The distance between two lines of text."""
_COLOURS = {
    "accept": "good",
    "drop": "bad",
    "reject": "bad",
    "no match": "warn",
    "unresolved": "bad",
    "": "plain",
}
_STARTS = ("source", "dns")
"""Stages whose packet has nothing to do with the one before."""


def draw(journey: Journey, title: str, *, all_backends: bool = False) -> str:
    """The whole drawing. With `all_backends` the ways part where they differ, and each is drawn to its end."""
    trace = journey.trace
    common, branches = _parted(journey) if all_backends else (trace.hops, [])
    sheet = _Sheet(_lanes([*common, *(hop for _, hops in branches for hop in hops)]))
    sheet.heading(title, trace)
    sheet.hops(common)
    for backend, hops in branches:
        sheet.branch(backend, hops, common)
    if len(trace.backends) > 1:
        sheet.backends(trace)
    return sheet.finish(title, f"{trace.verdict}: {_summary(trace)}")


def _parted(journey: Journey) -> tuple[Sequence[TraceHop], list[tuple[Backend, Sequence[TraceHop]]]]:
    """What all ways have in common, and where each goes from there."""
    ways = {(way.destination.ip, way.destination.port): way.hops for way in journey.ways}
    told = [(item, ways[item.ip, item.port]) for item in journey.trace.backends if (item.ip, item.port) in ways]
    if len(told) <= 1:
        return journey.trace.hops, []
    shortest = min(len(hops) for _, hops in told)
    count = next(
        (number for number in range(shortest) if len({hops[number] for _, hops in told}) > 1),
        shortest,
    )
    return told[0][1][:count], [(item, hops[count:]) for item, hops in told]


def _lanes(hops: Iterable[TraceHop]) -> dict[str, int]:
    """The nodes in the order in which the packet meets them."""
    names = dict.fromkeys(hop.node for hop in hops if hop.node)
    return {name: number for number, name in enumerate(names)}


def _summary(trace: Trace) -> str:
    """The verdict in words, with where it ends."""
    end = trace.destination
    if not end.ip:
        return "there is no address to send to"
    port = f":{end.port}" if end.port else ""
    pod = f", Pod {end.pod}" if end.pod else ""
    return f"{'at' if trace.verdict == DELIVERED else 'on the way to'} {end.ip}{port}{pod}"


def _verdict_colour(verdict: str) -> str:
    return "good" if verdict == DELIVERED else "bad"


@dataclass(slots=True)
class _Sheet:
    """What is drawn so far, and how far down."""

    lanes: dict[str, int]
    y: float = _MARGIN
    under: list[str] = field(default_factory=list)
    over: list[str] = field(default_factory=list)
    at: tuple[float, float] | None = None
    """The dot that the line has reached."""

    @property
    def left(self) -> float:
        """Where text begins."""
        return _MARGIN + max(len(self.lanes), 1) * _LANE + 6

    @property
    def room(self) -> float:
        """How wide a line of text may be."""
        return WIDTH - _MARGIN - self.left

    def write(self, words: str, *classes: str, kind: str = "text", room: float | None = None) -> None:
        """Lines of text, from here down."""
        names = {"mono": ("mono",), "title": ("title",)}.get(kind, ())
        for line in marks.wrapped(words, room or self.room, _SIZES[kind], mono=kind == "mono"):
            self.y += _LINE
            self.over.append(marks.text(self.left, self.y, line, *names, *classes))

    def heading(self, title: str, trace: Trace) -> None:
        """The question and the answer."""
        for line in marks.wrapped(title, WIDTH - 2 * _MARGIN, _SIZES["title"]):
            self.y += 22
            self.over.append(marks.text(_MARGIN, self.y, line, "title", "ink"))
        self.y += 14
        size = marks.width(trace.verdict, 13) + 24
        colour = _verdict_colour(trace.verdict)
        self.over.append(marks.box(_MARGIN, self.y, (size, 24), colour, radius=12))
        self.over.append(marks.text(_MARGIN + 12, self.y + 17, trace.verdict, "paper", "strong", "small"))
        for number, line in enumerate(marks.wrapped(_summary(trace), WIDTH - 2 * _MARGIN - size - 12, 14)):
            self.y += _LINE if number else 0
            self.over.append(marks.text(_MARGIN + size + 12, self.y + 17, line, "soft"))
        self.y += 40

    def hops(self, hops: Sequence[TraceHop], before: TraceHop | None = None) -> None:
        """Hop by hop, each lower than the one before."""
        for number, hop in enumerate(hops):
            last = hops[number - 1] if number else before
            node = hop.node or _next_node(hops[number:]) or (last.node if last is not None else "")
            if node and (self.at is None or last is None or node != _node_of(last, hops[:number])):
                self._node(node)
            self._hop(hop, last, self.lanes.get(node, 0), is_last=number == len(hops) - 1)

    def _node(self, name: str) -> None:
        """Where the way enters a node."""
        number = self.lanes[name]
        colour = f"lane{number % marks.LANES}"
        for line in marks.wrapped(name, self.room, 12):
            self.y += 18
            self.over.append(marks.text(self.left, self.y, line, colour, "strong", "small"))
        self.y += 8

    def _hop(self, hop: TraceHop, last: TraceHop | None, lane: int, *, is_last: bool) -> None:
        x, y = _MARGIN + lane * _LANE + 8, self.y + 11
        self._lead(x, y, lane, back=hop.stage == "reply")
        colour = _COLOURS.get(hop.verdict, "plain")
        if hop.verdict == "unresolved" and not is_last:
            colour = "warn"
        self.over.append(marks.dot(x, y, colour))
        word = f" · {hop.verdict}" if hop.verdict not in ("", "accept") else ""
        label = [(hop.stage.upper(), "soft"), (word.upper(), colour)]
        self.over.append(marks.spans(self.left, self.y + 15, label, "stage", "strong"))
        self.y += 16
        if hop.object:
            self.write(f"{hop.object}  {hop.field}".rstrip(), "ink", kind="mono")
        self.write(hop.text, "ink" if not hop.object or hop.verdict in ("drop", "reject") else "soft")
        self._packet(hop, last)
        self.y += 16

    def _lead(self, x: float, y: float, lane: int, *, back: bool) -> None:
        """Draw on to the next dot, in its lane's colour; a way back is dotted."""
        if self.at is not None:
            from_x, from_y = self.at
            names = ("way", f"way{lane % marks.LANES}", *(("back",) if back else ()))
            turn = from_y + min(26.0, (y - from_y) / 2)
            bend = f"C{from_x:.1f} {turn + 8:.1f} {x:.1f} {turn - 2:.1f} {x:.1f} {turn + 16:.1f}"
            line = f"V{y:.1f}" if from_x == x else f"V{turn - 10:.1f}{bend}V{y:.1f}"
            self.under.append(marks.path(f"M{from_x:.1f} {from_y:.1f}{line}", *names))
        self.at = x, y

    def _packet(self, hop: TraceHop, last: TraceHop | None) -> None:
        """The packet, where it is new or not what it was."""
        old = last.packet if last is not None and hop.stage not in _STARTS and last.stage not in _STARTS[1:] else ""
        if hop.stage == "reply" and last is not None and last.stage != "reply":
            old = ""
        if not hop.packet or hop.packet == old:
            return
        parts = _rewritten(old.split(" "), hop.packet.split(" "))
        lines = _within(parts, self.room - 18)
        size = max(_width(line) for line in lines)
        self.y += 9
        self.over.append(marks.box(self.left - 1, self.y, (size + 18, 5 + 18 * len(lines)), "pale"))
        for line in lines:
            self.over.append(marks.spans(self.left + 8, self.y + 16, line, "mono"))
            self.y += 18
        self.y += 6

    def branch(self, backend: Backend, hops: Sequence[TraceHop], common: Sequence[TraceHop]) -> None:
        """One of several ways, from where they part."""
        fork = self.at
        self.y += 4
        self.under.append(marks.path(f"M{self.left:.1f} {self.y:.1f}H{WIDTH - _MARGIN}", "rail"))
        if fork is not None:
            self.at = fork[0], self.y
        share = _share(backend.probability)
        name = f"Pod {backend.pod}" if backend.pod else "an address"
        self.write(f"{share} of new connections go to {name} at {backend.ip}:{backend.port}", "ink", "strong")
        self.y += 10
        self.hops(hops, common[-1] if common else None)

    def backends(self, trace: Trace) -> None:
        """Where new connections can end, with how many of them do."""
        self.y += 6
        self.under.append(marks.path(f"M{_MARGIN} {self.y:.1f}H{WIDTH - _MARGIN}", "rail"))
        self.y += 26
        self.over.append(marks.text(_MARGIN, self.y, "WHERE NEW CONNECTIONS GO", "stage", "strong", "soft"))
        self.y += 8
        most = max(item.probability for item in trace.backends)
        for item in trace.backends:
            colour = _verdict_colour(item.verdict)
            self.over.append(marks.box(_MARGIN, self.y + 4, (_BAR, 14), "pale", radius=3))
            self.over.append(marks.box(_MARGIN, self.y + 4, (_BAR * item.probability / most, 14), colour, radius=3))
            self.over.append(marks.text(_MARGIN + _BAR + 12, self.y + 16, _share(item.probability), "ink", "strong"))
            rest = [(f"{item.ip}:{item.port}  ", "ink"), (item.verdict, colour), (f"  {item.pod}", "soft")]
            self.over.append(marks.spans(_MARGIN + _BAR + 70, self.y + 16, rest, "mono"))
            self.y += 24

    def finish(self, title: str, summary: str) -> str:
        """The file."""
        height = self.y + _MARGIN
        size = f'width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}"'
        body = "\n".join([*self.under, *self.over])
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="t d">\n'
            f'<title id="t">{marks.clean(title)}</title>\n<desc id="d">{marks.clean(summary)}</desc>\n'
            f"<style>{marks.style()}</style>\n"
            f"{marks.box(0, 0, (WIDTH, height), 'paper', radius=0)}\n{body}\n</svg>"
        )


def _next_node(hops: Sequence[TraceHop]) -> str:
    return next((hop.node for hop in hops if hop.node), "")


def _node_of(last: TraceHop, before: Sequence[TraceHop]) -> str:
    return last.node or _next_node(before[::-1])


def _rewritten(old: Sequence[str], new: Sequence[str]) -> list[tuple[str, str]]:
    """A packet's words, those that were something else before with what they were."""
    parts = []
    for number, word in enumerate(new):
        was = old[number] if len(old) == len(new) else word
        space = " " if number else ""
        if was == word:
            parts.append((f"{space}{word}", "soft"))
        else:
            parts += [(space, "soft"), (was, "soft struck"), (f" {word}", "change strong")]
    return parts


def _width(parts: Iterable[tuple[str, str]]) -> float:
    return sum(marks.width(words, _SIZES["mono"], mono=True) for words, _ in parts)


def _within(parts: Sequence[tuple[str, str]], room: float) -> list[list[tuple[str, str]]]:
    """The words in lines, for IPv6 addresses that were something else before do not fit in one."""
    lines: list[list[tuple[str, str]]] = [[]]
    for words, names in parts:
        if lines[-1] and _width([*lines[-1], (words, names)]) > room:
            lines.append([])
        lines[-1].append((words if lines[-1] else words.lstrip(), names))
    return lines


def _share(probability: float) -> str:
    return f"{probability:.0%}" if probability >= 0.1 or not probability else f"{probability:.1%}"  # noqa: PLR2004  a tenth
