"""Tables of words and lists of cases, as text, HTML and JUnit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from xml.etree import ElementTree as ET

from miniplane.cli import printers
from miniplane.dataplane.reach import ALLOW, BOTH, EGRESS, INGRESS, SELF, Matrix

MARKS = {ALLOW: "✓", INGRESS: "← ingress", EGRESS: "egress →", BOTH: "both", SELF: "·"}
LEGEND = "rows: from, columns: to; ingress: the target refuses; egress: the source may not; both: both"
_STYLE = """
body{font:15px/1.4 system-ui,sans-serif;margin:2em;color:#1a1a1a;background:#fff}
table{border-collapse:collapse}th{font-weight:500;text-align:left;padding:.3em .6em}
thead th{writing-mode:vertical-rl;transform:rotate(180deg)}
td{border:1px solid #fff;padding:.3em .6em;text-align:center}
.allow{background:#cdebd0}.ingress{background:#f8d2cd}.egress{background:#fbe3b8}.both{background:#e9b4b4}
.self{background:#eee}
@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}td{border-color:#161616;color:#111}}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One line of a JUnit report. A failure has a text; a case that is neither right nor wrong is skipped with one."""

    name: str
    group: str
    failure: str = ""
    detail: str = ""
    skipped: str = ""


def matrix_table(found: Matrix) -> list[str]:
    """Lines for a terminal; columns are numbered as the rows are."""
    numbers = [str(number) for number in range(1, len(found.pods) + 1)]
    rows = [["", "FROM \\ TO", *numbers]]
    rows += [
        [number, pod, *(MARKS[word] for word in words)]
        for number, pod, words in zip(numbers, found.pods, found.words, strict=True)
    ]
    return [*printers.aligned(rows), "", f"{found.protocol} {found.port}; {LEGEND}"]


def matrix_html(found: Matrix) -> str:
    """A page that needs nothing else; each cell says its sentence when pointed at."""
    head = "".join(f"<th scope=col>{escape(pod)}</th>" for pod in found.pods)
    body = "".join(
        f"<tr><th scope=row>{escape(source)}</th>{''.join(_cells(found, source, words))}</tr>\n"
        for source, words in zip(found.pods, found.words, strict=True)
    )
    title = f"Who reaches whom: {found.protocol} {escape(str(found.port))}"
    return (
        f'<!doctype html>\n<html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style>\n<h1>{title}</h1>\n<p>{escape(LEGEND)}</p>\n"
        f"<table><thead><tr><td></td>{head}</tr></thead><tbody>\n{body}</tbody></table></html>"
    )


def _cells(found: Matrix, source: str, words: Sequence[str]) -> Iterable[str]:
    for target, word in zip(found.pods, words, strict=True):
        title = escape(f"{source} → {target}: {word}", quote=True)
        yield f'<td class={word} title="{title}">{escape(MARKS[word])}</td>'


def matrix_cases(found: Matrix) -> list[Case]:
    """Every pair as a case; what is blocked is skipped, since nobody has said what ought to be."""
    return [
        Case(f"{source} → {target}", f"{found.protocol} {found.port}", skipped="" if word == ALLOW else word)
        for source, target, word in found.pairs()
    ]


def junit(name: str, cases: Sequence[Case]) -> str:
    """A JUnit report, as CI systems read it."""
    failures, skipped = sum(bool(case.failure) for case in cases), sum(bool(case.skipped) for case in cases)
    counts = {"tests": str(len(cases)), "failures": str(failures), "skipped": str(skipped), "errors": "0"}
    root = ET.Element("testsuites", {"name": name, **counts})
    suite = ET.SubElement(root, "testsuite", {"name": name, **counts})
    for case in cases:
        item = ET.SubElement(suite, "testcase", {"name": case.name, "classname": case.group})
        if case.failure:
            ET.SubElement(item, "failure", {"message": case.failure}).text = case.detail
        elif case.skipped:
            ET.SubElement(item, "skipped", {"message": case.skipped})
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode")
