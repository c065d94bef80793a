"""Patches: JSON patch (RFC 6902), merge patch (RFC 7386) and strategic merge.

Each takes an object and gives a new one that shares nothing with it. Strategic merge reads the schema for merge keys
and honours every directive: `$patch`, `$retainKeys`, `$setElementOrder/…`, `$deleteFromPrimitiveList/…`. Errors are
those of upstream's patch handler: BadRequest for what is no patch, Invalid for one that does not fit the object.
Counterpart upstream: k8s.io/apimachinery, pkg/util/strategicpatch, and k8s.io/apiserver, pkg/endpoints/handlers.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import jsonpatch
import jsonpointer
import orjson

from miniplane.api.decode import DEPTH_LIMIT, check_depth
from miniplane.api.kind import Object
from miniplane.api.meta import clone
from miniplane.api.schema import SchemaView
from miniplane.errors import ApiError, Cause, Invalid, Reason, bad_request

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

OPERATIONS_LIMIT = 10_000
"""How many operations a JSON patch may have: upstream's number."""
COPY_LIMIT_BYTES = 3 * 1024 * 1024
"""How much the copy operations of one patch may add together: they could double the object each time."""

_MISSING: Final = object()


def _does_not_apply(why: str) -> Invalid:
    """Upstream's Status for a patch that fails on this object; the cause says why, which upstream keeps to itself."""
    return Invalid(
        "the server rejected our request due to an error in our request",
        causes=[Cause("UnexpectedServerResponse", why, "patch")],
    )


def json_patch(obj: Object, operations: Any) -> Object:
    """Applies a decoded JSON patch, all of it or nothing.

    Raises:
        ApiError: BadRequest for what is no list of operations, RequestEntityTooLarge for too many, Invalid where one
            does not apply or a test fails.
    """
    if not isinstance(operations, list) or not all(_is_operation(item) for item in operations):
        raise bad_request("error decoding patch: a JSON patch is a list of objects with op and path")
    if len(operations) > OPERATIONS_LIMIT:
        limit = f"The allowed maximum operations in a JSON patch is {OPERATIONS_LIMIT}, got {len(operations)}"
        raise ApiError(limit, reason=Reason.REQUEST_ENTITY_TOO_LARGE)
    result, copied = clone(obj), 0
    for operation in operations:
        try:
            if operation["op"] == "copy":
                copied += _size(result, operation)
            result = _apply_operation(result, operation)
        except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, KeyError) as error:
            raise _does_not_apply(f"{operation['op']} {operation['path']}: {error}") from error
        if copied > COPY_LIMIT_BYTES:
            raise _does_not_apply(f"copy operations exceed {COPY_LIMIT_BYTES} bytes")
    if not isinstance(result, dict):
        raise _does_not_apply("the result is no object")
    check_depth(result)
    return result


def _is_operation(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and isinstance(item.get("op"), str)
        and isinstance(path := item.get("path"), str)
        and path.count("/") <= DEPTH_LIMIT
    )


def _apply_operation(obj: Any, operation: Any) -> Any:
    if operation["op"] != "test":
        return jsonpatch.JsonPatch([operation]).apply(obj, in_place=True)
    # Here rather than in jsonpatch: a missing value equals null, as upstream has it, and 1 is not true.
    found = jsonpointer.resolve_pointer(obj, operation["path"], _MISSING)
    wanted = operation.get("value")
    if not _same(None if found is _MISSING else found, wanted):
        raise jsonpatch.JsonPatchTestFailed("test failed")
    return obj


def _same(one: Any, other: Any) -> bool:
    """Equality of JSON, where 1 is not true."""
    sort = orjson.OPT_SORT_KEYS
    return bool(one == other) and orjson.dumps(one, option=sort) == orjson.dumps(other, option=sort)


def _size(obj: Object, operation: Object) -> int:
    return len(orjson.dumps(jsonpointer.resolve_pointer(obj, operation.get("from", ""), None)))


def merge_patch(obj: Object, patch: Any) -> Object:
    """Applies a merge patch: maps merge, null deletes, all else replaces.

    Raises:
        ApiError: BadRequest if the patch is no object.
    """
    if not isinstance(patch, dict):
        raise bad_request("Invalid JSON Patch")
    result: Object = clone(obj)
    _merge(result, clone(patch))
    return result


def _merge(target: Object, patch: Object) -> None:
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            below = target.get(key)
            if not isinstance(below, dict):
                below = target[key] = {}
            _merge(below, value)
        else:
            target[key] = value


def merge_diff(old: Object, new: Object) -> Object:
    """The merge patch that makes `new` of `old`, empty where they are equal; parts are shared with `new`.

    A null in `new` can't be told by a merge patch and is as if absent.
    """
    patch: Object = {key: None for key in old if new.get(key) is None}
    for key, value in new.items():
        before = old.get(key)
        if value is None or _same(before, value):
            continue
        if isinstance(value, dict) and isinstance(before, dict):
            patch[key] = merge_diff(before, value)
        else:
            patch[key] = _without_nulls(value)
    return patch


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(child) for key, child in value.items() if child is not None}
    return value


_PATCH = "$patch"
_RETAIN = "$retainKeys"
_ORDER = "$setElementOrder/"
_DELETE = "$deleteFromPrimitiveList/"


def strategic_merge(obj: Object, patch: Any, schema: SchemaView) -> Object:
    """Applies a strategic merge patch; `schema` is the root of the object's kind.

    Raises:
        ApiError: BadRequest for a malformed patch or directive, Invalid for an item without its merge key or an unknown
            `$patch` word.
    """
    if not isinstance(patch, dict):
        raise bad_request("Invalid JSON Patch")
    return _merge_map(clone(obj), clone(patch), schema)


def _merge_map(target: Object, patch: Object, schema: SchemaView) -> Object:
    """Merges into `target`; both are the caller's to use up."""
    if _PATCH in patch:
        return _replaced(patch)
    _retain_keys(target, patch)
    for key in [key for key in patch if key.startswith(_ORDER)]:
        _merge_ordered(target, patch, key.removeprefix(_ORDER), schema)
    for key, value in patch.items():
        if key.startswith(_DELETE):
            _delete_primitives(target, key.removeprefix(_DELETE), value)
        elif value is None:
            target.pop(key, None)
        else:
            target[key] = _merged(target.get(key), value, schema.below(key))
    return target


def _merged(old: Any, new: Any, place: SchemaView) -> Any:
    """What a patch's value makes of the value at its place."""
    replaces = place.field is not None and "replace" in place.field.strategies
    if isinstance(old, dict) and isinstance(new, dict) and not replaces:
        return _merge_map(old, new, place)
    if isinstance(old, list) and isinstance(new, list) and place.merges:
        return _merge_list(old, new, place)
    return _plain(new)


def _replaced(patch: Object) -> Object:
    """What a map with `$patch` in it becomes."""
    match patch[_PATCH]:
        case "replace":
            return {key: value for key, value in patch.items() if key != _PATCH}
        case "delete":
            return {}
        case word:
            raise _does_not_apply(f"unknown patch type: {word}")


def _plain(value: Any) -> Any:
    """A value that meets nothing to merge with: its nulls and directives fall away."""
    if isinstance(value, dict):
        if value.get(_PATCH) == "delete":
            return {}
        return {key: _plain(child) for key, child in value.items() if child is not None and not _is_directive(key)}
    if isinstance(value, list):
        return [_plain(item) for item in value if not (isinstance(item, dict) and _is_special(item))]
    return value


def _is_directive(key: str) -> bool:
    return key in (_PATCH, _RETAIN) or key.startswith((_ORDER, _DELETE))


def _is_special(item: Object) -> bool:
    """Whether a list's item is an instruction rather than an item."""
    return item.get(_PATCH) == "delete" or (_PATCH in item and len(item) == 1)


def _retain_keys(target: Object, patch: Object) -> None:
    if _RETAIN not in patch:
        return
    kept = patch.pop(_RETAIN)
    if not isinstance(kept, list):
        raise bad_request("invalid patch format of retainKeys")
    if any(value is not None and not _is_directive(key) and key not in kept for key, value in patch.items()):
        raise bad_request("invalid patch format of retainKeys")
    for key in [key for key in target if key not in kept]:
        del target[key]


def _delete_primitives(target: Object, key: str, values: Any) -> None:
    if not isinstance(values, list):
        raise bad_request("invalid patch format of primitive list")
    old = target.get(key)
    if isinstance(old, list):
        gone = [orjson.dumps(value) for value in values]
        target[key] = [item for item in old if orjson.dumps(item) not in gone]


def _merge_ordered(target: Object, patch: Object, key: str, schema: SchemaView) -> None:
    """Merges the list `key` and brings it into the order that the patch sets."""
    order = patch.pop(_ORDER + key)
    old, new, place = target.get(key), patch.get(key), schema.below(key)
    if not isinstance(order, list) or not isinstance(new, list | None) or not isinstance(old, list | None):
        raise bad_request("invalid patch format of $setElementOrder list")
    identify = _Identity(place.merge_key)
    if new and order:
        wanted = iter(identify.all(order))
        if not all(name in wanted for name in identify.all(item for item in new if not _is_directed(item))):
            raise bad_request("The order in patch list doesn't match $setElementOrder list")
    patch.pop(key, None)
    if old is None and new is None:
        return
    merged = old if new is None else _merged(old, new, place)
    target[key] = _ordered(merged or [], order, old or [], identify)


def _is_directed(item: Any) -> bool:
    return isinstance(item, dict) and _PATCH in item


class _Identity:
    """Tells the items of a list apart: by their merge key, or scalars by themselves."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, item: Any) -> bytes:
        if not self._key:
            return orjson.dumps(item)
        if not isinstance(item, dict) or self._key not in item:
            raise _does_not_apply(
                f"map: {orjson.dumps(item).decode()} does not contain declared merge key: {self._key}"
            )
        return orjson.dumps(item[self._key])

    def all(self, items: Iterable[Any]) -> list[bytes]:
        return [self(item) for item in items]


def _merge_list(old: list[Any], patch: list[Any], place: SchemaView) -> list[Any]:
    """Merges a list by key, or as a set of scalars; what the patch names comes in the patch's order."""
    if not old and not patch:
        return old
    is_map = isinstance((old or patch)[0], dict)
    if any(isinstance(item, list) or isinstance(item, dict) is not is_map for item in old + patch):
        raise _does_not_apply("lists of lists or of several types can't be merged")
    if is_map and not place.merge_key:
        raise _does_not_apply("cannot merge lists without merge key")
    identify = _Identity(place.merge_key)
    merged = _merge_maps(old, patch, place.items, identify) if is_map else list(old)
    if merged is None:
        return [_plain(item) for item in patch if not _is_directed(item)]
    named = [item for item in patch if not _is_directed(item)]
    if not is_map:
        known = set(identify.all(merged))
        for item, name in zip(named, identify.all(named), strict=True):
            if name not in known:
                known.add(name)
                merged.append(item)
    return _ordered(merged, named, old, identify)


def _merge_maps(old: list[Any], patch: list[Any], items: SchemaView, identify: _Identity) -> list[Any] | None:
    """The items of `old` with the patch's merged in or appended; None where the patch replaces the list."""
    result: dict[bytes, Any] = {}
    doubles: list[Any] = []
    for item, name in zip(old, identify.all(old), strict=True):
        if name in result:
            doubles.append(item)  # merge keys need not be unique: a port number with two protocols
        result.setdefault(name, item)
    words = [item[_PATCH] for item in patch if _PATCH in item]
    for item in patch:
        if item.get(_PATCH) == "delete":
            name = identify(item)
            result.pop(name, None)
            doubles = [double for double in doubles if identify(double) != name]
    for word in words:
        if word not in ("delete", "replace"):
            raise _does_not_apply(f"unknown patch type: {word}")
    if "replace" in words:
        return None
    for item in patch:
        if _PATCH not in item:
            name = identify(item)
            result[name] = _merge_map(result[name], item, items) if name in result else _plain(item)
    return [*result.values(), *doubles]


def _ordered(merged: Sequence[Any], order: Sequence[Any], server: Sequence[Any], identify: _Identity) -> list[Any]:
    """The merged items: those that `order` names in its order, the others in the server's, woven together.

    Where both of two neighbours were on the server, their order there decides; otherwise the named one comes first.
    """
    rank = {name: index for index, name in reversed(list(enumerate(identify.all(order))))}
    position = {name: index for index, name in reversed(list(enumerate(identify.all(server))))}
    named = sorted((item for item in merged if identify(item) in rank), key=lambda item: rank[identify(item)])
    others = sorted(
        (item for item in merged if identify(item) not in rank),
        key=lambda item: position.get(identify(item), len(position)),
    )
    result: list[Any] = []
    while named and others:
        here, there = position.get(identify(others[0])), position.get(identify(named[0]))
        first = others if here is not None and there is not None and here < there else named
        result.append(first.pop(0))
    return result + named + others
