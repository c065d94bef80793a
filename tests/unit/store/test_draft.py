"""A draft becomes exactly the object's JSON with the revision inside."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.store import Draft, ResourceKey

KEY = ResourceKey("/pods", "default", "a")
# The characters that matter to JSON; all of Unicode would take a second to set up.
TEXT = st.text('ab"\\{}:,é\n', max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["apiVersion", "kind", "spec", "status", "x"]), JSON),
    st.none() | st.dictionaries(st.sampled_from(["name", "resourceVersion", "labels", '"resourceVersion":"']), JSON),
    st.integers(0, 3),
)
def test_bytes_and_object_agree(rest: dict[str, Any], metadata: dict[str, Any] | None, place: int) -> None:
    """Whatever the object holds and wherever its metadata stands, bytes parse to the object with the new revision."""
    items = list(rest.items())
    obj = dict([*items[:place], ("metadata", metadata), *items[place:]])
    before = orjson.dumps(obj)
    entry = Draft(obj).entry(KEY, 1234, 7)
    assert orjson.loads(entry.value) == entry.obj
    assert entry.obj == {**obj, "metadata": {**(metadata or {}), "resourceVersion": "1234"}}
    assert orjson.dumps(obj) == before


def test_a_draft_can_be_used_again() -> None:
    """Two entries of one draft differ only in their revision."""
    draft = Draft({"kind": "Pod", "metadata": {"name": "a"}})
    one, two = draft.entry(KEY, 9, 9), draft.entry(KEY, 10, 9)
    assert one.obj["metadata"] == {"name": "a", "resourceVersion": "9"}
    assert two.value == one.value.replace(b'"9"', b'"10"')
    assert len(draft) == len(one.value) - 1


def test_what_json_can_not_hold_is_refused() -> None:
    """The error comes where the draft is made, not in the writer."""
    with pytest.raises(TypeError):
        Draft({"spec": {1}})
