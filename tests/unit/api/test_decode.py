"""Bodies become objects, within limits, and say what was written twice."""

import pytest

from miniplane.api import decode as module
from miniplane.api.decode import decode, decode_all, parse_json
from miniplane.errors import ApiError


def test_json() -> None:
    """An object is read with or without a content type, canonical or not."""
    for body in (b'{"a":{"b":[1,2.5,null,"x"]}}', b'\n{ "a" : {"b": [1, 2.5, null, "\\u0078"]} }\n'):
        for content_type in ("application/json", "application/json; charset=utf-8", ""):
            assert decode(body, content_type) == module.Decoded({"a": {"b": [1, 2.5, None, "x"]}})


def test_duplicates_have_paths() -> None:
    """A key given twice is named by its path, in JSON and in YAML; the last one counts."""
    body = b'{"a":1,"spec":{"list":[{"x":1,"x":2}],"y":{},"y":{}},"a":2}'
    result = decode(body)
    assert result.duplicate_fields == ("spec.list[0].x", "spec.y", "a")
    assert result.obj == {"a": 2, "spec": {"list": [{"x": 2}], "y": {}}}
    text = b"a: 1\nspec:\n  list:\n  - x: 1\n    x: 2\n  y: {}\n  y: {}\na: 2\n"
    assert decode(text, "application/yaml") == result


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b"", "json parse error"),
        (b'{"a":', "json parse error"),
        (b"[]", "cannot unmarshal array"),
        (b'"x"', "cannot unmarshal string"),
        (b"null", "cannot unmarshal null"),
        (b'{"a":NaN}', "json parse error"),
        (b'{"a":"\xff"}', "json parse error"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "nested deeper"),
        (b"[" * 100_000, "json parse error"),
    ],
)
def test_bad_json(body: bytes, part: str) -> None:
    """Anything else is a BadRequest that says why, however deep it nests."""
    with pytest.raises(ApiError) as caught:
        decode(body)
    assert caught.value.code == 400
    assert part in caught.value.message


def test_many_brackets_are_no_depth() -> None:
    """A wide object passes the limit on depth."""
    assert len(decode(b'{"a":[' + b"{}," * 1000 + b"{}]}").obj["a"]) == 1001


def test_unknown_media_type() -> None:
    """A body in an unknown form is refused by its type."""
    with pytest.raises(ApiError) as caught:
        decode(b"{}", "application/cbor")
    assert caught.value.code == 415


def test_yaml_is_jsons_data() -> None:
    """Dates, sexagesimals and versions stay text; numbers, booleans and nulls are JSON's; keys are text."""
    text = """
    date: 2026-01-02
    time: 2026-01-02T03:04:05Z
    ports: 80:80
    version: 1.2.3
    octal: 0644
    hex: 0x1F
    float: 1e3
    quoted: "true"
    on: yes
    none:
    80: eighty
    """
    assert decode(text.encode(), "application/yaml").obj == {
        "date": "2026-01-02",
        "time": "2026-01-02T03:04:05Z",
        "ports": "80:80",
        "version": "1.2.3",
        "octal": 420,
        "hex": 31,
        "float": 1000.0,
        "quoted": "true",
        "true": True,
        "none": None,
        "80": "eighty",
    }


def test_yaml_aliases_are_copies() -> None:
    """An alias gives an equal value of its own; a merge key gives way to what stands beside it."""
    obj = decode(b"a: &x {k: 1, l: 2}\nb: *x\nc:\n  <<: *x\n  k: 3\n", "application/yaml").obj
    assert obj == {"a": {"k": 1, "l": 2}, "b": {"k": 1, "l": 2}, "c": {"k": 3, "l": 2}}
    assert obj["a"] is not obj["b"]


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, *a]",
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "[" * 300_000,
        "- " * 300_000,
        "a: &a " + "[" * 100 + "]" * 100 + "\nb: " + "[" * 100 + "*a" + "]" * 100,
        "a: [",
        "a: !!python/object:os.system {}\nb: [",
        "? [a]\n: b",
        "a: 1\n---\nb: 2",
        "- a",
    ],
    ids=["cycle", "unfolding", "flow", "block", "depth by alias", "broken", "python", "key", "two", "list"],
)
def test_bad_yaml(text: str) -> None:
    """Cycles, bombs, broken text, several documents and non-objects are BadRequests."""
    with pytest.raises(ApiError) as caught:
        decode(text.encode(), "application/yaml")
    assert caught.value.code == 400


def test_manifest_of_several_documents() -> None:
    """Each document that is not empty gives one object, in order."""
    assert [item.obj for item in decode_all("a: 1\n---\n# nothing\n---\nb: 2\n")] == [{"a": 1}, {"b": 2}]


def test_any_json_value() -> None:
    """A JSON patch is a list."""
    assert parse_json(b'[{"op":"test"}]') == [{"op": "test"}]
