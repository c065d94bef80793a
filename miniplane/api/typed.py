"""Objects as server-side apply sees them: which of their fields exist, differ, merge or go, by the schema's types.

A place is a node of the schema with the field that leads there. Maps are granular and lists atomic unless the schema
says otherwise; where it says nothing, all is deduced so. Counterpart upstream: structured-merge-diff, package typed.
"""

import functools
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from miniplane.api.fieldsets import LEAF, SELF, Fields, is_member, key_element, value_element
from miniplane.api.nodes import ANY, Field, ListNode, MapNode, Node, ObjectNode

_KEY_DEFAULTS: Final = {"protocol": "TCP"}
"""The default of a list key that clients leave out: no other key of upstream's lists has one."""
_NO_FIELDS: Mapping[str, Field] = {}


class TypedError(Exception):
    """An object does not fit its schema, as merging understands it."""


class Changes(NamedTuple):
    """How an object differs from what it was: fields added or modified, and the tops of what was removed."""

    changed: Fields
    removed: Fields


def _is_granular(node: Node, field: Field | None) -> bool:
    if field is not None and field.map_type:
        return field.map_type != "atomic"
    return not (isinstance(node, ObjectNode) and node.map_type == "atomic")


def _list_type(node: Node, field: Field | None) -> str:
    return field.list_type if field is not None and isinstance(node, ListNode) else ""


def _fields(node: Node) -> Mapping[str, Field]:
    return node.fields if isinstance(node, ObjectNode) else _NO_FIELDS


def _below(node: Node, key: str) -> tuple[Node, Field | None]:
    known = _fields(node).get(key)
    if known is not None:
        return known.node, known
    return (node.values if isinstance(node, MapNode) else ANY), None


def _items(node: Node) -> Node:
    return node.items if isinstance(node, ListNode) else ANY


def element(item: Any, field: Field, path: str = "") -> str:
    """The path element of an item of an associative list.

    Raises:
        TypedError: The item lacks a key.
    """
    if field.list_type == "set":
        return value_element(item)
    if not isinstance(item, dict):
        raise TypedError(f"{path}: associative list with keys may not have non-map elements")
    keys: dict[str, Any] = {}
    if len(field.list_keys) == 1 and type(name := item.get(field.list_keys[0])) is str:
        return _named(field.list_keys[0], name)
    for key in field.list_keys:
        value = item.get(key, _KEY_DEFAULTS.get(key))
        if value is not None:
            keys[key] = value
    if not keys:
        raise TypedError(f"{path}: associative list with keys has an element that omits key field {_first(field)}")
    return key_element(keys)


@functools.lru_cache(maxsize=4096)
def _named(key: str, name: str) -> str:
    """The element of an item with one key: there are few names, and they come often."""
    return key_element({key: name})


def _first(field: Field) -> str:
    return f'"{field.list_keys[0]}"' if field.list_keys else '""'


def _indexed(items: list[Any], field: Field, path: str = "") -> dict[str, Any]:
    """The items by element; the first of equal ones."""
    result: dict[str, Any] = {}
    for item in items:
        result.setdefault(element(item, field, path), item)
    return result


def field_set(value: Any, node: Node, field: Field | None = None, path: str = "") -> Fields:
    """The fields that an applied configuration names: its leaves, list items and empty maps.

    Raises:
        TypedError: A list names an item twice, an item lacks its key, or a field is not in the schema.
    """
    if type(value) is dict and _is_granular(node, field):
        return _map_set(value, node, path)
    if type(value) is list and field is not None and _list_type(node, field) in ("map", "set"):
        result: Fields = {}
        for item in value:
            step = element(item, field, path)
            if step in result:
                what = "key" if step.startswith("k:") else "value"
                raise TypedError(f"{path}: duplicate entries for {what} [{step[2:].strip('{}')}]")
            below = field_set(item, _items(node), None, f"{path}[{step[2:]}]") if step.startswith("k:") else LEAF
            result[step] = {SELF: LEAF, **below} if below else LEAF
        return result
    return LEAF


def _map_set(value: dict[str, Any], node: Node, path: str) -> Fields:
    fields = _fields(node)
    result: Fields = {}
    for key, child in value.items():
        place, known = _below(node, key)
        if known is None and fields:
            raise TypedError(f"{path}.{key}: field not declared in schema")
        if not isinstance(child, dict | list):
            result[f"f:{key}"] = LEAF
            continue
        below = field_set(child, place, known, f"{path}.{key}")
        is_empty_list = child == [] and _list_type(place, known) in ("map", "set")
        if is_empty_list:
            continue
        if below and known is None:
            below = {SELF: LEAF, **below}
        result[f"f:{key}"] = below
    return result


def everything(value: Any, node: Node, field: Field | None = None) -> Fields:
    """All paths at and below a new value, those of maps and lists themselves too."""
    if type(value) is dict:
        if not value or not _is_granular(node, field):
            return LEAF
        result: Fields = {SELF: LEAF}
        for key, child in value.items():
            if type(child) is dict or type(child) is list:
                result[f"f:{key}"] = everything(child, *_below(node, key))
            else:
                result[f"f:{key}"] = LEAF
        return result
    if type(value) is list and value and field is not None and field.list_type in ("map", "set"):
        items = _items(node)
        return {SELF: LEAF} | {step: everything(item, items) for step, item in _safely(value, field).items()}
    return LEAF


def _safely(items: list[Any], field: Field) -> dict[str, Any]:
    """Items by element, of a stored list; one that can't be told apart is nobody's."""
    try:
        return _indexed(items, field)
    except TypedError:
        return {}


def compare(old: Any, new: Any, node: Node, field: Field | None = None) -> Changes:
    """How `new` differs from `old`; equal parts are not walked."""
    if type(old) is dict and type(new) is dict and _is_granular(node, field):
        return _compare_maps(old, new, node)
    if (
        type(old) is list
        and type(new) is list
        and field is not None
        and _list_type(node, field) in ("map", "set")
        and (old or new)
    ):
        return _compare_items(_safely(old, field), _safely(new, field), _items(node))
    return Changes({SELF: LEAF}, LEAF)


def _compare_maps(old: dict[str, Any], new: dict[str, Any], node: Node) -> Changes:
    changed: Fields = {}
    removed: Fields = {}
    for key, value in new.items():
        if key not in old:
            changed[f"f:{key}"] = everything(value, *_below(node, key))
        elif (before := old[key]) is not value and before != value:
            _note(f"f:{key}", before, value, _below(node, key), Changes(changed, removed))
    for key in old:
        if key not in new:
            removed[f"f:{key}"] = LEAF
    return Changes(changed, removed)


def _compare_items(old: dict[str, Any], new: dict[str, Any], items: Node) -> Changes:
    changed: Fields = {}
    removed: Fields = {step: LEAF for step in old if step not in new}
    for step, value in new.items():
        if step not in old:
            changed[step] = everything(value, items)
        elif (before := old[step]) is not value and before != value:
            _note(step, before, value, (items, None), Changes(changed, removed))
    return Changes(changed, removed)


def _note(step: str, old: Any, new: Any, place: tuple[Node, Field | None], into: Changes) -> None:
    """Adds what differs below `step`."""
    if type(old) is not type(new) and isinstance(old, dict | list):
        into.removed[step] = LEAF
        into.changed[step] = everything(new, *place)
    elif isinstance(new, dict | list) and type(old) is type(new):
        below = compare(old, new, *place)
        if below.changed:
            into.changed[step] = LEAF if below.changed == {SELF: LEAF} else below.changed
        if below.removed:
            into.removed[step] = below.removed
    else:
        into.changed[step] = everything(new, *place)


def merge(live: Any, config: Any, node: Node, field: Field | None = None) -> Any:
    """What applying `config` makes of `live`, which may be changed; parts of both are in the result."""
    if type(live) is dict and type(config) is dict and _is_granular(node, field):
        for key, value in config.items():
            live[key] = merge(live[key], value, *_below(node, key)) if key in live else value
        return live
    if type(live) is list and type(config) is list and field is not None and _list_type(node, field) in ("map", "set"):
        return _merge_items(_safely(live, field), _indexed(config, field), _items(node))
    return config


def _merge_items(live: dict[str, Any], config: dict[str, Any], items: Node) -> list[Any]:
    """Both lists' items: the applied ones in their order, the others where they stood between them."""
    result: list[Any] = []
    done: set[str] = set()
    waiting = list(live)
    for step, item in config.items():
        while waiting and waiting[0] not in config:
            result.append(live[waiting.pop(0)])
        if waiting and waiting[0] in done | {step}:
            waiting.pop(0)
        result.append(merge(live[step], item, items) if step in live else item)
        done.add(step)
    return result + [live[step] for step in waiting if step not in config]


def ensure_named(fields: Fields, node: Node, field: Field | None = None) -> Fields:
    """The set with every field of an object type on the way to a member as a member too."""
    result: Fields = {}
    for step, child in fields.items():
        if step == SELF or not child:
            result[step] = child
            continue
        key = step[2:]
        if step.startswith("f:"):
            place, known = _below(node, key)
        else:
            place, known = (_items(node), None) if field is not None else (ANY, None)
        below = ensure_named(child, place, known)
        result[step] = {SELF: LEAF, **below} if step.startswith("f:") and known is not None else below
    return result


def remove(value: Any, gone: Fields, node: Node, field: Field | None = None) -> Any:
    """`value`, changed, without the members of `gone` and all below them."""
    if type(value) is dict and _is_granular(node, field):
        for step, child in gone.items():
            key = step[2:]
            if not step.startswith("f:") or key not in value:
                continue
            if is_member(child):
                del value[key]
            else:
                value[key] = remove(value[key], child, *_below(node, key))
    elif type(value) is list and field is not None and _list_type(node, field) in ("map", "set"):
        kept: list[Any] = []
        for item in value:
            found = gone.get(element(item, field))
            if found is None:
                kept.append(item)
            elif not is_member(found):
                kept.append(remove(item, found, _items(node)))
        return kept
    return value
