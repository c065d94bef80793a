"""Laws of structural schemas, for random schemas and random objects."""

from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from miniplane.api.custom.judging import judge
from miniplane.api.custom.structural import compile_schema, default, prune

NAMES = st.sampled_from(["a", "b", "c", "for", "x-y"])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=4),
)
VALUES = st.recursive(
    LEAVES,
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(NAMES, below, max_size=3)),
    max_leaves=12,
)
RULES = ["self == self", "has(self.a) && self.a > 1", "size(self) > 2", "self == oldSelf", "self[0] == 1"]
EXTRAS = st.fixed_dictionaries(
    {},
    optional={
        "nullable": st.booleans(),
        "x-kubernetes-preserve-unknown-fields": st.just(value=True),
        "default": VALUES,
        "enum": st.lists(VALUES, max_size=2),
        "maxLength": st.integers(0, 3),
        "minimum": st.integers(-3, 3),
        "multipleOf": st.sampled_from([1, 2, 0.1]),
        "maxItems": st.integers(0, 2),
        "minProperties": st.integers(0, 2),
        "pattern": st.sampled_from(["^a", "[0-9]+", "("]),
        "format": st.sampled_from(["date-time", "ipv4", "byte", "uri", "uuid", "int32", "duration", "none"]),
        "x-kubernetes-list-type": st.sampled_from(["atomic", "set", "map"]),
        "x-kubernetes-list-map-keys": st.just(["a"]),
        "x-kubernetes-validations": st.lists(st.sampled_from(RULES).map(lambda rule: {"rule": rule}), max_size=2),
        "required": st.lists(NAMES, max_size=2),
    },
)


def _schemas(below: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    inner = st.one_of(
        st.builds(lambda given: {"type": "object", "properties": given}, st.dictionaries(NAMES, below, max_size=3)),
        st.builds(lambda given: {"type": "object", "additionalProperties": given}, below),
        st.builds(lambda given: {"type": "array", "items": given}, below),
        st.builds(lambda given: {"type": "object", "anyOf": [given]}, below),
    )
    return st.builds(lambda schema, extras: {**extras, **schema}, inner, EXTRAS)


TYPED = st.sampled_from(
    [{"type": word} for word in ("string", "integer", "number", "boolean", "object")]
    + [{"x-kubernetes-int-or-string": True}]
)
SCHEMAS = st.recursive(st.builds(lambda schema, extras: {**extras, **schema}, TYPED, EXTRAS), _schemas, max_leaves=6)


def clone(value: Any) -> Any:
    """A deep copy."""
    return orjson.loads(orjson.dumps(value))


@settings(max_examples=150, deadline=None)
@given(SCHEMAS, VALUES)
def test_pruning_twice_is_pruning_once(schema: dict[str, Any], value: Any) -> None:
    """What was pruned has nothing left to prune."""
    node = compile_schema(schema)
    prune(node, value)
    once = clone(value)
    assert prune(node, value) == []
    assert value == once


@settings(max_examples=150, deadline=None)
@given(SCHEMAS, VALUES)
def test_defaulting_twice_is_defaulting_once(schema: dict[str, Any], value: Any) -> None:
    """What has its defaults gets no more of them."""
    node = compile_schema(schema)
    default(node, value)
    once = clone(value)
    default(node, value)
    assert value == once


@settings(max_examples=300, deadline=None)
@given(SCHEMAS, VALUES, VALUES)
def test_judging_is_total(schema: dict[str, Any], value: Any, old: Any) -> None:
    """Whatever the schema and the value, the answer is a list of errors that can be told."""
    node = compile_schema(schema)
    for error in (*judge(node, value), *judge(node, value, old)):
        orjson.dumps([error.reason, error.field, error.message])


@settings(max_examples=100, deadline=None)
@given(SCHEMAS, VALUES)
def test_what_has_not_changed_is_not_held_against(schema: dict[str, Any], value: Any) -> None:
    """An update of nothing breaks no rule but those on change."""
    node = compile_schema(schema)
    assert [error for error in judge(node, value, clone(value)) if "oldSelf" not in error.message] == []
