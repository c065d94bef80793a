"""Tables of schemas for kinds that upstream's definitions file does not have: how they are written, and their defaults.

Upstream such kinds are custom resources. Types drive decoding, OpenAPI and `explain`, as for every kind; limits are
judged by `schemalimits`, and `fill` sets defaults as structural schemas do.
"""

import copy
from collections.abc import Mapping
from typing import Any

from miniplane.api.definitions import REF, Schema
from miniplane.api.kind import Object


def text(description: str, **limits: Any) -> Schema:
    """A string."""
    return {"type": "string", "description": description, **limits}


def number(description: str, low: int, high: int) -> Schema:
    """An integer between two limits."""
    return {"type": "integer", "format": "int32", "description": description, "minimum": low, "maximum": high}


def of(name: str, description: str) -> Schema:
    """A field that holds another schema: of this version, or by its whole name."""
    return {"$ref": name, "description": description}


def array(items: Schema | str, description: str, low: int = 0, high: int = 0) -> Schema:
    """A list of a schema, or of what a name refers to, with so many items."""
    limits = {"minItems": low} if low else {}
    if high:
        limits["maxItems"] = high
    of = {"$ref": items} if isinstance(items, str) else items
    return {"type": "array", "description": description, "items": of, **limits}


def record(description: str, required: str = "", /, **fields: Schema) -> Schema:
    """An object with fields; `required` are words."""
    made: Schema = {"type": "object", "description": description, "properties": fields}
    return made | {"required": required.split()} if required else made


def choice(description: str, /, **fields: Schema) -> Schema:
    """Exactly one field is set."""
    return {**record(description, **fields), "minProperties": 1, "maxProperties": 1}


def whole(
    group: str, package: str, version: str, schemas: Mapping[str, Schema], kinds: tuple[str, ...]
) -> dict[str, Schema]:
    """The table with whole names, `<package>.<version>.<name>`: of the schemas, and in their references."""

    def spelled(schema: Schema) -> Schema:
        made = dict(schema)
        if (ref := schema.get("$ref")) is not None:
            made["$ref"] = REF + (f"{package}.{version}.{ref}" if ref in schemas else ref)
        if "items" in schema:
            made["items"] = spelled(schema["items"])
        if "properties" in schema:
            made["properties"] = {key: spelled(child) for key, child in schema["properties"].items()}
        return made

    table = {f"{package}.{version}.{name}": spelled(schema) for name, schema in schemas.items()}
    for kind in kinds:
        for name in (kind, f"{kind}List"):
            gvk = [{"group": group, "version": version, "kind": name}]
            table[f"{package}.{version}.{name}"]["x-kubernetes-group-version-kind"] = gvk
    return table


def fill(table: Mapping[str, Schema], schema: Schema, value: Any) -> None:
    """Set the defaults that a schema states, in place, in what is there."""
    if (ref := schema.get("$ref")) is not None:
        schema = table.get(ref.rpartition("/")[2], {})
    if isinstance(value, list):
        for item in value:
            fill(table, schema.get("items", {}), item)
    elif isinstance(value, dict):
        _fill_fields(table, schema, value)


def _fill_fields(table: Mapping[str, Schema], schema: Schema, value: Object) -> None:
    for key, child in schema.get("properties", {}).items():
        if "default" in child and value.get(key) is None:
            value[key] = copy.deepcopy(child["default"])
        if key in value:
            fill(table, child, value[key])
