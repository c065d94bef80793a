"""CustomResourceDefinition: a kind that users bring, served as long as the definition is there.

What it describes becomes kinds in `miniplane.api.custom`; the server's catalog accepts its names and serves them. Of
conversions there is `None` alone. Upstream: apiextensions.k8s.io/v1; concept page "Custom Resources".
"""

from collections.abc import Iterator, Sequence
from typing import Any

from miniplane.api import meta
from miniplane.api.custom.jsonpath import compile_path
from miniplane.api.kind import STATUS, Column, Kind, Object, Scope, Strategy
from miniplane.api.names import is_dns_label_1035, is_dns_subdomain
from miniplane.api.table import NAME
from miniplane.api.validation import FieldError, Path, duplicate, forbidden, immutable, invalid, not_supported, required
from miniplane.kinds.apiextensions.structure import schema_errors
from miniplane.kinds.fields import entries, named_required, one_of, open_section, section, strings, text

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
"""The finalizer under which the server removes all objects of the kind first."""
APPROVAL = "api-approved.kubernetes.io"
_SPEC = Path("spec")
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_SELECTABLE_LIMIT = 8


def defaults(crd: Object) -> None:
    """Names that follow from others, and the conversion."""
    spec = section(crd, "spec")
    names = section(spec, "names")
    if kind := text(names, "kind"):
        names.setdefault("singular", kind.lower())
        names.setdefault("listKind", f"{kind}List")
    if spec and not section(spec, "conversion").get("strategy"):
        spec["conversion"] = {**section(spec, "conversion"), "strategy": "None"}


def prepare(crd: Object, old: Object | None) -> None:
    """The finalizer, and the versions that have been stored."""
    if old is not None:
        return
    metadata = crd["metadata"]
    kept = metadata.get("finalizers") or []
    if CLEANUP not in kept:
        metadata["finalizers"] = [*kept, CLEANUP]
    stored = [text(version, "name") for version in entries(section(crd, "spec"), "versions") if version.get("storage")]
    crd["status"] = {"conditions": [], "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}


def validate(crd: Object, old: Object | None) -> Sequence[FieldError]:
    """Upstream's rules on names, versions, schemas, columns and subresources."""
    spec = section(crd, "spec")
    names = section(spec, "names")
    errors = []
    wanted = f"{text(names, 'plural')}.{text(spec, 'group')}"
    if meta.name(crd) != wanted:
        errors.append(invalid("metadata.name", meta.name(crd), 'must be spec.names.plural+"."+spec.group'))
    errors += _group_errors(crd, text(spec, "group"))
    errors += _names_errors(names, _SPEC / "names")
    errors += one_of(_SPEC / "scope", text(spec, "scope"), tuple(Scope))
    if spec.get("preserveUnknownFields"):
        why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        errors.append(invalid(_SPEC / "preserveUnknownFields", value=True, detail=why))
    errors += _conversion_errors(section(spec, "conversion"))
    errors += _versions_errors(spec)
    if old is not None:
        errors += _unchanged(spec, section(old, "spec"), is_established=meta.is_condition_true(old, "Established"))
        errors += _stored_errors(crd)
    return errors


def validate_status(crd: Object, _old: Object | None) -> Sequence[FieldError]:
    """Every stored version must still be described."""
    return list(_stored_errors(crd))


def _group_errors(crd: Object, group: str) -> Iterator[FieldError]:
    path = _SPEC / "group"
    yield from named_required(path, group, is_dns_subdomain)
    if group and "." not in group:
        yield invalid(path, group, "should be a domain with at least one dot")
    if group.endswith((".k8s.io", ".kubernetes.io")) and not meta.annotations(crd).get(APPROVAL):
        field = f"metadata.annotations[{APPROVAL}]"
        why = f'protected groups must have approval annotation "{APPROVAL}"'
        yield required(field, f"{why}, see https://github.com/kubernetes/enhancements/pull/1111")


def _names_errors(names: Object, path: Path) -> Iterator[FieldError]:
    for key in ("plural", "singular"):
        yield from named_required(path / key, text(names, key), is_dns_label_1035)
    for key in ("kind", "listKind"):
        word = text(names, key)
        for why in is_dns_label_1035(word.lower()) if word else ():
            yield invalid(path / key, word, f"may have mixed case, but should otherwise match: {why}")
        if not word:
            yield required(path / key)
    if text(names, "kind") and text(names, "kind") == text(names, "listKind"):
        yield invalid(path / "listKind", text(names, "listKind"), "kind and listKind may not be the same")
    for key in ("shortNames", "categories"):
        for index, word in enumerate(strings(names, key)):
            for why in is_dns_label_1035(word):
                yield invalid(path / key @ index, word, why)


def _conversion_errors(conversion: Object) -> Iterator[FieldError]:
    path = _SPEC / "conversion"
    strategy = text(conversion, "strategy")
    if strategy == "Webhook":
        why = "conversion webhooks are not served by this server: all versions must differ in apiVersion alone"
        yield forbidden(path / "strategy", why)
    elif strategy != "None":
        yield not_supported(path / "strategy", strategy, ("None",))
    elif conversion.get("webhook"):
        yield forbidden(path / "webhook", "should not be set when strategy is not set to Webhook")


def _versions_errors(spec: Object) -> Iterator[FieldError]:
    versions, path = entries(spec, "versions"), _SPEC / "versions"
    storing = [version for version in versions if version.get("storage")]
    if len(storing) != 1:
        yield invalid(path, f"{len(versions)} versions", "must have exactly one version marked as storage version")
    seen = set()
    for index, version in enumerate(versions):
        place, name = path @ index, text(version, "name")
        yield from named_required(place / "name", name, is_dns_label_1035)
        if name in seen:
            yield duplicate(place / "name", name)
        seen.add(name)
        schema = section(version, "schema").get("openAPIV3Schema")
        yield from schema_errors(schema, place / "schema" / "openAPIV3Schema")
        yield from _columns_errors(version, place / "additionalPrinterColumns")
        yield from _subresource_errors(section(version, "subresources"), place / "subresources")
        yield from _selectable_errors(version, schema, place / "selectableFields")
        if version.get("deprecationWarning") and not version.get("deprecated"):
            yield invalid(
                place / "deprecationWarning", version["deprecationWarning"], "can only be set for deprecated versions"
            )


def _path_errors(path: Path, given: str, roots: Sequence[str] = ()) -> Iterator[FieldError]:
    if not given:
        yield required(path, "JSON path is empty")
        return
    try:
        compile_path(given)
    except ValueError as error:
        yield invalid(path, given, f"is an invalid JSON path: {error}")
        return
    if not given.startswith((".", "[")):
        yield invalid(path, given, "is an invalid JSON path: it must start with a dot")
    elif roots and not given.startswith(tuple(f"{root}." for root in roots)):
        yield invalid(path, given, f"should be a json path under {' or '.join(roots)}")


def _columns_errors(version: Object, path: Path) -> Iterator[FieldError]:
    for index, column in enumerate(entries(version, "additionalPrinterColumns")):
        place = path @ index
        if not text(column, "name"):
            yield required(place / "name")
        yield from one_of(place / "type", text(column, "type"), _COLUMN_TYPES)
        yield from _path_errors(place / "jsonPath", text(column, "jsonPath"))


def _subresource_errors(subresources: Object, path: Path) -> Iterator[FieldError]:
    if subresources.get("scale") is None:
        return
    scale, place = section(subresources, "scale"), path / "scale"
    yield from _path_errors(place / "specReplicasPath", text(scale, "specReplicasPath"), (".spec",))
    yield from _path_errors(place / "statusReplicasPath", text(scale, "statusReplicasPath"), (".status",))
    if selector := text(scale, "labelSelectorPath"):
        yield from _path_errors(place / "labelSelectorPath", selector, (".spec", ".status"))


def _selectable_errors(version: Object, schema: Any, path: Path) -> Iterator[FieldError]:
    given = entries(version, "selectableFields")
    if len(given) > _SELECTABLE_LIMIT:
        yield FieldError(
            "FieldValueTooMany", path, f"Too many: {len(given)}: must have at most {_SELECTABLE_LIMIT} items"
        )
    for index, item in enumerate(given):
        place, wanted = path @ index / "jsonPath", text(item, "jsonPath")
        yield from _path_errors(place, wanted)
        node = schema
        for key in wanted.removeprefix(".").split("."):
            node = section(section(node, "properties"), key) if isinstance(node, dict) else {}
        if not isinstance(node, dict) or node.get("type") not in ("string", "boolean", "integer"):
            yield invalid(place, wanted, "must point to a field in the schema of type string, boolean or integer")


def _unchanged(spec: Object, old: Object, *, is_established: bool) -> Iterator[FieldError]:
    names, before = section(spec, "names"), section(old, "names")
    yield from immutable(_SPEC / "group", text(spec, "group"), text(old, "group"))
    yield from immutable(_SPEC / "names" / "plural", text(names, "plural"), text(before, "plural"))
    if is_established:
        yield from immutable(_SPEC / "scope", text(spec, "scope"), text(old, "scope"))
        yield from immutable(_SPEC / "names" / "kind", text(names, "kind"), text(before, "kind"))


def _stored_errors(crd: Object) -> Iterator[FieldError]:
    described = {text(version, "name") for version in entries(section(crd, "spec"), "versions")}
    for index, name in enumerate(strings(section(crd, "status"), "storedVersions")):
        if name not in described:
            yield invalid(Path("status") / "storedVersions" @ index, name, "must appear in spec.versions")


def canonicalize(crd: Object, old: Object | None) -> None:
    """A version that becomes the stored one is told among those that have been."""
    if old is None:
        return
    status = open_section(crd, "status")
    stored = [*strings(status, "storedVersions")]
    for version in entries(section(crd, "spec"), "versions"):
        if version.get("storage") and text(version, "name") not in stored:
            stored.append(text(version, "name"))
    status["storedVersions"] = stored


CUSTOM_RESOURCE_DEFINITION = Kind(
    group="apiextensions.k8s.io",
    version="v1",
    kind="CustomResourceDefinition",
    plural="customresourcedefinitions",
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    scope=Scope.CLUSTER,
    subresources=(STATUS,),
    definition="io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
    columns=(
        NAME,
        Column("Created At", ".metadata.creationTimestamp", type="date", description="When it was created."),
    ),
    defaults=defaults,
    strategy=Strategy(
        prepare=prepare,
        validate=validate,
        validate_status=validate_status,
        canonicalize=canonicalize,
        counts_generation=True,
    ),
)
