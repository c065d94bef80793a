"""Reading, defaulting and judging the fields of JSON objects: the small words that every kind is written in.

The readers take a null, a missing and a mistyped value alike for the empty value of its type, as upstream's decoder
does with null. So validators never fail on an odd object: what is of the wrong type has been told by the schema.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from miniplane.api.kind import Object
from miniplane.api.names import is_port_name, is_port_number
from miniplane.api.validation import FieldError, Path, duplicate, invalid, not_supported, required

Rule = Callable[[str], list[str]]
"""What is wrong with a text, as `api.names` has them."""

PROTOCOLS = ("SCTP", "TCP", "UDP")


def section(obj: Mapping[str, Any], key: str) -> Object:
    """The object at a key; what is put into it is lost where there is none, for that see `open_section`."""
    value = obj.get(key)
    return value if isinstance(value, dict) else {}


def open_section(obj: Object, key: str) -> Object:
    """The object at a key, made where there is none."""
    if not isinstance(obj.get(key), dict):
        obj[key] = {}
    value: Object = obj[key]
    return value


def entries(obj: Mapping[str, Any], key: str) -> list[Object]:
    """The list of objects at a key; an entry that is none counts as an empty one, so that indexes stay."""
    return [item if isinstance(item, dict) else {} for item in elements(obj, key)]


def elements(obj: Mapping[str, Any], key: str) -> list[Any]:
    """The list at a key."""
    value = obj.get(key)
    return value if isinstance(value, list) else []


def strings(obj: Mapping[str, Any], key: str) -> list[str]:
    """The list of texts at a key."""
    return [item if isinstance(item, str) else "" for item in elements(obj, key)]


def text(obj: Mapping[str, Any], key: str) -> str:
    """The text at a key."""
    value = obj.get(key)
    return value if isinstance(value, str) else ""


def number(obj: Mapping[str, Any], key: str) -> int:
    """The whole number at a key; 0 where there is none, for the difference see `optional`."""
    return optional(obj, key) or 0


def optional(obj: Mapping[str, Any], key: str) -> int | None:
    """The whole number at a key, if any."""
    value = obj.get(key)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def flag(obj: Mapping[str, Any], key: str) -> bool:
    """Whether the key holds true."""
    return obj.get(key) is True


def is_set(obj: Mapping[str, Any], key: str) -> bool:
    """Whether the key holds anything but null: what upstream has a pointer for."""
    return obj.get(key) is not None


def string_map(obj: Mapping[str, Any], key: str) -> dict[str, str]:
    """The map of texts at a key."""
    return {name: value if isinstance(value, str) else "" for name, value in section(obj, key).items()}


def fill(obj: Object, /, **defaults: Any) -> None:
    """Sets what is missing, null or an empty text."""
    for key, value in defaults.items():
        if obj.get(key) in (None, ""):
            obj[key] = value


def fill_zero(obj: Object, /, **defaults: int) -> None:
    """Sets numbers that are missing, null or 0."""
    for key, value in defaults.items():
        if not obj.get(key):
            obj[key] = value


class Shown:
    """A value as an error message shows it: JSON, as upstream prints whatever is neither text nor number."""

    def __init__(self, value: Any) -> None:
        self._text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def __str__(self) -> str:
        return self._text


def shown(value: Any) -> Any:
    """The value to hand to an error."""
    return Shown(value) if isinstance(value, list | dict) else value


def named(path: str, value: str, rule: Rule) -> Iterator[FieldError]:
    """The errors of a text by a rule of `api.names`."""
    return (invalid(path, value, message) for message in rule(value))


def named_required(path: str, value: str, rule: Rule) -> Iterator[FieldError]:
    """As `named`, and it must be there."""
    if value:
        yield from named(path, value, rule)
    else:
        yield required(path)


def one_of(path: str, value: str, allowed: Collection[str], *, needed: bool = True) -> Iterator[FieldError]:
    """An error unless the word is one of those; empty is an error of its own, or none where it is not `needed`."""
    if value:
        if value not in allowed:
            yield not_supported(path, value, allowed)
    elif needed:
        yield required(path)


def at_least(path: str, value: int | None, low: int = 0) -> Iterator[FieldError]:
    """An error if there is a number and it is below `low`."""
    if value is not None and value < low:
        detail = f"must be greater than {low - 1}" if low == 1 else f"must be greater than or equal to {low}"
        yield invalid(path, value, detail)


def port_number(path: str, value: int) -> Iterator[FieldError]:
    """An error unless the number is a port."""
    return (invalid(path, value, message) for message in is_port_number(value))


def port_or_name(path: str, value: Any) -> Iterator[FieldError]:
    """The errors of a port given as number or name; missing counts as 0, as upstream's IntOrString does."""
    if isinstance(value, str):
        return named(path, value, is_port_name)
    return port_number(path, value if isinstance(value, int) else 0)


def unchanged(path: str, new: Any, old: Any) -> Iterator[FieldError]:
    """An error if the field changed; null, empty and missing are one."""
    if (new or None) != (old or None):
        yield invalid(path, shown(new), "field is immutable")


def repeated(path: Path, key: str, items: Iterable[Mapping[str, Any]]) -> Iterator[FieldError]:
    """An error for each item whose text at `key` an earlier one has; empty texts don't count."""
    seen: set[str] = set()
    for index, item in enumerate(items):
        if (value := text(item, key)) in seen:
            yield duplicate(path @ index / key, value)
        elif value:
            seen.add(value)
