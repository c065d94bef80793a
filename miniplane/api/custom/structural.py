"""Structural schemas, compiled: what an object of a custom kind may hold.

`prune` drops what the schema has not, `default` fills in what it gives, `judge` (in `judging.py`) tells what breaks it.
All are total: any JSON goes in, none raises. Counterpart upstream: k8s.io/apiextensions-apiserver,
pkg/apiserver/schema with its packages pruning, defaulting and listtype.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from miniplane.api.cel import CelError
from miniplane.api.custom.rules import Rule, compile_rules
from miniplane.api.meta import clone

JsonSchema = Mapping[str, Any]
EMBEDDED = ("apiVersion", "kind", "metadata")
"""What every whole object has, whatever the schema says."""


@dataclass(slots=True)
class Node:
    """A place in the schema. `schema` is what the CRD says; the rest is what every walk asks for."""

    schema: JsonSchema
    types: tuple[str, ...] = ()
    """JSON types that may stand here; empty takes any."""
    properties: dict[str, "Node"] = field(default_factory=dict)
    values: "Node | None" = None
    """Of a map with a schema for its values."""
    items: "Node | None" = None
    nullable: bool = False
    preserve: bool = False
    open_map: bool = False
    embedded: bool = False
    has_default: bool = False
    default: Any = None
    list_type: str = ""
    list_keys: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    branches: dict[str, tuple["Node", ...]] = field(default_factory=dict)
    """By `allOf`, `anyOf`, `oneOf` and `not`: value validations alone, nothing that names fields."""

    def below(self, key: str) -> "Node | None":
        """The place of a field or map value."""
        return self.properties.get(key) or self.values


def compile_schema(schema: JsonSchema, *, is_root: bool = False) -> Node:
    """The nodes of a structural schema; rules that can't be compiled are left out (the CRD was refused for them)."""
    node = Node(schema)
    if schema.get("x-kubernetes-int-or-string"):
        node.types = ("integer", "string")
    elif isinstance(word := schema.get("type"), str) and word:
        node.types = (word,)
    node.nullable = schema.get("nullable") is True
    node.preserve = schema.get("x-kubernetes-preserve-unknown-fields") is True
    node.embedded = is_root or schema.get("x-kubernetes-embedded-resource") is True
    node.has_default = schema.get("default") is not None
    node.default = schema.get("default")
    node.list_type = schema.get("x-kubernetes-list-type") or ""
    node.list_keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    for key, child in _object(schema.get("properties")).items():
        if not (is_root and key == "metadata"):
            node.properties[key] = compile_schema(_object(child))
    extra = schema.get("additionalProperties")
    node.open_map = extra is True
    node.values = compile_schema(extra) if isinstance(extra, dict) else None
    items = schema.get("items")
    node.items = compile_schema(items) if isinstance(items, dict) else None
    node.rules = _rules(schema)
    for word in ("allOf", "anyOf", "oneOf"):
        if branches := [item for item in schema.get(word) or () if isinstance(item, dict)]:
            node.branches[word] = tuple(compile_schema(item) for item in branches)
    if isinstance(branch := schema.get("not"), dict):
        node.branches["not"] = (compile_schema(branch),)
    return node


def _object(value: Any) -> JsonSchema:
    return value if isinstance(value, dict) else {}


def _rules(schema: JsonSchema) -> tuple[Rule, ...]:
    try:
        return compile_rules(schema.get("x-kubernetes-validations") or ())
    except CelError:
        return ()


def prune(node: Node, value: Any, path: str = "") -> list[str]:
    """Drop what the schema does not have, in place; the paths of what went."""
    gone: list[str] = []
    _prune(node, value, path, gone)
    return gone


def _prune(node: Node, value: Any, path: str, gone: list[str]) -> None:
    if isinstance(value, list) and node.items is not None:
        for index, item in enumerate(value):
            _prune(node.items, item, f"{path}[{index}]", gone)
    if not isinstance(value, dict):
        return
    keeps = node.preserve or node.open_map
    for key in list(value):
        place = f"{path}.{key}" if path else key
        if (below := node.below(key)) is not None:
            _prune(below, value[key], place, gone)
        elif not keeps and not (node.embedded and key in EMBEDDED):
            gone.append(place)
            del value[key]


def default(node: Node, value: Any) -> None:
    """Fill in defaults, in place; a null where none may be counts as missing, and goes where there is no default."""
    if isinstance(value, dict):
        for key, child in node.properties.items():
            if _is_missing(value, key, child):
                if child.has_default:
                    value[key] = clone(child.default)
                elif key in value and not child.preserve:
                    del value[key]
        for key, item in value.items():
            if (below := node.below(key)) is not None:
                value[key] = _filled(below, item)
    elif isinstance(value, list) and node.items is not None:
        value[:] = [_filled(node.items, item) for item in value]


def _is_missing(value: dict[str, Any], key: str, child: Node) -> bool:
    return key not in value or (value[key] is None and not child.nullable)


def _filled(node: Node, value: Any) -> Any:
    """An item or map value with its defaults."""
    if value is None and not node.nullable and node.has_default:
        value = clone(node.default)
    default(node, value)
    return value


def open_node() -> Node:
    """The schema that takes any object."""
    return Node({"type": "object"}, types=("object",), preserve=True, embedded=True)


def key_of(item: Any, keys: Sequence[str], node: Node | None) -> tuple[Any, ...] | None:
    """What tells an item of a map list apart, None for what is no object; a key's default counts."""
    if not isinstance(item, dict):
        return None
    found = []
    for key in keys:
        below = node.properties.get(key) if node is not None else None
        value = item.get(key, below.default if below is not None and below.has_default else None)
        found.append((type(value).__name__, repr(value)))
    return tuple(found)
