"""Sets of fields, in the form in which managed fields travel (FieldsV1): the JSON is the set.

A set is a dictionary by path element: `f:NAME` a field or map key, `k:{…}` a list item by its keys, `v:…` one by its
value, `i:N` by its index. A child that is empty or has `.` in it is a member itself. Sets are never changed in place:
their parts are shared. Counterpart upstream: sigs.k8s.io/structured-merge-diff, fieldpath.
"""

from collections.abc import Iterator
from typing import Any, Final

import orjson

Fields = dict[str, Any]

SELF: Final = "."
LEAF: Final[Fields] = {}
"""The child that is a member and has none below. Shared: never changed."""
_DEPTH_LIMIT = 64


def key_element(keys: dict[str, Any]) -> str:
    """The path element of a list item with these key fields."""
    return "k:" + orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()


def value_element(value: Any) -> str:
    """The path element of an item of a set."""
    return "v:" + orjson.dumps(value).decode()


def is_member(child: Fields) -> bool:
    """Whether the path of a child is in the set, rather than only something below it."""
    return not child or SELF in child


def union(one: Fields, other: Fields) -> Fields:
    """What is in either."""
    result = dict(one)
    for step, child in other.items():
        mine = result.get(step)
        if mine is None:
            result[step] = child
        elif mine is not child and mine != child:
            result[step] = _joined(mine, child)
    return result


def _joined(one: Fields, other: Fields) -> Fields:
    result = union(one, other)
    if result and (is_member(one) or is_member(other)):
        result[SELF] = LEAF
    return result


def difference(one: Fields, other: Fields) -> Fields:
    """The members of `one` that are none of `other`."""
    return _selected(one, other, common=False)


def intersection(one: Fields, other: Fields) -> Fields:
    """The members of both."""
    return _selected(one, other, common=True)


def _selected(one: Fields, other: Fields, *, common: bool) -> Fields:
    result: Fields = {}
    for step, child in one.items():
        if step == SELF:
            continue
        theirs = other.get(step)
        if theirs is None:
            if not common:
                result[step] = child
            continue
        below = _selected(child, theirs, common=common)
        if is_member(child) and is_member(theirs) is common:
            result[step] = {SELF: LEAF, **below} if below else LEAF
        elif below:
            result[step] = below
    return result


def without(one: Fields, gone: Fields) -> Fields:
    """`one` less all at and below the members of `gone`."""
    result: Fields = {}
    for step, child in one.items():
        theirs = gone.get(step)
        if theirs is None:
            result[step] = child
        elif not is_member(theirs):
            below = without(child, theirs)
            if below or not child:
                result[step] = below
    return result


def paths(fields: Fields, prefix: str = "") -> Iterator[str]:
    """The members as messages write them: `.spec.ports[port=80,protocol="TCP"].name`, in the set's order of names."""
    for step in sorted(fields):
        if step == SELF:
            continue
        child, path = fields[step], prefix + _step_text(step)
        if is_member(child):
            yield path
        yield from paths(child, path)


def _step_text(step: str) -> str:
    kind, _, text = step.partition(":")
    match kind:
        case "f":
            return f".{text}"
        case "k":
            return "[" + ",".join(f"{k}={orjson.dumps(v).decode()}" for k, v in orjson.loads(text).items()) + "]"
        case "v":
            return f"[={text}]"
        case _:
            return f"[{text}]"


def read(fields: Any, depth: int = 0) -> Fields:
    """The set that a client sent, in canonical form.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(fields, dict) or depth > _DEPTH_LIMIT:
        raise ValueError("a set of fields is an object")
    result: Fields = {}
    for step, child in fields.items():
        if step == SELF:
            result[SELF] = LEAF
        else:
            result[_canonical(step)] = read(child, depth + 1)
    return result


def _canonical(step: str) -> str:
    kind, colon, text = step.partition(":")
    if not colon:
        raise ValueError(f"missing colon in path element {step!r}")
    match kind:
        case "f":
            return step
        case "k" if isinstance(keys := orjson.loads(text), dict) and keys:
            return key_element(keys)
        case "v":
            return value_element(orjson.loads(text))
        case "i":
            return f"i:{int(text)}"
        case _:
            raise ValueError(f"unknown path element {step!r}")
