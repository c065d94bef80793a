"""What is wrong with an object, by its structural schema, in upstream's words.

What an update left as it was is not held against it (ratcheting, KEP 4008). Counterpart upstream:
k8s.io/kube-openapi, pkg/validation, and k8s.io/apiextensions-apiserver, pkg/apiserver/validation.
"""

import math
from collections.abc import Sequence
from typing import Any

import orjson

from miniplane.api.cel.functions import FunctionError
from miniplane.api.cel.strings import pattern
from miniplane.api.custom.formats import FORMATS
from miniplane.api.custom.rules import MISSING, RuleError, escape, judge_rules
from miniplane.api.custom.structural import EMBEDDED, Node, key_of
from miniplane.api.validation import FieldError, Path, invalid, required, too_many

_ERRORS_LIMIT = 200
"""More complaints about one object help nobody."""
_BLOCKING = ("FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid")
"""Errors of form: an object with one of them is not shown to rules, which may rely on it."""
_UNCHECKED = (
    "some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)


def judge(node: Node, value: Any, old: Any = MISSING, path: str = "") -> list[FieldError]:
    """Every error of a value; `old` is what stood there before an update."""
    errors: list[FieldError] = []
    _judge(node, value, old, Path(path), errors)
    if any(error.reason in _BLOCKING for error in errors) and _has_rules(node):
        errors = [error for error in errors if not isinstance(error, RuleError)]
        errors.append(FieldError("FieldValueInvalid", "<nil>", f"Invalid value: null: {_UNCHECKED}"))
    return errors[:_ERRORS_LIMIT]


def _has_rules(node: Node | None) -> bool:
    if node is None:
        return False
    return bool(node.rules) or any(map(_has_rules, (*node.properties.values(), node.values, node.items)))


def word_of(value: Any) -> str:
    """The JSON type of a value, as schemas name it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are one; a boolean is no number here."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _judge(node: Node, value: Any, old: Any, path: Path, errors: list[FieldError]) -> None:
    if len(errors) > _ERRORS_LIMIT:
        return
    is_same = old is not MISSING and same(value, old)
    if value is None and node.nullable:
        return
    word = word_of(value)
    if node.types and not _fits(node.types, word):
        if not is_same:
            errors.append(_of_type(path, ",".join(node.types), f'"{word}"'))
        return
    if not is_same:
        errors += _values(node, value, path)
        errors += _missing(node, value, path)
        _branches(node, value, path, errors)
        _unique(node, value, path, errors)
    if isinstance(value, dict):
        _object(node, value, old, path, errors)
    elif isinstance(value, list):
        _list(node, value, old, path, errors)
    if node.rules:
        rules = [rule for rule in node.rules if not is_same or rule.is_transition]
        before = MISSING if old is MISSING else seen(node, old)
        errors += judge_rules(rules, node.types[0] if node.types else word, seen(node, value), before, path)


def seen(node: Node | None, value: Any) -> Any:
    """A value as rules see it: names escaped, whole floats of a `number` kept floats."""
    if isinstance(value, dict):
        if node is None:
            return value
        fixed = node.properties
        return {(escape(key) if key in fixed else key): seen(node.below(key), item) for key, item in value.items()}
    if isinstance(value, list):
        return [seen(node.items if node is not None else None, item) for item in value]
    if node is not None and node.types == ("number",) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _fits(types: Sequence[str], word: str) -> bool:
    return word in types or (word == "integer" and "number" in types)


def _of_type(path: str, wanted: str, shown: str) -> FieldError:
    text = f"Invalid value: {shown}: {path} in body must be of type {wanted}: {shown}"
    return FieldError("FieldValueTypeInvalid", path or "<nil>", text)


def _values(node: Node, value: Any, path: Path) -> list[FieldError]:
    """The rules on one value, whatever it holds."""
    schema, errors = node.schema, []
    if isinstance(value, str):
        errors += _text(schema, value, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        errors += _number(schema, value, path)
    elif isinstance(value, list):
        errors += _size(schema, len(value), path, "Items")
    elif isinstance(value, dict):
        errors += _size(schema, len(value), path, "Properties")
    enum = schema.get("enum")
    if enum and not any(same(value, choice) for choice in enum):
        choices = ", ".join(_quoted(choice) for choice in enum)
        text = f"Unsupported value: {_quoted(value)}: supported values: {choices}"
        errors.append(FieldError("FieldValueNotSupported", path, text))
    return errors


def _quoted(value: Any) -> str:
    return orjson.dumps(value if isinstance(value, str | dict | list) else str(value)).decode()


def _text(schema: Any, value: str, path: Path) -> list[FieldError]:
    errors = []
    if (limit := schema.get("maxLength")) is not None and len(value) > limit:
        errors.append(FieldError("FieldValueTooLong", path, f"Too long: may not be more than {limit} bytes"))
    if (limit := schema.get("minLength")) is not None and len(value) < limit:
        errors.append(invalid(path, value, f"{path} in body should be at least {limit} chars long"))
    if (text := schema.get("pattern")) and not _matches(text, value):
        errors.append(invalid(path, value, f"{path} in body should match '{text}'"))
    check = FORMATS.get(schema.get("format") or "")
    if check is not None and not check(value):
        errors.append(_of_type(path, schema["format"], orjson.dumps(value).decode()))
    return errors


def _matches(text: str, value: str) -> bool:
    try:
        return pattern(text).search(value) is not None
    except FunctionError:
        return True  # the CRD was refused for it


def _number(schema: Any, value: float, path: Path) -> list[FieldError]:
    errors = []
    if (limit := schema.get("maximum")) is not None and (
        value > limit or (schema.get("exclusiveMaximum") is True and value == limit)
    ):
        words = "less than" if schema.get("exclusiveMaximum") is True else "less than or equal to"
        errors.append(invalid(path, value, f"{path} in body should be {words} {limit}"))
    if (limit := schema.get("minimum")) is not None and (
        value < limit or (schema.get("exclusiveMinimum") is True and value == limit)
    ):
        words = "greater than" if schema.get("exclusiveMinimum") is True else "greater than or equal to"
        errors.append(invalid(path, value, f"{path} in body should be {words} {limit}"))
    step = schema.get("multipleOf")
    if step and not _is_multiple(value, step):
        errors.append(invalid(path, value, f"{path} in body should be a multiple of {step}"))
    limits = {"int32": 31, "int64": 63}
    bits = limits.get(schema.get("format") or "")
    if bits is not None and not -(1 << bits) <= value < (1 << bits):
        errors.append(_of_type(path, schema["format"], str(value)))
    return errors


def _is_multiple(value: float, step: float) -> bool:
    try:
        quotient = value / step
    except (OverflowError, ZeroDivisionError):
        return True
    return math.isfinite(quotient) and quotient == round(quotient)


def _size(schema: Any, count: int, path: Path, word: str) -> list[FieldError]:
    errors = []
    if (limit := schema.get(f"max{word}")) is not None and count > limit:
        errors.append(too_many(path, count, limit))
    if (limit := schema.get(f"min{word}")) is not None and count < limit:
        errors.append(invalid(path, count, f"{path} in body should have at least {limit} {word.lower()}"))
    return errors


def _missing(node: Node, value: Any, path: Path) -> list[FieldError]:
    if not isinstance(value, dict):
        return []
    errors = [required(path / key) for key in node.schema.get("required") or () if key not in value]
    if node.embedded and path:
        errors += [required(path / key, "must not be empty") for key in EMBEDDED[:2] if not value.get(key)]
    return errors


def _object(node: Node, value: dict[str, Any], old: Any, path: Path, errors: list[FieldError]) -> None:
    before = old if isinstance(old, dict) else {}
    for key, item in value.items():
        if path == "" and key == "metadata":
            continue
        if (below := node.below(key)) is not None:
            place = path / key if key in node.properties else path @ key
            _judge(below, item, before.get(key, MISSING), place, errors)


def _list(node: Node, value: list[Any], old: Any, path: Path, errors: list[FieldError]) -> None:
    if node.items is None:
        return
    earlier: dict[Any, Any] = {}
    by_place = isinstance(old, list) and same(old, value)
    if by_place:
        earlier = dict(enumerate(old))
    elif node.list_type == "map" and isinstance(old, list):
        earlier = {key_of(item, node.list_keys, node.items): item for item in old}
    for index, item in enumerate(value):
        key: Any = index if by_place else key_of(item, node.list_keys, node.items)
        _judge(node.items, item, earlier.get(key, MISSING), path @ index, errors)


def _unique(node: Node, value: Any, path: Path, errors: list[FieldError]) -> None:
    if not isinstance(value, list) or node.list_type not in ("map", "set"):
        return
    found: set[Any] = set()
    for index, item in enumerate(value):
        key: Any = orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
        shown = item
        if node.list_type == "map":
            key = key_of(item, node.list_keys, node.items)
            shown = {name: item[name] for name in node.list_keys if key is not None and name in item}
        if key is not None and key in found:
            text = f"Duplicate value: {orjson.dumps(shown).decode()}"
            errors.append(FieldError("FieldValueDuplicate", path @ index, text))
        found.add(key)


def _branches(node: Node, value: Any, path: Path, errors: list[FieldError]) -> None:
    """allOf, anyOf, oneOf and not."""
    for word, branches in node.branches.items():
        results = [judge(branch, value, path=path) for branch in branches]
        held = sum(not result for result in results)
        where, text = path or "<nil>", ""
        if word == "allOf":
            errors += [error for result in results for error in result]
            text = "" if held == len(results) else f'"{path}" must validate all the schemas (allOf)'
        elif word == "anyOf" and not held:
            text = f'"{path}" must validate at least one schema (anyOf)'
        elif word == "oneOf" and held != 1:
            found = "none valid" if not held else f"{held} valid alternatives"
            text = f'"{path}" must validate one and only one schema (oneOf). Found {found}'
        elif word == "not" and held:
            text = f'"{path}" must not validate the schema (not)'
        if text:
            if word in ("anyOf", "oneOf") and not held:
                errors += min((len(result), index, result) for index, result in enumerate(results))[2]
            errors.append(FieldError("FieldValueInvalid", where, f'Invalid value: "": {text}'))
