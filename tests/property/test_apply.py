"""Laws of server-side apply and of sets of fields."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from miniplane.api import fieldsets, managed, typed
from miniplane.api.apply import apply
from miniplane.api.managed import Writer
from miniplane.api.meta import clone
from miniplane.api.nodes import ANY, Field, ListNode, MapNode, Node, ObjectNode, StringNode
from miniplane.errors import Conflict


def _node() -> Node:
    """A kind with a map, a keyed list, a set and an atomic list."""
    item = ObjectNode("test.v1.Item")
    item.fields = {name: Field(name, StringNode()) for name in ("name", "value", "other")}
    spec = ObjectNode("test.v1.Spec")
    spec.fields = {
        "labels": Field("labels", MapNode(StringNode())),
        "items": Field("items", ListNode(item), list_type="map", list_keys=("name",)),
        "words": Field("words", ListNode(StringNode()), list_type="set"),
        "fixed": Field("fixed", ListNode(StringNode())),
        "one": Field("one", StringNode()),
    }
    root = ObjectNode("test.v1.Root")
    root.fields = {"metadata": Field("metadata", ANY), "spec": Field("spec", spec)}
    return root


NODE = _node()
TEXT = st.sampled_from("abc")
ITEMS = st.lists(
    st.fixed_dictionaries({"name": TEXT}, optional={"value": TEXT, "other": TEXT}),
    max_size=3,
    unique_by=lambda item: item["name"],
)
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "labels": st.dictionaries(TEXT, TEXT, min_size=1, max_size=3),
        "items": ITEMS.filter(bool),
        "words": st.lists(TEXT, min_size=1, max_size=3, unique=True),
        "fixed": st.lists(TEXT, min_size=1, max_size=2),
        "one": TEXT,
    },
).filter(bool)
NOW = "2026-01-01T00:00:00Z"


def _apply(live: Any, spec: Any, manager: str, *, force: bool = True) -> Any:
    writer = Writer(manager, "test/v1", NOW)
    config = {"apiVersion": "test/v1", "kind": "Root", "metadata": {}, "spec": clone(spec)}
    return apply(clone(live), config, NODE, writer, force=force).obj


def _empty() -> Any:
    return {"apiVersion": "test/v1", "kind": "Root", "metadata": {"name": "x"}}


def _order(item: Any) -> str:
    return item if isinstance(item, str) else str(item["name"])


def _content(obj: Any) -> Any:
    """The object's spec, lists by key sorted, without empty containers."""
    spec = {name: value for name, value in (obj.get("spec") or {}).items() if value}
    return {
        name: sorted(value, key=_order) if name in ("items", "words") else value for name, value in sorted(spec.items())
    }


@given(SPECS)
def test_applying_twice_is_applying_once(spec: Any) -> None:
    """The second apply of one configuration changes neither object nor owners."""
    once = _apply(_empty(), spec, "x")
    assert _apply(once, spec, "x") == once


@given(SPECS, SPECS)
def test_what_was_applied_goes_when_it_is_applied_no_more(first: Any, second: Any) -> None:
    """An object with one manager is what that manager applied last, whatever it applied before."""
    after = _apply(_apply(_empty(), first, "x"), second, "x")
    assert _content(after) == _content({"spec": second})


@given(SPECS, SPECS)
def test_a_visitor_leaves_no_trace(mine: Any, theirs: Any) -> None:
    """Where another applies without force and takes it all back, the object is as before."""
    before = _apply(_empty(), mine, "x")
    try:
        visited = _apply(before, theirs, "y", force=False)
    except Conflict:
        return  # nothing has changed
    config = {"apiVersion": "test/v1", "kind": "Root", "metadata": {}}
    after = apply(clone(visited), config, NODE, Writer("y", "test/v1", NOW), force=False).obj
    assert _content(after) == _content(before)
    assert [entry["manager"] for entry in after["metadata"]["managedFields"]] == ["x"]


@given(SPECS, SPECS)
def test_managers_of_different_fields_commute(one: Any, other: Any) -> None:
    """Two managers without a conflict give one object, whoever comes first."""
    other = {name: value for name, value in other.items() if name not in one} or {"one": "a"}
    if "one" in one and "one" in other:
        return
    left = _apply(_apply(_empty(), one, "x"), other, "y", force=False)
    right = _apply(_apply(_empty(), other, "y"), one, "x", force=False)
    assert _content(left) == _content(right)
    assert left["metadata"] == right["metadata"]


@given(SPECS, SPECS)
def test_updates_own_exactly_what_they_changed(first: Any, second: Any) -> None:
    """After an update every leaf of the object has one owner, and nobody owns what is not there."""
    old, new = ({**_empty(), "spec": spec} for spec in (first, second))
    entries = managed.created(old, NODE, Writer("x", "test/v1", NOW))
    entries = managed.updated(entries, managed.changes(old, new, NODE), Writer("y", "test/v1", NOW))
    there = typed.everything(managed.managed_part(new), NODE)
    owned: dict[str, Any] = {}
    for entry in entries:
        assert not fieldsets.intersection(owned, entry["fieldsV1"])
        owned = fieldsets.union(owned, entry["fieldsV1"])
    assert not fieldsets.difference(owned, there)
    leaves = typed.field_set(managed.managed_part(new), NODE)
    assert not fieldsets.difference(leaves, owned)


@given(SPECS, SPECS)
def test_sets_obey_the_laws_of_sets(one: Any, other: Any) -> None:
    """Reading gives the set again; union, intersection and difference fit together."""
    a, b = (typed.field_set({"spec": spec}, NODE) for spec in (one, other))
    assert fieldsets.read(a) == a
    both = fieldsets.union(a, b)
    assert set(fieldsets.paths(both)) == set(fieldsets.paths(a)) | set(fieldsets.paths(b))
    common = set(fieldsets.paths(fieldsets.intersection(a, b)))
    assert common == set(fieldsets.paths(a)) & set(fieldsets.paths(b))
    assert set(fieldsets.paths(fieldsets.difference(a, b))) == set(fieldsets.paths(a)) - common
