"""What is beyond the limits that a table of schemas states, in the words of custom resources."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from miniplane.api.definitions import META, Schema
from miniplane.api.kind import Object
from miniplane.api.validation import (
    FieldError,
    Path,
    duplicate,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
)
from miniplane.kinds.fields import entries, is_set, section, shown, text
from miniplane.kinds.shared import selector_errors

Table = Mapping[str, Schema]
_STATUSES = ("True", "False", "Unknown")


def within(table: Table, name: str, obj: Object, *parts: str) -> Iterator[FieldError]:
    """The errors of these parts of an object of the schema `name`, such as `spec`."""
    schema = table[name]
    for part in parts:
        if is_set(obj, part):
            yield from _judge(table, schema["properties"][part], obj[part], Path(part), obj, part)
        elif part in schema.get("required", ()):
            yield required(Path(part))


def _judge(table: Table, schema: Schema, value: Any, path: Path, holder: Object, key: str) -> Iterator[FieldError]:
    if (ref := schema.get("$ref")) is not None:
        name = ref.rpartition("/")[2]
        if name == f"{META}LabelSelector":
            yield from selector_errors(Path(str(path).removesuffix(f".{key}")), holder, key)
        if name not in table:
            return
        schema = table[name]
    match value:
        case dict():
            yield from _fields(table, schema, value, path)
        case list():
            yield from _items(table, schema, value, path)
        case str():
            yield from _text(schema, value, path)
        case int():
            yield from _number(schema, value, path)
        case _:
            pass


def _fields(table: Table, schema: Schema, value: Object, path: Path) -> Iterator[FieldError]:
    properties = schema.get("properties", {})
    there = [key for key in properties if is_set(value, key)]
    least, most = schema.get("minProperties", 0), schema.get("maxProperties")
    if len(there) < least:
        yield invalid(path, len(there), f"{path} in body should have at least {least} properties")
    if most is not None and len(there) > most:
        yield too_many(path, len(there), most)
    for key, child in properties.items():
        if is_set(value, key):
            yield from _judge(table, child, value[key], path / key, value, key)
        elif key in schema.get("required", ()):
            yield required(path / key)


def _items(table: Table, schema: Schema, value: Sequence[Any], path: Path) -> Iterator[FieldError]:
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    if len(value) < least:
        yield invalid(path, len(value), f"{path} in body should have at least {least} items")
    if most is not None and len(value) > most:
        yield too_many(path, len(value), most)
        return
    for index, item in enumerate(value):
        if schema.get("x-kubernetes-list-type") == "set" and item in value[:index]:
            yield duplicate(path @ index, item)
        yield from _judge(table, schema["items"], item, path @ index, {}, "")


def _text(schema: Schema, value: str, path: Path) -> Iterator[FieldError]:
    if "enum" in schema and value not in schema["enum"]:
        yield not_supported(path, value, schema["enum"])
    if len(value) < schema.get("minLength", 0):
        yield invalid(path, value, f"{path} in body should be at least {schema['minLength']} chars long")
    if len(value) > schema.get("maxLength", len(value)):
        yield too_long(path, schema["maxLength"])
    if "pattern" in schema and re.search(schema["pattern"], value) is None:
        yield invalid(path, value, f"{path} in body should match '{schema['pattern']}'")


def _number(schema: Schema, value: int, path: Path) -> Iterator[FieldError]:
    if value < schema.get("minimum", value):
        yield invalid(path, value, f"{path} in body should be greater than or equal to {schema['minimum']}")
    if value > schema.get("maximum", value):
        yield invalid(path, value, f"{path} in body should be less than or equal to {schema['maximum']}")


def condition_errors(obj: Object) -> Iterator[FieldError]:
    """The errors of `status.conditions`."""
    seen: set[str] = set()
    for index, condition in enumerate(entries(section(obj, "status"), "conditions")):
        path = Path("status") / "conditions" @ index
        for key in ("lastTransitionTime", "message", "reason", "status", "type"):
            if not is_set(condition, key):
                yield required(path / key)
        if (status := text(condition, "status")) and status not in _STATUSES:
            yield not_supported(path / "status", status, _STATUSES)
        if (name := text(condition, "type")) in seen:
            yield duplicate(path, shown({"type": name}))
        seen.add(name)
