"""OpenAPI v3: one document per group and version, from the registry and upstream's schemas.

What kubectl reads from it: schemas by group, version and kind (explain, strategic merge), that writes take
`fieldValidation` (else it would ask for OpenAPI v2 and validate by itself), and that PATCH takes a strategic merge.
Counterpart upstream: k8s.io/kube-openapi and k8s.io/apiserver, pkg/endpoints/installer.go.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from miniplane.api.definitions import GVK, META, REF, Definitions, Schema
from miniplane.api.kind import Kind, Object, Registry, Subresource
from miniplane.api.patch import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH

_BODIES = ("application/json", "application/yaml")
_LIST_BODIES = ("application/json", "application/json;stream=watch", "application/yaml")

_QUERY: Mapping[str, tuple[str, str]] = {
    "allowWatchBookmarks": ("boolean", "Lets a watch send BOOKMARK events, which carry a resourceVersion alone."),
    "continue": ("string", "The token of the list's next page, as the previous page gave it."),
    "dryRun": ("string", "`All`: do everything but store the result."),
    "fieldManager": ("string", "Who is writing, for the record of field ownership."),
    "fieldSelector": ("string", "Selects objects by their fields, such as `metadata.name=a`."),
    "fieldValidation": ("string", "What to do about unknown and duplicate fields: Ignore, Warn (default) or Strict."),
    "force": ("boolean", "Takes over fields that other managers own; for apply patches only."),
    "gracePeriodSeconds": ("integer", "How many seconds the object may take to go; 0 is at once."),
    "labelSelector": ("string", "Selects objects by their labels, such as `app=web,tier in (a,b)`."),
    "limit": ("integer", "The greatest number of items on a page."),
    "pretty": ("string", "`true` indents the answer."),
    "propagationPolicy": ("string", "What becomes of dependents: Background, Foreground or Orphan."),
    "resourceVersion": ("string", "The revision to read at, or to watch from."),
    "resourceVersionMatch": ("string", "How resourceVersion is meant: Exact or NotOlderThan."),
    "sendInitialEvents": ("boolean", "Lets a watch begin with an ADDED event for each object that is there."),
    "timeoutSeconds": ("integer", "How long the request may take."),
    "watch": ("boolean", "Answers a stream of changes instead of a list."),
}
_LIST_QUERY = (
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
)
_WRITE_QUERY = ("dryRun", "fieldManager", "fieldValidation")
_DELETE_QUERY = ("dryRun", "gracePeriodSeconds", "propagationPolicy")

_VERBS = {
    # verb: (HTTP method, x-kubernetes-action, whether the path names an object)
    "list": ("get", "list", False),
    "create": ("post", "post", False),
    "deletecollection": ("delete", "deletecollection", False),
    "get": ("get", "get", True),
    "update": ("put", "put", True),
    "patch": ("patch", "patch", True),
    "delete": ("delete", "delete", True),
}
_WORDS = {"update": "replace", "get": "read", "deletecollection": "deleteCollection"}


def index(registry: Registry, hashes: Mapping[tuple[str, str], str]) -> Object:
    """`/openapi/v3`: where the documents are. `hashes` by group and version, so that clients may keep a document."""
    paths = {}
    for group, version in registry.group_versions():
        path = _path(group, version)
        paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={hashes[group, version]}"}
    return {"paths": paths}


def document(registry: Registry, group: str, version: str, definitions: Definitions) -> Object:
    """The document of one group and version: its paths, and every schema that they reach."""
    kinds = registry.group_versions()[group, version]
    paths: Object = {}
    roots: set[str] = {f"{META}{name}" for name in ("Status", "DeleteOptions", "Patch")}
    own: dict[str, Schema] = {}
    for kind in kinds:
        described = _Described(kind, kind.definition, f"{kind.definition}List", is_upstream=True)
        if kind.own_schema is not None:
            described = replace(described, is_upstream=False)
            own |= kind.schemas
            roots |= {f"{META}ObjectMeta", f"{META}ListMeta"}
        elif kind.definition not in definitions.schemas:
            described = _own(kind)
            own |= _own_schemas(described)
        roots |= {described.definition, described.list_definition}
        _add_paths(paths, described)
        for sub in kind.subresources:
            body = _sub_definition(described, sub, definitions)
            roots |= {body} if body else set()
            _add_sub_paths(paths, described, sub, body)
    schemas = definitions.closure(roots) | own
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": f"v{definitions.version}.0"},
        "paths": paths,
        "components": {"schemas": {name: _served(schemas[name], group, version) for name in sorted(schemas)}},
    }


def _path(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


@dataclass(frozen=True, slots=True)
class _Described:
    """A kind with the names of its schemas; upstream's take strategic merge patches."""

    kind: Kind
    definition: str
    list_definition: str
    is_upstream: bool


def _own(kind: Kind) -> _Described:
    reverse = ".".join(reversed(kind.group.split(".")))
    name = f"{reverse}.{kind.version}.{kind.kind}"
    return _Described(kind, name, f"{name}List", is_upstream=False)


def _own_schemas(described: _Described) -> dict[str, Schema]:
    """Schemas of a kind that upstream does not have: typed metadata, the rest open."""
    kind, text = described.kind, {"type": "string"}

    def schema(name: str, **properties: Schema) -> Schema:
        return {
            "type": "object",
            "properties": {"apiVersion": text, "kind": text, **properties},
            "x-kubernetes-preserve-unknown-fields": True,
            GVK: [{"group": kind.group, "kind": name, "version": kind.version}],
        }

    items = {"type": "array", "items": {"$ref": REF + described.definition}}
    return {
        described.definition: schema(kind.kind, metadata={"$ref": f"{REF}{META}ObjectMeta"}),
        described.list_definition: schema(f"{kind.kind}List", metadata={"$ref": f"{REF}{META}ListMeta"}, items=items),
    }


def _served(schema: Schema, group: str, version: str) -> Schema:
    """A schema without the kinds of other groups: DeleteOptions claims sixty of them."""
    if len(schema.get(GVK, ())) <= 1:
        return schema
    mine = [item for item in schema[GVK] if (item["group"], item["version"]) in ((group, version), ("", "v1"))]
    return schema | {GVK: mine}


def _camel(kind: Kind) -> str:
    """The group and version in operation ids: `CoreV1`, `NetworkingV1`."""
    group = (kind.group or "core").split(".")[0]
    return group.capitalize() + kind.version.capitalize()


def _parameter(name: str) -> Object:
    kind, description = _QUERY[name]
    return {
        "name": name,
        "in": "query",
        "description": description,
        "schema": {"type": kind, "uniqueItems": True},
    }


def _path_parameters(kind: Kind, *, named: bool, namespaced: bool) -> list[Object]:
    parameters = []
    if named:
        parameters.append(("name", f"name of the {kind.kind}"))
    if namespaced:
        parameters.append(("namespace", "namespace of the object"))
    text = {"type": "string", "uniqueItems": True}
    described: list[Object] = [
        {"name": name, "in": "path", "description": words, "required": True, "schema": text}
        for name, words in parameters
    ]
    return [*described, _parameter("pretty")]


def _content(definition: str, media: Iterable[str]) -> Object:
    return {word: {"schema": {"$ref": REF + definition} if definition else {"type": "object"}} for word in media}


def _operation(described: _Described, verb: str, body: str, *, suffix: str = "") -> Object:
    """One operation on the kind, or (`suffix`) on a subresource whose body is another definition."""
    kind = described.kind
    _, action, _ = _VERBS[verb]
    words = _WORDS.get(verb, verb)
    scope = "Namespaced" if kind.namespaced else ""
    operation: Object = {
        "tags": [f"{(kind.group or 'core').split('.')[0]}_{kind.version}"],
        "description": f"{words} {kind.kind}{f' ({suffix})' if suffix else ''}",
        "operationId": f"{words}{_camel(kind)}{scope}{kind.kind}{suffix.capitalize()}",
        "parameters": [_parameter(name) for name in _query(verb)],
        "responses": _responses(described, verb, body),
        "x-kubernetes-action": action,
        GVK: {"group": kind.group, "kind": kind.kind, "version": kind.version},
    }
    if request := _request(described, verb, body):
        operation["requestBody"] = request
    return operation


def _query(verb: str) -> tuple[str, ...]:
    match verb:
        case "list":
            return _LIST_QUERY
        case "create" | "update":
            return _WRITE_QUERY
        case "patch":
            return (*_WRITE_QUERY, "force")
        case "delete":
            return _DELETE_QUERY
        case "deletecollection":
            return (*_DELETE_QUERY, *(name for name in _LIST_QUERY if name not in ("watch", "allowWatchBookmarks")))
        case _:
            return ()


def _request(described: _Described, verb: str, body: str) -> Object | None:
    if verb in ("create", "update"):
        return {"content": _content(body, ("*/*",)), "required": True}
    if verb == "patch":
        media = [APPLY_PATCH, JSON_PATCH, MERGE_PATCH]
        if described.is_upstream:
            media.append(STRATEGIC_PATCH)
        return {"content": _content(f"{META}Patch", media), "required": True}
    if verb in ("delete", "deletecollection"):
        return {"content": _content(f"{META}DeleteOptions", ("*/*",))}
    return None


def _responses(described: _Described, verb: str, body: str) -> Object:
    if verb == "list":
        return {"200": {"description": "OK", "content": _content(described.list_definition, _LIST_BODIES)}}
    if verb in ("delete", "deletecollection"):
        body = f"{META}Status"
    answer = {"content": _content(body, _BODIES)}
    codes = {
        "create": ("200", "201", "202"),
        "update": ("200", "201"),
        "patch": ("200", "201"),
        "delete": ("200", "202"),
    }
    words = {"200": "OK", "201": "Created", "202": "Accepted"}
    answers: Object = {code: {"description": words[code], **answer} for code in codes.get(verb, ("200",))}
    return answers | {"401": {"description": "Unauthorized"}}


def _add_paths(paths: Object, described: _Described) -> None:
    kind = described.kind
    namespace = "{namespace}" if kind.namespaced else ""
    for named, path in ((False, kind.path(namespace)), (True, kind.path(namespace, "{name}"))):
        operations = {
            method: _operation(described, verb, described.definition)
            for verb, (method, _, is_named) in _VERBS.items()
            if verb in kind.verbs and is_named is named
        }
        if operations:
            parameters = _path_parameters(kind, named=named, namespaced=kind.namespaced)
            paths[path] = {**operations, "parameters": parameters}
    if kind.namespaced and "list" in kind.verbs:
        everywhere = _operation(described, "list", described.definition)
        everywhere["operationId"] = f"list{_camel(kind)}{kind.kind}ForAllNamespaces"
        paths[kind.path()] = {"get": everywhere, "parameters": [_parameter("pretty")]}


def _sub_definition(described: _Described, sub: Subresource, definitions: Definitions) -> str:
    """The schema of a subresource's body, nothing where it is none (logs, streams)."""
    if sub.group_version_kind is not None:
        return definitions.by_gvk(*sub.group_version_kind) or ""
    return "" if sub.verbs == ("get",) else described.definition


def _add_sub_paths(paths: Object, described: _Described, sub: Subresource, body: str) -> None:
    kind = described.kind
    operations: dict[str, Any] = {}
    for verb in sub.verbs:
        method = _VERBS[verb][0]
        operation = _operation(described, verb, body, suffix=sub.name)
        if sub.group_version_kind is not None:
            group, version, name = sub.group_version_kind
            operation[GVK] = {"group": group, "kind": name, "version": version}
        operations[method] = operation
    path = kind.path("{namespace}" if kind.namespaced else "", "{name}", sub.name)
    paths[path] = {**operations, "parameters": _path_parameters(kind, named=True, namespaced=kind.namespaced)}
