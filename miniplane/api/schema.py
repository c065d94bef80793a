"""What the definitions say of a kind's objects: types, fields, merge keys.

The definitions are compiled once into a graph of nodes (`nodes.py`), each kind on first use. `Schema.read` walks a
body along them; `Schema.view` answers what patches ask. Counterpart upstream: k8s.io/kube-openapi and the type
information in Go's struct tags.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakKeyDictionary

from miniplane.api.definitions import INT_OR_STRING, META, QUANTITY, Definitions
from miniplane.api.definitions import Schema as JsonSchema
from miniplane.api.kind import Kind, Object, OwnSchema
from miniplane.api.nodes import (
    ANY,
    OPEN,
    BooleanNode,
    BytesNode,
    Field,
    IntegerNode,
    IntOrStringNode,
    ListNode,
    MapNode,
    Mismatch,
    Node,
    NumberNode,
    ObjectNode,
    OrNode,
    QuantityNode,
    StringNode,
    TimeNode,
    Unknown,
)
from miniplane.errors import ApiError, bad_request

_SPECIAL: dict[str, Node] = {
    QUANTITY: QuantityNode("resource.Quantity"),
    INT_OR_STRING: IntOrStringNode("intstr.IntOrString"),
    f"{META}Time": TimeNode(micro=False),
    f"{META}MicroTime": TimeNode(micro=True),
}


_SCHEMA_PROPS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
_OR_SCHEMA = (f"{_SCHEMA_PROPS}OrArray", f"{_SCHEMA_PROPS}OrBool", f"{_SCHEMA_PROPS}OrStringArray")
"""Definitions that say nothing of what they hold: schemas, or something simpler."""


class Compiler:
    """Turns definitions into nodes, each definition once; recursion is a loop in the graph."""

    def __init__(self, definitions: Definitions) -> None:
        self._schemas = definitions.schemas
        self._nodes: dict[str, Node] = dict(_SPECIAL)

    def node(self, name: str) -> Node:
        """The node of a definition; one that is not there takes anything."""
        if name in self._nodes:
            return self._nodes[name]
        schema = self._schemas.get(name)
        if schema is None:
            return ANY
        if name in _OR_SCHEMA:
            self._nodes[name] = OrNode(self.node(_SCHEMA_PROPS))
            return self._nodes[name]
        if "properties" not in schema:
            node = self._compile(schema)
            self._nodes[name] = node
            return node
        result = ObjectNode(name)
        self._nodes[name] = result  # before its fields, which may lead back to it
        return self._filled(result, schema)

    def _filled(self, result: ObjectNode, schema: JsonSchema) -> ObjectNode:
        result.description = schema.get("description", "")
        result.map_type = schema.get("x-kubernetes-map-type", "")
        required = frozenset(schema.get("required") or ())
        for key, child in schema["properties"].items():
            result.fields[key] = self._field(key, child, required=key in required)
        return result

    def _field(self, name: str, schema: JsonSchema, *, required: bool) -> Field:
        return Field(
            name,
            self._compile(schema),
            description=schema.get("description", ""),
            merge_key=schema.get("x-kubernetes-patch-merge-key", ""),
            strategies=frozenset(filter(None, schema.get("x-kubernetes-patch-strategy", "").split(","))),
            list_type=schema.get("x-kubernetes-list-type", ""),
            list_keys=tuple(schema.get("x-kubernetes-list-map-keys") or ()),
            map_type=schema.get("x-kubernetes-map-type", ""),
            required=required,
        )

    def _compile(self, schema: JsonSchema) -> Node:
        target = schema if "$ref" in schema else next(iter(schema.get("allOf") or ()), {})
        if isinstance(ref := target.get("$ref"), str):
            return self.node(ref.rpartition("/")[2])
        match schema.get("type"):
            case "string":
                return BytesNode("[]uint8") if schema.get("format") == "byte" else StringNode()
            case "boolean":
                return BooleanNode()
            case "integer":
                return IntegerNode(32 if schema.get("format") == "int32" else 64)
            case "number":
                return NumberNode()
            case "array":
                return ListNode(self._compile(schema.get("items") or {}))
            case "object":
                if schema.get("properties"):
                    return self._filled(ObjectNode("custom.Object"), schema)
                values = schema.get("additionalProperties")
                return MapNode(self._compile(values)) if isinstance(values, dict) else OPEN
            case _:
                return ANY


@dataclass(frozen=True, slots=True)
class SchemaView:
    """A place in a schema, as patches ask it. Without a node it knows nothing: maps merge, lists are replaced."""

    node: Node | None = None
    field: Field | None = None

    def below(self, key: str) -> "SchemaView":
        """The place of a field or map value."""
        if isinstance(self.node, ObjectNode) and (known := self.node.fields.get(key)):
            return SchemaView(known.node, known)
        if isinstance(self.node, MapNode):
            return SchemaView(self.node.values)
        return UNKNOWN

    @property
    def items(self) -> "SchemaView":
        """The place of a list's items."""
        return SchemaView(self.node.items) if isinstance(self.node, ListNode) else UNKNOWN

    @property
    def is_known(self) -> bool:
        """Whether the schema says anything of this place."""
        return self.node is not None

    @property
    def merges(self) -> bool:
        """Whether a strategic patch merges the list here, by key or as a set; otherwise it replaces it."""
        return self.field is not None and "merge" in self.field.strategies

    @property
    def merge_key(self) -> str:
        """The field that tells the items of a merged list apart, empty for lists of scalars."""
        return self.field.merge_key if self.field is not None else ""


UNKNOWN: Final = SchemaView()
"""The place that no schema describes."""


@dataclass(slots=True)
class Schema:
    """The definitions as questions about kinds."""

    definitions: Definitions
    _compiler: Compiler = field(init=False, repr=False)
    _custom: WeakKeyDictionary[OwnSchema, Node] = field(init=False, repr=False, default_factory=WeakKeyDictionary)

    def __post_init__(self) -> None:
        self._compiler = Compiler(self.definitions)

    def node(self, kind: Kind) -> Node:
        """Where an object of the kind begins; a kind without definition takes anything."""
        if kind.own_schema is None:
            return self._compiler.node(kind.definition)
        node = self._custom.get(kind.own_schema)
        if node is None:
            schemas = {**self.definitions.schemas, **kind.schemas}
            node = Compiler(Definitions(self.definitions.version, schemas)).node(kind.definition)
            self._custom[kind.own_schema] = node
        return node

    def named(self, definition: str) -> Node:
        """Where an object of a definition begins, such as DeleteOptions."""
        return self._compiler.node(definition)

    def view(self, kind: Kind) -> SchemaView:
        """The kind's root, for strategic merge."""
        node = self.node(kind)
        return UNKNOWN if node is ANY else SchemaView(node)

    def read(self, obj: Object, kind: Kind, *, drop: bool = False) -> Sequence[str]:
        """Makes a decoded body canonical, in place; returns the paths of the fields that the kind does not have.

        Those fields stay, or go if `drop` is set (as upstream's built-in kinds do).

        Raises:
            ApiError: BadRequest for a value of the wrong type, as upstream's decoder words it.
        """
        unknown: list[Unknown] = []
        try:
            if kind.own_schema is not None:
                self.named(f"{META}ObjectMeta").read(obj["metadata"], (None, "metadata", kind.kind), unknown)
            else:
                self.node(kind).read(obj, None, unknown)
        except Mismatch as error:
            raise cannot_be_handled(kind, str(error)) from error
        if drop:
            for item in unknown:
                del item.holder[item.key]
        paths = [item.path for item in unknown]
        return paths if kind.own_schema is None else [*paths, *kind.own_schema.prune(obj)]

    def describe(self, kind: Kind, path: str = "") -> str:
        """The description of a field by its dotted path (lists and maps are passed through), empty where unknown."""
        node: Node | None = self.node(kind)
        text = node.description if isinstance(node, ObjectNode) else ""
        for step in filter(None, path.split(".")):
            while isinstance(node, ListNode | MapNode):
                node = node.items if isinstance(node, ListNode) else node.values
            found = node.fields.get(step) if isinstance(node, ObjectNode) else None
            if found is None:
                return ""
            node, text = found.node, found.description
        return text


TEXTS_LIMIT = 100
"""So many complaints about one body are enough."""


def strict_texts(unknown: Iterable[str], duplicates: Iterable[str]) -> list[str]:
    """What strict decoding has against a body: errors under Strict, warnings under Warn."""
    texts = [f'unknown field "{path}"' for path in unknown] + [f'duplicate field "{path}"' for path in duplicates]
    return texts[:TEXTS_LIMIT]


def strict_error(kind: Kind, texts: Iterable[str]) -> ApiError:
    """The BadRequest of strict field validation."""
    return cannot_be_handled(kind, f"strict decoding error: {', '.join(texts)}")


def cannot_be_handled(kind: Kind, why: str) -> ApiError:
    """The BadRequest of a body that is not what it says to be."""
    return bad_request(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}')
