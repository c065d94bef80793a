"""The three forms of patch, with upstream's directives and errors."""

from typing import Any

import pytest

from miniplane.api.kind import Object
from miniplane.api.patch import json_patch, merge_diff, merge_patch, strategic_merge
from miniplane.api.schema import UNKNOWN, Schema
from miniplane.errors import ApiError
from miniplane.kinds import DEPLOYMENT, POD, SERVICE


def _pod(*containers: Object, **spec: Any) -> Object:
    return {"metadata": {"name": "p"}, "spec": {"containers": list(containers), **spec}}


def _names(pod: Object) -> list[str]:
    return [item["name"] for item in pod["spec"]["containers"]]


def test_json_patch() -> None:
    """Operations apply in order to a copy; what is patched stays as it was."""
    obj = {"a": [1, 2], "b": {"c": 1}}
    operations = [
        {"op": "test", "path": "/b/c", "value": 1},
        {"op": "test", "path": "/gone", "value": None},
        {"op": "add", "path": "/a/-", "value": 3},
        {"op": "remove", "path": "/a/0"},
        {"op": "copy", "from": "/b", "path": "/d"},
        {"op": "move", "from": "/b", "path": "/e"},
        {"op": "replace", "path": "/d/c", "value": 9},
    ]
    assert json_patch(obj, operations) == {"a": [2, 3], "d": {"c": 9}, "e": {"c": 1}}
    assert obj == {"a": [1, 2], "b": {"c": 1}}


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        ({}, 400),
        ([1], 400),
        ([{"op": "add"}], 400),
        ([{"op": "add", "path": "/a" * 200, "value": 1}], 400),
        ([{"op": "remove", "path": "/a"}] * 10_001, 413),
        ([{"op": "frobnicate", "path": "/a"}], 422),
        ([{"op": "add", "path": "/a"}], 422),
        ([{"op": "test", "path": "/a", "value": True}], 422),
        ([{"op": "remove", "path": "/x/y"}], 422),
        ([{"op": "add", "path": "a", "value": 1}], 422),
        ([{"op": "add", "path": "/l/x", "value": 1}], 422),
        ([{"op": "add", "path": "/a/b", "value": 1}], 422),
        ([{"op": "replace", "path": "", "value": 1}], 422),
        ([{"op": "copy", "from": "", "path": "/x"}] * 60, 422),
    ],
    ids=lambda value: str(value)[:40],
)
def test_json_patches_that_fail(operations: Any, code: int) -> None:
    """A malformed patch is a BadRequest, too many operations are too large, one that does not apply is Invalid."""
    with pytest.raises(ApiError) as caught:
        json_patch({"a": 1, "l": []}, operations)
    assert caught.value.code == code


def test_json_patch_says_why() -> None:
    """The message is upstream's; the cause tells which operation."""
    with pytest.raises(ApiError) as caught:
        json_patch({"a": 1}, [{"op": "test", "path": "/a", "value": 2}])
    assert caught.value.message == "the server rejected our request due to an error in our request"
    assert caught.value.causes[0].message == "test /a: test failed"


def test_merge_patch() -> None:
    """Maps merge, null deletes, lists and scalars replace; nulls below new maps vanish."""
    obj = {"a": {"b": 1, "c": 2}, "l": [1, 2], "s": "x"}
    patch = {"a": {"b": None, "d": {"e": 1, "f": None}}, "l": [3], "s": {"t": 1}}
    assert merge_patch(obj, patch) == {"a": {"c": 2, "d": {"e": 1}}, "l": [3], "s": {"t": 1}}
    assert obj["l"] == [1, 2]
    with pytest.raises(ApiError, match="Invalid JSON Patch"):
        merge_patch(obj, [])


def test_merge_diff() -> None:
    """The difference is as small as a merge patch can be."""
    old = {"a": {"b": 1, "c": 2}, "l": [1], "n": 1}
    assert merge_diff(old, {"a": {"b": 1, "c": 3}, "l": [1], "n": True}) == {"a": {"c": 3}, "n": True}
    assert merge_diff(old, old) == {}


def test_lists_merge_by_key(schema: Schema) -> None:
    """A container is found by its name; a new one comes first, as upstream orders without being told."""
    pod = _pod({"name": "a", "image": "x", "args": ["1"]}, {"name": "b", "image": "y"})
    patch = _pod({"name": "c", "image": "z"}, {"name": "a", "args": ["2"]})
    result = strategic_merge(pod, patch, schema.view(POD))
    assert _names(result) == ["c", "a", "b"]
    assert result["spec"]["containers"][1] == {"name": "a", "image": "x", "args": ["2"]}
    assert _names(pod) == ["a", "b"]


def test_delete_and_replace_in_lists(schema: Schema) -> None:
    """`$patch: delete` takes an item out by its key, `$patch: replace` puts the patch's items in place of all."""
    pod, view = _pod({"name": "a"}, {"name": "b"}), schema.view(POD)
    assert _names(strategic_merge(pod, _pod({"name": "a", "$patch": "delete"}), view)) == ["b"]
    assert _names(strategic_merge(pod, _pod({"$patch": "replace"}, {"name": "c"}), view)) == ["c"]


def test_delete_and_replace_of_maps(schema: Schema) -> None:
    """`$patch` in a map empties it or takes the patch's map alone; null removes the field."""
    pod, view = _pod(securityContext={"runAsUser": 1, "fsGroup": 2}), schema.view(POD)

    def patched(value: Any) -> Any:
        return strategic_merge(pod, {"spec": {"securityContext": value}}, view)["spec"].get("securityContext")

    assert patched({"fsGroup": 3}) == {"runAsUser": 1, "fsGroup": 3}
    assert patched({"$patch": "replace", "fsGroup": 3}) == {"fsGroup": 3}
    assert patched({"$patch": "delete"}) == {}
    assert patched(None) is None


def test_primitive_sets(schema: Schema) -> None:
    """Finalizers merge as a set and are taken out by `$deleteFromPrimitiveList`; other lists are replaced."""
    pod, view = {"metadata": {"finalizers": ["a/1", "a/2"]}, "spec": {"hostAliases": []}}, schema.view(POD)
    added = strategic_merge(pod, {"metadata": {"finalizers": ["a/3", "a/1"]}}, view)
    assert sorted(added["metadata"]["finalizers"]) == ["a/1", "a/2", "a/3"]
    removed = strategic_merge(pod, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/1"]}}, view)
    assert removed["metadata"] == {"finalizers": ["a/2"]}
    args = strategic_merge(_pod({"name": "a", "args": ["1"]}), _pod({"name": "a", "args": ["2"]}), view)
    assert args["spec"]["containers"][0]["args"] == ["2"]


def test_order(schema: Schema) -> None:
    """`$setElementOrder` orders what it names; the server's own items keep their place among them."""
    pod, view = _pod({"name": "a"}, {"name": "mine"}, {"name": "b"}), schema.view(POD)
    order = [{"name": "b"}, {"name": "c"}, {"name": "a"}]
    patch = {"spec": {"$setElementOrder/containers": order, "containers": [{"name": "c", "image": "x"}]}}
    assert _names(strategic_merge(pod, patch, view)) == ["mine", "b", "c", "a"]
    moved = strategic_merge(pod, {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}, view)
    assert _names(moved) == ["mine", "b", "a"]
    finalizers = {"metadata": {"finalizers": ["a", "b"]}}
    ordered = strategic_merge(finalizers, {"metadata": {"$setElementOrder/finalizers": ["b", "a"]}}, view)
    assert ordered["metadata"]["finalizers"] == ["b", "a"]


def test_order_of_a_new_list(schema: Schema) -> None:
    """Where the server has no such list, the patch's items come in the order set, without directives."""
    patch = {
        "spec": {
            "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
            "containers": [{"name": "a", "$setElementOrder/env": []}, {"name": "b"}, {"name": "z", "$patch": "delete"}],
        }
    }
    assert strategic_merge({}, patch, schema.view(POD)) == {"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}


def test_retain_keys(schema: Schema) -> None:
    """`$retainKeys` clears the other members of a union, such as the old update strategy."""
    obj = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    view = schema.view(DEPLOYMENT)
    assert strategic_merge(obj, patch, view) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_merge_keys_need_not_be_unique(schema: Schema) -> None:
    """Two Service ports of one number: the first is patched, the other stays."""
    ports = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    patch = {"spec": {"ports": [{"port": 53, "name": "dns"}]}}
    result = strategic_merge({"spec": {"ports": ports}}, patch, schema.view(SERVICE))
    assert result["spec"]["ports"] == [{"port": 53, "protocol": "UDP", "name": "dns"}, {"port": 53, "protocol": "TCP"}]


def test_without_schema() -> None:
    """Where no schema speaks, maps merge and lists are replaced."""
    obj = {"a": {"b": 1}, "l": [{"name": "x"}]}
    assert strategic_merge(obj, {"a": {"c": 2}, "l": [{"name": "y"}]}, UNKNOWN) == {
        "a": {"b": 1, "c": 2},
        "l": [{"name": "y"}],
    }


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        ([], 400),
        ({"spec": {"containers": [{"image": "x"}]}}, 422),
        ({"spec": {"containers": [{"name": "a", "$patch": "frob"}]}}, 422),
        ({"spec": {"containers": ["a"]}}, 422),
        ({"spec": {"$patch": "frob"}}, 422),
        ({"spec": {"$retainKeys": "x"}}, 400),
        ({"spec": {"$retainKeys": ["x"], "hostname": "a"}}, 400),
        ({"spec": {"$setElementOrder/containers": {}}}, 400),
        ({"spec": {"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "c"}]}}, 400),
        ({"metadata": {"$deleteFromPrimitiveList/finalizers": "x"}}, 400),
    ],
    ids=str,
)
def test_bad_strategic_patches(schema: Schema, patch: Any, code: int) -> None:
    """A malformed directive is a BadRequest; one that does not fit is Invalid; neither is a server error."""
    pod = _pod({"name": "a"}, {"name": "b"})
    with pytest.raises(ApiError) as caught:
        strategic_merge(pod, patch, schema.view(POD))
    assert caught.value.code == code
