"""Protobuf bodies are read by field number, with the meaning that Go's encoder gives them."""

from typing import Any

import orjson
import pytest

from miniplane.api import protobuf
from miniplane.api.definitions import Definitions
from miniplane.api.nodes import ListNode, MapNode, Node, ObjectNode
from miniplane.api.protobuf_table import MESSAGES
from miniplane.api.schema import Schema
from miniplane.errors import ApiError
from miniplane.kinds import KINDS


def _varint(value: int) -> bytes:
    value %= 2**64
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _message(*fields: tuple[int, int | str | bytes]) -> bytes:
    return b"".join(_field(number, value) for number, value in fields)


def _body(api_version: str, kind: str, *fields: tuple[int, int | str | bytes]) -> bytes:
    meta = _message((1, api_version), (2, kind))
    return protobuf.MAGIC + _message((1, meta), (2, _message(*fields)), (3, ""), (4, ""))


METADATA = _message((1, "a"), (2, ""), (7, 0), (8, b""), (11, _message((1, "k"), (2, "v"))))


def test_scalars_maps_and_bytes(schema: Schema) -> None:
    """Zeros that Go always sends are dropped; maps and bytes become JSON's."""
    body = _body("v1", "Secret", (1, METADATA), (2, _message((1, "x"), (2, b"\x00\xff"))), (3, ""), (5, 0))
    assert protobuf.decode(body, schema) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "a", "labels": {"k": "v"}},
        "data": {"x": "AP8="},
        "immutable": False,
    }


def test_pointers_keep_their_zero(schema: Schema) -> None:
    """`replicas: 0` is meant; an empty selector in a policy's peer selects everything and must not be lost."""
    deployment = _body("apps/v1", "Deployment", (2, _message((1, 0), (5, 0))))
    assert protobuf.decode(deployment, schema)["spec"] == {"replicas": 0}
    peer = _message((1, b""))
    policy = _body("networking.k8s.io/v1", "NetworkPolicy", (2, _message((1, b""), (2, _message((2, peer))))))
    assert protobuf.decode(policy, schema)["spec"] == {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}


def test_special_forms(schema: Schema) -> None:
    """Quantities, int-or-strings, times, negative numbers, raw JSON and inlined messages."""
    named = _message((1, "http"), (3, 80), (4, _message((1, 1), (2, 0), (3, "web"))))
    numbered = _message((3, 81), (4, _message((1, 0), (2, 8080), (3, ""))))
    service = protobuf.decode(_body("v1", "Service", (2, _message((1, named), (1, numbered)))), schema)
    assert service["spec"]["ports"] == [
        {"name": "http", "port": 80, "targetPort": "web"},
        {"port": 81, "targetPort": 8080},
    ]
    limits = _message((1, _message((1, "cpu"), (2, _message((1, "500m"))))))
    probe = _message((1, _message((2, _message((1, "/ok"), (2, _message((1, 0), (2, 80))))))), (2, 5))
    container = _message((1, "c"), (8, limits), (10, probe))
    volume = _message((1, "v"), (2, _message((2, _message((1, ""))))))
    pod = protobuf.decode(_body("v1", "Pod", (2, _message((1, volume), (2, container), (25, -1)))), schema)
    assert pod["spec"] == {
        "volumes": [{"name": "v", "emptyDir": {}}],
        "containers": [
            {
                "name": "c",
                "resources": {"limits": {"cpu": "500m"}},
                "livenessProbe": {"httpGet": {"path": "/ok", "port": 80}, "initialDelaySeconds": 5},
            }
        ],
        "priority": -1,
    }
    times = _message((3, _message((1, 1), (2, 5000))), (4, b""))
    entry = _message((1, "me"), (4, _message((1, 86400))), (7, _message((1, b'{"f:a":{}}'))))
    lease = protobuf.decode(_body("coordination.k8s.io/v1", "Lease", (1, _message((17, entry))), (2, times)), schema)
    assert lease["spec"] == {"acquireTime": "1970-01-01T00:00:01.000005Z"}
    (managed,) = lease["metadata"]["managedFields"]
    assert managed == {"manager": "me", "time": "1970-01-02T00:00:00Z", "fieldsV1": {"f:a": {}}}


def test_delete_options_of_any_group(schema: Schema) -> None:
    """DeleteOptions come under the group of what is deleted."""
    body = _body("apps/v1", "DeleteOptions", (1, 0), (4, "Foreground"), (5, "All"))
    assert protobuf.decode(body, schema) == {
        "apiVersion": "apps/v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Foreground",
        "dryRun": ["All"],
    }


def test_bodies_of_any_form(schema: Schema) -> None:
    """The content type decides which decoder reads a body."""
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    body = _body("v1", "ConfigMap", (1, _message((1, "a"))))
    assert protobuf.read(body, "application/vnd.kubernetes.protobuf", schema).obj == obj
    assert protobuf.read(orjson.dumps(obj), "", schema).obj == obj


def test_unknown_numbers_are_ignored(schema: Schema) -> None:
    """A newer client's field is skipped, whatever its wire type."""
    extra = _varint(99 << 3 | 1) + bytes(8) + _varint(98 << 3 | 5) + bytes(4)
    body = _body("v1", "ConfigMap", (1, _message((1, "a")) + extra), (97, 1))
    assert protobuf.decode(body, schema)["metadata"] == {"name": "a"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 400),
        (b"{}", 400),
        (protobuf.MAGIC, 415),
        (protobuf.MAGIC + b"\xff", 400),
        (protobuf.MAGIC + b"\x0a\x7f", 400),
        (protobuf.MAGIC + b"\x0b", 400),
        (_body("v1", "ConfigMap", (1, 5)), 400),
        (_body("v1", "ConfigMap", (1, _message((1, b"\xff")))), 400),
        (_body("v1", "ConfigMap", (1, _message((8, _message((1, 2**62)))))), 400),
        (_body("v1", "Nothing"), 415),
        (_body("v1", "PersistentVolume", (2, _message((2, _message((4, _message((1, "x")))))))), 415),
    ],
)
def test_bad_bodies(schema: Schema, body: bytes, code: int) -> None:
    """Broken bytes are a BadRequest; a kind, or a filled message, without numbers here is an unsupported type."""
    with pytest.raises(ApiError) as caught:
        protobuf.decode(body, schema)
    assert caught.value.code == code


def _reach(node: Node, seen: dict[str, ObjectNode]) -> None:
    while isinstance(node, ListNode | MapNode):
        node = node.items if isinstance(node, ListNode) else node.values
    if isinstance(node, ObjectNode) and node.definition not in seen:
        seen[node.definition] = node
        for field in node.fields.values():
            _reach(field.node, seen)


def _names(message: Any) -> set[str]:
    """The fields that JSON shows of a message, those of inlined ones among them."""
    names: set[str] = set()
    for field in message.values():
        names |= _names(MESSAGES[field.inline]) if field.inline else {field.name}
    return names


def test_the_table_agrees_with_the_schema(definitions: Definitions, schema: Schema) -> None:
    """Every field of the table is a field of upstream's schema, and the messages it has are complete.

    Pods and PersistentVolumes may use sources of storage that the table leaves out; such bodies are refused.
    """
    seen: dict[str, ObjectNode] = {}
    for kind in KINDS:
        _reach(schema.node(kind), seen)
    for definition in ("io.k8s.api.autoscaling.v1.Scale", "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"):
        _reach(schema.named(definition), seen)
    checked = 0
    for definition, node in seen.items():
        name = ".".join(definition.split(".")[-3:])
        message: Any = MESSAGES.get(name)
        if message is None or name == "core.v1.Volume":
            continue
        checked += 1
        known = _names(message)
        gone = {"deprecatedTopology"} if name == "discovery.v1.Endpoint" else set()
        assert known - gone <= set(node.fields), name
        assert set(node.fields) - known - {"apiVersion", "kind"} <= gone, name
    assert checked > 100
