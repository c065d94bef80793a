"""Amounts given as a number or a percentage of a whole, in fields of the type IntOrString."""

import re
from collections.abc import Iterator
from typing import Any

from miniplane.api.validation import FieldError, invalid
from miniplane.kinds.fields import at_least

_PERCENT = re.compile(r"[0-9]{1,9}%", re.ASCII)
_RULE = (
    "a valid percent string must be a numeric string followed by an ending '%' "
    "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
)
_WHOLE = 100


def count_or_percent(path: str, value: Any) -> Iterator[FieldError]:
    """An error unless it is a number from 0 on, or a percentage."""
    if isinstance(value, str):
        if not _PERCENT.fullmatch(value):
            yield invalid(path, value, _RULE)
    else:
        yield from at_least(path, value)


def at_most_whole(path: str, value: Any) -> Iterator[FieldError]:
    """An error for a percentage above 100."""
    if isinstance(value, str) and amount(value) > _WHOLE:
        yield invalid(path, value, "must not be greater than 100%")


def amount(value: Any) -> int:
    """The number or the percentage; 0 where it is neither."""
    if isinstance(value, str):
        return int(value[:-1]) if _PERCENT.fullmatch(value) else 0
    return value if isinstance(value, int) else 0
