"""The JSONPaths of printer columns: fields, indexes, slices, wildcards, and filters by equality.

Counterpart upstream: k8s.io/client-go, util/jsonpath.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

Step = Callable[[Any], Iterable[Any]]
_FIELD = re.compile(r"\.((?:[^.\[\]\\]|\\.)+)|\['((?:[^'\\]|\\.)*)'\]")
_INDEX = re.compile(r"\[(-?\d+)\]")
_SLICE = re.compile(r"\[(-?\d*):(-?\d*)\]")
_FILTER = re.compile(r"\[\?\(\s*@((?:\.[^\s=!<>\[\]()]+)+)\s*(?:(==|!=)\s*(\"[^\"]*\"|'[^']*'|[^\s)]+)\s*)?\)\]")


def compile_path(path: str) -> Callable[[Any], list[Any]]:
    """The values that a path finds in an object, in order.

    Raises:
        ValueError: The path is none that is understood.
    """
    steps: list[Step] = []
    position = 0
    while position < len(path):
        step, position = _step(path, position)
        steps.append(step)

    def find(obj: Any) -> list[Any]:
        found = [obj]
        for step in steps:
            found = [below for item in found for below in step(item)]
        return found

    return find


def _step(path: str, position: int) -> tuple[Step, int]:
    for star in (".*", "[*]"):
        if path.startswith(star, position):
            return _all, position + len(star)
    if match := _FIELD.match(path, position):
        name = re.sub(r"\\(.)", r"\1", match.group(1) if match.group(1) is not None else match.group(2))
        return _field(name), match.end()
    if match := _INDEX.match(path, position):
        index = int(match.group(1))
        return lambda value: _slice(value, index, index + 1 or None), match.end()
    if match := _SLICE.match(path, position):
        start, end = (int(text) if text else None for text in match.groups())
        return lambda value: _slice(value, start, end), match.end()
    if match := _FILTER.match(path, position):
        return _filter(*match.groups()), match.end()
    raise ValueError(f"unexpected {path[position:]!r} in JSONPath {path!r}")


def _all(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else ()


def _field(name: str) -> Step:
    def step(value: Any) -> Iterable[Any]:
        return (value[name],) if isinstance(value, dict) and name in value else ()

    return step


def _slice(value: Any, start: int | None, end: int | None) -> Iterable[Any]:
    return value[start:end] if isinstance(value, list) else ()


def _filter(path: str, operator: str | None, literal: str | None) -> Step:
    find = compile_path(path)
    wanted: Any = None
    if literal is not None:
        quoted = literal[0] in "\"'"
        wanted = literal[1:-1] if quoted else {"true": True, "false": False}.get(literal, literal)

    def holds(item: Any) -> bool:
        found = find(item)
        if operator is None or not found:
            return bool(found) if operator is None else operator == "!=" and bool(found)
        is_equal = found[0] == wanted if isinstance(wanted, bool) else str(found[0]) == str(wanted)
        return is_equal is (operator == "==")

    return lambda value: [item for item in _all(value) if holds(item)]
