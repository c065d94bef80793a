"""The marks that drawings are made of: SVG elements as text, lines of words, and colours for light and dark screens."""

import re
from collections.abc import Iterable, Iterator
from html import escape

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NARROW, _WIDE = frozenset("ijltfr.,:;'|![]()I/ -"), frozenset("mwMW@%—→✓")
_WIDTHS = {"narrow": 0.38, "lower": 0.61, "upper": 0.69, "wide": 0.98, "mono": 0.605}
"""The width of a letter in sizes of the font, of the widest of the usual fonts: lines must fit in any of them."""

_LIGHT = {
    "paper": "#ffffff",
    "ink": "#1b1f24",
    "soft": "#5d6673",
    "line": "#d8dde3",
    "pale": "#f1f4f7",
    "good": "#1a7f37",
    "bad": "#cf222e",
    "warn": "#9a6700",
    "plain": "#6b7682",
    "change": "#0a5bc4",
}
_DARK = {
    "paper": "#0f141a",
    "ink": "#e6edf3",
    "soft": "#9aa5b1",
    "line": "#2d353f",
    "pale": "#1a212a",
    "good": "#3fb950",
    "bad": "#ff6b63",
    "warn": "#d9a62e",
    "plain": "#8a95a1",
    "change": "#6cb0ff",
}
_LANES = (
    ("#0969da", "#58a6ff"),
    ("#8250df", "#bc8cff"),
    ("#1b7c83", "#39c5cf"),
    ("#bf3989", "#f778ba"),
    ("#bc4c00", "#f0883e"),
)
LANES = len(_LANES)
"""How many colours nodes have, before the first one comes again."""
MARKS = {"good": "M-3.6 .2L-1.1 2.9L3.8-2.8", "bad": "M-3-3L3 3M3-3L-3 3", "warn": "M-3.5 0H3.5", "plain": ""}
"""What a dot shows inside, besides its colour."""


def style() -> str:
    """The style sheet: every colour by a class, once for light and once for dark screens."""
    shapes = (
        "text{font:14px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif}"
        ".mono{font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:12.5px}"
        ".title{font-size:19px;font-weight:600}.strong{font-weight:600}"
        ".stage{font-size:11px;letter-spacing:.06em}.small{font-size:12px}"
        ".struck{text-decoration:line-through}.way{fill:none;stroke-width:3}"
        ".back{stroke-dasharray:1 6;stroke-linecap:round}.mark{fill:none;stroke-width:1.8;stroke-linecap:round;"
        "stroke-linejoin:round}.rail{stroke-width:1}"
    )
    dark = _colours(_DARK, (dark for _, dark in _LANES))
    return f"{shapes}{_colours(_LIGHT, (light for light, _ in _LANES))}@media(prefers-color-scheme:dark){{{dark}}}"


def _colours(named: dict[str, str], lanes: Iterable[str]) -> str:
    fills = "".join(f".{name}{{fill:{colour}}}" for name, colour in named.items())
    strokes = f".rail{{stroke:{named['line']}}}.mark{{stroke:{named['paper']}}}"
    return (
        fills
        + strokes
        + "".join(
            f".lane{number}{{fill:{colour}}}.way{number}{{stroke:{colour}}}" for number, colour in enumerate(lanes)
        )
    )


def clean(text: str) -> str:
    """Text as it may stand in XML."""
    return escape(_FORBIDDEN.sub("\ufffd", text), quote=True)


def text(x: float, y: float, words: str, *classes: str) -> str:
    """A line of text; `y` is its base line."""
    return f'<text x="{_number(x)}" y="{_number(y)}" class="{" ".join(classes)}">{clean(words)}</text>'


def spans(x: float, y: float, parts: Iterable[tuple[str, str]], *classes: str) -> str:
    """A line of text whose (words, classes) differ."""
    inner = "".join(f'<tspan class="{names}">{clean(words)}</tspan>' for words, names in parts)
    place = f'x="{_number(x)}" y="{_number(y)}"'
    return f'<text {place} xml:space="preserve" class="{" ".join(classes)}">{inner}</text>'


def box(x: float, y: float, size: tuple[float, float], *classes: str, radius: float = 5) -> str:
    """A rectangle with round corners."""
    width, height = size
    return (
        f'<rect x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" height="{_number(height)}" '
        f'rx="{_number(radius)}" class="{" ".join(classes)}"/>'
    )


def dot(x: float, y: float, name: str) -> str:
    """A hop's verdict: a disc in its colour, with a mark for those who see no difference between colours."""
    mark = f'<path class="mark" d="{MARKS[name]}"/>' if MARKS[name] else ""
    radius = 8 if mark else 5.5
    return (
        f'<g transform="translate({_number(x)} {_number(y)})">'
        f'<circle class="paper" r="{radius + 2.5}"/><circle class="{name}" r="{radius}"/>{mark}</g>'
    )


def path(d: str, *classes: str) -> str:
    """A line."""
    return f'<path class="{" ".join(classes)}" d="{d}"/>'


def width(words: str, size: float, *, mono: bool = False) -> float:
    """About how wide a line of text is."""
    return sum(_WIDTHS["mono" if mono else _class(letter)] for letter in words) * size


def _class(letter: str) -> str:
    if letter in _NARROW:
        return "narrow"
    if letter in _WIDE or ord(letter) > 0x2E7F:  # noqa: PLR2004  ideographs and what comes after them
        return "wide"
    return "upper" if letter.isupper() else "lower"


def wrapped(words: str, room: float, size: float, *, mono: bool = False) -> list[str]:
    """Lines that fit; a word that is too long is broken, after a mark of punctuation if there is one."""
    lines, line = [], ""
    for piece in _pieces(words, room, size, mono=mono):
        if line and width(line + piece.rstrip(), size, mono=mono) > room:
            lines.append(line.rstrip())
            line = ""
        line += piece
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def _pieces(words: str, room: float, size: float, *, mono: bool) -> Iterator[str]:
    """Words with the space after them, those that are too long in parts."""
    for word in re.findall(r"\S+\s*|\s+", words):
        if width(word.rstrip(), size, mono=mono) <= room:
            yield word
            continue
        rest = word
        most = max(int(room / max(width(letter, size, mono=mono) for letter in word)), 1)
        while len(rest) > most:
            cut = max((rest.rfind(mark, most // 2, most) for mark in "/.,:-["), default=-1) + 1
            cut = cut or most
            yield rest[:cut]
            rest = rest[cut:]
        yield rest


def _number(value: float) -> str:
    """Without digits that nobody sees."""
    return f"{value:.1f}".rstrip("0").rstrip(".")
