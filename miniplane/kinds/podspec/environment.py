"""Rules of a container's environment: literal values and where others come from."""

import re
from collections.abc import Callable, Iterator

from miniplane.api.kind import Object
from miniplane.api.names import is_config_key, is_env_name
from miniplane.api.validation import FieldError, Path, invalid, not_supported, required
from miniplane.kinds.fields import entries, is_set, named, named_required, section, text

_FIELDS = frozenset(
    (
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
    )
)
_KEYED = re.compile(r"metadata\.(labels|annotations)\['[^']+'\]")
_RESOURCES = frozenset(
    f"{side}.{name}" for side in ("limits", "requests") for name in ("cpu", "memory", "ephemeral-storage")
)


def _field_ref(path: Path, ref: Object) -> Iterator[FieldError]:
    if not text(ref, "apiVersion"):
        yield required(path / "apiVersion")
    field = text(ref, "fieldPath")
    if not field:
        yield required(path / "fieldPath")
    elif field not in _FIELDS and not _KEYED.fullmatch(field):
        yield not_supported(path / "fieldPath", field, _FIELDS)


def _resource_ref(path: Path, ref: Object) -> Iterator[FieldError]:
    resource = text(ref, "resource")
    if not resource:
        yield required(path / "resource")
    elif resource not in _RESOURCES and not resource.partition(".")[2].startswith("hugepages-"):
        yield not_supported(path / "resource", resource, _RESOURCES)


def _key_ref(path: Path, ref: Object) -> Iterator[FieldError]:
    if not text(ref, "name"):
        yield required(path / "name")
    yield from named_required(path / "key", text(ref, "key"), is_config_key)


_SOURCES: dict[str, Callable[[Path, Object], Iterator[FieldError]]] = {
    "fieldRef": _field_ref,
    "resourceFieldRef": _resource_ref,
    "configMapKeyRef": _key_ref,
    "secretKeyRef": _key_ref,
}


def environment_errors(path: Path, container: Object) -> Iterator[FieldError]:
    """The errors of `env` and `envFrom`; `path` is the container's."""
    for index, variable in enumerate(entries(container, "env")):
        here = path / "env" @ index
        yield from named_required(here / "name", text(variable, "name"), is_env_name)
        if is_set(variable, "valueFrom"):
            yield from _value_from(here / "valueFrom", variable)
    for index, source in enumerate(entries(container, "envFrom")):
        yield from _env_from(path / "envFrom" @ index, source)


def _value_from(path: Path, variable: Object) -> Iterator[FieldError]:
    source = section(variable, "valueFrom")
    given = [key for key in _SOURCES if is_set(source, key)]
    for key in given:
        yield from _SOURCES[key](path / key, section(source, key))
    if not given:
        words = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        yield invalid(path, "", words)
    elif text(variable, "value"):
        yield invalid(path, "", "may not be specified when `value` is not empty")
    elif len(given) > 1:
        yield invalid(path, "", "may not have more than one field specified at a time")


def _env_from(path: Path, source: Object) -> Iterator[FieldError]:
    if prefix := text(source, "prefix"):
        yield from named(path / "prefix", prefix, is_env_name)
    given = [key for key in ("configMapRef", "secretRef") if is_set(source, key)]
    for key in given:
        if not text(section(source, key), "name"):
            yield required(path / key / "name")
    if not given:
        yield invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")
    elif len(given) > 1:
        yield invalid(path, "", "may not have more than one field specified at a time")
