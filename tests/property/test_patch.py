"""Laws of patches."""

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from miniplane.api import definitions
from miniplane.api.kind import Object
from miniplane.api.meta import clone
from miniplane.api.patch import json_patch, merge_diff, merge_patch, strategic_merge
from miniplane.api.schema import Schema
from miniplane.errors import ApiError
from miniplane.kinds import POD

KEYS = st.sampled_from("abc")
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.text("xy", max_size=2))
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=3)
VIEW = Schema(definitions.load([POD])).view(POD)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(child) for key, child in value.items() if child is not None}
    return value


@given(OBJECTS, OBJECTS)
def test_a_merge_diff_leads_to_its_target(old: Object, new: Object) -> None:
    """Patching with the difference gives the target, and the difference is empty exactly where nothing differs."""
    old, new = _without_nulls(old), _without_nulls(new)
    before = clone(old)
    patch = merge_diff(old, new)
    result = merge_patch(old, patch)
    assert result == new
    assert merge_diff(result, new) == {}
    assert old == before


@given(OBJECTS, OBJECTS)
def test_merge_patches_are_idempotent(obj: Object, patch: Object) -> None:
    """The same merge patch a second time changes nothing."""
    once = merge_patch(obj, patch)
    assert merge_patch(once, patch) == once


@given(OBJECTS, OBJECTS)
def test_json_patch_replaces_the_whole(old: Object, new: Object) -> None:
    """A patch of removes and adds of every member gives the target; its tests pass on what it made."""
    operations = [{"op": "remove", "path": f"/{key}"} for key in old]
    operations += [{"op": "add", "path": f"/{key}", "value": value} for key, value in new.items()]
    operations += [{"op": "test", "path": f"/{key}", "value": value} for key, value in new.items()]
    assert json_patch(old, operations) == new


@st.composite
def pods(draw: st.DrawFn) -> Object:
    """Pods with lists of every kind: merged by key, as a set, replaced; maps of text."""
    names = draw(st.lists(st.sampled_from("pqrst"), unique=True, max_size=4))
    containers = [
        {"name": name, **draw(st.fixed_dictionaries({}, optional={"image": KEYS, "args": st.lists(KEYS, max_size=2)}))}
        for name in names
    ]
    metadata = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "labels": st.dictionaries(KEYS, KEYS),
                "finalizers": st.lists(st.sampled_from("uvw"), unique=True, max_size=3),
            },
        )
    )
    return {"metadata": metadata, "spec": {"containers": containers}}


def _diff(old: Object, new: Object) -> Object:
    """The strategic patch that kubectl would send to make `new` of `old`."""
    patch = merge_diff(old, new)
    by_name = {item["name"]: item for item in old["spec"]["containers"]}
    items: list[Object] = []
    for item in new["spec"]["containers"]:
        change = merge_diff(by_name.pop(item["name"], {}), item)
        if change:
            items.append({"name": item["name"], **change})
    items += [{"name": name, "$patch": "delete"} for name in by_name]
    order = [{"name": item["name"]} for item in new["spec"]["containers"]]
    patch["spec"] = {"containers": items, "$setElementOrder/containers": order}
    before, after = old["metadata"].get("finalizers", []), new["metadata"].get("finalizers")
    if after is not None:
        patch.setdefault("metadata", {}).update(
            {
                "finalizers": [item for item in after if item not in before],
                "$deleteFromPrimitiveList/finalizers": [item for item in before if item not in after],
                "$setElementOrder/finalizers": after,
            }
        )
    return patch


@given(pods(), pods())
def test_a_strategic_diff_leads_to_its_target(old: Object, new: Object) -> None:
    """The patch that a client computes gives its target, order included."""
    assert strategic_merge(old, _diff(old, new), VIEW) == new


@given(pods(), pods())
def test_strategic_merge_keeps_what_the_patch_does_not_name(old: Object, new: Object) -> None:
    """Every container of the object is still there, and every one of the patch is, once; again changes nothing."""
    result = strategic_merge(old, new, VIEW)
    names = [item["name"] for item in result["spec"]["containers"]]
    wanted = {item["name"] for pod in (old, new) for item in pod["spec"]["containers"]}
    assert sorted(names) == sorted(wanted)
    assert strategic_merge(result, new, VIEW) == result


PATHS = st.lists(st.sampled_from(("a", "b", "0", "1", "-", "-1", "~0", "~", "")), max_size=3).map(
    lambda parts: "".join(f"/{part}" for part in parts)
)
OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(("add", "remove", "replace", "move", "copy", "test")), "path": PATHS},
        optional={"from": st.one_of(PATHS, SCALARS), "value": VALUES},
    ),
    max_size=4,
)
DIRECTIVES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                (
                    "metadata",
                    "spec",
                    "containers",
                    "finalizers",
                    "name",
                    "env",
                    "$patch",
                    "$retainKeys",
                    "$setElementOrder/containers",
                    "$setElementOrder/finalizers",
                    "$deleteFromPrimitiveList/finalizers",
                )
            ),
            inner | st.sampled_from(("delete", "replace", "merge")),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(OBJECTS, OPERATIONS, pods(), DIRECTIVES)
def test_any_patch_applies_or_is_refused(obj: Object, operations: list[Object], pod: Object, patch: Any) -> None:
    """No patch, however odd, is an error of the server's own or touches its object."""
    before = clone([obj, pod])
    attempts: list[Callable[[], Object]] = [
        lambda: json_patch(obj, operations),
        lambda: merge_patch(pod, patch),
        lambda: strategic_merge(pod, patch, VIEW),
    ]
    for attempt in attempts:
        try:
            assert isinstance(attempt(), dict)
        except ApiError as error:
            assert error.code in (400, 413, 422)  # noqa: PT017  both outcomes are right
    assert [obj, pod] == before
