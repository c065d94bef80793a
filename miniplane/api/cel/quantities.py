"""Quantities in expressions: a map of one key that no object has, holding the amount in billionths as text.

Counterpart upstream: k8s.io/apiserver, pkg/cel/library/quantity.go.
"""

from collections.abc import Mapping
from typing import Any

from miniplane.api.cel.functions import Function, FunctionError
from miniplane.api.quantity import Quantity

_KEY = "kubernetes.Quantity"
_NANO = 10**9
_INT64 = 1 << 63


def _parsed(text: str) -> int | None:
    try:
        return Quantity.parse(text).nano
    except ValueError:
        return None


def _make(nano: int) -> dict[str, str]:
    return {_KEY: str(nano)}


def _quantity(text: str) -> dict[str, str]:
    nano = _parsed(text)
    if nano is None:
        raise FunctionError(
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        )
    return _make(nano)


def _nano(value: Mapping[str, Any]) -> int:
    text = value.get(_KEY)
    if not isinstance(text, str):
        raise FunctionError("no such overload")
    return int(text)


def _amount(value: Mapping[str, Any] | int) -> int:
    return value * _NANO if isinstance(value, int) else _nano(value)


def _compare(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    left, right = _nano(one), _nano(other)
    return (left > right) - (left < right)


def _is_integer(value: Mapping[str, Any]) -> bool:
    nano = _nano(value)
    return nano % _NANO == 0 and -_INT64 <= nano // _NANO < _INT64


def _as_integer(value: Mapping[str, Any]) -> int:
    if not _is_integer(value):
        raise FunctionError("cannot convert value to integer")
    return _nano(value) // _NANO


def _sign(value: Mapping[str, Any]) -> int:
    nano = _nano(value)
    return (nano > 0) - (nano < 0)


FUNCTIONS = (
    Function("isQuantity", ("string",), "bool", lambda text: _parsed(text) is not None, is_member=False),
    Function("quantity", ("string",), "map", _quantity, is_member=False),
    Function("sign", ("map",), "int", _sign),
    Function("isInteger", ("map",), "bool", _is_integer),
    Function("asInteger", ("map",), "int", _as_integer),
    Function("asApproximateFloat", ("map",), "double", lambda value: _nano(value) / _NANO),
    Function("add", ("map", "map|int"), "map", lambda one, other: _make(_nano(one) + _amount(other))),
    Function("sub", ("map", "map|int"), "map", lambda one, other: _make(_nano(one) - _amount(other))),
    Function("isLessThan", ("map", "map"), "bool", lambda one, other: _compare(one, other) < 0),
    Function("isGreaterThan", ("map", "map"), "bool", lambda one, other: _compare(one, other) > 0),
    Function("compareTo", ("map", "map"), "int", _compare),
)
