"""Drawings of journeys: well-formed whatever is in them, every hop told, nothing wider than the paper."""

from xml.etree import ElementTree as ET

import pytest

from miniplane.dataplane.drawing import WIDTH, draw
from miniplane.dataplane.drawing_marks import width, wrapped
from miniplane.dataplane.explain import Backend, Destination, Trace, TraceHop
from miniplane.dataplane.journey import Journey

SVG = "{http://www.w3.org/2000/svg}"
END = Destination("shop/api-0", "10.244.2.3", 8000)


def hop(stage: str, text: str, node: str = "node-1", verdict: str = "accept", packet: str = "") -> TraceHop:
    """A hop that an object decided."""
    return TraceHop(stage, node, "Service shop/api", "spec.ports[0]", verdict, text, packet)


def trace(*hops: TraceHop, end: Destination = END, verdict: str = "delivered", backends: int = 1) -> Trace:
    """A trace with some equally likely backends."""
    made = tuple(
        Backend(f"shop/api-{number}", f"10.244.2.{3 + number}", 8000, 1 / backends, verdict)
        for number in range(backends)
    )
    return Trace(verdict, end, made, hops)


def words(drawing: str) -> list[str]:
    """Every line of text in it."""
    return ["".join(item.itertext()) for item in ET.fromstring(drawing).iter(f"{SVG}text")]


@pytest.mark.parametrize("odd", ["<b>&amp;\"'", "\x00\x1b[31m\ufffe", "ünïcødé 名前 →"])
def test_a_drawing_is_well_formed_whatever_is_written_in_it(odd: str) -> None:
    """Markup, quotes and characters that XML forbids neither break it nor become part of it."""
    root = ET.fromstring(draw(Journey(trace(hop("service", odd, node=odd, packet=odd))), odd))
    assert {item.tag.removeprefix(SVG) for item in root.iter()} <= {
        "svg",
        "title",
        "desc",
        "style",
        "rect",
        "text",
        "tspan",
        "g",
        "circle",
        "path",
    }


def test_what_is_rewritten_is_struck_out() -> None:
    """The packet is shown where it begins and where it changes, the old address before the new one."""
    old, new = "TCP 10.244.1.5:40000 → 10.96.0.3:80", "TCP 10.244.1.5:40000 → 10.244.2.3:8000"
    hops = [hop("source", "a", packet=old), hop("service", "b", packet=old), hop("backend", "c", packet=new)]
    drawing = draw(Journey(trace(*hops)), "web → api")
    packets = [line for line in words(drawing) if line.startswith("TCP")]
    assert packets == [old, "TCP 10.244.1.5:40000 → 10.96.0.3:80 10.244.2.3:8000"]
    struck = [item.text for item in ET.fromstring(drawing).iter(f"{SVG}tspan") if "struck" in item.attrib["class"]]
    assert struck == ["10.96.0.3:80"]


def test_long_addresses_stay_on_the_paper() -> None:
    """Two full IPv6 addresses that both were others before take more than one line."""
    texts = [
        f"TCP [fd00:1234:5678:9abc:def0:1234:5678:{a:04x}]:40000 → [fd00:1234:5678:9abc:def0:1234:5678:{b:04x}]:65535"
        for a, b in ((1, 2), (3, 4))
    ]
    hops = [hop("source", "a", packet=texts[0]), hop("nat", "b", packet=texts[1])]
    lines = [line for line in words(draw(Journey(trace(*hops)), "six")) if "fd00" in line]
    assert len(lines) == 3
    assert all(width(line, 12.5, mono=True) < WIDTH - 100 for line in lines)
    assert "".join(lines[1:]).count("fd00") == 4


def test_ways_part_where_they_differ() -> None:
    """With all backends what they share is drawn once, then each to its end, with its chance."""
    start = hop("source", "the start")
    ways = [
        trace(start, hop("backend", f"to {number}"), end=Destination("p", f"10.244.2.{3 + number}", 8000))
        for number in range(2)
    ]
    journey = Journey(trace(*ways[0].hops, backends=2), tuple(ways))
    told = words(draw(journey, "all", all_backends=True))
    assert [told.count(text) for text in ("the start", "to 0", "to 1")] == [1, 1, 1]
    assert len([line for line in told if line.startswith("50% of new connections go to Pod shop/api-")]) == 2
    assert "to 1" not in words(draw(journey, "one"))


def test_a_node_is_named_where_the_way_enters_it() -> None:
    """Lanes have their node's name at the first hop there, and again after a return."""
    hops = [hop("route", str(number), node) for number, node in enumerate(["n-1", "n-1", "n-2", "n-1"])]
    told = words(draw(Journey(trace(*hops)), "lanes"))
    assert [line for line in told if line.startswith("n-")] == ["n-1", "n-2", "n-1"]


@pytest.mark.parametrize("text", ["word " * 100, "x" * 700, "10.244.1.1:8000," * 60, "", "W" * 300])
def test_no_line_is_wider_than_its_room(text: str) -> None:
    """Words are broken only where one alone is too wide; nothing gets lost."""
    lines = wrapped(text, WIDTH / 2, 14)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(width(line, 14) <= WIDTH / 2 for line in lines)
