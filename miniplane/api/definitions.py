"""Upstream's schemas, read from the data file of a package that is never imported.

The `kubernetes-validate` distribution carries the definitions of each Kubernetes version with their descriptions and
`x-kubernetes-*` keys. `load` normalises them to the form of OpenAPI v3 components, adds those that kinds bring
themselves, keeps what the asked kinds reach, and caches that. The file adds `null` to each optional type and lists
constants of `apiVersion` and `kind`: neither is upstream's and both are taken out.
"""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from miniplane.api.kind import Kind

Schema = dict[str, Any]
"""A JSON schema in the dialect of OpenAPI v3, with upstream's extensions."""

GVK = "x-kubernetes-group-version-kind"
REF = "#/components/schemas/"
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
SCALE = "io.k8s.api.autoscaling.v1.Scale"
ALWAYS = (f"{META}DeleteOptions", f"{META}ListMeta", f"{META}ObjectMeta", f"{META}Status", f"{META}Patch")
"""Definitions that every server speaks, whatever its kinds."""

_DISTRIBUTION, _PACKAGE = "kubernetes-validate", "kubernetes_validate"
_FORM = 1
"""The form of the cached file: to be raised when the normalisation changes."""
_FILE_REF = "#/$defs/"


@dataclass(frozen=True, slots=True)
class Definitions:
    """Schemas by upstream's name, such as `io.k8s.api.core.v1.Pod`; to be read only."""

    version: str
    schemas: Mapping[str, Schema]

    def by_gvk(self, group: str, version: str, kind: str) -> str | None:
        """The name of the definition that says to be of this kind."""
        wanted = {"group": group, "version": version, "kind": kind}
        return next((name for name, schema in self.schemas.items() if wanted in schema.get(GVK, ())), None)

    def closure(self, roots: Iterable[str]) -> dict[str, Schema]:
        """The definitions that the roots reach, themselves included; roots that are not there are left out."""
        return _closure(self.schemas, roots)


def load(kinds: Iterable[Kind], *, version: str = "1.33", cache_dir: Path | None = None) -> Definitions:
    """The definitions that `kinds`, their lists and their subresources reach.

    Args:
        kinds: Those with an empty `definition` are left out.
        version: Of Kubernetes, major and minor.
        cache_dir: Where the pruned file is kept; made where it is missing. None reads the whole file each time.

    Raises:
        LookupError: The package or the version in it is missing.
    """
    kinds = tuple(kinds)
    wanted = sorted(_wanted(kinds))
    own = {name: schema for kind in kinds for name, schema in kind.schemas.items()}
    if cache_dir is None:
        return Definitions(version, _build(version, wanted, own))
    digest = hashlib.sha256(orjson.dumps([wanted, own], option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    source = importlib.metadata.version(_DISTRIBUTION)
    path = cache_dir / f"definitions-{version}-{source}-{_FORM}-{digest}.json"
    schemas = _read(path)
    if schemas is None:
        schemas = _build(version, wanted, own)
        _write(path, schemas)
    return Definitions(version, schemas)


def _wanted(kinds: Iterable[Kind]) -> Iterator[str]:
    """What to look for: names, and `group/version/kind` of subresources that have a kind of their own."""
    yield from ALWAYS
    yield SCALE
    for kind in kinds:
        if kind.definition:
            yield kind.definition
            yield f"{kind.definition}List"
        for sub in kind.subresources:
            if sub.group_version_kind is not None:
                yield "/".join(sub.group_version_kind)


def _read(path: Path) -> dict[str, Schema] | None:
    try:
        schemas: dict[str, Schema] = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return schemas


def _write(path: Path, schemas: Mapping[str, Schema]) -> None:
    """Puts the file in place whole; a directory that can't be written only costs time at the next start."""
    draft = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(orjson.dumps(schemas))
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()


def _build(version: str, wanted: Sequence[str], own: Mapping[str, Schema]) -> dict[str, Schema]:
    raw = orjson.loads(_source(version).read_bytes())["$defs"] | own
    by_gvk = {
        "/".join((item["group"], item["version"], item["kind"])): name
        for name, schema in raw.items()
        for item in schema.get(GVK, ())
    }
    reached = _closure(raw, (by_gvk.get(word, word) for word in wanted))
    return {name: _definition(schema) for name, schema in sorted(reached.items())}


def _source(version: str) -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise LookupError(f"the package {_DISTRIBUTION} is not installed")
    folder = Path(spec.submodule_search_locations[0]) / "kubernetes-json-schema"
    path = folder / f"v{version}.0-local" / "_definitions.json"
    if not path.is_file():
        raise LookupError(f"{_DISTRIBUTION} has no definitions of Kubernetes {version}")
    return path


def refs(schema: Any) -> Iterator[str]:
    """The names of the definitions that a schema refers to, in schema positions only."""
    for child in _children(schema):
        yield from refs(child)
    if isinstance(ref := schema.get("$ref"), str):
        yield ref.rpartition("/")[2]


def _children(schema: Schema) -> Iterator[Schema]:
    """The schemas directly inside one; keys are not searched, for a property may be called `$ref` or `type`."""
    yield from (schema.get("properties") or {}).values()
    for word in ("items", "additionalProperties"):
        if isinstance(child := schema.get(word), dict):
            yield child
    for word in ("oneOf", "allOf", "anyOf"):
        yield from schema.get(word) or ()


def _closure(schemas: Mapping[str, Schema], roots: Iterable[str]) -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    waiting = [name for name in roots if name in schemas]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = schemas[name]
            waiting += refs(schemas[name])
    return found


def _definition(schema: Schema) -> Schema:
    result = _normalize(schema)
    for word in ("apiVersion", "kind"):
        if GVK in schema and isinstance(field := result.get("properties", {}).get(word), dict):
            field.pop("enum", None)
    return result


def _normalize(schema: Schema) -> Schema:
    result = {key: value for key, value in schema.items() if key not in ("$ref", "type")}
    if isinstance(kind := schema.get("type"), list):
        result["type"] = next(word for word in kind if word != "null")
    elif kind is not None:
        result["type"] = kind
    if isinstance(ref := schema.get("$ref"), str):
        target = {"$ref": ref.replace(_FILE_REF, REF)}
        if not result:
            return target
        result["allOf"] = [target]  # beside `$ref` OpenAPI v3 ignores everything
    if "properties" in schema:
        result["properties"] = {key: _normalize(child) for key, child in schema["properties"].items()}
    for word in ("items", "additionalProperties"):
        if isinstance(child := schema.get(word), dict):
            result[word] = _normalize(child)
    for word in ("oneOf", "anyOf"):
        if word in schema:
            result[word] = [_normalize(child) for child in schema[word]]
    return result
