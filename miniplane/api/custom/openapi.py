"""What a custom kind's schema looks like to clients: OpenAPI v3 with typed metadata.

Counterpart upstream: k8s.io/apiextensions-apiserver, pkg/controller/openapi/builder.
"""

from collections.abc import Mapping
from typing import Any

from miniplane.api.definitions import GVK, META, REF

_EMBEDDED = {
    "apiVersion": {"type": "string", "description": "The version of the schema that this object is written in."},
    "kind": {"type": "string", "description": "The kind of this object, as one word in camel case."},
}


def definition_name(group: str, version: str, kind: str) -> str:
    """The name of a custom kind's schema: `com.example.v1.CronTab`."""
    return f"{'.'.join(reversed(group.split('.')))}.{version}.{kind}"


def schemas_of(
    group: str, version: str, names: Mapping[str, Any], schema: Mapping[str, Any] | None
) -> dict[str, dict[str, Any]]:
    """The schemas of a kind and of its list, by name."""
    kind = names["kind"]
    name = definition_name(group, version, kind)
    metadata = {"description": "Standard object's metadata.", "allOf": [{"$ref": f"{REF}{META}ObjectMeta"}]}
    body = dict(schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    properties = {key: _served(value) for key, value in (body.get("properties") or {}).items()}
    body = {**body, "properties": {**_EMBEDDED, **properties, "metadata": metadata}}
    body[GVK] = [{"group": group, "kind": kind, "version": version}]
    many = names.get("listKind") or f"{kind}List"
    items = {"type": "array", "description": f"The {names['plural']}.", "items": {"$ref": REF + name}}
    listed = {
        "type": "object",
        "description": f"{many} is a list of {kind}",
        "required": ["items"],
        "properties": {
            **_EMBEDDED,
            "metadata": {"description": "Standard list metadata.", "allOf": [{"$ref": f"{REF}{META}ListMeta"}]},
            "items": items,
        },
        GVK: [{"group": group, "kind": many, "version": version}],
    }
    return {name: body, f"{name}List": listed}


def _served(schema: Any) -> Any:
    """A schema with what an embedded resource has beyond it."""
    if not isinstance(schema, dict):
        return schema
    made = {key: value for key, value in schema.items() if key not in ("properties", "items", "additionalProperties")}
    if "properties" in schema:
        made["properties"] = {key: _served(value) for key, value in (schema["properties"] or {}).items()}
    for word in ("items", "additionalProperties"):
        if word in schema:
            made[word] = _served(schema[word])
    if schema.get("x-kubernetes-embedded-resource") is True:
        metadata = {"allOf": [{"$ref": f"{REF}{META}ObjectMeta"}]}
        made["properties"] = {**_EMBEDDED, **(made.get("properties") or {}), "metadata": metadata}
    return made
