"""Laws of decoding: whatever comes, an object or a refusal."""

import json

import orjson
import yaml
from hypothesis import given
from hypothesis import strategies as st

from miniplane.api import definitions, protobuf
from miniplane.api.decode import decode
from miniplane.api.kind import Object
from miniplane.api.schema import Schema
from miniplane.errors import ApiError
from miniplane.kinds import POD

SCHEMA = Schema(definitions.load([POD]))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=4)
FIELD = st.one_of(
    st.tuples(st.integers(1, 40), st.integers(0, 2**64 - 1)),
    st.tuples(
        st.integers(1, 40),
        st.recursive(
            st.binary(max_size=8), lambda inner: st.lists(st.tuples(st.integers(1, 40), inner)), max_leaves=12
        ),
    ),
)


@given(OBJECTS)
def test_json_in_any_spelling(obj: Object) -> None:
    """Compact, indented or escaped, the same object comes out, without duplicates."""
    for body in (orjson.dumps(obj), json.dumps(obj, indent=1).encode()):
        result = decode(body)
        assert result.obj == obj
        assert result.duplicate_fields == ()


@given(OBJECTS)
def test_yaml_says_what_json_says(obj: Object) -> None:
    """What PyYAML dumps, all scalars quoted and tagged, is read back; for text without YAML's forbidden characters."""
    obj = orjson.loads(
        orjson.dumps(obj).decode().encode("ascii", "ignore").replace(b"\\u007f", b"").replace(b"\x7f", b"")
    )
    text = yaml.safe_dump(obj, default_style='"')
    assert decode(text.encode(), "application/yaml").obj == obj


@given(st.binary() | st.text(alphabet="{}[]:,-&*a!?|> \n\"'").map(str.encode))
def test_any_bytes_are_an_object_or_refused(body: bytes) -> None:
    """No input, however broken, is an error of the server's own."""
    for content_type in ("application/json", "application/yaml"):
        try:
            assert isinstance(decode(body, content_type).obj, dict)
        except ApiError as error:
            assert error.code == 400  # noqa: PT017  both outcomes are right


def _varint(value: int) -> bytes:
    head = b"" if value < 128 else bytes([value & 127 | 128])
    return head + _varint(value >> 7) if head else bytes([value])


def _encode(number: int, value: object) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value if isinstance(value, bytes) else b"".join(_encode(*item) for item in value)  # type: ignore[attr-defined]  # a list of fields
    return _varint(number << 3 | 2) + _varint(len(data)) + data


@given(st.lists(FIELD, max_size=5), st.binary(max_size=3))
def test_any_protobuf_is_an_object_or_refused(fields: list[tuple[int, object]], tail: bytes) -> None:
    """Fields of the wrong wire type, cut short or nonsensical are refused, by the decoder or by the schema."""
    raw = b"".join(_encode(*item) for item in fields) + tail
    body = protobuf.MAGIC + _encode(1, [(1, b"v1"), (2, b"Pod")]) + _encode(2, raw)
    try:
        SCHEMA.read(protobuf.decode(body, SCHEMA), POD)
    except ApiError as error:
        assert error.code in (400, 415)  # noqa: PT017  both outcomes are right
