"""Whether a schema is structural, and sound: what is checked before a CustomResourceDefinition may bring it.

Counterpart upstream: k8s.io/apiextensions-apiserver, pkg/apis/apiextensions/validation and pkg/apiserver/schema.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from miniplane.api.cel import CelError
from miniplane.api.cel.functions import FunctionError
from miniplane.api.cel.strings import pattern
from miniplane.api.custom.judging import judge
from miniplane.api.custom.rules import compile_rule
from miniplane.api.custom.structural import compile_schema, prune
from miniplane.api.meta import clone
from miniplane.api.validation import FieldError, Path, forbidden, invalid, not_supported, required

_TYPES = ("array", "boolean", "integer", "number", "object", "string")
_FORBIDDEN = {
    "$ref": "$ref is not supported",
    "additionalItems": "additionalItems is not supported",
    "definitions": "definitions is not supported",
    "dependencies": "dependencies is not supported",
    "id": "id is not supported",
    "patternProperties": "patternProperties is not supported",
}
_BRANCH_ONLY = ("additionalProperties", "default", "description", "nullable", "title", "type")
_BRANCHES = ("allOf", "anyOf", "oneOf")
_REASONS = ("FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate")
_RULE_LIMIT = 32 * 1024
_ERRORS_LIMIT = 100


def schema_errors(schema: Any, path: Path) -> list[FieldError]:
    """Everything that is wrong with the schema of a version."""
    if not isinstance(schema, dict):
        return [required(path, "schemas are required")]
    errors = []
    if schema.get("type") != "object":
        word = schema.get("type")
        errors.append(
            invalid(path / "type", word, "must be object at the root")
            if word
            else required(path / "type", "must not be empty at the root")
        )
    if schema.get("nullable"):
        errors.append(forbidden(path / "nullable", "nullable cannot be true at the root"))
    metadata = (schema.get("properties") or {}).get("metadata")
    if isinstance(metadata, dict) and set(metadata) - {"type", "description", "properties"}:
        text = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        errors.append(forbidden(path / "properties[metadata]", text))
    for error in _errors(schema, path, is_root=True):
        errors.append(error)
        if len(errors) >= _ERRORS_LIMIT:
            break
    return errors


def _errors(schema: Mapping[str, Any], path: Path, *, is_root: bool = False) -> Iterator[FieldError]:
    for word, text in _FORBIDDEN.items():
        if schema.get(word):
            yield forbidden(path / word, text)
    if schema.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden(path / "uniqueItems", text)
    yield from _type_errors(schema, path, is_root=is_root)
    yield from _extension_errors(schema, path)
    yield from _list_errors(schema, path)
    yield from _value_errors(schema, path)
    yield from _branch_errors(schema, path)
    yield from _below(schema, path)


def _type_errors(schema: Mapping[str, Any], path: Path, *, is_root: bool) -> Iterator[FieldError]:
    word = schema.get("type")
    free = schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    if not word and not free and not is_root:
        yield required(path / "type", "must not be empty for specified object fields")
    if word and word not in _TYPES:
        yield not_supported(path / "type", word, _TYPES)
    if word == "array" and not isinstance(schema.get("items"), dict):
        yield required(path / "items", "must be specified")
    if schema.get("properties") and schema.get("additionalProperties") not in (None, False):
        yield forbidden(path / "additionalProperties", "additionalProperties and properties are mutual exclusive")


def _extension_errors(schema: Mapping[str, Any], path: Path) -> Iterator[FieldError]:
    word = schema.get("type")
    if schema.get("x-kubernetes-int-or-string") and word:
        yield forbidden(path / "type", "must be empty if x-kubernetes-int-or-string is true")
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        yield invalid(path / "x-kubernetes-preserve-unknown-fields", value=False, detail="must be true or undefined")
    if schema.get("x-kubernetes-embedded-resource"):
        if word != "object":
            yield invalid(path / "type", word or "", "must be object if x-kubernetes-embedded-resource is true")
        if not schema.get("x-kubernetes-preserve-unknown-fields") and not schema.get("properties"):
            why = "x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
            yield required(path / "properties", f"must not be empty if {why}")


def _list_errors(schema: Mapping[str, Any], path: Path) -> Iterator[FieldError]:
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or ()
    if kind and kind not in ("atomic", "map", "set"):
        yield not_supported(path / "x-kubernetes-list-type", kind, ("atomic", "map", "set"))
    if kind and schema.get("type") != "array":
        yield invalid(path / "type", schema.get("type") or "", "must be array if x-kubernetes-list-type is specified")
    if keys and kind != "map":
        yield forbidden(
            path / "x-kubernetes-list-map-keys", "must not be specified if x-kubernetes-list-type is not map"
        )
    if kind != "map":
        return
    if not keys:
        yield required(path / "x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map")
    items = schema.get("items") or {}
    for index, key in enumerate(keys):
        child = (items.get("properties") or {}).get(key)
        if not isinstance(child, dict):
            yield invalid(path / "x-kubernetes-list-map-keys" @ index, key, "must be a property's name")
        elif key not in (items.get("required") or ()) and child.get("default") is None:
            yield required(
                path / "items" / f"properties[{key}]" / "default",
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property",
            )


def _value_errors(schema: Mapping[str, Any], path: Path) -> Iterator[FieldError]:
    text = schema.get("pattern")
    if text:
        try:
            pattern(text)
        except FunctionError as error:
            yield invalid(path / "pattern", text, f"must be a valid regular expression, but isn't: {error}")
    given = schema.get("default")
    if given is not None:
        node = compile_schema(schema)
        copy = clone(given)
        for gone in prune(node, copy):
            yield invalid(path / "default", _shown(given), f"must not have unknown fields: {gone}")
        yield from judge(node, given, path=path / "default")
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        yield from _rule_errors(rule, path / "x-kubernetes-validations" @ index)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _rule_errors(rule: Mapping[str, Any], path: Path) -> Iterator[FieldError]:
    text = rule.get("rule") or ""
    if not text.strip():
        yield required(path / "rule", "rule is not specified")
        return
    if len(text) > _RULE_LIMIT:
        yield invalid(path / "rule", text[:100], f"must not be longer than {_RULE_LIMIT} characters")
        return
    if (reason := rule.get("reason")) and reason not in _REASONS:
        yield not_supported(path / "reason", reason, _REASONS)
    message = rule.get("message") or ""
    if "\n" in message.strip() and not rule.get("messageExpression"):
        yield invalid(path / "message", message, "message must not contain line breaks")
    if (place := rule.get("fieldPath")) and not place.startswith((".", "[")):
        yield invalid(path / "fieldPath", place, "fieldPath must be a valid path")
    try:
        compile_rule(rule)
    except CelError as error:
        yield invalid(path / "rule", text, f"compilation failed: {error}")


def _branch_errors(schema: Mapping[str, Any], path: Path) -> Iterator[FieldError]:
    branches = [(path / word @ index, item) for word in _BRANCHES for index, item in enumerate(schema.get(word) or ())]
    if isinstance(schema.get("not"), dict):
        branches.append((path / "not", schema["not"]))
    free = schema.get("x-kubernetes-int-or-string")
    for place, branch in branches:
        yield from _one_branch(branch, place, int_or_string=bool(free))


def _one_branch(branch: Any, path: Path, *, int_or_string: bool) -> Iterator[FieldError]:
    if not isinstance(branch, dict):
        return
    for word in _BRANCH_ONLY:
        if branch.get(word) is not None and not (word == "type" and int_or_string):
            yield forbidden(path / word, "must be undefined to be structural")
    for key, child in (branch.get("properties") or {}).items():
        yield from _one_branch(child, path / f"properties[{key}]", int_or_string=True)
    if branch.get("pattern"):
        yield from _value_errors({"pattern": branch["pattern"]}, path)
    yield from _branch_errors(branch, path)


def _below(schema: Mapping[str, Any], path: Path) -> Iterator[FieldError]:
    for key, child in (schema.get("properties") or {}).items():
        if isinstance(child, dict):
            yield from _errors(child, path / f"properties[{key}]")
    for word in ("items", "additionalProperties"):
        if isinstance(child := schema.get(word), dict):
            yield from _errors(child, path / word)
