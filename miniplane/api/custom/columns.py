"""additionalPrinterColumns as columns of a Table. Counterpart upstream: apiextensions-apiserver, tableconvertor."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from miniplane.api.custom.jsonpath import compile_path
from miniplane.api.kind import Column, Object
from miniplane.api.meta import parse_timestamp
from miniplane.api.table import AGE, NAME, age


def columns_of(version: Object) -> tuple[Column, ...]:
    """The columns of a version; one that names none shows the age."""
    given = version.get("additionalPrinterColumns") or ()
    if not given:
        return NAME, AGE
    return (NAME, *(_column(item) for item in given))


def _column(item: Object) -> Column:
    return Column(
        item["name"],
        _cell(item["jsonPath"], item["type"]),
        type=item["type"],
        description=item.get("description")
        or f"Custom resource definition column (in JSONPath format): {item['jsonPath']}",
        priority=item.get("priority") or 0,
        format=item.get("format") or "",
    )


def _cell(path: str, kind: str) -> Callable[[Object, datetime], Any]:
    find = compile_path(path)

    def cell(obj: Object, now: datetime) -> Any:
        found = find(obj)
        return _shown(found[0], kind, now) if found else None

    return cell


def _shown(value: Any, kind: str, now: datetime) -> Any:
    """One value in the column's type, None (an empty cell) where it does not fit."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match kind:
        case "integer":
            return int(value) if is_number else None
        case "number":
            return value if is_number else None
        case "boolean":
            return value if isinstance(value, bool) else None
        case "date":
            try:
                return age(parse_timestamp(value), now) if isinstance(value, str) else "<unknown>"
            except ValueError:
                return "<invalid>"
        case _:
            return _text(value)


def _text(value: Any) -> str | None:
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + " ".join(str(_text(item)) for item in value) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_text(item)}" for key, item in sorted(value.items())) + "]"
    return str(value)
