"""The kinds that a CustomResourceDefinition describes: one for each version that is served.

All versions of a CRD are one resource in the store, in the form of the version that is marked for it; with the
conversion `None` they differ in `apiVersion` alone. What is read is pruned and defaulted again wherever it may have
been written under another schema. Counterpart upstream: k8s.io/apiextensions-apiserver, pkg/apiserver.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from miniplane.api.custom.columns import columns_of
from miniplane.api.custom.judging import judge
from miniplane.api.custom.openapi import definition_name, schemas_of
from miniplane.api.custom.rules import MISSING
from miniplane.api.custom.structural import Node, compile_schema, default, open_node, prune
from miniplane.api.kind import SCALE, STATUS, Face, Kind, Object, ScalePaths, Scope, Strategy, Subresource
from miniplane.api.meta import clone
from miniplane.api.validation import FieldError


class CustomSchema:
    """The schema of one version."""

    def __init__(self, schema: Mapping[str, Any] | None) -> None:
        self.node: Node = compile_schema(schema, is_root=True) if schema else open_node()

    def prune(self, obj: Object) -> Sequence[str]:
        """Drop the fields that the kind does not have, in place; their paths."""
        return prune(self.node, obj)

    def default(self, obj: Object) -> None:
        """Fill in defaults, in place; metadata is not the schema's."""
        default(self.node, obj)

    def validate(self, new: Object, old: Object | None) -> Sequence[FieldError]:
        """Every error of an object."""
        return judge(self.node, new, MISSING if old is None else old)

    def cleaned(self, obj: Object) -> Object:
        """A copy as this schema has it."""
        copy: Object = clone(obj)
        self.prune(copy)
        self.default(copy)
        return copy


def kinds_of(crd: Object) -> list[Kind]:
    """The kinds of the served versions of an accepted CRD, the newest version first as upstream ranks them."""
    spec = crd["spec"]
    schemas = {version["name"]: CustomSchema(_schema(version)) for version in spec["versions"]}
    storage = next(version["name"] for version in spec["versions"] if version.get("storage"))
    is_first = (crd["metadata"].get("generation") or 1) == 1
    kinds = []
    for version in sorted(spec["versions"], key=lambda item: rank(item["name"]), reverse=True):
        if version.get("served"):
            plain = is_first and version["name"] == storage
            kinds.append(_kind(crd, version, schemas, storage if not plain else ""))
    return kinds


def rank(version: str) -> tuple[int, int, int, str]:
    """Upstream's order of versions: v2, v1, v1beta1, v1alpha1, others by name backwards."""
    head, word, minor = "", "", "0"
    if version.startswith("v"):
        digits = version[1:]
        head = digits[: len(digits) - len(digits.lstrip("0123456789"))]
        rest = digits[len(head) :]
        word = rest.rstrip("0123456789")
        minor = rest[len(word) :] or "0"
    level = {"": 3, "beta": 2, "alpha": 1}.get(word, 0)
    if not head or not level:
        return (0, 0, 0, "".join(chr(0x10FFFF - ord(letter)) for letter in version))
    return (level, int(head), int(minor), "")


def _schema(version: Object) -> Mapping[str, Any] | None:
    return (version.get("schema") or {}).get("openAPIV3Schema")


def _kind(crd: Object, version: Object, schemas: Mapping[str, CustomSchema], storage: str) -> Kind:
    """The kind of one version; `storage` is the version that is stored, empty where nothing is to be translated."""
    own = _version_kind(crd, version, schemas[version["name"]])
    if not storage:
        return own
    stored = next(item for item in crd["spec"]["versions"] if item["name"] == storage)
    target = _version_kind(crd, {**version, "name": storage, "served": True}, schemas[version["name"]])
    api_versions = own.api_version, f"{own.group}/{stored['name']}"
    mine, theirs = schemas[version["name"]], schemas[storage]

    def show(obj: Object) -> Object:
        return mine.cleaned({**obj, "apiVersion": api_versions[0]})

    def read(obj: Object) -> Object:
        made = {**obj, "apiVersion": api_versions[1]}
        if mine is not theirs:
            theirs.prune(made)
        return made

    return _version_kind(crd, version, mine, Face(target, show, read))


def _version_kind(crd: Object, version: Object, schema: CustomSchema, face: Face | None = None) -> Kind:
    spec, names = crd["spec"], crd["spec"]["names"]
    subresources, scale = _subresources(version)
    has_status = STATUS in subresources
    return Kind(
        group=spec["group"],
        version=version["name"],
        kind=names["kind"],
        plural=names["plural"],
        singular=names.get("singular") or names["kind"].lower(),
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        scope=Scope(spec["scope"]),
        columns=columns_of(version),
        fields=_fields(version),
        subresources=subresources,
        definition=definition_name(spec["group"], version["name"], names["kind"]),
        schemas=schemas_of(spec["group"], version["name"], names, _schema(version)),
        defaults=schema.default,
        strategy=Strategy(
            validate=schema.validate,
            validate_status=schema.validate,
            warnings=_warnings(spec["group"], names["kind"], version),
            prepare=_counting(with_status=has_status),
        ),
        face=face,
        own_schema=schema,
        scale_paths=scale,
    )


def _fields(version: Object) -> dict[str, str]:
    paths = [item["jsonPath"] for item in version.get("selectableFields") or ()]
    return {path.removeprefix("."): path for path in paths}


def _subresources(version: Object) -> tuple[tuple[Subresource, ...], ScalePaths | None]:
    given = version.get("subresources") or {}
    found: list[Subresource] = [STATUS] if given.get("status") is not None else []
    scale = given.get("scale")
    if scale is None:
        return tuple(found), None
    paths = scale["specReplicasPath"], scale["statusReplicasPath"], scale.get("labelSelectorPath") or ""
    return (*found, SCALE), ScalePaths(*paths)


def _warnings(group: str, kind: str, version: Object) -> Any:
    if not version.get("deprecated"):
        return lambda _new, _old: ()
    text = version.get("deprecationWarning") or f"{group}/{version['name']} {kind} is deprecated"
    return lambda _new, _old: (text,)


def _counting(*, with_status: bool) -> Any:
    """The strategy's `prepare`: generation counts changes of all but metadata, and status where that stands apart."""
    aside = {"metadata", "status", "apiVersion"} if with_status else {"metadata", "apiVersion"}

    def prepare(new: Object, old: Object | None) -> None:
        if old is None:
            new["metadata"]["generation"] = 1
            return
        before = old["metadata"].get("generation") or 1
        changed = any(new.get(name) != old.get(name) for name in (new.keys() | old.keys()) - aside)
        new["metadata"]["generation"] = before + 1 if changed else before

    return prepare
