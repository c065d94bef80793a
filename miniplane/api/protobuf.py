"""Protobuf bodies: kubectl and Go clients write them; answers stay JSON.

Field numbers come from `protobuf_table`, types from the compiled schema. Go's encoder sends every field that is no
pointer, zero or not: such zeros are dropped, as its JSON encoder does. Fields with unknown numbers are ignored, as in
any protobuf decoder; a message that the table does not have, if it says anything, is refused rather than lost.
Counterpart upstream: k8s.io/apimachinery, pkg/runtime/serializer/protobuf.
"""

import base64
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from miniplane.api.decode import DEPTH_LIMIT, Decoded, media_type, parse_json
from miniplane.api.decode import decode as decode_text
from miniplane.api.kind import Object
from miniplane.api.meta import micro_timestamp, timestamp
from miniplane.api.nodes import (
    BooleanNode,
    BytesNode,
    IntegerNode,
    IntOrStringNode,
    ListNode,
    MapNode,
    Node,
    ObjectNode,
    OpenNode,
    QuantityNode,
    StringNode,
    TimeNode,
)
from miniplane.api.protobuf_table import MESSAGES, WireField
from miniplane.api.schema import Schema
from miniplane.errors import ApiError, bad_request, unsupported_media_type

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"
"""What a body begins with."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_ABSENT: Final = object()


class _Malformed(Exception):
    """The bytes are no protobuf."""


def decode(body: bytes, schema: Schema) -> Object:
    """The object in a protobuf body, with its apiVersion and kind.

    Raises:
        ApiError: BadRequest for broken bytes, UnsupportedMediaType for a kind that has no field numbers here.
    """
    try:
        return _decode(body, schema)
    except (_Malformed, UnicodeDecodeError, OverflowError) as error:
        raise bad_request(f"provided data does not appear to be a protobuf message: {error}") from error


def read(body: bytes, content_type: str, schema: Schema) -> Decoded:
    """The object in a body of any form that is understood: protobuf, and what `decode.decode` takes.

    Raises:
        ApiError: BadRequest, UnsupportedMediaType.
    """
    if media_type(content_type) == MEDIA_TYPE:
        return Decoded(decode(body, schema))
    return decode_text(body, content_type)


def _decode(body: bytes, schema: Schema) -> Object:
    if not body.startswith(MAGIC):
        raise _Malformed(f"it does not begin with {MAGIC.hex()}")
    envelope = {number: value for number, _, value in _fields(memoryview(body)[len(MAGIC) :])}
    type_meta = {number: _text(value) for number, _, value in _fields(_raw(envelope.get(1, b"")))}
    api_version, kind = type_meta.get(1, ""), type_meta.get(2, "")
    group, _, version = api_version.rpartition("/")
    name = schema.definitions.by_gvk(group, version, kind)
    node = schema.named(name) if name else None
    if not isinstance(node, ObjectNode) or _message(node) not in MESSAGES:
        raise unsupported_media_type(f"{MEDIA_TYPE} of {api_version} {kind}", ("application/json", "application/yaml"))
    obj = _object(_raw(envelope.get(2, b"")), node, 0)
    return {"apiVersion": api_version, "kind": kind, **obj}


def _message(node: ObjectNode) -> str:
    """The key of a definition's message: `core.v1.Pod`."""
    return ".".join(node.definition.split(".")[-3:])


def _unknown_message(name: str) -> ApiError:
    return unsupported_media_type(f"{MEDIA_TYPE} with {name}", ("application/json", "application/yaml"))


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if position >= len(data) or shift > 63:  # noqa: PLR2004  ten groups of seven bits hold 64
            raise _Malformed("a number does not end")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  the continuation bit
            return result, position
        shift += 7


def _fields(data: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """`(number, wire type, value)` of each field: numbers as they are, the rest as bytes."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, position = _varint(data, position)
            yield number, wire, value
            continue
        if wire == _BYTES:
            size, position = _varint(data, position)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise _Malformed(f"wire type {wire}")
        if position + size > len(data):
            raise _Malformed("a field is longer than its message")
        yield number, wire, data[position : position + size]
        position += size


def _raw(value: Any) -> memoryview:
    if isinstance(value, int):
        raise _Malformed("a number where bytes are wanted")
    return memoryview(value)


def _text(value: Any) -> str:
    return bytes(_raw(value)).decode()


def _signed(value: Any) -> int:
    if not isinstance(value, int):
        raise _Malformed("bytes where a number is wanted")
    low = value % 2**64
    return low - 2**64 if low >= 2**63 else low


def _object(data: memoryview, node: ObjectNode, depth: int) -> Object:
    name = _message(node)
    message = MESSAGES.get(name)
    if message is None:
        if len(data):
            raise _unknown_message(name)
        return {}
    result: Object = {}
    _read(data, node, message, result, depth)
    return result


def _read(data: memoryview, node: ObjectNode, message: Mapping[int, WireField], result: Object, depth: int) -> None:
    """Reads a message's fields into `result`; those of an inlined message go there too."""
    if depth > DEPTH_LIMIT:
        raise _Malformed(f"nested deeper than {DEPTH_LIMIT}")
    for number, _, value in _fields(data):
        wire = message.get(number)
        if wire is None:
            continue
        if wire.inline:
            _read(_raw(value), node, MESSAGES[wire.inline], result, depth + 1)
            continue
        field = node.fields.get(wire.name)
        if field is None:
            continue
        if isinstance(field.node, ListNode):
            item = _value(value, field.node.items, depth + 1)
            result.setdefault(wire.name, []).append({} if item is _ABSENT else item)
        elif isinstance(field.node, MapNode):
            key, item = _entry(_raw(value), field.node.values, depth + 1)
            result.setdefault(wire.name, {})[key] = item
        else:
            item = _value(value, field.node, depth + 1)
            is_zero = item is _ABSENT or not item or _is_zero(item, field.node)
            if item is not _ABSENT and (wire.pointer or field.required or not is_zero):
                result[wire.name] = item


def _is_zero(item: Any, node: Node) -> bool:
    return isinstance(node, QuantityNode) and item == "0"


def _entry(data: memoryview, values: Node, depth: int) -> tuple[str, Any]:
    """A map's key and value; either may be missing and is then empty."""
    parts = {number: value for number, _, value in _fields(data)}
    if isinstance(values, ListNode):  # a list has a message of its own around it
        fields = _fields(_raw(parts.get(2, b"")))
        return _text(parts.get(1, b"")), [
            _value(part, values.items, depth) for number, _, part in fields if number == 1
        ]
    item = _value(parts[2], values, depth) if 2 in parts else values.zero  # noqa: PLR2004  key 1, value 2
    return _text(parts.get(1, b"")), item


def _value(value: Any, node: Node, depth: int) -> Any:
    match node:
        case StringNode():
            return _text(value)
        case BooleanNode():
            return bool(_signed(value))
        case IntegerNode():
            return _signed(value)
        case BytesNode():
            return base64.b64encode(_raw(value)).decode()
        case QuantityNode():
            return next((_text(part) for number, _, part in _fields(_raw(value)) if number == 1), "0")
        case IntOrStringNode():
            return _int_or_string(_raw(value))
        case TimeNode():
            return _time(_raw(value), node)
        case OpenNode():
            raw = next((bytes(_raw(part)) for number, _, part in _fields(_raw(value)) if number == 1), b"")
            return parse_json(raw) if raw else _ABSENT
        case ObjectNode():
            return _object(_raw(value), node, depth)
        case _:
            raise _Malformed(f"no wire form for {node.go_type}")


def _int_or_string(data: memoryview) -> int | str:
    parts = {number: value for number, _, value in _fields(data)}
    return _text(parts.get(3, b"")) if _signed(parts.get(1, 0)) else _signed(parts.get(2, 0))


def _time(data: memoryview, node: TimeNode) -> Any:
    if not len(data):
        return _ABSENT
    parts = {number: _signed(value) for number, _, value in _fields(data)}
    moment = _EPOCH + timedelta(seconds=parts.get(1, 0), microseconds=parts.get(2, 0) // 1000)
    return micro_timestamp(moment) if node.micro else timestamp(moment)
