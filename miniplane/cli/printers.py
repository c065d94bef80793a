"""Objects on a terminal: server-made tables, YAML, JSON, names."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from miniplane.api.kind import Kind, Object

FORMS = ("wide", "yaml", "json", "name")


def table(
    tables: Iterable[Object], *, wide: bool, namespaces: bool, headers: bool = True, prefix: str = ""
) -> list[str]:
    """The lines of Tables of one kind, columns aligned over all of them; `prefix` is put before each name (`pod/`)."""
    rows: list[list[str]] = []
    for item in tables:
        columns = item.get("columnDefinitions") or []
        shown = [i for i, column in enumerate(columns) if wide or not column.get("priority")]
        if not rows:
            titles = [columns[i]["name"].upper() for i in shown]
            rows.append((["NAMESPACE"] if namespaces else []) + titles)
        for row in item.get("rows") or ():
            cells = [_cell(row["cells"][i]) for i in shown]
            cells[0] = prefix + cells[0]
            rows.append(([row["object"]["metadata"].get("namespace", "")] if namespaces else []) + cells)
    return aligned(rows if headers else rows[1:])


def _cell(value: Any) -> str:
    return "<none>" if value is None or value == "" else str(value).replace("\n", "\\n")


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with columns three spaces apart, as kubectl's."""
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def as_yaml(obj: Any) -> str:
    """YAML in block style, keys in the object's order."""
    return yaml.safe_dump(obj, sort_keys=False, allow_unicode=True, default_flow_style=False).rstrip("\n")


def as_json(obj: Any) -> str:
    """JSON as kubectl indents it."""
    return json.dumps(obj, indent=4, ensure_ascii=False)


def identity(kind: Kind, name: str) -> str:
    """`deployment.apps/web`, the name that `-o name` and messages use."""
    return f"{kind.singular}.{kind.group}/{name}" if kind.group else f"{kind.singular}/{name}"


def whole(objects: Sequence[Object], form: str, *, single: bool) -> str:
    """Objects as YAML or JSON: one alone, several in a List."""
    document: Any = (
        objects[0]
        if single
        else {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": objects}
    )
    return as_json(document) if form == "json" else as_yaml(document)
