"""The graph that definitions are compiled to, and the walk of an object along it.

One node per type: it refuses what Go's decoder refuses, in its words, drops explicit nulls, brings times and quantities
into canonical form, and names unknown fields. Nothing here reads a definition (`schema.py` does). Counterpart upstream:
the decoding into Go types, sigs.k8s.io/json.
"""

import re
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from miniplane.api import quantity
from miniplane.api.meta import micro_timestamp, parse_timestamp, timestamp

At = tuple[Any, ...] | None
"""Where the walk is: `(parent, key, struct)`, from the inside out; `struct` is empty for list items and map values."""


class Unknown(NamedTuple):
    """A field that its object's type does not have: its path, and where to take it out."""

    path: str
    holder: dict[str, Any]
    key: str


class Mismatch(Exception):
    """A value does not fit its field; the text is what Go's decoder says."""


def _path(at: At, key: str = "") -> str:
    """The field path as strict decoding writes it: `spec.containers[0].foo`."""
    path = key
    while at is not None:
        at, step, _ = at
        text = f"[{step}]" if isinstance(step, int) else str(step)
        path = f"{text}.{path}" if path and not path.startswith("[") else text + path
    return path


def _go_field(at: At) -> str:
    """The innermost struct and the path of field names below the root, as Go writes it; no indexes, no map keys."""
    names: list[str] = []
    struct = ""
    while at is not None:
        at, step, owner = at
        if owner:
            names.append(step)
            struct = struct or owner
    return f"{struct}.{'.'.join(reversed(names))}"


def _json_word(value: Any, *, exact: bool = False) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return f"number {value}" if exact else "number"
    words: dict[type, str] = {str: "string", list: "array", dict: "object"}
    return words[type(value)]


class Node:
    """A place in the schema: what may stand there. The base takes anything."""

    __slots__ = ("go_type", "plain")

    zero: Any = None
    """What an explicit null in a list or map becomes; None drops it."""

    def __init__(self, go_type: str, plain: type | None = None) -> None:
        self.go_type = go_type
        self.plain = plain
        """A Python type whose every value is right as it is: saves the call."""

    def read(self, value: Any, _at: At, _unknown: list[Unknown], /) -> Any:
        """The canonical form of `value`, often itself, changed in place; raises Mismatch."""
        return value

    def mismatch(self, value: Any, at: At) -> Mismatch:
        """The error of a value of another type."""
        word = _json_word(value, exact=isinstance(self, IntegerNode) and not isinstance(value, str))
        return Mismatch(f"json: cannot unmarshal {word} into Go struct field {_go_field(at)} of type {self.go_type}")


class StringNode(Node):
    """Any text."""

    __slots__ = ()
    zero = ""

    def __init__(self) -> None:
        super().__init__("string", str)

    def read(self, value: Any, at: At, _unknown: list[Unknown], /) -> Any:
        """Only text."""
        if type(value) is not str:
            raise self.mismatch(value, at)
        return value


class BooleanNode(Node):
    """True or false."""

    __slots__ = ()
    zero = False

    def __init__(self) -> None:
        super().__init__("bool", bool)

    def read(self, value: Any, at: At, _unknown: list[Unknown], /) -> Any:
        """Only booleans."""
        if type(value) is not bool:
            raise self.mismatch(value, at)
        return value


class IntegerNode(Node):
    """A whole number of 32 or 64 bits."""

    __slots__ = ("limit",)
    zero = 0

    def __init__(self, bits: int) -> None:
        super().__init__(f"int{bits}")
        self.limit = 2 ** (bits - 1)

    def read(self, value: Any, at: At, _unknown: list[Unknown], /) -> Any:
        """Only whole numbers in range; 1.0 is none, as in Go."""
        if type(value) is not int or not -self.limit <= value < self.limit:
            raise self.mismatch(value, at)
        return value


class NumberNode(Node):
    """Any number."""

    __slots__ = ()
    zero = 0

    def __init__(self) -> None:
        super().__init__("float64", float)

    def read(self, value: Any, at: At, _unknown: list[Unknown], /) -> Any:
        """Numbers, no booleans."""
        if type(value) not in (int, float):
            raise self.mismatch(value, at)
        return value


class QuantityNode(Node):
    """A resource amount, brought into canonical form."""

    __slots__ = ()
    zero = "0"

    def read(self, value: Any, _at: At, _unknown: list[Unknown], /) -> Any:
        """Text or a number."""
        if type(value) not in (str, int, float):
            raise Mismatch(quantity.FORM_MESSAGE)
        try:
            return quantity.canonical(value)
        except ValueError as error:
            raise Mismatch(str(error)) from error


class IntOrStringNode(Node):
    """A whole number or a text, such as a port or a percentage."""

    __slots__ = ()
    zero = 0

    def read(self, value: Any, _at: At, _unknown: list[Unknown], /) -> Any:
        """Text, or what fits 32 bits."""
        if type(value) is str or (type(value) is int and -(2**31) <= value < 2**31):
            return value
        raise Mismatch(f"json: cannot unmarshal {_json_word(value, exact=True)} into Go value of type int32")


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


class TimeNode(Node):
    """A time, to the second or (`micro`) the microsecond, in UTC."""

    __slots__ = ("micro",)

    def __init__(self, *, micro: bool) -> None:
        super().__init__("MicroTime" if micro else "Time")
        self.micro = micro

    def read(self, value: Any, _at: At, _unknown: list[Unknown], /) -> Any:
        """RFC 3339 with any offset and precision."""
        if type(value) is not str:
            raise Mismatch(f"json: cannot unmarshal {_json_word(value)} into Go value of type string")
        try:
            moment = parse_timestamp(value) if _RFC3339.fullmatch(value) else None
        except ValueError:
            moment = None
        if moment is None:
            layout = "2006-01-02T15:04:05.000000Z07:00" if self.micro else "2006-01-02T15:04:05Z07:00"
            raise Mismatch(f'parsing time "{value}" as "{layout}": cannot parse "{value}" as "2006"')
        if self.micro:
            return micro_timestamp(moment)
        return value if _SECONDS.fullmatch(value) else timestamp(moment)


_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", re.ASCII)


class BytesNode(Node):
    """Bytes, written in base64."""

    __slots__ = ()
    zero = ""

    def read(self, value: Any, at: At, _unknown: list[Unknown], /) -> Any:
        """Padded standard base64; line ends are taken out."""
        if type(value) is not str:
            raise self.mismatch(value, at)
        text = value.replace("\n", "").replace("\r", "")
        if match := _BASE64.fullmatch(text):
            return match.group()
        good = re.match(r"[A-Za-z0-9+/]*", text, re.ASCII)
        offset = len(good.group()) if good else 0
        raise Mismatch(f"illegal base64 data at input byte {offset if offset < len(text) else offset // 4 * 4}")


class ListNode(Node):
    """A list of one type."""

    __slots__ = ("items",)

    def __init__(self, items: Node) -> None:
        super().__init__(f"[]{items.go_type}")
        self.items = items

    def read(self, value: Any, at: At, unknown: list[Unknown], /) -> Any:
        """Every item; a null becomes the zero value of its type."""
        if type(value) is not list:
            raise self.mismatch(value, at)
        items, plain = self.items, self.items.plain
        for index, child in enumerate(value):
            if plain is not None and type(child) is plain:
                continue
            if child is None:
                value[index] = {} if isinstance(items, ObjectNode | MapNode) else items.zero
            else:
                value[index] = items.read(child, (at, index, ""), unknown)
        return value


class MapNode(Node):
    """A map of text to one type."""

    __slots__ = ("values",)

    def __init__(self, values: Node) -> None:
        super().__init__(f"map[string]{values.go_type}")
        self.values = values

    def read(self, value: Any, at: At, unknown: list[Unknown], /) -> Any:
        """Every value; a null becomes the zero value of its type."""
        if type(value) is not dict:
            raise self.mismatch(value, at)
        values, plain = self.values, self.values.plain
        for key, child in value.items():
            if plain is not None and type(child) is plain:
                continue
            if child is None:
                value[key] = {} if isinstance(values, ObjectNode) else values.zero
            else:
                value[key] = values.read(child, (at, key, ""), unknown)
        return value


class OpenNode(Node):
    """An object of whatever content, such as FieldsV1; nothing in it is looked at."""

    __slots__ = ()

    def read(self, value: Any, at: At, _unknown: list[Unknown], /) -> Any:
        """Only objects."""
        if type(value) is not dict:
            raise self.mismatch(value, at)
        return value


@dataclass(frozen=True, slots=True)
class Field:
    """A property of an object: what stands there, and how it merges."""

    name: str
    node: Node
    description: str = ""
    merge_key: str = ""
    strategies: frozenset[str] = frozenset()
    """Of strategic merge: `merge`, `replace` (by absence of merge), `retainKeys`."""
    list_type: str = ""
    """Of server-side apply: atomic (also where empty), set or map."""
    list_keys: tuple[str, ...] = ()
    map_type: str = ""
    """Of server-side apply: granular (also where empty) or atomic."""
    required: bool = False


class ObjectNode(Node):
    """An object with known fields."""

    __slots__ = ("definition", "description", "fields", "map_type", "name")

    def __init__(self, definition: str) -> None:
        package, name = definition.split(".")[-2:]
        super().__init__(f"{package}.{name}")
        self.definition = definition
        self.name = name
        self.fields: dict[str, Field] = {}
        self.description = ""
        self.map_type = ""

    def read(self, value: Any, at: At, unknown: list[Unknown], /) -> Any:
        """Every field; nulls go, unknown fields are named and stay."""
        if type(value) is not dict:
            raise self.mismatch(value, at)
        nulls: list[str] = []
        fields = self.fields
        for key, child in value.items():
            known = fields.get(key)
            if known is None:
                unknown.append(Unknown(_path(at, key), value, key))
            elif child is None:
                nulls.append(key)
            elif type(child) is not known.node.plain:
                value[key] = known.node.read(child, (at, key, self.name), unknown)
        for key in nulls:
            del value[key]
        return value


class OrNode(Node):
    """An object of one definition where that is what stands here, anything else as it is."""

    __slots__ = ("node",)

    def __init__(self, node: Node) -> None:
        super().__init__("interface {}")
        self.node = node

    def read(self, value: Any, at: At, unknown: list[Unknown], /) -> Any:
        """The object in canonical form."""
        return self.node.read(value, at, unknown) if isinstance(value, dict) else value


ANY: Final = Node("interface {}")
OPEN: Final = OpenNode("map[string]interface {}")
