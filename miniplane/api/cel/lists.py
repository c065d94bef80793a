"""Functions of lists and of lists as sets.

Counterpart upstream: k8s.io/apiserver, pkg/cel/library/lists.go, and cel-go, ext/sets.go.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from miniplane.api.cel.functions import Function, FunctionError


def _kind(value: Any) -> type:
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def _same(one: Any, other: Any) -> bool:
    """Equality in the language: numbers by value, no boolean is a number."""
    return _kind(one) is _kind(other) and bool(one == other)


def _orderable(items: Sequence[Any]) -> None:
    if len({_kind(item) for item in items}) > 1 or any(isinstance(item, list | dict) or item is None for item in items):
        raise FunctionError("no such overload")


def _is_sorted(items: Sequence[Any]) -> bool:
    _orderable(items)
    return all(one <= other for one, other in pairwise(items))


def _sum(items: Sequence[Any]) -> Any:
    _orderable(items)
    if items and _kind(items[0]) is not float:
        raise FunctionError("no such overload")
    return sum(items)


def _least(items: Sequence[Any]) -> Any:
    _orderable(items)
    if not items:
        raise FunctionError("min called on empty list")
    return min(items)


def _greatest(items: Sequence[Any]) -> Any:
    _orderable(items)
    if not items:
        raise FunctionError("max called on empty list")
    return max(items)


def _index_of(items: Sequence[Any], wanted: Any) -> int:
    return next((index for index, item in enumerate(items) if _same(item, wanted)), -1)


def _last_index_of(items: Sequence[Any], wanted: Any) -> int:
    return next((index for index in range(len(items) - 1, -1, -1) if _same(items[index], wanted)), -1)


def _contains(items: Sequence[Any], others: Sequence[Any]) -> bool:
    return all(_index_of(items, other) >= 0 for other in others)


_ANY = "string|int|double|bool|list|map"

FUNCTIONS = (
    Function("isSorted", ("list",), "bool", _is_sorted),
    Function("sum", ("list",), "dyn", _sum),
    Function("min", ("list",), "dyn", _least),
    Function("max", ("list",), "dyn", _greatest),
    Function("indexOf", ("list", _ANY), "int", _index_of),
    Function("lastIndexOf", ("list", _ANY), "int", _last_index_of),
    Function("sets.contains", ("list", "list"), "bool", _contains, is_member=False),
    Function(
        "sets.equivalent",
        ("list", "list"),
        "bool",
        lambda items, others: _contains(items, others) and _contains(others, items),
        is_member=False,
    ),
    Function(
        "sets.intersects",
        ("list", "list"),
        "bool",
        lambda items, others: any(_index_of(items, other) >= 0 for other in others),
        is_member=False,
    ),
)
